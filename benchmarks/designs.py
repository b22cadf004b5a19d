"""The designs that `calibration.py` synthesises: single nodes, and whole networks with three kinds of numbers.

Numbers are "trained" (networks trained on scikit-learn's digits), "drawn" (random weights; each channel has an expression
behind a random batch norm, like a trained one) or "random" (crossings anywhere, the worst case).

Most held-out networks are drawn from what a search may reach: its topologies, any expression of its pair space, and its
folding for a target. Their seeds and sizes were set before any of them was synthesised.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import torch
from caches import forget
from timing import Case as Drawn
from timing import random_cases

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.assembly import Styles
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.crossings import CrossingTable, from_bits, from_response
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.integer import IntegerNetwork, remove_first_bits, remove_unreached
from zerocross.finn_flows.network import Activation, Conv, Dense, Grid, Network
from zerocross.finn_flows.nodes import (
    Add,
    AddVector,
    Bias,
    Concat,
    CrossingSite,
    Fifo,
    GroupedProduct,
    InputGenerator,
    LabelSelect,
    MaxPool,
    Padding,
    Product,
    Select,
    SumPool,
    WidthConverter,
    WindowMaxPool,
    WindowSumPool,
    Wired,
    WiredCount,
)
from zerocross.finn_flows.nodes.node import HardwareNode, divisors
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.wiring import simplified
from zerocross.hw_search.extraction.integers import to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.models.canonical import constant_bit
from zerocross.models.data import Data, load
from zerocross.models.encodings import Encoding
from zerocross.models.errors import ModelError
from zerocross.models.expressions import parse
from zerocross.models.layers import ActivationSlot, install
from zerocross.models.topologies import build
from zerocross.models.training import TrainingFailure, TrainingSettings, train

EXPRESSIONS = (
    "x",
    "add(sin(x), x)",
    "sin(scale(x))",
    "sub(learned, abs(x))",
    "mul(sin(x), sigmoid(x))",
    "cos(x)",
    "sin(mul(3, x))",
    "max(cos(x), atan(x))",
)


@dataclass(frozen=True)
class Case:
    """A network with its numbers and its folding.

    Attributes:
        name: Unique name.
        held_out: Whether it is excluded from fitting.
        numbers: "trained", "drawn" or "random".
        net: The network.
        folding: Folding of the network.
        in_luts: Layers whose weights are in LUTs; the others use block RAM.
        implementations: Implementation of the crossings by layer, if not the cheapest.
    """

    name: str
    held_out: bool
    numbers: str
    net: IntegerNetwork
    folding: Folding
    in_luts: tuple[str, ...] = ()
    implementations: Mapping[str, str] = field(default_factory=dict)

    @property
    def styles(self) -> Styles:
        """Implementations of memories and crossings."""
        return Styles(dict.fromkeys(self.in_luts, "distributed"), self.implementations)


# fan-in, channels, SIMD, PE, input bits, memory of the weights
_PRODUCTS = """
 64 64 16  8 1 block | 64 64 32 16 1 block | 64 32  8  4 1 block | 256 10 32  1 1 block | 144 16  9  4 1 block
256 64  4 16 1 block | 72 24 24  2 1 block | 48 48 48  2 1 block | 100 10  1  1 1 block |  36 12  3 12 1 block
512 32 64  4 1 block | 576 64 16 2 1 block | 64 24  2  4 8 block |  64 16  8  1 8 block |  27  8  3  4 8 block
  9  8  1  1 8 block | 64 32  4  8 2 block | 48 16  8  2 2 block |  64 32  8  2 8 block |  40 20 10  5 1 block
 64 10 64 10 1 block | 32 16 32 16 1 block | 24 24 24 24 1 block |   9  8  9  8 1 block |  48 10 48 10 1 block
 64 10 64  5 1 distributed | 256 32 16 4 1 distributed | 48 24 6 8 1 distributed | 128 64 16 2 1 distributed
  9 16  9  2 8 distributed |  32 32  8 4 1 distributed
"""
_LARGE_PRODUCTS = """
1024 256 64 8 1 block | 1024 64 32 4 1 block | 576 64 48 4 1 block | 576 128 64 2 1 block | 512 64 64 2 2 block
256 64 64 16 1 block | 64 64 32 64 1 block | 784 256 49 16 1 block | 64 64 16 16 8 block | 27 16 9 8 8 block
 64 64 64 64 1 block
