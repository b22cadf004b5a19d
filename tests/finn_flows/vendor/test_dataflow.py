"""Whole networks as FINN graphs: what they compute, and what FINN's passes make of them."""

from dataclasses import replace

import numpy as np
import pytest
from finn.analysis.fpgadataflow.dataflow_performance import dataflow_performance
from finn.analysis.fpgadataflow.exp_cycles_per_layer import exp_cycles_per_layer
from finn.core.onnx_exec import execute_onnx
from finn.transformation.fpgadataflow.annotate_cycles import AnnotateCycles
from finn.transformation.fpgadataflow.create_dataflow_partition import CreateDataflowPartition
from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
from finn.transformation.fpgadataflow.insert_iodma import InsertIODMA
from finn.transformation.fpgadataflow.set_folding import SetFolding
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.infer_datatypes import InferDataTypes

from tests.finn_flows.finn_networks import border, chain, cnv, mlp, signs
from tests.finn_flows.integer_networks import random_inputs, random_network, with_table
from tests.finn_flows.nodes.bench import chain as design_chain
from tests.finn_flows.nodes.bench import crossing_table
from zerocross.finn_flows.assembly import Styles, assemble
from zerocross.finn_flows.crossings import CrossingTable, from_bits
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import (
    Activation,
    Bias,
    Conv,
    Dense,
    Flatten,
    Grid,
    Input,
    LabelSelect,
    MaxPool,
    Network,
)
from zerocross.finn_flows.nodes import CrossingSite, WidthConverter
from zerocross.finn_flows.nodes.crossing_site import IMPLEMENTATIONS
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import INPUT, Design
from zerocross.finn_flows.vendor.dataflow import DataflowError, dataflow_model
from zerocross.finn_flows.vendor.execution import ExecutionError, execute, finn_input, tensors

PART = "xc7z020clg400-1"
SAMPLES = 40


def odd() -> Network:
    """Odd sizes, a pool whose windows overlap and one that leaves some over, a pool of accumulators."""
    return chain(
        Input((11, 9, 3), 8),
        border(1, 0, 8),
        Conv(7, kernel=(3, 2)),
        signs(7),
        MaxPool((3, 3), (2, 2)),
        border(1, 1, 1),
        Conv(6, kernel=(2, 3), stride=(1, 1)),
        MaxPool((2, 2)),
        signs(6),
        Flatten(),
        Dense(15),
        signs(15),
        Dense(7),
        LabelSelect(),
    )


def levels() -> Network:
    """Activations of several bits, the last product among their readers."""
    return chain(
        Input((20,), 4),
        Dense(12),
        Activation((1,) * 24, 2),
        Dense(9),
        Activation((1,) * 27, 3),
        Dense(5),
        LabelSelect(),
    )


NETWORKS = {
    "mlp": mlp(1),
    "mlp_bytes": mlp(8, (18, 14, 5)),
    "cnv": cnv(1),
    "cnv_bytes": cnv(8),
    "odd": odd(),
    "levels": levels(),
    "biased": chain(Input((20,), 1), Dense(12), signs(12), Dense(6), Bias(2, -50, 90), LabelSelect()),
    "biased_levels": chain(
        Input((20,), 3), Dense(12, 4), signs(12), Dense(6, 3), Bias(1, -50, 90), LabelSelect()
    ),
    "biased_bytes": chain(Input((20,), 8), Dense(6), Bias(0, -900, 400), LabelSelect()),
    "one_layer": chain(Input((9,), 8), Dense(4), LabelSelect()),
    "no_label": chain(Input((9,), 1), Dense(6), signs(6), Dense(4)),
    "pixelwise": chain(
        Input((3, 4, 5), 1), Conv(6, kernel=(1, 1)), signs(6), Flatten(), Dense(5), LabelSelect()
    ),
}


