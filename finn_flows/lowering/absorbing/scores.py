"""What a file answers, and how far float32's rounding may change it.

A file is executed in float32. Where the exact numbers are equal, or a number is exactly a threshold, rounding decides. With
a weight scale of 0.1, for example, a sum of five times +0.01 and five times -0.01 is rarely 0. Such a case is a *tie*: the
file would give the integers' answer if its numbers changed by no more than their rounding.

A sum of K products has an error of at most K 2**-24 times the sum of their magnitudes, in any order of summation (Higham,
Accuracy and Stability of Numerical Algorithms, section 3.1). Each further operation adds 2**-24 times its magnitudes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.absorbing.biases import node_line
from zerocross.finn_flows.lowering.absorbing.endings import Ending, executed, read_ending
from zerocross.finn_flows.lowering.graph.execution import Tensors, constants, execute
from zerocross.finn_flows.lowering.graph.integers import Integers
from zerocross.finn_flows.lowering.graph.products import is_product
from zerocross.finn_flows.lowering.graph.structure import Structure

_BATCH = 128
_ROUNDING = 2.0**-24  # largest relative error of an operation in float32
_FURTHER = 2  # operations besides the sum: rounding of the inputs, and the bias


@dataclass(frozen=True)
class Scores:
    """What a file chooses its class by, for some samples.

    Attributes:
        ending: Ending of the file's graph.
        values: Scores ahead of the choice and of functions that keep the order, float32, shape (N, classes).
        rounding: Largest error of each of them, same shape.
        explained: Whether rounding explains all levels that differed from the integers' and were set to them, shape (N,).
        own: Classes of the author's own nodes, (N,), if the scores are from rewritten ones; else None.
    """

    ending: Ending
    values: np.ndarray
    rounding: np.ndarray
    explained: np.ndarray
    own: np.ndarray | None = None

    @property
    def classes(self) -> np.ndarray:
        """The file's classes, (N,): of several scores the first largest one, of a single one whether it is above."""
        return self._chosen(self.values) if self.own is None else self.own

    def allow(self, classes: np.ndarray) -> np.ndarray:
        """Return whether scores within their rounding give these classes, shape (N,)."""
        if self.values.shape[1] == 1:
            ways = [self._chosen(self.values + way * self.rounding) == classes for way in (-1, 0, 1)]
            return np.any(ways, axis=0)
        high, low = self.values + self.rounding, self.values - self.rounding
        chosen = np.take_along_axis(high, classes[:, None], axis=1)
        return (chosen >= low).all(axis=1)

    def _chosen(self, values: np.ndarray) -> np.ndarray:
        if values.shape[1] > 1:
            return values.argmax(axis=1)
        ending = self.ending
        return (executed(ending, ending.rest, ending.scores, values[:, 0]) > 0).astype(np.int64)


def file_scores(
    model: ModelWrapper,
    samples: np.ndarray,
    leader: tuple[ModelWrapper, Mapping[str, Integers]] | None = None,
) -> Scores:
    """Run samples through a file's graph, up to the scores.

    Args:
        model: Tidied and rewritten graph, with a decision if it has one logit.
        samples: Samples of the graph's input, float32, (N, ...).
        leader: Absorbed graph, and its levels by their tensors in `model`. Every layer then continues with these levels,
            and `explained` says whether rounding explains all that differed.
    """
    structure = Structure(model)
    ending = read_ending(structure)
    parts = [
        _scores(structure, ending, samples[start : start + _BATCH], leader)
        for start in range(0, len(samples), _BATCH)
    ]
    values, rounding, explained = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Scores(ending, values, rounding, explained)


def _scores(
    structure: Structure,
    ending: Ending,
    samples: np.ndarray,
    leader: tuple[ModelWrapper, Mapping[str, Integers]] | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    model, last = structure.model, ending.last
    tensors = {**_constants(model), model.graph.input[0].name: samples}
    explained = np.ones(len(samples), bool)
    levels = {} if leader is None else _levels(*leader, samples)
    for node in structure.ahead(last.output[0]):
        execute(model, [node], tensors)
        end = node.output[0]
        if end in levels and end != structure.input:
            explained &= _explained(structure, end, tensors, levels[end], leader[1][end])  # type: ignore[index]
            tensors[end] = levels[end]
    rounding = _rounding(structure, last.output[0], tensors).reshape(len(samples), -1)
    sizes = np.abs(tensors[last.output[0]].reshape(len(samples), -1).astype(np.float64))
    execute(model, ending.linear, tensors)
    for node in ending.linear:
        line = node_line(model, node, ending.classes)
        if line is not None:
            slope, start = (np.abs(each.astype(np.float64)) for each in line)
            sizes = sizes * slope + start
            rounding = rounding * slope + _ROUNDING * sizes
    return tensors[ending.scores].reshape(len(samples), -1), rounding, explained


def _constants(model: ModelWrapper) -> Tensors:
    return {"": None, **constants(model)}  # type: ignore[dict-item]  # QONNX's nodes look omitted inputs up


def _levels(model: ModelWrapper, ends: Mapping[str, Integers], samples: np.ndarray) -> dict[str, np.ndarray]:
    """Return the real values of the integers' levels, by their tensors in the file's graph."""
    tensors = {**_constants(model), model.graph.input[0].name: samples}
    execute(model, model.graph.node, tensors)
    return {end: integers.real(tensors[integers.tensor]) for end, integers in ends.items()}


def _explained(
    structure: Structure, end: str, tensors: Tensors, wanted: np.ndarray, integers: Integers
) -> np.ndarray:
    """Return whether rounding explains all elements of an end that are not the wanted levels, shape (N,)."""
    near = float(np.min(integers.step)) / 4
    right = np.abs(tensors[end] - wanted) <= near
    if not right.all() and end in structure.sources:
        source, nodes = structure.sources[end], structure.region(end).body
        error = _rounding(structure, source, tensors)
        for way in (-1, 1):
            moved = {**tensors, source: (tensors[source] + way * error).astype(np.float32)}
            execute(structure.model, nodes, moved)
            right |= np.abs(moved[end] - wanted) <= near
    return right.reshape(len(right), -1).all(axis=1)


def _rounding(structure: Structure, source: str, tensors: Tensors) -> np.ndarray:
    """Return the largest rounding error of a tensor of integers, given its inputs."""
    makers = [node for node in structure.model.graph.node if source in node.output]
    if not makers or not is_product(makers[0]):
        return 8 * _ROUNDING * np.abs(tensors[source])
    node = makers[0]
    sizes = {name: np.abs(tensors[name]) for name in node.input if name}
    execute(structure.model, [node], sizes)
    weights = tensors[node.input[1]]
    channels = weights.shape[0] if node.op_type == "Conv" or _is_transposed(node) else weights.shape[1]
    operations = weights.size // channels + _FURTHER
    return np.asarray(operations * _ROUNDING * np.abs(sizes[source]))


def _is_transposed(node: NodeProto) -> bool:
    return any(each.name == "transB" and each.i for each in node.attribute)
