"""FINN's operators against the records that they wrap: in Python, in FINN's passes, and as Verilog."""

import re
from pathlib import Path

import numpy as np
import pytest
from finn.analysis.fpgadataflow.op_and_param_counts import op_and_param_counts
from finn.analysis.fpgadataflow.res_estimation import res_estimation, res_estimation_complete
from finn.core.onnx_exec import execute_onnx
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
from finn.transformation.fpgadataflow.replace_verilog_relpaths import ReplaceVerilogRelPaths
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from onnx import helper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveUniqueNodeNames
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from tests.finn_flows.vendor import block_design
from tests.finn_flows.vendor.designs import answers, designs, samples
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes import Product, WidthConverter
from zerocross.finn_flows.nodes.product import product_price
from zerocross.finn_flows.vendor.dataflow import dataflow_model
from zerocross.finn_flows.vendor.operators import OPERATORS, NodeOperator, register

PART = "xc7z020clg400-1"
SAMPLES = 5
ALL = designs()
BUILT = (
    "bits",
    "bytes_signed",
    "pool",
    "label",
    "biased",
    "wired",
    "at_once",
    "padded",
    "fifo",
    "overlapping",
    "parallel",
    "dilated",
    "grouped",
    "residual",
    "joined",
    "dynamic",
    "wide_bytes",
    "wide_levels_signed",
    "sum_pool",
    "overlapping_sums",
    "search",
    "table in block RAM, two bits",
)


@pytest.fixture(scope="module")
def models():
    return {name: model_of(design) for name, design in ALL.items()}


def model_of(design, depths=None):
    return dataflow_model(design, design.input.shape, depths)


def test_every_kind_of_node_is_tried(models):
    kinds = {getCustomOp(node).kind for model in models.values() for node in model.graph.node}
    assert kinds == {operator.kind for operator in OPERATORS.values()} - {WidthConverter}  # FINN has its own


@pytest.mark.parametrize("name", ALL)
def test_finn_computes_what_the_records_do(models, name):
    design, model = ALL[name], models[name]
    values = samples(design, SAMPLES)
    right = answers(design, values)
    shape = model.get_tensor_shape("input")
    for value, expected in zip(values, right, strict=True):
        given = {"input": value.reshape(shape).astype(np.float32)}
        (answer,) = execute_onnx(model, given).values()
        assert (answer.reshape(-1) == expected.reshape(-1)).all()


