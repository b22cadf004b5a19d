"""A line of accumulators per channel, for the label select: multiplication and addition of constants, `zc_bias`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from zerocross.finn_flows import cost_model, network
from zerocross.finn_flows.accumulators import integer_type
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.add import stock_sum
from zerocross.finn_flows.nodes.node import (
    HardwareNode,
    Instance,
    NodeError,
    StockNode,
    check_folding,
    given,
    write_memory,
)
from zerocross.finn_flows.nodes.stream import Stream, to_bits


@dataclass(frozen=True)
class Bias(HardwareNode):
    """Multiplies accumulators by factors and adds biases: (factor * accumulator << shift) + bias, signed.

    - The shift allows biases that are finer than a step of the accumulators. One step of a popcount is 2 in the network's
      units, and a bias of a fraction of a step decides between equal accumulators.
    - Factors allow a scale for each class. Without factors there is no multiplier.

    Attributes:
        source: Accumulators, with their channels, lanes (PE) and bits.
        shift: Left shift of the accumulators, 0 or more.
        low: Least bias.
        high: Largest bias.
        least: Least factor.
        most: Largest factor; without factors, both are 1.
        biases: Integers within low..high, shape (channels,); None in a plan.
        factors: Integers within least..most, shape (channels,); None in a plan and without factors.
    """

    word: ClassVar[str] = "bias"
    module: ClassVar[str] = "zc_bias"
    parameter_names: ClassVar[tuple[str, ...]] = ("biases", "factors")

    source: Stream
    shift: int
    low: int
    high: int
    least: int = 1
    most: int = 1
    biases: np.ndarray | None = field(default=None, compare=False, repr=False)
    factors: np.ndarray | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_folding("channels", self.channels, self.source.lanes)
        if self.shift < 0 or self.low > self.high or self.least > self.most:
            raise NodeError(
                f"biases of {self.low} to {self.high}, factors of {self.least} to {self.most} and a shift of {self.shift} "
                "are not possible: low must not exceed high, least not most, and shift must be 0 or more"
            )
        for what, numbers, low, high in (
            ("biases", self.biases, self.low, self.high),
            ("factors", self.factors, self.least, self.most),
        ):
            if numbers is not None and numbers.shape != (self.channels,):
                raise NodeError(f"{what} have shape {numbers.shape}, not ({self.channels},)")
            if numbers is not None and (numbers.min() < low or numbers.max() > high):
                raise NodeError(f"{what} are out of the range {low} to {high}")

    @property
    def channels(self) -> int:
        """Values per vector, both in and out."""
        return self.source.shape[-1]

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return self.source.lanes, 1

    @property
    def numbers(self) -> np.ndarray:
        """The biases. Raises a `NodeError` if none are attached."""
        return given(self.biases, "biases")

    @property
    def has_factors(self) -> bool:
        """Whether the node multiplies."""
        return (self.least, self.most) != (1, 1)

    @property
    def multipliers(self) -> np.ndarray | int:
        """The factors; 1 if the node does not multiply. Raises a `NodeError` if they are not attached."""
        return given(self.factors, "factors") if self.has_factors else 1

    @property
    def factor_bits(self) -> int:
        """Bits of a factor's magnitude; 0 if the node does not multiply."""
        return max(1, -self.least, self.most).bit_length() if self.has_factors else 0

    @property
    def span(self) -> tuple[int, int]:
        """The least and the largest sum."""
        return network.Bias(self.shift, self.low, self.high, self.least, self.most).span(*self.source.range)

    @property
    def inputs(self) -> dict[str, Stream]:
        """The accumulators."""
        return {"s": self.source}

    @property
    def outputs(self) -> dict[str, Stream]:
        """The sums, wide enough for all accumulators and biases."""
        least, most = self.span
        bits = 1 + max(max(most, 0).bit_length(), max(-least - 1, 0).bit_length(), 1)
        return {"m": Stream(self.source.shape, self.source.lanes, bits, signed=True)}

    @property
    def latency(self) -> int:
        """Cycles from a word to its sums."""
        return 1 + (self.factor_bits - 1).bit_length() if self.has_factors else 1

    def price(self) -> Price:
        """Price an adder per lane, the constants in LUTs, the tree of a multiplication, and word counters.

        - One LUT adds a bit of a constant that is selected among up to four words.
        - For more words, each bit of biases and factors uses a LUT, and more of them the more words there are.
        - One LUT adds two bits of the tree, whose first level also multiplies by two digits.
        - If there is only one word, the numbers are constants, and synthesis removes most of the logic: a share is left.
        """
        k, folds, lanes = cost_model.CONSTANTS, self.channels // self.source.lanes, self.source.lanes
        logic, numbers = float(self.outputs["m"].bits), (self.high - self.low).bit_length() * (folds > 4)
        if self.has_factors:
            logic, numbers = logic + k.bias_tree * self._tree, numbers + self.factor_bits
        if folds == 1:
            return Price(k.bias_base + k.bias_fixed * lanes * logic, implementation="constants")
        memory = numbers * max(1.0, k.bias_rom * folds)
        counters = (folds - 1).bit_length() * (2 if self.has_factors else 1)
        implementation = "multipliers and adders" if self.has_factors else "adders"
        return Price(k.bias_base + counters + lanes * (logic + memory), implementation=implementation)

    @property
    def _tree(self) -> int:
        """Bits of the adders that multiply with a factor."""
        terms, width, shift, tree = self.factor_bits, self.source.bits, 1, 0
        while terms > 1:
            tree += terms // 2 * (width + 1)
            terms, width, shift = (terms + 1) // 2, width + shift + 1, 2 * shift
        return tree

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's elementwise multiplication and addition of constants. The shift costs nothing in either implementation."""
        sink = self.outputs["m"]
        biases = self._constants(self.low, self.high)
        if not self.has_factors:
            attributes = (*stock_sum(self.source, biases, sink), ("rhs_style", "const"))
            return (StockNode("ElementwiseAdd_hls", attributes, sink, "biases"),)
        scaling = stock_sum(self.source, self._constants(self.least, self.most), sink)
        adding = stock_sum(sink, biases, sink)
        return (
            StockNode("ElementwiseMul_hls", (*scaling, ("rhs_style", "const")), sink, "factors"),
            StockNode("ElementwiseAdd_hls", (*adding, ("rhs_style", "const")), sink, "biases"),
        )

    def _constants(self, low: int, high: int) -> Stream:
        return Stream((self.channels,), self.source.lanes, self.outputs["m"].bits, finn_range=(low, high))

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute sums (N, elements) from accumulators (N, elements)."""
        biases, x = self.numbers, np.asarray(samples[0], np.int64).reshape(-1, self.channels)
        return (((x * self.multipliers << self.shift) + biases).reshape(len(samples[0]), -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write the biases, and the factors if there are any, one word for each word of accumulators."""
        bits, lanes = self.outputs["m"].bits, self.source.lanes
        biases, factors, width = self.numbers, dict[str, int | str](), bits
        if self.has_factors:
            own, width = np.asarray(self.multipliers), bits + 1
            if self.source.signed:  # the hardware reads x + 2**(bits - 1)
                biases = biases - (own << (self.source.bits - 1 + self.shift))
            biases = biases & ((1 << bits) - 1) | ((own < 0).astype(np.int64) << bits)
            words = to_bits(np.abs(own).reshape(-1, lanes), self.factor_bits)
            write_memory(folder / f"{prefix}factors.mem", words)
            factors = {"FACTOR_BITS": self.factor_bits, "FACTORS": f"{prefix}factors.mem"}
        write_memory(folder / f"{prefix}biases.mem", to_bits(biases.reshape(-1, lanes), width))
        return Instance(
            self.module,
            {
                "CHANNELS": self.channels,
                "PE": lanes,
                "IN_BITS": self.source.bits,
                "SIGNED": int(self.source.signed),
                "SHIFT": self.shift,
                "OUT_BITS": bits,
                "BIASES": f"{prefix}biases.mem",
                **factors,
            },
        )

    def parameters(self) -> dict[str, tuple[np.ndarray, str]]:
        """See `HardwareNode`. Biases beyond float32's 24 bits are two rows of summands."""
        rounded = self.numbers.astype(np.float32)
        rest = self.numbers - rounded.astype(np.int64)
        biases = np.stack([rounded, rest.astype(np.float32)]) if rest.any() else rounded
        factors = np.broadcast_to(self.multipliers, (self.channels,)).astype(np.float32)
        return {
            "biases": (biases, integer_type(self.low, self.high)),
            "factors": (factors, integer_type(self.least, self.most)),
        }

    def with_parameters(self, parameters: dict[str, np.ndarray]) -> Self:
        """See `HardwareNode`."""
        biases = parameters["biases"].astype(np.int64).reshape(-1, self.channels).sum(axis=0)
        factors = parameters["factors"].astype(np.int64) if self.has_factors else None
        return replace(self, biases=biases, factors=factors)
