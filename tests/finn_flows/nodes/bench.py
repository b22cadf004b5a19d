"""The bench of hardware nodes: made-up numbers, nodes side by side or in a row, RTL against numpy under stalls."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zerocross.finn_flows.chip.cells import Cells
from zerocross.finn_flows.chip.synthesis import synthesise
from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.crossings import from_bits as table_from_bits
from zerocross.finn_flows.network import Grid
from zerocross.finn_flows.nodes import (
    Add,
    AddVector,
    Concat,
    CrossingSite,
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
)
from zerocross.finn_flows.nodes.node import HardwareNode, divisors
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.design import INPUT, Design, Element
from zerocross.finn_flows.rtl.library import library, side_by_side
from zerocross.finn_flows.rtl.simulation import Port, Simulator, Trace, compile_design
from zerocross.finn_flows.rtl.streaming import elements, words

SAMPLES = 12
STALLS = [(0.0, 0.0), (0.5, 0.5), (0.9, 0.1), (0.1, 0.9)]

# ---- made-up numbers


def product(
    fan_in: int, channels: int, simd: int, pe: int, bits: int = 1, weight_bits: int = 1, **options: object
) -> Product:
    rng = np.random.default_rng([fan_in, channels, simd, pe])
    weights = rng.choice(np.array([-1, 1], np.int8), (channels, fan_in))
    if weight_bits > 1:
        half = 2 ** (weight_bits - 1)
        weights = rng.integers(-half, half + 1, weights.shape, np.int16)
        weights[0, 0], weights[-1, -1] = half, -half  # the extremes
    return Product.of(weights, pe, simd, bits, weight_bits=weight_bits, **options)


def crossing_table(channels: int, levels: int, crossings: int, low: int = 0, step: int = 1) -> CrossingTable:
    """As many crossings as asked in the busiest channel, any number below in the others, any first bit."""
    rng = np.random.default_rng([channels, levels, crossings])
    rows = np.zeros((channels, levels), np.uint8)
    for channel in range(channels):
        count = crossings if channel == 0 else rng.integers(0, crossings + 1)
        rows[channel, rng.choice(np.arange(1, levels), count, replace=False)] = 1
    rows[:, 0] = rng.integers(0, 2, channels)
    grid = Grid(low, low + step * (levels - 1), step)
    return table_from_bits(grid, np.bitwise_xor.accumulate(rows, axis=1))


def divisor(rng: np.random.Generator, number: int) -> int:
    return int(rng.choice(divisors(number)))


def highest(node: HardwareNode) -> list[int]:
    """The highest element of each input that a node is built for."""
    most = [stream.range[1] for stream in node.inputs.values()]
    match node:
        case CrossingSite(points=points):
            return [points - 1]
        case Add(high=int(high)) | AddVector(high=int(high)):
            second = min(most[1], high - min(most[0], high // 2))
            return [min(most[0], high - second), second]
        case SumPool(kernel=kernel, high=int(high)) | WindowSumPool(kernel=kernel, high=int(high)):
            return [high // math.prod(kernel)]
    return most


def random_samples(node: HardwareNode, rng: np.random.Generator, count: int = SAMPLES) -> list[np.ndarray]:
    """Random inputs, (count, elements) each; at least 4, the extremes among them."""
    samples = []
    for stream, high in zip(node.inputs.values(), highest(node), strict=True):
        low = stream.range[0]
        values = rng.integers(low, high + 1, (count, stream.elements))
        values[0], values[1] = low, high
        samples.append(values)
    if isinstance(node, Product):  # and the largest and least of a row
        right = np.tile(node.numbers[0] > 0, math.prod(node.vectors))
        high = node.inputs["s"].range[1]
        samples[0][2], samples[0][3] = np.where(right, high, 0), np.where(right, 0, high)
    return samples


# ---- designs


def chain(*nodes: HardwareNode) -> Design:
    """Nodes in a row: node0, node1, ... of layer0, layer1, ..."""
    made, before = [], (INPUT, "s")
    for index, node in enumerate(nodes):
        made.append(Element(f"node{index}", f"layer{index}", node, (before,)))
        before = (f"node{index}", "m")
    return Design(nodes[0].inputs["s"], tuple(made))


# ---- simulation


def compile_nodes(nodes: Mapping[str, HardwareNode], folder: Path, runtime: Path) -> Simulator:
    """Compile nodes side by side in one simulation; a stream's port is called <node>_<stream>."""
    for name, node in nodes.items():
        assert name.isascii() and name.isidentifier(), f"{name!r} becomes a port's name: write an identifier"
        for key in (*node.inputs, *node.outputs):
            assert len(key) == 1, (
                f"the port {key!r} of {name} has more than one letter: shorten it, such as 's'"
            )
    built = {name: (node, node.generate(folder, f"{name}_")) for name, node in nodes.items()}
    (folder / "top.sv").write_text(side_by_side(built))
    sources = dict.fromkeys(source for _, instance in built.values() for source in instance.sources)
    return compile_design(
        "zc_side_by_side",
        [*library(), *sources, folder / "top.sv"],
        [Port(f"{n}_{s}", v.width) for n, node in nodes.items() for s, v in node.inputs.items()],
        [Port(f"{n}_{s}", v.width) for n, node in nodes.items() for s, v in node.outputs.items()],
        folder,
        runtime,
    )


