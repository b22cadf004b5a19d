"""Binary layers against numpy, and against their forward in Brevitas."""

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.models.strategies import expressions
from zerocross.models.activation import ActivationFunction
from zerocross.models.errors import ModelError
from zerocross.models.expressions import Expression, X, parse
from zerocross.models.layers import (
    ActivationSlot,
    BinaryConv2d,
    BinaryLinear,
    InputQuant,
    IntegerConv2d,
    IntegerLinear,
    LogitScale,
    PaddedConv2d,
    StreamSlot,
    conv2d,
    install,
    linear,
    slots,
    stream_slots,
)
from zerocross.models.topologies import build


def signs(values: Tensor) -> np.ndarray:
    return np.where(values.detach().numpy() >= 0, 1, -1)


def bits(shape: tuple[int, ...]) -> Tensor:
    return torch.randint(0, 2, shape).float() * 2 - 1


@pytest.mark.parametrize("byte", [True, False])
@settings(max_examples=25, deadline=None)
@given(fan_in=st.integers(1, 900), channels=st.integers(1, 9), seed=st.integers(0, 2**32))
def test_a_dense_layer_is_exact(byte: bool, fan_in: int, channels: int, seed: int) -> None:
    torch.manual_seed(seed)
    layer = BinaryLinear(fan_in, channels).eval()
    x = torch.randint(0, 256, (4, fan_in)).float() if byte else bits((4, fan_in))
    expected = x.numpy().astype(np.int64) @ signs(layer.weight).T
    assert np.array_equal(layer(x).detach().numpy(), expected)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 0), (3, 2, 1), (2, 1, 1), (1, 1, 0), (5, 3, 2)]
)
@pytest.mark.parametrize("pad_value", [-1.0, 0.0])
def test_a_convolution_is_exact(kernel: int, stride: int, padding: int, pad_value: float) -> None:
    torch.manual_seed(kernel)
    layer = BinaryConv2d(3, 4, kernel, stride, padding, pad_value).eval()
    x = bits((2, 3, 7, 6)) if pad_value else torch.randint(0, 256, (2, 3, 7, 6)).float()
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2), constant_values=pad_value)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    expected = np.einsum("nchwij,ocij->nohw", windows, signs(layer.weight))
    value = layer(x).detach().numpy()
    assert np.array_equal(value, expected)
    if pad_value:
        fan_in = 3 * kernel * kernel
        assert set(np.unique((value + fan_in) % 2)) == {0.0}


def through_brevitas(layer: nn.Module, x: Tensor) -> Tensor:
    """Return the same product from Brevitas' own forward and weights."""
    if isinstance(layer, PaddedConv2d):
        if layer.border:
            x = nn.functional.pad(x, [layer.border] * 4, value=layer.pad_value)
        return qnn.QuantConv2d.forward(layer, x)
    return qnn.QuantLinear.forward(layer, x)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(BinaryLinear(20, 6), (5, 20)), (BinaryConv2d(3, 5, 3, 2, 1), (2, 3, 7, 7))],
    ids=["dense", "convolution"],
)
@pytest.mark.parametrize("training", [True, False])
def test_the_short_way_is_brevitas_way(layer: nn.Module, shape: tuple[int, ...], training: bool) -> None:
    layer.train(training)
    with torch.no_grad():
        layer.weight.mul_(8).view(-1)[:3] = torch.tensor([0.0, -0.0, 1.5])
    x = bits(shape)
    results = []
    for forward in (layer, lambda given: through_brevitas(layer, given)):
        layer.weight.grad = None
        given_ = x.clone().requires_grad_()
        value = forward(given_)
        value.square().sum().backward()
        results.append((value.detach(), layer.weight.grad.clone(), given_.grad))
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)
    quantized = layer.quant_weight()
    assert np.array_equal(getattr(quantized, "value", quantized).detach().numpy(), signs(layer.weight))
    assert not results[0][1][layer.weight.detach().abs() > 1].any()


def whole(layer: nn.Module, bits: int) -> np.ndarray:
    """Return the weights as integers, by numpy."""
    top = 2 ** (bits - 1)
    return np.clip(np.rint(layer.weight.detach().numpy() * top), 1 - top, top - 1).astype(np.int64)


@pytest.mark.parametrize("weight_bits", [2, 5, 8])
def test_a_dense_layer_of_integers_is_exact(weight_bits: int) -> None:
    torch.manual_seed(weight_bits)
    layer = IntegerLinear(40, 6, weight_bits).eval()
    x = torch.randint(0, 256, (5, 40)).float()
    integers = whole(layer, weight_bits)
    assert len(np.unique(integers)) > min(2**weight_bits - 2, 100)
    expected = x.numpy().astype(np.int64) @ integers.T / 2 ** (weight_bits - 1)
    assert np.array_equal(layer(x).detach().numpy(), expected)
    assert torch.equal(layer(x), through_brevitas(layer, x))


