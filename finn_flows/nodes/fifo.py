"""A FIFO, `zc_fifo`: a word is offered the cycle after it was taken, whatever the style."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
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

_BLOCK_FIFO = (32, 2048)  # words and bits past which a FIFO is worth a block RAM
STYLES = ("auto", "registers", "distributed", "block")


@dataclass(frozen=True)
class Fifo(HardwareNode):
    """Words that wait.

    Two words are the least, and keep full rate. With `probe` a simulation prints "FIFO <instance> <high water>" at
    its end: the most words that any word found in the FIFO as it was taken, itself included. A FIFO of that depth is
    ready whenever a word comes, so that (nodes being deaf to ready while they offer nothing, as all here are) every
    word flows in the same cycle as with a deeper one.

    Attributes:
        stream: the stream.
        depth: words it holds; 0 and 1 mean 2.
        style: "registers" (two words), "distributed" (LUT memory), "block", or "auto".
        probe: whether a simulation prints the high-water mark.
    """

    word: ClassVar[str] = "fifo"
    module: ClassVar[str] = "zc_fifo"

    stream: Stream
    depth: int
    style: str = "auto"
    probe: bool = False

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise NodeError(f"no style of FIFO is called {self.style!r}: {', '.join(STYLES)}")
        if self.style == "registers" and self.depth > 2:
            raise NodeError(f"a FIFO of registers holds 2 words, not {self.depth}")

    @property
    def inputs(self) -> dict[str, Stream]:
        """The stream."""
        return {"s": self.stream}

    @property
    def outputs(self) -> dict[str, Stream]:
        """The stream, later."""
        return {"m": self.stream}

    @property
    def latency(self) -> int:
        """Cycles from a word to the same word."""
        return 1

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """Latencies are estimated without FIFOs: only some streams get one, and none stops a node that could work."""
        return reads[0]

    @property
    def built_style(self) -> str:
        """The style, "auto" resolved."""
        if self.style != "auto":
            return self.style
        if self.depth <= 2:
            return "registers"
        words, bits = _BLOCK_FIFO
        deep = self.depth > words and self.depth * self.stream.width > bits
        return "block" if deep and not self.probe else "distributed"

    def price(self) -> Price:
        """Price it; see `fifo_price`."""
        return fifo_price(max(2, self.depth), self.stream.width)

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's FIFO; its estimates read the depth and the width of a word, in whole bytes, alone."""
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

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Name the module; there is nothing to write."""
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
    """Price a FIFO of `depth` words.

    Two deep: registers, a multiplexer a bit and three LUTs of control. Deeper: LUT memory or, past 32 words and 2,048
    bits, block RAM; base + a address bits, more where words are no power of two.
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
    """Price what a stream's FIFO is expected to take before FIFOs are sized.

    Args:
        width: bits of a word.
        between: "windows" (ahead of a convolution's product), "image" or "vector". Windows come in bursts and images
            with gaps, which takes deep FIFOs: shares of one of 32 words. Vectors hardly need any: a share of one of 2.
    """
    k = cost_model.CONSTANTS
    share = {"windows": k.fifo_windows, "image": k.fifo_image, "vector": k.fifo_vector}[between]
    depth = 2 if between == "vector" else 32
    implementation = "registers or LUT memory, where the schedule needs them"
    return Price(share * fifo_price(depth, width).lut, implementation=implementation)
