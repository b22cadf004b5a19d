"""Graphs with several outputs: one of them holds the logits, the others are dropped with the nodes that only they need."""

import copy

from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.errors import LoweringError


def keep_output(model: ModelWrapper, output: str) -> ModelWrapper:
    """Return a copy of a graph with only one of its outputs, without the nodes that only the others need.

    Raises:
        LoweringError: If the graph has no such output.
    """
    names = [each.name for each in model.graph.output]
    if output not in names:
        raise LoweringError(f"the graph has no output {output}: choose {' or '.join(names)}")
    kept = copy.deepcopy(model)
    if len(names) > 1:
        _keep(kept, [output])
    return kept


def drop_constant_outputs(model: ModelWrapper) -> None:
    """Drop outputs that no sample changes, such as the scale of a quantized output, in place; one output stays."""
    made = {name for node in model.graph.node for name in node.output}
    computed = [each.name for each in model.graph.output if each.name in made]
    if computed and len(computed) < len(model.graph.output):
        _keep(model, computed)


def _keep(model: ModelWrapper, outputs: list[str]) -> None:
    graph = model.graph
    left = [each for each in graph.output if each.name in outputs]
    del graph.output[:]
    graph.output.extend(left)
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output}
    needed: set[int] = set()
    wanted = list(outputs)
    while wanted:
        index = makers.get(wanted.pop())
        if index is not None and index not in needed:
            needed.add(index)
            wanted += graph.node[index].input
    nodes = [node for index, node in enumerate(graph.node) if index in needed]
    del graph.node[:]
    graph.node.extend(nodes)