@pytest.mark.parametrize("weight_bits", [1, 4])
def test_a_dilated_convolution_of_groups_is_exact(weight_bits: int) -> None:
    torch.manual_seed(weight_bits)
    layer = conv2d(4, 6, weight_bits, stride=2, padding=2, pad_value=-0.5, dilation=2, groups=2).eval()
    x = torch.randint(-4, 5, (3, 4, 9, 8)).float() / 2
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=-0.5)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(2, 3))[:, :, ::2, ::2, ::2, ::2]
    integers = signs(layer.weight) if weight_bits == 1 else whole(layer, weight_bits) / 8
    expected = np.concatenate(
        [
            np.einsum("nchwij,ocij->nohw", windows[:, 2 * g : 2 * g + 2], integers[3 * g : 3 * g + 3])
            for g in range(2)
        ],
        axis=1,
    )
    assert np.array_equal(layer(x).detach().numpy(), expected)
    assert torch.equal(layer(x), through_brevitas(layer, x))


def test_weight_bits_choose_the_layer() -> None:
    assert isinstance(linear(3, 2), BinaryLinear)
    assert isinstance(linear(3, 2, 4), IntegerLinear)
    assert isinstance(conv2d(3, 2), BinaryConv2d)
    assert isinstance(conv2d(3, 2, 8, kernel=1), IntegerConv2d)
    with pytest.raises(ModelError, match="weight_bits must be 2 to 8 here, not 9"):
        linear(3, 2, 9)


def test_input_of_bytes_and_of_bits() -> None:
    pixels = torch.arange(256.0)
    assert torch.equal(InputQuant(8).eval()(pixels), pixels)
    assert np.array_equal(InputQuant(1).eval()(pixels).numpy(), np.where(np.arange(256) >= 128, 1, -1))
    assert torch.equal(InputQuant(8).train()(pixels), pixels)


@pytest.mark.parametrize("wrong", [0, 2, 4, 16])
def test_input_of_other_widths(wrong: int) -> None:
    with pytest.raises(ModelError, match=f"input_bits must be 1 or 8, not {wrong}"):
        InputQuant(wrong)


def settled(expression: Expression, channels: int, seed: int) -> ActivationSlot:
    generator = torch.Generator().manual_seed(seed)
    slot = ActivationSlot(channels)
    slot.install(expression)
    with torch.no_grad():
        for tensor in (slot.norm.running_mean, slot.norm.weight, slot.norm.bias, *slot.function.learned):
            tensor.normal_(0, 1.5, generator=generator)
        slot.norm.running_var.uniform_(0.5, 90, generator=generator)
    return slot.eval()


@pytest.mark.parametrize("image", [False, True])
@settings(max_examples=80, deadline=None)
@given(expression=expressions(numbers=False), seed=st.integers(0, 2**32))
def test_the_response_is_the_forward(image: bool, expression: Expression, seed: int) -> None:
    """Every bit of every channel at every accumulator, as a dense layer and as an image."""
    channels, points = 5, torch.arange(-99, 100)
    slot = settled(expression, channels, seed)
    response = slot.response(points).detach()
    assert response.shape == (channels, len(points))
    column = points.float()[:, None].expand(-1, channels).contiguous()
    x = column.T.reshape(1, channels, 1, -1).contiguous() if image else column
    with torch.no_grad():
        out = slot(x)
    out = out[0, :, 0] if image else out.T
    number = ~torch.isnan(response)
    assert torch.equal((out > 0)[number], (response >= 0)[number])


@pytest.mark.parametrize("image", [False, True])
@pytest.mark.parametrize(("signed", "norm"), [(True, True), (False, True), (True, False)])
@settings(max_examples=20, deadline=None)
@given(expression=expressions(numbers=False), bits=st.integers(2, 8), seed=st.integers(0, 2**32))
def test_levels_are_the_forward(
    image: bool, signed: bool, norm: bool, expression: Expression, bits: int, seed: int
) -> None:
    """Separate values for each channel, as vectors and as an image; the quantizer by numpy."""
    generator = torch.Generator().manual_seed(seed)
    slot = StreamSlot(5, bits, 0.25, expression, norm, signed)
    with torch.no_grad():
        for tensor in (*slot.function.learned, *((slot.norm.running_mean, slot.norm.weight) if norm else ())):
            tensor.normal_(0, 1.5, generator=generator)
    values = torch.randint(-99, 100, (70, 5), generator=generator) / 8
    levels = slot.eval().levels(values)
    x = values.T.reshape(1, 5, 1, -1).contiguous() if image else values
    with torch.no_grad():
        out = slot(x)
    out = out[0, :, 0] if image else out.T
    low = -(2 ** (bits - 1)) if signed else 0
    assert torch.allclose((levels + low) * 0.25, out, equal_nan=True, rtol=0, atol=0)
    expected = np.clip(np.rint(slot.response(values).numpy() / 0.25), low, low + 2**bits - 1) - low
    assert np.array_equal(levels.numpy(), expected, equal_nan=True)


