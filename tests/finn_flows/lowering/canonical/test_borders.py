"""Crops, Pads of channels, transposed images, and the straight-through estimator: the file against the integers and RTL."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.finn_flows.integer_networks import as_streams, held_against
from tests.finn_flows.lowering.canonical.test_integer_operators import integer_network
from tests.finn_flows.lowering.canonical.test_rewriting import check, kinds
from tests.finn_flows.lowering.foreign import samples
from tests.finn_flows.lowering.shapes import Shaped, image, padded_classifier, signal
from tests.finn_flows.whole_designs import SideBySide
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.lower import lower
from zerocross.finn_flows.network import Concat, Conv, Pad, Select
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import with_fifos

FAR = 2**62


def end(g: Shaped, inputs: int) -> Shaped:
    g.conv(inputs, 3, 2).norm(3).quant(2, 0.5)
    return g.end()


def crop_of_levels() -> Shaped:
    """The crop moves to the file's input."""
    return end(image(9).levels(3).sliced((2, 1, FAR, 1), (3, 2, -1, 1)), 4)


def crop_beside_others() -> Shaped:
    """Two nodes read the levels, so that the crop is computed."""
    g = image(9).levels(3)
    whole = g.tensor
    cropped = g.sliced((2, 1, -1, 1), (3, 1, -1, 1)).tensor
    g.at(whole).conv(4, 4, 3).norm(4, 2.0)
    g.levels(3).node("Add", cropped).norm(4, 2.0).quant(2, 0.5)
    return g.end()


def crop_of_the_input(levels_first: bool) -> Shaped:
    g = Shaped((1, 2, 8, 8), 3)
    if levels_first:
        g.levels(4, 0.25)
    g.sliced((2, 1, -1, 1), (3, 2, FAR, 1))
    if not levels_first:
        g.levels(4, 0.25)
    return end(g, 2)


def negative_pads() -> Shaped:
    g = image(9).levels(3)
    g.node("Pad", g.constant([0, 0, -1, 1, 0, 0, 0, -2], np.int64), g.constant(0.0))
    return end(g, 4)


def negative_pads_of_the_input() -> Shaped:
    g = Shaped((1, 2, 8, 8), 3)
    g.node("Pad", g.constant([0, 0, -1, -2, 0, 0, 0, -1], np.int64), g.constant(0.0))
    return end(g.levels(4, 0.25), 2)


def crop_of_padding() -> Shaped:
    """The last two of ten rows of a convolution's output are of padding alone."""
    g = image(9).levels(3)
    start = g.tensor
    rows = g.sliced((2, 0, 2, 1)).tensor
    g.at(start).conv(4, 4, 3, pads=[1, 1, 4, 1]).norm(4, 3.0).sliced((2, 8, FAR, 1))  # type: ignore[attr-defined]
    g.levels(3).node("Add", rows).norm(4, 2.0).quant(2, 0.5)
    return g.end()


def causal() -> Shaped:
    """Temporal convolutions that are padded on both sides, then cut at the end."""
    g = signal().conv1d(2, 6, 3, pads=[2, 2]).sliced((2, 0, -2, 1))
    g.norm(6, 4.0).quant(2, 0.5)
    g.conv1d(6, 4, 3, dilations=[2], pads=[4, 4]).sliced((2, 0, -4, 1)).norm(4, 3.0).quant(2, 0.5)
    return g.end(12)


def shortcut_with_zeros() -> Shaped:
    """A ResNet's shortcut without weights: every second pixel, and channels of zeros."""
    g = image(9).levels(3, signed=True)
    start = g.tensor
    g.sliced((2, 0, FAR, 2), (3, 0, FAR, 2))
    g.node("Pad", g.constant([0, 2, 0, 0, 0, 2, 0, 0], np.int64), g.constant(0.0))
    shortcut = g.tensor
    g.at(start).conv(4, 8, 3, pads=[1] * 4, strides=[2, 2]).norm(8, 3.0)
    stream = g.levels(3, signed=True).node("Add", shortcut).tensor
    g.conv(8, 8, 3, pads=[1] * 4).norm(8, 4.0)
    g.levels(3, signed=True).node("Add", stream)
    return g.end()


def joined_with_zeros() -> Shaped:
    g = image(9).levels(3, signed=True)
    start = g.tensor
    zeros = g.node("Mul", g.constant(0.0)).tensor
    g.concat(start, zeros).conv(8, 4, 3, pads=[1] * 4).norm(4, 3.0).quant(2, 0.5)
    return g.end()


def transposed() -> Shaped:
    g = Shaped((1, 2, 7, 5), 3).levels(4, 0.25).conv(2, 4, pads=[1] * 4).norm(4, 3.0).quant(3, 0.5)  # type: ignore[attr-defined]
    g.node("Transpose", perm=[0, 1, 3, 2])
    g.node("Conv", g.weights((6, 4, 3, 2)), kernel_shape=[3, 2], strides=[1, 2], pads=[1, 0, 0, 1])
    g.norm(6, 3.0).quant(2, 0.5).node("MaxPool", kernel_shape=[2, 1], strides=[2, 1])
    return g.end()


