"""RTL against numpy, under random stalls on both sides."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zerocross.finn_flows import structural
from zerocross.finn_flows.chip.cells import Cells
from zerocross.finn_flows.chip.synthesis import synthesise
from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.crossings import from_bits as table_from_bits
from zerocross.finn_flows.network import Grid
from zerocross.finn_flows.rtl import nodes as rtl_nodes
from zerocross.finn_flows.rtl.grouped_nodes import GroupedProduct
from zerocross.finn_flows.rtl.nodes import (
    Crossings,
    HardwareNode,
    LabelSelect,
    MaxPool,
    NodeError,
    Product,
    from_bits,
    to_bits,
)
from zerocross.finn_flows.rtl.simulation import Port, Simulator, Trace, compile_design
from zerocross.finn_flows.rtl.sum_nodes import Add, AddVector, SumPool, WindowSumPool

SAMPLES = 12


def product(fan_in, channels, simd, pe, bits=1, weight_bits=1, **options) -> Product:
    rng = np.random.default_rng([fan_in, channels, simd, pe])
    weights = rng.choice(np.array([-1, 1], np.int8), (channels, fan_in))
    if weight_bits > 1:
        half = 2 ** (weight_bits - 1)
        weights = rng.integers(-half, half + 1, weights.shape, np.int16)
        weights[0, 0], weights[-1, -1] = half, -half  # the extremes
    return Product(weights, pe, simd, bits, weight_bits=weight_bits, **options)


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
        "p_unrolled_wide": product(64, 7, 64, 7),
        "p_unrolled_bytes": product(11, 3, 11, 3, bits=4, offsets=True),
        "p_unrolled_one": product(1, 2, 1, 2),
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
        "p_wide_weights": product(30, 8, 5, 2, weight_bits=4),
        "p_wide_weights_signed": product(21, 4, 7, 2, weight_bits=2, offsets=True),
        "p_wide_bytes": product(12, 6, 4, 3, bits=8, weight_bits=8),
        "p_wide_bytes_signed": product(15, 6, 5, 1, bits=8, weight_bits=8, offsets=True),
        "p_wide_in_luts": product(24, 4, 6, 2, bits=3, weight_bits=5, offsets=True, ram_style="distributed"),
        "p_wide_one_column": product(9, 6, 9, 2, bits=4, weight_bits=3),
        "p_wide_unrolled": product(11, 3, 11, 3, bits=2, weight_bits=3, offsets=True),
        "p_wide_unrolled_bits": product(14, 2, 14, 2, weight_bits=8),
        "p_wide_one": product(1, 2, 1, 2, bits=8, weight_bits=2),
    }
    for way in ("comparators", "search", "table"):
        nodes[f"c_{way}"] = Crossings(crossing_table(24, 46, 5), 8, way)
        nodes[f"c_{way}_one"] = Crossings(crossing_table(6, 65, 1), 6, way)
        nodes[f"c_{way}_odd"] = Crossings(crossing_table(15, 27, 12), 5, way)
        nodes[f"c_{way}_signed"] = Crossings(crossing_table(6, 23, 4, -22, 2), 3, way, by_index=False)
        nodes[f"c_{way}_none"] = Crossings(crossing_table(4, 9, 0), 1, way)
        nodes[f"c_{way}_levels"] = Crossings(crossing_table(24, 33, 7), 4, way, bits=3)
        # Of levels whose highest is not one less than a power of two: sums.
        nodes[f"c_{way}_of_levels"] = Crossings(crossing_table(6, 15, 3), 2, way, by_index=False)
        nodes[f"c_{way}_levels_of_levels"] = Crossings(crossing_table(24, 17, 7), 3, way, bits=4)
    table = crossing_table(12, 61, 9)
    nodes["c_block_levels_of_levels"] = Crossings(table, 2, "table", ram_style="block", bits=2)
    return nodes


def compile_nodes(nodes: dict[str, HardwareNode], folder: Path, runtime: Path) -> Simulator:
    built = {name: (node, node.generate(folder, f"{name}_")) for name, node in nodes.items()}
    (folder / "top.sv").write_text(rtl_nodes.side_by_side(built))
    sources = dict.fromkeys(source for _, instance in built.values() for source in instance.sources)
    return compile_design(
        "zc_side_by_side",
        [*rtl_nodes.library(), *sources, folder / "top.sv"],
        [Port(f"{n}_{s}", v.width) for n, node in nodes.items() for s, v in node.inputs.items()],
        [Port(f"{n}_{s}", v.width) for n, node in nodes.items() for s, v in node.outputs.items()],
        folder,
        runtime,
    )


def random_samples(node: HardwareNode, rng: np.random.Generator) -> list[np.ndarray]:
    if isinstance(node, Crossings) and not node.by_index:  # only what is on the grid
        grid = node.table.grid
        return [grid.low + grid.step * rng.integers(0, len(grid), (SAMPLES, node.channels))]
    if isinstance(node, Crossings):
        return [rng.integers(0, len(node.table.grid), (SAMPLES, node.channels))]
    samples = []
    for stream, high in zip(node.inputs.values(), highest(node), strict=True):
        low = stream.range[0]
        values = rng.integers(low, high + 1, (SAMPLES, stream.elements))
        values[0], values[1] = low, high  # the extremes
        samples.append(values)
    if isinstance(node, Product):  # and the largest and least of a row
        samples[0][2] = np.where(node.weights[0] > 0, node.inputs["s"].range[1], 0)
        samples[0][3] = np.where(node.weights[0] > 0, 0, node.inputs["s"].range[1])
    return samples


def highest(node: HardwareNode) -> list[int]:
    """The highest element of each input that a node is built for."""
    most = [stream.range[1] for stream in node.inputs.values()]
    match node:
        case Add(high=int(high)) | AddVector(high=int(high)):
            second = min(most[1], high - min(most[0], high // 2))
            return [min(most[0], high - second), second]
        case SumPool(kernel=(rows, columns), high=int(high)):
            return [high // (rows * columns)]
        case WindowSumPool(area=area, high=int(high)):
            return [high // area]
    return most


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
def few(tmp_path_factory, runtime):
    nodes = few_nodes()
    return nodes, compile_nodes(nodes, tmp_path_factory.mktemp("rtl"), runtime)


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.5, 0.5), (0.9, 0.1), (0.1, 0.9)])
def test_every_node_agrees_with_numpy_whatever_the_stalls(few, stalls):
    nodes, simulator = few
    for seed in range(3):
        _, wrong = simulate(nodes, simulator, stalls, seed)
        assert wrong == dict.fromkeys(wrong, 0)


def assert_intervals(nodes: dict[str, HardwareNode], trace: Trace) -> None:
    for name, node in nodes.items():
        for key, stream in node.outputs.items():
            ends = trace.given[f"{name}_{key}"][stream.words - 1 :: stream.words]
            assert set(np.diff(ends)[2:]) == {node.interval}, name


def words_needed(node: HardwareNode, key: str) -> int:
    """How many words of an input the first output word is made of."""
    if isinstance(node, Product | LabelSelect) or key == "v":
        return node.inputs[key].words
    if isinstance(node, MaxPool | SumPool):
        rows, columns = node.kernel
        return ((rows - 1) * node.shape[1] + columns - 1) * node.shape[2] // node.pe + 1
    return node.area if isinstance(node, WindowSumPool | GroupedProduct) else 1


def assert_latencies(nodes: dict[str, HardwareNode], trace: Trace) -> None:
    for name, node in nodes.items():
        taken = max(trace.taken[f"{name}_{key}"][words_needed(node, key) - 1] for key in node.inputs)
        for key in node.outputs:
            assert trace.given[f"{name}_{key}"][0] - taken == node.latency, name


def test_every_node_runs_at_its_interval_and_latency(few):
    nodes, simulator = few
    trace, _ = simulate(nodes, simulator, (0.0, 0.0), 0)
    assert_intervals(nodes, trace)
    assert_latencies(nodes, trace)


@pytest.mark.parametrize("weight_bits", range(1, 9))
def test_planes_come_to_twice_the_weights(weight_bits):
    half = 2 ** (weight_bits - 1)
    weights = np.arange(-half, half + 1).reshape(1, -1) if weight_bits > 1 else np.array([[-1, 1]])
    node = Product(weights, 1, 1, weight_bits=weight_bits)
    assert np.isin(node.planes, (-1, 1)).all()
    if weight_bits == 1:
        assert (node.planes == weights).all()
    else:
        assert (np.array([1, *(2**i for i in range(weight_bits))]) @ node.planes == 2 * weights).all()


@pytest.mark.parametrize(("bits", "weight_bits"), [(1, 1), (1, 3), (4, 1), (4, 2), (3, 3), (8, 8)])
def test_accumulators_count_from_0_by_what_the_record_says(bits, weight_bits):
    node = product(13, 6, 13, 6, bits, weight_bits)
    levels = np.random.default_rng(0).integers(0, 2**bits - (bits > 1), (200, 13))  # the highest never comes
    levels = np.concatenate(
        [levels, np.where(node.weights > 0, 2**bits - 1, 0), np.where(node.weights > 0, 0, 1)]
    )
    values = 2 * levels - 1 if bits == 1 else levels
    accumulators = values @ node.weights.astype(int).T
    (counted,) = node.reference(levels)
    if bits == weight_bits == 1:
        assert (counted == (accumulators + 13) // 2).all()
    else:
        assert (counted == accumulators + node.row_offsets).all()
        (signed,) = replace(node, offsets=True).reference(levels)
        assert (signed == accumulators).all()
    # And it is what the hardware adds up.
    factors = [1, *(2**i for i in range(weight_bits))] if weight_bits > 1 else [1]
    lanes = np.where(node.planes > 0, levels[:, None], 2**bits - 1 - levels[:, None]).sum(axis=2)
    total = lanes.reshape(len(levels), -1, len(factors)) @ factors
    assert (counted == (total >> 1 if bits > 1 and weight_bits > 1 else total)).all()
    assert counted.min() >= 0
    assert node.reach / 2 < counted.max() <= node.reach


def test_levels_are_the_numbers_their_planes_spell():
    """Four levels, thresholds 3, 5, 6: plane 1 flips at 5, plane 0 at each."""
    rows = np.array([[0, 0, 0, 1, 1, 0, 1, 1], [0, 0, 0, 0, 0, 1, 1, 1]], np.uint8)
    node = Crossings(table_from_bits(Grid(0, 7), rows), 1, bits=2)
    (levels,) = node.reference(np.arange(8)[:, None])
    assert levels[:, 0].tolist() == [sum(a >= t for t in (3, 5, 6)) for a in range(8)]


def test_a_wrong_weight_or_crossing_is_noticed(few):
    nodes, simulator = few
    weights = nodes["p_odd"].weights.copy()
    weights[2, 5] *= -1
    table = nodes["c_search_odd"].table
    table = replace(table, first=table.first ^ (np.arange(15) == 3))
    wrong_nodes = nodes | {
        "p_odd": replace(nodes["p_odd"], weights=weights),
        "c_search_odd": replace(nodes["c_search_odd"], table=table),
    }
    _, wrong = simulate(wrong_nodes, simulator, (0.3, 0.3), 0)
    assert {name for name, count in wrong.items() if count} == {"p_odd_m", "c_search_odd_m"}
    assert wrong["c_search_odd_m"] == SAMPLES


CHAIN = """
module chain (
    input logic clk, input logic rst_n,
    input logic [{s}:0] s_tdata, input logic s_tvalid, output logic s_tready,
    output logic [{m}:0] m_tdata, output logic m_tvalid, input logic m_tready
);
{wires}
{instances}
endmodule
"""


def compile_chain(nodes: list[HardwareNode], folder: Path, runtime: Path) -> Simulator:
    """Connect nodes one behind the other."""
    wires, instances = [], []
    files: dict[Path, None] = {}
    for index, node in enumerate(nodes):
        for prefix, stream in (*node.inputs.items(), *node.outputs.items()):
            signal = f"n{index}_{prefix}_t"
            wires.append(f"  wire [{stream.width - 1}:0] {signal}data; wire {signal}valid, {signal}ready;")
        instance = node.generate(folder, f"n{index}_")
        instances.append(rtl_nodes.instantiate(f"n{index}", node, instance))
        files |= dict.fromkeys(instance.sources)
        source, sink = (f"n{index - 1}_m_t", f"n{index}_s_t") if index else ("s_t", "n0_s_t")
        wires.append(f"  assign {sink}data = {source}data; assign {sink}valid = {source}valid;")
        wires.append(f"  assign {source}ready = {sink}ready;")
    end = f"n{len(nodes) - 1}_m_t"
    wires.append(f"  assign m_tdata = {end}data; assign m_tvalid = {end}valid; assign {end}ready = m_tready;")
    first, last = nodes[0].inputs["s"].width, nodes[-1].outputs["m"].width
    text = CHAIN.format(s=first - 1, m=last - 1, wires="\n".join(wires), instances="\n".join(instances))
    (folder / "chain.sv").write_text(text)
    sources = [*rtl_nodes.library(), *files, folder / "chain.sv"]
    return compile_design("chain", sources, [Port("s", first)], [Port("m", last)], folder, runtime)


def test_a_chain_runs_at_the_interval_of_its_slowest_layer(tmp_path, runtime):
    # Bytes, whose offsets the crossings behind absorb; then bits; then the classifier. Intervals 30, 40, 20.
    first = product(24, 20, 4, 5, bits=8)
    reach = 24 * 255
    table = crossing_table(20, 2 * reach + 1, 30, -reach).moved(Grid(0, reach), -first.row_offsets)
    second = product(20, 30, 5, 3)
    third = product(30, 10, 3, 5)
    nodes: list[HardwareNode] = [
        first,
        Crossings(table, 5, "search"),
        second,
        Crossings(crossing_table(30, 21, 3), 3, "comparators"),
        third,
        LabelSelect(10, 5, third.outputs["m"].bits),
    ]
    simulator = compile_chain(nodes, tmp_path, runtime)
    count = 60
    images = np.random.default_rng(1).integers(0, 256, (count, 24))
    right = images
    for node in nodes:
        (right,) = node.reference(right)
    words = {"s": to_bits(images.reshape(-1, 4), 8)}
    assert len(set(right[:, 0])) > 3
    for stalls in ((0.0, 0.0), (0.3, 0.3)):
        trace = simulator.run(words, {"m": count}, stalls)
        assert (from_bits(trace.words["m"], 4) == right).all()
        if not any(stalls):
            slowest = max(node.interval for node in nodes)
            assert slowest == second.interval == 40
            assert set(np.diff(trace.given["m"])[4:]) == {slowest}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: product(10, 6, 5, 4), "4 at once do not divide 6 channels"),
        (lambda: product(10, 6, 3, 2), "3 at once do not divide 10 fan-in"),
        (lambda: product(10, 6, 5, 2, bits=9), "9 bits"),
        (lambda: product(10, 6, 5, 2, offsets=True), "no offsets"),
        (lambda: Product(np.zeros((2, 2)), 1, 1), "-1 or \\+1"),
        (lambda: Crossings(crossing_table(6, 9, 2), 4), "4 at once do not divide 6 channels"),
        (lambda: Crossings(crossing_table(6, 9, 2), 2, "magic"), "magic"),
        (lambda: Crossings(crossing_table(6, 9, 2), 1, bits=4), "6 rows does not hold planes of 4 bits"),
        (lambda: Crossings(crossing_table(6, 9, 2), 2, bits=2), "2 at once do not divide 3 channels"),
        (lambda: MaxPool((4, 4, 6), (2, 2), 4), "4 at once"),
        (lambda: MaxPool((1, 4, 6), (2, 2), 3), "larger than its image"),
        (lambda: LabelSelect(10, 3, 4), "3 at once"),
        (lambda: product(10, 6, 5, 2, weight_bits=9), "weights of 9 bits"),
        (lambda: Product(np.full((2, 2), 5), 1, 1, weight_bits=3), "within -4 to 4"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


def test_bits_and_integers_are_laid_out_lowest_first():
    assert to_bits(np.array([[1, -2]]), 3).tolist() == [[1, 0, 0, 0, 1, 1]]
    assert from_bits(np.array([[1, 0, 0, 0, 1, 1]]), 3, signed=True).tolist() == [[1, -2]]
    values = np.random.default_rng(0).integers(-128, 128, (5, 6))
    assert (from_bits(to_bits(values, 8), 8, signed=True) == values).all()


# Everything below is slow.


def random_node(rng: np.random.Generator) -> HardwareNode:
    def divisor(number: int) -> int:
        return int(rng.choice([d for d in range(1, number + 1) if number % d == 0]))

    kind = rng.choice(["product", "product", "crossings", "crossings", "pool", "label"])
    if kind == "product":
        weight_bits = int(rng.integers(2, 9)) if rng.random() < 0.4 else 1
        tops = (120, 40, 9) if weight_bits == 1 else (24, 6, 5)
        fan_in, channels, bits = (int(rng.integers(1, top)) for top in tops)
        bits = bits if rng.random() < 0.5 else 1
        return product(
            fan_in,
            channels,
            divisor(fan_in),
            divisor(channels),
            bits,
            weight_bits,
            offsets=bool(max(bits, weight_bits) > 1 and rng.random() < 0.5),
            ram_style=str(rng.choice(["block", "distributed"])),
        )
    if kind == "crossings":
        channels, levels = int(rng.integers(1, 30)), int(rng.integers(2, 200))
        crossings = int(rng.integers(0, min(levels, 20)))
        way = str(rng.choice(["comparators", "search", "table"]))
        low, step = (0, 1) if rng.random() < 0.5 else (-int(rng.integers(0, 300)), int(rng.integers(1, 4)))
        bits = int(rng.integers(1, 4))
        table = crossing_table(channels * bits, levels, crossings, low, step)
        return Crossings(table, divisor(channels), way, by_index=low == 0 and step == 1, bits=bits)
    if kind == "pool":
        kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        shape = (int(rng.integers(kernel[0], 9)), int(rng.integers(kernel[1], 9)), int(rng.integers(1, 9)))
        bits = int(rng.integers(1, 7))
        return MaxPool(shape, kernel, divisor(shape[2]), bits, bool(bits > 1 and rng.random() < 0.5))
    labels = int(rng.integers(1, 40))
    return LabelSelect(labels, divisor(labels), int(rng.integers(1, 9)), bool(rng.random() < 0.5))


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(4))
def test_random_nodes_agree_with_numpy_and_keep_their_intervals(batch, tmp_path, runtime):
    rng = np.random.default_rng(batch)
    nodes = {f"n{index}": random_node(rng) for index in range(60)}
    simulator = compile_nodes(nodes, tmp_path, runtime)
    for seed, stalls in enumerate([(0.0, 0.0), (0.5, 0.5), (0.8, 0.2), (0.2, 0.8)]):
        trace, wrong = simulate(nodes, simulator, stalls, seed)
        assert wrong == dict.fromkeys(wrong, 0)
        if not any(stalls):
            assert_intervals(nodes, trace)
            assert_latencies(nodes, trace)


def cells_of(node: HardwareNode, folder: Path) -> Cells:
    instance = node.generate(folder)
    sources = rtl_nodes.library()
    return synthesise(instance.module, sources, folder, "7-series", parameters=instance.parameters).total


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "first_try"),
    # What a first unit of this kind took, its thresholds (0.86 LUT a bit and lane) taken off.
    [((64, 64, 16, 8), 426 - 48), ((256, 10, 32, 1), 167 - 8), ((256, 256, 16, 8), 465 - 62)],
)
def test_a_product_is_no_larger_than_it_was_and_near_its_estimate(shape, first_try, tmp_path):
    node = product(*shape)
    cells = cells_of(node, tmp_path)
    fan_in, channels, simd, pe = shape
    estimate = structural.product(fan_in, channels, pe, simd)
    print(f"product {shape}: {cells}, estimate {estimate.lut:.0f} LUT, {estimate.bram18} BRAM18")
    assert cells.lut < first_try
    assert cells.bram18 == estimate.bram18
    assert 0.85 < cells.lut / estimate.lut < 1.15


@pytest.mark.slow
@pytest.mark.parametrize("way", ["comparators", "search", "table"])
def test_a_crossing_site_is_near_its_estimate(way, tmp_path):
    table = crossing_table(64, 65, 8)
    cells = cells_of(Crossings(table, 8, way), tmp_path)
    estimate = structural.crossing_way(table.counts().tolist(), 8, 65, way)
    print(f"{way}: {cells}, estimate {estimate.lut:.0f} LUT")
    assert cells.bram18 == 0
    # The models are of trained activations, whose channels cross near each other; these cross anywhere.
    assert 0.6 < cells.lut / estimate.lut < 2


@pytest.mark.slow
def test_memories_go_where_they_are_told(tmp_path):
    in_block, in_luts = (
        cells_of(product(64, 64, 16, 8, ram_style=style), tmp_path) for style in ("block", "distributed")
    )
    assert in_block.bram18 == 4
    assert in_luts.bram18 == 0
    assert in_luts.lut > in_block.lut
    table = Crossings(crossing_table(64, 65, 8), 8, "table", ram_style="block")
    assert cells_of(table, tmp_path).bram18 == 4  # two lanes share one
