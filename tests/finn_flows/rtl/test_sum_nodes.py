"""Forks, sums and sums of windows: RTL against numpy, under random stalls on every port, and their intervals."""

import numpy as np
import pytest

from tests.finn_flows.rtl.test_nodes import (
    assert_intervals,
    assert_latencies,
    compile_nodes,
    crossing_table,
    simulate,
)
from zerocross.finn_flows.chip.synthesis import synthesise
from zerocross.finn_flows.chip.yosys import Script, run_scripts
from zerocross.finn_flows.rtl.design import INPUT, Design, Element, generate, with_fifos
from zerocross.finn_flows.rtl.nodes import Crossings, HardwareNode, NodeError, Stream, library, side_by_side
from zerocross.finn_flows.rtl.stream_nodes import InputGenerator
from zerocross.finn_flows.rtl.streaming import compile_streaming, size_fifos
from zerocross.finn_flows.rtl.sum_nodes import Add, AddVector, Duplicate, SumPool, WindowSumPool

STALLS = [(0.0, 0.0), (0.5, 0.5), (0.9, 0.1), (0.1, 0.9)]


def add_vector(pixels: int, channels: int, lanes: int, bits: int, vector_bits: int, **options) -> AddVector:
    image = Stream(pixels * channels, lanes, bits)
    return AddVector(image, Stream(channels, lanes, vector_bits), **options)


def few_nodes() -> dict[str, HardwareNode]:
    return {
        "twice": Duplicate(Stream(12, 3, 5)),
        "add": Add(Stream(12, 3, 4), Stream(12, 3, 6, signed=True)),
        "add_wide": Add(Stream(8, 8, 8), Stream(8, 8, 7)),
        "add_bits": Add(Stream(6, 1, 1), Stream(6, 1, 1)),
        "add_narrow": Add(Stream(12, 4, 4), Stream(12, 4, 3), high=15),
        "add_one_more": Add(Stream(10, 5, 4), Stream(10, 5, 4), high=16),
        "vector": add_vector(6, 8, 2, 4, 3),
        "vector_whole": add_vector(5, 4, 4, 8, 8),
        "vector_serial": add_vector(9, 5, 1, 3, 6, high=40),
        "vector_one_pixel": add_vector(1, 6, 2, 4, 4),
        "vector_one_word": add_vector(1, 3, 3, 1, 2),
        "pool": SumPool((6, 4, 6), (2, 2), 3, 4),
        "pool_bits": SumPool((4, 6, 4), (2, 3), 4, 1),
        "pool_left_over": SumPool((7, 5, 4), (3, 2), 2, 5, high=100),
        "pool_left_over_rows": SumPool((5, 4, 3), (2, 2), 1, 2),
        "pool_line": SumPool((1, 9, 3), (1, 3), 1, 8),
        "pool_upright": SumPool((6, 1, 2), (3, 1), 2, 3),
        "pool_image": SumPool((4, 5, 6), (4, 5), 2, 4, high=280),
        "pool_image_whole": SumPool((3, 3, 4), (3, 3), 4, 2),
        "pool_pixel": SumPool((1, 1, 6), (1, 1), 2, 3),
        "windows": WindowSumPool(9, 4, 6, 3, 3),
        "windows_of_one": WindowSumPool(9, 1, 6, 3, 2),
        "windows_narrow": WindowSumPool(5, 9, 4, 4, 2, high=18),
    }


@pytest.fixture(scope="module")
def few(tmp_path_factory, runtime):
    nodes = few_nodes()
    return nodes, compile_nodes(nodes, tmp_path_factory.mktemp("rtl"), runtime)


@pytest.mark.parametrize("stalls", STALLS)
def test_every_node_agrees_with_numpy_whatever_the_stalls(few, stalls):
    nodes, simulator = few
    for seed in range(3):
        trace, wrong = simulate(nodes, simulator, stalls, seed)
        assert wrong == dict.fromkeys(wrong, 0)
    if not any(stalls):
        assert_intervals(nodes, trace)
        assert_latencies(nodes, trace)