def numbers(network: Network) -> IntegerNetwork:
    """Random weights, and crossings where the accumulators of random samples lie, so that all bits flip."""
    rng, net = np.random.default_rng(1), random_network(network, 1, constant=0.0)
    biases = {
        layer.name: rng.integers(layer.operation.low, layer.operation.high + 1, network.shapes()[layer.name])
        for layer in network.layers
        if isinstance(layer.operation, Bias)
    }
    net = replace(net, biases=biases)
    x = inputs(network, 60, 1)
    for layer in network.layers:
        if isinstance(layer.operation, Activation):
            seen = net.run(x)[layer.inputs[0]]
            rows, grid = net.tables[layer.name].channels, net.tables[layer.name].grid
            places = (seen.reshape(-1, seen.shape[-1]) - grid.low) // grid.step
            flips = np.zeros((rows, len(grid)), np.uint8)
            flips[:, 0] = rng.integers(0, 2, rows)
            for row in range(rows):
                often = np.quantile(places[:, row * seen.shape[-1] // rows], (0.3, 0.5, 0.8)).astype(int)
                flips[row, rng.choice(often, rng.integers(1, 4), replace=False)] ^= 1
            table = from_bits(grid, np.bitwise_xor.accumulate(flips, axis=1))
            net = with_table(net, layer.name, table)
    return net


def inputs(network: Network, count: int, seed: int) -> np.ndarray:
    values = random_inputs(network, count, seed)
    return values if network.input.bits == 1 else values % 2**network.input.bits


def design_of(net: IntegerNetwork, styles: Styles | None = None, folding: Folding | None = None) -> Design:
    return assemble(plan(net.network, folding or Folding(target_cycles=2000)), net, styles)


@pytest.fixture(scope="module")
def made():
    nets = {name: numbers(network) for name, network in NETWORKS.items()}
    return {
        name: (net, dataflow_model(design_of(net), net.network.input.shape)) for name, net in nets.items()
    }


def assert_same(net: IntegerNetwork, model: ModelWrapper, count: int = SAMPLES) -> None:
    x = inputs(net.network, count, 3)
    right, answers = net.run(x), execute(model, x)
    last = net.network.layers[-1]
    labelled = isinstance(last.operation, LabelSelect)
    logits = right[last.inputs[0] if labelled else last.name]
    assert (answers.logits == logits.reshape(count, -1)).all()
    assert len(np.unique(answers.logits, axis=0)) > 3
    assert (answers.classes is not None) == labelled
    if labelled:
        assert (answers.classes == right[last.name]).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_computes_what_the_integer_network_does(made, name):
    assert_same(*made[name])


@pytest.mark.parametrize("name", ["mlp", "cnv_bytes", "odd", "levels"])
def test_finns_own_execution_gives_the_same_streams(made, name):
    net, model = made[name]
    x = inputs(net.network, 1, 5)
    datatype = model.get_tensor_datatype(INPUT).name
    context = execute_onnx(model, {INPUT: finn_input(x, datatype)}, return_full_exec_context=True)
    for tensor, value in tensors(model, x).items():
        assert (context[tensor].reshape(-1) == value.reshape(-1)).all(), tensor


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_every_implementation_of_crossings_is_the_same_function(implementation):
    net = numbers(NETWORKS["mlp_bytes"])
    chosen = dict.fromkeys(net.tables, implementation)
    styles = Styles(implementations=chosen, weights={"dense0": "distributed"})
    model = dataflow_model(design_of(net, styles), net.network.input.shape)
    sites = [getCustomOp(node) for node in model.get_nodes_by_op_type("ZcCrossingSite_rtl")]
    assert {site.get_nodeattr("implementation") for site in sites} == {implementation}
    assert_same(net, model)


def test_a_wrong_weight_or_crossing_is_noticed():
    net = numbers(NETWORKS["mlp"])
    weights = {**net.weights, "dense4": -net.weights["dense4"]}
    model = dataflow_model(design_of(replace(net, weights=weights)), net.network.input.shape)
    with pytest.raises(AssertionError):
        assert_same(net, model)


def test_a_saved_graph_computes_the_same(made, tmp_path):
    net, model = made["odd"]
    model.save(str(tmp_path / "model.onnx"))
    assert_same(net, ModelWrapper(str(tmp_path / "model.onnx")))


def test_nodes_say_their_layer(made):
    net, model = made["odd"]
    names = {layer.name for layer in net.network.layers}
    assert {node.doc_string for node in model.graph.node} <= names
    assert [node.name for node in model.graph.node] == [
        node.name for node in model.transform(GiveUniqueNodeNames()).graph.node
    ]


def with_streams(model: ModelWrapper) -> ModelWrapper:
    passes = (
        InsertDWC(),
        InsertFIFO(create_shallow_fifos=True),
        SpecializeLayers(PART),
        GiveUniqueNodeNames(),
    )
    for transformation in (*passes, GiveReadableTensorNames(), InferDataTypes()):
        model = model.transform(transformation)
    return model


@pytest.mark.parametrize("name", ["mlp", "cnv_bytes", "odd"])
def test_finn_inserts_converters_and_fifos_and_the_function_stays(made, name):
    net, model = made[name]
    streamed = with_streams(model)
    design = design_of(net)
    converters = sum(isinstance(element.node, WidthConverter) for element in design.elements)
    assert len(streamed.get_nodes_by_op_type("StreamingDataWidthConverter_rtl")) == converters
    nodes = len(model.graph.node)
    assert len(streamed.get_nodes_by_op_type("StreamingFIFO_rtl")) == nodes + converters + 1
    assert_same(net, streamed)


def test_fifo_depths_arrive_where_they_belong():
    net = numbers(NETWORKS["odd"])
    design = design_of(net)
    converter = next(element for element in design.elements if isinstance(element.node, WidthConverter))
    reader = next(e for e in design.elements if e.sources == ((converter.name, "m"),))
    depths = {f"{converter.name}_fifo": 31, f"{reader.name}_fifo": 17}
    streamed = with_streams(dataflow_model(design, net.network.input.shape, depths))
    fifos = streamed.get_nodes_by_op_type("StreamingFIFO_rtl")
    found = {getCustomOp(fifo).get_nodeattr("depth"): fifo for fifo in fifos}
    assert set(found) == {2, 31, 17}
    behind = streamed.find_direct_successors(found[31])
    assert [node.op_type for node in behind] == ["StreamingDataWidthConverter_rtl"]
    assert streamed.find_direct_successors(behind[0]) == [found[17]]


def test_cycles_and_performance_are_finns_own_figures(made):
    net, model = made["cnv_bytes"]
    cycles = model.analysis(exp_cycles_per_layer)
    design = design_of(net)
    performance = model.transform(AnnotateCycles()).analysis(dataflow_performance)
    assert performance["max_cycles"] == max(cycles.values())
    products = list(design.products.values())
    right = [
        node.fan_in // node.simd * node.channels // node.pe * int(np.prod(node.vectors)) for node in products
    ]
    assert [cycles[f"ZcProduct_rtl_{index}"] for index in range(len(products))] == right


def test_the_graph_is_one_partition_and_takes_dmas_and_folding(made, tmp_path):
    net, model = made["odd"]
    parent = model.transform(CreateDataflowPartition(str(tmp_path)))
    assert [node.op_type for node in parent.graph.node] == ["StreamingDataflowPartition"]
    child = ModelWrapper(getCustomOp(parent.graph.node[0]).get_nodeattr("model"))
    assert_same(net, child)
    dmas = with_streams(child).transform(InsertIODMA()).get_nodes_by_op_type("IODMA_hls")
    assert len(dmas) == 2
    folded = child.transform(SetFolding(500))  # knows FINN's nodes alone, and leaves ours
    for kind in ("ZcProduct_rtl", "ZcCrossingSite_rtl", "ZcInputGenerator_rtl"):
        before, after = (graph.get_nodes_by_op_type(kind) for graph in (model, folded))
        for one, other in zip(before, after, strict=True):
            assert getCustomOp(one).node == getCustomOp(other).node


def test_a_graph_without_a_product_has_no_logits():
    site = design_chain(CrossingSite.of(crossing_table(6, 9, 2), 2))
    with pytest.raises(ExecutionError, match="has no product"):
        execute(dataflow_model(site, (6,)), np.zeros((1, 6)))


def test_accumulators_past_float32_are_refused():
    grid = Grid(0, 1 << 24)
    table = CrossingTable(grid, np.zeros(2, np.uint8), np.zeros(3, np.int64), np.zeros(0, np.int64))
    with pytest.raises(DataflowError, match="node0: FINN keeps numbers as float32"):
        dataflow_model(design_chain(CrossingSite.of(table, 2)), (2,))


def test_a_plan_without_numbers_is_refused():
    design = plan(NETWORKS["mlp"], Folding(target_cycles=2000))
    with pytest.raises(DataflowError, match="dense0_product: this node of a plan has no weights yet"):
        dataflow_model(design, (64,))
