"""How a network ends: the nodes behind its last product, which turn accumulators into a class.

- Several logits: the class is the index of the largest. Scales and biases may stand ahead of the choice (a batch norm too),
  and any function that keeps the order.
- A single logit: the class is 1 if the output is above a threshold, else 0. Any nodes may stand behind the product: they
  are an activation of one bit (see `with_decision`).
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import takewhile

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.absorbing.biases import Lines, integer_biases, logit_lines, node_line
from zerocross.finn_flows.lowering.absorbing.class_scales import MOST_BITS, Reach, integer_lines
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.execution import RESHAPES, Tensors, constants, execute
from zerocross.finn_flows.lowering.graph.products import attributes
from zerocross.finn_flows.lowering.graph.regions import ELEMENTWISE, MOVING, Region, RegionFunction
from zerocross.finn_flows.lowering.graph.structure import Structure
from zerocross.finn_flows.network import Bias

OWN_LINE = ("scale", "offset")
"""Ends the names of nodes that hold the scales and the biases of the last product."""

_CHUNK = 1 << 20  # values evaluated at once
_PROBABILITY = 1.01  # quantizers may round 1 up
_SCALES = np.concatenate([[0.0], 2.0 ** np.arange(-12, 12.01, 0.125)])


@dataclass(frozen=True)
class Ending:
    """The nodes behind the last product.

    Attributes:
        model: The graph.
        last: The last product.
        body: Elementwise and moving nodes that make the scores, in order.
        choice: Nodes that choose the class by the scores.
    """

    model: ModelWrapper
    last: NodeProto
    body: tuple[NodeProto, ...]
    choice: tuple[NodeProto, ...]

    @property
    def classes(self) -> int:
        """Number of logits."""
        return int(self.model.get_tensor_shape(self.last.output[0])[1])

    @property
    def output(self) -> str:
        """Tensor of the scores that the file chooses by."""
        return self.body[-1].output[0] if self.body else self.last.output[0]

    @cached_property
    def lines(self) -> tuple[Lines, int]:
        """See `logit_lines`."""
        return logit_lines(self.model, self.body, self.last.output[0], self.classes)

    @property
    def linear(self) -> tuple[NodeProto, ...]:
        """The foremost nodes of the body, which compute a line for each class."""
        return self.body[: self.lines[1]]

    @property
    def rest(self) -> tuple[NodeProto, ...]:
        """The other nodes of the body."""
        return self.body[self.lines[1] :]

    @property
    def scores(self) -> str:
        """Tensor behind the linear nodes."""
        return self.linear[-1].output[0] if self.linear else self.last.output[0]


def read_ending(structure: Structure) -> Ending:
    """Read the nodes behind a graph's last product.

    Raises:
        LoweringError: If the product makes an image, or a node does more than compute and choose scores.
    """
    model, last, nodes = structure.model, structure.last, structure.ending
    shape = model.get_tensor_shape(last.output[0])
    if math.prod(shape) != shape[1]:
        raise LoweringError(
            f"{last.name} ({last.op_type}) is the last product and makes an image, {list(shape)}: reduce it to one value "
            "for each class"
        )
    body = list(takewhile(lambda node: node.op_type in ELEMENTWISE | MOVING, nodes))
    for node in body:
        if node.op_type in ("MaxPool", "Pad"):
            raise LoweringError(
                f"{node.name} ({node.op_type}) is after the last product, {last.name}, where it is not supported"
            )
    choice = nodes[len(body) :]
    _check_choice(model, choice, shape[1])
    if shape[1] > 1:
        _check_movers(model, body, shape[1])
    while body and body[-1].op_type in MOVING:
        body.pop()
    if shape[1] == 1:
        body = _without_movers(body)
    return Ending(model, last, tuple(body), choice)


def _check_movers(model: ModelWrapper, body: list[NodeProto], classes: int) -> None:
    """Refuse nodes that change the order of the logits, or repeat or drop some."""
    for node in body:
        if node.op_type not in MOVING - RESHAPES:
            continue
        order = np.arange(classes, dtype=np.float32)
        tensors: Tensors = {
            **constants(model),
            node.input[0]: order.reshape(model.get_tensor_shape(node.input[0])),
        }
        execute(model, [node], tensors)
        if not np.array_equal(tensors[node.output[0]].reshape(-1), order):
            raise LoweringError(
                f"{node.name} ({node.op_type}) changes the order of the logits, or repeats or drops some: remove it, and "
                "give the rows of the last weights the order of the classes instead"
            )


def _without_movers(body: list[NodeProto]) -> list[NodeProto]:
    """Return nodes that compute with one number, without those that only change its shape."""
    names: dict[str, str] = {}
    left = []
    for node in body:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [names.get(name, name) for name in node.input]
        if node.op_type in MOVING:
            names[node.output[0]] = copy.input[0]
        else:
            left.append(copy)
    return left


# ---- one logit


def with_decision(model: ModelWrapper) -> ModelWrapper:
    """Return a graph with one logit as a graph whose output is the class, 0 or 1; other graphs stay unchanged.

    The class is 1 if the file's output is above a threshold, which follows from the nodes behind the last product:

    - They make two values, such as a BipolarQuant, a Greater, a Where or a Round behind a Sigmoid: halfway between the two.
    - They make numbers from 0 to 1, such as a Sigmoid: 0.5.
    - They make other numbers, or there are none: 0.

    An ArgMax, a TopK or a Softmax over one number is always the same and is ignored.

    Raises:
        LoweringError: See `read_ending`.
    """
    structure = Structure(model)
    if not structure.is_single:
        return model
    shape = model.get_tensor_shape(structure.last.output[0])
    ending = read_ending(structure)
    if [node.op_type for node in ending.body] == ["Crossings"]:
        return model  # it is absorbed already
    behind = {name for node in (*structure.ending,) for name in node.output}
    kept = [node for node in model.graph.node if behind.isdisjoint(node.output)]
    number, above, bit, threshold = (
        f"{ending.output}_{word}" for word in ("number", "above", "class", "threshold")
    )
    name = ending.last.name
    made = [  # the first Cast is for a comparison, whose output is no number
        helper.make_node("Cast", [ending.output], [number], name=f"{name}_number", to=TensorProto.FLOAT),
        helper.make_node("Greater", [number, threshold], [above], name=f"{name}_above"),
        helper.make_node("Cast", [above], [bit], name=f"{name}_class", to=TensorProto.FLOAT),
    ]
    model.set_initializer(threshold, np.float32(_threshold(ending)))
    del model.graph.node[:]
    model.graph.node.extend([*kept, *ending.body, *made])
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(bit, TensorProto.FLOAT, shape))
    for node in (ending.last, *ending.body, *made[:-1]):
        model.set_tensor_shape(node.output[0], shape)
    return model


def _threshold(ending: Ending) -> float:
    logits = np.concatenate([-_SCALES[:0:-1], _SCALES]).astype(np.float32)
    values = executed(ending, ending.body, ending.last.output[0], logits)
    found = np.unique(values.astype(np.float64))
    if not np.isfinite(found).all():
        found = found[np.isfinite(found)]
    if len(found) == 2:
        return float(found.mean())
    return 0.5 if len(found) and found[0] >= 0 and found[-1] <= _PROBABILITY else 0.0


def executed(ending: Ending, nodes: tuple[NodeProto, ...], source: str, values: np.ndarray) -> np.ndarray:
    """Return what nodes behind a product of one logit make of values (T,) of a tensor, shape (T,)."""
    known = {
        name: value.reshape(-1) if value.size == 1 else value
        for name, value in constants(ending.model).items()
    }
    shape = (-1,) + (1,) * (len(ending.model.get_tensor_shape(ending.last.output[0])) - 1)
    tensors: Tensors = {**known, source: values.astype(np.float32).reshape(shape)}
    tensors[""] = None  # type: ignore[assignment]  # QONNX's nodes look omitted inputs up
    execute(ending.model, nodes, tensors)
    return tensors[nodes[-1].output[0] if nodes else source].reshape(-1)


# ---- several logits


@dataclass(frozen=True)
class Choice:
    """The integers that choose a class: a layer `Bias` with its numbers.

    Attributes:
        layer: The layer.
        biases: Biases, int64, shape (classes,).
        factors: Factors, int64, shape (classes,); None without factors.
    """

    layer: Bias
    biases: np.ndarray
    factors: np.ndarray | None = None


def integer_choice(ending: Ending, reach: Reach, step: int) -> Choice | None:
    """Return the integers with which the largest logit is that of the file; None if the accumulators themselves do it.

    Args:
        ending: Ending of an absorbed graph.
        reach: Accumulators of the classes.
        step: Step of the accumulators, a power of two.

    Raises:
        LoweringError: If a node changes the order of the logits, or exact integers are too wide.
    """
    lines, _ = ending.lines
    _check_order(ending, reach, step)
    if not any(lines.scales):
        node = next(node for node in ending.linear if not any(_scales(ending, node)))
        raise LoweringError(
            f"{_called(ending, node)} multiplies all logits of {ending.last.name} by 0, so the class never changes"
        )
    if lines.has_one_scale:
        shift, biases = integer_biases(lines.offsets, step)
        same = (biases == biases[0]).all()
        return None if same else Choice(Bias(shift, int(biases.min()), int(biases.max())), biases)
    found = integer_lines(lines.ratios, lines.starts, reach)
    if found is None:
        node = next((node for node in ending.linear if len(set(_scales(ending, node))) > 1), ending.last)
        raise LoweringError(
            f"{_called(ending, node)} gives the classes different scales, and integers that choose the same class for "
            f"all accumulators of {ending.last.name} need factors of more than {MOST_BITS} bits: use one scale for all "
            "classes (a weight quantizer with one scale for the tensor, no batch norm behind the last layer)"
        )
    factors, biases = found
    numbers = (int(each) for each in (biases.min(), biases.max(), factors.min(), factors.max()))
    return Choice(Bias(0, *numbers), biases, factors)


def _called(ending: Ending, node: NodeProto) -> str:
    """Return the author's node for messages: the last product instead of its own scale and bias."""
    own = {f"{ending.last.name}_{word}" for word in OWN_LINE}
    node = ending.last if node.name in own else node
    return f"{node.name} ({node.op_type})"


