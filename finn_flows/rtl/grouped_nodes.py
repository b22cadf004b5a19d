"""The product of a convolution whose channels are in groups, each with weights of its own."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zerocross.finn_flows import schedule
from zerocross.finn_flows.rtl.nodes import Instance, NodeError, Product, Stream, check_folding, write_memory


@dataclass(frozen=True)
class GroupedProduct:
    """Products of the groups of a window's channels, `zc_grouped_mvau`; of groups of one channel, a depthwise convolution.

    It reads a window as a depthwise `InputGenerator` gives it whose `simd` is this node's pe * simd. Its accumulators
    count from 0 as those of a `Product` of a group's channels do, which is also where `row_offsets` and `reach` come from.

    Attributes:
        weights: -1 or +1, or integers of several bits, (channels, pixels of a window, channels of a group).
        groups: how many; divides the channels.
        pe: groups computed at once, with all their rows.
        simd: channels of a group taken at once: all of them where pe > 1.
        input_bits: 1 (bipolar) to 8 (unsigned).
        weight_bits: as of `Product`.
        ram_style: "block" or "distributed", where the weights are kept.
    """

    weights: np.ndarray
    groups: int
    pe: int
    simd: int
    input_bits: int = 1
    weight_bits: int = 1
    ram_style: str = "distributed"

    def __post_init__(self) -> None:
        check_folding("channels", self.channels, self.groups)
        check_folding("groups", self.groups, self.pe)
        check_folding("channels of a group", self.weights.shape[2], self.simd)
        if self.pe > 1 and self.simd != self.weights.shape[2]:
            raise NodeError(
                f"{self.pe} groups at once take all {self.weights.shape[2]} channels of each, not {self.simd}"
            )
        assert self.rows.channels == self.channels  # whose numbers are checked as it is made

    @property
    def channels(self) -> int:
        """Values out."""
        return self.weights.shape[0]

    @property
    def area(self) -> int:
        """Words of a group's window."""
        return math.prod(self.weights.shape[1:]) // self.simd

    @property
    def rows(self) -> Product:
        """The product of one window, which every group has with rows of its own."""
        flat = self.weights.reshape(self.channels, -1)
        return Product(flat, 1, 1, self.input_bits, weight_bits=self.weight_bits)

    @property
    def row_offsets(self) -> np.ndarray:
        """How much too high each row is, shape (channels,)."""
        return self.rows.row_offsets

    @property
    def reach(self) -> int:
        """The largest accumulator."""
        return self.rows.reach

    @property
    def memory(self) -> tuple[int, int]:
        """Bits of a word and words of the memory of weights."""
        return self.pe * len(self.rows.planes) // self.groups * self.simd, self.interval

    @property
    def inputs(self) -> dict[str, Stream]:
        """One window, by group, pixel and channel."""
        elements = self.groups * math.prod(self.weights.shape[1:])
        return {"s": Stream(elements, self.pe * self.simd, self.input_bits)}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One accumulator a channel."""
        lanes = self.pe * self.channels // self.groups
        return {"m": Stream(self.channels, lanes, self.reach.bit_length())}

    @property
    def interval(self) -> int:
        """Cycles from one window to the next."""
        return self.inputs["s"].words

    @property
    def latency(self) -> int:
        """Cycles from a group's last word to its output word."""
        depth = schedule.grouped_depth(self.simd, self.input_bits)
        return depth + schedule.planes_depth(self.weight_bits, False)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute accumulators (N, channels) from windows (N, elements)."""
        _, pixels, channels = self.weights.shape
        parts = channels // self.simd  # where pe is 1
        x = np.asarray(samples[0], np.int64)
        x = x.reshape(len(x), self.groups // self.pe, parts, pixels, self.pe, self.simd)
        x = x.transpose(0, 1, 4, 3, 2, 5).reshape(len(x), self.groups, -1)
        if self.input_bits == 1 and self.weight_bits > 1:
            x = 2 * x - 1
        weights = self.weights.astype(np.int64).reshape(self.groups, -1, pixels * channels)
        return (np.einsum("ngk,gok->ngo", x, weights).reshape(len(x), -1) + self.row_offsets,)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write the weights."""
        _, pixels, channels = self.weights.shape
        shape = (self.groups // self.pe, self.pe, -1, pixels, channels // self.simd, self.simd)
        words = self.rows.planes.reshape(shape).transpose(0, 4, 3, 1, 2, 5) > 0
        write_memory(folder / f"{prefix}weights.mem", words.reshape(self.interval, -1))
        return Instance(
            "zc_grouped_mvau",
            {
                "GROUPS": self.groups,
                "PE": self.pe,
                "INS": self.simd,
                "OUTS": self.channels // self.groups,
                "AREA": self.area,
                "IN_BITS": self.input_bits,
                "WEIGHT_BITS": self.weight_bits,
                "OUT_BITS": self.outputs["m"].bits,
                "WEIGHTS": f"{prefix}weights.mem",
                "RAM_STYLE": self.ram_style,
            },
        )
