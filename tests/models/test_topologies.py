"""Topologies: their networks, and the errors for networks that cannot be built."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from zerocross.models.errors import ModelError
from zerocross.models.layers import ActivationSlot, BinaryConv2d, BinaryLinear, InputQuant, LogitScale, slots
from zerocross.models.topologies import TOPOLOGIES, build, check_parameters, get_topology, register_topology


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """Remove a test's own topologies."""
    before = dict(TOPOLOGIES)
    yield
    TOPOLOGIES.clear()
    TOPOLOGIES.update(before)


def dense_widths(model: nn.Module) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in model.modules() if isinstance(m, BinaryLinear)]


def convolutions(model: nn.Module) -> list[tuple[int, int]]:
    return [(m.in_channels, m.out_channels) for m in model.modules() if isinstance(m, BinaryConv2d)]


@pytest.mark.parametrize("shape", [(12,), (3, 2, 2), (1, 3, 4)])
@pytest.mark.parametrize("bits", [1, 8])
def test_an_mlp(shape: tuple[int, ...], bits: int) -> None:
    model = build("mlp", shape, 7, {"hidden": [5, 6], "input_bits": bits}).eval()
    assert dense_widths(model) == [(12, 5), (5, 6), (6, 7)]
    assert [slot.channels for slot in slots(model).values()] == [5, 6]
    assert model(torch.zeros(3, *shape)).shape == (3, 7)
    assert next(m for m in model.modules() if isinstance(m, InputQuant)).bits == bits


@pytest.mark.parametrize(("name", "width"), [("tfc", 64), ("sfc", 256), ("lfc", 1024)])
def test_finns_fully_connected_networks(name: str, width: int) -> None:
    model = build(name, (1, 28, 28), 10, {})
    assert dense_widths(model) == [(784, width), (width, width), (width, width), (width, 10)]
    assert next(m for m in model.modules() if isinstance(m, InputQuant)).bits == 1


def test_cnv_is_cnv_by_default() -> None:
    model = build("cnv", (3, 32, 32), 10, {}).eval()
    assert convolutions(model) == [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
    assert dense_widths(model) == [(256, 512), (512, 512), (512, 10)]
    assert sum(isinstance(module, nn.MaxPool2d) for module in model.modules()) == 2
    assert len(slots(model)) == 8
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("parameters", "features"),
    [
        ({"blocks": [[4]], "dense": []}, 4 * 10 * 8),
        ({"blocks": [[4]], "dense": [], "pool": [True]}, 4 * 5 * 4),
        ({"blocks": [[4], [6]], "dense": [], "padding": 1}, 6 * 6 * 5),
        ({"blocks": [[4], [6]], "dense": [], "kernel": 1, "pool": [False, False]}, 6 * 12 * 10),
        ({"blocks": [], "dense": []}, 2 * 12 * 10),
    ],
)
def test_sizes_of_a_cnv(parameters: dict, features: int) -> None:
    model = build("cnv", (2, 12, 10), 3, parameters).eval()
    assert dense_widths(model) == [(features, 3)]
    assert model(torch.zeros(1, 2, 12, 10)).shape == (1, 3)


@pytest.mark.parametrize(("bits", "values"), [(8, [0.0, -1.0, -1.0]), (1, [-1.0] * 3)])
def test_bits_are_padded_with_bits(bits: int, values: list[float]) -> None:
    parameters = {"blocks": [[4, 4], [4]], "padding": 1, "input_bits": bits}
    model = build("cnv", (1, 8, 8), 2, parameters)
    assert [m.pad_value for m in model.modules() if isinstance(m, BinaryConv2d)] == values


