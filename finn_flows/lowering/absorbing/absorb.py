"""Absorbs activations: all nodes between two tensors of integers become one node with its crossings.

    product -> BatchNormalization, Sin, Mul, ..., Quant -> product      becomes
    product -> Crossings -> product

The region is executed in float32 at every integer that its source can hold; nothing is approximated. It outputs the
levels that products, Adds and mean pools read. Scales and biases of products, and scales and offsets of levels, belong to
the region behind them, so that only products with integer weights, sums and crossings remain.
"""

from collections.abc import Iterable
from dataclasses import replace
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from typing import Any

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.general import RemoveUnusedTensors

from zerocross.finn_flows.accumulators import MOST_INPUT_BITS
from zerocross.finn_flows.lowering.absorbing.endings import OWN_LINE, with_decision
from zerocross.finn_flows.lowering.absorbing.evaluation import crossing_position, evaluate, rescaled
from zerocross.finn_flows.lowering.absorbing.ops import DOMAIN, make_crossings
from zerocross.finn_flows.lowering.canonical.tidying import tidy
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.integers import (
    Integers,
    added,
    along,
    joined,
    of_levels,
    pooled,
    with_one_scale,
)
from zerocross.finn_flows.lowering.graph.levels import MOST, Levels, equidistant
from zerocross.finn_flows.lowering.graph.naming import copy_label, unique
from zerocross.finn_flows.lowering.graph.padding import (
    NONE,
    OWN_PAD,
    Amounts,
    off_levels,
    own_padding,
    padding_level,
)
from zerocross.finn_flows.lowering.graph.products import (
    ScaledProduct,
    as_sparse,
    attributes,
    is_product,
    read_product,
)
from zerocross.finn_flows.lowering.graph.quantizers import declared_levels, declared_values
from zerocross.finn_flows.lowering.graph.regions import (
    ELEMENTWISE,
    Region,
    RegionFunction,
    channels_behind,
    chosen_channels,
    pad_value,
)
from zerocross.finn_flows.lowering.graph.structure import Structure
from zerocross.finn_flows.lowering.graph.windows import MEANS, read_window
from zerocross.finn_flows.network import Grid, level_grid, product_grid


class AbsorbActivations(Transformation):
    """Replace every activation and quantizer by a Crossings node, and let all other nodes compute with integers.

    It needs a tidied QONNX graph (see `zerocross.finn_flows.lowering.canonical.tidying.tidy`). The graph's function stays
    the same.

    Attributes:
        ends: The levels that products, sums and mean pools read, by their tensors in the graph as it was.

    Raises:
        LoweringError: If a node cannot be absorbed; the message names the node and the reason.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ends: dict[str, Integers] = {}

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Absorb all regions; return the model and whether it changed, as qonnx needs it."""
        absorber = _Absorber(model)
        nodes = absorber.absorb()
        self.ends = self.ends or absorber.settled
        if node_texts(nodes) == node_texts(model.graph.node):
            return model, False
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        model.set_opset_import(DOMAIN, 1)
        return model.transform(RemoveUnusedTensors(), make_deepcopy=False, cleanup=False), True


def step_absorb_activations(model: ModelWrapper, cfg: Any) -> ModelWrapper:
    """Tidy a graph and absorb its activations, as a custom step of FINN's builder; `cfg` is ignored."""
    del cfg
    return with_decision(tidy(model)).transform(AbsorbActivations())


def _places(values: np.ndarray, levels: Levels) -> int:
    """Return how many levels some values have."""
    return len(np.unique(np.rint((values.astype(np.float64) - values.min()) / (levels.step * levels.scale))))


def node_texts(nodes: Iterable[NodeProto]) -> list[bytes]:
    """Return the contents of nodes, sorted: equal for equal graphs."""
    return sorted(node.SerializeToString(deterministic=True) for node in nodes)


