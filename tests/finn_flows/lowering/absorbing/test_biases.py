"""Biases of logits become integers, and the class stays the one of real numbers, whatever the accumulators."""

from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.export import export_qonnx
from brevitas.quant import Int8WeightPerTensorFloat, Int32Bias, SignedBinaryWeightPerTensorConst
from hypothesis import given
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper
from torch import nn

from tests.finn_flows.integer_networks import as_streams, held_against
from tests.finn_flows.lowering.foreign import Graph, execute, lower, samples
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.lowering.absorbing.absorb import AbsorbActivations
from zerocross.finn_flows.lowering.absorbing.biases import integer_biases
from zerocross.finn_flows.lowering.canonical.tidying import tidy
from zerocross.finn_flows.lowering.lower import Lowered
from zerocross.finn_flows.lowering.lower import lower as lower_file
from zerocross.finn_flows.network import Bias
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import with_fifos
from zerocross.finn_flows.rtl.logits import design_logits
from zerocross.finn_flows.rtl.streaming import compile_streaming

OFFSETS = st.lists(
    st.builds(Fraction, st.integers(-25, 25), st.sampled_from([1, 2, 3, 4, 7])), min_size=1, max_size=6
)


@given(OFFSETS, st.sampled_from([1, 2]))
def test_integers_order_any_accumulators_as_the_offsets_do(offsets: list[Fraction], step: int) -> None:
    """Of two classes the same one comes first, however far their accumulators are apart: so does the class."""
    shift, integers = integer_biases(offsets, step)
    for (i, one), (j, other) in combinations(enumerate(offsets), 2):
        for apart in range(-60, 61, step):
            assert (one + apart >= other) == ((apart << shift) + int(integers[i]) >= int(integers[j]))


@given(OFFSETS, st.sampled_from([1, 2]))
def test_the_shift_makes_room_for_the_parts_of_a_step_and_no_more(offsets: list[Fraction], step: int) -> None:
    parts = len({offset % step for offset in offsets})
    shift, _ = integer_biases(offsets, step)
    assert shift >= 0 and step << shift <= max(2 * (parts - 1), step)


@pytest.mark.parametrize(
    "offsets, step, expected",
    [
        ([0, 0, 0], 1, (0, [0, 0, 0])),
        ([5, 3, -2], 1, (0, [5, 3, -2])),
        ([5, 3, -2], 2, (0, [4, 2, -2])),
        ([0.75, 0.5, 0.25], 1, (0, [0, 0, 0])),  # the first of equals is chosen anyway
        ([0.25, 0.5, 0.75], 1, (2, [0, 1, 2])),
        ([0.25, 0.5, 1.75, 0.75], 2, (1, [0, 1, 2, 2])),
        ([-0.25, 0.25, -0.25], 1, (1, [-1, 0, -1])),
    ],
)
def test_some_offsets(offsets: list[float], step: int, expected: tuple[int, list[int]]) -> None:
    shift, integers = integer_biases([Fraction(each) for each in offsets], step)
    assert (shift, integers.tolist()) == expected


def classes(logits: np.ndarray) -> np.ndarray:
    return logits.reshape(len(logits), -1).argmax(axis=1)


def bias_of(lowered: Lowered) -> Bias | None:
    found = [layer.operation for layer in lowered.network.network.layers]
    return next((operation for operation in found if isinstance(operation, Bias)), None)


def check(model: ModelWrapper, x: np.ndarray) -> Lowered:
    """Compare classes: those of the file, of the absorbed graph and of the integers.

    With scales that are powers of two, floats round no tie.
    """
    lowered = lower(model)
    found = lowered.network.run(lowered.quantize(x))
    expected = classes(execute(tidy(model), x))
    assert np.array_equal(found["label"][:, 0], expected)
    assert np.array_equal(classes(execute(lowered.model, x)), expected)
    # Biases that decide nothing would show nothing.
    assert bias_of(lowered) is None or (classes(found["classifier"]) != expected).any()
    assert len(np.unique(expected)) > 1
    return lowered


def front(bits: int = 1, signed: bool = False, seed: int = 3) -> Graph:
    g = Graph((1, 10), seed).bipolar().dense(10, 12).norm(12)
    return g.bipolar(0.5) if bits == 1 else g.quant(bits, 0.25, signed)


def classifier(bits: int = 1, signed: bool = False, scale: float = 0.5) -> Graph:
    return front(bits, signed).dense(12, 5, scale=scale)


def by_class(g: Graph, size: float = 0.6) -> str:
    return g.constant(g.rng.normal(size=5) * size)


def gemm(g: Graph, weights: str, size: float = 0.6, **attributes: float) -> Graph:
    return g.node("Gemm", weights, by_class(g, size), **attributes)


