"""Biases of logits: real numbers in the file become integers that give the same class for all accumulators.

The logits are `scale * accumulator + bias`, with one scale for all classes and one bias for each. The class is the index
of the largest `accumulator + offset`, with offset = bias / scale; among equal ones the first index.

The guarantee holds in exact arithmetic: offsets are rational numbers, computed from the float32 numbers of the absorbed
graph. The file itself is executed in float32, which may reorder logits that are equal or differ by less than its rounding.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.execution import RESHAPES, batch_norm_line
from zerocross.finn_flows.lowering.levels import NOISE

_IDLE = RESHAPES | {"Dropout", "Identity"}


def logit_offsets(model: ModelWrapper, nodes: Iterable[NodeProto], channels: int) -> list[Fraction] | None:
    """Return the offset of each class: its bias in units of the accumulators.

    An offset that differs from a whole number only by float32's rounding becomes that number: quantized biases are
    multiples of the scale, rounded to float32.

    Args:
        model: The graph.
        nodes: Nodes after the last product, each of which reads the one before it.
        channels: Number of classes.

    Returns:
        Offsets, one for each class; None if the nodes do more than multiply by one positive scale and add biases.
    """
    scale, bias = np.full(channels, Fraction(1)), np.full(channels, Fraction(0))
    for node in nodes:
        if node.op_type in _IDLE:
            continue
        line = _line(model, node, channels)
        if line is None:
            return None
        slope, start = line
        scale, bias = scale * slope, bias * slope + start
    if scale[0] <= 0 or (scale != scale[0]).any():
        return None
    offsets = bias / scale[0]
    noise = Fraction(NOISE) * max(abs(offsets))
    return [Fraction(round(each)) if abs(each - round(each)) <= noise else each for each in offsets]


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


def _line(model: ModelWrapper, node: NodeProto, channels: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return slope and start, shape (channels,), of a node that computes `slope * x + start`; None for other nodes."""
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
        case "Sub" if found[0] is None:
            return one, -exact[0]
        case "Mul":
            return exact[0], none
        case "Div" if found[0] is None and all(exact[0]):
            return one / exact[0], none
        case "BatchNormalization":
            return exact[0], exact[1]
    return None
