"""How files end: one logit, a scale for each class, negative scales, and ties that float32's rounding decides."""

from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.export import export_qonnx
from brevitas.quant import (
    Int8WeightPerChannelFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
)
from brevitas_examples.bnn_pynq.models import model_with_cfg
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from qonnx.core.modelwrapper import ModelWrapper
from torch import nn

from tests.finn_flows.integer_networks import as_streams, held_against
from tests.finn_flows.lowering.foreign import Graph, execute, samples
from tests.finn_flows.lowering.shapes import SHAPES, TAILS
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.lowering.absorbing import class_scales
from zerocross.finn_flows.lowering.absorbing.absorb import AbsorbActivations
from zerocross.finn_flows.lowering.absorbing.class_scales import Reach, integer_lines
from zerocross.finn_flows.lowering.canonical.tidying import tidy
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.lower import Lowered, lower
from zerocross.finn_flows.lowering.storage import load, save
from zerocross.finn_flows.network import Activation, Bias, Grid
from zerocross.finn_flows.planner import UnsupportedLayer, plan
from zerocross.finn_flows.rtl.design import with_fifos
from zerocross.finn_flows.rtl.logits import design_logits
from zerocross.finn_flows.rtl.streaming import compile_streaming

# ---- integers with a factor for each class


def classes(logits: np.ndarray) -> np.ndarray:
    return logits.reshape(len(logits), -1).argmax(axis=1)


@st.composite
def classifiers(draw: st.DrawFn) -> tuple[list[Fraction], list[Fraction], np.ndarray, Grid]:
    channels, fan_in = draw(st.integers(2, 4)), draw(st.integers(1, 5))
    numbers = st.builds(Fraction, st.integers(-9, 9), st.sampled_from([1, 2, 3, 5, 7]))
    scales = draw(st.lists(numbers, min_size=channels, max_size=channels))
    biases = draw(st.lists(numbers, min_size=channels, max_size=channels))
    most = draw(st.sampled_from([1, 3]))
    weight = st.sampled_from([-1, 1]) if most == 1 else st.integers(-most, most)
    weights = draw(
        st.lists(st.lists(weight, min_size=fan_in, max_size=fan_in), min_size=channels, max_size=channels)
    )
    return scales, biases, np.array(weights, np.int64), draw(st.sampled_from([Grid(-1, 1, 2), Grid(0, 3)]))


@given(classifiers())
@settings(max_examples=50)
def test_integers_choose_the_class_of_rational_numbers_for_all_inputs(case: tuple) -> None:
    scales, biases, weights, grid = case
    found = integer_lines(scales, biases, Reach(weights, grid))
    assert found is not None
    factors, offsets = found
    levels = np.arange(grid.low, grid.high + 1, grid.step)
    inputs = np.stack(np.meshgrid(*[levels] * weights.shape[1])).reshape(weights.shape[1], -1)
    for sums in np.unique(weights @ inputs, axis=1).T:
        real = [s * int(a) + b for s, a, b in zip(scales, sums, biases, strict=True)]
        assert np.argmax(factors * sums + offsets) == real.index(max(real))


@given(classifiers())
def test_the_reach_of_two_classes_is_exact_in_each_number(case: tuple) -> None:
    _, _, weights, grid = case
    levels = np.arange(grid.low, grid.high + 1, grid.step)
    sums = weights @ np.stack(np.meshgrid(*[levels] * weights.shape[1])).reshape(weights.shape[1], -1)
    reach = Reach(weights, grid)
    for i, j in combinations(range(len(weights)), 2):
        x, low, high, step = reach.together(i, j).rows()
        held = {
            (a, b) for b, least, most in zip(x, low, high, strict=True) for a in range(least, most + 1, step)
        }
        assert set(zip(sums[i], sums[j], strict=True)) <= held
        assert (reach.of(weights[i]).low, reach.of(weights[i]).high) == (sums[i].min(), sums[i].max())


def test_factors_past_the_limit_are_refused_with_the_node_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(class_scales, "MOST_BITS", 3)
    g = Graph((1, 40), 3).bipolar().dense(40, 5)
    g.node("Mul", per_class(g)).node("Add", per_class(g))
    with pytest.raises(
        LoweringError, match=r"^Mul_\d+ \(Mul\) gives the classes different scales.*use one scale for all"
    ):
        lower(g.model())


# ---- several logits


def front(bits: int = 1, seed: int = 3) -> Graph:
    g = Graph((1, 10), seed).bipolar().dense(10, 12).norm(12)
    return g.bipolar(0.5) if bits == 1 else g.quant(bits, 0.25)


def per_class(g: Graph, low: float = 0.3, high: float = 2.0) -> str:
    return g.constant(g.rng.uniform(low, high, 5))


