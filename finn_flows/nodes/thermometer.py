"""The node that compares levels, such as the bytes of an input, with several thresholds: `zc_thermometer`."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.accumulators import integer_type
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.crossing_site import rom
from zerocross.finn_flows.nodes.node import (
    HardwareNode,
    Instance,
    NodeError,
    StockNode,
    check_folding,
    write_memory,
)
from zerocross.finn_flows.nodes.stream import Stream, to_bits

IN_LUTS, IN_BLOCK_RAM = "thresholds in LUTs", "thresholds in block RAM"


@dataclass(frozen=True)
class Thermometer(HardwareNode):
    """Bits of each level: bit i of channel c is 1 where the level is at least threshold c * bits + i.

    The thresholds are part of the record: they are known before a training, and the price depends on them. Bits that are
    constant cost nothing if they have a lane for themselves.

    Attributes:
        image: Levels, with their channels and lanes.
        thresholds: Threshold of each bit, 0 or more; a level is never as large as one above its range.
        bits: Bits of a level's thermometer.
        implementation: "thresholds in LUTs" or "thresholds in block RAM".
    """

    word: ClassVar[str] = "thermometer"
    module: ClassVar[str] = "zc_thermometer"

    image: Stream
    thresholds: tuple[int, ...]
    bits: int
    implementation: str = IN_LUTS

    def __post_init__(self) -> None:
        check_folding("channels", self.image.shape[-1], self.image.lanes)
        if self.bits < 1 or len(self.thresholds) != self.image.shape[-1] * self.bits:
            raise NodeError(
                f"{len(self.thresholds)} thresholds do not fit {self.image.shape[-1]} channels of {self.bits} bits"
            )
        if min(self.thresholds) < 0 or self.image.signed:
            raise NodeError("a thermometer compares levels and thresholds of 0 or more")
        if self.implementation not in (IN_LUTS, IN_BLOCK_RAM):
            raise NodeError(
                f"unknown implementation {self.implementation!r} of a thermometer: use {IN_LUTS!r} or {IN_BLOCK_RAM!r}"
            )

    def cheapest(self) -> Self:
        """Return the node with its cheapest implementation; a block RAM counts as in a crossing site."""
        return min(
            (replace(self, implementation=each) for each in (IN_LUTS, IN_BLOCK_RAM)),
            key=lambda node: node.price().lut + cost_model.CONSTANTS.bram18_in_luts * node.price().bram18,
        )

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
        """One bit for each threshold."""
        shape, lanes = (*self.image.shape[:-1], len(self.thresholds)), self.image.lanes * self.bits
        return {"m": Stream(shape, lanes, 1)}

    @property
    def latency(self) -> int:
        """Cycles from a word to its bits."""
        return 2 if self.implementation == IN_BLOCK_RAM else 1

    @cached_property
    def words(self) -> np.ndarray:
        """Thresholds by word of a pixel and bit of a word, (words, lanes * bits), without the lowest `shift` bits.

        If all words of a pixel have the same thresholds, there is one word.
        """
        words = self._clipped >> self.shift
        return words[:1] if (words == words[0]).all() else words

    @cached_property
    def shift(self) -> int:
        """Number of lowest bits that are 0 in all thresholds and decide no comparison; at least one bit remains."""
        together = int(np.bitwise_or.reduce(self._clipped, axis=None))
        return min((together & -together).bit_length() - 1 if together else 0, self.image.bits - 1)

    @property
    def _clipped(self) -> np.ndarray:
        most = 1 << self.image.bits
        return np.minimum(self.thresholds, most).reshape(-1, self.image.lanes * self.bits)

    @property
    def threshold_bits(self) -> int:
        """Bits of a threshold in hardware."""
        return max(1, int(self.words.max()).bit_length())

    def price(self) -> Price:
        """Price the comparisons, the thresholds, and the counter of words that selects them.

        - A bit that is constant in all words costs nothing.
        - A threshold that is equal in all words is a constant: a function of the levels' bits above its lowest 1. If that is
          one bit, such as that of 128, it is a wire.
        - Other thresholds are in LUTs, where synthesis merges them with the comparisons as in a crossing site, or in block
          RAM, where a comparison is a carry chain.
        """
        k, words, width = cost_model.CONSTANTS, self.words, self.image.bits - self.shift
        folds, lut, rows = len(words), k.thermometer_base, 0.0
        for column in words.T:
            if (column == 0).all() or (column >> width > 0).all():
                continue
            if (column == column[0]).all():
                used = width - ((int(column[0]) & -int(column[0])).bit_length() - 1)
                lut += 0 if used == 1 else 1 if used <= 6 else 2
                continue
            planes = column[:, None] >> np.arange(self.threshold_bits) & 1
            varying = int((planes != planes[0]).any(axis=0).sum())
            compare = k.compare if self.implementation == IN_LUTS else k.thermometer_compare
            lut, rows = lut + compare * width, rows + varying * rom(folds)
        if not rows:
            return Price(lut, implementation="constants", kind="other")
        lut += (folds - 1).bit_length()
        if self.implementation == IN_LUTS:
            return Price(lut + rows, implementation=IN_LUTS, kind="crossings")
        memory = words.shape[1] * self.threshold_bits, folds
        return cost_model.in_block_ram(lut, memory, IN_BLOCK_RAM, "crossings")

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's thresholding node with one threshold for each bit, as if every channel came once for each of its bits."""
        sink = self.outputs["m"]
        attributes = (
            ("PE", sink.lanes),
            ("NumChannels", sink.shape[-1]),
            ("numSteps", 1),
            ("inputDataType", self.image.stock_datatype),
            ("weightDataType", integer_type(0, 1 << self.image.bits)),
            ("outputDataType", sink.datatype),
            ("numInputVectors", self.image.stock_shape[:-1]),
        )
        return (StockNode("Thresholding_rtl", attributes, sink, "thresholds"),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute bits (N, elements) from levels (N, elements)."""
        levels = np.asarray(samples[0], np.int64).reshape(-1, self.image.shape[-1])
        passed = levels.repeat(self.bits, axis=-1) >= np.array(self.thresholds)
        return (passed.astype(np.int64).reshape(len(samples[0]), -1),)

    def operation_counts(self) -> dict[str, int]:
        """See `HardwareNode`."""
        return {f"param_threshold_{self.image.bits}b": len(self.thresholds)}

    def slim(self) -> "Thermometer":
        """See `HardwareNode`: one lane of one bit."""
        image = self.image.slim()
        return Thermometer(image, (1,) * image.shape[-1], 1, self.implementation)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write the thresholds."""
        write_memory(folder / f"{prefix}thresholds.mem", to_bits(self.words, self.threshold_bits))
        return Instance(
            self.module,
            {
                "FOLDS": len(self.words),
                "PE": self.image.lanes,
                "IN_BITS": self.image.bits,
                "BITS": self.bits,
                "T_BITS": self.threshold_bits,
                "SHIFT": self.shift,
                "THRESHOLDS": f"{prefix}thresholds.mem",
                "RAM_STYLE": "block" if self.implementation == IN_BLOCK_RAM else "distributed",
            },
        )
