"""The integer network against loops, and its rewritings against itself."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.finn_flows.finn_networks import (
    biased_images,
    border,
    chain,
    classifier,
    dynamic,
    grouped,
    levels,
    residual,
    signs,
)
from tests.finn_flows.integer_networks import (
    convolution_by_loops,
    counted,
    random_inputs,
    random_network,
    with_table,
)
from zerocross.finn_flows.crossings import from_bits
from zerocross.finn_flows.integer import IntegerNetwork, remove_constants, remove_first_bits, remove_unreached
from zerocross.finn_flows.network import (
    Add,
    Bias,
    Conv,
    Dense,
    Flatten,
    Grid,
    Input,
    LabelSelect,
    Layer,
    MaxPool,
    Network,
    Operation,
    Pad,
    SumPool,
)

SEEDS = st.integers(0, 2**32)


def dense_net(bits: int) -> Network:
    return chain(Input((9,), bits), Dense(7), signs(7), Dense(6), signs(6), Dense(4), LabelSelect())


def conv_net(bits: int, padding: int = 0, groups: int = 1) -> Network:
    return chain(
        Input((8, 7, 2), bits),
        *[border(padding, padding, bits)] * bool(padding),
        Conv(4),
        signs(4),
        *[border(padding, 0, 1)] * bool(padding),
        Conv(6, (3, 2), (2, 1), groups),
        signs(6),
        Flatten(),
        Dense(5),
        signs(5),
        Dense(3),
        LabelSelect(),
    )


def pooled_net(bits: int, before: bool = False) -> Network:
    """A max-pool behind a sign, or between a product and its sign."""
    middle: tuple[Operation, ...] = (MaxPool(), signs(4)) if before else (signs(4), MaxPool())
    return chain(
        Input((8, 8, 2), bits),
        Conv(4),
        *middle,
        Conv(5, (2, 2)),
        signs(5),
        Flatten(),
        Dense(3),
        LabelSelect(),
    )


def padded_pools(bits: int) -> Network:
    """Pools that pad levels, bits and accumulators."""
    pool = MaxPool((3, 3), (1, 1))
    return chain(
        *(Input((6, 5, 2), bits), Conv(4), levels(4, 3), border(1, 1, 3), pool, Conv(5, (2, 2))),
        *(Pad((1, 1, 1, 1), -4 * 4 * 7), pool, signs(5), border(1, 1, 1), pool),
        *(Flatten(), Dense(3), LabelSelect()),
    )


def empty_windows(bits: int) -> Network:
    """A pool with windows that hold nothing but padding, above or beside the image; along the other side they do not."""
    return chain(
        *(Input((8, 8, 2), bits), Conv(4), signs(4), Pad((2, 0, 0, 0), -1), MaxPool((2, 3), (1, 1))),
        *(Conv(4, (2, 2)), signs(4), Pad((0, 2, 0, 0), -1), MaxPool((3, 2), (1, 1))),
        *(Conv(3, (2, 2)), signs(3), Flatten(), Dense(3), LabelSelect()),
    )


NETWORKS = {
    "dense": dense_net,
    "conv": conv_net,
    "padded": lambda bits: conv_net(bits, padding=1),
    "grouped": lambda bits: conv_net(bits, groups=2),
    "in groups": grouped,
    "pooled": pooled_net,
    "pooled before the sign": lambda bits: pooled_net(bits, before=True),
    "padded pools": padded_pools,
    "empty windows": empty_windows,
    "residual": residual,
    "dilated": lambda bits: residual(bits, dilation=2),
    "dynamic": dynamic,
    "biased": lambda bits: classifier(bits, bits, Bias(3, -70, 11)),
    "biased images": biased_images,
}


def by_loops(net: IntegerNetwork, sample: np.ndarray) -> dict[str, np.ndarray]:
    """One sample, layer by layer, from the definitions."""
    values = {"input": sample}
    for layer in net.network.layers:
        x = values[layer.inputs[0]]
        match layer.operation:
            case Dense(channels):
                rows = net.weights[layer.name]
                out = np.array(
                    [sum(int(w) * int(v) for w, v in zip(rows[c], x, strict=True)) for c in range(channels)]
                )
            case Conv() as conv:
                out = convolution_by_loops(x, net.weights[layer.name], conv)
            case Pad((top, left, _, _), value):
                out = np.full(net.network.shapes()[layer.name], value)
                out[top : top + x.shape[0], left : left + x.shape[1]] = x
            case Add():
                out = np.zeros(net.network.shapes()[layer.name], np.int64)
                for place in np.ndindex(out.shape):
                    out[place] = sum(
                        int(values[name][place if values[name].ndim == out.ndim else place[-1:]])
                        for name in layer.inputs
                    )
            case SumPool((kh, kw), (down, right)):
                height, width, channels = net.network.shapes()[layer.name]
                out = np.zeros((height, width, channels), np.int64)
                for row, column in np.ndindex(height, width):
                    window = x[row * down : row * down + kh, column * right : column * right + kw]
                    out[row, column] = window.sum(axis=(0, 1))
            case MaxPool((kh, kw), (down, right)):
                height, width, channels = net.network.shapes()[layer.name]
                out = np.zeros((height, width, channels), np.int64)
                for row, column in np.ndindex(height, width):
                    window = x[row * down : row * down + kh, column * right : column * right + kw]
                    out[row, column] = window.max(axis=(0, 1))
            case Bias(shift):
                biases = net.biases[layer.name]
                out = np.zeros_like(x)
                for place in np.ndindex(x.shape):
                    out[place] = int(x[place]) * 2**shift + int(biases[place[-1]])
            case Flatten():
                out = x.reshape(-1)
            case LabelSelect():
                out = np.array([list(x).index(max(x))])
            case _:
                table, planes = net.tables[layer.name], net.network.bits(layer.name) or 1
                places_ = (x - table.grid.low) // table.grid.step
                out = np.zeros_like(x)
                for number in range(table.channels):
                    channel, plane = divmod(number, planes)
                    bit = table.row(number).astype(int)[places_[..., channel]]
                    out[..., channel] += bit << plane
                if planes == 1:
                    out = 2 * out - 1
        values[layer.name] = out
    return values


def test_a_single_logit_decides_by_its_sign() -> None:
    network = chain(Input((9,), 1), Dense(1), LabelSelect())
    net = random_network(network, 0)
    values = net.run(random_inputs(network, 40, 0))
    logits, labels = (values[layer.name] for layer in network.layers)
    assert np.array_equal(labels, logits > 0) and len(np.unique(labels)) == 2


@pytest.mark.parametrize("bits", [1, 8])
@pytest.mark.parametrize("kind", NETWORKS)
def test_every_layer_by_its_definition(kind: str, bits: int) -> None:
    net = random_network(NETWORKS[kind](bits), seed=bits)
    inputs = random_inputs(net.network, 3, seed=5)
    values = net.run(inputs)
    assert list(values) == ["input", *(layer.name for layer in net.network.layers)]
    for index, sample in enumerate(inputs):
        for name, expected in by_loops(net, sample).items():
            assert np.array_equal(values[name][index], expected), name


def logits(net: IntegerNetwork, inputs: np.ndarray) -> np.ndarray:
    return net.run(inputs)[net.network.layers[-2].name]


def check_consistent(net: IntegerNetwork) -> None:
    """What a network says of itself agrees with its numbers."""
    shapes, grids, producers = net.network.shapes(), net.network.grids(), net.network.producers()
    for layer in net.network.layers:
        if layer.name in net.tables:
            table = net.tables[layer.name]
            assert layer.operation.crossings == tuple(table.counts())  # type: ignore[union-attr]
            assert table.channels == shapes[layer.name][-1] * (net.network.bits(layer.name) or 1)
            if grids[producers[layer.name]].step == 2:
                assert table.grid == grids[producers[layer.name]]
        if layer.name in net.weights:
            assert net.weights[layer.name].size == shapes[layer.name][-1] * net.network.fan_ins()[layer.name]
            if net.network.weight_bits(layer.name) == 1:
                assert net.weights[layer.name].dtype == np.int8
                assert set(np.unique(net.weights[layer.name])) <= {-1, 1}


@pytest.mark.parametrize("bits", [1, 8])
@pytest.mark.parametrize("kind", NETWORKS)
@settings(max_examples=12, deadline=None)
@given(seed=SEEDS, constant=st.sampled_from([0.0, 0.3, 0.8, 1.0]))
@example(seed=0, constant=0.8)
@example(seed=1, constant=0.8)
def test_rewritings_keep_every_logit(kind: str, bits: int, seed: int, constant: float) -> None:
    net = random_network(NETWORKS[kind](bits), seed, constant)
    inputs = random_inputs(net.network, 6, seed)
    expected = logits(net, inputs)
    flipped, left = remove_first_bits(net)
    smaller, removed = remove_constants(net)
    both, _ = remove_first_bits(smaller)
    other, _ = remove_constants(flipped)
    reached = remove_unreached(net)
    for rewritten in (flipped, smaller, both, other, reached, remove_constants(reached)[0]):
        check_consistent(rewritten)
        assert np.array_equal(logits(rewritten, inputs), expected)
    assert left == {name: int(table.first.sum()) for name, table in flipped.tables.items()}
    assert removed == {
        name: table.channels - smaller.tables[name].channels
        for name, table in net.tables.items()
        if smaller.tables[name].channels < table.channels
    }


@pytest.mark.parametrize(("bits", "weight_bits"), [(1, 1), (1, 2), (8, 1), (8, 3)])
def test_only_reached_crossings_stay(bits: int, weight_bits: int) -> None:
    layers = Dense(6, weight_bits), signs(6), Dense(2), LabelSelect()
    net = random_network(chain(Input((3,), bits), *layers), seed=bits, density=0.5)
    product, sign = (layer.name for layer in net.network.layers[:2])
    levels_read = (-1, 1) if bits == 1 else (0, 255)
    corners = np.array(list(itertools.product(levels_read, repeat=3)))
    accumulators = corners @ net.weights[product].T.astype(np.int64)
    reached = remove_unreached(net)
    for channel in range(6):
        before, after = (each.tables[sign].accumulators(channel) for each in (net, reached))
        low, high = accumulators[:, channel].min(), accumulators[:, channel].max()
        assert list(after) == [place for place in before if low < place <= high]
    assert np.array_equal(reached.tables[sign].bits(accumulators), net.tables[sign].bits(accumulators))
    if bits == weight_bits == 1:
        assert np.array_equal(reached.tables[sign].places, net.tables[sign].places)


def test_first_bits_are_gone_where_nothing_stands_between() -> None:
    for kind in ("dense", "conv"):
        net = random_network(NETWORKS[kind](8), seed=1)
        assert any(table.first.any() for table in net.tables.values())
        rewritten, left = remove_first_bits(net)
        assert set(left) == set(net.tables)
        assert set(left.values()) == {0}
        assert not any(table.first.any() for table in rewritten.tables.values())


@pytest.mark.parametrize("kind", ["padded", "grouped", "pooled"])
def test_first_bits_stay_where_they_cannot_reach_through(kind: str) -> None:
    net = random_network(NETWORKS[kind](8), seed=3)
    first = "activation1"
    starts = int(net.tables[first].first.sum())
    assert starts
    rewritten, left = remove_first_bits(net)
    assert left[first] == starts
    assert np.array_equal(rewritten.tables[first].first, net.tables[first].first)


def test_a_second_reader_keeps_first_bits_and_constants() -> None:
    """Two products that read one activation would both have to be told."""
    layers = (
        Layer("a", Dense(4), ("input",)),
        Layer("a_sign", signs(4), ("a",)),
        Layer("b", Dense(3), ("a_sign",)),
        Layer("b_sign", signs(3), ("b",)),
        Layer("c", Dense(3), ("a_sign",)),
    )
    net = random_network(Network(Input((5,), 1), layers), seed=2, constant=1.0)
    rewritten, left = remove_first_bits(net)
    assert left["a_sign"] == int(net.tables["a_sign"].first.sum()) > 0
    assert rewritten.tables["a_sign"] is net.tables["a_sign"]
    same, removed = remove_constants(net)
    assert "a_sign" not in removed
    assert same.tables["a_sign"].channels == 4


def test_removed_constants_are_counted_and_taken_off() -> None:
    net = random_network(dense_net(8), seed=4, constant=0.0, density=0.5)
    rows = np.stack([net.tables["activation1"].row(channel) for channel in range(7)])
    rows[[1, 2, 5]] = [[1], [0], [1]]
    net = with_table(net, "activation1", from_bits(net.tables["activation1"].grid, rows))
    smaller, removed = remove_constants(net)
    assert removed["activation1"] == 3
    assert np.array_equal(smaller.weights["dense0"], net.weights["dense0"][[0, 3, 4, 6]])
    assert np.array_equal(smaller.weights["dense2"], net.weights["dense2"][:, [0, 3, 4, 6]])
    assert smaller.tables["activation3"].grid == Grid(-4, 4, 2)
    inputs = random_inputs(net.network, 40, seed=4)
    assert np.array_equal(logits(smaller, inputs), logits(net, inputs))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_constants_stay_where_a_pool_reads_padding_alone(axis: int, kernel: int) -> None:
    """A constant 1 is -1 in windows of nothing but padding, two rows or columns of it."""
    amounts, size = ((2, 0, 0, 0), (kernel, 1)) if axis == 0 else ((0, 2, 0, 0), (1, kernel))
    net = random_network(
        chain(
            *(Input((6, 6, 2), 8), Conv(4), signs(4), Pad(amounts, -1), MaxPool(size, (1, 1))),
            *(Conv(5, (2, 2)), signs(5), Flatten(), Dense(4), LabelSelect()),
        ),
        seed=3,
        constant=0.0,
        density=0.5,
    )
    name = next(iter(net.tables))
    rows = np.stack([net.tables[name].row(channel) for channel in range(4)])
    rows[[0, 2]] = [[1], [0]]
    net = with_table(net, name, from_bits(net.tables[name].grid, rows))
    smaller, removed = remove_constants(net)
    assert removed.get(name, 0) == (2 if kernel > 2 else 0)
    inputs = random_inputs(net.network, 20, seed=3)
    assert np.array_equal(logits(smaller, inputs), logits(net, inputs))


def test_a_channel_that_falls_still_by_the_removal_goes_too() -> None:
    """With inputs fixed an accumulator reaches less far: the next layer's crossing may lie beyond it."""
    net = chain(
        Input((2,), 1), Dense(3), signs(3), Dense(2), signs(2), Dense(2), signs(2), Dense(2), LabelSelect()
    )
    ones = {
        f"dense{index}": np.ones(size, np.int8)
        for index, size in {0: (3, 2), 2: (2, 3), 4: (2, 2), 6: (2, 2)}.items()
    }
    rising = np.array([0, 0, 1])
    tables = {
        # Channels 0 and 1 are always +1 and -1: the next accumulator is -1 or +1 of -3..3.
        "activation1": from_bits(Grid(-2, 2, 2), np.stack([rising * 0 + 1, rising * 0, rising])),
        # Its first channel flips at 3 only, where it can no longer be.
        "activation3": from_bits(Grid(-3, 3, 2), np.array([[0, 0, 0, 1], [0, 0, 1, 1]])),
        "activation5": from_bits(Grid(-2, 2, 2), np.stack([rising, 1 - rising])),
    }
    full = counted(IntegerNetwork(net, ones, tables))
    smaller, removed = remove_constants(full)
    assert removed == {"activation1": 2, "activation3": 1}
    inputs = np.array([[a, b] for a in (-1, 1) for b in (-1, 1)])
    assert np.array_equal(logits(smaller, inputs), logits(full, inputs))