def mixed(g: Graph) -> str:
    return g.constant([0.7, -0.4, 0.0, 1.1, -0.9])


def image(seed: int = 5) -> Graph:
    g = Graph((1, 2, 3, 3), seed).bipolar().conv(2, 8).norm(8).bipolar()
    return g.conv(8, 5, kernel=1, scale=0.5)


SCALED: dict[str, Callable[[], Graph]] = {
    "scales": lambda: (g := front().dense(12, 5)).node("Mul", per_class(g)),
    "weight scales": lambda: front().dense(12, 5, scale=np.array([0.5, 0.75, 1.0, 0.375, 0.25])),
    "batch norm": lambda: front().dense(12, 5).norm(5, spread=2.0),
    "levels and a batch norm": lambda: front(3).dense(12, 5).norm(5, spread=2.0),
    "several bits": lambda: (
        (g := front(2)).node("MatMul", g.constant(g.rng.integers(-7, 8, (12, 5)))).norm(5)
    ),
    "negative for some": lambda: (g := front().dense(12, 5)).node("Mul", mixed(g)).node("Add", per_class(g)),
    "negative for all": lambda: front().dense(12, 5).node("Neg"),
    "a softsign behind": lambda: (g := front().dense(12, 5)).node("Mul", per_class(g)).node("Softsign"),
    "a choice behind": lambda: (g := front().dense(12, 5)).node("Div", per_class(g)).node("Softmax", axis=1),
    "convolution": lambda: image().norm(5, spread=2.0).node("Flatten"),
}


def scaling(lowered: Lowered) -> Bias | None:
    found = [layer.operation for layer in lowered.network.network.layers]
    return next((operation for operation in found if isinstance(operation, Bias)), None)


@pytest.mark.parametrize("name", SCALED)
def test_each_class_has_its_scale(name: str, tmp_path: Path) -> None:
    g = SCALED[name]()
    lowered, x = lower(g.model()), samples(g.shape, 1500)
    bias = scaling(lowered)
    assert bias is not None and bias.has_factors
    expected = execute(tidy(g.model()), x).reshape(len(x), -1)
    found = lowered.network.run(lowered.quantize(x))["label"][:, 0]
    assert np.array_equal(found, classes(expected)) and len(np.unique(found)) > 1
    assert np.array_equal(classes(execute(lowered.model, x)), found)
    assert np.array_equal(lowered.scores(x).classes, found)
    save(lowered.network, tmp_path / "network.npz")
    assert np.array_equal(load(tmp_path / "network.npz").run(lowered.quantize(x))["label"][:, 0], found)


@pytest.mark.parametrize("name", ["batch norm", "several bits", "negative for some", "convolution"])
def test_designs_scale_each_class(name: str) -> None:
    lowered = lower(SCALED[name]().model())
    net = lowered.network
    x = lowered.quantize(samples(SCALED[name]().shape, 300))
    for folding in (Folding(), Folding(target_cycles=40, max_pe=100, max_simd=100)):
        assert held_against(net, assemble(plan(net.network, folding), net), x) > 4


@pytest.mark.parametrize("biases", [(0.0, 0.0, 0.0), (0.0, 0.1, 0.24)])
def test_nearly_equal_scales_need_no_factors(biases: tuple[float, ...]) -> None:
    g = front().dense(12, 3)
    g.node("Mul", g.constant([0.1, 0.1003, 0.0998])).node("Add", g.constant(biases))
    net, x = (lowered := lower(g.model())).network, samples(g.shape, 300)
    assert np.array_equal(lowered.scores(x).classes, classes(execute(tidy(g.model()), x).reshape(len(x), -1)))
    assert held_against(net, assemble(plan(net.network, Folding()), net), lowered.quantize(x)) > 2


@pytest.mark.parametrize("name", [name for name in SHAPES if name.startswith("flattened")])
def test_designs_with_an_activation_behind_a_flatten(name: str) -> None:
    g = SHAPES[name]()
    net = (lowered := lower(g.model())).network
    assert (
        held_against(
            net, assemble(plan(net.network, Folding()), net), lowered.quantize(samples(g.shape, 100))
        )
        > 2
    )


def test_scales_that_only_rounding_tells_apart_are_one() -> None:
    third = np.float32(1) / np.float32(3)
    g = front().dense(12, 5)
    g.node("Mul", g.constant([third, np.nextafter(third, np.float32(1)), third, third, third]))
    assert scaling(lower(g.model())) is None


# ---- one logit


def single(tail: str, bits: int = 1) -> Graph:
    return TAILS[tail][0](front(bits).dense(12, 1, scale=0.25))