"""
# bits or bytes, fan-in, channels, PE, crossings (those of an expression, or their number if random), implementation
_SITES = """
bits 64 64 8; x; table | bits 64 64 8; add(sin(x), x); table | bits 256 64 8; cos(x); table
bits 64 64 8; x; comparators | bits 64 64 8; add(sin(x), x); comparators | bits 256 64 8; cos(x); comparators
bits 64 64 8; 1; table | bits 64 64 8; 4; table | bits 256 32 4; 8; table | bits 48 48 48; sin(mul(3, x)); table
bits 576 16 16; sub(learned, abs(x)); table | bits 144 16 2; cos(x); table | bits 784 32 4; x; table
bits 784 16 4; sin(mul(3, x)); table | bits 64 24 24; x; table | bits 128 128 4; sin(scale(x)); table
bits 36 12 3; x; table | bits 256 32 1; x; table | bits 256 16 1; sin(mul(3, x)); table
bits 32 32 4; max(cos(x), atan(x)); table | bits 512 16 8; sin(mul(3, x)); table
bits 100 10 5; mul(sin(x), sigmoid(x)); table | bits 64 64 8; sin(mul(3, x)); search | bits 784 32 2; cos(x); search
bytes 9 16 4; sin(mul(3, x)); search | bytes 64 32 4; x; search | bytes 64 16 2; sin(mul(3, x)); search
bytes 64 16 16; cos(x); search | bytes 64 24 2; x; comparators | bytes 9 16 4; cos(x); comparators
bytes 64 24 4; x; comparators | bytes 64 16 16; add(sin(x), x); comparators | bytes 27 8 2; cos(x); comparators
bytes 9 16 4; x; comparators | bytes 27 16 16; x; comparators | bytes 16 32 8; cos(x); comparators
bytes 9 16 4; x; table | bytes 9 8 8; cos(x); table | bytes 3 16 4; x; table
bits 64 64 8; cos(x); table | bits 64 48 6; sub(learned, abs(x)); table | bits 128 32 4; cos(x); table
bits 256 32 4; sub(learned, abs(x)); table | bits 64 32 8; sin(scale(x)); table | bits 144 16 4; sin(scale(x)); table
bits 48 24 4; mul(sin(x), sigmoid(x)); table | bits 72 24 3; sin(mul(3, x)); table | bits 100 20 2; cos(x); table
bits 512 32 4; sub(learned, abs(x)); table | bits 96 48 48; sub(learned, abs(x)); table | bits 24 24 6; x; table
bits 400 16 2; x; table | bits 32 64 4; cos(x); table | bits 64 128 2; sin(scale(x)); table
bits 64 64 1; sub(learned, abs(x)); table | bits 30 128 16; 1; table | bits 192 30 5; 1; table | bits 64 48 2; x; table
bits 64 64 1; x; comparators | bits 48 96 3; cos(x); comparators | bits 128 64 2; sub(learned, abs(x)); comparators
 bits 256 32 4; sin(mul(3, x)); table in block RAM
bytes 64 64 64; add(sin(x), x); search | bytes 784 64 16; x; comparators | bits 256 64 32; cos(x); table
bits 64 128 64; sub(learned, abs(x)); table | bits 1024 512 16; x; comparators | bits 576 64 2; x; comparators
bits 1152 128 2; sub(learned, abs(x)); comparators | bits 1024 128 4; cos(x); search | bits 576 64 4; x; table
"""
# bits per element, elements per word before and after
_CONVERTERS = """
1 2 16 | 1 8 24 | 1 16 64 | 1 1 9 | 1 24 8 | 1 64 16 | 1 16 2 | 1 48 1 | 1 8 12 | 1 12 8 | 1 24 16 | 1 10 64
1 48 36 | 8 1 4 | 8 4 1 | 7 2 10 | 8 2 3
"""
# words, bits
_FIFOS = """
2 1 | 2 8 | 2 24 | 2 72 | 3 8 | 4 24 | 8 4 | 16 8 | 24 16 | 32 64 | 64 1 | 64 9 | 100 8 | 200 2 | 34 32 | 500 8
1026 16 | 3000 1
"""
# height, width, channels, kernel, stride, SIMD, bits, form
_WINDOWS = """
 8  8  1 3 1 1 8 dense | 12 12 16 3 1 4 1 dense | 28 28 8 3 1 8 1 dense | 14 14 32 3 1 32 1 dense
16 16  3 5 1 3 8 dense | 14 14 24 3 2 24 1 dense | 6 6 8 3 1 1 1 dense | 12 12 12 1 2 4 1 dense
10 10 12 2 2 6 1 apart | 9 9 8 3 2 2 1 apart | 28 28 1 3 1 1 8 whole | 12 12 8 3 1 8 1 whole
14 14 16 2 1 16 1 whole | 8 8 12 5 1 12 1 whole | 12 12 16 3 2 16 1 whole
"""
# height, width, channels, amount, SIMD, bits
_PADDINGS = """
28 28 1 1 1 8 | 8 8 16 1 4 1 | 12 12 8 1 8 1 | 10 10 24 2 24 1 | 14 14 64 1 2 1 | 6 6 3 1 3 8 | 16 16 32 1 32 4
"""
# height, width, channels, kernel, PE, bits
_POOLS = """
8 8 16 2 4 1 | 12 12 8 2 8 1 | 26 26 64 2 16 1 | 9 9 24 3 6 1 | 10 10 8 2 2 7 | 12 12 4 2 4 9 | 14 14 32 2 1 1
"""
# windows, pixels per window, channels, PE, bits
_WINDOW_POOLS = "36 4 16 4 1 | 25 9 24 24 1 | 16 9 8 2 7 | 49 4 12 12 6"
# labels, PE, bits
_LABELS = """
10 1 7 | 10 10 7 | 10 2 9 | 10 5 6 | 2 1 5 | 12 4 8 | 100 1 10 | 5 5 5 | 10 1 20 | 10 10 24 | 10 2 16
2 2 5 | 3 3 6 | 6 6 7 | 10 10 5 | 16 16 7 | 20 20 8 | 26 26 6
"""
# features, channels, inputs of a channel, crossings of a row, "same" or "fewer" in most channels
_WIRED = """
100 50 1 1 same | 60 40 2 1 same | 200 100 3 2 same | 784 200 4 1 same | 1044 300 6 1 same | 300 1000 6 3 same
64 10 6 2 same | 300 100 6 6 fewer | 200 60 7 1 same | 200 60 7 4 same | 200 50 8 1 same | 200 50 8 2 same
400 40 8 8 fewer | 200 40 9 1 same | 300 40 9 3 same | 300 40 10 1 same | 300 40 10 2 same | 300 40 10 9 fewer
300 60 12 1 same | 300 60 12 2 same | 300 30 12 3 same | 300 30 12 9 fewer | 500 30 14 1 same | 500 30 14 3 same
500 30 16 1 same | 500 30 16 2 same | 500 20 16 4 same | 500 20 16 12 fewer | 400 20 20 1 same | 400 12 20 3 same
400 16 24 1 same | 400 12 24 2 same
"""
# features, channels, inputs of a channel
_COUNTS = """
100 10 10 | 200 10 20 | 400 10 40 | 1000 10 100 | 500 5 100 | 600 20 30 | 60 2 30 | 600 2 300 | 600 6 100 | 101 10 11
300 3 100 | 480 10 48 | 240 16 15 | 128 4 32
"""
# channels, PE, bits, shift, bits of the biases, bits of the factors (0: none)
_BIASES = """
10 1 10 0 8 0 | 10 1 8 1 12 0 | 10 10 10 0 8 0 | 100 1 11 0 10 0 | 100 4 9 2 10 0 | 512 1 10 0 12 0
10 1 10 0 12 7 | 10 1 8 1 16 10 | 10 2 10 0 12 12 | 10 10 7 0 12 6 | 100 1 11 0 16 8 | 10 1 10 0 8 2 | 20 5 9 1 16 5
"""
# channels, PE, bits of both
_SUMS = "16 1 4 4 | 32 8 4 4 | 64 2 3 5 | 16 16 2 2 | 24 4 8 8"
# pixels, channels, PE, bits of the image and of the vector
_VECTOR_SUMS = "64 16 4 4 4 | 16 64 1 4 4 | 100 128 2 3 6 | 49 32 32 4 4"
# pixels, PE, bits, channels of both
_CONCATS = "64 4 1 16 16 | 16 1 4 32 16 | 100 8 2 8 24 | 1 1 8 10 20"
# channels, PE, bits; every other word is kept
_SELECTS = "64 4 1 | 256 2 4 | 512 1 2 | 30 5 8"
# height, width, channels, kernel, PE, bits
_SUM_POOLS = "8 8 16 2 4 4 | 16 16 64 16 1 4 | 14 14 32 2 1 6 | 12 12 24 3 8 2 | 28 28 16 7 16 4"
# windows, kernel, channels, PE, bits
_WINDOW_SUMS = "36 2 16 4 4 | 25 3 24 24 2 | 16 3 8 2 7"
# groups, area, inputs and outputs of a group, PE (channels), SIMD, bits of inputs and of weights, memory
_GROUPED = """
16 9 1 1 4 1 1 1 distributed | 32 9 1 1 1 1 1 1 block | 8 9 4 4 8 4 1 1 distributed | 16 9 1 1 16 1 4 1 distributed
 8 9 2 2  2 2 4 8 distributed
