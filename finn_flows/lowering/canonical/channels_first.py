"""Writes nodes of FINN's and QONNX's channels-last graphs as standard nodes, channels first, between transposes.

    MultiThreshold (NHWC), MaxPoolNHWC, channels-last Conv  ->  Transpose, the channels-first node, Transpose
    Im2Col, MatMul                                          ->  Transpose, Conv, Transpose
    XnorPopcountMatMul                                      ->  Mul, Sub (bits to -1 and +1), MatMul, Mul, Add

Neighbouring transposes then cancel out. Graphs of FINN thus lower at every stage ahead of its hardware layers.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.naming import copy_label
from zerocross.finn_flows.lowering.graph.products import attributes
from zerocross.finn_flows.lowering.graph.regions import ELEMENTWISE

_WRAPPED = "qonnx.custom_op.channels_last"
_PRODUCTS = frozenset({"MatMul", "XnorPopcountMatMul"})


def write_channels_first(model: ModelWrapper) -> None:
    """Rewrite all channels-last nodes, in place; new nodes stand where the old ones stood.

    Args:
        model: Graph for one sample, with shapes and constant weights.

    Raises:
        LoweringError: If anything but a product with constant weights reads an Im2Col.
    """
    nodes = _Writer(model).write()
    nodes = _without_inverse_transposes(model, nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


class _Writer:
    def __init__(self, model: ModelWrapper) -> None:
        self.model = model
        self.nodes: list[NodeProto] = []
        self.windows = {node.output[0]: node for node in model.graph.node if node.op_type == "Im2Col"}
        self.last: set[str] = set()  # images that are channels last

    def write(self) -> list[NodeProto]:
        for node in self.model.graph.node:
            known = attributes(node)
            if node.op_type == "MultiThreshold" and self._is_last(known):
                self._between(node, self._thresholds)
            elif node.op_type == "MaxPoolNHWC" or node.domain == _WRAPPED:
                self._between(node, self._standard)
            elif node.op_type in _PRODUCTS and self._is_image(node):
                self._between(node, self._convolution)
            elif node.op_type == "XnorPopcountMatMul":
                self._popcount(node, node.input[0], self._bipolar_weights(node), node.output[0], {})
            elif node.op_type != "Im2Col":
                self.nodes.append(node)
                self._check_windows(node)
                is_turned = node.op_type == "Transpose" and list(known.get("perm", ())) == [0, 2, 3, 1]
                if is_turned or (node.op_type in ELEMENTWISE and self.last.intersection(node.input)):
                    self.last.update(node.output)
        return self.nodes

    @staticmethod
    def _is_last(known: dict[str, Any]) -> bool:
        layout = known.get("data_layout", b"").decode()
        return len(layout) > 2 and layout.endswith("C")

    def _is_image(self, node: NodeProto) -> bool:
        weights = self.model.get_initializer(node.input[1])
        shape = self.model.get_tensor_shape(node.input[0]) or []
        if node.input[0] in self.windows and weights is None:
            self._check_windows(node)
        is_last = node.input[0] in self.windows or node.input[0] in self.last
        return is_last and len(shape) == 4 and weights is not None and weights.ndim == 2

    def _check_windows(self, node: NodeProto) -> None:
        for name in node.input:
            if name in self.windows:
                raise LoweringError(
                    f"{node.name} ({node.op_type}) reads the windows of {self.windows[name].name} (Im2Col): only a MatMul "
                    "with constant weights may read them"
                )

    # Parts of the graph that is written; each returns or takes names of tensors.

    def _emit(self, op_type: str, inputs: list[str], sink: str, shape: list[int], **kept: Any) -> str:
        self.nodes.append(helper.make_node(op_type, inputs, [sink], name=sink, **kept))
        self.model.set_tensor_shape(sink, shape)
        return sink

    def _constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        self.model.set_initializer(name, np.asarray(value, dtype))
        return name

    def _between(self, node: NodeProto, inner: Callable[[NodeProto, str], str]) -> None:
        """Write a channels-first node between two transposes."""
        source = self.windows[node.input[0]].input[0] if node.input[0] in self.windows else node.input[0]
        shape, output = self.model.get_tensor_shape(source), node.output[0]
        last = len(shape) - 1
        first = self._emit(
            "Transpose",
            [source],
            f"{output}_in",
            [shape[0], shape[-1], *shape[1:-1]],
            perm=[0, last, *range(1, last)],
        )
        found = inner(node, first)
        self.last.add(output)
        self._emit(
            "Transpose",
            [found],
            output,
            self.model.get_tensor_shape(output),
            perm=[0, *range(2, last + 1), 1],
        )

    def _output(self, node: NodeProto) -> tuple[str, list[int]]:
        """Return name and shape of a node's output, channels first."""
        shape = list(self.model.get_tensor_shape(node.output[0]))
        return f"{node.output[0]}_out", [shape[0], shape[-1], *shape[1:-1]]

    def _thresholds(self, node: NodeProto, source: str) -> str:
        sink, shape = self._output(node)
        kept = {**attributes(node), "data_layout": "NCHW" if len(shape) == 4 else "NCW"}
        return self._replace(
            node, "MultiThreshold", [source, *node.input[1:]], sink, shape, node.domain, kept
        )

    def _standard(self, node: NodeProto, source: str) -> str:
        op_type = "MaxPool" if node.op_type == "MaxPoolNHWC" else node.op_type
        sink, shape = self._output(node)
        inputs = [source, *node.input[1:]]
        if op_type == "Conv":  # its weights are (outputs, height, width, inputs)
            weights = self.model.get_initializer(node.input[1])
            if weights is None:
                raise LoweringError(f"{node.name} (Conv): its weights are computed: make them constant")
            first = np.ascontiguousarray(np.moveaxis(weights, -1, 1))
            inputs[1] = self._constant(f"{node.output[0]}_weights", first)
        kept = {key: value for key, value in attributes(node).items() if key != "auto_pad" or value}
        return self._replace(node, op_type, inputs, sink, shape, "", kept)

    def _replace(
        self,
        node: NodeProto,
        op_type: str,
        inputs: list[str],
        sink: str,
        shape: list[int],
        domain: str,
        kept: dict[str, Any],
    ) -> str:
        made = helper.make_node(op_type, inputs, [sink], name=node.name, domain=domain, **kept)
        self.nodes.append(copy_label(node, made))
        self.model.set_tensor_shape(sink, shape)
        return sink

    def _convolution(self, node: NodeProto, source: str) -> str:
        """Write a product of windows, or of pixels, as a convolution."""
        window = self.windows.get(node.input[0])
        known = {} if window is None else attributes(window)
        kernel = list(known.get("kernel_size", (1, 1)))
        channels = self.model.get_tensor_shape(source)[1]
        flat = self._weights(node)
        weights = flat.T.reshape(-1, *kernel, channels).transpose(0, 3, 1, 2)
        group = 1
        if known.get("depthwise") and len(weights) == channels:  # all other weights are 0
            weights, group = weights[np.arange(channels), np.arange(channels)][:, None], channels
        pads, value = list(known.get("pad_amount", (0, 0, 0, 0))), known.get("pad_value", 0)
        is_bits = node.op_type == "XnorPopcountMatMul"
        sink, shape = self._output(node)
        if any(pads) and (value or is_bits):
            source, pads = self._padded(source, sink, pads, value), [0] * 4
        kept = {
            "kernel_shape": kernel,
            "strides": list(known.get("stride", (1, 1))),
            "dilations": list(known.get("dilations", (1, 1))),
            "pads": pads,
            "group": group,
        }
        name = self._constant(f"{node.output[0]}_weights", np.ascontiguousarray(weights))
        if is_bits:
            return self._popcount(node, source, name, sink, kept)
        return self._replace(node, "Conv", [source, name], sink, shape, "", kept)

    def _padded(self, source: str, sink: str, pads: list[int], value: float) -> str:
        shape = self.model.get_tensor_shape(source)
        amounts = self._constant(f"{sink}_pads", [0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64)
        padding = self._constant(f"{sink}_padding", value)
        after = [*shape[:2], shape[2] + pads[0] + pads[2], shape[3] + pads[1] + pads[3]]
        return self._emit("Pad", [source, amounts, padding], f"{sink}_padded", after)

    def _weights(self, node: NodeProto) -> np.ndarray:
        weights = np.asarray(self.model.get_initializer(node.input[1]), np.float32)
        return 2 * weights - 1 if node.op_type == "XnorPopcountMatMul" else weights

    def _bipolar_weights(self, node: NodeProto) -> str:
        if self.model.get_initializer(node.input[1]) is None:
            raise LoweringError(
                f"{node.name} (XnorPopcountMatMul) multiplies two computed tensors: make its second input constant"
            )
        return self._constant(f"{node.output[0]}_weights", self._weights(node))

    def _popcount(self, node: NodeProto, source: str, weights: str, sink: str, kept: dict[str, Any]) -> str:
        """Write the number of bits that equal their weights: (product of -1 and +1 + fan-in) / 2."""
        output, before = node.output[0], list(self.model.get_tensor_shape(source))
        after = list(self.model.get_tensor_shape(output)) if sink == output else self._output(node)[1]
        fan_in = self.model.get_initializer(node.input[1]).shape[0] if kept.get("group", 1) == 1 else 0
        fan_in = fan_in or int(np.prod(kept["kernel_shape"]))
        one, two, half = (
            self._constant(f"{output}_{word}", value)
            for word, value in (("one", 1.0), ("two", 2.0), ("half", 0.5))
        )
        doubled = self._emit("Mul", [source, two], f"{output}_doubled", before)
        bipolar = self._emit("Sub", [doubled, one], f"{output}_bipolar", before)
        op_type = "Conv" if kept else "MatMul"
        product = self._replace(node, op_type, [bipolar, weights], f"{output}_product", after, "", kept)
        halved = self._emit("Mul", [product, half], f"{output}_halved", after)
        return self._emit("Add", [halved, self._constant(f"{output}_count", fan_in / 2)], sink, after)


def _without_inverse_transposes(model: ModelWrapper, nodes: list[NodeProto]) -> list[NodeProto]:
    """Compose neighbouring transposes and drop those that change nothing or that nothing reads any more."""
    outputs = {output.name for output in model.graph.output}
    made = {node.output[0]: node for node in nodes if node.op_type == "Transpose"}
    same: dict[str, str] = {}
    for node in nodes:
        for index, name in enumerate(node.input):
            node.input[index] = same.get(name, name)
        before = made.get(node.input[0]) if node.op_type == "Transpose" else None
        if before is None:
            continue
        inner, outer = (list(attributes(each).get("perm", ())) for each in (before, node))
        if not inner or not outer:
            continue
        perm = [inner[axis] for axis in outer]
        if perm == sorted(perm) and node.output[0] not in outputs:
            same[node.output[0]] = before.input[0]
        node.input[0] = before.input[0]
        del node.attribute[:]
        node.attribute.append(helper.make_attribute("perm", perm))
    left: list[NodeProto] = []
    read = set(outputs)
    for node in reversed(nodes):
        if node.op_type != "Transpose" or node.output[0] in read:
            left.insert(0, node)
            read.update(node.input)
    return left
