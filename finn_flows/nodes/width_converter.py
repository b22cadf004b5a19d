"""The change of a stream's word size, `zc_converter`: FINN's vector pack converter `vpc` with this project's ports."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.finn_patches import copy_source, write_source
from zerocross.finn_flows.nodes.flow import Flow
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, StockNode, check_folding
from zerocross.finn_flows.nodes.stream import Stream

_SOURCE = Path(__file__).with_name("zc_converter.sv")


@dataclass(frozen=True)
class WidthConverter(HardwareNode):
    """Converts a stream to words of another size. Neither size must divide the other.

    Attributes:
        stream: Input stream.
        to_lanes: Elements of an output word; divides the stream's elements.
    """

    word: ClassVar[str] = "converter"
    module: ClassVar[str] = "zc_converter"

    stream: Stream
    to_lanes: int

    def __post_init__(self) -> None:
        check_folding("elements", self.stream.elements, self.to_lanes)

    @property
    def inputs(self) -> dict[str, Stream]:
        """The stream."""
        return {"s": self.stream}

    @property
    def outputs(self) -> dict[str, Stream]:
        """The stream in words of the new size."""
        return {"m": self.stream.in_words_of(self.to_lanes)}

    @property
    def interval(self) -> int:
        """Cycles from one image to the next."""
        return converter_interval(self.stream.words, self.outputs["m"].words)

    @property
    def latency(self) -> int:
        """Cycles from the last word that the first output word needs to that output word."""
        return 0 if self.to_lanes == self.stream.lanes else 1

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """Each output word leaves when its last element has arrived."""
        flow = reads[0]
        pixels = len(flow.rows) * flow.columns
        words, written = self.stream.words / pixels, self.outputs["m"].words / pixels
        work = self.interval / pixels
        left = max(0.0, math.ceil(written / words) - 1)
        whole = max(left, work - 1 - flow.spread) + flow.spread  # from first input word to last output word
        needed = flow.spread * (math.ceil(words / written) - 1) / max(1.0, words - 1)
        return flow.worked(work, left, max(written - 1, whole - needed)).later(self.latency)

    def price(self) -> Price:
        """See `converter_price`."""
        return converter_price(self.stream.width, self.outputs["m"].width)

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's width converter, whose estimates depend only on the widths of the words."""
        widths = self._stock_width(self.stream.lanes), self._stock_width(self.to_lanes)
        words = (1, math.lcm(*widths))
        attributes = (
            ("inShape", words),
            ("outShape", words),
            ("inWidth", widths[0]),
            ("outWidth", widths[1]),
            ("dataType", "BINARY"),
        )
        return (StockNode("StreamingDataWidthConverter_rtl", attributes, self.outputs["m"]),)

    def _stock_width(self, lanes: int) -> int:
        from zerocross.finn_flows.accumulators import type_bits

        return lanes * type_bits(self.stream.stock_datatype)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the samples (N, elements) as they are."""
        return (np.asarray(samples[0]),)

    def slim(self) -> "WidthConverter":
        """See `HardwareNode`: the schedule depends only on the ratio of the sizes."""
        common = math.gcd(self.stream.lanes, self.to_lanes)
        stream = Stream((self.stream.elements // common,), self.stream.lanes // common, 1)
        return WidthConverter(stream, self.to_lanes // common)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Copy FINN's core and the module that wraps it."""
        copied = write_source(folder / _SOURCE.name, _SOURCE.read_text())
        return Instance(
            self.module,
            {
                "BITS": self.stream.bits,
                "LANES_IN": self.stream.lanes,
                "LANES_OUT": self.to_lanes,
                "COMMON": math.lcm(self.stream.lanes, self.to_lanes),
            },
            (copy_source(folder, "dwc/hdl/vpc.sv"), copied),
        )


def converter_interval(words_in: int, words_out: int) -> int:
    """Return the cycles per image of a width converter.

    If one number of words divides the other, the interval is the larger one. Otherwise it is longer, because FINN's `vpc`
    buffers one word of either size and reads and writes in the same cycle only when words of both sizes end together.
    """
    return words_in + words_out - math.gcd(words_in, words_out)


@lru_cache(maxsize=4096)
def converter_price(width_in: int, width_out: int) -> Price:
    """Price a change of stream width by FINN's `vpc`.

    - If one width divides the other: a LUT for each bit of an input word and, when words shrink, of an output word.
    - Otherwise: a barrel shifter and a buffer. With parts as wide as the greatest common divisor of both widths, the
      buffer has a place for each part of an input word and an output word, and the shifter turns each input word to its
      place: base + a places + b (input bits) log2(parts of an input word).
    """
    k, common = cost_model.CONSTANTS, math.gcd(width_in, width_out)
    if width_in == width_out:
        return Price(0.0, implementation="none")
    if common == width_in:
        return Price(k.converter_base + width_in, implementation="shift register")
    if common == width_out:
        return Price(k.converter_base + width_in + width_out, implementation="shift register")
    turned = k.converter_turn * width_in * math.log2(width_in / common)
    places = k.converter_place * (width_in + width_out) / common
    return Price(k.converter_base + places + turned, implementation="barrel shifter")