"""
# fan-in, channels, SIMD, PE, input bits, weight bits
_PLANE_PRODUCTS = """
64 32 8 4 1 2 | 64 32 8 4 2 2 | 144 32 16 8 2 2 | 288 64 32 8 2 2 | 27 32 3 4 8 8 | 128 10 8 1 4 8 | 64 16 4 2 2 4
"""


def _rows(text: str) -> Iterator[list[Any]]:
    for row in text.replace("\n", "|").split("|"):
        if row.strip():
            yield [int(word) if word.isdigit() else word for word in row.split()]


def single_nodes() -> dict[str, HardwareNode]:
    """Return single nodes by name. They cover the sizes found in networks; models are fitted to all of them."""
    nodes: dict[str, HardwareNode] = {}
    for fan_in, channels, simd, pe, bits, style in _rows(_PRODUCTS + _LARGE_PRODUCTS):
        large = "_large" * (pe * simd * bits > 700)
        name = f"product_{fan_in}x{channels}_{simd}x{pe}_{bits}_{style}{large}"
        nodes[name] = Product.of(_weights((channels, fan_in), seed=fan_in), pe, simd, bits, ram_style=style)
    for number, row in enumerate(filter(str.strip, _SITES.replace("\n", "|").split("|"))):
        nodes[f"crossings_{number}"] = _site(row, number)
    for bits, before, after in _rows(_CONVERTERS):
        stream = Stream((24 * before * after,), before, bits)
        nodes[f"converter_{before}x{bits}_{after}"] = WidthConverter(stream, after)
    for depth, width in _rows(_FIFOS):
        nodes[f"fifo_{depth}x{width}"] = Fifo(Stream((width,), width, 1), depth)
    for height, width, channels, kernel, stride, simd, bits, form in _rows(_WINDOWS):
        name = f"windows_{height}x{width}x{channels}_{kernel}by{stride}_{simd}x{bits}_{form}"
        image, window, by = Stream((height, width, channels), simd, bits), (kernel, kernel), (stride, stride)
        nodes[name] = InputGenerator(image, window, by, depthwise=form == "apart", parallel=form == "whole")
    for height, width, channels, amount, simd, bits in _rows(_PADDINGS):
        name = f"padding_{height}x{width}x{channels}_{amount}_{simd}x{bits}"
        level = (
            2 ** (bits - 1) if bits > 1 else 0
        )  # bytes and levels are padded with the middle of their range
        nodes[name] = Padding(Stream((height, width, channels), simd, bits), (amount,) * 4, level)
    for height, width, channels, kernel, pe, bits in _rows(_POOLS):
        name = f"pool_{height}x{width}x{channels}_{kernel}_{pe}x{bits}"
        nodes[name] = MaxPool(Stream((height, width, channels), pe, bits), (kernel, kernel))
    for windows, area, channels, pe, bits in _rows(_WINDOW_POOLS):
        stream = Stream((windows, 1, area * channels), pe, bits)
        nodes[f"windowpool_{area}_{channels}_{pe}x{bits}"] = WindowMaxPool(stream, (area, 1))
    for labels, pe, bits in _rows(_LABELS):
        nodes[f"label_{labels}_{pe}x{bits}"] = LabelSelect(Stream((labels,), pe, bits, signed=bits > 10))
    return nodes | _further_nodes() | _wired_nodes()


def _wired_nodes() -> dict[str, HardwareNode]:
    """Return the nodes of sparse layers."""
    nodes: dict[str, HardwareNode] = {}
    for seed, (features, channels, inputs, crossings, form) in enumerate(_rows(_WIRED)):
        counts = [crossings] * channels
        if form == "fewer":
            counts = [1 + channel % crossings for channel in range(channels)]
        rows = np.concatenate([_row(inputs, count, [seed, channel]) for channel, count in enumerate(counts)])
        table = from_bits(Grid(0, inputs), rows)
        name = f"wired_{features}_{channels}x{inputs}_{crossings}"
        nodes[name] = Wired.of(_sparse_weights(features, channels, inputs, seed), table)
    for seed, (features, channels, inputs) in enumerate(_rows(_COUNTS)):
        if channels * inputs >= features:  # the votes of neurons, in groups
            weights = np.zeros((channels, features), np.int8)
            for channel, group in enumerate(np.array_split(np.arange(features), channels)):
                weights[channel, group] = 1
        else:
            weights = _sparse_weights(features, channels, inputs, seed)
        nodes[f"count_{features}_{channels}x{inputs}"] = WiredCount.of(weights)
    return nodes


def _row(inputs: int, crossings: int, seed: list[int]) -> np.ndarray:
    flips = np.zeros((1, inputs + 1), np.uint8)
    flips[0, 1 + np.random.default_rng(seed).permutation(inputs)[:crossings]] = 1
    return np.bitwise_xor.accumulate(flips, axis=1)


def _sparse_weights(features: int, channels: int, inputs: int, seed: int) -> np.ndarray:
    rng, weights = np.random.default_rng(seed), np.zeros((channels, features), np.int8)
    for row in weights:
        row[rng.choice(features, inputs, replace=False)] = rng.choice([-1, 1], inputs)
    return weights


def _further_nodes() -> dict[str, HardwareNode]:
    """Return the nodes of files, residual networks and integer weights."""
    nodes: dict[str, HardwareNode] = {}
    for channels, pe, bits, shift, bias_bits, factor_bits in _rows(_BIASES):
        name = f"bias_{channels}_{pe}x{bits}_{shift}_{bias_bits}_{factor_bits}"
        nodes[name] = _bias(Stream((channels,), pe, bits), shift, bias_bits, factor_bits)
    for channels, pe, a_bits, b_bits in _rows(_SUMS):
        a, b = Stream((8, 8, channels), pe, a_bits), Stream((8, 8, channels), pe, b_bits)
        nodes[f"sum_{channels}_{pe}x{a_bits}_{b_bits}"] = Add(a, b)
    for pixels, channels, pe, a_bits, b_bits in _rows(_VECTOR_SUMS):
        image, vector = Stream((pixels, 1, channels), pe, a_bits), Stream((channels,), pe, b_bits)
        nodes[f"vectorsum_{pixels}x{channels}_{pe}x{a_bits}_{b_bits}"] = AddVector(image, vector)
    for pixels, pe, bits, *both in _rows(_CONCATS):
        a, b = (Stream((pixels, 1, channels), pe, bits) for channels in both)
        nodes[f"concat_{both[0]}_{both[1]}_{pe}x{bits}"] = Concat(a, b)
    for channels, pe, bits in _rows(_SELECTS):
        kept = tuple(channel for channel in range(channels) if channel // pe % 2 == 0)
        nodes[f"select_{channels}_{pe}x{bits}"] = Select(Stream((8, 8, channels), pe, bits), kept)
    for height, width, channels, kernel, pe, bits in _rows(_SUM_POOLS):
        image = Stream((height, width, channels), pe, bits)
        nodes[f"sumpool_{height}x{width}x{channels}_{kernel}_{pe}x{bits}"] = SumPool(image, (kernel, kernel))
    for windows, kernel, channels, pe, bits in _rows(_WINDOW_SUMS):
        stream = Stream((windows, 1, kernel * kernel * channels), pe, bits)
        nodes[f"windowsum_{kernel}_{channels}_{pe}x{bits}"] = WindowSumPool(stream, (kernel, kernel))
    for groups, area, ins, outs, pe, simd, bits, weight_bits, style in _rows(_GROUPED):
        shape = (groups * outs, area, ins)
        name = f"grouped_{groups}x{area}x{ins}x{outs}_{pe}x{simd}_{bits}x{weight_bits}_{style}"
        nodes[name] = GroupedProduct(
            *(area, ins, groups * outs, groups, pe, simd),
            *((8, 8), bits, weight_bits, style),
            _weights(shape, groups, weight_bits),
        )
    for fan_in, channels, simd, pe, bits, weight_bits in _rows(_PLANE_PRODUCTS):
        weights = _weights((channels, fan_in), fan_in, weight_bits)
        name = f"product_{fan_in}x{channels}_{simd}x{pe}_{bits}x{weight_bits}"
        nodes[name] = Product.of(weights, pe, simd, bits, weight_bits=weight_bits)
    return nodes


def _bias(source: Stream, shift: int, bits: int, factor_bits: int) -> Bias:
    """Return a bias with random numbers that fill their bits."""
    rng, channels, half = np.random.default_rng(bits), source.elements, 1 << (bits - 1)
    biases = rng.integers(-half, half, channels)
    if not factor_bits:
        return Bias(source, shift, -half, half - 1, biases=biases)
    most = (1 << factor_bits) - 1
    factors = rng.integers(most // 2 + 1, most + 1, channels)
    return Bias(source, shift, -half, half - 1, 1, most, biases, factors)


def _site(row: str, seed: int) -> CrossingSite:
    sizes, what, implementation = (part.strip() for part in row.split(";"))
    source, *numbers = sizes.split()
    fan_in, channels, pe = map(int, numbers)
    grid = Grid(0, fan_in * (255 if source == "bytes" else 1))
    table = (
        random_table(grid, channels, int(what), seed)
        if what.isdigit()
        else drawn_table(grid, channels, what, seed)
    )
    return CrossingSite.of(table, pe, implementation)


def _weights(shape: tuple[int, ...], seed: int, bits: int = 1) -> np.ndarray:
    most = 2 ** (bits - 1) - 1  # several bits have Brevitas' narrow range
    values = [-1, 1] if bits == 1 else range(-most, most + 1)
    return np.random.default_rng(seed).choice(np.array(values, np.int8), shape)


def random_table(grid: Grid, channels: int, crossings: int, seed: int) -> CrossingTable:
    """Return crossings at random places, the same number in each channel."""
    rng = np.random.default_rng(seed)
    flips = np.zeros((channels, len(grid)), np.uint8)
    for row in flips:
        row[1 + rng.permutation(len(grid) - 1)[:crossings]] = 1
    return from_bits(grid, np.bitwise_xor.accumulate(flips, axis=1))


def _drawn_slot(grid: Grid, channels: int, expression: str, seed: int) -> ActivationSlot:
    """Return an activation behind a batch norm of random statistics and parameters.

    The accumulators are assumed to be sums of independent terms; for bytes, sums of pixels of which half are dark.
    """
    generator = torch.Generator().manual_seed(seed)
    terms, size = (len(grid) - 1, 1) if grid.step == 2 or len(grid) < 2000 else ((len(grid) - 1) / 255, 100.0)
    deviation = size * terms**0.5 * grid.step / 2

    def normal(scale: float) -> torch.Tensor:
        return scale * torch.randn(channels, generator=generator)

    slot = ActivationSlot(channels)
    slot.install(parse(expression))
    slot.norm.running_mean = (grid.low + grid.high) / 2 + normal(0.5 * deviation)
    slot.norm.running_var = (deviation * torch.exp(normal(0.2))) ** 2
    slot.norm.weight.data = 1 + normal(0.2)
    slot.norm.bias.data = normal(0.3)
    for parameter in slot.function.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return slot.eval()


def drawn_table(grid: Grid, channels: int, expression: str, seed: int, bits: int = 1) -> CrossingTable:
    """Return the crossings of an expression behind random batch norms; with several bits, those of a ladder of levels."""
    slot = _drawn_slot(grid, channels, expression, seed)

    def response(accumulators: np.ndarray) -> np.ndarray:
        return slot.response(torch.from_numpy(accumulators)).numpy()

    if bits == 1:
        return from_response(grid, channels, response)
    values = response(np.arange(grid.low, grid.high + 1, grid.step))
    levels = np.clip(np.rint(values * 2 ** (bits - 1) + (2**bits - 1) / 2), 0, 2**bits - 1).astype(int)
    return from_bits(
        grid, np.stack([(levels >> plane) & 1 for plane in range(bits)], 1).reshape(-1, len(grid))
    )


# The choice of networks depends on folding, which depends on prices, and so does the implementation of crossings. These
# fixed prices keep the choice stable when the fitted constants change.
_DRAWN_WITH = cost_model.Constants(
    product_base=0.0,
    product_count=1.01,
    product_power=1.0,
    product_accumulator=1.2,
    product_buffer=2.14,
    product_address=2.26,
    product_recode=0.0727,
    unrolled_count=1.07,
    unrolled_shared=5.34,
    unrolled_channel=0.205,
    compare=0.553,
    rom_few=1e9,
    rom_word=0.0257,
    rom_power=1.05,
    compare_power=0.974,
    table_row=0.181,
    table_power=1.25,
    table_rows_power=0.907,
    table_leaf=1.68,
    table_channel=0.387,
)


@contextmanager
def using(constants: cost_model.Constants) -> Iterator[None]:
    """Use other constants for prices within the context."""
    before = cost_model.CONSTANTS
    cost_model.CONSTANTS = constants
    forget()
    try:
        yield
    finally:
        cost_model.CONSTANTS = before
        forget()


def networks() -> Iterator[Case]:
    """Yield the networks, fitted ones first; no held-out network has the same layer sizes as a fitted one."""
    fitted = [*_digits_networks(), *_odd_networks("fitted", _FITTED)]
    yield from fitted
    known = {_sizes(case.net.network) for case in fitted}
    odd = _odd_networks("held out", _HELD_OUT)
    for case in (*_searched_networks(), *odd, *_wired_networks(), *_large_networks()):
        if _sizes(case.net.network) not in known:
            yield case


def _sizes(network: Network) -> tuple[Any, ...]:
    return network.input, *network.shapes().values()


def _digits_networks() -> Iterator[Case]:
    for index, (topology, parameters, expression, cycles) in enumerate(_TRAINED):
        net = remove_first_bits(_trained(topology, parameters, expression, seed=index))[0]
        folding = _explicit(net.network, Folding(target_cycles=cycles))
        built = _implementations(net.network, folding)
        yield Case(f"digits {index}, fitted", False, "trained", net, folding, implementations=built)


# ---- networks that a search may reach


@dataclass(frozen=True)
class Searched:
    """A candidate of a search, without numbers."""

    topology: str
    parameters: dict[str, Any]
    expression: str
    network: Network
    folding: Folding


# Sample shape, seed, number of networks, and FINN's LUTs of the smallest and of the largest one.
_SEARCHES: dict[str, tuple[tuple[int, ...], int, int, tuple[float, float]]] = {
    "digits": ((1, 8, 8), 11, 10, (600, 30_000)),
    "28x28": ((1, 28, 28), 12, 8, (600, 30_000)),
    "32x32": ((3, 32, 32), 13, 4, (2_000, 20_000)),
}


def _searched_networks() -> Iterator[Case]:
    for data, (shape, seed, count, sizes) in _SEARCHES.items():
        with using(_DRAWN_WITH):
            chosen = _evenly(_candidates(shape, seed, 8 * count), count, *sizes)
        for index, found in enumerate(chosen):
            numbers = "trained" if data == "digits" else "drawn"
            net = remove_first_bits(next(_numbered(found, numbers, 100 * seed + index)))[0]
            folding, built = _as_searched(net.network, found.folding)
            name = f"{data} {index}, held out"
            yield Case(name, True, numbers, net, folding, implementations=built)


def _numbered(found: Searched, numbers: str, seed: int) -> Iterator[IntegerNetwork]:
    """Yield the candidate with numbers, then with those of other expressions, skipping useless ones.

    A candidate is useless if training fails or if every channel of a layer is constant. In the latter case the network
    always answers the same: a search drops it, and synthesis removes all of it.
    """
    rng, pairs = random.Random(seed), Encoding("pair")
    expression = found.expression
    while True:
        try:
            if numbers == "trained":
                net = _trained(found.topology, found.parameters, expression, seed)
            else:
                net = with_numbers(found.network, seed, expression, reached=True)
            if all(table.counts().any() for table in net.tables.values()):
                yield net
        except TrainingFailure:
            pass
        expression = _drawn_expression(rng, pairs)


def _drawn_expression(rng: random.Random, pairs: Encoding) -> str:
    """Draw an expression that can change its sign and that no model is fitted to."""
    while True:
        expression = pairs.decode([rng.randrange(size) for size in pairs.sizes()])
        if constant_bit(expression) is None and str(expression) not in EXPRESSIONS:
            return str(expression)


def _candidates(shape: tuple[int, ...], seed: int, count: int) -> list[Searched]:
    """Draw candidates that hardware supports, for images (channels, height, width)."""
    rng, pairs, found = random.Random(seed), Encoding("pair"), list[Searched]()
    while len(found) < count:
        expression = pairs.decode([rng.randrange(size) for size in pairs.sizes()])
        name, parameters, cycles = _random_topology(rng)
        if constant_bit(expression) is not None or str(expression) in EXPRESSIONS:
            continue
        try:
            network = describe(build(name, shape, 10, parameters), shape)
            plan(network, Folding(target_cycles=cycles))
        except (FlowError, ModelError):
            continue
        found.append(Searched(name, parameters, str(expression), network, Folding(target_cycles=cycles)))
    return found


def _random_topology(rng: random.Random) -> tuple[str, dict[str, Any], int]:
    """Draw a topology, its parameters and the target in cycles per image."""
    if rng.random() < 0.5:
        hidden = [8 * round(2 ** rng.uniform(0, 5))] * rng.randint(1, 3)
        if rng.random() < 0.5:
            hidden = [8 * round(2 ** rng.uniform(0, 5)) for _ in hidden]
        return "mlp", {"hidden": hidden, "input_bits": rng.choice([1, 8])}, round(2 ** rng.uniform(3, 12))
    width, deep = 4 * round(2 ** rng.uniform(0, 2.6)), rng.randint(1, 2)
    blocks = [[width << block] * deep for block in range(rng.randint(1, 3))]
    parameters = {
        "blocks": blocks,
        "pool": [True] * len(blocks),
        "dense": rng.choice([[], [16], [32], [64]]),
        "padding": rng.choice([0, 1]),
        "input_bits": rng.choice([1, 8]),
    }
    return "cnv", parameters, round(2 ** rng.uniform(7, 14))


_Sized = TypeVar("_Sized", Searched, Drawn)


def _evenly(cases: Sequence[_Sized], count: int, least: float, most: float) -> list[_Sized]:
    """Choose cases of all sizes, evenly on a logarithmic scale of FINN's LUT estimate."""
    sizes = [estimate(case.network, case.folding).finn.lut for case in cases]
    left, chosen = [index for index, size in enumerate(sizes) if size <= most], list[_Sized]()
    for size in np.geomspace(least, most, count):
        nearest = min(left, key=lambda index: abs(math.log(sizes[index] / size)))
        chosen.append(cases[nearest])
        left.remove(nearest)
    return chosen


