"""The matrix-vector product: `zc_xnor_mvau` for weights of -1 and +1, `zc_plane_mvau` for integer weights."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.accumulators import MOST_INPUT_BITS, accumulator_range, accumulator_type
from zerocross.finn_flows.cost_model import Memory, Price
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
from zerocross.finn_flows.nodes.stream import Stream, to_bits

WEIGHTS_IN_BLOCK_RAM = "weights in block RAM"


@dataclass(frozen=True)
class Product(HardwareNode):
    """A product with weights of -1 and +1, or with integer weights.

    The network's accumulator is a = sum of w x. Without `offsets` the hardware computes an accumulator u that counts
    from 0. With K the fan-in and W `weight_bits`:

    - bits x of -1 and +1, W = 1: u = (a + K) / 2, the popcount of equal pairs;
    - bits x of -1 and +1, W > 1: u = a + K * 2**(W-1);
    - levels x of 0 to 2**input_bits - 1: u = a + row_offsets.

    The following crossings absorb the offset of u at no cost. The formula for levels also holds if the highest level is
    below 2**input_bits - 1, because the hardware inverts all bits of x where a weight is -1.

    Weights of W > 1 bits are stored as W + 1 weight planes: rows of -1 and +1 that weigh 1, 1, 2, 4, ..., 2**(W-1) and add
    up to twice the weight. All weight planes of a channel are computed at once.

    Attributes:
        fan_in: Inputs of one output (FINN: MW).
        channels: Number of outputs (FINN: MH).
        pe: Channels computed at once; divides `channels`.
        simd: Inputs read at once; divides `fan_in`.
        vectors: (height, width) of a convolution's output, or () for one vector per image.
        input_bits: 1 (bipolar) to 16 (unsigned).
        weight_bits: W, 1 to 8.
        offsets: Whether the offset of u is subtracted, so that accumulators are a and signed. Not for a popcount.
        ram_style: Memory of the weights, "block" or "distributed".
        buffer_style: Memory of the input buffer, "block" or "distributed".
        weights: -1 or +1, or integers of -2**(W-1) to 2**(W-1), shape (channels, fan_in); None in a plan.
    """

    word: ClassVar[str] = "product"
    module: ClassVar[str] = "zc_xnor_mvau"  # for integer weights, `generate` uses zc_plane_mvau
    parameter_names: ClassVar[tuple[str, ...]] = ("weights",)

    fan_in: int
    channels: int
    pe: int = 1
    simd: int = 1
    vectors: tuple[int, ...] = ()
    input_bits: int = 1
    weight_bits: int = 1
    offsets: bool = False
    ram_style: str = "block"
    buffer_style: str = "distributed"
    weights: np.ndarray | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_folding("channels", self.channels, self.pe)
        check_folding("inputs", self.fan_in, self.simd)
        check_bits(self.input_bits, self.weight_bits)
        if self.offsets and self.is_popcount:
            raise NodeError("the popcount of a binary product has no offsets: set offsets to False")
        if self.weights is not None:
            if self.weights.shape != (self.channels, self.fan_in):
                raise NodeError(
                    f"weights have shape {self.weights.shape}, not ({self.channels}, {self.fan_in})"
                )
            check_weights(self.weights, self.weight_bits)

    @classmethod
    def of(cls, weights: np.ndarray, pe: int, simd: int, input_bits: int = 1, **rest: object) -> Self:
        """Return the product of given weights, (channels, fan-in)."""
        channels, fan_in = weights.shape
        return cls(fan_in, channels, pe, simd, input_bits=input_bits, weights=weights, **rest)  # type: ignore[arg-type]

    # ---- folding

    @property
    def foldings(self) -> tuple[tuple[int, int], ...]:
        """All pairs of PE and SIMD that divide channels and fan-in, smallest PE first."""
        return tuple(itertools.product(divisors(self.channels), divisors(self.fan_in)))

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
        """The input vectors."""
        return {"s": Stream((*self.vectors, self.fan_in), self.simd, self.input_bits)}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One accumulator per channel and vector."""
        bits = self.reach.bit_length()
        if self.offsets:  # with 1-bit inputs, half of the reach is on either side of 0
            bits += self.input_bits > 1
        counted = accumulator_range(self.fan_in, self.input_bits, self.weight_bits)
        return {"m": Stream((*self.vectors, self.channels), self.pe, bits, self.offsets, counted)}

    @property
    def is_popcount(self) -> bool:
        """Whether the accumulators count equal bits, so that one count is two units of the network's sum."""
        return self.input_bits == self.weight_bits == 1

    # ---- numbers

    @property
    def numbers(self) -> np.ndarray:
        """The weights. Raises a `NodeError` if none are attached."""
        return given(self.weights, "weights")

    @property
    def planes(self) -> np.ndarray:
        """The rows of -1 and +1 that are multiplied, the rows of a channel in sequence, shape (rows, fan-in)."""
        return planes(self.numbers, self.weight_bits)

    @property
    def row_offsets(self) -> np.ndarray:
        """The offset of u in each row, shape (channels,); see the function `row_offsets`."""
        return row_offsets(self.numbers, self.input_bits, self.weight_bits)

    @property
    def reach(self) -> int:
        """The largest u."""
        return reach(self.fan_in, self.input_bits, self.weight_bits)

    @property
    def points(self) -> int:
        """Number of values that the accumulators can have."""
        return accumulator_points(self.fan_in, self.input_bits, self.weight_bits)

    @property
    def memory(self) -> Memory:
        """Width in bits and depth in words of the weight memory.

        The first plane of several, which is constant, is not part of it: synthesis keeps it once.
        """
        return self.pe * self.weight_bits * self.simd, self.folds

    @property
    def folds(self) -> int:
        """Words of weights, which is also the cycles per vector."""
        return (self.fan_in // self.simd) * (self.channels // self.pe)

    def network_values(self, accumulators: np.ndarray) -> np.ndarray:
        """Convert the hardware's accumulators (N, elements) to those of the integer network: sums of w x."""
        if self.offsets:
            return accumulators
        if self.is_popcount:
            return 2 * accumulators - self.fan_in
        return accumulators - np.tile(self.row_offsets, accumulators.shape[1] // self.channels)

    def parameters(self) -> dict[str, tuple[np.ndarray, str]]:
        """See `HardwareNode`."""
        return {"weights": (self.numbers.astype(np.float32), weight_type(self.weight_bits))}

    def operation_counts(self) -> dict[str, int]:
        """See `HardwareNode`."""
        return product_counts(self.channels * self.fan_in, self.vectors, self.input_bits, self.weight_bits)

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
        """Cycles from the last input word that the first output word needs to that output word."""
        words, passes = self.fan_in // self.simd, self.channels // self.pe
        depth = product_depth(self.simd, self.input_bits, words, passes, self.ram_style == "block")
        return depth + planes_depth(self.weight_bits, self.offsets)

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """See `HardwareNode`."""
        words, passes = self.fan_in // self.simd, self.channels // self.pe
        flow = reads[0] if math.prod(self.vectors) > 1 else reads[0].flat()
        work = flow.worked(words * passes, words * (passes - 1), words * (passes - 1))
        return work.later(self.latency)

    # ---- price

    def price(self) -> Price:
        """Price the product without its crossings; see `product_price`."""
        style = (self.input_bits, self.ram_style, self.weight_bits)
        return product_price(self.fan_in, self.channels, self.pe, self.simd, *style)

    # ---- FINN

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's MVAU."""
        binary, wide = self.input_bits == 1, self.weight_bits > 1
        accumulator = accumulator_type(self.fan_in, self.input_bits, self.weight_bits)
        sink = self.outputs["m"]
        attributes = (
            ("PE", self.pe),
            ("SIMD", self.simd),
            ("MW", self.fan_in),
            ("MH", self.channels),
            ("inputDataType", "BIPOLAR" if binary and wide else self.inputs["s"].datatype),
            ("weightDataType", f"INT{self.weight_bits}" if wide else "BINARY" if binary else "BIPOLAR"),
            ("outputDataType", accumulator),
            ("accDataType", accumulator),
            ("binaryXnorMode", int(binary and not wide)),
            ("noActivation", 1),
            ("numInputVectors", (1, *self.vectors)),
        )
        return (StockNode("MVAU_hls", attributes, sink, "weights"),)

    # ---- reference and hardware

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute accumulators (N, elements) from vectors (N, elements) of unsigned integers."""
        x = np.asarray(samples[0], np.int64).reshape(-1, self.fan_in)
        if self.input_bits == 1 and self.weight_bits > 1:
            x = 2 * x - 1
        total = x @ self.numbers.T.astype(np.int64)
        # The hardware adds x for a weight of +1 and its complement for -1: equal bits, one weight plane after another.
        total = total if self.offsets else total + self.row_offsets
        return (total.reshape(len(samples[0]), -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write the weights, and the offsets if the node subtracts them."""
        passes = self.channels // self.pe
        self._write_weights(folder / f"{prefix}weights.mem")
        if self.offsets:
            starts = -self.row_offsets.reshape(passes, self.pe)
            write_memory(folder / f"{prefix}offsets.mem", to_bits(starts, self.outputs["m"].bits))
        sizes = {"MW": self.fan_in, "MH": self.channels, "PE": self.pe, "SIMD": self.simd}
        widths = {"IN_BITS": self.input_bits, "OUT_BITS": self.outputs["m"].bits}
        if self.weight_bits > 1:
            widths["WEIGHT_BITS"] = self.weight_bits
        files = {
            "WEIGHTS": f"{prefix}weights.mem",
            "OFFSETS": f"{prefix}offsets.mem" if self.offsets else "",
        }
        styles = {"RAM_STYLE": self.ram_style, "BUFFER_STYLE": self.buffer_style}
        module = self.module if self.weight_bits == 1 else "zc_plane_mvau"
        return Instance(module, {**sizes, **widths, **files, **styles})

    def slim(self) -> "Product":
        """See `HardwareNode`: all lanes do the same in the same cycles, so one of them is enough."""
        weights = np.ones((self.channels // self.pe, self.fan_in), np.int16)
        return replace(self, channels=len(weights), pe=1, weights=weights)

    def _write_weights(self, file: Path) -> None:
        """Write the weight planes in the order in which the hardware reads them."""
        rows, columns = self.channels // self.pe, self.fan_in // self.simd
        words = self.planes.reshape(rows, -1, columns, self.simd).transpose(0, 2, 1, 3) > 0
        if rows * columns > 1:
            words = _with_parities(words)
        write_memory(file, words.reshape(rows * columns, -1))


def _with_parities(bits: np.ndarray) -> np.ndarray:
    """Replace the first bit of each triple with the parity of the three; missing bits count as 1.

    The first bits of all triples come first, then the second and the third ones, as in `zc_xnor_popcount`.
    """
    count = bits.shape[-1]
    triples = math.ceil(count / 3)
    second = (count - triples + 1) // 2
    result = bits.copy()
    for start, length in ((triples, second), (triples + second, count - triples - second)):
        result[..., :length] ^= bits[..., start : start + length]
        result[..., length:triples] ^= True
    return result


# ---- weights, shared with the grouped product


def check_bits(input_bits: int, weight_bits: int) -> None:
    """Raise a `NodeError` for bit widths that products do not support."""
    for what, bits, most in (("inputs", input_bits, MOST_INPUT_BITS), ("weights", weight_bits, 8)):
        if not 1 <= bits <= most:
            raise NodeError(f"{what} of {bits} bits are not supported: use 1 to {most} bits")


def check_weights(weights: np.ndarray, weight_bits: int) -> None:
    """Raise a `NodeError` for weights out of the range of `weight_bits`."""
    half = 1 << (weight_bits - 1)
    if weight_bits == 1 and not np.isin(weights, (-1, 1)).all():
        raise NodeError("weights must be -1 or +1")
    if weight_bits > 1 and np.abs(weights.astype(np.int64)).max() > half:
        raise NodeError(f"weights of {weight_bits} bits must be integers within {-half} to {half}")


def plane_count(weight_bits: int) -> int:
    """Return the number of weight planes, rows of -1 and +1, that store a channel's weights."""
    return 1 if weight_bits == 1 else weight_bits + 1


def planes(weights: np.ndarray, weight_bits: int) -> np.ndarray:
    """Return weights (channels, fan-in) as weight planes, rows of -1 and +1, those of a channel in sequence."""
    if weight_bits == 1:
        return weights
    value = weights.astype(np.int64) + (
        1 << (weight_bits - 1)
    )  # 0 to 2**W, the sum of the weight planes that are +1
    full = value >> weight_bits
    digits = [full, *(((value - full) >> bit) & 1 for bit in range(weight_bits))]
    return (2 * np.stack(digits, axis=1) - 1).reshape(-1, weights.shape[1])


def row_offsets(weights: np.ndarray, input_bits: int, weight_bits: int) -> np.ndarray:
    """Return the offset u - a of each row of weights: u is the unsigned accumulator, a = sum of w x.

    In a popcount x is 0 or 1.
    """
    half, top = 1 << (weight_bits - 1), 2**input_bits - 1
    if weight_bits == 1:
        return top * (weights < 0).sum(axis=1)
    if input_bits == 1:
        return np.full(len(weights), weights.shape[1] * half)
    # The weight planes sum to twice the product plus a constant. The hardware outputs half of that sum, rounded down.
    return top * (half - weights.astype(np.int64)).sum(axis=1) // 2


def reach(fan_in: int, input_bits: int, weight_bits: int) -> int:
    """Return the largest unsigned accumulator."""
    scale = 1 << (weight_bits - (input_bits > 1) if weight_bits > 1 else 0)
    return fan_in * (2**input_bits - 1) * scale


def accumulator_points(fan_in: int, input_bits: int, weight_bits: int) -> int:
    """Return the number of possible values of an unsigned accumulator, for any weights."""
    low, high = accumulator_range(fan_in, input_bits, weight_bits)
    return (high if weight_bits == 1 else high - low if input_bits == 1 else high) + 1


def weight_type(weight_bits: int) -> str:
    """Return FINN's datatype for weights of -2**(W-1) to 2**(W-1): W + 1 bits, because W bits lack the largest weight."""
    return "BIPOLAR" if weight_bits == 1 else f"INT{weight_bits + 1}"


def product_counts(
    weights: int, vectors: tuple[int, ...], input_bits: int, weight_bits: int
) -> dict[str, int]:
    """Return the numbers of multiplications per image and of weights, by FINN's names."""
    macs = weights * math.prod(vectors)
    return {f"op_mac_{weight_bits}bx{input_bits}b": macs, f"param_weight_{weight_bits}b": weights}


# ---- timing


def product_depth(simd: int, input_bits: int, words: int, passes: int, block_ram: bool = True) -> int:
    """Return the pipeline depth of a product: reading, popcounts, sums of popcounts and of input bit planes, accumulators.

    Args:
        simd: Inputs read at once.
        input_bits: Bits of an input.
        words: Words of an input vector.
        passes: How often a vector is read. A vector that is read once is not buffered.
        block_ram: Whether the weights are in block RAM, which answers a cycle later than LUTs. Weights of one word and
            one pass are constants.
    """
    constant = words * passes == 1
    left, majority, level = simd, 0, 0
    while left > 1 if constant else level < 2:  # triples of inputs, then triples of parities, level by level
        left, level = math.ceil(left / 3), level + 1
        majority += left
    sixes = math.ceil(majority / 6)
    sums = max(0, sixes - 1).bit_length() + (input_bits - 1).bit_length()
    return 4 + sums + (0 if constant else 1 + block_ram) + (passes > 1)


def planes_depth(weight_bits: int, offsets: bool) -> int:
    """Return the further cycles of weights of several bits: sums of weight planes, and subtraction of offsets."""
    return 0 if weight_bits == 1 else 1 + (weight_bits - 1).bit_length() + offsets


# ---- price


@lru_cache(maxsize=65536)
def product_price(
    fan_in: int,
    channels: int,
    pe: int,
    simd: int,
    input_bits: int = 1,
    style: str = "block",
    weight_bits: int = 1,
) -> Price:
    """Price a product without its crossings, which are a separate node.

    Each of the PE lanes counts the equal pairs of SIMD inputs and weights, once for each input bit plane, adds these
    counts, and adds their sum to an accumulator. With I input bit planes (`input_bits`) and `popcount` LUTs for each,

        LUT = base + a PE (I popcount**power + adders of the I counts) + b PE accumulator bits + c buffer + d address bits
            + e I triples.

    The buffer holds two vectors in LUT memory; a vector that is read once needs no buffer. Weights are in block RAM, or in
    LUTs with style "distributed" (`cost_model.weights_in_luts`). In a fully unrolled product (PE = channels, SIMD =
    fan-in) the weights are constants: all channels share the majorities of three inputs, and each channel counts its own.

    Weights of W > 1 bits are W + 1 weight planes, whose accumulators are added with one LUT per bit of an adder. The first
    plane is +1 only for a weight of 2**(W - 1), which two's complement of W bits lacks. Without such weights it is the same
    in all channels: synthesis removes its memory and keeps its popcount and accumulator once. This is priced.
    """
    if weight_bits > 1:
        rows = product_price(fan_in, weight_bits * channels, weight_bits * pe, simd, input_bits, style)
        shared = product_price(fan_in, channels, 1, simd, input_bits, style).lut
        alone = product_price(fan_in, 2 * channels, 2, simd, input_bits, style).lut
        rows = replace(rows, lut=rows.lut + alone - shared)
        bits = (fan_in * ((1 << input_bits) - 1)).bit_length()
        return replace(rows, lut=rows.lut + pe * (bits + cost_model.adders(weight_bits, bits + 1, 1)))
    k = cost_model.CONSTANTS
    bits = (fan_in * ((1 << input_bits) - 1)).bit_length()
    planes_sum = cost_model.adders(input_bits, simd.bit_length(), 1)
    words, passes = fan_in // simd, channels // pe
    if words * passes == 1:
        own = input_bits * unrolled_popcount(simd) + planes_sum
        lut = k.unrolled_count * own + k.unrolled_channel * input_bits * simd.bit_length()
        shared = k.unrolled_shared * input_bits * majorities(simd)
        return Price(channels * lut + shared, implementation="constant weights", kind="unrolled")
    lut = k.product_base + k.product_count * pe * (
        input_bits * popcount(simd) ** k.product_power + planes_sum
    )
    lut += k.product_address * math.log2(words * passes)
    lut += k.product_recode * input_bits * (math.ceil(simd / 3) - (simd % 3 == 1))
    if words > 1:
        lut += k.product_accumulator * pe * bits
    buffers: tuple[Memory, ...] = ()
    if passes > 1:
        buffers = ((simd * input_bits, 2 << max(1, (words - 1).bit_length())),)
        lut += k.product_buffer * cost_model.lutram(*buffers[0])
    memory = (pe * simd, words * passes)
    if style == "block":
        price = cost_model.in_block_ram(lut, memory, WEIGHTS_IN_BLOCK_RAM, "product")
        return replace(price, rams=buffers)
    lut += cost_model.weights_in_luts(*memory)
    return Price(lut, implementation="weights in LUTs", kind="product", rams=buffers, roms=(memory,))


@lru_cache(maxsize=4096)
def popcount(inputs: int) -> int:
    """Return the LUTs that count equal pairs of bits as `zc_xnor_popcount` does: by threes, then by sixes."""
    triples = math.ceil(inputs / 3)
    groups = math.ceil(triples / 3)
    # A triple or group of one has no majority.
    twos = triples - (inputs % 3 == 1) + groups - (triples % 3 == 1)
    lut = twos + groups + counted(groups) + counted(twos)
    if groups > 1:
        lut += inputs.bit_length() - 1
        sixes, own = math.ceil((triples + groups) / 6), (math.ceil(groups / 6) - 1).bit_length()
        waits = (sixes - 1).bit_length() - own
        lut += 3 + own if waits > 1 else 0  # shift registers delay the count of groups
    return lut


@lru_cache(maxsize=4096)
def unrolled_popcount(inputs: int) -> int:
    """Return the LUTs that count a channel's majorities, as `zc_constant_popcount` does."""
    return counted(majorities(inputs))


@lru_cache(maxsize=4096)
def majorities(inputs: int) -> int:
    """Return the number of majority LUTs of the popcount tree.

    There is one per triple of inputs, then one per triple of parities, at each level.
    """
    return 0 if inputs == 1 else math.ceil(inputs / 3) - (inputs % 3 == 1) + majorities(math.ceil(inputs / 3))


def counted(bits: int) -> int:
    """Return the LUTs that count bits by sixes, with three LUTs each, and add the counts."""
    sixes, rest = divmod(bits, 6)
    return 3 * sixes + (0, 0, 2, 2, 3, 3)[rest] + cost_model.adders(math.ceil(bits / 6), 3)