def _scales(ending: Ending, node: NodeProto) -> list[Fraction]:
    line = node_line(ending.model, node, ending.classes)
    return [Fraction(1)] if line is None else list(line[0])


def _check_order(ending: Ending, reach: Reach, step: int) -> None:
    """Refuse nodes that change the order of the logits, or that differ between classes by more than a line."""
    rows = [reach.of(row) for row in reach.weights]
    low, high = min(row.low for row in rows), max(row.high for row in rows)
    directions = np.array([(scale > 0) - (scale < 0) for scale in ending.lines[0].scales])
    response = RegionFunction(
        ending.model, Region(ending.last.output[0], ending.last.name, ending.body, ending.output)
    )
    scored = RegionFunction(
        ending.model, Region(ending.last.output[0], ending.last.name, ending.linear, ending.scores)
    )
    length, values, found = max(2, _CHUNK // ending.classes), [], []
    for start in range(low, high + 1, step * length):
        integers = np.arange(start, min(start + step * length, high + 1), step, dtype=np.float32)
        columns = np.repeat(integers[:, None], ending.classes, axis=1)
        values.append(scored.stages(columns)[-1])
        found.append(response.stages(columns)[-1])
    lines, outputs = np.concatenate(values), np.concatenate(found)
    differing = [node for node in ending.rest if not _is_alike(ending.model, node)]
    if differing and _rises(outputs, directions):
        raise LoweringError(
            f"{differing[0].name} ({differing[0].op_type}) treats the classes differently by more than a scale and a bias: "
            f"give the logits of {ending.last.name} at most a scale and a bias for each class"
        )
    if not _keeps_order(lines, outputs, directions):
        columns = np.repeat(np.arange(low, high + 1, step, dtype=np.float32)[:, None], ending.classes, axis=1)
        behind = {node.output[0] for node in ending.rest}
        culprits = [
            node for node, made in response.trace(columns) if not _keeps_order(lines, made, directions)
        ]
        later = [node for node in culprits if node.output[0] in behind]  # those ahead make the lines
        node = next(iter(later + culprits), ending.last)
        raise LoweringError(
            f"{_called(ending, node)} changes the order of the logits of {ending.last.name}, or makes different ones "
            "equal: put only a scale and a bias for each class, one quantizer, a Softmax or an ArgMax after them"
        )


def _is_alike(model: ModelWrapper, node: NodeProto) -> bool:
    """Return whether a node's constants are the same for all classes."""
    found = (model.get_initializer(name) for name in node.input if name)
    several = node.op_type == "MultiThreshold"
    return all(
        (value == (value[:1] if several else value.flat[0])).all() for value in found if value is not None
    )


def _rises(outputs: np.ndarray, directions: np.ndarray) -> bool:
    """Return whether outputs of integers (T, classes) rise or fall strictly, as the directions say; 0 says nothing."""
    moving = directions != 0
    return bool((np.diff(outputs, axis=0)[:, moving] * directions[moving] > 0).all())


def _keeps_order(lines: np.ndarray, outputs: np.ndarray, directions: np.ndarray) -> bool:
    """Return whether outputs of integers (T, classes) rise strictly with each class's lines, and never fall with any."""
    if not _rises(outputs, directions):
        return False
    order = np.argsort(lines, axis=None, kind="stable")
    return lines is outputs or bool((np.diff(outputs.reshape(-1)[order]) >= 0).all())


def _check_choice(model: ModelWrapper, ending: tuple[NodeProto, ...], classes: int) -> None:
    """Refuse nodes after the logits other than a softmax over all classes and the choice of the largest."""
    chosen = False
    for node in ending:
        known = attributes(node)
        axis = known.get("axis", 0 if node.op_type == "ArgMax" else -1)
        shape = model.get_tensor_shape(node.input[0]) or []
        over_all = -len(shape) <= axis < len(shape) and shape[axis] == classes
        fine = (node.op_type in ("Softmax", "LogSoftmax", "ArgMax", "TopK") and not chosen and over_all) or (
            chosen and node.op_type in (*RESHAPES, "Cast", "Identity")
        )
        if node.op_type == "ArgMax" and known.get("select_last_index", 0):
            fine = False
        if node.op_type == "TopK":
            many = model.get_initializer(node.input[1])
            fine = fine and bool(known.get("largest", 1)) and many is not None and int(many.item()) == 1
        if not fine:
            raise LoweringError(
                f"{node.name} ({node.op_type}) reads the logits: only a Softmax over the classes and the choice of the "
                "largest (ArgMax, TopK) may read them"
            )
        chosen = chosen or node.op_type in ("ArgMax", "TopK")
