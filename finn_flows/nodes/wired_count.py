"""A sparse layer whose sums are not merged with an activation: the popcounts of its channels, such as votes for classes."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.node import Instance, StockNode
from zerocross.finn_flows.nodes.sparse_weights import (
    SparseNode,
    SparseWeights,
    module_around,
)
from zerocross.finn_flows.nodes.stream import Stream

_FIRST = (0, 0, 2, 2, 2, 3, 3, 3)
"""Tables that count up to seven bits."""

_MORE = (0, 1, 2, 4, 4, 3)
"""Tables that add up to five bits to a number."""


def counted_by_chains(bits: int) -> int:
    """Return the LUTs of `zc_chain_popcount`: three for seven bits of each group, three for six more, and adders."""
    if bits <= 7:
        return _FIRST[bits]
    groups = math.ceil(bits / 13)
    full, part = divmod(bits - 7 * groups, 6)
    lut = 3 * (groups + full) + _MORE[part]
    most = ([13] * full + [7 + part] + [7] * groups)[:groups]  # the largest values to add
    while len(most) > 1:
        lut += sum(max(pair).bit_length() for pair in zip(most[::2], most[1::2], strict=False))
        most = [sum(most[place : place + 2]) for place in range(0, len(most), 2)]
    return lut


@dataclass(frozen=True)
class WiredCount(SparseNode):
    """Counts how many of its few inputs agree with their signs, in each channel; all channels at once, from one word.

    Its output is the point of the accumulator's grid, from 0 (see `SparseWeights`): the number u of agreeing inputs if all
    channels read as many, else 2 u + fan_in - inputs of the channel, so that channels can be compared. Constant ones among
    the counted bits add the difference.

    Attributes:
        features: Number of inputs.
        channels: Number of outputs.
        fan_in: Most inputs that a channel reads.
        exact: Whether every channel reads `fan_in` inputs.
        weights: -1, 0 or +1, shape (channels, features); None in a plan.
    """

    word: ClassVar[str] = "count"
    module: ClassVar[str] = "zc_tally"  # inside a generated module
    parameter_names: ClassVar[tuple[str, ...]] = ("weights",)
    vectors: ClassVar[tuple[int, ...]] = ()

    features: int
    channels: int
    fan_in: int
    exact: bool
    weights: np.ndarray | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.check_weights()

    @classmethod
    def of(cls, weights: np.ndarray) -> Self:
        """Return the node of given weights, (channels, features)."""
        sparse = SparseWeights.of(weights)
        return cls(weights.shape[1], len(weights), sparse.fan_in, sparse.exact, weights)

    @property
    def is_popcount(self) -> bool:
        """Whether one count is two units of the network's sum."""
        return self.exact

    @property
    def outputs(self) -> dict[str, Stream]:
        """One count for each channel, in one word."""
        bits = (self.points - 1).bit_length()
        reach = -self.reach, self.reach
        return {"m": Stream((self.channels,), self.channels, bits, finn_range=reach)}

    @property
    def latency(self) -> int:
        """Cycles from a word to its counts."""
        return 1 if self.fan_in <= 7 else 2 + (-(-self.fan_in // 13) - 1).bit_length()

    def network_values(self, points: np.ndarray) -> np.ndarray:
        """Convert outputs (N, channels) to the sums of the integer network."""
        return (2 * points if self.exact else points) - self.fan_in

    def price(self) -> Price:
        """Price the popcounts, each of `fan_in` inputs."""
        k = cost_model.CONSTANTS
        lut = k.tally_base + k.tally_count * self.channels * counted_by_chains(self.fan_in)
        return Price(lut, implementation="popcounts", kind="count")

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's MVAU of ternary weights, fully unrolled."""
        return (self.unrolled(),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute points (N, channels) from bits (N, features)."""
        return (self.sparse.count(samples[0]),)

    def slim(self) -> "WiredCount":
        """See `HardwareNode`: one channel of one input, with as many stages."""
        return WiredCount(1, 1, self.fan_in, False, np.ones((1, 1), np.int8))

    def parameters(self) -> dict[str, tuple[np.ndarray, str]]:
        """See `HardwareNode`."""
        return self.sparse.parameters()

    def with_parameters(self, parameters: dict[str, np.ndarray]) -> Self:
        """See `HardwareNode`."""
        return replace(self, weights=parameters["weights"].astype(np.int8))

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write a module with the wires of each channel. Nodes of equal weights share it."""
        lines = [
            f"  wire [{self.features - 1}:0] x = s_tdata;",
            f"  wire [{self.channels * self.fan_in - 1}:0] counted;",
        ]
        missing = self.fan_in - self.sparse.counts
        for channel, spare in enumerate(missing.tolist()):
            names = self.sparse.names(channel)
            names += ["1'b1"] * (spare // 2) + ["1'b0"] * (spare - spare // 2)
            bits = f"counted[{channel * self.fan_in}+:{self.fan_in}]"
            lines.append(f"  assign {bits} = {{{', '.join(reversed(names))}}};")
        tally = {"CHANNELS": self.channels, "N": self.fan_in, "OUT_BITS": self.outputs["m"].bits}
        given_by = [f".{name}({value})" for name, value in tally.items()]
        if not self.exact:
            lowest = sum(int(spare & 1) << channel for channel, spare in enumerate(missing.tolist()))
            given_by += [".PLACE(1)", f".LOWEST({self.channels}'h{lowest:x})"]
        about = (
            f"{self.channels} channels of {self.features} inputs. Each channel counts the ones among a few inputs x[i] or "
            "their inverses ~x[i]. Constants make up for inputs that it has less than others."
        )
        return module_around(
            self, folder, "zc_count", about, lines, f"zc_tally #({', '.join(given_by)})", "counted"
        )
