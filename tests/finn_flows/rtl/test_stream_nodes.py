"""The nodes between the nodes: RTL against numpy, under random stalls on both sides, and their intervals."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.finn_flows.rtl.test_nodes import (
    assert_intervals,
    compile_chain,
    compile_nodes,
    product,
    simulate,
)
from zerocross.finn_flows import structural
from zerocross.finn_flows.chip.synthesis import synthesise
from zerocross.finn_flows.rtl import finn_library
from zerocross.finn_flows.rtl.finn_library import LibraryError
from zerocross.finn_flows.rtl.nodes import (
    LIBRARY,
    HardwareNode,
    NodeError,
    Stream,
    from_bits,
    library,
    to_bits,
)
from zerocross.finn_flows.rtl.simulation import Port, Trace, compile_design
from zerocross.finn_flows.rtl.stream_nodes import Fifo, InputGenerator, Padding, WidthConverter, WindowMaxPool

STALLS = [(0.0, 0.0), (0.5, 0.5), (0.9, 0.1), (0.1, 0.9)]


def few_nodes() -> dict[str, HardwareNode]:
    stream = Stream(24, 3, 2)
    return {
        "pad": Padding((5, 7, 4), (1, 2, 0, 3), 2, 3),
        "pad_pixel": Padding((1, 1, 3), (1, 1, 1, 1), 3),
        "pad_none": Padding((4, 3, 2), (0, 0, 0, 0), 1, 8, signed=True),
        "windows": InputGenerator((7, 6, 4), (3, 3), (1, 1), 2),
        "windows_strided": InputGenerator((7, 7, 4), (3, 2), (2, 2), 4, 2),
        "windows_left_over": InputGenerator((8, 7, 3), (2, 3), (3, 2), 1),
        "windows_apart": InputGenerator((6, 6, 4), (3, 3), (2, 2), 2, 3, depthwise=True),
        "windows_whole_image": InputGenerator((3, 4, 2), (3, 4), (1, 1), 2),
        "pixels_skipped": InputGenerator((6, 5, 4), (1, 1), (2, 2), 2),
        "line": InputGenerator((1, 9, 4), (1, 3), (1, 2), 2),
        "upright": InputGenerator((9, 1, 4), (3, 1), (2, 1), 2),
        "parallel": InputGenerator((7, 6, 4), (3, 3), (1, 1), 4, parallel=True),
        "parallel_strided": InputGenerator((7, 9, 3), (2, 3), (2, 3), 3, 2, parallel=True),
        "parallel_narrow": InputGenerator((5, 3, 2), (3, 3), (1, 1), 2, parallel=True),
        "parallel_one_beside": InputGenerator((5, 4, 2), (3, 3), (2, 1), 2, parallel=True),
        "parallel_line": InputGenerator((1, 9, 4), (1, 3), (1, 2), 4, parallel=True),
        "parallel_apart": InputGenerator((5, 5, 4), (2, 2), (1, 1), 2, parallel=True, depthwise=True),
        "dilated": InputGenerator((8, 7, 4), (3, 3), (1, 1), 2, dilation=(2, 2)),
        "dilated_strided": InputGenerator((9, 8, 3), (2, 3), (2, 1), 1, 2, dilation=(3, 2)),
        "dilated_apart": InputGenerator((7, 6, 4), (3, 2), (1, 2), 2, 3, depthwise=True, dilation=(2, 3)),
        "dilated_line": InputGenerator((1, 9, 4), (1, 3), (1, 2), 4, dilation=(1, 3)),
        "dilated_parallel": InputGenerator((7, 8, 2), (3, 3), (1, 2), 2, 2, True, dilation=(2, 3)),
        "dilated_parallel_apart": InputGenerator(
            (5, 5, 4), (2, 2), (1, 1), 2, 1, True, True, dilation=(2, 1)
        ),
        "widen": WidthConverter(Stream(24, 2, 3), 8),
        "narrow": WidthConverter(Stream(24, 8, 3, signed=True), 2),
        "neither": WidthConverter(Stream(24, 8, 1), 3),
        "neither_wider": WidthConverter(Stream(30, 5, 2), 6),
        "same": WidthConverter(Stream(24, 8, 1), 8),
        "fifo_0": Fifo(stream, 0),
        "fifo_2": Fifo(stream, 2),
        "fifo_3": Fifo(stream, 3),
        "fifo_16": Fifo(stream, 16),
        "fifo_block_2": Fifo(stream, 2, "block"),
        "fifo_block_7": Fifo(stream, 7, "block"),
        "fifo_probe": Fifo(stream, 64, probe=True),
        "pool": WindowMaxPool(9, 4, 6, 3, 3, signed=True),
        "pool_of_one": WindowMaxPool(9, 1, 6, 3),
        "pool_bits": WindowMaxPool(5, 9, 4, 4),
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


def test_references_are_what_their_names_say():
    image = np.arange(2 * 3 * 2).reshape(1, -1)  # pixels 0 1 | 2 3 | 4 5 over 6 7 | 8 9 | 10 11
    (padded,) = Padding((2, 3, 2), (0, 1, 1, 0), 2, 4).reference(image)
    assert padded.reshape(3, 4, 2)[..., 1].tolist() == [[0, 1, 3, 5], [0, 7, 9, 11], [0, 0, 0, 0]]
    windows = InputGenerator((2, 3, 2), (2, 2), (1, 1), 1, 4)
    assert windows.reference(image)[0].reshape(2, -1).tolist() == [
        [0, 1, 2, 3, 6, 7, 8, 9],
        [2, 3, 4, 5, 8, 9, 10, 11],
    ]
    (dilated,) = InputGenerator((2, 3, 2), (2, 2), (1, 1), 1, 4, dilation=(1, 2)).reference(image)
    assert dilated.tolist() == [[0, 1, 4, 5, 6, 7, 10, 11]]
    (apart,) = replace(windows, depthwise=True).reference(image)
    assert apart.reshape(2, -1)[0].tolist() == [0, 2, 6, 8, 1, 3, 7, 9]
    assert WindowMaxPool(2, 4, 2, 1, 4).reference(apart)[0].tolist() == [[8, 9, 10, 11]]


def test_a_convolution_behind_padding_and_before_a_fifo(tmp_path, runtime):
    generator = InputGenerator((8, 7, 4), (3, 3), (2, 1), 2)
    windows = int(np.prod(generator.output_shape[:2]))
    layer = product(36, 12, 6, 4)
    nodes = [
        Padding((6, 5, 4), (1, 1, 1, 1), 2),
        generator,
        WidthConverter(generator.outputs["m"], 6),
        Vectors(layer, windows),
        WidthConverter(Stream(windows * 12, 4, layer.outputs["m"].bits), 6),
        Fifo(Stream(windows * 12, 6, layer.outputs["m"].bits), 9),
    ]
    simulator = compile_chain(nodes, tmp_path, runtime)
    images = np.random.default_rng(0).integers(0, 2, (20, 6 * 5 * 4))
    right = images
    for node in nodes:
        (right,) = node.reference(right)
    for stalls in ((0.0, 0.0), (0.4, 0.4)):
        last = nodes[-1].outputs["m"]
        trace = simulator.run({"s": to_bits(images.reshape(-1, 2), 1)}, {"m": 20 * last.words}, stalls)
        assert (from_bits(trace.words["m"], last.bits).reshape(20, -1) == right).all()
    # And it is the convolution: the first output of the first image, by hand.
    padded = np.zeros((8, 7, 4), int)
    padded[1:7, 1:6] = images[0].reshape(6, 5, 4)
    assert right[0, 0] == (padded[:3, :3].ravel() == (layer.weights[0] > 0)).sum()


class Vectors:
    """A product as a node whose sample is all vectors of an image."""

    def __init__(self, layer, count: int) -> None:
        def repeat(stream: Stream) -> Stream:
            return replace(stream, elements=stream.elements * count)

        self.layer, self.interval = layer, layer.interval * count
        self.inputs = {key: repeat(stream) for key, stream in layer.inputs.items()}
        self.outputs = {key: repeat(stream) for key, stream in layer.outputs.items()}
        self.generate = layer.generate

    def reference(self, samples: np.ndarray) -> tuple[np.ndarray]:
        (result,) = self.layer.reference(samples.reshape(-1, self.layer.inputs["s"].elements))
        return (result.reshape(len(samples), -1),)


def test_overlapping_pools_are_windows_and_a_maximum(tmp_path, runtime):
    generator = InputGenerator((7, 7, 4), (3, 3), (2, 2), 2, 3, depthwise=True, signed=True)
    pool = WindowMaxPool(9, 9, 4, 2, 3, signed=True)
    simulator = compile_chain([generator, pool], tmp_path, runtime)
    images = np.random.default_rng(0).integers(-4, 4, (10, 7, 7, 4))
    right = np.stack(
        [
            images[:, row : row + 3, column : column + 3].max(axis=(1, 2))
            for row in (0, 2, 4)
            for column in (0, 2, 4)
        ],
        axis=1,
    )
    trace = simulator.run({"s": to_bits(images.reshape(-1, 2), 3)}, {"m": 10 * 18}, (0.2, 0.2))
    assert (from_bits(trace.words["m"], 3, signed=True).reshape(right.shape) == right).all()


def high_water(trace: Trace) -> dict[str, int]:
    found = [re.fullmatch(r"FIFO (\S+) (\d+)", line) for line in trace.printed]
    return {match[1].rsplit(".", 1)[1]: int(match[2]) for match in found if match}


def test_a_fifo_of_the_depth_that_a_probe_found_keeps_the_schedule(tmp_path, runtime):
    # Windows come in bursts: none in the first lines of an image, and then six a line.
    windows = Stream(36 * 18, 18, 1)

    def run(name: str, fifo: Fifo) -> Trace:
        (tmp_path / name).mkdir()
        generator = InputGenerator((8, 8, 2), (3, 3), (1, 1), 2, parallel=True)
        nodes = [generator, fifo, Vectors(product(18, 6, 18, 3), 36)]
        return compile_chain(nodes, tmp_path / name, runtime).run(words, {"m": 10 * 72}, pace=1.2)

    words = {"s": np.random.default_rng(0).integers(0, 2, (10 * 64, 2)).astype(np.uint8)}
    deep = run("deep", Fifo(windows, 1000, probe=True))
    (mark,) = high_water(deep).values()
    assert mark > 4
    exact, less = (run(f"{depth}", Fifo(windows, depth)) for depth in (mark, mark - 1))
    assert np.array_equal(exact.taken["s"], deep.taken["s"])
    assert np.array_equal(exact.given["m"], deep.given["m"])
    assert not np.array_equal(less.taken["s"], deep.taken["s"])


LOCKSTEP = """
module lockstep (
    input logic clk, input logic rst_n,
    input logic [5:0] s_tdata, input logic s_tvalid, output logic s_tready,
    output logic [7:0] m_tdata, output logic m_tvalid, input logic m_tready
);
  wire [3:0][1:0] ready, valid;
  wire [3:0][1:0][5:0] data;
  logic [1:0] differs;
  for (genvar depth = 0; depth < 2; depth++) begin : g_depth
    for (genvar way = 0; way < 4; way++) begin : g_way
      zc_fifo #(
          .WIDTH(6), .DEPTH(depth == 0 ? 2 : 6),
          .STYLE(way % 2 == 1 ? "block" : way == 2 && depth == 0 ? "registers" : "distributed")
      ) fifo (
          .clk, .rst_n, .s_tdata, .s_tvalid(s_tvalid && s_tready), .s_tready(ready[way][depth]),
          .m_tdata(data[way][depth]), .m_tvalid(valid[way][depth]), .m_tready(m_tready && m_tvalid)
      );
    end
    wire same_offer = valid[1][depth] == valid[0][depth] && valid[2][depth] == valid[0][depth];
    wire same_room = ready[1][depth] == ready[0][depth] && ready[2][depth] == ready[0][depth];
    wire same_word = data[1][depth] == data[0][depth] && data[2][depth] == data[0][depth];
    always_ff @(posedge clk)
      if (!rst_n) differs[depth] <= 0;
      else if (!same_offer || !same_room || (valid[0][depth] && !same_word)) differs[depth] <= 1;
  end
  assign s_tready = ready[0][0] && ready[0][1];  // the smaller one decides
  assign m_tvalid = valid[0][0] && valid[0][1];
  assign m_tdata = {differs, data[0][0]};