def test_stream_slots_are_no_sites() -> None:
    net = nn.Sequential(StreamSlot(4, 3, 0.5), ActivationSlot(4, parse("shift(x)"), norm=False))
    assert list(slots(net)) == ["1"]
    assert list(stream_slots(net)) == ["0"]
    install(net, [parse("sin(x)")])
    assert str(net[0].function.expression) == "x"
    assert str(net[1].function.expression) == "sin(x)"


def test_the_response_needs_no_gradient() -> None:
    for text in ("x", "scale(x)", "max(learned, x)"):
        assert not settled(parse(text), 2, 0).response(torch.arange(3)).requires_grad


def test_the_response_of_a_parameter_alone_needs_no_gradient() -> None:
    assert not settled(parse("learned"), 2, 0).response(torch.arange(3)).requires_grad


def test_a_slot_is_batch_norm_function_and_sign() -> None:
    torch.manual_seed(0)
    slot = ActivationSlot(3)
    slot.install(parse("sin(shift(x))"))
    x = torch.randint(-20, 20, (16, 3, 2, 2)).float()
    value = slot(x)
    normal = (x - x.mean((0, 2, 3), keepdim=True)) / (
        x.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5
    ).sqrt()
    agree = (value > 0) == (torch.sin(normal) >= 0)
    assert agree[torch.sin(normal).abs() > 1e-5].all()
    assert set(value.unique().tolist()) == {-1.0, 1.0}
    value.sum().backward()
    assert slot.function.learned[0].grad is not None


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (1, 3, 2, 2, 2)])
def test_a_slot_takes_dense_layers_and_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="an activation slot takes"):
        ActivationSlot(3)(torch.zeros(shape))


def test_the_logit_scale_is_positive_and_keeps_the_order() -> None:
    scale = LogitScale(64)
    logits = torch.tensor([[3.0, -1.0, 7.0]])
    assert scale(torch.ones(1)).item() == pytest.approx(1 / 8)
    for value in (-20.0, 0.0, 20.0):
        with torch.no_grad():
            scale.log_scale.fill_(value)
        assert scale(torch.ones(1)).item() > 0
        assert torch.equal(scale(logits).argsort(), logits.argsort())


def network() -> nn.Module:
    return build("mlp", (6,), 2, {"hidden": [5, 4]})


def test_slots_are_named_in_order() -> None:
    assert list(slots(network())) == ["dense1_sign", "dense2_sign"]


def test_one_activation_for_all_or_one_for_each() -> None:
    net = network()
    install(net, [parse("sin(x)")])
    assert [slot.function.expression for slot in slots(net).values()] == [parse("sin(x)")] * 2
    install(net, [parse("scale(x)"), X])
    first, second = slots(net).values()
    assert (str(first.function.expression), str(second.function.expression)) == ("scale(x)", "x")
    assert first.function.learned[0].shape == (5,)


def test_activations_do_not_share_parameters() -> None:
    net = build("mlp", (6,), 2, {"hidden": [4, 4]})
    install(net, [parse("scale(x)")])
    first, second = slots(net).values()
    assert first.function.learned[0] is not second.function.learned[0]
    assert isinstance(first.function, ActivationFunction)


@pytest.mark.parametrize("count", [0, 3])
def test_a_wrong_number_of_activations(count: int) -> None:
    with pytest.raises(
        ModelError, match=f"{count} activations for a network with 2 activation slots: give one, or 2"
    ):
        install(network(), [X] * count)


@pytest.mark.parametrize(
    ("name", "parameters"), [("mlp", {"hidden": [40, 30]}), ("cnv", {"blocks": [[8, 8]], "padding": 1})]
)
@pytest.mark.parametrize("input_bits", [1, 8])
def test_what_comes_before_an_activation_is_an_integer(name: str, parameters: dict, input_bits: int) -> None:
    torch.manual_seed(0)
    model = build(name, (3, 9, 9), 4, {**parameters, "input_bits": input_bits}).eval()
    seen: list[Tensor] = []
    for slot in slots(model).values():
        slot.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(torch.randint(0, 256, (20, 3, 9, 9)).float())
    assert len(seen) == len(slots(model))
    assert all(torch.equal(values, values.round()) for values in seen)
    assert max(values.abs().max() for values in seen) < 2**24
