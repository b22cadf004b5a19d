"""More shapes of networks: qonnx's executor on the author's own nodes against the integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from qonnx.core.modelwrapper import ModelWrapper

from tests.finn_flows.lowering.foreign import execute, samples
from tests.finn_flows.lowering.shapes import SHAPES, Shaped, image, signal
from zerocross.finn_flows.lowering.canonical.tidying import tidied
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.lower import Lowered, lower
from zerocross.finn_flows.lowering.storage import load, save
from zerocross.finn_flows.network import Concat, MaxPool, Select, SumPool


def check(model: ModelWrapper, shape: tuple[int, ...], count: int = 100) -> Lowered:
    """Hold the integers against the file before it is rewritten."""
    x, lowered = samples(shape, count), lower(model)
    expected = execute(tidied(model), x)
    np.testing.assert_allclose(execute(lowered.model, x), expected, rtol=1e-4, atol=1e-4)
    scores = expected.reshape(len(x), -1)
    found = lowered.network.run(lowered.quantize(x))["label"][:, 0]
    best = np.isclose(scores, scores.max(axis=1, keepdims=True), rtol=1e-5, atol=1e-6)
    assert best[np.arange(len(x)), found].all()
    return lowered


def kinds(lowered: Lowered) -> list[type]:
    return [type(layer.operation) for layer in lowered.network.network.layers]


@pytest.mark.parametrize("name", SHAPES)
def test_integers_are_the_files(name: str) -> None:
    g = SHAPES[name]()
    lowered = check(g.model(), g.shape)
    scores = execute(lowered.model, samples(g.shape, 100)).reshape(100, -1)
    assert len(np.unique(scores, axis=0)) > 2, "the test says nothing"


@pytest.mark.parametrize("seed", range(12))
def test_random_branches(seed: int) -> None:
    """Blocks of a random network of joined, split, shuffled and pooled channels; of images or of signals."""
    rng = np.random.default_rng(seed)
    is_signal = bool(seed % 2)
    shape = (1, 2, 12) if is_signal else (1, 2, 7, 6)
    g = Shaped(shape, seed).levels(4, 0.25)
    channels, sides = 2, list(shape[2:])

    def conv(outs: int, group: int = 1) -> str:
        ins = channels if group == 1 else outs
        weights = g.weights((outs, ins // group, *[1] * len(sides)))
        g.node("Conv", weights, kernel_shape=[1] * len(sides), group=group).norm(outs, 2.0)
        return g.levels(2).tensor

    conv(4)
    channels = 4
    for _ in range(int(rng.integers(2, 5))):
        start = g.tensor
        match rng.choice(["concat", "dense", "split", "shuffle", "slice", "pool", "skip"]):
            case "concat":
                one, other = (g.at(start) and conv(int(rng.integers(1, 5))) for _ in range(2))
                g.concat(start, one, other)
            case "dense":
                g.concat(conv(int(rng.integers(1, 5))), start)
            case "split":
                cut = int(rng.integers(1, channels)) if channels > 1 else 1
                if channels > cut:
                    one, other = g.split(cut, channels - cut)
                    before, channels = channels, cut
                    g.at(one)
                    g.concat(other, conv(int(rng.integers(1, 4))))
                    channels = before
            case "shuffle":
                groups = int(rng.choice([d for d in range(1, channels + 1) if channels % d == 0]))
                g.shuffle(groups, (1, channels, *sides))
                if rng.random() < 0.5:
                    conv(channels, channels)
            case "slice":
                g.sliced((1, int(rng.integers(0, channels)), channels, int(rng.integers(1, 3))))
            case "pool":
                kernel = [2 if side > 3 else 1 for side in sides]
                g.node("MaxPool", kernel_shape=kernel, strides=[1] * len(kernel))
            case "skip":
                g.sliced(*((axis + 2, 0, 2**62, 2) for axis in range(len(sides))))
        _, channels, *sides = shape_of(g)
    g.node(str(rng.choice(["GlobalMaxPool", "GlobalAveragePool"])))
    g.end()
    check(g.model(), g.shape, 60)


def shape_of(g: Shaped) -> tuple[int, ...]:
    return tuple(execute(tidied(g.model()), samples(g.shape, 1)).shape)


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(0, 2),
    st.booleans(),
    st.integers(0, 99),
)
@settings(max_examples=15, deadline=None)
def test_convolutions_of_signals(
    kernel: int, dilation: int, stride: int, padding: int, is_depthwise: bool, seed: int
) -> None:
    g = Shaped((1, 2, 16), seed).levels(4, 0.25)
    group = 2 if is_depthwise else 1
    attributes = {"dilations": [dilation], "strides": [stride], "pads": [padding] * 2, "group": group}
    g.conv1d(2, 4, kernel, **attributes).norm(4, 2.0).quant(2, 0.5)
    g.end()
    check(g.model(), g.shape, 40)


def test_signals_keep_their_shape_for_the_user() -> None:
    g = SHAPES["vgg_of_signals"]()
    lowered = lower(g.model())
    source = lowered.original.graph.input[0].name
    assert lowered.original.get_tensor_shape(source) == [1, 2, 24]
    assert lowered.network.network.input.shape == (1, 24, 2)
    assert lowered.quantize(samples(g.shape, 7)).shape == (7, 1, 24, 2)


def test_signals_of_integers() -> None:
    g = Shaped((1, 2, 12), 3, TensorProto.UINT8)
    g.node("Cast", to=TensorProto.FLOAT)
    g.conv1d(2, 4, 3).norm(4, 300.0).quant(2, 0.5)
    g.end()
    lowered = lower(g.model())
    assert lowered.network.network.input.bits == 8
    x = np.random.default_rng(0).integers(0, 256, (40, 2, 12)).astype(np.uint8)
    expected = execute(tidied(g.model()), x.astype(np.float32)).argmax(axis=1)
    assert np.array_equal(lowered.network.run(lowered.quantize(x))["label"][:, 0], expected)


def test_bits_stay_bits() -> None:
    lowered = lower(SHAPES["concats_of_bits"]().model())
    network = lowered.network.network
    assert [network.bits(layer.name) for layer in network.layers if isinstance(layer.operation, Concat)] == [
        1,
        1,
    ]


def test_what_products_can_do_needs_no_layer() -> None:
    """Chosen outputs of a product, a shuffle ahead of a product, a maximum over an image, a mean of a classifier."""
    assert Select not in kinds(lower(SHAPES["split_accumulators"]().model()))
    assert (
        kinds(lower(SHAPES["grouped_shuffle"]().model())).count(Select) == 1
    )  # ahead of a grouped convolution
    assert MaxPool in kinds(lower(SHAPES["maximum"]().model()))
    found = kinds(lower(SHAPES["classifier"]().model()))
    assert found.count(SumPool) == 1 and found[-1] is not SumPool


def test_layers_are_stored(tmp_path) -> None:
    net = lower(SHAPES["shuffle_net"]().model()).network
    save(net, tmp_path / "network.npz")
    assert load(tmp_path / "network.npz").network == net.network


def different_scales() -> Shaped:
    g = image().levels(2)
    first = g.tensor
    g.conv(4, 3, 1).norm(3)
    return g.concat(first, g.levels(2, 0.3).tensor).end()


def different_lows() -> Shaped:
    g = image().levels(2)
    first = g.tensor
    g.conv(4, 3, 1).norm(3)
    g.concat(first, g.levels(2, signed=True).tensor).conv(7, 3, 3, pads=[1, 1, 1, 1]).norm(3).quant(2, 0.5)
    return g.end()


def joined_rows() -> Shaped:
    g = image().levels(2)
    return g.concat(g.tensor, g.tensor, axis=2).end()


def chosen_of_groups() -> Shaped:
    g = image().levels(2)
    g.conv(4, 8, 1, group=2).norm(8)
    g.sliced((1, 2, 6, 1)).quant(2, 0.5)
    return g.end()


def wide_sums_of_weights() -> Shaped:
    g = image().levels(2)
    weights = g.weights((5, 4, 3, 3), 1 / 64, "Quant", 8)
    g.node("Conv", weights, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    return g.ended("GlobalAveragePool")


REFUSED = {
    "scales": (
        different_scales,
        r"MatMul_\d+ \(MatMul\) reads channels of different scales, which Concat_\d+",
    ),
    "lowest levels": (
        different_lows,
        r"Conv_\d+ \(Conv\) pads channels of different lowest levels, which Concat_",
    ),
    "rows": (joined_rows, r"Concat_\d+ \(Concat\) joins its inputs along axis 2, .*: join channels"),
    "flipped rows": (
        lambda: image().levels(2).sliced((2, -1, -9, -1)).end(),
        r"Slice_\d+ \(Slice\) takes some elements of .* along axis 2: take whole channels, neighbouring rows",
    ),
    "grouped": (
        chosen_of_groups,
        r"Slice_\d+ \(Slice\) takes some channels of a product's outputs: put the quantizer",
    ),
    "sums of weights of more than 8 bits": (
        wide_sums_of_weights,
        r"ends with GlobalAveragePool_\d+ \(GlobalAveragePool\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    build, message = REFUSED[name]
    with pytest.raises(LoweringError, match=message):
        lower(build().model())


def test_a_graph_without_such_nodes_stays(tmp_path) -> None:
    from zerocross.finn_flows.lowering.canonical.rewriting import rewritten

    g = signal(1)
    g.end()
    before = tidied(g.model())
    assert rewritten(before).model.SerializeToString() == before.model.SerializeToString()