@pytest.mark.parametrize("bits", [1, 3])
@pytest.mark.parametrize("tail", TAILS)
def test_the_class_of_one_logit_is_whether_it_passes_its_threshold(tail: str, bits: int) -> None:
    g = single(tail, bits)
    lowered, x = lower(g.model()), samples(g.shape, 500)
    net, inputs = lowered.network, lowered.quantize(x)
    kind = TensorProto.BOOL if "comparison" in tail else TensorProto.FLOAT
    expected = TAILS[tail][1](execute(tidy(g.model(elem_type=kind)), x).reshape(-1))
    found = net.run(inputs)["label"][:, 0]
    assert np.array_equal(found, expected) and (tail == "a batch norm" or 0 < found.mean() < 1)
    assert np.array_equal(lowered.scores(x).classes, expected)
    assert np.array_equal(execute(lowered.model, x).reshape(-1) > 0, expected)
    last = net.network.layers[-2].operation
    assert isinstance(last, Activation) and last.bits == 1 and len(last.crossings) == 1
    design = assemble(plan(net.network, Folding(target_cycles=40)), net)
    assert held_against(net, design, inputs[:100]) > 3
    assert np.array_equal(design.run(as_streams(net, inputs))[design.elements[-1].name, "m"][:, 0], expected)


@pytest.mark.parametrize("choice", ["ArgMax", "Softmax"])
def test_a_choice_among_one_is_ignored(choice: str) -> None:
    g, x = single("a bias"), samples((1, 10), 300)
    expected = execute(tidy(g.model()), x)[:, 0] > 0
    lowered = lower(g.node(choice, axis=1).model())
    assert np.array_equal(lowered.network.run(lowered.quantize(x))["label"][:, 0], expected)


def test_a_convolution_to_one_channel_is_one_logit() -> None:
    g = Graph((1, 2, 3, 3), 5).bipolar().conv(2, 8).norm(8).bipolar().conv(8, 1, kernel=1).node("Flatten")
    lowered, x = lower(g.model()), samples(g.shape, 300)
    net, expected = lowered.network, execute(tidy(g.model()), x)[:, 0] > 0
    assert np.array_equal(net.run(lowered.quantize(x))["label"][:, 0], expected)
    assert held_against(net, assemble(plan(net.network, Folding()), net), lowered.quantize(x)) > 3


def test_absorbing_one_logit_twice_changes_nothing() -> None:
    once = lower(single("a sine").model())
    twice = lower(once.model.transform(AbsorbActivations()))
    assert twice.network.network == once.network.network


def test_one_number_without_a_bit_is_no_class() -> None:
    from tests.finn_flows.finn_networks import chain
    from zerocross.finn_flows.network import Dense, Input, LabelSelect

    with pytest.raises(
        UnsupportedLayer, match="is a single number, and the largest of one is always class 0"
    ):
        plan(chain(Input((9,), 1), Dense(1), LabelSelect()), Folding())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a sine", "a bias", "batch norm", "several bits", "negative for some"])
def test_the_rtl_chooses_the_class(name: str, tmp_path: Path, runtime: Path) -> None:
    g = single(name, 2) if name in TAILS else SCALED[name]()
    lowered, x = lower(g.model()), samples(g.shape, 300)
    net, inputs = lowered.network, lowered.quantize(x)
    design = with_fifos(assemble(plan(net.network, Folding(target_cycles=30)), net), 4)
    (last, _) = design.elements[-1].sources[0]
    compiled, _ = compile_streaming(design, tmp_path, [last], runtime)
    values = net.run(inputs)
    layer = net.network.layers[-1].inputs[0] if name in SCALED else net.network.layers[-2].inputs[0]
    for stalls in ((0.0, 0.0), (0.3, 0.3)):
        streamed = compiled.stream(as_streams(net, inputs), stalls)
        assert np.array_equal(streamed.outputs[:, 0], lowered.scores(x).classes)
        assert np.array_equal(design_logits(design, streamed.taps[last]), values[layer])


# ---- ties


class Binary(SignedBinaryWeightPerTensorConst):
    scaling_const = 0.1


class Bit(SignedBinaryActPerTensorConst):
    scaling_const = 0.1


def settled(model: nn.Module) -> nn.Module:
    model.train()
    for _ in range(5):
        model(torch.randn(64, 10))
    return model.eval()


def exported(model: nn.Module, path: Path) -> ModelWrapper:
    export_qonnx(model.eval(), torch.randn(1, 10), str(path), dynamo=False)
    return ModelWrapper(str(path))


