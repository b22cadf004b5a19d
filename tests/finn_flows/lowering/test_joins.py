"""Graphs that branch and join, built node by node, against qonnx's own execution."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import NodeProto

from tests.finn_flows.lowering.foreign import Graph, assert_same, execute, lower, samples
from zerocross.finn_flows.lowering.absorbing.absorb import AbsorbActivations
from zerocross.finn_flows.lowering.canonical.tidying import tidy
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.lower import Lowered
from zerocross.finn_flows.network import Add, Conv, Flatten, Pad, SumPool


def at(g: Graph, tensor: str) -> Graph:
    """Go on from a tensor that is there already."""
    g.tensor = tensor
    return g


def stream(g: Graph, bits: int = 3, scale: float = 0.5, signed: bool = True) -> str:
    return g.quant(bits, scale, signed=signed).tensor


def vector() -> Graph:
    return Graph((1, 10), 3).bipolar().dense(10, 12).norm(12, 1.5)


def image(side: int = 6) -> Graph:
    return Graph((1, 2, side, side), 3).quant(4, 0.25).conv(2, 4).norm(4, 3.0)


def finish(g: Graph, channels: int = 12) -> Graph:
    return g.norm(channels, 1.0).bipolar().dense(channels, 5)


def finish_image(g: Graph) -> Graph:
    g.norm(4, 1.0).bipolar().node("Flatten")
    return g.dense(g.features(), 5)


def check(g: Graph) -> Lowered:
    model = g.model()
    lowered = lower(model)
    assert_same(lowered, model, samples(g.shape))
    return lowered


def layers(lowered: Lowered) -> dict[str, tuple[str, ...]]:
    return {layer.name: layer.inputs for layer in lowered.network.network.layers}


def test_a_residual() -> None:
    g = vector()
    skip = stream(g)
    g.node("Sin").bipolar().dense(12, 12).norm(12, 2.0)
    stream(g)
    found = layers(check(finish(g.node("Add", skip))))
    assert found["dense1_sign"] == ("dense1_levels",) and found["sum1"] == ("dense2_levels", "dense1_levels")
    assert found["sum1_sign"] == ("sum1",)


def test_two_products_read_the_same_bits() -> None:
    g = vector().bipolar()
    bits = g.tensor
    g.dense(12, 12).norm(12).bipolar()
    other = g.tensor
    at(g, bits).dense(12, 12).norm(12).bipolar().node("Add", other)
    lowered = check(finish(g))
    found = layers(lowered)
    assert found["dense2"] == found["dense3"] == ("dense1_sign",)
    assert found["sum1"] == ("dense3_levels", "dense2_levels")  # sums are of levels, not of bits
    assert lowered.network.network.grids()["sum1"].high == 6


def test_a_sum_of_three() -> None:
    g = vector()
    terms = [stream(g)]
    for _ in range(2):
        at(g, terms[0]).node("Cos").bipolar().dense(12, 12).norm(12, 2.0)
        terms.append(stream(g))
    at(g, terms[0]).node("Sum", *terms[1:])
    found = layers(check(finish(g)))
    assert found["sum1"] == ("dense1_levels", "dense2_levels", "dense3_levels")


def test_a_fan_out_that_joins_again_is_one_activation() -> None:
    g = vector().quant(4, 0.25, signed=True)
    start = g.tensor
    g.node("Sin").node("Mul", start).node("Add", start).bipolar()
    lowered = check(g.dense(12, 5))
    assert list(lowered.network.tables) == ["dense1_sign"]
    assert lowered.activations[0].operations[-4:] == ("Sin", "Mul", "Add", "BipolarQuant")


def test_activations_of_accumulators_without_a_quantizer_in_common() -> None:
    g = vector()
    start = g.tensor
    one = g.bipolar().tensor
    two = at(g, start).node("Sin").quant(2, 0.5, signed=True).tensor
    first = at(g, one).dense(12, 12).norm(12, 2.0).quant(3, 0.5, signed=True).tensor
    at(g, two).dense(12, 12).norm(12, 2.0).quant(3, 0.5, signed=True).node("Add", first)
    found = layers(check(finish(g)))
    assert found["dense1_sign"] == found["dense1_levels"] == ("dense1",)


def test_rescaled_levels_stay_what_they_are() -> None:
    g = vector()
    skip = stream(g, scale=0.25)
    g.node("Mul", g.constant(2.0)).node("Identity").node("Add", g.constant(1.0)).dense(12, 12).norm(12, 3.0)
    stream(g, scale=0.25)
    found = layers(check(finish(g.node("Add", skip))))
    assert found["dense2"] == ("dense1_levels",)


def test_sums_of_other_offsets() -> None:
    g = vector()
    skip = stream(g, 3, 0.5, signed=False)
    g.bipolar().dense(12, 12).norm(12, 2.0)
    stream(g, 4)
    at(g, g.tensor).node("Add", g.constant(0.3))
    lowered = check(finish(g.node("Add", skip)))
    assert lowered.network.network.grids()["sum1"].high == 7 + 15


def test_few_levels_of_a_sum_keep_the_streams_scale() -> None:
    """Of 8 levels, every second one occurs: the sum needs the scale that the quantizer declares."""
    g = vector()
    skip = stream(g, 4, 0.5)
    g.bipolar().dense(12, 12).node("Clip", g.constant(-1.0), g.constant(1.0)).node("Mul", g.constant(2.0))
    stream(g, 4, 0.5)
    check(finish(g.node("Add", skip)))


MEANS: dict[str, Callable[[Graph], Graph]] = {
    "windows": lambda g: g.node("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    "overlapping windows": lambda g: g.node("AveragePool", kernel_shape=[3, 2]),
    "whole images": lambda g: g.node("GlobalAveragePool"),
    "axes": lambda g: g.node("ReduceMean", axes=[2, 3], keepdims=1),
    "axes, flat": lambda g: g.node("ReduceMean", axes=[-1, -2], keepdims=0),
}


@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize("quantizer", ["levels", "bits"])
def test_means(name: str, quantizer: str) -> None:
    g = image().quant(3, 0.5, signed=True) if quantizer == "levels" else image().bipolar(0.7)
    g = MEANS[name](g).norm(4, 0.3).quant(4, 0.125)
    if name != "axes, flat":
        g.node("Flatten")
    lowered = check(g.dense(g.features(), 5))
    assert isinstance(
        {layer.name: layer.operation for layer in lowered.network.network.layers}["mean1"], SumPool
    )
    assert "LpPool" in {node.op_type for node in lowered.model.graph.node}


def test_a_mean_of_the_input() -> None:
    g = Graph((1, 2, 6, 6), 3).quant(4, 0.25).node("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    lowered = check(finish_image(g.conv(2, 4, kernel=2)))
    assert layers(lowered)["mean1"] == ("input",) and layers(lowered)["conv1"] == ("mean1",)


def test_what_stands_ahead_of_the_inputs_quantizer_is_done_on_the_host() -> None:
    g = (
        Graph((1, 2, 6, 6), 3)
        .node("AveragePool", kernel_shape=[2, 2], strides=[1, 1])
        .node("Tanh")
        .quant(4, 0.25)
    )
    lowered = check(finish_image(g.conv(2, 4)))
    assert lowered.network.network.input.shape == (5, 5, 2)


def test_a_product_reads_a_mean() -> None:
    g = image().quant(2, 0.5, signed=False).node("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    g.node("Identity").conv(4, 4, kernel=1)
    lowered = check(finish_image(g))
    assert layers(lowered)["conv2"] == ("mean1",) and lowered.network.network.bits("mean1") == 4


VECTORS: dict[str, Callable[[Graph], Graph]] = {
    "from a product": lambda g: (
        g.node("GlobalAveragePool").quant(4, 0.25, signed=True).node("Flatten").dense(4, 4).norm(4, 2.0)
    ),
    "from a 1x1 convolution": lambda g: (
        g.node("GlobalAveragePool").quant(4, 0.25, signed=True).conv(4, 4, kernel=1).norm(4, 2.0)
    ),
    "from the mean itself": lambda g: g.node("GlobalAveragePool"),
}


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("order", ["image first", "vector first"])
def test_vectors_added_to_images(name: str, order: str) -> None:
    g = image()
    picture = stream(g)
    g = VECTORS[name](g)
    if name == "from a product":
        g.node("Unsqueeze", g.constant([2, 3], np.int64))
    shift = stream(g)
    first, second = (picture, shift) if order == "image first" else (shift, picture)
    lowered = check(finish_image(at(g, first).node("Add", second)))
    network = lowered.network.network
    assert network.shapes()["sum1"] == (4, 4, 4)
    assert sum(network.shapes()[name] == (4,) for name in layers(lowered)["sum1"]) == 1
    assert [type(layer.operation) for layer in network.layers].count(Flatten) == 2


def test_a_vector_reshaped_ahead_of_its_quantizer() -> None:
    g = image()
    picture = stream(g)
    g.node("ReduceMean", axes=[2, 3], keepdims=0).quant(4, 0.25, signed=True).dense(4, 4)
    g.node("Reshape", g.constant([1, 4, 1, 1], np.int64)).node("Tanh")
    stream(g)
    check(finish_image(g.node("Add", picture)))


def test_classes_may_be_the_channels_of_one_pixel() -> None:
    g = image().bipolar().conv(4, 4, kernel=2).norm(4).bipolar().conv(4, 6, kernel=3)
    lowered = check(g)
    network = lowered.network.network
    last = max(place for place, layer in enumerate(network.layers) if isinstance(layer.operation, Conv))
    assert isinstance(network.layers[last + 1].operation, Flatten)
    assert network.layers[last + 1].inputs == (network.layers[last].name,)


def test_a_pool_of_the_stream_is_built_once() -> None:
    g = image()
    stream(g)
    g.node("MaxPool", kernel_shape=[2, 2], strides=[1, 1])
    pooled = g.tensor
    g.node("Sin").bipolar().conv(4, 4, kernel=1).norm(4, 2.0)
    stream(g)
    lowered = check(finish_image(g.node("Add", pooled)))
    assert [name for name in layers(lowered) if name.startswith("pool")] == ["pool1"]


def test_convolutions_of_sums_pad_with_their_lowest_level() -> None:
    g = image()
    skip = stream(g, 2)
    g.bipolar().pad(1, 1, -1.0).conv(4, 4).norm(4, 3.0)
    stream(g, 2)
    g.node("Add", skip).pad(1, 1, -2.0).conv(4, 4)
    lowered = check(finish_image(g))
    layers = {layer.name: layer for layer in lowered.network.network.layers}
    assert layers["conv3"].inputs == ("padding2",)
    assert layers["padding2"].operation == Pad((1, 1, 1, 1), 0)


def weights(g: Graph, shape: tuple[int, ...], bits: int, scale: object) -> str:
    """Constant weights, integers of so many bits times a scale."""
    reach = 2 ** (bits - 1)
    return g.constant(g.rng.integers(-reach, reach + 1, shape) * np.asarray(scale, np.float32))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    st.integers(2, 8),
    st.sampled_from(["bits", "levels"]),
    st.booleans(),
    st.integers(1, 2),
    st.integers(1, 2),
    st.integers(0, 1000),
)
def test_any_convolution(bits: int, reads: str, by_channel: bool, groups: int, apart: int, seed: int) -> None:
    g = Graph((1, 4, 6, 7), seed)
    g = g.quant(4, 0.25) if reads == "levels" else g.bipolar()
    scale = 2.0 ** -g.rng.integers(0, 5, (4, 1, 1, 1) if by_channel else ())
    kernel = weights(g, (4, 4 // groups, 3, 2), bits, scale)
    g.node("Conv", kernel, kernel_shape=[3, 2], group=groups, dilations=[apart, 1])
    g.norm(4, 2.0 ** (bits - 3)).bipolar().node("Flatten")
    lowered = check(g.node("MatMul", weights(g, (g.features(), 5), bits, 0.125)))
    network = lowered.network.network
    operation = network.layers[0].operation
    assert operation == Conv(4, (3, 2), (1, 1), groups, (apart, 1), operation.weight_bits)  # type: ignore[union-attr]
    assert max(network.weight_bits("conv1"), network.weight_bits("classifier")) <= bits
    for name, values in lowered.network.weights.items():
        assert np.abs(values).max() <= 2 ** (network.weight_bits(name) - 1)


def test_three_weights_have_two_bits() -> None:
    g = Graph((1, 10), 3).bipolar()
    g.node("MatMul", g.constant(np.arange(120).reshape(12, 10).T % 3 - 1.0))
    lowered = check(finish(g))
    assert (
        lowered.network.network.weight_bits("dense1") == 2
        and lowered.network.network.weight_bits("classifier") == 1
    )


def test_scales_that_are_no_powers_of_two() -> None:
    g = vector()
    skip = stream(g, 4, 0.3)
    for _ in range(3):
        skip = at(g, skip).node("Sin").bipolar().dense(12, 12).norm(12, 2.0).quant(4, 0.3, signed=True).tensor
        g.node("Add", skip)
    check(finish(g))


def test_absorbing_twice_changes_nothing() -> None:
    g = image()
    skip = stream(g)
    g.node("Sin").bipolar().pad(1, 1, -1.0).conv(4, 4).norm(4, 3.0)
    stream(g)
    g.node("Add", skip).node("GlobalAveragePool").quant(4, 0.25, signed=False).node("Flatten")
    model = g.dense(4, 5).model()
    once = tidy(model).transform(AbsorbActivations())
    text = once.model.SerializeToString()
    assert AbsorbActivations().apply(once)[1] is False and once.model.SerializeToString() == text
    again = lower(once).network
    whole = lower(model).network
    assert set(again.network.layers) == set(whole.network.layers)
    x = samples(g.shape)
    np.testing.assert_array_equal(execute(once, x), execute(tidy(model), x))


def test_the_same_graph_is_the_same_network() -> None:
    def net() -> Lowered:
        g = image()
        skip = stream(g)
        g.bipolar().conv(4, 4, kernel=1).norm(4, 3.0)
        stream(g)
        return lower(finish_image(g.node("Add", skip)).model())

    one, other = net(), net()
    assert one.network.network == other.network.network
    assert [node.name for node in one.model.graph.node] == [node.name for node in other.model.graph.node]


def two_scales() -> Graph:
    g = vector()
    skip = stream(g, scale=0.5)
    g.bipolar().dense(12, 12).norm(12)
    stream(g, scale=0.25)
    return finish(g.node("Add", skip))


def not_quantized() -> Graph:
    g = vector()
    skip = stream(g)
    return finish(g.bipolar().dense(12, 12).norm(12).node("Add", skip))


def multiplied() -> Graph:
    g = vector()
    skip = stream(g)
    g.bipolar().dense(12, 12).norm(12)
    stream(g)
    return finish(g.node("Mul", skip))


def with_a_constant() -> Graph:
    g = vector()
    skip = stream(g)
    g.bipolar().dense(12, 12).norm(12)
    stream(g)
    return finish(g.node("Sum", skip, g.constant(1.0)))


def a_wide_sum() -> Graph:
    g = Graph((1, 1, 20, 20), 3).quant(8, 0.25)
    return finish(g.node("ReduceSum", g.constant([2, 3], np.int64), keepdims=0).dense(1, 12))


def an_activation_of_the_input() -> Graph:
    g = Graph((1, 10), 3).quant(4, 0.25)
    whole = g.tensor
    bits = g.node("Sin").bipolar().tensor
    one = at(g, whole).dense(10, 12).norm(12).quant(3, 0.5, signed=True).tensor
    at(g, bits).dense(10, 12).norm(12).quant(3, 0.5, signed=True)
    return finish(g.node("Add", one))


def two_quantizers() -> Graph:
    g = Graph((1, 10), 3)
    one = g.quant(4, 0.25).dense(10, 12).norm(12).quant(3, 0.5, signed=True).tensor
    at(g, "in").bipolar().dense(10, 12).norm(12).quant(3, 0.5, signed=True)
    return finish(g.node("Add", one))


def an_ending_in_a_sum() -> Graph:
    g = vector()
    skip = stream(g)
    g.bipolar().dense(12, 12).norm(12)
    stream(g)
    return g.node("Add", skip)


def a_row_vector() -> Graph:
    g = image()
    picture = stream(g)
    g.node("ReduceMean", axes=[2, 3], keepdims=0).quant(4, 0.25, signed=True).dense(4, 4).norm(4)
    stream(g)
    return finish_image(g.node("Add", picture))


def an_image_of_features() -> Graph:
    g = image()
    g.quant(3, 0.5).node("ReduceMean", axes=[2, 3], keepdims=0).quant(4, 0.25, signed=True)
    g.dense(4, 4).norm(4).bipolar().node("Unsqueeze", g.constant([2, 3], np.int64)).conv(4, 4, kernel=1)
    return finish_image(g)


def weights_first() -> Graph:
    g = Graph((1, 1), 3)
    node = NodeProto()
    g.quant(4, 0.25).node("MatMul", g.constant(np.ones((4, 1))))
    node.CopyFrom(g.nodes[-1])
    node.input[0], node.input[1] = g.nodes[-1].input[1], g.nodes[-1].input[0]
    g.nodes[-1] = node
    return g


def pool(op_type: str, **attributes: object) -> Callable[[], Graph]:
    return lambda: finish_image(image().quant(3, 0.5).node(op_type, **attributes))


REFUSED: dict[str, tuple[Callable[[], Graph], str]] = {
    "two scales": (
        two_scales,
        r"Add_\d+ \(Add\) adds levels of the scales 0.25 and 0.5: give all quantizers ahead of it, and of",
    ),
    "an operand that is not quantized": (
        not_quantized,
        r"Add_\d+ \(Add\): its operand BatchNormalization_8 \(BatchNormalization\), from MatMul_7, is not quantized to ",
    ),
    "a product of tensors": (
        multiplied,
        r"Mul_\d+ \(Mul\) joins the outputs of MatMul_\d+ \(MatMul\) and MatMul_2 \(MatMul\): only an Add",
    ),
    "a sum with a constant": (
        with_a_constant,
        r"Sum_\d+ \(Sum\) adds the constant const\d+ to several tensors",
    ),
    "a wide sum": (
        a_wide_sum,
        r"MatMul_\d+ \(MatMul\) reads levels 0 to 102000, which have 17 bits: put a Quant of up to 8 bits ahead of it",
    ),
    "an activation of the input": (
        an_activation_of_the_input,
        r"BipolarQuant_2 \(BipolarQuant\): the activation ahead of MatMul_8 \(MatMul\) reads the network's input",
    ),
    "two quantizers of the input": (
        two_quantizers,
        r"the network's input is quantized more than once, for MatMul_2 \(MatMul\) and for MatMul_7 \(MatMul\)",
    ),
    "an ending in a sum": (
        an_ending_in_a_sum,
        r"the network ends with Add_\d+ \(Add\): end it with a product",
    ),
    "a vector along the rows": (
        a_row_vector,
        r"Add_\d+ \(Add\): the output of \w+, of shape \[1, 4\], does not have the layout of that of \w+: add a vector to",
    ),
    "an image of features": (
        an_image_of_features,
        r"Conv_\d+ \(Conv\) reads BipolarQuant_\d+, features reshaped to an image",
    ),
    "a padded mean": (
        pool("AveragePool", kernel_shape=[2, 2], pads=[1] * 4),
        r"AveragePool_\d+ \(AveragePool\) does not count its padding, .*: set count_include_pad to 1",
    ),
    "a mean that rounds up": (
        pool("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        r"AveragePool_\d+ \(AveragePool\) rounds up, so that the windows at the end are smaller",
    ),
    "a mean of channels": (
        lambda: (g := image().quant(3, 0.5).node("ReduceMean", axes=[1], keepdims=1).node("Flatten")).dense(
            g.features(), 5
        ),
        r"ReduceMean_\d+ \(ReduceMean\) reduces other axes than height and width",
    ),
    "a mean of features": (
        lambda: finish(vector().quant(3, 0.5).node("ReduceMean", axes=[1], keepdims=1).dense(1, 12)),
        r"ReduceMean_5 \(ReduceMean\) pools a tensor of shape \[1, 12\]: pool images only",
    ),
    "a norm": (
        pool("LpPool", kernel_shape=[2, 2]),
        r"LpPool_\d+ \(LpPool\) computes a norm, which is not supported: use an AveragePool",
    ),
    "sums of magnitudes": (
        pool("LpPool", kernel_shape=[2, 2], p=1),
        r"LpPool_\d+ \(LpPool\) sums magnitudes",
    ),
    "weights first": (weights_first, r"MatMul_1 \(MatMul\) multiplies a constant by a computed tensor"),
    "weights of nine bits": (
        lambda: (g := vector().bipolar()).node("MatMul", weights(g, (12, 5), 9, 0.5)),
        r"MatMul_\d+ \(MatMul\): its weights are neither bipolar nor integers of up to 8 bits",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    build, message = REFUSED[name]
    with pytest.raises(LoweringError, match=message):
        lower(build().model())


def test_two_outputs() -> None:
    g = vector()
    between = g.bipolar().tensor
    last = g.dense(12, 5).tensor
    with pytest.raises(
        LoweringError,
        match=f"the graph has the outputs {last}, {between}: name the one that holds the logits, --logits NAME",
    ):
        lower(g.model(last, between))


def test_sums_in_the_integer_network() -> None:
    """The operations are those of the contract: nothing but an Add joins."""
    g = vector()
    skip = stream(g)
    g.bipolar().dense(12, 12).norm(12, 2.0)
    stream(g)
    network = check(finish(g.node("Add", skip))).network.network
    assert [layer.operation for layer in network.layers if len(layer.inputs) > 1] == [Add()]