def straight_through() -> Shaped:
    g = Shaped((1, 10), 3)
    x = g.tensor
    difference = g.node("Sign").node("Sub", x).tensor
    g.at(x).node("Add", difference).dense(10, 12).norm(12)
    x = g.tensor
    g.node("Sign").node("Sub", x).node("Add", x)
    ahead, raw = g.tensor, g.constant(g.rng.normal(size=(12, 5)))
    weights = g.at(raw).node("Sign").node("Sub", raw).node("Add", raw).tensor
    return g.at(ahead).node("MatMul", weights)  # type: ignore[return-value]


def grouped_classifier() -> Shaped:
    g = image(9).levels(3).conv(4, 8, 3, group=4)
    return g.ended("GlobalAveragePool")  # type: ignore[attr-defined]


def fine_classifier() -> Shaped:
    """Sums of its weights need more than 8 bits."""
    g = image().levels(2)
    weights = g.weights((5, 4, 3, 3), 1 / 64, "Quant", 8)
    g.node("Conv", weights, kernel_shape=[3, 3], pads=[2, 1, 2, 1], dilations=[2, 1])
    return g.ended("GlobalAveragePool")


def features_in_two_orders() -> Shaped:
    g = image().levels(3)
    flat = g.node("Flatten").tensor
    size = g.features()
    g.dense(size, size).norm(size)
    g.levels(3).node("Add", flat)
    return g.end()


FILES: dict[str, Callable[[], Shaped]] = {
    "crop_of_levels": crop_of_levels,
    "crop_beside_others": crop_beside_others,
    "crop_of_the_input": lambda: crop_of_the_input(False),
    "crop_of_the_inputs_levels": lambda: crop_of_the_input(True),
    "negative_pads": negative_pads,
    "negative_pads_of_the_input": negative_pads_of_the_input,
    "causal": causal,
    "shortcut_with_zeros": shortcut_with_zeros,
    "joined_with_zeros": joined_with_zeros,
    "transposed": transposed,
    "straight_through": straight_through,
    "grouped_classifier": grouped_classifier,
    "padded_classifier": padded_classifier,
    "fine_classifier": fine_classifier,
    "features_in_two_orders": features_in_two_orders,
}


@pytest.mark.parametrize("name", FILES)
def test_integers_are_the_files(name: str) -> None:
    g = FILES[name]()
    check(g.model(), g.shape)


def test_a_crop_costs_no_layer() -> None:
    assert kinds(lower(crop_of_levels().model())).count(Conv) == 2
    causal_layers = lower(causal().model()).network.network.layers
    assert [each.operation.amounts for each in causal_layers if isinstance(each.operation, Pad)] == [
        (0, 2, 0, 0),
        (0, 4, 0, 0),
    ]


def test_zeros_cost_no_crossings() -> None:
    lowered = lower(shortcut_with_zeros().model())
    assert {Concat, Select} <= set(kinds(lowered))
    assert [each.most for each in lowered.activations].count(0) == 2


def test_weights_of_a_straight_through_estimator_are_bits() -> None:
    net = lower(straight_through().model()).network.network
    assert all(net.weight_bits(name) == 1 for name in net.fan_ins())


def test_zeros_beside_signs_are_refused() -> None:
    g = image(9).levels(1)
    g.node("Pad", g.constant([0, 0, 0, 0, 0, 2, 0, 0], np.int64), g.constant(0.25))
    with pytest.raises(LoweringError, match=r"Pad_\d+ \(Pad\) takes some channels of a product's outputs"):
        lower(end(g, 6).model())


def test_a_crop_of_padding_alone_is_refused() -> None:
    with pytest.raises(
        LoweringError, match=r"Slice_9 \(Slice\) keeps only rows .* Conv_7 \(Conv\) makes of padding"
    ):
        lower(crop_of_padding().model())


@pytest.mark.slow
def test_the_rtl_computes_the_classes(tmp_path: Path, runtime: Path) -> None:
    nets, designs, inputs = {}, {}, {}
    files = {**FILES, **{kind: partial(integer_network, kind) for kind in ("ConvInteger", "MatMulInteger")}}
    for name, build in files.items():
        g = build()
        lowered = lower(g.model())
        design = assemble(plan(lowered.network.network, Folding(target_cycles=500)), lowered.network)
        nets[name], inputs[name] = lowered.network, lowered.quantize(samples(g.shape, 12))
        assert held_against(lowered.network, design, inputs[name]) > 0
        designs[name] = with_fifos(design, 512)
    compiled = SideBySide.of(designs, tmp_path, runtime)
    given = {name: as_streams(net, inputs[name]) for name, net in nets.items()}
    _, outputs = compiled.run(given, (0.4, 0.3), seed=1)
    for name, net in nets.items():
        assert np.array_equal(outputs[name], net.run(inputs[name])["label"]), name
