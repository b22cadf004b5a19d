"""The direct way to hardware nodes gives what FINN's own flow gives."""

import numpy as np
import pytest

from tests.finn_flows.finn_networks import chain, cnv, export, mlp, signs
from zerocross.finn_flows.cost import Resources, ask_finn, estimate, finn_attributes
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.graph import hardware_nodes
from zerocross.finn_flows.network import Conv, Dense, Flatten, Input, LabelSelect, MaxPool
from zerocross.finn_flows.plan import finn_graph
from zerocross.finn_flows.stock_flow import (
    StockFlowError,
    node_estimates,
    stock_graph,
    stock_layers,
    with_streams,
)

NETWORKS = {
    "mlp-1bit": mlp(1),
    "mlp-8bit": mlp(8, (36, 30, 24, 10)),
    "cnv-1bit": cnv(1),
    "cnv-8bit": cnv(8),
    "strided": chain(
        Input((11, 9, 2), 8),
        Conv(6, kernel=(3, 2), stride=(2, 1), padding=(1, 0)),
        signs(6),
        MaxPool((3, 3), (2, 2)),
        Flatten(),
        Dense(10),
        LabelSelect(),
    ),
}
FOLDINGS = [Folding(), Folding(target_cycles=2500)]


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    return {name: export(network, folder / f"{name}.onnx") for name, network in NETWORKS.items()}


@pytest.fixture(scope="module")
def layers(exports):
    return {name: stock_layers(exports[name], network.input) for name, network in NETWORKS.items()}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("folding", FOLDINGS)
def test_every_node_costs_what_the_full_flow_says(name, folding, layers):
    nodes = hardware_nodes(NETWORKS[name], folding, streams=False)
    stock = stock_graph(layers[name], {node.name: node.folding for node in nodes})
    direct = finn_graph(nodes)
    assert node_estimates(direct) == node_estimates(stock)
    # FINN's own InsertDWC and InsertFIFO on FINN's graph, against converters and FIFOs built directly
    streamed = node_estimates(with_streams(stock))
    assert node_estimates(finn_graph(hardware_nodes(NETWORKS[name], folding))) == streamed
    assert [
        {
            "op_type": node.op_type,
            "cycles": node.cycles,
            "LUT": node.finn.lut,
            "BRAM_18K": node.finn.bram18,
            "DSP": node.finn.dsp,
        }
        for node in estimate(NETWORKS[name], folding).nodes
    ] == streamed


@pytest.mark.parametrize("name", NETWORKS)
def test_streams_between_nodes_are_finns(name):
    from qonnx.custom_op.registry import getCustomOp

    nodes = hardware_nodes(NETWORKS[name], FOLDINGS[1])
    inserted = with_streams(finn_graph(hardware_nodes(NETWORKS[name], FOLDINGS[1], streams=False)))
    for node, theirs in zip(nodes, inserted.graph.node, strict=True):
        assert node.name == theirs.name
        if node.op_type.startswith(("StreamingFIFO", "StreamingData")):
            operator = getCustomOp(theirs)
            for attribute, value in node.attributes:
                found = operator.get_nodeattr(attribute)
                assert (tuple(found) if isinstance(value, tuple) else found) == value, (node.name, attribute)


@pytest.mark.parametrize("name", ["mlp-1bit", "cnv-1bit", "cnv-8bit"])
def test_hardware_layers_still_compute_the_network(name, exports, layers):
    from qonnx.core.modelwrapper import ModelWrapper
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


def test_padding_of_bits_with_zero_is_refused(tmp_path):
    with pytest.raises(StockFlowError, match="-1"):
        stock_layers(_zero_padded(tmp_path / "zero.onnx"), Input((6, 6, 2), 1))


def test_the_short_question_gets_the_same_answer():
    nodes = hardware_nodes(NETWORKS["cnv-8bit"], FOLDINGS[1])
    for node in nodes:
        if node.op_type.startswith("Streaming"):
            short = ask_finn(node.op_type, finn_attributes(node), "xc7z020clg400-1")
            assert short == ask_finn(node.op_type, node.attributes, "xc7z020clg400-1")
            assert isinstance(short[1], Resources)


def _zero_padded(path):
    network = chain(
        Input((6, 6, 2), 1), Conv(4, padding=(1, 1)), signs(4), Flatten(), Dense(10), LabelSelect()
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
