"""The interface of every hardware node: its streams, numpy reference, timing, price and generated hardware."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.nodes.flow import Flow
from zerocross.finn_flows.nodes.stream import Stream

Attributes = tuple[tuple[str, Any], ...]


class NodeError(FlowError):
    """A node's numbers do not fit its shape or folding; the message names them."""


@dataclass(frozen=True)
class Instance:
    """The SystemVerilog instance of a node.

    Attributes:
        module: Name of the SystemVerilog module.
        parameters: The module's parameters by name.
        sources: SystemVerilog files that the module needs besides the library.
    """

    module: str
    parameters: dict[str, int | str]
    sources: tuple[Path, ...] = ()


@dataclass(frozen=True)
class StockNode:
    """A node that stock FINN would use in place of ours, for FINN's own estimate.

    Attributes:
        op_type: FINN's name of the specialised node, ending in `_rtl` or `_hls`.
        attributes: Attributes of FINN's operator, by name.
        sink: Stream that the node writes.
        parameter: Initializer that the node reads after its streams, such as "weights"; empty for none.
        streams: Number of streams that the node reads.
    """

    op_type: str
    attributes: Attributes
    sink: Stream
    parameter: str = ""
    streams: int = 1


class HardwareNode(ABC):
    """A hardware node: a frozen record of its shape and folding.

    Its numbers (weights, crossings) are further fields. Equality ignores them, and a plan leaves them empty.
    """

    word: ClassVar[str]
    """Name of the node in reports and instance names."""

    module: ClassVar[str]
    """Name of the SystemVerilog module, which is in this folder."""

    parameter_names: ClassVar[tuple[str, ...]] = ()
    """Keys of `parameters`, in the order in which FINN's operator reads them. FINN renames its initializers."""

    @property
    @abstractmethod
    def inputs(self) -> dict[str, Stream]:
        """Streams that the node reads, by the prefix of their ports: "s" for s_tdata, s_tvalid and s_tready."""

    @property
    @abstractmethod
    def outputs(self) -> dict[str, Stream]:
        """Streams that the node writes, by the prefix of their ports."""

    @property
    def lanes(self) -> tuple[int, int]:
        """(PE, SIMD): outputs and inputs processed at once; 1 if the node has no such number."""
        return 1, 1

    @property
    def interval(self) -> int:
        """Cycles from one image to the next, without stalls."""
        return max(stream.words for stream in (*self.inputs.values(), *self.outputs.values()))

    @property
    @abstractmethod
    def latency(self) -> int:
        """Cycles from the last input word that an output word needs to that output word."""

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """Return when the output leaves, given when the inputs arrive."""
        return reads[0].later(self.latency)

    @abstractmethod
    def price(self) -> Price:
        """Estimate from its structure the resources that the node uses on a part with 6-input LUTs."""

    @abstractmethod
    def stock(self) -> tuple[StockNode, ...]:
        """Return the nodes that stock FINN has for it, in the order of the stream.

        If FINN has none, return its closest node of the same output shape, and say so in the docstring: a crossing site
        returns a Thresholding. Return `()` only if FINN's node for another element includes this one: FINN's
        DuplicateStreams serves all readers, so only the first `Duplicate` of a sequence returns it.
        """

    @abstractmethod
    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute the outputs from the inputs, one array of shape (N, elements) for each port."""

    @abstractmethod
    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write the memory files into a folder, where simulation and synthesis must run.

        Args:
            folder: Folder of the design.
            prefix: Beginning of the files' names.
        """

    def slim(self) -> "HardwareNode":
        """Return a node that moves its words in the same cycles, with as little logic for their values as possible.

        Simulations that measure only time use it. Its streams may be narrower, and its numbers are arbitrary.
        """
        return self

    def operation_counts(self) -> dict[str, int]:
        """Return the operations per image and the numbers that the node holds, by FINN's names for such counts."""
        return {}

    def parameters(self) -> dict[str, tuple[np.ndarray, str]]:
        """Return the node's numbers as FINN keeps them: float32 arrays by name, each with FINN's name of its datatype."""
        return {}

    def with_parameters(self, parameters: dict[str, np.ndarray]) -> Self:
        """Return the node with numbers from arrays such as `parameters` returns."""
        assert not parameters, f"{type(self).__name__} has no numbers"
        return self


@lru_cache(maxsize=4096)
def divisors(number: int) -> tuple[int, ...]:
    """Return the divisors of a number, smallest first: the possible numbers of lanes."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return tuple(small + [number // d for d in reversed(small) if d * d != number])


def check_folding(what: str, size: int, parallel: int) -> None:
    """Raise a `NodeError` unless `parallel` divides `size`; `what` names the items in the message."""
    if parallel < 1 or size % parallel:
        raise NodeError(f"{parallel} does not divide {size} {what}: choose a divisor of {size}")


def check_window(shape: tuple[int, ...], reach: tuple[int, int]) -> None:
    """Raise a `NodeError` if a window is larger than its image."""
    if reach[0] > shape[0] or reach[1] > shape[1]:
        raise NodeError(f"a window of {reach} is larger than its image {shape}: choose a smaller window")


def check_exact(what: str, most: int) -> None:
    """Raise a `NodeError` for integers that float32 does not hold exactly; FINN keeps all numbers as float32."""
    if most > 1 << 24:
        raise NodeError(f"FINN keeps numbers as float32, which does not hold {what} up to {most}")


def given(numbers: Any, what: str) -> Any:
    """Return a node's numbers, or raise a `NodeError` if none are attached yet."""
    if numbers is None:
        raise NodeError(f"this node of a plan has no {what} yet: assemble the plan first")
    return numbers


def write_memory(path: Path, rows: np.ndarray) -> None:
    """Write rows of bits (words, width), lowest bit first, as a file for $readmemh."""
    path.write_text("\n".join(_hexadecimal(row) for row in np.asarray(rows, np.uint8)) + "\n")


def _hexadecimal(row: np.ndarray) -> str:
    digits = (len(row) + 3) // 4
    number = int.from_bytes(np.packbits(row, bitorder="little").tobytes(), "little")
    return f"{number:0{digits}x}"