# ---- hard-wired networks. Their constants are fitted to single nodes, so all of them are held out.

_BYTES = {"thermometer": 3, "thresholds": "uniform"}
# Widths, inputs of a neuron, encoding of the input, further parameters of the topology, activation.
_WIRED_NETWORKS: list[tuple[list[int], int | list[int], Any, dict[str, Any], str]] = [
    ([50], 6, 1, {}, "x"),
    ([100], 6, {"planes": 2}, {}, "sin(2*x)"),
    ([100], 4, _BYTES, {}, "sin(x)"),
    ([200], 6, {"thermometer": 2}, {}, "cos(x)"),
    ([200], 8, 1, {}, "sin(2*x)"),
    ([300], 6, _BYTES, {}, "row(x)"),
    ([400], 6, {"planes": 3}, {}, "sin(x)"),
    ([400], 5, 1, {"head": "sparse", "head_inputs": 24}, "sin(2*x)"),
    ([150], 12, {"planes": 2}, {}, "sin(x)"),
    ([100], 16, 1, {}, "x"),
    ([200, 100], 6, {"planes": 2}, {}, "sin(x)"),
    ([200, 120], 4, 1, {"connections": "random"}, "sin(2*x)"),
    ([120, 90, 60], 6, _BYTES, {}, "cos(x)"),
    ([600], 6, {"planes": 2}, {"connections": "random"}, "row(x)"),
    ([800], 6, 1, {}, "sin(2*x)"),
    ([120], 6, _BYTES, {"neurons": "tables"}, "x"),
    ([300], 6, 1, {"neurons": "tables"}, "x"),
    ([200], 4, {"planes": 2}, {"neurons": "tables"}, "x"),
    ([200, 80], [6, 5], 1, {"neurons": ["tables", "sums"]}, "sin(x)"),
]