@pytest.mark.parametrize(
    ("node", "bits"),
    [
        (Add(Stream(4, 2, 3), Stream(4, 2, 3)), 4),
        (Add(Stream(4, 2, 3), Stream(4, 2, 3), high=14), 4),
        (Add(Stream(4, 2, 4), Stream(4, 2, 4), high=14), 4),
        (Add(Stream(4, 2, 4), Stream(4, 2, 4), high=16), 5),
        (add_vector(4, 2, 2, 4, 4, high=15), 4),
        (add_vector(4, 2, 2, 4, 4), 5),
        (SumPool((2, 2, 1), (2, 2), 1, 2), 4),
        (SumPool((8, 8, 1), (8, 8), 1, 4, high=64 * 8), 10),
        (WindowSumPool(4, 4, 1, 1, 2, high=8), 4),
        (WindowSumPool(4, 4, 1, 1, 2, high=7), 3),
    ],
)
def test_sums_take_the_bits_of_their_highest(node, bits):
    (stream,) = node.outputs.values()
    assert (stream.bits, stream.signed) == (bits, False)


def test_references_are_what_their_names_say():
    image = np.arange(2 * 3 * 2).reshape(1, -1)  # pixels 0 1 | 2 3 | 4 5 over 6 7 | 8 9 | 10 11
    assert SumPool((2, 3, 2), (2, 1), 1, 4).reference(image)[0].tolist() == [[6, 8, 10, 12, 14, 16]]
    assert SumPool((2, 3, 2), (2, 2), 1, 4).reference(image)[0].tolist() == [[16, 20]]
    assert SumPool((2, 3, 2), (2, 3), 1, 4).reference(image)[0].tolist() == [[30, 36]]
    (apart,) = InputGenerator((2, 3, 2), (2, 2), (1, 1), 1, 4, depthwise=True).reference(image)
    assert WindowSumPool(2, 4, 2, 1, 4).reference(apart)[0].tolist() == [[16, 20, 24, 28]]
    (added,) = add_vector(6, 2, 1, 4, 4).reference(image, np.array([[1, 5]]))
    assert added.tolist() == [[1, 6, 3, 8, 5, 10, 7, 12, 9, 14, 11, 16]]


def residual_image() -> Design:
    """An image of levels; what its mean comes to, and twice itself, is added to it.

    The image forks twice: to the sum of all its pixels, and through that to a vector; and to both sides of a sum.
    """
    image = Stream(4 * 5 * 6, 2, 3)
    first, second = Duplicate(image), Duplicate(image)
    pool = SumPool((4, 5, 6), (4, 5), 2, 3)
    levels = Crossings(crossing_table(12, 141, 9), 2, "search", bits=2)
    both = Add(image, image)
    total = AddVector(both.outputs["m"], levels.outputs["m"])
    return Design(
        image,
        (
            Element("first", "fork", "fork", first, ((INPUT, "s"),)),
            Element("second", "fork", "fork", second, (("first", "b"),)),
            Element("pool", "pool", "pool", pool, (("first", "a"),)),
            Element("levels", "levels", "crossings", levels, (("pool", "m"),)),
            Element("both", "join", "sum", both, (("second", "a"), ("second", "b"))),
            Element("total", "total", "sum", total, (("both", "m"), ("levels", "m"))),
        ),
    )


def test_forks_and_sums_agree_with_their_references_and_keep_the_interval(tmp_path, runtime):
    design = residual_image()
    images = np.random.default_rng(0).integers(0, 8, (12, design.input.elements))
    right = design.run(images)["total", "m"]
    depths, interval = size_fifos(design, tmp_path / "sizing", cache=runtime)
    assert interval == max(design.intervals().values()) == 60
    assert depths["total_fifo"] > 60  # the image waits for the sum of all of it
    streaming, _ = compile_streaming(with_fifos(design, depths), tmp_path, cache=runtime)
    for stalls in STALLS:
        streamed = streaming.stream(images, stalls)
        assert (streamed.outputs == right).all()
        assert any(stalls) or streamed.interval == interval


