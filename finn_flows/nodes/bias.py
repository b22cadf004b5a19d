"""Addition of a constant per channel to the accumulators that a label select reads, `zc_bias`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from zerocross.finn_flows.accumulators import integer_type
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.add import stock_sum
from zerocross.finn_flows.nodes.node import (
    HardwareNode,
    Instance,
    NodeError,
    StockNode,
    check_exact,
    check_folding,
    given,
    write_memory,
)
from zerocross.finn_flows.nodes.stream import Stream, to_bits


@dataclass(frozen=True)
class Bias(HardwareNode):
    """Adds biases to accumulators: (accumulator << shift) + bias, signed.

    The shift allows biases that are finer than a step of the accumulators. One step of a popcount is 2 in the network's
    units, and a bias of a fraction of a step decides between equal accumulators.

    Attributes:
        source: Accumulators, with their channels, lanes (PE) and bits.
        shift: Left shift of the accumulators, 0 or more.
        low: Least bias.
        high: Largest bias.
        biases: Integers within low..high, shape (channels,); None in a plan.
    """

    word: ClassVar[str] = "bias"
    module: ClassVar[str] = "zc_bias"
    parameter_names: ClassVar[tuple[str, ...]] = ("biases",)

    source: Stream
    shift: int
    low: int
    high: int
    biases: np.ndarray | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_folding("channels", self.channels, self.source.lanes)
        if self.shift < 0 or self.low > self.high:
            raise NodeError(
                f"biases of {self.low} to {self.high} and a shift of {self.shift} are not possible: "
                "low must not exceed high, and shift must be 0 or more"
            )
        if self.biases is not None:
            if self.biases.shape != (self.channels,):
                raise NodeError(f"biases have shape {self.biases.shape}, not ({self.channels},)")
            if self.biases.min() < self.low or self.biases.max() > self.high:
                raise NodeError(f"biases are out of the range {self.low} to {self.high}")

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
    def span(self) -> tuple[int, int]:
        """The least and the largest sum."""
        low, high = self.source.range
        return (low << self.shift) + self.low, (high << self.shift) + self.high

    @property
    def inputs(self) -> dict[str, Stream]:
        """The accumulators."""
        return {"s": self.source}

    @property
    def outputs(self) -> dict[str, Stream]:
        """The sums, wide enough for all accumulators and biases."""
        least, most = self.span
        bits = 1 + max(most.bit_length(), (-least - 1).bit_length() if least < 0 else 0, 1)
        return {"m": Stream(self.source.shape, self.source.lanes, bits, signed=True)}

    @property
    def latency(self) -> int:
        """Cycles from a word to its sums."""
        return 1

    def price(self) -> Price:
        """Price an adder per lane, the biases in LUTs, and a word counter; counted by hand.

        One LUT adds a bit of a constant that is selected among up to four words. For more words, each bit of the constants
        uses a further LUT per 64 words.
        """
        folds, lanes, bits = self.channels // self.source.lanes, self.source.lanes, self.outputs["m"].bits
        constants = lanes * (self.high - self.low).bit_length()
        memory = constants * max(0, -(-folds // 64) if folds > 4 else 0)
        counter = (folds - 1).bit_length() * (folds > 1)
        return Price(lanes * bits + memory + counter + 3.0, implementation="adders")

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's elementwise addition of constants. The shift costs nothing in either implementation."""
        sink = self.outputs["m"]
        constants = Stream((self.channels,), self.source.lanes, sink.bits, finn_range=(self.low, self.high))
        attributes = (*stock_sum(self.source, constants, sink), ("rhs_style", "const"))
        return (StockNode("ElementwiseAdd_hls", attributes, sink, "biases"),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute sums (N, elements) from accumulators (N, elements)."""
        x = np.asarray(samples[0], np.int64).reshape(-1, self.channels)
        return (((x << self.shift) + self.numbers).reshape(len(samples[0]), -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write the biases, one word for each word of accumulators."""
        bits = self.outputs["m"].bits
        words = self.numbers.reshape(-1, self.source.lanes)
        write_memory(folder / f"{prefix}biases.mem", to_bits(words, bits))
        return Instance(
            self.module,
            {
                "CHANNELS": self.channels,
                "PE": self.source.lanes,
                "IN_BITS": self.source.bits,
                "SIGNED": int(self.source.signed),
                "SHIFT": self.shift,
                "OUT_BITS": bits,
                "BIASES": f"{prefix}biases.mem",
            },
        )

    def parameters(self) -> dict[str, tuple[np.ndarray, str]]:
        """See `HardwareNode`."""
        check_exact("sums", max(map(abs, self.span)))
        return {"biases": (self.numbers.astype(np.float32), integer_type(self.low, self.high))}

    def with_parameters(self, parameters: dict[str, np.ndarray]) -> Self:
        """See `HardwareNode`."""
        return replace(self, biases=parameters["biases"].astype(np.int64))
