"""What the nodes of sparse layers share: their shape, and their weights, few of which are not 0."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from textwrap import fill
from typing import Self

import numpy as np

from zerocross.finn_flows.accumulators import integer_type
from zerocross.finn_flows.finn_patches import write_source
from zerocross.finn_flows.network import sparse_reach, sparse_weight_bits
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, NodeError, StockNode, given
from zerocross.finn_flows.nodes.stream import Stream


@dataclass(frozen=True)
class SparseWeights:
    """The weights of a sparse layer.

    An input agrees with its weight if it is 1 and the weight above 0, or 0 and the weight below 0. The sum u of the agreeing
    inputs' |weights| stands for the network's sum 2 u - r. The *reach* r is the sum of all |weights| of the channel: the
    number of its inputs, or 2**inputs - 1 in an indexed layer (`zerocross.finn_flows.network.Sparse`). The sum's *point* on
    the grid of all channels is u if every channel reads `fan_in` inputs, else 2 u + (largest reach) - r.

    Attributes:
        weights: Shape (channels, features).
        fan_in: Most inputs that a channel reads.
        exact: Whether every channel reads `fan_in` inputs.
        indexed: Whether weights are powers of two instead of -1, 0 and +1.
    """

    weights: np.ndarray
    fan_in: int
    exact: bool
    indexed: bool = False

    @classmethod
    def of(cls, weights: np.ndarray) -> Self:
        """Return the weights (channels, features) with the fan-in that they have."""
        reads = np.count_nonzero(weights, axis=1)
        indexed = bool(np.abs(weights).max(initial=0) > 1)
        return cls(weights, int(reads.max()), bool((reads == reads[0]).all()), indexed)

    @property
    def reach(self) -> int:
        """The largest sum of any channel."""
        return sparse_reach(self.fan_in, self.indexed)

    @cached_property
    def counts(self) -> np.ndarray:
        """Number of inputs of each channel."""
        return np.count_nonzero(self.weights, axis=1)

    def reads(self, channel: int) -> list[tuple[int, int]]:
        """Return a channel's inputs and their signs: the first input first, in an indexed layer that of weight 1."""
        row = self.weights[channel].astype(int)
        places = np.flatnonzero(row)
        ordered = places[np.argsort(np.abs(row[places]), kind="stable")]
        return [(int(place), int(np.sign(row[place]))) for place in ordered]

    def names(self, channel: int) -> list[str]:
        """Return the bits that a channel counts, in SystemVerilog."""
        return [f"{'~' if sign < 0 else ''}x[{place}]" for place, sign in self.reads(channel)]

    def points(self, channel: int) -> np.ndarray:
        """Return a channel's points for the sums u = 0, 1, ... of agreeing inputs."""
        reach = sparse_reach(int(self.counts[channel]), self.indexed)
        agreeing = np.arange(reach + 1)
        return agreeing if self.exact else 2 * agreeing + self.reach - reach

    def count(self, bits: np.ndarray) -> np.ndarray:
        """Return the points (N, channels) of inputs (N, features) of 0 and 1."""
        signs = 2 * np.asarray(bits, np.float64) - 1  # sums of so few numbers are exact in float64
        sums = np.rint(signs @ self.weights.T.astype(np.float64)).astype(np.int64)
        return (sums + self.reach) // 2 if self.exact else sums + self.reach

    def parameters(self) -> dict[str, tuple[np.ndarray, str]]:
        """Return the weights as FINN keeps them."""
        return {"weights": (self.weights.astype(np.float32), _datatype(self.fan_in, self.indexed))}


class SparseNode(HardwareNode):
    """Base of the nodes of sparse layers: they read all bits in one word, and write a value for each channel.

    Attributes:
        features: Number of inputs.
        channels: Number of outputs.
        fan_in: Most inputs that a channel reads.
        exact: Whether every channel reads `fan_in` inputs.
        indexed: Whether weights are powers of two instead of -1, 0 and +1; see `zerocross.finn_flows.network.Sparse`.
        weights: Shape (channels, features); None in a plan.
    """

    features: int
    channels: int
    fan_in: int
    exact: bool
    indexed: bool = False
    weights: np.ndarray | None

    @property
    def reach(self) -> int:
        """The largest sum of any channel."""
        return sparse_reach(self.fan_in, self.indexed)

    @property
    def points(self) -> int:
        """Points of the grid of a channel's sums; see `SparseWeights`."""
        return self.reach + 1 if self.exact else 2 * self.reach + 1

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
        return SparseWeights(given(self.weights, "weights"), self.fan_in, self.exact, self.indexed)

    def operation_counts(self) -> dict[str, int]:
        """See `HardwareNode`."""
        size = self.channels * self.features
        bits = sparse_weight_bits(self.fan_in, self.indexed)
        return {f"op_mac_{bits}bx1b": size, f"param_weight_{bits}b": size}

    def check_weights(self) -> None:
        """Raise a `NodeError` for weights that do not fit the node."""
        if self.weights is None:
            return
        if self.weights.shape != (self.channels, self.features):
            raise NodeError(
                f"weights have shape {self.weights.shape}, not ({self.channels}, {self.features})"
            )
        reads = np.count_nonzero(self.weights, axis=1)
        if not self.indexed and not np.isin(self.weights, (-1, 0, 1)).all():
            raise NodeError("weights must be -1, 0 or +1")
        if self.indexed and not has_powers(self.weights):
            raise NodeError("the weights of a channel must be 1, 2, 4, ..., with signs, and 0")
        if reads.max() > self.fan_in or (self.exact and reads.min() < self.fan_in):
            most = f"{'' if self.exact else 'at most '}{self.fan_in}"
            raise NodeError(
                f"channels read {reads.min()} to {reads.max()} inputs, but the node has a fan-in of {most}"
            )

    def unrolled(self, thresholds: int = 0) -> StockNode:
        """Return FINN's MVAU of such weights, fully unrolled.

        Args:
            thresholds: Thresholds of a channel; 0 for accumulators as output.
        """
        sink = self.outputs["m"]
        accumulator = integer_type(-self.reach, self.reach)
        output = sink.datatype if thresholds == 1 else f"UINT{thresholds.bit_length()}"
        attributes = (
            ("PE", self.channels),
            ("SIMD", self.features),
            ("MW", self.features),
            ("MH", self.channels),
            ("inputDataType", "BIPOLAR"),
            ("weightDataType", _datatype(self.fan_in, self.indexed)),
            ("outputDataType", output if thresholds else accumulator),
            ("accDataType", accumulator),
            ("binaryXnorMode", 0),
            ("noActivation", int(not thresholds)),
            ("numInputVectors", (1,)),
        )
        return StockNode("MVAU_hls", attributes, sink, "weights")


def _datatype(fan_in: int, indexed: bool) -> str:
    return f"INT{fan_in + 1}" if indexed else "TERNARY"


def has_powers(weights: np.ndarray) -> bool:
    """Return whether the weights of every channel (channels, features) are 1, 2, 4, ..., in any order, with signs, and 0."""
    most = int(np.count_nonzero(weights, axis=1).max(initial=0))
    largest = -np.sort(-np.abs(weights.astype(np.int64)), axis=1)[:, :most]
    reads = np.count_nonzero(largest, axis=1)[:, None]
    return bool((largest == (1 << reads) >> np.arange(1, most + 1)).all())


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