endmodule
"""


def test_all_styles_of_fifo_keep_one_schedule(tmp_path, runtime):
    (tmp_path / "lockstep.sv").write_text(LOCKSTEP)
    sources = [LIBRARY / "zc_fifo.sv", tmp_path / "lockstep.sv"]
    simulator = compile_design("lockstep", sources, [Port("s", 6)], [Port("m", 8)], tmp_path, runtime)
    words = np.random.default_rng(0).integers(0, 2, (2000, 6)).astype(np.uint8)
    for stalls in ((0.3, 0.4), (0.6, 0.1), (0.1, 0.6)):
        trace = simulator.run({"s": words}, {"m": 2000}, stalls)
        assert (trace.words["m"][:, :6] == words).all()
        assert not trace.words["m"][:, 6:].any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Padding((4, 4, 6), (1, 1, 1, 1), 4), "4 at once do not divide 6 channels"),
        (lambda: Padding((4, 4, 6), (1, -1, 1, 1), 3), "would cut"),
        (lambda: InputGenerator((4, 4, 6), (3, 3), (1, 1), 4), "4 at once do not divide 6 channels"),
        (lambda: InputGenerator((4, 4, 6), (5, 3), (1, 1), 3), "no windows of \\(5, 3\\)"),
        (lambda: InputGenerator((4, 4, 6), (3, 3), (1, 1), 3, parallel=True), "all 6 channels"),
        (lambda: InputGenerator((4, 4, 6), (3, 3), (1, 1), 3, dilation=(2, 1)), "\\(2, 1\\) apart, by"),
        (lambda: WidthConverter(Stream(24, 8, 1), 5), "5 at once do not divide 24 elements"),
        (lambda: Fifo(Stream(24, 8, 1), 5, "magic"), "magic"),
        (lambda: Fifo(Stream(24, 8, 1), 5, "registers"), "holds 2 words"),
        (lambda: WindowMaxPool(4, 4, 6, 4), "4 at once do not divide 6 channels"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


def test_another_finn_is_noticed(tmp_path, monkeypatch):
    (tmp_path / "dwc" / "hdl").mkdir(parents=True)
    monkeypatch.setattr(finn_library, "_root", lambda: tmp_path)
    finn_library._mended.cache_clear()
    with pytest.raises(LibraryError, match=r"no dwc/hdl/vpc\.sv"):
        finn_library.copy_source(tmp_path, "dwc/hdl/vpc.sv")
    (tmp_path / "dwc" / "hdl" / "vpc.sv").write_text("module vpc; endmodule")
    with pytest.raises(LibraryError, match="not the one known here"):
        finn_library.copy_source(tmp_path, "dwc/hdl/vpc.sv")
    finn_library._mended.cache_clear()


# Everything below is slow.


def random_node(rng: np.random.Generator) -> HardwareNode:
    def divisor(number: int) -> int:
        return int(rng.choice([d for d in range(1, number + 1) if number % d == 0]))

    kind = rng.choice(["padding", "generator", "generator", "generator", "converter", "fifo", "pool"])
    bits = int(rng.integers(1, 9))
    channels = int(rng.integers(1, 9))
    if kind == "padding":
        shape = (int(rng.integers(1, 9)), int(rng.integers(1, 9)), channels)
        return Padding(shape, tuple(int(n) for n in rng.integers(0, 4, 4)), divisor(channels), bits)
    if kind == "generator":
        kernel = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
        dilation = tuple(int(n) for n in (rng.integers(1, 4, 2) if rng.random() < 0.5 else (1, 1)))
        reach = tuple((wide - 1) * apart + 1 for wide, apart in zip(kernel, dilation, strict=True))
        shape = (int(rng.integers(reach[0], 12)), int(rng.integers(reach[1], 12)), channels)
        if rng.random() < 0.2:
            shape, kernel = (1, *shape[1:]), (1, kernel[1])
        stride = tuple(int(rng.integers(1, min(size, 4) + 1)) for size in shape[:2])
        depthwise, parallel = bool(rng.random() < 0.4), bool(rng.random() < 0.4)
        simd = channels if parallel and not depthwise else divisor(channels)
        return InputGenerator(shape, kernel, stride, simd, bits, parallel, depthwise, dilation=dilation)
    if kind == "converter":
        lanes, other = int(rng.integers(1, 13)), int(rng.integers(1, 13))
        elements = int(np.lcm(lanes, other)) * int(rng.integers(1, 4))
        return WidthConverter(Stream(elements, lanes, bits), other)
    if kind == "fifo":
        depth = int(rng.integers(0, 40))
        style = str(rng.choice(["auto", "distributed", "block"]))
        return Fifo(Stream(channels * 5, channels, bits), depth, style)
    signed = bool(bits > 1 and rng.random() < 0.5)
    return WindowMaxPool(
        int(rng.integers(1, 9)), int(rng.integers(1, 10)), channels, divisor(channels), bits, signed
    )


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(4))
def test_random_nodes_agree_with_numpy_and_keep_their_intervals(batch, tmp_path, runtime):
    rng = np.random.default_rng(batch)
    nodes = {f"n{index}": random_node(rng) for index in range(60)}
    simulator = compile_nodes(nodes, tmp_path, runtime)
    for seed, stalls in enumerate(STALLS):
        trace, wrong = simulate(nodes, simulator, stalls, seed)
        assert {name: nodes[name[:-2]] for name, count in wrong.items() if count} == {}
        if not any(stalls):
            assert_intervals(nodes, trace)


def typical_nodes() -> dict[str, tuple[HardwareNode, float]]:
    """Nodes and their estimates in 6-input LUTs."""

    def fifo(depth: int, width: int) -> tuple[HardwareNode, float]:
        return Fifo(Stream(width, width, 1), depth), structural.fifo(depth, width).lut

    windows = InputGenerator((28, 28, 8), (3, 3), (1, 1), 8)
    return {
        "padding": (Padding((28, 28, 1), (1, 1, 1, 1), 1, 8), structural.padding(8, 30, 30, 1).lut),
        "windows": (windows, structural.input_generator(8, 59).lut),
        "windows_parallel": (replace(windows, parallel=True), structural.parallel_generator(8, 59, 3).lut),
        "widen": (WidthConverter(Stream(24, 8, 1), 24), structural.width_converter(8, 24).lut),
        "narrow": (WidthConverter(Stream(24, 24, 1), 8), structural.width_converter(24, 8).lut),
        "neither": (WidthConverter(Stream(24, 8, 1), 12), structural.width_converter(8, 12).lut),
        "pool": (WindowMaxPool(169, 9, 64, 8), structural.max_pool(8).lut),
    } | {f"fifo_{depth}x{width}": fifo(depth, width) for depth in (2, 16, 128) for width in (8, 64)}


@pytest.mark.slow
@pytest.mark.parametrize(("family", "most"), [("7-series", 1.0), ("ecp5", 3.0)])
def test_synthesis_takes_them_and_makes_them_small(family, most, tmp_path):
    for name, (node, estimate) in typical_nodes().items():
        folder = tmp_path / name
        folder.mkdir()
        instance = node.generate(folder)
        sources = [*library(), *instance.sources]
        cells = synthesise(instance.module, sources, folder, family, parameters=instance.parameters).total
        print(
            f"{family} {name}: {cells.lut} LUT, {cells.ff} FF, {cells.bram} BRAM, estimate {estimate:.0f} LUT6"
        )
        assert cells.lut <= most * (estimate + 20)
        assert bool(cells.bram) == (name == "fifo_128x64")
