"""Some bits of each level, `zc_bit_planes`: wires."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.node import (
    HardwareNode,
    Instance,
    NodeError,
    StockNode,
    check_folding,
    write_memory,
)
from zerocross.finn_flows.nodes.stream import Stream, to_bits

_PLACE_BITS = 8
"""Bits of the number of a bit in the memory file."""


@dataclass(frozen=True)
class BitPlanes(HardwareNode):
    """Bits of each level as channels of their own: channel c * len(planes) + i is bit planes[i] of channel c.

    Attributes:
        image: Levels, with their channels and lanes.
        planes: Bits that are passed on, by their numbers; 0 is the lowest.
    """

    word: ClassVar[str] = "planes"
    module: ClassVar[str] = "zc_bit_planes"

    image: Stream
    planes: tuple[int, ...]

    def __post_init__(self) -> None:
        check_folding("channels", self.image.shape[-1], self.image.lanes)
        if self.image.signed:
            raise NodeError("bit planes are read from levels of 0 or more")
        if not self.planes or min(self.planes) < 0 or max(self.planes) >= self.image.bits:
            raise NodeError(f"levels of {self.image.bits} bits do not have the bits {list(self.planes)}")

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return self.image.lanes, 1

    @property
    def inputs(self) -> dict[str, Stream]:
        """The levels."""
        return {"s": self.image}

    @property
    def outputs(self) -> dict[str, Stream]:
        """Their bits."""
        count = len(self.planes)
        shape = (*self.image.shape[:-1], self.image.shape[-1] * count)
        return {"m": Stream(shape, self.image.lanes * count, 1)}

    @property
    def latency(self) -> int:
        """0: a word leaves in the cycle in which it arrives."""
        return 0

    def price(self) -> Price:
        """Wires cost nothing."""
        return Price(0.0, implementation="wires")

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's thresholding node to levels of as many bits."""
        levels = 1 << len(self.planes)
        attributes = (
            ("PE", self.image.lanes),
            ("NumChannels", self.image.shape[-1]),
            ("numSteps", levels - 1),
            ("inputDataType", self.image.stock_datatype),
            ("weightDataType", self.image.stock_datatype),
            ("outputDataType", f"UINT{len(self.planes)}"),
            ("numInputVectors", self.image.stock_shape[:-1]),
        )
        return (StockNode("Thresholding_rtl", attributes, self.outputs["m"], "thresholds"),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return bits (N, elements) of levels (N, elements)."""
        levels = np.asarray(samples[0], np.int64)
        return ((levels[:, :, None] >> np.array(self.planes) & 1).reshape(len(levels), -1),)

    def slim(self) -> "BitPlanes":
        """See `HardwareNode`: one bit."""
        return BitPlanes(self.image.slim(), (0,))

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write the numbers of the bits."""
        write_memory(folder / f"{prefix}planes.mem", to_bits(np.array(self.planes)[None], _PLACE_BITS))
        return Instance(
            self.module,
            {
                "PE": self.image.lanes,
                "IN_BITS": self.image.bits,
                "BITS": len(self.planes),
                "PLANES": f"{prefix}planes.mem",
            },
        )
