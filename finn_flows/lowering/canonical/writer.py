"""The base of rewritings: a pass over a graph's nodes that writes each of them, or others in its place."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.graph.naming import copy_label, replaces, unique


class Writer:
    """Writes the nodes of a graph again, in order. A rewriting overrides `write`.

    Attributes:
        model: Graph that is rewritten in place.
        makers: Node that makes each tensor, as far as they are written.
    """

    def __init__(self, model: ModelWrapper) -> None:
        self.model = model
        self.makers: dict[str, NodeProto] = {}
        self._nodes: list[NodeProto] = []
        self._names = {node.name for node in model.graph.node}  # of the nodes that are read
        self._used: set[str] = set()  # by nodes that are written
        self._outputs = {output.name for output in model.graph.output}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def rewrite(self) -> None:
        """Rewrite the graph in place, without the nodes that nothing reads any more."""
        for node in list(self.model.graph.node):
            self.write(node)
        self.end()
        unused = {node.output[0] for node in self.model.graph.node} - needed(
            self.model.graph.node, self._outputs
        )
        kept = needed(self._nodes, self._outputs) | unused  # what the author left unused stays
        del self.model.graph.node[:]
        self.model.graph.node.extend(node for node in self._nodes if node.output[0] in kept)

    def write(self, node: NodeProto) -> None:
        """Write a node, or others in its place; by default the node itself."""
        self.keep(node)

    def end(self) -> None:
        """Write what is left at the end of the graph."""

    def keep(self, node: NodeProto) -> None:
        """Write a node as it is."""
        self._used.add(node.name)
        self._append(node)

    def make(
        self,
        like: NodeProto,
        op_type: str,
        inputs: Sequence[str],
        shape: Sequence[int],
        output: str = "",
        labelled: bool = True,
        **attributes: Any,
    ) -> str:
        """Write a node in the place of another one.

        Args:
            like: Node that it replaces, from which it gets its name.
            op_type: Type of the node.
            inputs: Tensors that it reads.
            shape: Shape of its output.
            output: Name of its output; a new name by default.
            labelled: Whether the node computes what the replaced one does, and gets its label too.
            attributes: Attributes of the node.

        Returns:
            The name of its output.
        """
        name = like.name if like.name not in self._used else unique(like.name, self._used | self._names)
        output = output or unique(f"{name}_out", self._tensors())
        node = helper.make_node(op_type, inputs, [output], name=name, **attributes)
        self._used.add(name)
        self._append(replaces(copy_label(like, node) if labelled else node, like))
        self._shape(output, shape)
        return output

    def copy(self, node: NodeProto, inputs: Sequence[str], shape: Sequence[int], output: str = "") -> str:
        """Write a node with other inputs in the place of itself; return the name of its output."""
        made = NodeProto()
        made.CopyFrom(node)
        made.name = node.name if node.name not in self._used else unique(node.name, self._used | self._names)
        self._used.add(made.name)
        output = output or unique(f"{made.name}_out", self._tensors())
        del made.input[:], made.output[:]
        made.input.extend(inputs)
        made.output.append(output)
        self._append(made)
        self._shape(output, shape, node.output[0])
        return output

    def constant(self, name: str, value: Any, dtype: Any = None) -> str:
        """Add a constant under a new name; return the name."""
        name = unique(name, self._tensors())
        self.model.set_initializer(name, np.asarray(value, dtype))
        return name

    def known(self, name: str) -> np.ndarray | None:
        """Return a constant tensor; None for a computed one."""
        return self.model.get_initializer(name) if name else None

    def computed(self, node: NodeProto) -> list[str]:
        """Return the inputs of a node that are no constants."""
        return [name for name in node.input if name and self.known(name) is None]

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Return a tensor's shape."""
        return tuple(self.model.get_tensor_shape(tensor) or ())

    def readers(self, tensor: str) -> list[NodeProto]:
        """Return the nodes of the graph before the rewriting that read a tensor."""
        return self._readers.get(tensor, [])

    def was_there(self, tensor: str) -> bool:
        """Return whether a node of the graph before the rewriting reads a tensor, or the graph returns it."""
        return tensor in self._readers or self.is_output(tensor)

    def is_output(self, tensor: str) -> bool:
        """Return whether a tensor is the graph's output."""
        return tensor in self._outputs

    def is_alone(self, tensor: str) -> bool:
        """Return whether exactly one node reads a tensor, and the graph does not return it."""
        return len(self.readers(tensor)) == 1 and not self.is_output(tensor)

    def _append(self, node: NodeProto) -> None:
        self._nodes.append(node)
        self.makers.update(dict.fromkeys(node.output, node))

    def _shape(self, tensor: str, shape: Sequence[int], like: str = "") -> None:
        """Declare a tensor's shape; its elements are of the type of another tensor, by default of its own."""
        if not self.is_output(tensor):
            element = self.model.get_tensor_valueinfo(like or tensor)
            kind = element.type.tensor_type.elem_type if element is not None else TensorProto.FLOAT
            self.model.set_tensor_shape(tensor, list(shape), kind)

    def _tensors(self) -> set[str]:
        graph = self.model.graph
        made = {name for node in (*graph.node, *self._nodes) for name in node.output}
        return made | {each.name for each in (*graph.initializer, *graph.input)}


def needed(nodes: Sequence[NodeProto], outputs: set[str]) -> set[str]:
    """Return the first output of each node that a graph's outputs depend on; nodes are in topological order."""
    wanted, found = set(outputs), set[str]()
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.output):
            found.add(node.output[0])
            wanted.update(node.input)
    return found


def with_attributes(node: NodeProto, **changes: Any) -> NodeProto:
    """Return a copy of a node with other attributes; None leaves an attribute out."""
    made = NodeProto()
    made.CopyFrom(node)
    kept = [each for each in node.attribute if each.name not in changes]
    given = [helper.make_attribute(name, value) for name, value in changes.items() if value is not None]
    del made.attribute[:]
    made.attribute.extend([*kept, *given])
    return made
