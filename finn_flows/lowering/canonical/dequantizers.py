"""One DequantizeLinear for all readers of a quantized tensor: exporters often write one for each reader."""

from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.graph.products import attributes


def share_dequantizers(model: ModelWrapper) -> None:
    """Let the readers of equal DequantizeLinear nodes read the first of them, in place; shapes need not be known."""
    first: dict[object, str] = {}
    names: dict[str, str] = {}
    kept = []
    outputs = {each.name for each in model.graph.output}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.output[0] not in outputs:
            values = [model.get_initializer(name) for name in node.input[1:] if name]
            if all(value is not None for value in values):
                same = [(value.shape, value.dtype.str, value.tobytes()) for value in values]
                key = (node.input[0], tuple(same), attributes(node).get("axis", 1))
                shared = first.setdefault(key, node.output[0])
                if shared != node.output[0]:
                    names[node.output[0]] = shared
                    continue
        kept.append(node)
    for node in kept:
        node.input[:] = [names.get(name, name) for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(kept)
