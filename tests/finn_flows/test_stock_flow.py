"""The direct way to stock FINN's nodes gives what FINN's own flow gives."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from tests.finn_flows.finn_networks import (
    CLASSIFIERS,
    biased_images,
    border,
    chain,
    cnv,
    dynamic,
    export,
    mlp,
    residual,
    signs,
)
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.network import (
    Activation,
    Conv,
    Dense,
    Flatten,
    Input,
    LabelSelect,
    MaxPool,
    Network,
)
from zerocross.finn_flows.nodes import Fifo, WidthConverter
from zerocross.finn_flows.nodes.node import StockNode
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import Design
from zerocross.finn_flows.stock_flow import (
    StockFlowError,
    node_estimates,
    stock_graph,
    stock_layers,
    with_streams,
)
from zerocross.finn_flows.vendor.stock_nodes import Answer, ask_finn, stock_model

PART = "xc7z020clg400-1"
NETWORKS = {
    "mlp-1bit": mlp(1),
    "mlp-8bit": mlp(8, (36, 30, 24, 10)),
    "cnv-1bit": cnv(1),
    "cnv-8bit": cnv(8),
    "strided": chain(
        Input((11, 9, 2), 8),
        border(1, 0, 8),
        Conv(6, kernel=(3, 2), stride=(2, 1)),
        signs(6),
        MaxPool((3, 3), (2, 2)),
        Flatten(),
        Dense(10),
        LabelSelect(),
    ),
}
FOLDINGS = [Folding(), Folding(target_cycles=2500)]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exports")
    return {name: export(network, folder / f"{name}.onnx") for name, network in NETWORKS.items()}


@pytest.fixture(scope="module")
def layers(exports: dict[str, Path]) -> dict[str, ModelWrapper]:
    return {name: stock_layers(exports[name], network.input) for name, network in NETWORKS.items()}


def foldings(model: ModelWrapper) -> dict[str, dict[str, int]]:
    """How each node of a FINN graph is folded, by name."""
    names = ("PE", "SIMD", "parallel_window")
    return {
        node.name: {each.name: each.i for each in node.attribute if each.name in names}
        for node in model.graph.node
    }


def assert_rows_are_finns(network: Network, folding: Folding, finns: list[dict[str, Any]]) -> None:
    """Hold an estimate's rows against FINN's nodes: each row stands for one, a pool's for two."""
    left = defaultdict[str, deque[dict[str, Any]]](deque)
    for node in finns:
        left[node["op_type"]].append(node)
    cost = estimate(network, folding)
    for row in cost.nodes:
        stands_for = [left[name].popleft() for name in row.op_type.split(", ")]
        assert (len(stands_for) == 2) == ("Generator" in row.op_type and row.kind == "pool"), row
        assert row.cycles == max(node["cycles"] for node in stands_for), row
        found = row.finn.lut, row.finn.bram18, row.finn.dsp
        assert found == tuple(
            sum(node[kind] for node in stands_for) for kind in ("LUT", "BRAM_18K", "DSP")
        ), row
    assert not any(left.values())
    total = cost.finn.lut, cost.finn.bram18, cost.finn.dsp
    assert total == tuple(sum(node[kind] for node in finns) for kind in ("LUT", "BRAM_18K", "DSP"))
    assert cost.finn_latency == sum(node["cycles"] for node in finns)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("folding", FOLDINGS)
def test_every_node_costs_what_the_full_flow_says(
    name: str, folding: Folding, layers: dict[str, ModelWrapper]
) -> None:
    direct = stock_model(plan(NETWORKS[name], folding))
    stock = stock_graph(layers[name], foldings(direct))
    assert [node.name for node in direct.graph.node] == [node.name for node in stock.graph.node]
    assert node_estimates(direct) == node_estimates(stock)
    # FINN's own InsertDWC and InsertFIFO on FINN's graph, against converters and FIFOs as the estimate has them
    streamed = node_estimates(with_streams(stock))
    assert node_estimates(with_streams(direct)) == streamed
    assert_rows_are_finns(NETWORKS[name], folding, streamed)


def test_finn_inserts_converters_and_fifos_whatever_the_number_of_crossings() -> None:
    """A graph's thresholdings write bits and levels; estimates ask FINN about counts as wide as the crossings need."""
    network = chain(
        *(Input((24,), 1), Dense(12), Activation((5,) * 12), Dense(8), Activation((9,) * 16, 2)),
        *(Dense(6), LabelSelect()),
    )
    folding = Folding(layers=(("dense0", 4, 8), ("dense2", 2, 3), ("dense4", 3, 4)))
    streamed = node_estimates(with_streams(stock_model(plan(network, folding))))
    rows = estimate(network, folding).nodes
    assert Counter(node["op_type"] for node in streamed) == Counter(row.op_type for row in rows)
    for kind in ("StreamingDataWidthConverter_rtl", "StreamingFIFO_rtl", "Thresholding_rtl", "MVAU_hls"):
        luts = [node["LUT"] for node in streamed if node["op_type"] == kind]
        expected = [row.finn.lut for row in rows if row.op_type == kind]
        if kind == "Thresholding_rtl":
            assert all(bits < counts for bits, counts in zip(luts, expected, strict=True))
        else:
            assert luts == expected, kind


BIASED = {"images": biased_images(8), "images of bits": biased_images(1)} | {
    name: network for name, network in CLASSIFIERS.items() if name.endswith("biased")
}