def test_dropout_is_for_training_only() -> None:
    model = build("mlp", (50,), 2, {"hidden": [8], "dropout": 0.5})
    x = torch.full((4, 50), 200.0)
    assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("mpl", {}, "unknown topology 'mpl': did you mean mlp"),
        ("zzzz", {}, "unknown topology 'zzzz': known: mlp, tfc, sfc, lfc, hardwired, cnv"),
        ("mlp", {}, "needs the parameter 'hidden'"),
        ("mlp", {"hiden": [3]}, "no parameter 'hiden': did you mean hidden"),
        ("mlp", {"hidden": [3], "qqq": 1}, "no parameter 'qqq': known: hidden, input_bits, dropout"),
        ("mlp", {"hidden": [3], "classes": 1}, "no parameter 'classes'"),
        ("mlp", {"hidden": "wide"}, "hidden: .*found 'wide'"),
        ("mlp", {"hidden": [3, "wide"]}, r"hidden\[1\]: .*found 'wide'"),
        ("mlp", {"hidden": [3.5]}, r"hidden\[0\]: .*found 3.5"),
        ("mlp", {"hidden": [3, 0]}, r"hidden\[1\] must be at least 1, not 0"),
        ("mlp", {"hidden": [3], "input_bits": 4}, "input_bits: give 8, 1, .*, found 4"),
        ("mlp", {"hidden": [3], "weight_bits": 9}, "weight_bits: .* less than or equal to 8, found 9"),
        ("cnv", {"blocks": [[4], [0]]}, r"blocks\[1\]\[0\] must be at least 1, not 0"),
        ("cnv", {"dense": [-1], "blocks": [[2]]}, r"dense\[0\] must be at least 1, not -1"),
        ("cnv", {"blocks": [[4]], "pool": [True, False]}, "1 blocks and 2 entries in pool"),
        ("cnv", {"blocks": [[4] * 9]}, r"blocks\[0\]: the image is smaller than"),
        ("cnv", {"blocks": [[4]], "kernel": 8, "pool": [True]}, r"pool\[0\]: a 1x1 image"),
    ],
)
def test_what_cannot_be_built_is_named(name: str, parameters: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build(name, (1, 8, 8), 2, parameters)


@pytest.mark.parametrize(
    ("name", "parameters", "field"),
    [
        ("cnv", {"blocks": [[4]], "kernel": 0}, "kernel"),
        ("cnv", {"blocks": [[4]], "kernel": -1}, "kernel"),
        ("cnv", {"blocks": [[4]], "padding": -1}, "padding"),
        ("mlp", {"hidden": [4], "dropout": 1.5}, "dropout"),
        ("mlp", {"hidden": [4], "dropout": -0.5}, "dropout"),
    ],
)
def test_sizes_out_of_range_are_named(name: str, parameters: dict, field: str) -> None:
    with pytest.raises(ModelError, match=field):
        build(name, (1, 8, 8), 2, parameters)


def test_cnv_needs_images() -> None:
    with pytest.raises(ModelError, match="cnv needs images.*use mlp"):
        build("cnv", (64,), 10, {})


def test_parameters_are_filled_in_and_converted() -> None:
    assert check_parameters("mlp", {"hidden": ["8", 4.0]}) == {
        "hidden": [8, 4],
        "input_bits": 8,
        "dropout": 0.0,
        "weight_bits": 1,
    }
    assert check_parameters("tfc", {}) == {"input_bits": 1, "dropout": 0.0, "weight_bits": 1}


def test_a_users_topology() -> None:
    @register_topology("tiny")
    def tiny(
        input_shape: tuple[int, ...], classes: int, width: int, deep: bool = False, other=3
    ) -> nn.Module:
        net = nn.Sequential(
            InputQuant(1), nn.Flatten(), BinaryLinear(input_shape[0], width), ActivationSlot(width)
        )
        if deep:
            net.extend([BinaryLinear(width, width), ActivationSlot(width)])
        return net.extend([BinaryLinear(width, classes), LogitScale(width)])

    assert get_topology("tiny") is tiny
    model = build("tiny", (6,), 3, {"width": "9", "deep": True}).eval()
    assert dense_widths(model) == [(6, 9), (9, 9), (9, 3)]
    assert model(torch.zeros(2, 6)).shape == (2, 3)
    with pytest.raises(ModelError, match="needs the parameter 'width'"):
        build("tiny", (6,), 3, {})
    with pytest.raises(ModelError, match="'tiny', deep: .*found 'perhaps'"):
        build("tiny", (6,), 3, {"width": 4, "deep": "perhaps"})


def test_a_later_topology_replaces_one_of_the_same_name() -> None:
    register_topology("mlp")(lambda input_shape, classes: nn.Identity())
    assert isinstance(build("mlp", (1,), 1, {}), nn.Identity)
