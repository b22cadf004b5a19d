"""What the nodes of sparse layers share: their shape, and their weights of -1, 0 and +1, few of which are not 0."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from textwrap import fill
from typing import Self

import numpy as np

from zerocross.finn_flows.accumulators import integer_type
from zerocross.finn_flows.finn_patches import write_source
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, NodeError, StockNode, given
from zerocross.finn_flows.nodes.stream import Stream


@dataclass(frozen=True)
class SparseWeights:
    """The weights of a sparse layer.

    An input agrees with its weight if it is 1 and the weight +1, or 0 and -1. The number u of agreeing inputs stands for
    the network's sum 2 u - (inputs of the channel). Its *point* on the grid of all channels is u if every channel reads
    `fan_in` inputs, else 2 u + fan_in - (inputs of the channel).

    Attributes:
        weights: Shape (channels, features).
        fan_in: Most inputs that a channel reads.
        exact: Whether every channel reads `fan_in` inputs.
    """

    weights: np.ndarray
    fan_in: int
    exact: bool

    @classmethod
    def of(cls, weights: np.ndarray) -> Self:
        """Return the weights (channels, features) with the fan-in that they have."""
        reads = np.count_nonzero(weights, axis=1)
        return cls(weights, int(reads.max()), bool((reads == reads[0]).all()))

    @cached_property
    def counts(self) -> np.ndarray:
        """Number of inputs of each channel."""
        return np.count_nonzero(self.weights, axis=1)

    def reads(self, channel: int) -> list[tuple[int, int]]:
        """Return a channel's inputs and their signs, the first input first."""
        row = self.weights[channel]
        return [(int(place), int(row[place])) for place in np.flatnonzero(row)]

    def names(self, channel: int) -> list[str]:
        """Return the bits that a channel counts, in SystemVerilog."""
        return [f"{'~' if sign < 0 else ''}x[{place}]" for place, sign in self.reads(channel)]

    def points(self, channel: int) -> np.ndarray:
        """Return a channel's points for 0, 1, ... agreeing inputs."""
        count = int(self.counts[channel])
        agreeing = np.arange(count + 1)
        return agreeing if self.exact else 2 * agreeing + self.fan_in - count

    def count(self, bits: np.ndarray) -> np.ndarray:
        """Return the points (N, channels) of inputs (N, features) of 0 and 1."""
        signs = 2 * np.asarray(bits, np.float64) - 1  # sums of so few numbers are exact in float64
        sums = np.rint(signs @ self.weights.T.astype(np.float64)).astype(np.int64)
        return (sums + self.fan_in) // 2 if self.exact else sums + self.fan_in

    def parameters(self) -> dict[str, tuple[np.ndarray, str]]:
        """Return the weights as FINN keeps them."""
        return {"weights": (self.weights.astype(np.float32), "TERNARY")}


class SparseNode(HardwareNode):
    """Base of the nodes of sparse layers: they read all bits in one word, and write a value for each channel.

    Attributes:
        features: Number of inputs.
        channels: Number of outputs.
        fan_in: Most inputs that a channel reads.
        exact: Whether every channel reads `fan_in` inputs.
        weights: -1, 0 or +1, shape (channels, features); None in a plan.
    """

    features: int
    channels: int
    fan_in: int
    exact: bool
    weights: np.ndarray | None

    @property
    def points(self) -> int:
        """Points of the grid of a channel's sums; see `SparseWeights`."""
        return self.fan_in + 1 if self.exact else 2 * self.fan_in + 1

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return self.channels, self.features

    @property
    def inputs(self) -> dict[str, Stream]:
        """All bits in one word."""
        return {"s": Stream((self.features,), self.features, 1)}

    @cached_property
    def sparse(self) -> SparseWeights:
        """The weights. Raises a `NodeError` if none are attached."""
        return SparseWeights(given(self.weights, "weights"), self.fan_in, self.exact)

    def operation_counts(self) -> dict[str, int]:
        """See `HardwareNode`."""
        size = self.channels * self.features
        return {"op_mac_2bx1b": size, "param_weight_2b": size}

    def check_weights(self) -> None:
        """Raise a `NodeError` for weights that do not fit the node."""
        if self.weights is None:
            return
        if self.weights.shape != (self.channels, self.features):
            raise NodeError(
                f"weights have shape {self.weights.shape}, not ({self.channels}, {self.features})"
            )
        if not np.isin(self.weights, (-1, 0, 1)).all():
            raise NodeError("weights must be -1, 0 or +1")
        reads = np.count_nonzero(self.weights, axis=1)
        if reads.max() > self.fan_in or (self.exact and reads.min() < self.fan_in):
            most = f"{'' if self.exact else 'at most '}{self.fan_in}"
            raise NodeError(
                f"channels read {reads.min()} to {reads.max()} inputs, but the node has a fan-in of {most}"
            )

    def unrolled(self, thresholds: int = 0) -> StockNode:
        """Return FINN's MVAU of ternary weights, fully unrolled.

        Args:
            thresholds: Thresholds of a channel; 0 for accumulators as output.
        """
        sink = self.outputs["m"]
        accumulator = integer_type(-self.fan_in, self.fan_in)
        output = sink.datatype if thresholds == 1 else f"UINT{thresholds.bit_length()}"
        attributes = (
            ("PE", self.channels),
            ("SIMD", self.features),
            ("MW", self.features),
            ("MH", self.channels),
            ("inputDataType", "BIPOLAR"),
            ("weightDataType", "TERNARY"),
            ("outputDataType", output if thresholds else accumulator),
            ("accDataType", accumulator),
            ("binaryXnorMode", 0),
            ("noActivation", int(not thresholds)),
            ("numInputVectors", (1,)),
        )
        return StockNode("MVAU_hls", attributes, sink, "weights")


def module_around(
    node: HardwareNode, folder: Path, name: str, about: str, lines: list[str], inner: str, word: str
) -> Instance:
    """Write a module with a node's wires around a module of the library that moves its words.

    The module is named by a digest of its text, so nodes of equal numbers share it.

    Args:
        node: Node with an input `s` and an output `m`.
        folder: Folder of the design.
        name: Beginning of the module's name.
        about: Comment.
        lines: Body of the module.
        inner: The library's module and its parameters.
        word: Signal that the library's module reads.
    """
    widths = node.inputs["s"].width, node.outputs["m"].width
    ports = ("clk", "rst_n", "s_tvalid", "s_tready", "m_tdata", "m_tvalid", "m_tready")
    body = "\n".join(
        [
            "    input  logic clk,",
            "    input  logic rst_n,",
            f"    input  logic [{widths[0] - 1}:0] s_tdata,",
            "    input  logic s_tvalid,",
            "    output logic s_tready,",
            f"    output logic [{widths[1] - 1}:0] m_tdata,",
            "    output logic m_tvalid,",
            "    input  logic m_tready",
            ");",
            *lines,
            f"  {inner} stage (.s_tdata({word}), {', '.join(f'.{port}' for port in ports)});",
            "endmodule",
        ]
    )
    module = f"{name}_{hashlib.blake2b(body.encode(), digest_size=6).hexdigest()}"
    comment = fill(about, 118, initial_indent="// ", subsequent_indent="// ")
    return Instance(
        module, {}, (write_source(folder / f"{module}.sv", f"{comment}\nmodule {module} (\n{body}\n"),)
    )