@pytest.mark.parametrize("name", ALL)
def test_streams_cycles_and_shapes_are_the_records(models, name):
    design, model = ALL[name], models[name]
    for element, node in zip(design.elements, model.graph.node, strict=True):
        operator = getCustomOp(node)
        assert isinstance(operator, NodeOperator)
        assert operator.node == element.node
        assert operator.get_exp_cycles() == element.node.interval
        for index, stream in enumerate(element.node.inputs.values()):
            assert operator.get_instream_width(index) == stream.width
            assert operator.get_normal_input_shape(index) == (1, *stream.shape)
            folded = operator.get_folded_input_shape(index)
            assert (folded[-1], np.prod(folded)) == (stream.lanes, stream.elements)
        for index, stream in enumerate(element.node.outputs.values()):
            folded = operator.get_folded_output_shape(index)
            assert (folded[-1], np.prod(folded)) == (stream.lanes, stream.elements)
            assert operator.get_normal_output_shape(index) == (1, *stream.shape)
            assert operator.get_outstream_width_padded(index) == -(-stream.width // 8) * 8
        counts = {f"out{index}": sink.words for index, sink in enumerate(element.node.outputs.values())}
        assert operator.get_number_output_values() == (counts if len(counts) > 1 else counts["out0"])


@pytest.mark.parametrize("name", ALL)
def test_finns_inference_and_analyses_take_the_nodes(models, name):
    model = models[name]
    inferred = model.transform(InferShapes()).transform(InferDataTypes())
    for tensor in [output for node in model.graph.node for output in node.output]:
        assert inferred.get_tensor_shape(tensor) == model.get_tensor_shape(tensor)
        assert inferred.get_tensor_datatype(tensor) == model.get_tensor_datatype(tensor)
    estimates = res_estimation(model, PART)
    assert (
        set(estimates)
        == {node.name for node in model.graph.node}
        == set(res_estimation_complete(model, PART))
    )
    assert model.analysis(op_and_param_counts)


def test_resources_are_this_projects_prices(models):
    def resources(name: str) -> dict[str, float]:
        (found,) = res_estimation(models[name], PART).values()
        return found

    def price(name: str) -> Price:
        (element,) = ALL[name].elements
        return element.node.price()

    bits = product_price(45, 21, 7, 9)
    assert (resources("bits")["LUT"], resources("bits")["BRAM_18K"]) == (round(bits.lut), bits.bram18)
    assert resources("bytes_signed")["BRAM_18K"] == 0
    assert resources("bytes_signed")["LUT"] > product_price(30, 8, 4, 10, 8).lut
    assert resources("constant")["LUT"] == 0
    for name in ("label", "bias", "search", "comparators", "table in block RAM", "dilated", "sum_pool"):
        assert resources(name)["LUT"] == round(price(name).lut)
        assert resources(name)["BRAM_18K"] == price(name).bram18
    assert resources("search")["LUT"] != resources("comparators")["LUT"]


def test_other_folding_is_another_price_and_time(models):
    model = models["bits"].transform(InferShapes())
    operator = getCustomOp(model.graph.node[0])
    before = (operator.get_exp_cycles(), operator.lut_estimation(PART))
    operator.set_nodeattr("PE", 21)
    assert operator.get_exp_cycles() * 3 == before[0]
    assert operator.lut_estimation(PART) > before[1]
    assert operator.node.pe == 21


def test_registering_twice_changes_nothing():
    from finn.custom_op import fpgadataflow
    from finn.custom_op.fpgadataflow import rtl

    register()
    before = dict(rtl.custom_op), dict(fpgadataflow.custom_op)
    register()
    assert (dict(rtl.custom_op), dict(fpgadataflow.custom_op)) == before
    for operator in OPERATORS.values():
        assert issubclass(before[0][f"{operator.__name__}_rtl"], RTLBackend)
        assert before[1][operator.__name__] is operator


def abstract(model):
    """The same graph before FINN has specialised it."""
    model = model.transform(InferShapes())
    for node in list(model.graph.node):
        made = helper.make_node(
            node.op_type.removesuffix("_rtl"), node.input, node.output, domain="finn.custom_op.fpgadataflow"
        )
        made.attribute.extend(node.attribute)
        model.graph.node.remove(node)
        model.graph.node.append(made)
    return model


@pytest.mark.parametrize("name", ["residual", "padded", "search"])
def test_specialize_layers_keeps_specialised_nodes_and_makes_them_of_abstract_ones(models, name):
    model = models[name]
    types = [node.op_type for node in model.graph.node]
    assert [node.op_type for node in model.transform(SpecializeLayers(PART)).graph.node] == types
    assert [node.op_type for node in abstract(model).transform(SpecializeLayers(PART)).graph.node] == types


@pytest.mark.parametrize("name", ["residual", "overlapping"])
def test_an_abstract_graph_computes_the_same(models, name):
    design, model = ALL[name], abstract(models[name])
    value = samples(design, 1)
    given = {"input": value.reshape(model.get_tensor_shape("input")).astype(np.float32)}
    (answer,) = execute_onnx(model, given).values()
    assert (answer.reshape(-1) == answers(design, value)[0]).all()


def test_finn_simulates_a_node_without_its_parameters(models, monkeypatch):
    model = models["bits"].transform(InferShapes())
    operator = getCustomOp(model.graph.node[0])
    operator.set_nodeattr("exec_mode", "rtlsim")
    seen = []

    def simulate(self, context, graph):
        seen.extend(self.onnx_node.input)
        self.set_nodeattr("cycles_rtlsim", 77)

    monkeypatch.setattr(RTLBackend, "execute_node", simulate)
    operator.execute_node({}, model.graph)
    assert seen == ["input"]
    assert operator.get_nodeattr("cycles_rtlsim") == 77


def waiting(design):
    """The graph of a design whose image waits in a FIFO."""
    return model_of(design, {"total_fifo": 40}).transform(InsertFIFO()).transform(SpecializeLayers(PART))


@pytest.fixture(scope="module")
def generated(models):
    """The models with their code, the names of their nodes apart from each other's."""
    made = {}
    for name in BUILT:
        model = models[name] if name != "dynamic" else waiting(ALL[name])
        model = model.transform(GiveUniqueNodeNames(f"{re.sub(r'[, ]+', '_', name)}_")).transform(
            PrepareIP(PART, 10.0)
        )
        made[name] = model.transform(ReplaceVerilogRelPaths())  # FINN does it before it stitches
    return made


@pytest.mark.slow
def test_wrappers_and_memory_files_are_bit_exact_in_verilator(generated, tmp_path, runtime):
    blocks = {name: (model, block_design.of_model(model)) for name, model in generated.items()}
    simulator = block_design.compile_blocks(list(blocks.values()), tmp_path, runtime)
    given, expected, right = {}, {}, {}
    for name, (model, block) in blocks.items():
        design = ALL[name]
        values = samples(design, SAMPLES)
        first, last = (getCustomOp(model.graph.node[index]) for index in (0, -1))
        pins = sorted(block.external, key=lambda pin: pin.split("/")[1])
        source, sink = (pin.replace("/", "_") for pin in pins)
        given[source] = block_design.words(values, first)
        values = answers(design, values).reshape(-1, last.get_folded_output_shape()[-1])
        expected[sink], right[sink] = len(values), (last, values, name)
    for stalls in ((0.0, 0.0), (0.4, 0.4)):
        trace = simulator.run(given, expected, stalls)
        for sink, (last, values, name) in right.items():
            assert (block_design.elements(trace.words[sink], last) == values).all(), name


def test_a_nodes_tcl_names_files_that_are_there(generated):
    operator = getCustomOp(generated["bits"].graph.node[0])
    design = block_design.read_tcl(operator.code_generation_ipi())
    assert design.cells == {"bits_ZcProduct_rtl_0": "bits_ZcProduct_rtl_0"}
    assert [file.split("/")[-1] for file in design.files] == operator.get_rtl_file_list()
    assert operator.get_rtl_file_list(abspath=True) == list(design.files)


def test_generated_modules_are_among_a_nodes_files(generated):
    for node in generated["wired"].graph.node:
        operator = getCustomOp(node)
        own = operator.get_nodeattr("zc_module")
        assert f"{own}.sv" in operator.get_rtl_file_list()
        assert all(Path(file).exists() for file in operator.get_rtl_file_list(abspath=True))


def test_weights_come_back_from_their_initializer(models):
    model = models["bits"]
    operator = getCustomOp(model.graph.node[0])
    node = operator.with_numbers([model.get_initializer(model.graph.node[0].input[1])])
    assert isinstance(node, Product)
    assert (node.numbers == ALL["bits"].elements[0].node.numbers).all()
