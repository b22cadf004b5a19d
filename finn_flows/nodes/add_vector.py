"""Addition of a vector of levels to every pixel of an image of levels, `zc_add_vector`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.add import LATENCY, check_unsigned, stock_sum
from zerocross.finn_flows.nodes.flow import Flow, joined
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, NodeError, StockNode
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.nodes.sum_pool import sum_bits


@dataclass(frozen=True)
class AddVector(HardwareNode):
    """A vector added to every pixel.

    The node reads the next image's vector while it uses the current one. An image waits for its complete vector.

    Attributes:
        image: Pixels of the image, by channel, in words of `lanes` channels.
        vector: Channels of a pixel, in words of equally many channels.
        high: Largest sum; None for the largest that the streams' bits allow.
    """

    word: ClassVar[str] = "sum"
    module: ClassVar[str] = "zc_add_vector"

    image: Stream
    vector: Stream
    high: int | None = None

    def __post_init__(self) -> None:
        if self.image.lanes != self.vector.lanes or self.image.elements % self.vector.elements:
            raise NodeError(
                f"the vector {self.vector} does not have the channels and lanes of a pixel of {self.image}"
            )
        check_unsigned(self.image, self.vector)

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return self.image.lanes, 1

    @property
    def inputs(self) -> dict[str, Stream]:
        """The image, and one vector per image."""
        return {"s": self.image, "v": self.vector}

    @property
    def outputs(self) -> dict[str, Stream]:
        """The sums."""
        bits = sum_bits(self.high, self.image.range[1] + self.vector.range[1])
        return {"m": replace(self.image, bits=bits, finn_range=None)}

    @property
    def latency(self) -> int:
        """Cycles from a word of the image to its sums. The vector must have been complete one cycle earlier."""
        return LATENCY

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """See `HardwareNode`."""
        return joined(reads, self.outputs["m"].words).later(self.latency)

    def price(self) -> Price:
        """Price adders and a memory of two vectors; counted by hand.

        The memory is read in the cycle of its address, so it is in LUTs at any size.
        """
        lanes, bits = self.image.lanes, self.outputs["m"].bits
        width, depth = self.vector.width, 2 << (self.vector.words - 1).bit_length()
        banked = 0.7 * width * max(0, math.ceil(depth / 64) - 1)
        lut = lanes * (bits - 1) + 21.0 + banked
        return cost_model.in_lut_memory(lut, (width, depth), "adders, vector", instant=True)

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's elementwise addition."""
        sink = self.outputs["m"]
        return (StockNode("ElementwiseAdd_hls", stock_sum(self.image, self.vector, sink), sink, streams=2),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute images (N, elements) from images (N, elements) and vectors (N, channels)."""
        images, vectors = (np.asarray(sample, np.int64) for sample in samples)
        pixels = images.reshape(len(images), -1, self.vector.elements)
        return ((pixels + vectors[:, None]).reshape(len(images), -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Return the instance; the node has no memory files."""
        return Instance(
            self.module,
            {
                "PE": self.image.lanes,
                "FOLDS": self.vector.words,
                "PIXELS": self.image.elements // self.vector.elements,
                "S_BITS": self.image.bits,
                "V_BITS": self.vector.bits,
                "OUT_BITS": self.outputs["m"].bits,
            },
        )
