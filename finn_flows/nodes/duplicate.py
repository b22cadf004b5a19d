"""A stream to two readers, `zc_duplicate`; to more, by several of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, StockNode
from zerocross.finn_flows.nodes.stream import Stream

FINN_FIFO_DEPTH = 2  # FINN's own, where nothing has measured a better one


@dataclass(frozen=True)
class Duplicate(HardwareNode):
    """A stream to two readers.

    Attributes:
        stream: the stream.
        finn_readers: readers that FINN's one node serves in the place of this and those behind it; 0 for those behind.
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
        """The stream, twice."""
        return {"a": self.stream, "b": self.stream}

    @property
    def latency(self) -> int:
        """A word is there for both readers as soon as it comes."""
        return 0

    def price(self) -> Price:
        """Price the further reader's handshake. Counted by hand."""
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
        """Return the samples twice."""
        return (samples[0], samples[0])

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Name the module; there is nothing to write."""
        return Instance(self.module, {"WIDTH": self.stream.width})
