"""The product of a grouped convolution, `zc_grouped_mvau`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.accumulators import accumulator_range, accumulator_type
from zerocross.finn_flows.cost_model import Memory, Price
from zerocross.finn_flows.nodes import product
from zerocross.finn_flows.nodes.flow import Flow
from zerocross.finn_flows.nodes.node import (
    HardwareNode,
    Instance,
    NodeError,
    StockNode,
    check_folding,
    divisors,
    given,
    write_memory,
)
from zerocross.finn_flows.nodes.stream import Stream


@dataclass(frozen=True)
class GroupedProduct(HardwareNode):
    """Products of the channel groups of a window. Groups of one channel make a depthwise convolution.

    The node reads windows from a depthwise `InputGenerator` in words of groups_at_once * simd elements. The accumulators
    of a group count from 0, like those of a `Product` over the group's channels.

    Attributes:
        area: Pixels of a window.
        inputs_a_group: Input channels of a group.
        channels: Number of outputs (FINN: MH).
        groups: Number of groups; divides the channels.
        pe: Channels computed at once: all of one group, or all of several groups if `simd` is all inputs of a group.
        simd: Input channels of a group read at once.
        vectors: (height, width) of the output.
        input_bits: 1 (bipolar) to 8 (unsigned).
        weight_bits: 1 to 8, see `Product`.
        ram_style: Memory of the weights, "block" or "distributed".
        weights: Shape (channels, area, inputs_a_group), values as in `Product`; None in a plan.
    """

    word: ClassVar[str] = "product"
    module: ClassVar[str] = "zc_grouped_mvau"
    parameter_names: ClassVar[tuple[str, ...]] = ("weights",)

    area: int
    inputs_a_group: int
    channels: int
    groups: int
    pe: int = 1
    simd: int = 1
    vectors: tuple[int, ...] = ()
    input_bits: int = 1
    weight_bits: int = 1
    ram_style: str = "distributed"
    weights: np.ndarray | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_folding("channels", self.channels, self.groups)
        product.check_bits(self.input_bits, self.weight_bits)
        if self.pe % (self.channels // self.groups):
            raise NodeError(
                f"pe {self.pe} does not cover whole groups: use a multiple of {self.channels // self.groups}"
            )
        check_folding("groups", self.groups, self.groups_at_once)
        check_folding("channels of a group", self.inputs_a_group, self.simd)
        if self.groups_at_once > 1 and self.simd != self.inputs_a_group:
            raise NodeError(
                f"simd is {self.simd}, but {self.groups_at_once} groups at once need all {self.inputs_a_group} "
                "channels of a group"
            )
        if self.weights is not None:
            if self.weights.shape != (self.channels, self.area, self.inputs_a_group):
                raise NodeError(
                    f"weights have shape {self.weights.shape}, not ({self.channels}, {self.area}, "
                    f"{self.inputs_a_group})"
                )
            product.check_weights(self.weights, self.weight_bits)

    @classmethod
    def of(
        cls, weights: np.ndarray, groups: int, at_once: int, simd: int, input_bits: int = 1, **rest: object
    ) -> Self:
        """Return the product of weights (channels, pixels, channels of a group), `at_once` groups at once."""
        channels, area, inputs = weights.shape
        pe = at_once * channels // groups
        sizes = (area, inputs, channels, groups, pe, simd)
        return cls(*sizes, input_bits=input_bits, weights=weights, **rest)  # type: ignore[arg-type]

    # ---- folding

    @property
    def fan_in(self) -> int:
        """Inputs of one output."""
        return self.area * self.inputs_a_group

    @property
    def groups_at_once(self) -> int:
        """Groups computed at once."""
        return self.pe * self.groups // self.channels

    @property
    def foldings(self) -> tuple[tuple[int, int], ...]:
        """All supported pairs of PE and SIMD, smallest PE first."""
        outs = self.channels // self.groups
        slow = [(outs, simd) for simd in divisors(self.inputs_a_group)]
        return (*slow, *((outs * groups, self.inputs_a_group) for groups in divisors(self.groups)[1:]))

    def folded(self, pe: int, simd: int) -> Self:
        """Return the product with another folding."""
        return replace(self, pe=pe, simd=simd)

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return self.pe, self.simd

    # ---- streams

    @property
    def inputs(self) -> dict[str, Stream]:
        """The windows, each by group, pixel and channel."""
        shape = (*self.vectors, self.groups * self.fan_in)
        return {"s": Stream(shape, self.groups_at_once * self.simd, self.input_bits)}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One accumulator per channel and window."""
        bits = self.reach.bit_length()
        counted = accumulator_range(self.fan_in, self.input_bits, self.weight_bits)
        return {"m": Stream((*self.vectors, self.channels), self.pe, bits, finn_range=counted)}

    # ---- numbers

    @property
    def numbers(self) -> np.ndarray:
        """The weights. Raises a `NodeError` if none are attached."""
        return given(self.weights, "weights")

    @property
    def planes(self) -> np.ndarray:
        """The rows of -1 and +1 that are multiplied; see `Product.planes`."""
        return product.planes(self.numbers.reshape(self.channels, -1), self.weight_bits)

    @property
    def row_offsets(self) -> np.ndarray:
        """The offset of each row's accumulator, shape (channels,); see `product.row_offsets`."""
        flat = self.numbers.reshape(self.channels, -1)
        return product.row_offsets(flat, self.input_bits, self.weight_bits)

    @property
    def reach(self) -> int:
        """The largest accumulator."""
        return product.reach(self.fan_in, self.input_bits, self.weight_bits)

    @property
    def points(self) -> int:
        """Number of values that the accumulators can have."""
        return product.accumulator_points(self.fan_in, self.input_bits, self.weight_bits)

    @property
    def folds(self) -> int:
        """Words of weights, which is also the cycles per window."""
        return self.groups * self.fan_in // (self.groups_at_once * self.simd)

    @property
    def memory(self) -> Memory:
        """Width in bits and depth in words of the weight memory.

        The first plane of several, which is constant, is not part of it: synthesis keeps it once.
        """
        return self.pe * self.weight_bits * self.simd, self.folds

    def parameters(self) -> dict[str, tuple[np.ndarray, str]]:
        """See `HardwareNode`."""
        return {"weights": (self.numbers.astype(np.float32), product.weight_type(self.weight_bits))}

    def operation_counts(self) -> dict[str, int]:
        """See `HardwareNode`."""
        weights = self.channels * self.fan_in
        return product.product_counts(weights, self.vectors, self.input_bits, self.weight_bits)

    def with_parameters(self, parameters: dict[str, np.ndarray]) -> Self:
        """See `HardwareNode`."""
        return replace(self, weights=parameters["weights"].astype(np.int16))

    # ---- timing

    @property
    def interval(self) -> int:
        """Cycles from one image to the next."""
        return math.prod(self.vectors) * self.folds

    @property
    def latency(self) -> int:
        """Cycles from a group's last word to its output word."""
        depth = grouped_depth(self.simd, self.input_bits)
        return depth + product.planes_depth(self.weight_bits, offsets=False)

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """The node computes as words arrive: a pixel's first output follows the first group's last word."""
        flow = reads[0].worked(self.folds, 0, self.channels // self.pe - 1)
        return flow.later(self.latency)

    # ---- price and FINN

    def price(self) -> Price:
        """See `grouped_price`."""
        widths = (self.input_bits, self.weight_bits, self.ram_style)
        return grouped_price(self.fan_in, self.pe, self.folds, self.simd, *widths)

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's VVAU, which exists for groups of one channel only; for larger groups it is a hypothetical node."""
        accumulator = accumulator_type(self.fan_in, self.input_bits, self.weight_bits)
        attributes = (
            ("PE", self.pe),
            ("SIMD", self.simd),
            ("Dim", self.vectors or (1, 1)),
            ("Channels", self.channels),
            ("Kernel", (self.area, self.inputs_a_group)),
            ("inputDataType", "BIPOLAR" if self.input_bits == 1 else f"UINT{self.input_bits}"),
            ("weightDataType", f"INT{self.weight_bits}" if self.weight_bits > 1 else "BIPOLAR"),
            ("outputDataType", accumulator),
            ("accDataType", accumulator),
            ("noActivation", 1),
        )
        return (StockNode("VVAU_hls", attributes, self.outputs["m"], "weights"),)

    # ---- reference and hardware

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute accumulators (N, elements) from windows (N, elements)."""
        at_once, parts = self.groups_at_once, self.inputs_a_group // self.simd
        x = np.asarray(samples[0], np.int64)
        x = x.reshape(-1, self.groups // at_once, parts, self.area, at_once, self.simd)
        x = x.transpose(0, 1, 4, 3, 2, 5).reshape(len(x), self.groups, -1)
        if self.input_bits == 1 and self.weight_bits > 1:
            x = 2 * x - 1
        weights = self.numbers.astype(np.int64).reshape(self.groups, -1, self.fan_in)
        sums = np.einsum("ngk,gok->ngo", x, weights).reshape(len(x), -1) + self.row_offsets
        return (sums.reshape(len(samples[0]), -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write the weights."""
        at_once = self.groups_at_once
        shape = (self.groups // at_once, at_once, -1, self.area, self.inputs_a_group // self.simd, self.simd)
        words = self.planes.reshape(shape).transpose(0, 4, 3, 1, 2, 5) > 0
        write_memory(folder / f"{prefix}weights.mem", words.reshape(self.folds, -1))
        return Instance(
            self.module,
            {
                "GROUPS": self.groups,
                "PE": at_once,
                "INS": self.simd,
                "OUTS": self.channels // self.groups,
                "AREA": self.fan_in // self.simd,
                "IN_BITS": self.input_bits,
                "WEIGHT_BITS": self.weight_bits,
                "OUT_BITS": self.outputs["m"].bits,
                "WEIGHTS": f"{prefix}weights.mem",
                "RAM_STYLE": self.ram_style,
            },
        )


def grouped_depth(simd: int, input_bits: int) -> int:
    """Return the pipeline depth of a grouped product: reading, terms, their sum or popcount, accumulators."""
    if input_bits > 1 or simd == 1:
        return 3 + (simd - 1).bit_length()
    return 4 + (math.ceil(simd / 6) - 1).bit_length()


def grouped_price(
    fan_in: int,
    lanes: int,
    words: int,
    simd: int,
    input_bits: int = 1,
    weight_bits: int = 1,
    style: str = "distributed",
) -> Price:
    """Price the product of a grouped convolution that computes all rows of a group at once.

    A lane has a term for each input bit, their sum and an accumulator. Only the control is fitted.

    Args:
        fan_in: Inputs of one output.
        lanes: Outputs computed at once.
        words: Words of the weight memory, one for each word of a window.
        simd: Inputs of an output read at once.
        input_bits: 1, or more for unsigned integers.
        weight_bits: 1 for -1 and +1, or more for integers.
        style: Memory of the weights, "block" or "distributed".
    """
    count = weight_bits  # synthesis keeps the first weight plane of all lanes once, see `product_price`
    bits = (fan_in * (2**input_bits - 1)).bit_length()
    lut = cost_model.CONSTANTS.grouped_base + float(
        count * lanes * (simd * input_bits + cost_model.adders(simd, input_bits) + bits)
    )
    if weight_bits > 1:
        lut += lanes * (bits + cost_model.adders(weight_bits, bits + 1, 1))
    memory = (count * lanes * simd, words)
    if words == 1:
        return Price(lut, implementation="constant weights")
    if style == "block":
        return cost_model.in_block_ram(lut, memory, product.WEIGHTS_IN_BLOCK_RAM)
    return Price(lut + cost_model.weights_in_luts(*memory), implementation="weights in LUTs", roms=(memory,))