def _wired_networks() -> Iterator[Case]:
    for index, (widths, inputs, bits, further, expression) in enumerate(_WIRED_NETWORKS):
        parameters = {"widths": widths, "inputs": inputs, "input_bits": bits, **further}
        net = simplified(_trained("hardwired", parameters, expression, seed=index))[0]
        net = remove_first_bits(net)[0]
        yield Case(f"wired {index}, held out", True, "trained", net, Folding(registers=1 + index % 2))


# ---- networks of 9,000 to 40,000 LUTs: FINN's CNV and LFC, and a residual one

_HALF_CNV = {"blocks": [[32, 32], [64, 64], [128, 128]], "dense": [256, 256]}
# Name, topology, its parameters, sample shape, bits of activations and of weights, cycles per image.
_LARGE: list[tuple[str, str, dict[str, Any], tuple[int, ...], int, int, int]] = [
    ("LFC_1W1A", "lfc", {}, (1, 28, 28), 1, 1, 512),
    ("LFC_1W2A", "lfc", {}, (1, 28, 28), 2, 1, 1_024),
    ("MLP_8_bits", "mlp", {"hidden": [1024, 512]}, (1, 28, 28), 1, 1, 1_024),
    ("CNV_1W1A", "cnv", {}, (3, 32, 32), 1, 1, 32_768),
    ("CNV_1W1A", "cnv", {}, (3, 32, 32), 1, 1, 16_666),
    ("CNV_1W2A", "cnv", {}, (3, 32, 32), 2, 1, 49_152),
    ("ResNetE", "resnete", {"widths": [32, 64], "blocks": [2, 2]}, (3, 32, 32), 1, 1, 65_536),
    ("CNV_2W2A_half", "cnv", _HALF_CNV, (3, 32, 32), 2, 2, 32_768),
    ("LFC_1W1A", "lfc", {}, (1, 28, 28), 1, 1, 256),
    ("CNV_1W1A", "cnv", {}, (3, 32, 32), 1, 1, 12_800),
    ("CNV_1W1A", "cnv", {}, (3, 32, 32), 1, 1, 8_333),
    ("CNV_2W2A", "cnv", {}, (3, 32, 32), 2, 2, 49_152),
]


