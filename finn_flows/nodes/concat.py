"""The channels of two streams, joined pixel by pixel, `zc_concat`. Several nodes in sequence join more than two."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.add import check_unsigned
from zerocross.finn_flows.nodes.flow import Flow, joined
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, NodeError, StockNode, check_folding
from zerocross.finn_flows.nodes.stream import Stream


@dataclass(frozen=True)
class Concat(HardwareNode):
    """The channels of one stream, followed by those of another, for each pixel.

    Attributes:
        a: Stream of the first channels, of bits or of levels.
        b: Stream of the other channels, with the same pixels and lanes.
    """

    word: ClassVar[str] = "concat"
    module: ClassVar[str] = "zc_concat"

    a: Stream
    b: Stream

    def __post_init__(self) -> None:
        if self.a.shape[:-1] != self.b.shape[:-1] or self.a.lanes != self.b.lanes:
            raise NodeError(f"streams of different pixels or lanes cannot be joined: {self.a} and {self.b}")
        check_unsigned(self.a, self.b)
        for stream in (self.a, self.b):
            check_folding("channels", stream.shape[-1], stream.lanes)

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return self.a.lanes, 1

    @property
    def pixel_words(self) -> tuple[int, int]:
        """Words of a pixel in both streams."""
        return self.a.shape[-1] // self.a.lanes, self.b.shape[-1] // self.b.lanes

    @property
    def inputs(self) -> dict[str, Stream]:
        """Both streams."""
        return {"a": self.a, "b": self.b}

    @property
    def outputs(self) -> dict[str, Stream]:
        """All channels, as wide as the wider stream's."""
        shape = (*self.a.shape[:-1], self.a.shape[-1] + self.b.shape[-1])
        bits = max(self.a.bits, self.b.bits)
        return {"m": replace(self.a, shape=shape, bits=bits, finn_range=None)}

    @property
    def latency(self) -> int:
        """Cycles from a word to the same word of the output."""
        return 1

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """A pixel's words of the second stream follow those of the first."""
        first, second = reads if len(self.a.shape) == 3 else [flow.flat() for flow in reads]
        behind = self.pixel_words[1]
        rows = [(begin + behind, end + behind) for begin, end in first.rows]
        spread = self.outputs["m"].words / (len(first.rows) * first.columns) - 1
        flow = joined([replace(first, rows=rows), second], self.outputs["m"].words)
        return replace(flow, spread=max(spread, flow.spread)).later(self.latency)

    def price(self) -> Price:
        """Price a multiplexer for each bit, and counters; counted by hand."""
        counters = sum(1.5 * (words - 1).bit_length() for words in self.pixel_words)
        return Price(self.outputs["m"].width + counters + 5.0, implementation="multiplexers")

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's StreamingConcat."""
        attributes = (
            ("SIMD", self.a.lanes),
            ("ChannelsPerStream", (self.a.shape[-1], self.b.shape[-1])),
            ("inputDataTypes", (self.a.stock_datatype, self.b.stock_datatype)),
            ("numInputVectors", self.a.stock_shape[:-1]),
        )
        return (StockNode("StreamingConcat_hls", attributes, self.outputs["m"], streams=2),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Join samples (N, elements)."""
        count = len(samples[0])
        pixels = [
            np.asarray(sample, np.int64).reshape(count, -1, stream.shape[-1])
            for sample, stream in zip(samples, (self.a, self.b), strict=True)
        ]
        return (np.concatenate(pixels, axis=-1).reshape(count, -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Return the instance; the node has no memory files."""
        return Instance(
            self.module,
            {
                "PE": self.a.lanes,
                "A_BITS": self.a.bits,
                "B_BITS": self.b.bits,
                "OUT_BITS": self.outputs["m"].bits,
                "A_WORDS": self.pixel_words[0],
                "B_WORDS": self.pixel_words[1],
            },
        )