@pytest.mark.parametrize("name", BIASED)
@pytest.mark.parametrize("folding", FOLDINGS)
def test_rows_of_biased_networks_are_finns_nodes(name: str, folding: Folding) -> None:
    model = stock_model(plan(BIASED[name], folding))
    assert_rows_are_finns(BIASED[name], folding, node_estimates(with_streams(model)))


@pytest.mark.parametrize("make", [residual, dynamic])
def test_rows_of_forks_and_sums_stand_for_as_many_of_finns_nodes(make: Callable[[], Network]) -> None:
    """Alike but for the FIFOs ahead of sums, which FINN sizes later."""
    network, folding = make(), Folding(target_cycles=1000)
    streamed = node_estimates(with_streams(stock_model(plan(network, folding))))
    cost = estimate(network, folding)
    for kinds in (set[str](), {"StreamingFIFO_rtl"}):
        rows = [row for row in cost.nodes if row.op_type not in kinds]
        finns = [node for node in streamed if node["op_type"] not in kinds]
        named = Counter(op_type for row in rows for op_type in row.op_type.split(", "))
        assert named == Counter(node["op_type"] for node in finns)
        assert sum(row.finn.bram18 for row in rows) == sum(node["BRAM_18K"] for node in finns)
        if kinds:
            assert sum(row.finn.lut for row in rows) == sum(node["LUT"] for node in finns)


def between(design: Design) -> list[StockNode]:
    """FINN's converters and FIFOs of a plan, in the order of the stream, as estimates ask about them."""
    asked = list[StockNode]()
    for element in design.elements:
        for source in element.sources:
            asked += Fifo(design.streams[source], 0).stock()
        stock = element.node.stock()
        if isinstance(element.node, WidthConverter):
            asked += stock
        elif len(stock) == 2:
            asked += Fifo(stock[0].sink, 0).stock()
    return [*asked, *Fifo(design.output, 0).stock()]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_short_question_about_streams_gets_finns_answer(name: str) -> None:
    """Estimates tell FINN the widths of words alone; FINN's own nodes have shapes and datatypes, too."""
    design = plan(NETWORKS[name], FOLDINGS[1])
    inserted = [
        node
        for node in with_streams(stock_model(design)).graph.node
        if node.op_type.startswith(("StreamingFIFO", "StreamingData"))
    ]
    asked = between(design)
    assert [node.op_type for node in inserted] == [node.op_type for node in asked]
    for theirs, ours in zip(inserted, asked, strict=True):
        operator, known = getCustomOp(theirs), dict(ours.attributes)
        assert ask_finn(ours, PART) == finns_answer(theirs), theirs.name
        widths = operator.get_instream_width(), operator.get_outstream_width()
        if ours.op_type.startswith("StreamingData"):
            assert widths == (known["inWidth"], known["outWidth"]), theirs.name
        else:
            assert operator.get_nodeattr("depth") == known["depth"], theirs.name
            assert {8 * -(-width // 8) for width in widths} == {known["folded_shape"][-1]}, theirs.name


def finns_answer(node: Any) -> Answer:
    """What FINN says of its own node: cycles, LUT, block RAM, DSP."""
    operator = getCustomOp(node)
    found = operator.node_res_estimation(PART)
    return int(operator.get_exp_cycles()), int(found["LUT"]), int(found["BRAM_18K"]), int(found["DSP"])


@pytest.mark.parametrize("name", ["mlp-1bit", "cnv-1bit", "cnv-8bit"])
def test_hardware_layers_still_compute_the_network(
    name: str, exports: dict[str, Path], layers: dict[str, ModelWrapper]
) -> None:
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.util.cleanup import cleanup_model

    source = NETWORKS[name].input
    exported, hardware = cleanup_model(ModelWrapper(str(exports[name]))), layers[name]
    random = np.random.default_rng(0)
    for _ in range(3):
        stream = random.integers(0, 2**source.bits, (1, *source.shape)).astype(np.float32)
        image = 2 * stream - 1 if source.bits == 1 else stream
        image = image.transpose(0, 3, 1, 2) if image.ndim == 4 else image
        logits = execute_onnx(exported, {exported.graph.input[0].name: image})[exported.graph.output[0].name]
        answer = execute_onnx(hardware, {hardware.graph.input[0].name: stream})[hardware.graph.output[0].name]
        assert logits.reshape(-1)[int(answer.item())] == logits.max()


def test_padding_of_bits_with_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StockFlowError, match="-1"):
        stock_layers(_zero_padded(tmp_path / "zero.onnx"), Input((6, 6, 2), 1))


def _zero_padded(path: Path) -> Path:
    network = chain(
        Input((6, 6, 2), 1), border(1, 1, 1), Conv(4), signs(4), Flatten(), Dense(10), LabelSelect()
    )
    export(network, path)
    import onnx

    model = onnx.load(path)
    for node in model.graph.node:
        if node.op_type == "Pad":
            constants = {c.output[0]: c for c in model.graph.node if c.op_type == "Constant"}
            initializers = {i.name: i for i in model.graph.initializer}
            zero = onnx.numpy_helper.from_array(np.float32(0.0), name=node.input[2])
            if node.input[2] in constants:
                constants[node.input[2]].attribute[0].t.CopyFrom(zero)
            else:
                initializers[node.input[2]].CopyFrom(zero)
    onnx.save(model, path)
    return path
