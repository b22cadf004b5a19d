"""Names of layers, which come from the nodes of the file.

A layer has the name of its node. An exporter may write a better name, such as the module's path, into the node's metadata
under the key `LAYER`; then the layer has that name. Metadata stays with a node when a tool renames it.
"""

import copy
import random
from collections.abc import Collection, Container, Iterator
from contextlib import contextmanager

from onnx import NodeProto

LAYER = "zerocross.layer"
"""Key in a node's metadata for the name of the layer whose output the node makes."""

_WIRED = "zerocross.wired"
"""Key in the metadata of a product's node that asks for a wired layer (`zerocross.finn_flows.network.Sparse`)."""

_TYPE = "zerocross.type"
"""Key in a node's metadata for the type of the author's node that it replaces."""

LABEL_SELECT = "label"
"""Name of the last layer, which chooses the largest logit."""


@contextmanager
def repeatable_names() -> Iterator[None]:
    """Have qonnx give new tensors the same names each time. It draws them by Python's random numbers."""
    before = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(before)


def labelled_layer(node: NodeProto) -> str | None:
    """Return the layer that a node's metadata names; None if it names none."""
    return _metadata(node, LAYER)


def _metadata(node: NodeProto, key: str) -> str | None:
    return next((entry.value for entry in node.metadata_props if entry.key == key and entry.value), None)


def label(node: NodeProto, layer: str, wired: bool = False) -> None:
    """Write the name of the layer whose output a node makes into the node's metadata, and whether it is wired."""
    _set_metadata(node, LAYER, layer)
    if wired:
        _set_metadata(node, _WIRED, "1")


def is_wired(node: NodeProto) -> bool:
    """Return whether a product's metadata asks for a wired layer."""
    return _metadata(node, _WIRED) is not None


def _set_metadata(node: NodeProto, key: str, value: str) -> None:
    for entry in node.metadata_props:
        if entry.key == key:
            entry.value = value
            return
    node.metadata_props.add(key=key, value=value)


def replaces(node: NodeProto, author: NodeProto) -> NodeProto:
    """Record the type of the author's node that a node replaces; return the node."""
    written = _metadata(author, _TYPE) or author.op_type
    if written and written != node.op_type:
        node.metadata_props.add(key=_TYPE, value=written)
    return node


def called(node: NodeProto) -> str:
    """Return a node's name and type for messages, as its author wrote them."""
    return f"{node.name} ({_metadata(node, _TYPE) or node.op_type})"


def layer_name(node: NodeProto) -> str:
    """Return the name of a node's layer: the name in its metadata, else the node's own.

    Unprintable characters become underscores. So does "=", which follows a layer's name in command-line options.
    """
    name = labelled_layer(node) or node.name or node.op_type
    return "".join(each if each.isprintable() and each != "=" else "_" for each in name)


def copy_label(source: NodeProto, target: NodeProto) -> NodeProto:
    """Copy a node's label, if it has one, to the node that replaces it; return the replacement."""
    if (layer := labelled_layer(source)) is not None:
        label(target, layer, is_wired(source))
    return target


def unique(name: str, taken: Container[str]) -> str:
    """Return a name, followed by the first free number from 2 on if the name is taken."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def name_nodes(nodes: Collection[NodeProto]) -> None:
    """Give every node a unique name, in place.

    - A node without a name gets its type and a number: Conv_0.
    - A second node of the same name gets a number: conv_2.
    - All other names stay.
    """
    taken: set[str] = set()
    own = {node.name for node in nodes}
    counts: dict[str, int] = {}
    for node in nodes:
        if not node.name:
            while (name := f"{node.op_type}_{counts.setdefault(node.op_type, 0)}") in own | taken:
                counts[node.op_type] += 1
            node.name = name
        elif node.name in taken:
            node.name = unique(node.name, own | taken)
        taken.add(node.name)


def author_names(nodes: Collection[NodeProto]) -> frozenset[str]:
    """Return the names that `name_nodes` gives the nodes of a file, without changing them."""
    named = [copy.deepcopy(node) for node in nodes]
    name_nodes(named)
    return frozenset(node.name for node in named)
