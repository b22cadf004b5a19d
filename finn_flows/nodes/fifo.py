"""A FIFO, `zc_fifo`: in every style, a word is offered in the cycle after it was accepted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.accumulators import type_bits
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.duplicate import FINN_FIFO_DEPTH
from zerocross.finn_flows.nodes.flow import Flow
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, NodeError, StockNode
from zerocross.finn_flows.nodes.stream import Stream

_BLOCK_FIFO = (32, 2048)  # a FIFO of more words and more bits is put into block RAM
STYLES = ("auto", "registers", "distributed", "block")


@dataclass(frozen=True)
class Fifo(HardwareNode):
    """A FIFO. Its least depth of two words already keeps the full rate.

    With `probe`, a simulation prints "FIFO <instance> <high water>" at its end. The high-water mark is the largest number
    of words in the FIFO when a word was accepted, that word included. A FIFO of this depth is ready whenever a word
    arrives, so every word moves in the same cycle as with a deeper FIFO. This holds because no node here looks at ready
    while it offers nothing.

    Attributes:
        stream: Stream of words.
        depth: Words that the FIFO holds; 0 and 1 mean 2.
        style: "registers" (two words), "distributed" (LUT memory), "block" (block RAM), or "auto".
        probe: Whether a simulation prints the high-water mark.
    """

    word: ClassVar[str] = "fifo"
    module: ClassVar[str] = "zc_fifo"

    stream: Stream
    depth: int
    style: str = "auto"
    probe: bool = False

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise NodeError(f"unknown style {self.style!r} of a FIFO: use one of {', '.join(STYLES)}")
        if self.style == "registers" and self.depth > 2:
            raise NodeError(f"a FIFO of registers holds 2 words, not {self.depth}: choose another style")

    @property
    def inputs(self) -> dict[str, Stream]:
        """The stream."""
        return {"s": self.stream}

    @property
    def outputs(self) -> dict[str, Stream]:
        """The same stream, delayed."""
        return {"m": self.stream}

    @property
    def latency(self) -> int:
        """Cycles from a word's input to its output."""
        return 1

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """Latencies are estimated without FIFOs: only some streams have one, and no FIFO stalls a node that could run."""
        return reads[0]

    @property
    def built_style(self) -> str:
        """The style, with "auto" resolved."""
        if self.style != "auto":
            return self.style
        if self.depth <= 2:
            return "registers"
        words, bits = _BLOCK_FIFO
        deep = self.depth > words and self.depth * self.stream.width > bits
        return "block" if deep and not self.probe else "distributed"

    def price(self) -> Price:
        """See `fifo_price`."""
        return fifo_price(max(2, self.depth), self.stream.width)

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's FIFO, whose estimates depend only on the depth and on a word's width in whole bytes."""
        width = self.stream.lanes * type_bits(self.stream.stock_datatype)
        word = (1, 8 * math.ceil(width / 8))
        attributes = (
            ("depth", max(FINN_FIFO_DEPTH, self.depth)),
            ("folded_shape", word),
            ("normal_shape", word),
            ("dataType", "BINARY"),
            ("ram_style", "auto"),
        )
        return (StockNode("StreamingFIFO_rtl", attributes, self.stream),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the samples (N, elements) as they are."""
        return (np.asarray(samples[0]),)

    def slim(self) -> "Fifo":
        """See `HardwareNode`."""
        return replace(self, stream=Stream((self.stream.words,), 1, 1))

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Return the instance; the node has no memory files."""
        return Instance(
            self.module,
            {
                "WIDTH": self.stream.width,
                "DEPTH": max(2, self.depth),
                "STYLE": self.built_style,
                "PROBE": int(self.probe),
            },
        )


def fifo_price(depth: int, width: int) -> Price:
    """Price a FIFO of `depth` words of `width` bits.

    - Depth 2: registers, a multiplexer per bit and three LUTs of control.
    - More: LUT memory, or block RAM past 32 words and 2,048 bits, and control of base + a address bits. The control is
      larger if the number of words is no power of two.
    """
    k = cost_model.CONSTANTS
    if depth <= 2:
        return Price(width + 3.0, implementation="registers")
    block = depth > 32 and depth * width > 2048
    words = depth - block  # one is in a register
    bits = (words - 1).bit_length()
    control = k.fifo_base + (k.fifo_address + k.fifo_wrap * (words != 1 << bits)) * bits
    if block:
        return cost_model.in_block_ram(control + width, (width, words), "block RAM")
    return cost_model.in_lut_memory(control, (width, depth), "LUT memory")


def expected_price(width: int, between: str) -> Price:
    """Price the FIFO that a stream is expected to need, before FIFOs are sized.

    Windows arrive in bursts and images with gaps, so their streams often need deep FIFOs: the price is a share of a FIFO
    of 32 words. Streams of vectors rarely need a FIFO: the price is a share of one of 2 words.

    Args:
        width: Bits of a word.
        between: "windows" (in front of a convolution's product), "image" or "vector".
    """
    k = cost_model.CONSTANTS
    share = {"windows": k.fifo_windows, "image": k.fifo_image, "vector": k.fifo_vector}[between]
    depth = 2 if between == "vector" else 32
    implementation = "registers or LUT memory, where the schedule needs them"
    return Price(share * fifo_price(depth, width).lut, implementation=implementation)