def integers(g: Graph) -> str:
    """Weights of four bits."""
    return g.constant(g.rng.integers(-8, 9, (12, 5)) * np.float32(0.125))


def one_norm(g: Graph) -> Graph:
    """A batch norm with one scale for all classes."""
    scale, variance = g.constant(np.full(5, 0.3)), g.constant(np.full(5, 7.0))
    return g.node("BatchNormalization", scale, by_class(g), by_class(g, 4), variance)


def several(g: Graph) -> Graph:
    g.node("Add", by_class(g)).node("Div", g.constant(3.0)).node("Identity").node("Sub", by_class(g))
    return g.node("Mul", g.constant([0.5])).node("Softmax")


def convolution() -> Graph:
    g = Graph((1, 2, 3, 3), 5).bipolar().conv(2, 8).norm(8).bipolar()
    return g.conv(8, 5, kernel=1, scale=0.5)


def image(g: Graph) -> str:
    return g.constant(g.rng.normal(size=(1, 5, 1, 1)))


ENDINGS: dict[str, Callable[[], Graph]] = {
    "gemm": lambda: gemm(g := front(), g.weights((12, 5)), 2.0),
    "scaled gemm": lambda: gemm(g := front(), g.weights((12, 5), 0.25), alpha=0.5, beta=0.25),
    "add": lambda: (g := classifier()).node("Add", by_class(g)),
    "sub": lambda: (g := classifier()).node("Sub", by_class(g)),
    "batch norm": lambda: one_norm(classifier()),
    "several": lambda: several(classifier()),
    "levels": lambda: (g := classifier(3)).node("Add", by_class(g)),
    "signed levels": lambda: classifier(2, signed=True),
    "signed levels and a bias": lambda: (g := classifier(3, signed=True)).node("Add", by_class(g)),
    "weights of several bits": lambda: gemm(g := front(), integers(g)),
    "levels and weights of several bits": lambda: gemm(g := front(3), integers(g)),
    "convolution": lambda: (g := convolution()).node("Add", image(g)),
    "flattened convolution": lambda: (g := convolution().node("Flatten")).node("Add", by_class(g)),
    "convolution, flattened behind": lambda: (g := convolution()).node("Sub", image(g)).node("Flatten"),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_the_class_is_the_files(name: str) -> None:
    g = ENDINGS[name]()
    assert bias_of(check(g.model(), samples(g.shape, 2000))) is not None


def test_the_bias_stands_behind_the_flatten_and_is_called_as_the_product() -> None:
    g = convolution()
    layers = lower_file(g.node("Add", image(g)).node("Flatten").model()).network.network.layers
    assert [layer.name for layer in layers[-4:]] == ["Conv_6", "flatten", "Conv_6_bias", "label"]
    assert [layer.inputs for layer in layers[-3:]] == [("Conv_6",), ("flatten",), ("Conv_6_bias",)]


@pytest.mark.parametrize("size", [0.25, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("bits", [1, 2])
def test_ties_go_to_the_first_class(bits: int, size: float) -> None:
    """Biases of whole steps, of halves and of quarters tie often."""
    g = Graph((1, 10), 3)
    g = g.bipolar(0.5) if bits == 1 else g.quant(bits, 0.5)
    g.dense(10, 5).node("Add", g.constant(g.rng.integers(-3, 4, 5) * 0.5 * size))
    x = samples((1, 10), 2000)
    check(g.model(), x)
    logits = np.sort(execute(tidy(g.model()), x), axis=1)
    assert (logits[:, -1] == logits[:, -2]).sum() >= 10


@pytest.mark.parametrize("seed", range(5))
def test_the_class_is_that_of_rational_numbers(seed: int) -> None:
    g = front(seed=seed)
    scale, biases = np.float32(0.1), g.rng.normal(size=5).astype(np.float32)
    g.bipolar().dense(12, 5).node("Mul", g.constant(scale)).node("Add", g.constant(biases))
    lowered, x = lower(g.model()), samples((1, 10), 1000)
    found = lowered.network.run(lowered.quantize(x))
    for row, label in zip(found["classifier"], found["label"][:, 0], strict=True):
        logits = [
            int(a) * Fraction(float(scale)) + Fraction(float(b)) for a, b in zip(row, biases, strict=True)
        ]
        assert label == logits.index(max(logits))


@pytest.mark.parametrize(
    "biases",
    [
        [0.3] * 5,
        [0.0] * 5,
        [0.25, 0.2, 0.15, 0.1, 0.05],  # less than a step, and of equals the first is chosen anyway
    ],
)
def test_biases_that_change_no_class_are_no_layer(biases: list[float]) -> None:
    g = classifier()
    lowered = check(g.node("Add", g.constant(biases)).model(), samples((1, 10), 2000))
    assert bias_of(lowered) is None and lowered.network.biases == {}


def test_a_bias_within_a_function_of_all_classes_is_no_layer() -> None:
    g = classifier()
    assert bias_of(lower(g.node("Add", g.constant(0.3)).node("Softsign").model())) is None


def test_whole_steps_need_no_shift_however_floats_round_them() -> None:
    g = classifier(scale=0.7)
    whole, scale = np.array([3, -2, 0, 7, -5]), np.float32(0.7) * np.float32(0.5)
    lowered = lower(g.node("Add", g.constant(whole.astype(np.float32) * scale)).model())
    assert bias_of(lowered) == Bias(0, -5, 7)
    assert lowered.network.biases["bias"].tolist() == whole.tolist()


def test_absorbing_twice_changes_nothing() -> None:
    once = lower(ENDINGS["signed levels and a bias"]().model())
    twice = lower(once.model.transform(AbsorbActivations()))
    assert twice.network.network == once.network.network
    assert np.array_equal(twice.network.biases["bias"], once.network.biases["bias"])


class BinaryWeight(SignedBinaryWeightPerTensorConst):
    scaling_const = 0.3


def exported(classifier: nn.Module, path: Path) -> tuple[nn.Module, ModelWrapper]:
    torch.manual_seed(0)
    model = nn.Sequential(
        qnn.QuantIdentity(bit_width=8),
        qnn.QuantLinear(12, 20, bias=False, weight_quant=BinaryWeight),
        nn.BatchNorm1d(20),
        qnn.QuantReLU(bit_width=3, return_quant_tensor=True),
        classifier,
    )
    for _ in range(8):  # the activations' scales are learnt from what passes
        model(torch.randn(64, 12))
    model.eval()
    export_qonnx(model, torch.randn(1, 12), str(path), dynamo=False)
    return model, ModelWrapper(str(path))


@pytest.mark.parametrize("weight", [BinaryWeight, Int8WeightPerTensorFloat])
def test_brevitas_biases(weight: type, tmp_path: Path) -> None:
    torch.manual_seed(1)
    layer = qnn.QuantLinear(20, 6, bias=True, weight_quant=weight)
    nn.init.normal_(layer.bias)
    model, file = exported(layer, tmp_path / "net.onnx")
    x = torch.randn(2000, 12)
    lowered = check(file, x.numpy())
    assert bias_of(lowered) is not None
    with torch.no_grad():
        expected = model(x).numpy().argmax(axis=1)
    found = lowered.network.run(lowered.quantize(x.numpy()))["label"][:, 0]
    assert np.array_equal(found, expected)


def test_quantized_brevitas_biases_are_the_integers_themselves(tmp_path: Path) -> None:
    torch.manual_seed(1)
    layer = qnn.QuantLinear(20, 6, bias=True, weight_quant=BinaryWeight, bias_quant=Int32Bias)
    nn.init.normal_(layer.bias)
    model, file = exported(layer, tmp_path / "net.onnx")
    lowered = lower(file)
    scale = float(model[3](model[:3](torch.randn(4, 12))).scale) * 0.3
    whole = np.rint(layer.bias.detach().numpy() / scale)
    assert bias_of(lowered) == Bias(0, int(whole.min()), int(whole.max()))
    assert np.array_equal(lowered.network.biases["bias"], whole)


@pytest.mark.parametrize("name", ["add", "batch norm", "levels and weights of several bits", "convolution"])
def test_designs_compute_the_class(name: str) -> None:
    g = ENDINGS[name]()
    lowered = lower(g.model())
    net, x = lowered.network, lowered.quantize(samples(g.shape, 300))
    for folding in (Folding(), Folding(target_cycles=40, max_pe=100, max_simd=100)):
        assert held_against(net, assemble(plan(net.network, folding), net), x) > 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gemm", "levels and weights of several bits", "convolution"])
def test_the_rtl_chooses_the_class(name: str, tmp_path: Path, runtime: Path) -> None:
    g = ENDINGS[name]()
    lowered, x = lower(g.model()), samples(g.shape, 300)
    net = lowered.network
    design = with_fifos(assemble(plan(net.network, Folding(target_cycles=30)), net), 4)
    (last, _) = design.elements[-1].sources[0]
    compiled, _ = compile_streaming(design, tmp_path, [last], runtime)
    for stalls in ((0.0, 0.0), (0.3, 0.3)):
        streamed = compiled.stream(as_streams(net, lowered.quantize(x)), stalls)
        assert np.array_equal(streamed.outputs[:, 0], classes(execute(tidy(g.model()), x)))
        logits = design_logits(design, streamed.taps[last])
        assert np.array_equal(logits, net.run(lowered.quantize(x))["bias"])
