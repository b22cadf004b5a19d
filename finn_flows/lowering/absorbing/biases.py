"""Biases of logits: real numbers in the file become integers that give the same class for all accumulators.

The logit of a class is a line of its accumulator: `scale * accumulator + bias`. With one positive scale for all classes, the
class is the index of the largest `accumulator + offset`, with offset = bias / scale; among equal ones the first index. For
several scales see `zerocross.finn_flows.lowering.absorbing.class_scales`.

The guarantee holds in exact arithmetic: lines are rational numbers, computed from the float32 numbers of the absorbed
graph. The file itself is executed in float32, which may reorder logits that are equal or differ by less than its rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.graph.execution import RESHAPES, batch_norm_line
from zerocross.finn_flows.lowering.graph.levels import NOISE

IDLE = RESHAPES | {"Dropout", "Identity", "Transpose"}
"""Nodes that change no value behind the last product, where a channel has one value."""

_SIMPLE = 64  # largest denominator of ratios that float32's rounding may hide


@dataclass(frozen=True)
class Lines:
    """Logits as lines of the accumulators, one for each class: `scale * accumulator + bias`.

    Attributes:
        scales: Scales of the classes, of either sign or 0.
        biases: Biases of the classes.
    """

    scales: tuple[Fraction, ...]
    biases: tuple[Fraction, ...]

    @cached_property
    def ratios(self) -> tuple[Fraction, ...]:
        """The scales in units of the largest. Simple fractions are exact, whatever float32's rounding made of them."""
        largest = max(map(abs, self.scales))
        return tuple(_simple(scale / largest) if largest else Fraction(0) for scale in self.scales)

    @property
    def has_one_scale(self) -> bool:
        """Whether all classes have the same scale, above 0."""
        return set(self.ratios) == {1}

    @cached_property
    def offsets(self) -> list[Fraction]:
        """Offset of each class: its bias in units of its accumulator; 0 for a scale of 0.

        An offset that differs from a whole number only by float32's rounding becomes that number: quantized biases are
        multiples of the scale, rounded to float32.
        """
        lines = zip(self.scales, self.biases, strict=True)
        offsets = [bias / scale if scale else Fraction(0) for scale, bias in lines]
        noise = Fraction(NOISE) * max(map(abs, offsets))
        return [Fraction(round(each)) if abs(each - round(each)) <= noise else each for each in offsets]

    @property
    def starts(self) -> list[Fraction]:
        """The biases, in units of the largest scale."""
        largest = max(map(abs, self.scales)) or Fraction(1)
        whole = zip(self.ratios, self.offsets, self.biases, strict=True)
        return [ratio * offset if ratio else bias / largest for ratio, offset, bias in whole]


def logit_lines(
    model: ModelWrapper, nodes: Sequence[NodeProto], tensor: str, channels: int
) -> tuple[Lines, int]:
    """Follow the logits as long as they are lines of the accumulators.

    Args:
        model: The graph.
        nodes: Nodes behind the last product, in order.
        tensor: Output of the last product.
        channels: Number of classes.

    Returns:
        The lines, and the number of nodes that make them.
    """
    one, none = (np.full(channels, Fraction(number)) for number in (1, 0))
    scale, bias = one, none
    for place, node in enumerate(nodes):
        later = [name for each in nodes[place + 1 :] for name in each.input]
        line = (one, none) if node.op_type in IDLE else node_line(model, node, channels)
        if line is None or tensor not in node.input or tensor in later:
            return Lines(tuple(scale), tuple(bias)), place
        scale, bias = scale * line[0], bias * line[0] + line[1]
        tensor = node.output[0]
    return Lines(tuple(scale), tuple(bias)), len(nodes)


def integer_biases(offsets: Sequence[Fraction], step: int = 1) -> tuple[int, np.ndarray]:
    """Return a shift and integers that choose the same class as the offsets, for all accumulators x.

    argmax((x << shift) + integer) = argmax(x + offset); the first index wins a tie:

    - The high bits of an integer are the whole steps of its offset.
    - The low bits rank the remainders, which are less than a step and only order classes whose whole steps are equal.
    - Classes share a rank if a tie gives the correct class: the label select takes the smaller index.

    Args:
        offsets: Offsets, one for each class.
        step: Step of the accumulators, a power of two.

    Returns:
        The shift, 0 or more, and the integers, int64, shape (classes,); they are all equal if the offsets change no class.
    """
    rest = [offset % step for offset in offsets]
    order = sorted(range(len(offsets)), key=lambda index: (rest[index], -index))  # the most preferred last
    rises = accumulate((after > before for before, after in pairwise(order)), initial=0)
    rank = dict(zip(order, rises, strict=True))
    places = max(rank[order[-1]], step - 1).bit_length()
    integers = [((offset // step) << places) + rank[index] for index, offset in enumerate(offsets)]
    return places - (step - 1).bit_length(), np.array(integers, np.int64)


def node_line(model: ModelWrapper, node: NodeProto, channels: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return slope and start of a node that computes `slope * x + start`; None for other nodes. Fractions, (channels,)."""
    found = [model.get_initializer(name) for name in node.input]
    constants = [np.asarray(value).reshape(-1) for value in found if value is not None]
    if len(constants) != len(found) - 1 or any(value.size not in (1, channels) for value in constants):
        return None  # it does not read one computed tensor and constants only
    if node.op_type == "BatchNormalization":
        constants = list(batch_norm_line(node, *constants))
    if any(not np.isfinite(value).all() for value in constants):
        return None
    exact = [np.full(channels, [Fraction(float(each)) for each in value]) for value in constants]
    none, one = np.full(channels, Fraction(0)), np.full(channels, Fraction(1))
    match node.op_type:
        case "Add":
            return one, exact[0]
        case "Sub":
            return (one, -exact[0]) if found[0] is None else (-one, exact[0])
        case "Mul":
            return exact[0], none
        case "Neg":
            return -one, none
        case "Div" if found[0] is None and all(exact[0]):
            return one / exact[0], none
        case "BatchNormalization":
            return exact[0], exact[1]
    return None


def _simple(ratio: Fraction) -> Fraction:
    near = ratio.limit_denominator(_SIMPLE)
    return near if abs(near - ratio) <= Fraction(NOISE) * abs(ratio) else ratio