def test_equal_logits_that_floats_tell_apart_are_ties(tmp_path: Path) -> None:
    torch.manual_seed(0)
    last = qnn.QuantLinear(24, 5, bias=False, weight_quant=Binary)
    body = [qnn.QuantIdentity(act_quant=Bit), qnn.QuantLinear(10, 24, bias=False, weight_quant=Binary)]
    model = settled(nn.Sequential(*body, nn.BatchNorm1d(24), qnn.QuantIdentity(act_quant=Bit), last))
    lowered = lower(exported(model, tmp_path / "net.onnx"))
    x = samples((1, 10), 1000)
    scores, integers = lowered.scores(x), lowered.network.run(lowered.quantize(x))
    found, logits = integers["label"][:, 0], integers[lowered.network.network.layers[-2].name]
    split = scores.classes != found
    assert split.sum() > 10 and scores.allow(found).all()
    rows = np.flatnonzero(split)
    assert (logits[rows, scores.classes[rows]] == logits[rows, found[rows]]).all()
    # A logit that is smaller by a step is no tie.
    assert not scores.allow(logits.argmin(axis=1))[logits.min(axis=1) < logits.max(axis=1)].any()


def test_sums_at_a_hidden_threshold_are_ties(tmp_path: Path) -> None:
    """Without a batch norm, half of the sums of ten bits are at the threshold 0 or next to it."""
    torch.manual_seed(0)
    layers = [qnn.QuantLinear(10, 24, bias=False, weight_quant=Binary), qnn.QuantIdentity(act_quant=Bit)]
    last = qnn.QuantLinear(24, 5, bias=False, weight_quant=Binary)
    model = nn.Sequential(qnn.QuantIdentity(act_quant=Bit), *layers, last)
    lowered, x = lower(exported(model, tmp_path / "net.onnx")), samples((1, 10), 300)
    scores, found = lowered.scores(x), lowered.network.run(lowered.quantize(x))["label"][:, 0]
    differ = scores.classes != found
    assert (differ & ~scores.allow(found)).sum() > 10  # their logits differ by whole steps
    led = lowered.scores(x, led=True)
    assert led.explained.all() and led.allow(found).all()
    wrong = lower(exported(model, tmp_path / "net.onnx"))
    product = next(node for node in wrong.model.graph.node if node.op_type == "MatMul")
    weights = wrong.model.get_initializer(product.input[1])
    wrong.model.set_initializer(product.input[1], np.roll(weights, 1, axis=1))
    assert not wrong.scores(x, led=True).explained.any()


def test_one_logit_at_its_threshold_is_a_tie() -> None:
    g = Graph((1, 10), 3).bipolar(0.1).dense(10, 1, scale=0.1)
    lowered, x = lower(g.model()), samples((1, 10), 400)
    scores, integers = lowered.scores(x), lowered.network.run(lowered.quantize(x))
    found, sums = integers["label"][:, 0], integers[lowered.network.network.layers[0].name][:, 0]
    assert (scores.classes != found).any() and scores.allow(found).all()
    assert np.array_equal(scores.allow(1 - found), sums == 0)


# ---- FINN's own networks


@pytest.mark.parametrize(
    "name", ["TFC_1W2A", "TFC_2W2A", "CNV_1W2A", pytest.param("CNV_2W2A", marks=pytest.mark.slow)]
)
def test_finns_networks_with_levels_ahead_of_the_classifier(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, _ = model_with_cfg(name, pretrained=False)
    shape = (3, 32, 32) if name.startswith("CNV") else (1, 28, 28)
    model.train()
    model(torch.rand(16, *shape))
    model.eval()
    export_qonnx(model, torch.rand(1, *shape), str(tmp_path / "net.onnx"), dynamo=False)
    lowered = lower(tmp_path / "net.onnx")
    x = np.rint(np.random.default_rng(0).random((8, *shape)) * 255).astype(np.float32) / 255
    expected = execute(tidy(ModelWrapper(str(tmp_path / "net.onnx"))), x).argmax(axis=1)
    assert np.array_equal(lowered.network.run(lowered.quantize(x))["label"][:, 0], expected)


def test_brevitas_scales_for_each_class(tmp_path: Path) -> None:
    torch.manual_seed(1)
    layer = qnn.QuantLinear(24, 5, bias=True, weight_quant=Int8WeightPerChannelFloat, weight_bit_width=4)
    body = [qnn.QuantIdentity(act_quant=Bit), qnn.QuantLinear(10, 24, bias=False, weight_quant=Binary)]
    model = settled(nn.Sequential(*body, nn.BatchNorm1d(24), qnn.QuantIdentity(act_quant=Bit), layer))
    lowered, x = lower(exported(model, tmp_path / "net.onnx")), samples((1, 10), 1000)
    bias = scaling(lowered)
    assert bias is not None and bias.has_factors
    found = lowered.network.run(lowered.quantize(x))["label"][:, 0]
    with torch.no_grad():
        assert np.array_equal(found, model(torch.from_numpy(x)).numpy().argmax(axis=1))