@dataclass(frozen=True)
class Bench:
    """Nodes side by side, compiled; `replace` its nodes to hold the same RTL against others."""

    nodes: Mapping[str, HardwareNode]
    simulator: Simulator

    @classmethod
    def of(cls, nodes: Mapping[str, HardwareNode], folder: Path, runtime: Path) -> "Bench":
        return cls(nodes, compile_nodes(nodes, folder, runtime))

    def run(self, stalls: tuple[float, float], seed: int = 0) -> tuple[Trace, dict[str, int]]:
        """Run all nodes on random samples; return the trace and how many elements of each output differ from numpy."""
        rng = np.random.default_rng(seed)
        given, expected, right = {}, {}, {}
        for name, node in self.nodes.items():
            samples = random_samples(node, rng)
            for (key, stream), values in zip(node.inputs.items(), samples, strict=True):
                given[f"{name}_{key}"] = words(values, stream)
            for (key, stream), values in zip(node.outputs.items(), node.reference(*samples), strict=True):
                assert values.shape == (SAMPLES, stream.elements)
                expected[f"{name}_{key}"] = SAMPLES * stream.words
                right[f"{name}_{key}"] = (stream, values)
        trace = self.simulator.run(given, expected, stalls, seed)
        wrong = {
            name: int((elements(trace.words[name], stream) != values).sum())
            for name, (stream, values) in right.items()
        }
        return trace, wrong

    def check(self, stalls: tuple[float, float], seeds: int = 3) -> None:
        """Check every word and, where nothing stalls, intervals and latencies."""
        for seed in range(seeds):
            trace, wrong = self.run(stalls, seed)
            assert {name: self.nodes[name[:-2]] for name, count in wrong.items() if count} == {}
        if not any(stalls):
            assert_intervals(self.nodes, trace)
            assert_latencies(self.nodes, trace)


def check_random(
    random_node: Callable[[np.random.Generator], HardwareNode],
    count: int,
    seed: int,
    folder: Path,
    runtime: Path,
) -> None:
    """Check so many random nodes of a kind, all at once."""
    rng = np.random.default_rng(seed)
    bench = Bench.of({f"n{index}": random_node(rng) for index in range(count)}, folder, runtime)
    for stalls in STALLS:
        bench.check(stalls, seeds=1)


def assert_intervals(nodes: Mapping[str, HardwareNode], trace: Trace) -> None:
    for name, node in nodes.items():
        for key, stream in node.outputs.items():
            ends = trace.given[f"{name}_{key}"][stream.words - 1 :: stream.words]
            assert set(np.diff(ends)[2:]) == {node.interval}, name


def assert_latencies(nodes: Mapping[str, HardwareNode], trace: Trace) -> None:
    for name, node in nodes.items():
        taken = max(trace.taken[f"{name}_{key}"][words_needed(node, key) - 1] for key in node.inputs)
        for key in node.outputs:
            assert trace.given[f"{name}_{key}"][words_ahead(node)] - taken == node.latency, name


def words_needed(node: HardwareNode, key: str) -> int:
    """How many words of an input the first output word that needs any is made of."""
    stream = node.inputs[key]
    match node:
        case Product():
            return node.fan_in // node.simd
        case GroupedProduct():
            return node.fan_in // node.simd
        case LabelSelect():
            return stream.words
        case MaxPool() | SumPool():
            return _pixels_needed(node.image, node.kernel) * _folds(node.image) + 1
        case WindowMaxPool() | WindowSumPool():
            return node.area
        case InputGenerator() if node.at_once:
            return _pixels_needed(node.image, node.schedule.reach) * _folds(node.image) + 1
        case WidthConverter():
            return -(-node.to_lanes // stream.lanes)
        case AddVector() if key == "v":
            return stream.words
        case Select():
            return min(node.channels) // stream.lanes + 1
    return 1


def words_ahead(node: HardwareNode) -> int:
    """How many output words need no input."""
    if isinstance(node, Padding):
        top, left, *_ = node.amounts
        return (top * node.outputs["m"].shape[1] + left) * _folds(node.image)
    if isinstance(node, Concat):  # those of its first input, which need none of the second
        return node.pixel_words[0]
    return 0


def _pixels_needed(image: Stream, reach: tuple[int, int]) -> int:
    """Pixels ahead of the last one of the first window."""
    return (reach[0] - 1) * image.shape[1] + reach[1] - 1


def _folds(image: Stream) -> int:
    return image.shape[2] // image.lanes


# ---- synthesis


def cells_of(node: HardwareNode, folder: Path, family: str = "7-series") -> Cells:
    """What Yosys makes of a node alone."""
    instance = node.generate(folder)
    sources = [*library(), *instance.sources]
    return synthesise(instance.module, sources, folder, family, parameters=instance.parameters).total
