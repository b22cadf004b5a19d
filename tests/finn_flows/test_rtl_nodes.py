"""RTL against numpy, under random stalls on both sides."""

from pathlib import Path

import numpy as np
import pytest

from finn_flows import rtl_nodes
from finn_flows.crossings import CrossingTable
from finn_flows.crossings import from_bits as table_from_bits
from finn_flows.network import Grid
from finn_flows.rtl_nodes import (
    Add,
    Crossings,
    Duplicate,
    HardwareNode,
    LabelSelect,
    MaxPool,
    NodeError,
    Product,
    Stream,
    from_bits,
    to_bits,
)
from finn_flows.simulation import Port, SimulationError, Simulator, ToolMissing, Trace, compile_design

SAMPLES = 12


def product(fan_in, channels, simd, pe, bits=1, **options) -> Product:
    rng = np.random.default_rng([fan_in, channels, simd, pe])
    weights = rng.choice(np.array([-1, 1], np.int8), (channels, fan_in))
    return Product(weights, pe, simd, bits, **options)


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


def few_nodes() -> dict[str, HardwareNode]:
    nodes: dict[str, HardwareNode] = {
        "p_even": product(64, 64, 16, 8),
        "p_odd": product(45, 21, 9, 7),
        "p_serial": product(7, 5, 1, 1),
        "p_one_column": product(20, 12, 20, 3),
        "p_one_row": product(36, 5, 6, 5),
        "p_unrolled": product(25, 6, 25, 6),
        "p_wide": product(144, 6, 72, 2, ram_style="distributed"),
        "p_bytes": product(30, 8, 5, 2, bits=8),
        "p_bytes_signed": product(30, 8, 10, 4, bits=8, offsets=True),
        "p_two_bits": product(21, 6, 7, 3, bits=2, offsets=True),
        "p_three_bits": product(14, 4, 14, 4, bits=3, offsets=True),
        "pool": MaxPool((6, 4, 6), (2, 2), 3),
        "pool_left_over": MaxPool((7, 5, 4), (3, 2), 4),
        "pool_signed": MaxPool((4, 4, 2), (2, 2), 1, bits=5, signed=True),
        "pool_line": MaxPool((1, 9, 3), (1, 3), 1),
        "label": LabelSelect(10, 1, 3),
        "label_signed": LabelSelect(12, 4, 4, signed=True),
        "label_all": LabelSelect(5, 5, 2),
        "twice": Duplicate(Stream(12, 3, 5)),
        "add": Add(Stream(12, 3, 4), Stream(12, 3, 6, signed=True)),
        "add_wide": Add(Stream(8, 8, 8), Stream(8, 8, 7)),
    }
    for way in ("comparators", "search", "table"):
        nodes[f"c_{way}"] = Crossings(crossing_table(24, 46, 5), 8, way)
        nodes[f"c_{way}_one"] = Crossings(crossing_table(6, 65, 1), 6, way)
        nodes[f"c_{way}_odd"] = Crossings(crossing_table(15, 27, 12), 5, way)
        nodes[f"c_{way}_signed"] = Crossings(crossing_table(6, 23, 4, -22, 2), 3, way, by_index=False)
        nodes[f"c_{way}_none"] = Crossings(crossing_table(4, 9, 0), 1, way)
    return nodes


def compile_nodes(nodes: dict[str, HardwareNode], folder: Path) -> Simulator:
    built = {name: (node, node.generate(folder, f"{name}_")) for name, node in nodes.items()}
    (folder / "top.sv").write_text(rtl_nodes.side_by_side(built))
    return compile_design(
        "zc_side_by_side",
        [*rtl_nodes.library(), folder / "top.sv"],
        [Port(f"{n}_{s}", v.width) for n, node in nodes.items() for s, v in node.inputs.items()],
        [Port(f"{n}_{s}", v.width) for n, node in nodes.items() for s, v in node.outputs.items()],
        folder,
    )


def random_samples(node: HardwareNode, rng: np.random.Generator) -> list[np.ndarray]:
    if isinstance(node, Crossings) and not node.by_index:  # only what is on the grid
        grid = node.table.grid
        return [grid.low + grid.step * rng.integers(0, len(grid), (SAMPLES, node.table.channels))]
    if isinstance(node, Crossings):
        return [rng.integers(0, len(node.table.grid), (SAMPLES, node.table.channels))]
    samples = []
    for stream in node.inputs.values():
        values = rng.integers(stream.range[0], stream.range[1] + 1, (SAMPLES, stream.elements))
        values[0], values[1] = stream.range  # the extremes
        samples.append(values)
    if isinstance(node, Product):  # and the largest and least of a row
        samples[0][2] = np.where(node.weights[0] > 0, node.inputs["s"].range[1], 0)
        samples[0][3] = np.where(node.weights[0] > 0, 0, node.inputs["s"].range[1])
    return samples


def simulate(
    nodes: dict[str, HardwareNode], simulator: Simulator, stalls: tuple[float, float], seed: int
) -> tuple[Trace, dict[str, int]]:
    """Run all nodes on random samples; return the trace and how many elements of each differ from numpy."""
    rng = np.random.default_rng(seed)
    words, expected, right = {}, {}, {}
    for name, node in nodes.items():
        samples = random_samples(node, rng)
        for (key, stream), values in zip(node.inputs.items(), samples, strict=True):
            words[f"{name}_{key}"] = to_bits(values.reshape(-1, stream.lanes), stream.bits)
        for (key, stream), values in zip(node.outputs.items(), node.reference(*samples), strict=True):
            assert values.shape == (SAMPLES, stream.elements)
            expected[f"{name}_{key}"] = SAMPLES * stream.words
            right[f"{name}_{key}"] = (stream, values.reshape(-1, stream.lanes))
    trace = simulator.run(words, expected, stalls, seed)
    wrong = {
        name: int((from_bits(trace.words[name], stream.bits, stream.signed) != values).sum())
        for name, (stream, values) in right.items()
    }
    return trace, wrong


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    nodes = few_nodes()
    return nodes, compile_nodes(nodes, tmp_path_factory.mktemp("rtl"))


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.5, 0.5), (0.9, 0.1), (0.1, 0.9)])
def test_every_node_agrees_with_numpy_whatever_the_stalls(few, stalls):
    nodes, simulator = few
    for seed in range(3):
        _, wrong = simulate(nodes, simulator, stalls, seed)
        assert wrong == dict.fromkeys(wrong, 0)


def test_every_node_runs_at_its_interval(few):
    nodes, simulator = few
    trace, _ = simulate(nodes, simulator, (0.0, 0.0), 0)
    for name, node in nodes.items():
        for key, stream in node.outputs.items():
            ends = trace.given[f"{name}_{key}"][stream.words - 1 :: stream.words]
            assert set(np.diff(ends)[2:]) == {node.interval}, name
