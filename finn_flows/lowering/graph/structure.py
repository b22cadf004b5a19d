"""The structure of a graph: which tensors hold integers, and which tensors are functions of them.

Tensors of integers are the network's quantized input, the accumulators of products, the sums of levels that an Add or a mean
pool makes, and the channels that a Concat joins. Every other tensor is a function of one of them, element by element. The
tensors that products, Adds, Concats and mean pools read are called ends: a region ends there.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.naming import called, labelled_layer
from zerocross.finn_flows.lowering.graph.products import is_product
from zerocross.finn_flows.lowering.graph.quantizers import declared_bits, declared_values
from zerocross.finn_flows.lowering.graph.regions import ELEMENTWISE, MOVING, Region
from zerocross.finn_flows.lowering.graph.windows import MEANS

_SUMS = frozenset({"Add", "Sum"})
_JOINS = _SUMS | {"Concat"}

_AS_OPTION = "--logits NAME on the command line or lower(file, output=NAME)"


@dataclass
class Structure:
    """A graph's tensors of integers and the regions between them.

    Attributes:
        model: The graph; tidied, or with absorbed activations.
        readers: Nodes that compute with integers, in order: products, Adds of several tensors, Concats, mean pools.
        sources: For every end, the tensor of integers that it is a function of.
        input: End that is the network's quantized input.
        last: Product whose accumulators are the logits.
        ending: Nodes behind the last product.
    """

    model: ModelWrapper
    readers: list[NodeProto] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    input: str = field(init=False)
    last: NodeProto = field(init=False)
    ending: tuple[NodeProto, ...] = field(init=False)
    _makers: dict[str, NodeProto] = field(init=False)
    _origins: dict[str, str] = field(init=False)
    _strange: dict[str, NodeProto] = field(default_factory=dict)

    def __post_init__(self) -> None:
        graph = self.model.graph
        if len(graph.output) != 1:
            names = ", ".join(output.name for output in graph.output)
            raise LoweringError(
                f"the graph has the outputs {names}: name the one that holds the logits, {_AS_OPTION}; the others are "
                "dropped"
            )
        start, output = graph.input[0].name, graph.output[0].name
        self._makers = {name: node for node in graph.node for name in node.output}
        self._origins = {start: start}
        needed = {name for node in self.ahead(output) for name in node.output}
        for node in graph.node:
            if not needed.isdisjoint(node.output):
                self._follow(node, start)
            elif is_product(node):
                raise LoweringError(
                    f"nothing reads {self.name(node.output[0])}: the activation behind it is constant or unused"
                )
        self._find_last(output, start, needed)
        self._find_sources(start)

    def name(self, tensor: str) -> str:
        """Return the name of a tensor for messages: the node that makes it, with its type."""
        node = self._makers.get(tensor)
        return called(node) if node is not None else tensor

    @property
    def is_single(self) -> bool:
        """Whether the network has one logit, whose sign is the class."""
        shape = self.model.get_tensor_shape(self.last.output[0])
        return bool(shape) and math.prod(shape) == 1

    def reads(self, node: NodeProto) -> list[str]:
        """Return the tensors that a reader reads as integers."""
        return list(node.input) if node.op_type in _JOINS else [node.input[0]]

    def end(self, tensor: str) -> str:
        """Return the end whose elements, possibly moved, a tensor holds."""
        while tensor in self._makers and self._makers[tensor].op_type in MOVING:
            tensor = self._makers[tensor].input[0]
        return tensor

    def tail(self, tensor: str) -> list[NodeProto]:
        """Return the moving nodes between an end and a tensor, in order."""
        nodes: list[NodeProto] = []
        while tensor in self._makers and self._makers[tensor].op_type in MOVING:
            nodes.insert(0, self._makers[tensor])
            tensor = nodes[0].input[0]
        return nodes

    def readings(self, end: str) -> Iterator[tuple[NodeProto, str]]:
        """Yield the nodes that read an end, each with the tensor through which it reads it."""
        for node in self.readers:
            for tensor in self.reads(node):
                if self.end(tensor) == end:
                    yield node, tensor

    def is_summed(self, end: str) -> bool:
        """Return whether sums or further regions read an end; they need levels that count from 0."""
        behind = [each for each, source in self.sources.items() if source == end != each]
        if behind and end != self.input and self._origins[end] != end:
            return True
        return any(self._counts(node) for each in (end, *behind) for node, _ in self.readings(each))

    def _counts(self, node: NodeProto) -> bool:
        """Return whether a node needs levels that count from 0. A Concat may join bits if only products read it."""
        if node.op_type != "Concat":
            return not is_product(node)
        joined = node.output[0]
        read_on = any(source == joined != end for end, source in self.sources.items())
        all_bits = all(self._holds_bits(self.end(tensor)) for tensor in self.reads(node))
        return read_on or not all_bits or any(self._counts(reader) for reader, _ in self.readings(joined))

    def _holds_bits(self, end: str) -> bool:
        """Return whether an end holds two values according to its quantizer, or joins such tensors."""
        maker = self._makers.get(end)
        if maker is not None and maker.op_type == "Concat":
            return all(self._holds_bits(self.end(tensor)) for tensor in self.reads(maker))
        values = declared_values(self.model, end, strict=False)
        return values is not None and len(values) == 2

    def region(self, end: str, axis: int = 1) -> Region:
        """Return the nodes that compute an end from its source.

        Args:
            end: An end, one of the keys of `sources`.
            axis: Axis of the source's channels.
        """
        source = self.sources[end]
        maker = self._makers.get(source)
        body = self.ahead(end, {source}) if end != source else []
        return Region(source, maker.name if maker is not None else source, tuple(body), end, axis)

    def ahead(self, tensor: str, stop: set[str] | None = None) -> list[NodeProto]:
        """Return the nodes that a tensor depends on, in the graph's order, without those ahead of the `stop` tensors."""
        wanted, found = [tensor], set()
        seen = set(stop or ())
        while wanted:
            name = wanted.pop()
            if name in seen or name not in self._makers:
                continue
            seen.add(name)
            found.add(self._makers[name].output[0])
            wanted += self._makers[name].input
        return [node for node in self.model.graph.node if node.output[0] in found]

    def _follow(self, node: NodeProto, start: str) -> None:
        """Determine the tensor of integers that a node's output is a function of."""
        computed = [name for name in node.input if name in self._origins]
        if is_product(node):
            if node.input[0] not in self._origins:
                raise LoweringError(
                    f"{called(node)} multiplies a constant by a computed tensor: make the weights the second input"
                )
            self._read(node)
            return
        origins = {self._origins[name]: name for name in computed}
        if len(origins) > 1 or (
            node.op_type == "Concat" and origins and not self._is_on_host(computed, start)
        ):
            self._join(node, list(origins.values()))
            return
        if not origins:
            return
        (origin,) = origins
        if node.op_type in MEANS and (origin != start or self._is_quantized(computed[0])):
            self._read(node)
            return
        strange = next((self._strange[name] for name in computed if name in self._strange), None)
        if strange is None and node.op_type not in ELEMENTWISE | MOVING:
            strange = node
        for name in node.output:
            self._origins[name] = origin
            if strange is not None:
                self._strange[name] = strange

    def _is_on_host(self, tensors: list[str], start: str) -> bool:
        """Return whether tensors are functions of the network's input, but not all of them of the same levels."""
        if any(self._origins[name] != start for name in tensors) or self._is_quantized(start):
            return False
        if not all(self._is_quantized(name) for name in tensors):
            return True
        ends = {self.end(name) for name in tensors}
        return len(ends) > 1 and not any(
            all(self._is_behind(end, shared, start) for end in ends) for shared in self._shared_levels(start)
        )

    def _is_quantized(self, tensor: str) -> bool:
        return declared_values(self.model, self.end(tensor), strict=False) is not None

    def _join(self, node: NodeProto, tensors: list[str]) -> None:
        if node.op_type not in _JOINS:
            one, other = (self.name(self._origins[tensor]) for tensor in tensors[:2])
            raise LoweringError(
                f"{called(node)} joins the outputs of {one} and {other}: only an Add or a Concat can join tensors"
            )
        if constant := [name for name in node.input if name not in self._origins]:
            raise LoweringError(
                f"{called(node)} adds the constant {constant[0]} to several tensors: add it to one of them first"
                if node.op_type in _SUMS
                else f"{called(node)} joins the constant {constant[0]} to computed channels: leave it out"
            )
        self._read(node)

    def _read(self, node: NodeProto) -> None:
        """Record a node that reads integers and makes others."""
        for tensor in self.reads(node):
            strange, origin = self._strange.get(tensor), self._origins[tensor]
            if strange is not None and origin in self._makers:
                raise LoweringError(
                    f"{called(strange)} stands between {self._makers[origin].name} and {node.name} and is not "
                    "elementwise: an activation may only use elementwise and per-channel nodes, max-pools and flattens"
                )
        self.readers.append(node)
        self._origins[node.output[0]] = node.output[0]

    def _find_last(self, output: str, start: str, needed: set[str]) -> None:
        origin = self._origins.get(output, start)
        if origin == start:
            raise LoweringError("the network has no product (Conv, MatMul or Gemm) that its input reaches")
        self.last = self._makers[origin]
        if not is_product(self.last):
            raise LoweringError(
                f"the network ends with {self.name(origin)}: end it with a product whose largest output is the class"
            )
        self.ending = tuple(
            node
            for node in self.model.graph.node
            if self._origins.get(node.output[0]) == origin and node.output[0] in needed - {origin}
        )

    def _find_sources(self, start: str) -> None:
        """Find the source of every end: a tensor of integers, or levels that several ends share."""
        ends: dict[str, list[str]] = {}
        for node in self.readers:
            for tensor in self.reads(node):
                end = self.end(tensor)
                group = ends.setdefault(self._origins[end], [])
                if end not in group:
                    group.append(end)
        for source, found in ends.items():
            group = found
            for shared in self._shared_levels(source) if len(found) > 1 or source == start else ():
                behind = [end for end in group if self._is_behind(end, shared, source)]
                if len(behind) > 1 or (
                    self._is_encoded(behind, shared) if len(found) == 1 else self._chooses(behind, shared)
                ):
                    self.sources.update(dict.fromkeys((end for end in behind if end != shared), shared))
                    group = [end for end in group if end not in behind] + [shared]
            self.sources.update(dict.fromkeys(group, source))
            if source == start:
                self._find_input(start, group)
        if self.is_single:
            self.sources[self.model.graph.output[0].name] = self.last.output[0]

    def _shared_levels(self, source: str) -> list[str]:
        """Return the outputs of the quantizers behind a source that several regions could share, the last one first.

        Regions cannot share bits, because no activation reads bits.
        """
        least = 1 if source == self.model.graph.input[0].name else 2
        return [
            node.output[0]
            for node in reversed(self.model.graph.node)
            if self._origins.get(node.output[0]) == source
            and least <= (declared_bits(self.model, node) or 0) <= 8
        ]

    def _chooses(self, ends: list[str], shared: str) -> bool:
        """Return whether an end has only some channels of the shared tensor: a quantizer's levels, not accumulators."""
        nodes = [node for end in ends if end != shared for node in self.ahead(end, {shared})]
        return any(node.op_type == "Gather" for node in nodes)

    def _is_encoded(self, ends: list[str], levels: str) -> bool:
        """Return whether an end encodes the levels of the network's input, and so belongs to hardware.

        The levels are integers from 0, and it has more elements than they, such as a thermometer, or the file names it as a
        layer. Another second quantizer belongs to the host, together with the first.
        """
        values = declared_values(self.model, levels, strict=False)
        if values is None or len(values) <= 2 or (values.min(), values.max()) != (0, len(values) - 1):
            return False
        count = math.prod(self.model.get_tensor_shape(levels))
        return any(
            math.prod(self.model.get_tensor_shape(end)) > count or labelled_layer(self._makers[end])
            for end in ends
            if end != levels
        )

    def _is_behind(self, end: str, shared: str, source: str) -> bool:
        """Return whether an end is a function of the shared tensor alone."""
        if end == shared:
            return True
        read = {name for node in self.ahead(end, {shared, source}) for name in node.input}
        return shared in read and source not in read

    def _find_input(self, start: str, group: list[str]) -> None:
        if len(group) == 1 and not self._is_encoded(group, start):
            self.input = group[0]
        elif declared_values(self.model, start, strict=False) is not None:
            self.input = start
            self.sources.update(dict.fromkeys(group, start))
        else:
            one, other = (next(self.readings(end))[0] for end in group[:2])
            raise LoweringError(
                f"the network's input is quantized more than once, for {called(one)} and for "
                f"{called(other)}: quantize it once, ahead of both"
            )