def test_one_channel_of_a_constant_layer_stays() -> None:
    net = random_network(dense_net(1), seed=6, constant=1.0)
    smaller, removed = remove_constants(net)
    assert removed == {"activation1": 6}
    assert smaller.tables["activation1"].channels == 1
    assert smaller.network.shapes()["dense0"] == (1,)


@pytest.mark.parametrize("kind", ["padded", "grouped"])
def test_constants_stay_where_padding_or_groups_read_them(kind: str) -> None:
    net = random_network(NETWORKS[kind](8), seed=7, constant=0.7)
    assert net.tables["activation1"].constants()
    smaller, removed = remove_constants(net)
    assert "activation1" not in removed
    assert smaller.tables["activation1"].channels == 4


def test_what_the_classifier_reads_is_left_alone() -> None:
    net = random_network(dense_net(8), seed=8, constant=0.7)
    assert net.tables["activation3"].constants()
    smaller, removed = remove_constants(net)
    assert "activation3" not in removed
    assert smaller.tables["activation3"].channels == 6


def test_a_constant_goes_through_a_pool() -> None:
    """The largest of some constants is the constant: a pool behind the sign is no obstacle."""
    net = random_network(pooled_net(8), seed=9, constant=0.0, density=0.5)
    rows = np.stack([net.tables["activation1"].row(channel) for channel in range(4)])
    rows[2] = 1
    net = with_table(net, "activation1", from_bits(net.tables["activation1"].grid, rows))
    smaller, removed = remove_constants(net)
    assert removed == {"activation1": 1}
    assert smaller.network.shapes()["maxpool2"][-1] == 3
    inputs = random_inputs(net.network, 20, seed=1)
    assert np.array_equal(logits(smaller, inputs), logits(net, inputs))


def test_a_bias_finer_than_a_step_decides_between_equal_sums() -> None:
    """Sums of bits are 2 apart: shifted by one, a bias of 1 is a quarter of a step."""
    net = chain(Input((2,), 1), Dense(3), Bias(1, 0, 1), LabelSelect())
    weights, biases = (
        {"dense0": np.array([[1, -1], [1, 1], [-1, 1]], np.int8)},
        {"bias1": np.array([0, 0, 1])},
    )
    run = replace(random_network(net, 0), weights=weights, biases=biases).run(
        np.array([[1, 1], [1, -1], [-1, -1]])
    )
    assert run["bias1"].tolist() == [[0, 4, 1], [4, 0, -3], [0, -4, 1]]
    assert run["labelselect2"].tolist() == [[1], [0], [2]]


def test_a_tie_goes_to_the_lowest_class() -> None:
    net = chain(Input((2,), 1), Dense(3), LabelSelect())
    weights = {"dense0": np.array([[-1, -1], [1, 1], [1, 1]], np.int8)}
    run = replace(random_network(net, 0), weights=weights).run(np.array([[1, 1], [1, -1]]))
    assert run["labelselect1"].tolist() == [[1], [0]]