def _large_networks() -> Iterator[Case]:
    """Yield networks with drawn numbers: plain signs or plain levels, like those of FINN's networks."""
    for index, (name, topology, parameters, shape, bits, weight_bits, cycles) in enumerate(_LARGE):
        network = describe(build(topology, shape, 10, parameters), shape)
        network = _with_bits(network, bits, weight_bits)
        net = remove_first_bits(with_numbers(network, 1400 + index, "x", reached=True))[0]
        folding, built = _as_searched(net.network, Folding(target_cycles=cycles))
        case = f"large {name} {cycles}, held out"
        yield Case(case, True, "drawn", net, folding, implementations=built)


def _with_bits(network: Network, bits: int, weight_bits: int) -> Network:
    """Return a network with more bits in its binary activations and weights."""
    layers = []
    for layer in network.layers:
        match layer.operation:
            case Activation(crossings, 1) if bits > 1:
                changed = Activation(
                    tuple(2 ** (bits - 1 - row % bits) for row in range(bits * len(crossings))), bits
                )
                layers.append(replace(layer, operation=changed))
            case Dense(weight_bits=1) | Conv(weight_bits=1) if weight_bits > 1:
                layers.append(replace(layer, operation=replace(layer.operation, weight_bits=weight_bits)))
            case _:
                layers.append(layer)
    return replace(network, layers=tuple(layers))