class _Absorber:
    """Writes the absorbed graph reader by reader, each behind the nodes that it needs.

    Nodes are copied and constants get new names, so that the nodes of the graph it reads stay unchanged.
    """

    def __init__(self, model: ModelWrapper) -> None:
        self.model = model
        self.structure = Structure(model)
        self.places = {name: index for index, node in enumerate(model.graph.node) for name in node.output}
        self.place = 0  # place of the node that is being rewritten, in the graph that is read
        self.nodes: list[tuple[int, NodeProto]] = []  # each with the place of the node that it replaces
        self.made: set[str] = set()
        self.sources: dict[
            str, Integers
        ] = {}  # tensors at which regions begin, by their names in the graph that is read
        self.settled: dict[str, Integers] = {}  # ends as levels, by the same names
        self.given: dict[str, Levels] = {}  # levels of ends of one value, which joins choose

    def absorb(self) -> list[NodeProto]:
        """Return the nodes of the absorbed graph, as far as possible in the order of those that they replace."""
        for node in self.structure.readers:
            self.place = self.places[node.output[0]]
            if is_product(node):
                self._product(node)
            elif node.op_type in MEANS:
                self._mean(node)
            elif node.op_type == "Concat":
                self._concat(node)
            else:
                self._sum(node)
        if self.structure.is_single:
            self._decide()
        else:
            for node in self.structure.ending:
                self._emit(node)
        return _ordered(self.nodes)

    def _emit(self, node: NodeProto, original: NodeProto | None = None) -> None:
        """Append a copy of a node, unless it is there already.

        Args:
            node: The node.
            original: Node that it replaces, from which it gets place and label. None if the node itself is from the graph
                that is read, or only helps the one that is being rewritten.
        """
        if node.output[0] not in self.made:
            self.made.add(node.output[0])
            copy = NodeProto()
            copy.CopyFrom(node)
            place = self.places.get((original or node).output[0], self.place)
            self.nodes.append((place, copy if original is None else copy_label(original, copy)))

    def _constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        self.model.set_initializer(name, np.asarray(value, dtype))
        return name

    def _declare(self, tensor: str, shape: list[int], grid: Grid) -> None:
        """Annotate a tensor with its shape and with the datatype of its levels."""
        self.model.set_tensor_shape(tensor, shape)
        datatype = "BIPOLAR" if grid.low < 0 else f"UINT{grid.high.bit_length()}"
        self.model.set_tensor_datatype(tensor, DataType[datatype])

    def _shape(self, tensor: str) -> list[int]:
        return list(self.model.get_tensor_shape(tensor))

    def _decide(self) -> None:
        """Write the crossings of a single logit, whose bit is the class."""
        graph = self.model.graph
        found = self._cross(graph.output[0].name, self.structure.last)
        for info in [each for each in graph.value_info if each.name == found.tensor]:
            del graph.output[:]
            graph.output.append(info)
            graph.value_info.remove(info)

    # Nodes that compute with integers.

    def _product(self, node: NodeProto) -> None:
        structure, output = self.structure, node.output[0]
        product = read_product(self.model, node, one_scale=output == structure.last.output[0])
        levels = self._read(node, node.input[0])
        if levels.grid.high >= 1 << MOST_INPUT_BITS:
            bits = levels.grid.high.bit_length()
            raise LoweringError(
                f"{structure.name(output)} reads levels 0 to {levels.grid.high}, which have {bits} bits: put a Quant of up "
                "to 8 bits ahead of it"
            )
        tensor = self._moved(node.input[0], levels)
        real = _accumulators(output, product, levels)
        padding = own_padding(self.model, node) if node.op_type == "Conv" else NONE
        level = padding_level(self.model, node, 0.0, levels) if any(padding) else 0
        if product.is_plain and levels.is_plain and tensor == node.input[0]:
            self._emit(node)
        else:
            if level != 0:
                tensor = self._padded(node, tensor, levels, padding, level)
            self._rewrite(product, tensor, real)
        self.sources[output] = real

    def _rewrite(self, product: ScaledProduct, tensor: str, real: Integers) -> None:
        """Write a product with its integers as weights, without scale and bias."""
        node, output = product.node, product.node.output[0]
        weights = product.weights if node.op_type == "Conv" else np.ascontiguousarray(product.weights.T)
        name = self._constant(f"{output}_integers", weights)
        bits = product.bits + bool(
            weights.max() == 1 << (product.bits - 1)
        )  # two's complement lacks the largest
        self.model.set_tensor_datatype(name, DataType["BIPOLAR" if product.bits == 1 else f"INT{bits}"])
        kept = attributes(node) if node.op_type == "Conv" else {}
        if tensor == f"{output}_padded":
            kept = {key: value for key, value in kept.items() if key not in ("pads", "auto_pad")}
        is_logits = output == self.structure.last.output[0] and not self.structure.is_single
        rescaling = self._logit_scales(real) if is_logits else []
        sink = f"{output}_accumulators" if rescaling else output
        op_type = "Conv" if node.op_type == "Conv" else "MatMul"
        self._emit(helper.make_node(op_type, [tensor, name], [sink], name=node.name, **kept), node)
        self.model.set_tensor_shape(sink, self._shape(output))
        # Annotations of the float product would round the integers.
        self.model.set_tensor_datatype(sink, DataType["INT32"])
        self._rescale_logits(node, sink, rescaling)

    def _logit_scales(self, real: Integers) -> list[tuple[str, str, np.ndarray]]:
        offset = real.scale * real.zero / real.divisor + real.bias
        scale_word, bias_word = OWN_LINE
        parts = [("Mul", scale_word, real.step, 1.0), ("Add", bias_word, offset, 0.0)]
        return [(op_type, word, numbers) for op_type, word, numbers, idle in parts if (numbers != idle).any()]

    def _rescale_logits(self, node: NodeProto, tensor: str, parts: list[tuple[str, str, np.ndarray]]) -> None:
        """Write the scales and biases of the last product as nodes behind it."""
        output = node.output[0]
        shape = self._shape(output)
        for index, (op_type, word, numbers) in enumerate(parts):
            same = (numbers == numbers[0]).all()
            value = numbers[0] if same else numbers.reshape(1, -1, *[1] * (len(shape) - 2))
            parameter = self._constant(f"{output}_{word}", value)
            sink = output if index == len(parts) - 1 else f"{output}_{word}d"
            self._emit(helper.make_node(op_type, [tensor, parameter], [sink], name=f"{node.name}_{word}"))
            self.model.set_tensor_shape(sink, shape)
            self.model.set_tensor_datatype(sink, DataType["FLOAT32"])
            tensor = sink

    def _sum(self, node: NodeProto) -> None:
        output = node.output[0]
        self._give_levels(node)
        terms = [self._read(node, tensor) for tensor in node.input]
        total = added(output, terms)
        if total is None:
            scales = " and ".join(
                f"{scale:.6g}" for scale in dict.fromkeys(float(term.step) for term in terms)
            )
            raise LoweringError(
                f"{self.structure.name(output)} adds levels of the scales {scales}: give all quantizers ahead of it, and of "
                "its whole residual stream, the same scale"
            )
        inputs = [self._moved(tensor, term) for tensor, term in zip(node.input, terms, strict=True)]
        self._emit(helper.make_node(node.op_type, inputs, [output], name=node.name), node)
        self._settle(output, total)

    def _concat(self, node: NodeProto) -> None:
        output, shapes = node.output[0], [self._shape(tensor) for tensor in node.input]
        axis = attributes(node)["axis"] % len(shapes[0])
        self._give_levels(node)
        terms = []
        for tensor in node.input:
            tail = self.structure.tail(tensor)
            term = self._levels(self.structure.end(tensor), node)
            moved, behind = channels_behind(self.model, tail, term.axis)
            terms.append(along(term, moved))
            if behind != axis:
                raise LoweringError(
                    f"{self.structure.name(output)} joins its inputs along axis {axis}, but channels are on axis {behind}: "
                    "join channels"
                )
        total = replace(joined(output, terms, [shape[axis] for shape in shapes]), axis=axis)
        inputs = [self._moved(tensor, term) for tensor, term in zip(node.input, terms, strict=True)]
        self._emit(helper.make_node("Concat", inputs, [output], name=node.name, axis=axis), node)
        self._settle(output, with_one_scale(total) or total)

    def _give_levels(self, node: NodeProto) -> None:
        """Let the operands of a join that have one value only, such as zeros, have the levels of the other operands."""
        ends = list(dict.fromkeys(self.structure.end(tensor) for tensor in node.input))
        values = {end: value for end in ends if (value := self._only_value(end)) is not None}
        others = [end for end in ends if end not in values]
        if not values or not others:
            return
        like = self._levels(others[0], node)
        if like.scale.size > 1 or like.zero.size > 1 or len(like.grid) > MOST:
            return
        bits = 1 if like.grid.low < 0 else max(2, like.grid.high.bit_length())
        step = float(like.step)
        for end, value in values.items():
            if end not in self.settled and like.level(value) is not None:
                self.given[end] = Levels(bits, step, float(like.zero) * step)

    def _only_value(self, end: str) -> float | None:
        """Return the value of an end that has no other, whatever the samples are."""
        try:
            values = declared_values(self.model, end, strict=False)
        except LoweringError:  # the region says why
            return None
        return float(values.flat[0]) if values is not None and (values == values.flat[0]).all() else None

    def _mean(self, node: NodeProto) -> None:
        output = node.output[0]
        window = read_window(self.model, node)
        levels = self._read(node, node.input[0])
        if node.op_type == "LpPool" and not levels.is_plain:
            raise LoweringError(
                f"{self.structure.name(output)} sums magnitudes, which equal levels only if their scale is 1 and the lowest "
                "level is 0: use an AveragePool"
            )
        tensor = self._moved(node.input[0], levels)
        if any(window.padding):
            level = padding_level(self.model, node, 0.0, levels)
            tensor = self._padded(node, tensor, levels, window.padding, level)
        total = pooled(output, levels, window.area, window.is_mean)
        sink = output if window.is_image else f"{output}_image"
        if node.op_type != "LpPool" or tensor != node.input[0]:
            pool = helper.make_node(
                "LpPool",
                [tensor],
                [sink],
                name=node.name,
                kernel_shape=window.kernel,
                strides=window.stride,
                p=1,
            )
            self._emit(pool, node)
        else:
            self._emit(node)
        if not window.is_image:
            self._emit(helper.make_node("Flatten", [sink], [output], name=f"{node.name}_flatten"))
            self._declare(sink, [*self._shape(output), 1, 1], total.grid)
        self._settle(output, total)

    def _settle(self, tensor: str, integers: Integers) -> None:
        self._declare(integers.tensor, self._shape(tensor), integers.grid)
        self.settled[tensor] = self.sources[tensor] = integers

    # Their inputs: levels, which crossings make.

    def _read(self, node: NodeProto, tensor: str) -> Integers:
        """Return the levels of a tensor for a node that reads all channels on one scale."""
        end, tail = self.structure.end(tensor), self.structure.tail(tensor)
        levels = self._levels(end, node)
        if levels.scale.size == levels.zero.size == 1:
            return levels
        name = self.structure.name(node.output[0])
        found = with_one_scale(along(levels, channels_behind(self.model, tail, levels.axis)[0]))
        if found is None:
            raise LoweringError(
                f"{name} reads channels of different scales, which {self.structure.name(end)} joins: give the quantizers "
                "ahead of it one scale, or put a Quant behind it"
            )
        if found.zero.size > 1 and (
            any(each.op_type == "Pad" for each in tail)
            or (node.op_type == "Conv" and any(own_padding(self.model, node)))
        ):
            raise LoweringError(
                f"{name} pads channels of different lowest levels, which {self.structure.name(end)} joins: let the "
                "quantizers ahead of it have one lowest level"
            )
        return found

    def _levels(self, end: str, reader: NodeProto) -> Integers:
        """Return the levels of an end for a node that reads it; write the nodes that make them if necessary."""
        if end not in self.settled:
            if end == self.structure.input:
                self.settled[end] = self._input(end, reader)
            else:
                self.settled[end] = self._cross(end, reader)
            self.sources.setdefault(end, self.settled[end])
        return self.settled[end]

    def _input(self, end: str, reader: NodeProto) -> Integers:
        """Write the nodes that turn the network's quantized input into integers."""
        levels = declared_levels(self.model, end, reader, counted=self.structure.is_summed(end))
        for node in self.structure.region(end).body:
            self._emit(node)
        found = of_levels(end, levels)
        if found.is_plain:
            return found
        tensor = end
        for op_type, value in {"Sub": levels.offset, "Div": levels.scale, "Round": None}.items():
            sink = f"{end}_{op_type.lower()}"
            inputs = [tensor] if value is None else [tensor, self._constant(f"{sink}_param", value)]
            self._emit(helper.make_node(op_type, inputs, [sink], name=sink))
            self.model.set_tensor_shape(sink, self._shape(end))
            tensor = sink
        found = of_levels(tensor, levels)
        self._declare(tensor, self._shape(end), found.grid)
        return found

    def _cross(self, end: str, reader: NodeProto) -> Integers:
        """Evaluate a region and write the nodes that compute its levels from its source's integers."""
        source_name = self.structure.sources[end]
        source = self.sources.get(source_name) or self._levels(source_name, reader)
        region = self.structure.region(end, source.axis)
        response = RegionFunction(self.model, region)
        if source.tensor == source_name and (levels := self._absorbed(region, response)) is not None:
            return levels
        if source.is_levels and (line := rescaled(response, source)) is not None:
            scale, offset = (np.asarray(number) for number in line)
            found = Integers(source.tensor, source.grid, scale, offset / scale, axis=response.axis)
            return self._behind(response, 0, found)
        if source_name == self.structure.input and (source.tensor != source_name or source.grid.low < 0):
            raise LoweringError(
                f"{self.structure.name(end)}: the activation ahead of {self.structure.name(reader.output[0])} reads the "
                "network's input, which must be levels from 0 of scale 1 for that: quantize the input to integers, or only "
                "once, behind the activation"
            )
        return self._crossings(response, source, reader)

    def _absorbed(self, region: Region, response: RegionFunction) -> Integers | None:
        """Copy a region that consists only of crossings and return its levels; None for other regions."""
        made = [node for node in region.body if node.op_type in ELEMENTWISE]
        if len(made) != 1 or made[0].op_type != "Crossings":
            return None
        for node in region.body:
            self._emit(node)
        levels = self.model.get_customop_wrapper(made[0]).levels
        return of_levels(region.end, levels, response.axis)

    def _crossings(self, response: RegionFunction, source: Integers, reader: NodeProto) -> Integers:
        region, end = response.region, response.region.end
        evaluated = evaluate(response, source)
        if evaluated is None:
            raise self._not_levels(region, reader)
        steps, stages = evaluated
        levels = self._levels_of(response, np.unique(steps.value))
        if levels is None:
            raise self._not_levels(region, reader)
        position = crossing_position(response, stages, self._shared_movers(response))
        axis = response.segments[position].axis
        before = self._behind(response, 0, source, position)
        sink = f"{end}_crossed"
        operations = [node.op_type for node in region.body if node.op_type in ELEMENTWISE]
        quantizer = region.quantizer
        name = unique(
            f"{reader.name}_levels" if quantizer is None else quantizer.name,
            {node.name for _, node in self.nodes},
        )
        crossings = make_crossings(
            name, before.tensor, sink, steps.table(levels), levels.bits, axis, operations
        )
        self._emit(crossings, quantizer)
        found = of_levels(sink, levels, response.axis)
        shape = (
            self._shape(response.movers[position - 1].output[0]) if position else self._shape(region.source)
        )
        self._declare(sink, shape, found.grid)
        return self._behind(response, position, found)

    def _shared_movers(self, response: RegionFunction) -> int:
        """Return the number of moving nodes directly behind a region's source that other nodes read too."""
        shared = 0
        for index, (node, segment) in enumerate(zip(response.movers, response.segments, strict=False)):
            if segment.nodes or node.op_type == "Pad":
                break
            if len(self.model.find_consumers(node.output[0])) > 1:
                shared = index + 1
        return shared

    def _levels_of(self, response: RegionFunction, values: np.ndarray) -> Levels | None:
        """Return levels that hold an end's values, those of paddings and, for sums, all declared values.

        Padding turns no signs into levels of two bits, unless the quantizer declares the value between them.
        """
        end, structure = response.region.end, self.structure
        if end in self.given:
            return self.given[end]
        from_zero = any(node.output[0] == structure.last.output[0] for node, _ in structure.readings(end))
        counted = structure.is_summed(end)
        declared = declared_values(self.model, end, strict=False) if counted else None
        if declared is not None:  # sums need one scale, even if few of the levels occur
            values = np.union1d(values, declared)
        paddings = self._paddings(response)
        whole = np.concatenate([values, np.array([value for _, value in paddings])])
        levels = equidistant(whole, from_zero=from_zero, counted=counted)
        own = equidistant(values)
        for node, value in paddings:
            if levels is not None and own is not None and _places(values, levels) < _places(values, own):
                raise off_levels(self.model, node, value, values)  # far from values that it would merge
            if (
                levels is None
                and equidistant(values) is not None
                and equidistant(np.append(values, value)) is None
            ):
                raise off_levels(self.model, node, value, values)
            if len(values) == 2 and values[0] < value < values[1]:
                declared = declared_values(self.model, end, strict=False)
                if declared is None or not np.isclose(declared, value).any():
                    raise off_levels(self.model, node, value, values)
        return levels

    def _paddings(self, response: RegionFunction) -> list[tuple[NodeProto, float]]:
        """Return the nodes that pad an end, each with the value that its padding has there."""
        found = list(response.padding())
        for node, tensor in self.structure.readings(response.region.end):
            pads = [each for each in self.structure.tail(tensor) if each.op_type == "Pad"]
            found += [(each, pad_value(self.model, each)) for each in pads]
            if (node.op_type == "Conv" and any(own_padding(self.model, node))) or (
                node.op_type in MEANS and any(read_window(self.model, node).padding)
            ):
                found.append((node, 0.0))
        return found

    def _not_levels(self, region: Region, reader: NodeProto) -> LoweringError:
        name = self.structure.name(reader.output[0])
        if is_product(reader):
            return LoweringError(
                f"{name}: its input, from {region.origin}, does not have up to {MOST} equidistant levels: put a "
                "BipolarQuant, or a Quant of up to 8 bits and one scale, ahead of it"
            )
        return LoweringError(
            f"{name}: its operand {self.structure.name(region.end)}, from {region.origin}, is not quantized to levels: put "
            "a Quant of up to 8 bits and one scale ahead of it"
        )

    # Moved elements.

    def _behind(
        self, response: RegionFunction, start: int, integers: Integers, stop: int | None = None
    ) -> Integers:
        """Write the moving nodes `start` to `stop` of a body behind a tensor; return the last one's output."""
        region, tensor = response.region, integers.tensor
        paddings = {node.output[0]: value for node, value in response.padding()}
        moves_only = tensor == self.sources[region.source].tensor  # others may read the result too
        for index, node in enumerate(response.movers[start:stop], start):
            moves_only = moves_only and not response.segments[index].nodes
            sink = node.output[0] if moves_only else f"{region.end}_{node.output[0]}"
            self._move(node, tensor, sink, integers, paddings.get(node.output[0]))
            tensor = sink
        axis = response.segments[-1 if stop is None else stop].axis
        return replace(integers, tensor=tensor, axis=axis)

    def _moved(self, tensor: str, levels: Integers) -> str:
        """Write the moving nodes between an end and a tensor; return the tensor's name in the absorbed graph."""
        name = levels.tensor
        for node in self.structure.tail(tensor):
            value = pad_value(self.model, node) if node.op_type == "Pad" else None
            self._move(node, name, node.output[0], levels, value)
            name = node.output[0]
        return name

    def _move(
        self, node: NodeProto, tensor: str, sink: str, integers: Integers, padding: float | None
    ) -> None:
        """Write a moving node for integers; a Pad of one of their values becomes a Pad of the integer."""
        moved = NodeProto()
        moved.CopyFrom(node)
        moved.input[0], moved.output[0] = tensor, sink
        if node.op_type == "Gather" and not integers.is_levels:
            self._check_order(node, integers)
        if padding is not None:
            level = padding_level(self.model, node, padding, integers)
            if pad_value(self.model, node) != level:
                name = self._constant(f"{sink}_value", level)
                inputs = [*moved.input[:2], name, *moved.input[3:]]
                del moved.input[:]
                moved.input.extend(inputs)
        self._emit(moved, node)
        if integers.is_levels:
            self._declare(sink, self._shape(node.output[0]), integers.grid)
        else:
            self.model.set_tensor_shape(sink, self._shape(node.output[0]))
            self.model.set_tensor_datatype(sink, DataType["INT32"])

    def _check_order(self, node: NodeProto, accumulators: Integers) -> None:
        """Refuse a choice of accumulators, which are not a stream; another order of all of them is possible."""
        shape = self._shape(node.input[0])
        channels = chosen_channels(self.model, node, shape, accumulators.axis)
        if not np.array_equal(np.sort(channels), np.arange(shape[accumulators.axis])):
            raise LoweringError(
                f"{self.structure.name(node.output[0])} takes some channels of a product's outputs: put the quantizer "
                "ahead of it, or use a product of its own for these channels"
            )

    def _padded(self, node: NodeProto, tensor: str, levels: Integers, amounts: Amounts, level: int) -> str:
        """Write a node's own padding with zeros as a Pad node ahead of it."""
        top, left, bottom, right = amounts
        output, shape = f"{node.output[0]}_padded", self._shape(node.input[0])
        pads = self._constant(f"{output}_pads", [0, 0, top, left, 0, 0, bottom, right], np.int64)
        value = self._constant(f"{output}_value", level)
        self._emit(helper.make_node("Pad", [tensor, pads, value], [output], name=f"{node.name}{OWN_PAD}"))
        self._declare(output, [*shape[:2], top + shape[2] + bottom, left + shape[3] + right], levels.grid)
        return output


