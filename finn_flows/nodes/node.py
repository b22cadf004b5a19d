"""What every hardware node tells: its streams, what it computes, when, at what price, and how it is built."""

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
    """A node whose numbers do not fit its shape or folding; the message says which."""


@dataclass(frozen=True)
class Instance:
    """How a node is built.

    Attributes:
        module: the SystemVerilog module's name.
        parameters: its parameters by name.
        sources: SystemVerilog files it needs beside the library.
    """

    module: str
    parameters: dict[str, int | str]
    sources: tuple[Path, ...] = ()


@dataclass(frozen=True)
class StockNode:
    """A node that stock FINN would have in the place of ours, for FINN's own estimate.

    Attributes:
        op_type: FINN's name of the specialised node, ending in `_rtl` or `_hls`.
        attributes: what FINN's operator is told, by name.
        sink: the stream it writes.
        parameter: the initializer that it reads behind its streams, such as "weights"; empty for none.
        streams: how many it reads.
    """

    op_type: str
    attributes: Attributes
    sink: Stream
    parameter: str = ""
    streams: int = 1


class HardwareNode(ABC):
    """A hardware node: a frozen record of its shape and folding.

    Its numbers (weights, crossings) are fields that equality ignores and that a plan leaves empty.
    """

    word: ClassVar[str]
    """What reports and instance names call it."""

    module: ClassVar[str]
    """Its SystemVerilog module, beside it in this folder."""

    parameter_names: ClassVar[tuple[str, ...]] = ()
    """What `parameters` holds, in the order in which FINN's operator reads it; FINN gives initializers names of its own."""

    @property
    @abstractmethod
    def inputs(self) -> dict[str, Stream]:
        """Streams it reads by the prefix of their ports: "s" for s_tdata, s_tvalid and s_tready."""

    @property
    @abstractmethod
    def outputs(self) -> dict[str, Stream]:
        """Streams it writes by the prefix of their ports."""

    @property
    def lanes(self) -> tuple[int, int]:
        """(PE, SIMD): outputs and inputs at a time; 1 for what it does not have."""
        return 1, 1

    @property
    def interval(self) -> int:
        """Cycles from one image to the next, where nothing makes it wait."""
        return max(stream.words for stream in (*self.inputs.values(), *self.outputs.values()))

    @property
    @abstractmethod
    def latency(self) -> int:
        """Cycles from the last input word that an output word needs to that word."""

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """Return when its output leaves, given when its inputs come."""
        return reads[0].later(self.latency)

    @abstractmethod
    def price(self) -> Price:
        """Return what it takes of a part with 6-input LUTs, from its structure."""

    @abstractmethod
    def stock(self) -> tuple[StockNode, ...]:
        """Return the nodes that stock FINN has for it, in the order of the stream."""

    @abstractmethod
    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute each output, shape (N, elements), from each input, shape (N, elements)."""

    @abstractmethod
    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write the memory files, their names beginning with prefix; simulate and synthesise in that folder."""

    def operation_counts(self) -> dict[str, int]:
        """Return multiplications and numbers of an image, by FINN's names for such counts."""
        return {}

    def parameters(self) -> dict[str, tuple[np.ndarray, str]]:
        """Return its numbers as FINN keeps them: float32 arrays by name, each with FINN's name of its datatype."""
        return {}

    def with_parameters(self, parameters: dict[str, np.ndarray]) -> Self:
        """Return the node with its numbers, from arrays as `parameters` gives them."""
        assert not parameters, f"{type(self).__name__} has no numbers"
        return self


@lru_cache(maxsize=4096)
def divisors(number: int) -> tuple[int, ...]:
    """Return the divisors of a number, smallest first: the lanes that it may be folded to."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return tuple(small + [number // d for d in reversed(small) if d * d != number])


def check_folding(what: str, size: int, parallel: int) -> None:
    """Raise a `NodeError` unless so many at once divide so many of what there is."""
    if parallel < 1 or size % parallel:
        raise NodeError(f"{parallel} at once do not divide {size} {what}")


def check_window(shape: tuple[int, ...], reach: tuple[int, int]) -> None:
    """Raise a `NodeError` if a window is larger than its image."""
    if reach[0] > shape[0] or reach[1] > shape[1]:
        raise NodeError(f"a window of {reach} is larger than its image {shape}")


def check_exact(what: str, most: int) -> None:
    """Raise a `NodeError` for integers past those that float32 holds: FINN keeps all numbers so."""
    if most > 1 << 24:
        raise NodeError(f"FINN keeps numbers as float32, which does not hold {what} up to {most}")


def given(numbers: Any, what: str) -> Any:
    """Return a node's numbers, or raise a `NodeError` where none are attached yet."""
    if numbers is None:
        raise NodeError(f"no {what} are attached to this node: it is a plan's")
    return numbers


def write_memory(path: Path, rows: np.ndarray) -> None:
    """Write rows of bits (words, width), lowest bit first, as a file for $readmemh."""
    path.write_text("\n".join(_hexadecimal(row) for row in np.asarray(rows, np.uint8)) + "\n")


def _hexadecimal(row: np.ndarray) -> str:
    digits = (len(row) + 3) // 4
    number = int.from_bytes(np.packbits(row, bitorder="little").tobytes(), "little")
    return f"{number:0{digits}x}"