# ---- networks beyond those of a search: strides, overlapping pools, activations of two bits, kernels of all sizes

# Seed, number of networks, and the largest LUT estimate of FINN.
_FITTED = ((1, 10, 4500), (2, 18, 4500))
_HELD_OUT = ((4, 7, 9_000),)


def _odd_networks(part: str, draws: Sequence[tuple[int, int, int]]) -> Iterator[Case]:
    with using(_DRAWN_WITH):
        cases = [case for seed, count, most in draws for case in _drawn_cases(seed, count, most)]
    for index, case in enumerate(cases):
        numbers = "random" if index % 6 == 5 else "drawn"
        expression = "" if numbers == "random" else random.Random(index).choice(EXPRESSIONS)
        net = remove_first_bits(with_numbers(case.network, index, expression))[0]
        if held_out := part == "held out":
            folding, built = _as_searched(net.network, case.folding)
        else:
            folding = _explicit(net.network, case.folding)
            built = _implementations(net.network, folding)
        layers = tuple(net.weights) if index % 5 == 3 else ()
        yield Case(f"{numbers} {index}, {part}", held_out, numbers, net, folding, layers, built)


def _drawn_cases(seed: int, count: int, most: int) -> list[Drawn]:
    cases = random_cases(4 * count, seed)
    return _evenly(cases, count, min(estimate(case.network, case.folding).finn.lut for case in cases), most)


