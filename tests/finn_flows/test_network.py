"""Networks as records: shapes, fan-ins, grids, and what does not fit together."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.finn_flows.finn_networks import border, chain, dynamic, residual, signs
from zerocross.finn_flows.network import (
    Activation,
    Add,
    Bias,
    Concat,
    Conv,
    Dense,
    Flatten,
    Grid,
    Input,
    LabelSelect,
    Layer,
    MaxPool,
    Network,
    NetworkError,
    Operation,
    Select,
    SumPool,
    Thermometer,
)


def image_net(bits: int = 8) -> Network:
    return chain(
        Input((9, 8, 4), bits),
        border(1, 0, bits),
        Conv(6, (3, 2), (2, 1)),
        signs(6),
        MaxPool(),
        Conv(8, (1, 1), groups=2),
        signs(8),
        Flatten(),
        Dense(5),
        LabelSelect(),
    )


@given(st.integers(-99, 99), st.integers(0, 50), st.integers(1, 9))
def test_a_grid_is_as_long_as_its_points(low: int, steps: int, step: int) -> None:
    grid = Grid(low, low + steps * step, step)
    assert len(grid) == len(range(grid.low, grid.high + 1, grid.step)) == steps + 1


def test_shapes_of_every_layer() -> None:
    assert image_net().shapes() == {
        "input": (9, 8, 4),
        "conv0_padding": (11, 8, 4),
        "conv0": (5, 7, 6),
        "activation1": (5, 7, 6),
        "maxpool2": (2, 3, 6),
        "conv3": (2, 3, 8),
        "activation4": (2, 3, 8),
        "flatten5": (48,),
        "dense6": (5,),
        "labelselect7": (1,),
    }


def test_fan_ins_are_the_weights_of_one_output() -> None:
    assert image_net().fan_ins() == {"conv0": 24, "conv3": 3, "dense6": 48}


def test_grids_of_bytes_and_of_bits() -> None:
    grids = image_net(8).grids()
    assert grids["input"] == Grid(0, 255)
    assert grids["conv0"] == Grid(-24 * 255, 24 * 255, 1)
    assert grids["conv3"] == Grid(-3, 3, 2)
    assert grids["dense6"] == Grid(-48, 48, 2)


def test_grids_of_levels_and_their_sums() -> None:
    net = residual(channels=4, stream=3)
    grids = net.grids()
    assert grids["stem"] == Grid(-18 * 255 * 128, 18 * 255 * 128)
    assert grids["stream"] == Grid(0, 7)
    assert grids["sum1"] == Grid(0, 14)
    assert grids["halved"] == Grid(0, 56)
    assert grids["wider"] == Grid(-28, 28)
    assert (net.bits("sum1"), net.bits("halved"), net.bits("stem")) == (4, 6, None)
    assert net.producers()["sign1"] == "stream"
    assert dynamic().shapes()["shifted"] == (4, 4, 4)


def test_joined_and_chosen_channels() -> None:
    net = residual(channels=4, stream=3)
    layers = Layer("both", Concat(), ("stream", "sum1")), Layer("some", Select((5, 0, 1)), ("both",))
    net = Network(net.input, (*net.layers, *layers))
    assert net.shapes()["both"] == (8, 8, 8) and net.shapes()["some"] == (8, 8, 3)
    assert net.grids()["both"] == net.grids()["some"] == Grid(0, 14)
    assert net.bits("both") == net.bits("some") == 4


@pytest.mark.parametrize(
    "layer, message",
    [
        (Layer("sum", Add(), ("stem", "stream")), "reads accumulators"),
        (Layer("sum", Add(), ("sign1", "stream")), "it reads bits"),
        (Layer("sum", Add(), ("stream",)), "two tensors"),
        (Layer("sum", Add(), ("stream", "classifier")), "cannot be added"),
        (Layer("pool", SumPool((2, 2), (2, 2)), ("sign1",)), "it reads bits"),
        (Layer("concat", Concat(), ("stem", "stream")), "reads accumulators"),
        (Layer("concat", Concat(), ("sign1", "stream")), "joins bits with levels"),
        (Layer("concat", Concat(), ("stream",)), "two tensors"),
        (Layer("concat", Concat(), ("stream", "mean")), "cannot be joined"),
        (Layer("select", Select((0, 4)), ("stream",)), "selects channels"),
        (Layer("select", Select((0, 1)), ("stem",)), "reads accumulators"),
        (Layer("pool", MaxPool(), ("stream", "stream")), "only a sum or a concat reads more than one"),
    ],
)
def test_sums_that_are_none(layer: Layer, message: str) -> None:
    net = residual()
    bad = Network(net.input, (*net.layers, layer))
    with pytest.raises(NetworkError, match=message):
        bad.shapes()
        bad.grids()
    assert image_net(1).grids()["conv0"] == Grid(-24, 24, 2)


def test_a_bias_keeps_the_shape_and_moves_the_grid() -> None:
    for bias, expected in (
        (Bias(0, -5, 3), Grid(-48 - 5, 48 + 3)),
        (Bias(2, -5, 3), Grid(-4 * 48 - 5, 4 * 48 + 3)),
        (Bias(1, 7, 7), Grid(-2 * 48 + 7, 2 * 48 + 7, 4)),  # the same for all channels
    ):
        net = image_net()
        net = Network(net.input, (*net.layers[:-1], Layer("bias", bias, ("dense6",))))
        assert net.shapes()["bias"] == (5,)
        assert net.grids()["bias"] == expected
        assert net.bits("bias") is None and not net.is_binary("bias")
        assert net.producers() == image_net().producers()


@given(st.integers(1, 9), st.integers(0, 3), st.integers(-9, 9), st.integers(0, 9))
def test_a_grid_holds_every_biased_sum(fan_in: int, shift: int, low: int, more: int) -> None:
    net = chain(Input((fan_in,), 1), Dense(1), Bias(shift, low, low + more), LabelSelect())
    grid = net.grids()["bias1"]
    found = {
        (total << shift) + bias
        for total in range(-fan_in, fan_in + 1, 2)
        for bias in range(low, low + more + 1)
    }
    assert found <= set(range(grid.low, grid.high + 1, grid.step))
    assert {grid.low, grid.high} <= found


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ((Bias(0, 0, 1), LabelSelect()), "bias0: a bias must read accumulators, but it reads input"),
        ((Dense(4), signs(4), Bias(0, 0, 1)), "bias2: a bias must read accumulators, but it reads activation1"),
        ((Dense(4), Bias(0, 0, 1), Bias(0, 0, 1)), "bias2: reads bias1, a bias, which only a label select can read"),
        ((Dense(4), Bias(0, 0, 1), signs(4)), "activation2: reads bias1, a bias"),
        ((Dense(4), Bias(0, 0, 1), Dense(4)), "dense2: reads bias1, a bias"),
        ((Conv(4), Bias(0, 0, 1), MaxPool()), "maxpool2: reads bias1, a bias"),
        ((Conv(4), Bias(0, 0, 1), Flatten(), signs(64)), "activation3: reads flatten2, a bias"),
    ],
)  # fmt: skip
def test_biases_stand_between_a_product_and_the_label_select(
    operations: tuple[Operation, ...], message: str
) -> None:
    shape = (6, 6, 1) if isinstance(operations[0], Conv) else (4,)
    with pytest.raises(NetworkError, match=message):
        chain(Input(shape), *operations).grids()


@given(st.integers(1, 200), st.integers(1, 8))
def test_a_byte_grid_reaches_the_extremes_of_its_product(fan_in: int, bits: int) -> None:
    grid = chain(Input((fan_in,), bits), Dense(1), LabelSelect()).grids()["dense0"]
    top = fan_in * (2**bits - 1) if bits > 1 else fan_in
    assert (grid.low, grid.high) == (-top, top)


def test_what_is_binary() -> None:
    net = image_net()
    binary = [name for name in net.inputs() if net.is_binary(name)]
    assert binary == ["activation1", "maxpool2", "activation4", "flatten5"]
    assert image_net(1).is_binary("input")


def test_producers_through_a_pool() -> None:
    net = chain(Input((6, 6, 2)), Conv(3), MaxPool(), Flatten(), signs(12), Dense(2), LabelSelect())
    assert net.producers() == {"activation3": "conv0"}
    assert image_net().producers() == {"activation1": "conv0", "activation4": "conv3"}


@pytest.mark.parametrize("operations", [(signs(4),), (Dense(4), signs(4), signs(4))])
def test_an_activation_of_bits(operations: tuple[Operation, ...]) -> None:
    with pytest.raises(NetworkError, match=f"activation{len(operations) - 1}: .*must follow"):
        chain(Input((4,), 1), *operations).producers()


def test_an_activation_of_the_inputs_levels() -> None:
    assert chain(Input((4,)), signs(4)).producers() == {"activation0": "input"}


def test_a_thermometer_makes_bits_of_levels() -> None:
    network = chain(Input((2, 2, 3)), Thermometer((1, 2, 3, 4, 5, 6), 2), Conv(4, (1, 1)))
    assert network.shapes()["thermometer0"] == (2, 2, 6)
    assert network.is_binary("thermometer0")
    assert network.grids()["conv1"] == Grid(-6, 6, 2)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ((Input((3,)), Thermometer((1, 2, 3, 4), 2)), "4 thresholds do not fit 3 channels of 2 bits"),
        ((Input((3,), 1), Thermometer((1, 2, 3), 1)), "must read levels, but it reads bits"),
        ((Input((3,)), Dense(3), Thermometer((1, 2, 3), 1)), "reads accumulators of dense0"),
    ],
)
def test_a_thermometer_that_does_not_fit(network: tuple[Any, ...], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        chain(*network).grids()


def test_crossing_counts_are_replaced_by_name() -> None:
    net = image_net().with_crossings({"activation4": tuple(range(8))})
    assert net.layers[5].operation == Activation(tuple(range(8)))
    assert [layer for layer in net.layers if layer.name != "activation4"] == [
        layer for layer in image_net().layers if layer.name != "activation4"
    ]
    assert net.shapes() == image_net().shapes()


@pytest.mark.parametrize(
    ("shape", "operation", "message"),
    [
        ((4, 4, 2), Dense(3), "dense0: .*flatten first"),
        ((4,), Conv(3), "conv0: .*groups"),
        ((4, 4, 3), Conv(4, groups=2), "conv0: a convolution of 2 groups"),
        ((4, 4, 4), Conv(3, groups=2), "conv0: a convolution of 2 groups"),
        ((2, 9, 1), Conv(3), r"conv0: kernel \(3, 3\) is larger"),
        ((9,), MaxPool(), "maxpool0: .*an image"),
        ((1, 4, 2), MaxPool(), "maxpool0: kernel"),
        ((5,), signs(4), "activation0: 4 numbers of crossings do not fit 5 channels"),
    ],
)
def test_layers_that_do_not_fit(shape: tuple[int, ...], operation: Operation, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        chain(Input(shape), operation).shapes()


def test_a_convolution_by_its_own_definition() -> None:
    """Sizes are the number of places a window can stand at."""
    for side in range(1, 9):
        for kernel in range(1, 4):
            for stride in range(1, 4):
                for padding in range(3):
                    places = len(range(0, side + 2 * padding - kernel + 1, stride))
                    conv = Conv(1, (kernel,) * 2, (stride,) * 2)
                    net = chain(Input((side, side, 1)), border(padding, padding, 8), conv)
                    if places:
                        assert net.shapes()["conv0"] == (places, places, 1)
                        assert math.prod(net.fan_ins().values()) == kernel**2
                    else:
                        with pytest.raises(NetworkError):
                            net.shapes()
