"""Lowered files against the file as it is, which no step of the lowering has changed."""

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper

from tests.finn_flows.lowering.foreign import Graph, samples
from zerocross.finn_flows.lowering.lower import Lowered, lower
from zerocross.hw_search.builds.forms import compare_with_file, integer_classes, integer_logits


def answers(model: ModelWrapper, x: np.ndarray) -> tuple[Lowered, np.ndarray]:
    lowered = lower(model)
    return lowered, integer_classes(lowered.network, integer_logits(lowered.network, lowered.quantize(x)))


def with_reshaped_scales(batch: int) -> Graph:
    """Weights of 4 classes with a scale each, which a Reshape of constants brings into form."""
    graph = Graph((batch, 8), 5).bipolar()
    samples_in = graph.tensor
    graph.tensor = graph.constant(np.repeat([0.1, 1.0, 3.0, 9.0], 8))
    scales = graph.node("Reshape", graph.constant([4, -1], np.int64)).tensor
    graph.tensor = graph.constant(np.sign(graph.rng.normal(size=(4, 8))))
    weights = graph.node("Mul", scales).node("Transpose", perm=[1, 0]).tensor
    graph.tensor = samples_in
    return graph.node("MatMul", weights)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_batch_leaves_reshapes_of_weights_alone(batch: int) -> None:
    x = samples((1, 8), 20)
    lowered, found = answers(with_reshaped_scales(batch).model(), x)
    untouched = lowered.untouched_classes(x)
    assert untouched is not None
    executor, classes = untouched
    assert executor == "qonnx"
    assert np.array_equal(found[: len(classes)], classes)
    assert len(np.unique(classes)) > 1


@pytest.mark.parametrize("op_type", ["Gather", "Slice"])
def test_nodes_that_choose_the_sample_change_nothing(op_type: str) -> None:
    graph = Graph((1, 10), 3).bipolar().dense(10, 6).norm(6).bipolar()
    first = graph.constant([0], np.int64)
    if op_type == "Gather":
        graph.node("Gather", first, axis=0)
    else:
        graph.node("Slice", first, graph.constant([1], np.int64), first)
    x = samples((1, 10), 40)
    lowered, found = answers(graph.dense(6, 4).model(), x)
    check = compare_with_file(lowered, x, lowered.scores(x), found)
    assert (check.differences, check.ties) == (0, 0)
    assert "the first 5 also by qonnx" in check.note


def test_the_same_samples_by_onnxruntime() -> None:
    graph = Graph((1, 10), 3).qdq(0.5, 0)
    weights = graph.constant(graph.rng.integers(-1, 2, (10, 4)))
    x = samples((1, 10), 40)
    lowered, found = answers(graph.node("MatMul", weights).model(), x)
    check = compare_with_file(lowered, x, lowered.scores(x), found)
    assert check.differences == 0
    assert check.note == "the first 20 also by onnxruntime, on the file as it is"


def test_many_ties_are_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    x = samples((1, 10), 100)
    lowered, found = answers(Graph((1, 10), 3).bipolar().dense(10, 4).model(), x)
    scores = lowered.scores(x)
    other = (found + 1) % 4  # as a rewriting with a defect would answer, which explains itself
    monkeypatch.setattr("zerocross.finn_flows.lowering.absorbing.scores.Scores.allow", lambda *_: True)
    assert compare_with_file(lowered, x, scores, np.where(np.arange(100) < 10, other, found)).ties == 10
    check = compare_with_file(lowered, x, scores, np.where(np.arange(100) < 11, other, found))
    assert (check.differences, check.ties) == (11, 0)


def test_readers_of_a_quantized_tensor_may_have_dequantizers_of_their_own() -> None:
    graph = Graph((1, 10), 3).qdq(0.5, 0)

    def dense(features: int, channels: int) -> Graph:
        return graph.node("MatMul", graph.constant(graph.rng.integers(-1, 2, (features, channels))))

    levels = [graph.constant(0.5), graph.constant(0, np.int8)]
    dense(10, 6).node("QuantizeLinear", *levels)
    shared, ends = graph.tensor, []
    for _ in range(2):
        graph.tensor = shared
        graph.node("DequantizeLinear", *levels)
        dense(6, 5).qdq(0.5, 0)
        ends.append(graph.tensor)
    graph.tensor = ends[0]
    graph.node("Add", ends[1]).qdq(1.0, 0)
    x = samples((1, 10), 40)
    lowered, found = answers(dense(5, 4).model(), x)
    check = compare_with_file(lowered, x, lowered.scores(x), found)
    assert check.differences == 0 and "20 also by onnxruntime" in check.note


def test_what_another_executor_answers_otherwise_are_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    x = samples((1, 10), 100)
    lowered, found = answers(Graph((1, 10), 3).bipolar().dense(10, 4).model(), x)
    scores = lowered.scores(x)
    other = np.where(np.arange(20) < 3, (found[:20] + 1) % 4, found[:20])
    monkeypatch.setattr(Lowered, "untouched_classes", lambda *_: ("onnxruntime", other))
    assert compare_with_file(lowered, x, scores, found).differences == 3
    other[2] = found[2]  # float32 rounds: two may be ties
    assert compare_with_file(lowered, x, scores, found).differences == 0