def _implementations(network: Network, folding: Folding) -> dict[str, str]:
    with using(_DRAWN_WITH):
        elements = plan(network, folding).elements
    return {each.layer: each.node.implementation for each in elements if isinstance(each.node, CrossingSite)}


def _as_searched(network: Network, folding: Folding) -> tuple[Folding, dict[str, str]]:
    """Return the lanes and implementations that a search chooses at the fixed prices."""
    with using(_DRAWN_WITH):
        products = plan(network, folding).products
    lanes = tuple((layer, *product.lanes) for layer, product in products.items())
    chosen = Folding(layers=lanes)
    return chosen, _implementations(network, chosen)


def _explicit(network: Network, folding: Folding) -> Folding:
    """Return a folding that does not depend on the models' prices: the smallest PE * SIMD that meets the target."""
    if folding.target_cycles is None:
        return folding
    layers = []
    for layer, product in plan(network, Folding()).products.items():
        pairs = [(pe, simd) for pe in divisors(product.channels) for simd in divisors(product.fan_in)]
        work = math.prod(product.vectors) * product.channels * product.fan_in
        fast = [pair for pair in pairs if work <= folding.target_cycles * math.prod(pair)]
        pe, simd = min(fast, key=lambda pair: (math.prod(pair), abs(math.log(4 * pair[0] / pair[1]))))
        layers.append((layer, pe, simd))
    return Folding(layers=tuple(layers))


# Fitted networks for digits: topology, its parameters, activation, cycles per image.
_TRAINED: list[tuple[str, dict[str, Any], str, int]] = [
    ("mlp", {"hidden": [16, 16], "input_bits": 8}, "add(sin(x), x)", 64),
    ("mlp", {"hidden": [32, 32], "input_bits": 8}, "x", 256),
    ("mlp", {"hidden": [64, 64], "input_bits": 1}, "mul(sin(x), sigmoid(x))", 256),
    ("mlp", {"hidden": [24, 24], "input_bits": 8}, "sin(scale(x))", 64),
    ("mlp", {"hidden": [48, 48], "input_bits": 8}, "sub(learned, abs(x))", 64),
    ("mlp", {"hidden": [56, 56], "input_bits": 1}, "sin(mul(3, x))", 256),
    ("mlp", {"hidden": [64, 64, 64], "input_bits": 8}, "add(sin(x), x)", 256),
    ("mlp", {"hidden": [128, 32], "input_bits": 1}, "max(cos(x), atan(x))", 512),
    ("cnv", {"blocks": [[8]], "dense": [], "input_bits": 8}, "cos(x)", 400),
    ("cnv", {"blocks": [[8, 8]], "dense": [16], "input_bits": 8}, "mul(sin(x), sigmoid(x))", 500),
    ("cnv", {"blocks": [[12], [12]], "dense": [], "padding": 1, "input_bits": 8}, "x", 1200),
    ("cnv", {"blocks": [[8], [16]], "dense": [24], "padding": 1, "input_bits": 1}, "sin(scale(x))", 640),
]


@lru_cache(maxsize=1)
def _digits() -> Data:
    return load("digits", validation=0.3)


_SETTINGS = TrainingSettings(epochs=8, batch_size=64, surrogate="window", label_smoothing=0.0)
"""Fixed here, so that a new default leaves the networks as they were synthesised."""


def _trained(topology: str, parameters: dict[str, Any], expression: str, seed: int) -> IntegerNetwork:
    """Return a network trained on digits for a few seconds."""
    data = _digits()
    torch.set_num_threads(1)  # networks are small: threads would only wait for each other
    torch.manual_seed(seed)
    model = build(topology, data.input_shape, data.classes, parameters)
    install(model, [parse(expression)])
    train(model, data, _SETTINGS, seed)
    return to_integer(model, describe(model, data.input_shape))


def _reach(weights: np.ndarray, top: int) -> Grid:
    flat = weights.reshape(len(weights), -1).astype(np.int64)
    low, high = np.minimum(flat, 0).sum(axis=1).min(), np.maximum(flat, 0).sum(axis=1).max()
    return Grid(top * int(low), top * int(high), 1)


def with_numbers(network: Network, seed: int, expression: str, reached: bool = False) -> IntegerNetwork:
    """Return a network with random weights and with crossings of an expression or at random places.

    Args:
        network: The layers, and the numbers of crossings for random places.
        seed: Seed of the numbers.
        expression: Expression behind a random batch norm; "" for crossings at random places.
        reached: Whether crossings for bytes are within the range that the weights reach, as in trained networks.
    """
    shapes, grids, producers = network.shapes(), network.grids(), network.producers()
    inputs = {layer.name: layer.inputs[0] for layer in network.layers}
    weights, tables = {}, {}
    for number, layer in enumerate(network.layers):
        match layer.operation:
            case Dense(channels, bits):
                weights[layer.name] = _weights((channels, shapes[layer.inputs[0]][0]), seed + number, bits)
            case Conv(channels, kernel, groups=groups, weight_bits=bits):
                size = (channels, *kernel, shapes[layer.inputs[0]][-1] // groups)
                weights[layer.name] = _weights(size, seed + number, bits)
            case Activation(crossings, bits):
                producer, channels = producers[layer.name], len(crossings) // bits
                grid = grids[producer]
                if reached and grid.step == 1 and producer in weights:
                    grid = _reach(weights[producer], grids[inputs[producer]].high)
                tables[layer.name] = (
                    drawn_table(grid, channels, expression, seed + number, bits)
                    if expression
                    else random_table(grid, len(crossings), max(crossings), seed + number)
                )
    return remove_unreached(IntegerNetwork(network, weights, tables))
