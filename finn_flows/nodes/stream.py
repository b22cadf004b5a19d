"""Streams: the elements of one image between two nodes, and the bits of their words."""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from zerocross.finn_flows.accumulators import integer_type


@dataclass(frozen=True)
class Stream:
    """The elements of one image between two nodes.

    Streams follow FINN's conventions:

    - Elements flow by row, column and channel, in words of `lanes` elements, the first element in the lowest bits.
    - Bits 0 and 1 stand for -1 and +1.
    - Accumulators count from 0 if only crossings read them.

    Attributes:
        shape: (features,) or (height, width, channels).
        lanes: Elements of a word; divides the number of elements.
        bits: Bits of an element.
        signed: Whether elements are two's complement.
        finn_range: Least and largest element in stock FINN's graph, whose accumulators are signed; None if its range
            is this stream's own.
    """

    shape: tuple[int, ...]
    lanes: int
    bits: int
    signed: bool = False
    finn_range: tuple[int, int] | None = field(default=None, compare=False)

    @property
    def elements(self) -> int:
        """Elements of an image."""
        return math.prod(self.shape)

    @property
    def width(self) -> int:
        """Bits of a word."""
        return self.lanes * self.bits

    @property
    def words(self) -> int:
        """Words of an image."""
        return self.elements // self.lanes

    @property
    def vectors(self) -> int:
        """Number of channel vectors in an image: its pixels, or 1."""
        return math.prod(self.shape[:-1])

    @property
    def range(self) -> tuple[int, int]:
        """The least and the largest element."""
        half = 1 << (self.bits - 1)
        return (-half, half - 1) if self.signed else (0, 2 * half - 1)

    @property
    def datatype(self) -> str:
        """FINN's name for the datatype of its elements."""
        if self.signed:
            return f"INT{self.bits}"
        return "BINARY" if self.bits == 1 else f"UINT{self.bits}"

    @property
    def stock_datatype(self) -> str:
        """The datatype of the elements in stock FINN's graph."""
        return self.datatype if self.finn_range is None else integer_type(*self.finn_range)

    @property
    def stock_shape(self) -> tuple[int, ...]:
        """The shape in FINN's graph: a batch of one image."""
        return (1, *self.shape)

    def slim(self) -> "Stream":
        """Return a stream of as many words in each pixel, of one bit each. Words must lie within pixels."""
        return Stream((*self.shape[:-1], self.shape[-1] // self.lanes), 1, 1)

    def carries(self, wanted: "Stream") -> bool:
        """Return whether a node that expects the `wanted` stream can read this one: equal words, in any shape."""
        return (self.elements, self.lanes, self.bits, self.signed) == (
            wanted.elements,
            wanted.lanes,
            wanted.bits,
            wanted.signed,
        )

    def in_words_of(self, lanes: int) -> "Stream":
        """Return the same elements in words of another size."""
        return replace(self, lanes=lanes)


def to_bits(elements: np.ndarray, bits: int) -> np.ndarray:
    """Convert rows of integers to bits, the first element and its lowest bit first.

    Args:
        elements: Integers, shape (..., lanes); negative ones become two's complement.
        bits: Bits of an element.

    Returns:
        Bits, shape (..., lanes * bits), uint8.
    """
    elements = np.asarray(elements, np.int64)
    spread = (elements[..., None] >> np.arange(bits)) & 1
    return spread.reshape(*elements.shape[:-1], elements.shape[-1] * bits).astype(np.uint8)


def from_bits(rows: np.ndarray, bits: int, signed: bool = False) -> np.ndarray:
    """Convert rows of bits (..., lanes * bits) back to integers (..., lanes)."""
    split = np.asarray(rows, np.int64).reshape(*rows.shape[:-1], rows.shape[-1] // bits, bits)
    weights = 1 << np.arange(bits, dtype=np.int64)
    if signed:
        weights[-1] *= -1
    return split @ weights
