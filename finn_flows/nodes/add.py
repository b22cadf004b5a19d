"""The elementwise sum of two streams, `zc_add`. Several nodes in sequence add more than two."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.flow import Flow, joined
from zerocross.finn_flows.nodes.node import Attributes, HardwareNode, Instance, NodeError, StockNode
from zerocross.finn_flows.nodes.stream import Stream

LATENCY = 1


@dataclass(frozen=True)
class Add(HardwareNode):
    """The sum of two streams.

    Levels are integers from 0 to a known highest value, which need not be 2**bits - 1. `high` is the largest possible sum
    if it is less than the streams' bits allow.

    Attributes:
        a: First stream.
        b: Second stream, with the same elements and lanes.
        high: Largest sum of unsigned streams; None for the largest that their bits allow.
    """

    word: ClassVar[str] = "sum"
    module: ClassVar[str] = "zc_add"

    a: Stream
    b: Stream
    high: int | None = None

    def __post_init__(self) -> None:
        if (self.a.elements, self.a.lanes) != (self.b.elements, self.b.lanes):
            raise NodeError(f"streams of different elements or lanes cannot be added: {self.a} and {self.b}")
        if self.high is not None:
            check_unsigned(self.a, self.b)

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return self.a.lanes, 1

    @property
    def inputs(self) -> dict[str, Stream]:
        """Both streams."""
        return {"a": self.a, "b": self.b}

    @property
    def outputs(self) -> dict[str, Stream]:
        """The sums, wide enough for all values."""
        (a_low, a_high), (b_low, b_high) = self.a.range, self.b.range
        low, most = a_low + b_low, a_high + b_high
        high = most if self.high is None else min(self.high, most)
        signed = low < 0
        bits = max(high.bit_length(), (-low - 1).bit_length() if signed else 0, 1)
        return {"m": Stream(self.a.shape, self.a.lanes, bits + signed, signed)}

    @property
    def latency(self) -> int:
        """Cycles from two words to their sums."""
        return LATENCY

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """See `HardwareNode`."""
        return joined(reads, self.outputs["m"].words).later(self.latency)

    def price(self) -> Price:
        """Price adders: one LUT for each bit except the carry; counted by hand."""
        return Price(self.a.lanes * (self.outputs["m"].bits - 1) + 3.0, implementation="adders")

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's elementwise addition."""
        return (
            StockNode(
                "ElementwiseAdd_hls",
                stock_sum(self.a, self.b, self.outputs["m"]),
                self.outputs["m"],
                streams=2,
            ),
        )

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute the sums (N, elements)."""
        return (np.asarray(samples[0], np.int64) + np.asarray(samples[1], np.int64),)

    def slim(self) -> "Add":
        """See `HardwareNode`."""
        words = Stream((self.a.words,), 1, 1)
        return Add(words, words)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Return the instance; the node has no memory files."""
        return Instance(
            self.module,
            {
                "PE": self.a.lanes,
                "A_BITS": self.a.bits,
                "B_BITS": self.b.bits,
                "A_SIGNED": int(self.a.signed),
                "B_SIGNED": int(self.b.signed),
                "OUT_BITS": self.outputs["m"].bits,
            },
        )


def check_unsigned(*streams: Stream) -> None:
    """Raise a `NodeError` if a stream of levels is signed."""
    if any(stream.signed for stream in streams):
        raise NodeError(f"levels count from 0, but one of these streams is signed: {streams}")


def stock_sum(a: Stream, b: Stream, sink: Stream) -> Attributes:
    """Return the attributes of FINN's elementwise addition. b may be a vector that is added to every pixel of a."""
    spread = (1,) * (len(a.stock_shape) - len(b.stock_shape)) + b.stock_shape
    return (
        ("lhs_dtype", a.stock_datatype),
        ("rhs_dtype", b.stock_datatype),
        ("out_dtype", sink.datatype),
        ("lhs_shape", a.stock_shape),
        ("rhs_shape", spread),
        ("out_shape", a.stock_shape),
        ("PE", a.lanes),
    )
