"""A design as a FINN graph of this project's operators, with weights and crossings.

FINN inserts width converters and FIFOs. Images have shape (1, height, width, channels), and bits are 0 and 1. The
`doc_string` of a node is the network's layer that the node belongs to.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.finn_patches import prepare_finn
from zerocross.finn_flows.nodes import WidthConverter
from zerocross.finn_flows.nodes.duplicate import FINN_FIFO_DEPTH
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.rtl.design import INPUT, Design, Element

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

Shape = tuple[int, ...]


class DataflowError(FlowError):
    """A design cannot be expressed as a FINN graph; the message names the node."""


def dataflow_model(design: Design, shape: Shape, depths: Mapping[str, int] | None = None) -> "ModelWrapper":
    """Return a design as a FINN graph.

    Args:
        design: Design without FIFOs. Its width converters are omitted, because FINN inserts its own.
        shape: Shape of the network's input, (features,) or (height, width, channels).
        depths: FIFO depths by name, from `streaming.size_fifos`. They become inFIFODepths and outFIFODepths of the nodes,
            from which FINN derives its FIFOs.

    Returns:
        A graph of specialised nodes with FINN's names of nodes.

    Raises:
        DataflowError: If FINN's float32 does not hold a node's numbers exactly, or the design is a plan without numbers.
    """
    prepare_finn()
    from onnx import TensorProto, helper
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.util.basic import qonnx_make_model

    from zerocross.finn_flows.vendor.operators import register

    register()
    builder = _Builder(design, (1, *shape), depths or {})
    for element in design.elements:
        builder.add(element)

    def value(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, builder.shapes[name])

    last = builder.tensors[design.elements[-1].name, "m"]
    inner = [name for name in builder.shapes if name not in (INPUT, last)]
    graph = helper.make_graph(
        builder.nodes, "zerocross", [value(INPUT)], [value(last)], value_info=[value(name) for name in inner]
    )
    model = ModelWrapper(qonnx_make_model(graph))
    for name, datatype in builder.datatypes.items():
        model.set_tensor_datatype(name, DataType[datatype])
    for name, (values, datatype) in builder.parameters.items():
        model.set_initializer(name, values)
        model.set_tensor_datatype(name, DataType[datatype])
    return model


class _Builder:
    """Walks over a design once and keeps the shape and datatype of each tensor by name."""

    def __init__(self, design: Design, shape: Shape, depths: Mapping[str, int]) -> None:
        self.depths = depths
        self.converters = {
            element.sources[0]: element
            for element in design.elements
            if isinstance(element.node, WidthConverter)
        }
        self.tensors = {(INPUT, "s"): INPUT}
        self.shapes = {INPUT: shape}
        self.datatypes = {INPUT: design.input.datatype}
        self.parameters: dict[str, tuple[np.ndarray, str]] = {}
        self.nodes: list[Any] = []
        self.counts: dict[str, int] = {}

    def add(self, element: Element) -> None:
        """Append the node of an element, unless it is a width converter."""
        if isinstance(element.node, WidthConverter):
            self.tensors[element.name, "m"] = self.tensors[element.sources[0]]
            return
        inputs = [self.tensors[source] for source in element.sources]
        outputs = []
        for port, stream in element.node.outputs.items():
            name = element.name if port == "m" else f"{element.name}_{port}"
            outputs.append(name)
            self.tensors[element.name, port] = name
            self.shapes[name] = stream.stock_shape
            self.datatypes[name] = stream.datatype
        try:
            parameters = element.node.parameters()
        except NodeError as error:
            raise DataflowError(f"{element.name}: {error}") from None
        for name, parameter in parameters.items():
            inputs.append(f"{element.name}_{name}")
            self.parameters[inputs[-1]] = parameter
        self.nodes.append(self._onnx(element, inputs, outputs))

    def _onnx(self, element: Element, inputs: list[str], outputs: list[str]) -> Any:
        from onnx import helper

        from zerocross.finn_flows.vendor.operators import attributes, operator_name

        op_type = f"{operator_name(type(element.node))}_rtl"
        number = self.counts.get(op_type, 0)
        self.counts[op_type] = number + 1
        behind = [self.converters.get((element.name, port)) for port in element.node.outputs]
        return helper.make_node(
            op_type,
            inputs,
            outputs,
            name=f"{op_type}_{number}",
            doc_string=element.layer,
            domain="finn.custom_op.fpgadataflow.rtl",
            backend="fpgadataflow",
            exec_mode="cppsim",  # FINN's own nodes compute in Python only in this mode
            inFIFODepths=[self._depth(element.fifo_name(port)) for port in element.node.inputs],
            outFIFODepths=[
                self._depth("" if converter is None else converter.fifo_name("s")) for converter in behind
            ],
            **attributes(element.node),
        )

    def _depth(self, name: str) -> int:
        return max(FINN_FIFO_DEPTH, self.depths.get(name, 0))