def _ordered(nodes: list[tuple[int, NodeProto]]) -> list[NodeProto]:
    """Return nodes in topological order; among candidates, the one with the least place comes first."""
    makers = {name: index for index, (_, node) in enumerate(nodes) for name in node.output}
    sorter = TopologicalSorter(
        {
            index: {makers[name] for name in node.input if name in makers}
            for index, (_, node) in enumerate(nodes)
        }
    )
    sorter.prepare()
    ready: list[tuple[int, int]] = []
    ordered = []
    while sorter.is_active():
        for index in sorter.get_ready():
            heappush(ready, (nodes[index][0], index))
        _, index = heappop(ready)
        ordered.append(nodes[index][1])
        sorter.done(index)
    return ordered


def _accumulators(output: str, product: ScaledProduct, levels: Integers) -> Integers:
    """Return a product's output as integers."""
    flat = product.weights.reshape(product.channels, -1).astype(np.int64)
    sparse = as_sparse(product) if levels.grid == level_grid(1) else None
    if sparse is not None:
        grid = sparse.grid
    elif levels.grid.low < 0:
        grid = product_grid(flat.shape[1], levels.grid, product.bits)
    else:
        down, up = (int((side * flat).clip(min=0).sum(axis=1).max()) * levels.grid.high for side in (-1, 1))
        grid = Grid(-down, up)
    zero = _zeros(product, levels.zero)
    scale = product.scale * levels.scale
    return Integers(output, grid, scale, zero, levels.divisor, product.bias, is_levels=False)


def _zeros(product: ScaledProduct, zero: np.ndarray) -> np.ndarray:
    """Return the output of a product for inputs that are `zero` everywhere: one number, or one for each input channel."""
    flat = product.weights.reshape(product.channels, -1).astype(np.int64)
    if zero.size == 1:
        return np.asarray(zero * flat.sum(axis=1))
    by_channel = product.weights.reshape(*product.weights.shape[:2], -1).sum(axis=2, dtype=np.int64)
    groups = zero.size // by_channel.shape[1]
    zeros = zero.reshape(groups, 1, -1)
    return np.asarray((by_channel.reshape(groups, -1, by_channel.shape[1]) * zeros).sum(axis=2).reshape(-1))
