"""The export of a trained network as QONNX, with the names of its layers.

The metadata of the node that computes a layer's output holds the layer's name
(`zerocross.finn_flows.lowering.graph.naming`). The network read from the file therefore has the same layer names as the
network that a search prices. The names do not depend on torch's names for nodes: the export inserts a mark after every
layer and then removes the marks from the file.
"""

from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import ModelProto, NodeProto
from torch import Tensor, fx, nn

from zerocross.finn_flows.lowering.graph.naming import label, labelled_layer
from zerocross.finn_flows.network import (
    Activation,
    Add,
    BitPlanes,
    Conv,
    Dense,
    Flatten,
    MaxPool,
    Network,
    Pad,
    Sparse,
    SumPool,
    Thermometer,
)
from zerocross.hw_search.extraction.layers import trace
from zerocross.hw_search.extraction.scales import UnsupportedModule
from zerocross.models.sparse import SparseLinear
from zerocross.models.table_neurons import TableLinear

_OPSET = 13  # ONNX opset of the exported graph
_DOMAIN, _MARK = "zerocross", "Mark"

_NODES: dict[type, frozenset[str]] = {
    Dense: frozenset({"MatMul", "Gemm"}),
    Sparse: frozenset({"MatMul", "Gemm"}),
    Conv: frozenset({"Conv"}),
    Activation: frozenset({"BipolarQuant", "Quant"}),
    Thermometer: frozenset({"BipolarQuant"}),
    BitPlanes: frozenset({"BipolarQuant"}),
    Add: frozenset({"Add"}),
    MaxPool: frozenset({"MaxPool"}),
    SumPool: frozenset({"AveragePool", "GlobalAveragePool"}),
    Flatten: frozenset({"Flatten", "Reshape"}),
}
"""Node types that compute the output of each kind of layer in a QONNX file."""


def export(model: nn.Module, input_shape: tuple[int, ...], path: Path) -> None:
    """Write a trained Brevitas network as QONNX.

    Args:
        model: Network that `zerocross.hw_search.extraction.layers.describe` accepts. It is moved to the CPU and set to
            eval mode.
        input_shape: (features,) or (channels, height, width).
        path: File to write.

    Raises:
        UnsupportedModule: If the network has no hardware, or torch's exporter creates no separate node for a layer.
    """
    for module in model.modules():
        if isinstance(module, SparseLinear | TableLinear):
            module.harden()
    traced = trace(model.eval().cpu(), input_shape)
    for node, name in traced.layers.items():
        with traced.graph.inserting_after(node):
            mark = traced.graph.call_function(_mark)
        node.replace_all_uses_with(mark)
        mark.args = (node, name)
    marked = fx.GraphModule(model, traced.graph).eval()
    write_qonnx(marked, input_shape, path)
    proto = onnx.load(path)
    _label(proto, traced.network)
    onnx.save(proto, path)


def write_qonnx(model: nn.Module, input_shape: tuple[int, ...], path: Path) -> None:
    """Write any Brevitas module as QONNX, without the names of its layers.

    Args:
        model: Module on the CPU, in eval mode.
        input_shape: (features,) or (channels, height, width).
        path: File to write.
    """
    from brevitas.export import export_qonnx

    # torch's exporter does not support erfc.
    torch.onnx.register_custom_op_symbolic("aten::erfc", _erfc, _OPSET)
    export_qonnx(model, args=torch.zeros(1, *input_shape), export_path=str(path), dynamo=False)


class _Mark(torch.autograd.Function):
    """The identity. In an exported graph it is a node that holds a layer's name."""

    @staticmethod
    def symbolic(g: Any, x: Any, layer: str) -> Any:
        return g.op(f"{_DOMAIN}::{_MARK}", x, layer_s=layer).setType(x.type())

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: str) -> Tensor:
        return x.clone()


def _mark(x: Tensor, layer: str) -> Tensor:
    return _Mark.apply(x, layer)


def _erfc(graph: Any, x: Any) -> Any:
    one = graph.op("Constant", value_t=torch.tensor(1.0))
    return graph.op("Sub", one, graph.op("Erf", x))


def _label(proto: ModelProto, network: Network) -> None:
    """Remove the marks from a graph and label the nodes before them, in place.

    Raises:
        UnsupportedModule: If a layer has no separate node, or its node has an unexpected type.
    """
    graph = proto.graph
    makers = {name: node for node in graph.node for name in node.output}
    marks = [node for node in graph.node if (node.domain, node.op_type) == (_DOMAIN, _MARK)]
    kept = [node for node in graph.node if (node.domain, node.op_type) != (_DOMAIN, _MARK)]
    read = {mark.output[0]: mark.input[0] for mark in marks}
    labelled: dict[str, NodeProto] = {}
    wired = {layer.name for layer in network.layers if isinstance(layer.operation, Sparse)}
    for mark in marks:
        if (made := makers.get(mark.input[0])) is not None:
            name = mark.attribute[0].s.decode()
            labelled[name] = made
            label(made, name, name in wired)
    for layer in network.layers[:-1]:
        if isinstance(layer.operation, Pad):  # it has the name of its reader
            continue
        made = labelled.get(layer.name)
        is_own = made is not None and labelled_layer(made) == layer.name
        if made is None or not is_own or made.op_type not in _NODES[type(layer.operation)]:
            found = f"a node of type {made.op_type}" if made is not None and is_own else "no node of its own"
            raise UnsupportedModule(
                f"{layer.name} ({type(layer.operation).__name__}) has {found} in the exported graph, so the layer "
                "cannot be named: use the torch version that zerocross is tested with"
            )
    for node in kept:
        for index, name in enumerate(node.input):
            node.input[index] = read.get(name, name)
    for output in graph.output:
        output.name = read.get(output.name, output.name)
    del graph.node[:]
    graph.node.extend(kept)
    opsets = [opset for opset in proto.opset_import if opset.domain != _DOMAIN]
    del proto.opset_import[:]
    proto.opset_import.extend(opsets)
