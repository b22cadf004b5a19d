"""A fork of a stream to two readers, `zc_duplicate`. Several forks in sequence serve more readers."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, StockNode
from zerocross.finn_flows.nodes.stream import Stream

FINN_FIFO_DEPTH = 2  # FINN's default, used where no depth was measured


@dataclass(frozen=True)
class Duplicate(HardwareNode):
    """A fork of a stream to two readers.

    Attributes:
        stream: Stream that is duplicated.
        finn_readers: Readers of FINN's single node that replaces a sequence of forks: the number of all readers in the
            first fork, and 0 in the following ones.
    """

    word: ClassVar[str] = "fork"
    module: ClassVar[str] = "zc_duplicate"

    stream: Stream
    finn_readers: int = 2

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return self.stream.lanes, 1

    @property
    def inputs(self) -> dict[str, Stream]:
        """The stream."""
        return {"s": self.stream}

    @property
    def outputs(self) -> dict[str, Stream]:
        """Two copies of the stream."""
        return {"a": self.stream, "b": self.stream}

    @property
    def latency(self) -> int:
        """0: both readers see a word in the cycle in which it arrives."""
        return 0

    def price(self) -> Price:
        """Price the handshake with the second reader; counted by hand."""
        return Price(5.0, implementation="handshakes")

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's DuplicateStreams, which serves any number of readers."""
        if not self.finn_readers:
            return ()
        stream = self.stream
        attributes = (
            ("NumChannels", stream.shape[-1]),
            ("PE", stream.lanes),
            ("NumOutputStreams", self.finn_readers),
            ("inputDataType", stream.stock_datatype),
            ("numInputVectors", stream.stock_shape[:-1]),
            ("outFIFODepths", (FINN_FIFO_DEPTH,) * self.finn_readers),
        )
        return (StockNode("DuplicateStreams_hls", attributes, stream),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return two copies of the samples."""
        return (samples[0], samples[0])

    def slim(self) -> "Duplicate":
        """See `HardwareNode`."""
        return replace(self, stream=Stream((self.stream.words,), 1, 1))

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Return the instance; the node has no memory files."""
        return Instance(self.module, {"WIDTH": self.stream.width})
