"""Stock FINN's estimates of the nodes that it uses in place of ours, and graphs of these nodes."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from zerocross.finn_flows.finn_patches import prepare_finn
from zerocross.finn_flows.nodes.node import Attributes, StockNode
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.design import INPUT, Design, Source

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

_INSERTED = ("StreamingDataWidthConverter", "StreamingFIFO")  # by FINN itself

Answer = tuple[int, int, int, int]
"""Cycles per image, LUTs, block RAMs of 18 kbit, DSPs."""


def ask_finn(node: StockNode, finn_part: str) -> Answer:
    """Return FINN's own estimate of a node's cycles per image and resources on a part.

    Estimates are cached, because a search needs the same nodes again and again.
    """
    return _ask(node.op_type, node.attributes, node.streams, node.parameter, finn_part)


@lru_cache(maxsize=65536)
def _ask(op_type: str, attributes: Attributes, streams: int, parameter: str, finn_part: str) -> Answer:
    prepare_finn()
    from qonnx.custom_op.registry import getCustomOp

    inputs = [f"in{index}" for index in range(streams)] + [parameter] * bool(parameter)
    node = getCustomOp(_onnx_node(op_type, attributes, inputs, ["out"]))
    # FINN's formulas look up the same attributes again and again, and list all known attributes each time.
    node.get_nodeattr = lru_cache(maxsize=None)(node.get_nodeattr)
    # node_res_estimation returns these three and efficiencies, which double the time.
    answers = (
        node.lut_estimation(finn_part),
        node.bram_estimation(finn_part),
        node.dsp_estimation(finn_part),
    )
    lut, bram18, dsp = (int(answer) for answer in answers)
    return int(node.get_exp_cycles()), lut, bram18, dsp


def _onnx_node(
    op_type: str, attributes: Attributes, inputs: list[str], outputs: list[str], name: str = ""
) -> Any:
    """Return the ONNX node that FINN wraps in its custom operator."""
    from onnx import helper

    domain = "finn.custom_op.fpgadataflow." + op_type.rsplit("_", 1)[1]
    return helper.make_node(
        op_type, inputs, outputs, name=name, domain=domain, backend="fpgadataflow", **dict(attributes)
    )


def stock_model(design: Design) -> "ModelWrapper":
    """Return a plan as a graph of stock FINN's nodes from `in` to `out`, with FINN's names of nodes.

    The graph names weights and thresholds but has no values for them. FINN inserts width converters and FIFOs. A node's
    output has the datatype that the next node reads: a thresholding node writes bits or levels here, whereas its estimate is
    for the number of its thresholds.
    """
    prepare_finn()
    from onnx import TensorProto, helper
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.util.basic import qonnx_make_model

    def value(name: str, stream: Stream) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, stream.stock_shape)

    tensors: dict[Source, list[str]] = {(INPUT, "s"): ["in"]}  # tensors without a reader so far, by stream
    streams = {"in": design.input}
    made: list[Any] = []
    counts: dict[str, int] = {}
    last = design.elements[-1].name
    for element in design.elements:
        inputs = [tensors[source].pop(0) for source in element.sources]
        stock = element.node.stock()
        if not stock or stock[0].op_type.startswith(_INSERTED):
            for port in element.node.outputs:  # elements without a node in this graph pass their tensor on
                tensors[element.name, port] = [*inputs, *tensors[element.sources[0]]]
            continue
        for index, node in enumerate(stock):
            number = counts.get(node.op_type, 0)
            counts[node.op_type] = number + 1
            name = f"{node.op_type}_{number}"
            copies = dict(node.attributes).get("NumOutputStreams", 1)
            outputs = [f"{name}_out{copy or ''}" for copy in range(copies)]
            if element.name == last and index == len(stock) - 1:
                outputs = ["out"]
            parameters = [f"{name}_{node.parameter}"] * bool(node.parameter)
            attributes = tuple(
                (key, node.sink.stock_datatype if key == "outputDataType" else value)
                for key, value in node.attributes
            )
            made.append(_onnx_node(node.op_type, attributes, [*inputs, *parameters], outputs, name))
            streams |= dict.fromkeys(outputs, node.sink)
            inputs = list(outputs)
        tensors |= {(element.name, port): inputs for port in element.node.outputs}
    ends = streams.pop("in"), streams.pop("out")
    graph = helper.make_graph(
        made,
        "candidate",
        [value("in", ends[0])],
        [value("out", ends[1])],
        value_info=[value(name, stream) for name, stream in streams.items()],
    )
    model = ModelWrapper(qonnx_make_model(graph))
    for name, stream in {"in": ends[0], **streams, "out": ends[1]}.items():
        model.set_tensor_datatype(name, DataType[stream.stock_datatype])
    return model