@pytest.mark.parametrize("depths", [0, {"both_b_fifo": 8}])
def test_forks_and_sums_make_no_combinational_loops(depths, tmp_path):
    generated = generate(with_fifos(residual_image(), depths), tmp_path)
    files = " ".join(f'"{file.resolve()}"' for file in generated.sources)
    (tmp_path / "sources.f").write_text(f"--ignore-assertions --top {generated.top} {files}\n")
    commands = ("read_slang -f sources.f", "proc", "flatten", "opt_clean", "check -assert")
    run_scripts([Script("check", commands, tmp_path / "check.ys")], tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Add(Stream(4, 2, 3), Stream(4, 1, 3)), "different shapes"),
        (lambda: Add(Stream(4, 2, 3, signed=True), Stream(4, 2, 3), high=6), "signed"),
        (lambda: AddVector(Stream(12, 2, 3), Stream(8, 2, 3)), "no pixel"),
        (lambda: AddVector(Stream(12, 2, 3), Stream(6, 3, 3)), "no pixel"),
        (lambda: AddVector(Stream(12, 2, 3, signed=True), Stream(6, 2, 3)), "signed"),
        (lambda: SumPool((4, 4, 6), (2, 2), 4, 1), "4 at once"),
        (lambda: SumPool((1, 4, 6), (2, 2), 3, 1), "larger than its image"),
        (lambda: WindowSumPool(4, 4, 6, 4, 1), "4 at once do not divide 6 channels"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


# Everything below is slow.


def random_node(rng: np.random.Generator) -> HardwareNode:
    def divisor(number: int) -> int:
        return int(rng.choice([d for d in range(1, number + 1) if number % d == 0]))

    channels, bits = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    lanes = divisor(channels)
    match rng.choice(["add", "vector", "pool", "pool", "image", "windows", "twice"]):
        case "add":
            a, b = (
                Stream(channels, lanes, int(rng.integers(1, 9)), bool(rng.random() < 0.4)) for _ in range(2)
            )
            high = a.range[1] + b.range[1]
            least = b.range[1] + 1
            return Add(a, b, int(rng.integers(least, high + 1)) if not (a.signed or b.signed) else None)
        case "vector":
            return add_vector(int(rng.integers(1, 9)), channels, lanes, bits, int(rng.integers(1, 9)))
        case "pool":
            kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
            shape = (int(rng.integers(kernel[0], 9)), int(rng.integers(kernel[1], 9)), channels)
            high = int(np.prod(kernel)) * int(rng.integers(1, 2**bits))
            return SumPool(shape, kernel, lanes, bits, high)
        case "image":
            kernel = (int(rng.integers(1, 6)), int(rng.integers(1, 6)))
            return SumPool((*kernel, channels), kernel, lanes, bits)
        case "windows":
            return WindowSumPool(int(rng.integers(1, 9)), int(rng.integers(1, 10)), channels, lanes, bits)
    return Duplicate(Stream(channels * 2, lanes, bits))


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(3))
def test_random_nodes_agree_with_numpy_and_keep_their_intervals(batch, tmp_path, runtime):
    rng = np.random.default_rng(batch)
    nodes = {f"n{index}": random_node(rng) for index in range(60)}
    simulator = compile_nodes(nodes, tmp_path, runtime)
    for seed, stalls in enumerate(STALLS):
        trace, wrong = simulate(nodes, simulator, stalls, seed)
        assert {name: nodes[name[:-2]] for name, count in wrong.items() if count} == {}
        if not any(stalls):
            assert_intervals(nodes, trace)
            assert_latencies(nodes, trace)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "most"), [("7-series", 1.0), ("ecp5", 2.5), ("gowin", 2.5), ("ice40", 2.5)]
)
def test_synthesis_takes_them_and_makes_them_small(family, most, tmp_path):
    image = Stream(64 * 16, 4, 4)
    adders = {  # their bits, and LUTs of memory
        "add": (Add(image, image), 16, 0),
        "vector": (AddVector(image, Stream(16, 4, 4)), 16, 12),
        "pool": (SumPool((8, 8, 16), (2, 2), 4, 4), 24, 16),
        "image": (SumPool((8, 8, 16), (8, 8), 4, 4), 40, 28),
        "windows": (WindowSumPool(16, 9, 16, 4, 4), 32, 0),
    }
    built = {name: (node, node.generate(tmp_path)) for name, (node, _, _) in adders.items()}
    (tmp_path / "top.sv").write_text(side_by_side(built))
    sources = [*library(), tmp_path / "top.sv"]
    found = synthesise("zc_side_by_side", sources, tmp_path, family, list(adders)).by_node
    for name, (_, bits, memory) in adders.items():
        print(f"{family} {name}: {found[name].lut} LUT, {found[name].ff} FF")
        assert found[name].lut <= most * (bits + memory + 40)
        assert found[name].bram == 0 or family == "ice40"  # which has no memory in LUTs
