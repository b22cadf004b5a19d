"""Biases of logits: real numbers in a file, integers in hardware, and the same class for all accumulators.

A file's logits are `scale * accumulator + bias`, with one scale and a bias for each class. The class is the first of the
largest `accumulator + offset`, where the offset is bias / scale. It is computed in rational numbers from the float32
numbers of the absorbed graph, so nothing is rounded. The file itself, executed in float32, rounds: logits that are equal,
or that differ by less than the rounding, it may order otherwise.
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
    """Return the bias of each class in units of the accumulators.

    An offset that differs from a whole number by no more than the rounding of the file's numbers is that number:
    quantized biases are multiples of the scale, rounded to float32.

    Args:
        model: the graph.
        nodes: what stands behind the last product, each reading the one ahead.
        channels: number of classes.

    Returns:
        An offset for each class; None if the nodes do more than multiply by one positive scale and add biases.
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
    """Return a shift and integers with which accumulators choose the class that the offsets choose.

    The first of the largest `(x << shift) + integer` is the first of the largest `x + offset`:

    - The whole steps of an offset are compared first.
    - What is left of it, less than a step, decides between classes that are equal so far. Its rank does the same.
    - Of equal classes the first is chosen, so two classes share a rank where what is left orders them alike.

    Args:
        offsets: one for each class.
        step: accumulators x differ by its multiples; a power of two.

    Returns:
        The shift, 0 or more, and the integers, int64, shape (classes,); all of them equal if offsets change no class.
    """
    rest = [offset % step for offset in offsets]
    order = sorted(
        range(len(offsets)), key=lambda index: (rest[index], -index)
    )  # the one to choose comes last
    rises = accumulate((after > before for before, after in pairwise(order)), initial=0)
    rank = dict(zip(order, rises, strict=True))
    places = max(rank[order[-1]], step - 1).bit_length()
    integers = [((offset // step) << places) + rank[index] for index, offset in enumerate(offsets)]
    return places - (step - 1).bit_length(), np.array(integers, np.int64)


def _line(model: ModelWrapper, node: NodeProto, channels: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return slope and start, each of shape (channels,), of a node that computes `slope * x + start`; None for others."""
    found = [model.get_initializer(name) for name in node.input]
    constants = [np.asarray(value).reshape(-1) for value in found if value is not None]
    if len(constants) != len(found) - 1 or any(value.size not in (1, channels) for value in constants):
        return None  # not one computed tensor and constants
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
