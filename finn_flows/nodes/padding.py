"""Padding of an image, `zc_padding`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.flow import Flow, Row
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, NodeError, StockNode, check_folding
from zerocross.finn_flows.nodes.stream import Stream


@dataclass(frozen=True)
class Padding(HardwareNode):
    """Padding of an image with one level.

    FINN's own core runs ahead: it writes the padding of an image before the image arrives. This node does not.

    Attributes:
        image: (height, width, channels), in words of channels.
        amounts: Rows above, columns left, rows below, columns right.
        level: Element that surrounds the image, an integer of the stream. In an image of bits a 0 means -1.
    """

    word: ClassVar[str] = "padding"
    module: ClassVar[str] = "zc_padding"

    image: Stream
    amounts: tuple[int, int, int, int]
    level: int = 0

    def __post_init__(self) -> None:
        check_folding("channels", self.image.shape[2], self.image.lanes)
        if min(self.amounts) < 0:
            raise NodeError(f"padding by {self.amounts} would cut the image: use amounts of 0 or more")
        low, high = self.image.range
        if not low <= self.level <= high:
            raise NodeError(f"padding with {self.level} does not fit the image's elements, {low} to {high}")

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return 1, self.image.lanes

    @property
    def inputs(self) -> dict[str, Stream]:
        """One image."""
        return {"s": self.image}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One larger image."""
        (height, width, channels), (top, left, bottom, right) = self.image.shape, self.amounts
        return {"m": replace(self.image, shape=(height + top + bottom, width + left + right, channels))}

    @property
    def latency(self) -> int:
        """Cycles from a word of the image to the same word of the output."""
        return 1

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """Output starts when the first word has arrived and continues with at most one word per cycle.

        A design's input is read only after the padding before it has left, and cycles are counted from then on.
        """
        flow, (top, left, bottom, right) = reads[0], self.amounts
        words, columns = self.image.shape[2] // self.image.lanes, self.outputs["m"].shape[1]
        done, rows = flow.rows[0][0] - words, list[Row]()
        if flow.is_input:
            done -= (top * columns + left) * words
        for _ in range(top):
            rows.append((done + words, done + columns * words))
            done += columns * words
        for first, last in flow.rows:
            # Pixels on the left are assumed to be evenly spaced with the following pixels.
            begun = max(first - left * words, done + words)
            done = max(last, begun + (left + flow.columns - 1) * words) + right * words
            rows.append((begun, done))
        for _ in range(bottom):
            rows.append((done + words, done + columns * words))
            done += columns * words
        return Flow(rows, columns, words - 1, flow.depth + self.latency)

    def price(self) -> Price:
        """Price counters of rows, columns and words. The level needs no LUTs: the output registers are set or reset."""
        k, (height, width, channels) = cost_model.CONSTANTS, self.outputs["m"].shape
        sizes = (height, width, channels // self.image.lanes)
        bits = sum(math.ceil(math.log2(size + 1)) for size in sizes)
        return Price(k.padding_base + k.padding_counter * bits, implementation="counters")

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's FMPadding. It pads with 0, which is another level here if the file's levels are signed."""
        attributes = (
            ("ImgDim", self.image.shape[:2]),
            ("Padding", self.amounts),
            ("NumChannels", self.image.shape[2]),
            ("SIMD", self.image.lanes),
            ("inputDataType", self.image.stock_datatype),
        )
        return (StockNode("FMPadding_rtl", attributes, self.outputs["m"]),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute images (N, elements) from images (N, elements)."""
        top, left, bottom, right = self.amounts
        images = np.asarray(samples[0]).reshape(-1, *self.image.shape)
        border = ((0, 0), (top, bottom), (left, right), (0, 0))
        padded = np.pad(images, border, constant_values=self.level)
        return (padded.reshape(len(images), -1),)

    def slim(self) -> "Padding":
        """See `HardwareNode`."""
        return replace(self, image=self.image.slim(), level=0)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Return the instance; the node has no memory files."""
        (height, width, channels), (top, left, bottom, right) = self.image.shape, self.amounts
        return Instance(
            self.module,
            {
                "HEIGHT": height,
                "WIDTH": width,
                "TOP": top,
                "LEFT": left,
                "BOTTOM": bottom,
                "RIGHT": right,
                "FOLDS": channels // self.image.lanes,
                "PE": self.image.lanes,
                "BITS": self.image.bits,
                "LEVEL": self.level,
            },
        )
