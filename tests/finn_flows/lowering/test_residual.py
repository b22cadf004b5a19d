"""Brevitas networks that are no chains: exported, lowered, and held against torch, bit by bit."""

from collections.abc import Callable
from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.export import export_qonnx
from brevitas.inject.enum import RestrictValueType, ScalingImplType
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    Uint8ActPerTensorFloat,
)
from torch import Tensor, nn

from tests.finn_flows.lowering.foreign import execute, lower
from zerocross.finn_flows.lowering.lower import Lowered
from zerocross.finn_flows.network import Activation, Add, Conv, Dense, SumPool

SCALE = 0.25


@pytest.fixture(autouse=True)
def drawn_alike() -> None:
    """The same networks whatever ran before in this process."""
    torch.manual_seed(0)


class Bit(SignedBinaryActPerTensorConst):
    scaling_const = 1.0


class BinaryWeight(SignedBinaryWeightPerTensorConst):
    scaling_const = 1.0


class IntegerWeight(Int8WeightPerTensorFloat):
    restrict_scaling_type = RestrictValueType.POWER_OF_TWO


class ByteInput(Uint8ActPerTensorFloat):
    scaling_impl_type = ScalingImplType.CONST
    min_val, max_val = 0.0, 255.0


def levels(bits: int, scale: float = SCALE, signed: bool = True) -> nn.Module:
    """A quantizer to levels of one constant scale, such as a residual stream has."""
    base = Int8ActPerTensorFloat if signed else Uint8ActPerTensorFloat
    reach = scale * (2 ** (bits - 1) if signed else 2**bits - 1)
    bounds = {"min_val": -reach if signed else 0.0, "max_val": reach}
    return qnn.QuantIdentity(
        act_quant=base,
        bit_width=bits,
        scaling_impl_type=ScalingImplType.CONST,
        return_quant_tensor=False,
        **bounds,
    )


def sign() -> nn.Module:
    return qnn.QuantIdentity(act_quant=Bit)


def conv(inputs: int, outputs: int, kernel: int = 3, bits: int = 1, **parameters: int) -> nn.Module:
    quant = BinaryWeight if bits == 1 else IntegerWeight
    width = {} if bits == 1 else {"weight_bit_width": bits}
    return qnn.QuantConv2d(inputs, outputs, kernel, bias=False, weight_quant=quant, **width, **parameters)


def dense(inputs: int, outputs: int, bits: int = 8) -> nn.Module:
    quant = BinaryWeight if bits == 1 else IntegerWeight
    width = {} if bits == 1 else {"weight_bit_width": bits}
    return qnn.QuantLinear(inputs, outputs, bias=False, weight_quant=quant, **width)


class Pad(nn.Module):
    def __init__(self, border: int, value: float) -> None:
        super().__init__()
        self.border, self.value = border, value

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pad(x, (self.border,) * 4, value=self.value)


class Sine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x)


def site(channels: int) -> nn.Module:
    """An activation function ahead of a sign, on the residual stream."""
    return nn.Sequential(nn.BatchNorm2d(channels), Sine(), sign())


class Block(nn.Module):
    """A residual block: a sign of a sine, a binary convolution, levels on the stream's scale, and the sum."""

    def __init__(self, channels: int, product: nn.Module, border: int = 1) -> None:
        super().__init__()
        self.site = site(channels)
        self.branch = nn.Sequential(Pad(border, -1.0), product, nn.BatchNorm2d(channels), nn.PReLU(channels))
        self.stream = levels(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.stream(self.branch(self.site(x))) + x


class Halving(nn.Module):
    """A block that halves the image: its shortcut is a mean pool and a 1x1 convolution of levels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.site = site(inputs)
        self.branch = nn.Sequential(Pad(1, -1.0), conv(inputs, outputs, stride=2), nn.BatchNorm2d(outputs))
        self.stream = levels(4)
        self.pool = nn.AvgPool2d(2)
        self.mean = levels(4)
        self.wider = nn.Sequential(conv(inputs, outputs, 1), nn.BatchNorm2d(outputs))
        self.short = levels(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.stream(self.branch(self.site(x))) + self.short(self.wider(self.mean(self.pool(x))))


class TwoSites(nn.Module):
    """Two activations and a max-pool of one stream."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = site(channels), nn.Sequential(nn.BatchNorm2d(channels), sign())
        self.one = nn.Sequential(conv(channels, channels), nn.BatchNorm2d(channels))
        self.other = nn.Sequential(conv(channels, channels), nn.BatchNorm2d(channels))
        self.pool = nn.MaxPool2d(3, 1)
        self.left, self.right = levels(3), levels(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.left(self.one(self.first(x))) + self.right(self.other(self.second(x))) + self.pool(x)


class Dynamic(nn.Module):
    """A sign whose thresholds come from the image: a mean, two small layers, and a vector added to every pixel."""

    def __init__(self, channels: int, hidden: int = 3) -> None:
        super().__init__()
        self.pool, self.mean = nn.AdaptiveAvgPool2d(1), levels(5, SCALE / 2)
        self.first, self.hidden = (
            dense(channels, hidden, 4),
            nn.Sequential(nn.ReLU(), levels(3, 0.0625, False)),
        )
        self.second, self.shift = dense(hidden, channels, 3), levels(4)
        self.site = site(channels)
        self.product, self.norm = conv(channels, channels), nn.BatchNorm2d(channels)
        self.stream = levels(4)

    def forward(self, x: Tensor) -> Tensor:
        mean = torch.flatten(self.mean(self.pool(x)), 1)
        shift = self.shift(self.second(self.hidden(self.first(mean))))
        return self.stream(self.norm(self.product(self.site(x + shift[:, :, None, None]))))


class Network(nn.Module):
    """Blocks between a first convolution and a classifier with wider weights."""

    def __init__(self, channels: int, blocks: nn.Module, last: int, classes: int = 5) -> None:
        super().__init__()
        self.input = qnn.QuantIdentity(act_quant=ByteInput)
        self.stem = nn.Sequential(conv(2, channels, bits=8), nn.BatchNorm2d(channels))
        self.stream = levels(4)
        self.blocks = blocks
        self.pool, self.features = nn.AdaptiveAvgPool2d(1), levels(4, 0.03125, False)
        self.classifier = dense(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stream(self.stem(self.input(x))))
        return self.classifier(torch.flatten(self.features(self.pool(x)), 1))


def settle(model: nn.Module, x: Tensor, seed: int) -> nn.Module:
    """Give batch norms statistics of what they see, and random slopes and shifts."""
    generator = torch.Generator().manual_seed(seed)
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            module.weight.data = torch.randn(module.num_features, generator=generator)
            module.bias.data = torch.randn(module.num_features, generator=generator) / 2
    with torch.no_grad():
        model(x)
    return model.eval()


def lowered_and_seen(model: nn.Module, x: Tensor, path: Path) -> tuple[Lowered, dict[str, np.ndarray]]:
    """Export and lower a network; return what its quantizers give in torch too, by module name, channels last."""
    seen: dict[str, np.ndarray] = {}

    def see(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            del module, inputs
            seen[name] = np.moveaxis(output.detach().numpy(), 1, -1)

        return hook

    export_qonnx(model, x[:1], str(path), dynamo=False)
    hooks = [
        module.register_forward_hook(see(name))
        for name, module in model.named_modules()
        if isinstance(module, qnn.QuantIdentity) and name != "input"
    ]
    with torch.no_grad():
        seen["logits"] = model(x).numpy()
    for hook in hooks:
        hook.remove()
    return lower(path), seen


def check(model: nn.Module, tmp_path: Path, modules: dict[str, str], side: int = 12) -> Lowered:
    """Hold every activation of a lowered network against the module it stands for, and the classes."""
    x = images(60, side)
    settle(model, x, 3)
    lowered, seen = lowered_and_seen(model, x, tmp_path / "net.onnx")
    found = lowered.network.run(lowered.quantize(x.numpy()))
    network = lowered.network.network
    names = [layer.name for layer in network.layers if isinstance(layer.operation, Activation)]
    assert set(names) == set(modules), names
    for name, module in modules.items():
        real, integers = seen[module].astype(np.float64), found[name]
        if network.is_binary(name):
            assert np.array_equal(integers, real.reshape(integers.shape)), name
        else:
            steps = np.unique(np.diff(np.unique(real)))
            scale = steps.min()
            shift = real.reshape(integers.shape) / scale - integers
            assert (shift == shift.flat[0]).all() and len(np.unique(integers)) > 2, name
        assert len(np.unique(integers)) > 1, name
    assert np.array_equal(found["label"][:, 0], seen["logits"].argmax(axis=1))
    np.testing.assert_array_equal(execute(lowered.model, x.numpy()), execute(lowered.original, x.numpy()))
    return lowered


def images(count: int, side: int = 12) -> Tensor:
    """Bytes of other brightness and contrast from image to image."""
    generator = torch.Generator().manual_seed(9)
    light = 256 * torch.rand(count, 2, 1, 1, generator=generator)
    contrast = 64 * torch.rand(count, 1, 1, 1, generator=generator)
    return (light + contrast * torch.randn(count, 2, side, side, generator=generator)).round().clamp(0, 255)


STEM = {"conv1_levels": "stream"}


def test_residual_blocks(tmp_path: Path) -> None:
    blocks = nn.Sequential(Block(6, conv(6, 6)), Block(6, conv(6, 6)))
    modules = {
        **STEM,
        "conv1_sign": "blocks.0.site.2",
        "conv2_levels": "blocks.0.stream",
        "sum1_sign": "blocks.1.site.2",
        "conv3_levels": "blocks.1.stream",
        "mean1_levels": "features",
    }
    lowered = check(Network(6, blocks, 6), tmp_path, modules)
    network = lowered.network.network
    layers = {layer.name: layer for layer in network.layers}
    assert layers["sum1"].inputs == ("conv2_levels", "conv1_levels") and layers["sum1"].operation == Add()
    assert layers["conv1_sign"].inputs == ("conv1_levels",) and layers["sum1_sign"].inputs == ("sum1",)
    assert layers["mean1"].operation == SumPool((10, 10), (1, 1))
    assert network.weight_bits("conv1") == network.weight_bits("classifier") == 8
    assert network.grids()["sum2"].high == 45 and network.bits("sum2") == 6
    points = {site.name: site.points for site in lowered.activations}
    assert points["conv1_sign"] == 16 and points["sum1_sign"] == 31


def test_a_shortcut_that_halves_the_image(tmp_path: Path) -> None:
    modules = {
        **STEM,
        "conv1_sign": "blocks.0.site.2",
        "conv2_levels": "blocks.0.stream",
        "mean1_levels": "blocks.0.mean",
        "conv3_levels": "blocks.0.short",
        "sum1_sign": "blocks.1.site.2",
        "conv4_levels": "blocks.1.stream",
        "mean2_levels": "features",
    }
    lowered = check(Network(4, nn.Sequential(Halving(4, 8), Block(8, conv(8, 8))), 8), tmp_path, modules)
    layers = {layer.name: layer for layer in lowered.network.network.layers}
    assert layers["conv3"].inputs == ("mean1_levels",) and layers["mean1"].operation == SumPool(
        (2, 2), (2, 2)
    )
    assert layers["sum1"].inputs == ("conv2_levels", "conv3_levels")


def test_two_sites_and_a_pool_read_one_stream(tmp_path: Path) -> None:
    modules = {
        **STEM,
        "conv1_sign": "blocks.first.2",
        "conv1_sign_2": "blocks.second.1",
        "conv2_levels": "blocks.left",
        "conv3_levels": "blocks.right",
        "mean1_levels": "features",
    }
    lowered = check(Network(5, TwoSites(5), 5), tmp_path, modules)
    layers = {layer.name: layer for layer in lowered.network.network.layers}
    assert layers["sum2"].inputs == ("sum1", "pool1") and layers["pool1"].inputs == ("conv1_levels",)


def test_dynamic_thresholds(tmp_path: Path) -> None:
    modules = {
        **STEM,
        "mean1_levels": "blocks.mean",
        "dense1_levels": "blocks.hidden.1",
        "dense2_levels": "blocks.shift",
        "sum1_sign": "blocks.site.2",
        "conv2_levels": "blocks.stream",
        "mean2_levels": "features",
    }
    lowered = check(Network(6, Dynamic(6), 6), tmp_path, modules)
    network = lowered.network.network
    layers = {layer.name: layer for layer in network.layers}
    assert layers["sum1"].inputs == ("conv1_levels", "dense2_levels")
    assert network.shapes()["sum1"] == (10, 10, 6) and network.shapes()["dense2_levels"] == (6,)
    assert [network.weight_bits(name) for name in ("dense1", "dense2")] == [4, 3]


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_dilated_and_grouped_kernels(groups: int, tmp_path: Path) -> None:
    modules = {
        **STEM,
        "conv1_sign": "blocks.site.2",
        "conv2_levels": "blocks.stream",
        "mean1_levels": "features",
    }
    block = Block(6, conv(6, 6, dilation=2, groups=groups), 2)
    lowered = check(Network(6, block, 6), tmp_path, modules)
    operations = {layer.name: layer.operation for layer in lowered.network.network.layers}
    assert operations["conv2"] == Conv(6, groups=groups, dilation=(2, 2))


class Reading(nn.Module):
    """A convolution of several bits that reads the residual stream, or a sum of two, itself."""

    def __init__(self, channels: int, bits: int, summed: bool) -> None:
        super().__init__()
        self.block = Block(channels, conv(channels, channels)) if summed else nn.Identity()
        self.product = conv(channels, channels, bits=bits)
        self.pad = Pad(1, -SCALE * (16 if summed else 8))
        self.norm, self.stream = nn.BatchNorm2d(channels), levels(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.stream(self.norm(self.product(self.pad(self.block(x)))))


@pytest.mark.parametrize("bits", [1, 2, 5])
@pytest.mark.parametrize("summed", [False, True])
def test_products_of_levels_and_of_sums(bits: int, summed: bool, tmp_path: Path) -> None:
    modules = {**STEM, "conv2_levels": "blocks.stream", "mean1_levels": "features"}
    if summed:
        modules = {**STEM, "conv1_sign": "blocks.block.site.2", "conv2_levels": "blocks.block.stream"}
        modules |= {"conv3_levels": "blocks.stream", "mean1_levels": "features"}
    lowered = check(Network(4, Reading(4, bits, summed), 4), tmp_path, modules)
    product = "conv3" if summed else "conv2"
    operation = {layer.name: layer.operation for layer in lowered.network.network.layers}[product]
    assert isinstance(operation, Conv)
    assert operation.weight_bits <= bits


def test_a_scale_for_each_channel_of_weights(tmp_path: Path) -> None:
    """Scales that are no powers of two: as Brevitas learns them, what it computes in floats is rounded."""
    torch.manual_seed(2)
    model = Network(6, Block(6, conv(6, 6)), 6)
    model.stem[0] = qnn.QuantConv2d(2, 6, 3, bias=True, weight_quant=Int8WeightPerChannelFloat)
    x = images(60)
    lowered, seen = lowered_and_seen(settle(model, x, 3), x, tmp_path / "net.onnx")
    found = lowered.network.run(lowered.quantize(x.numpy()))
    assert lowered.network.network.weight_bits("conv1") == 8
    assert np.array_equal(found["conv1_sign"], seen["blocks.site.2"])
    assert np.array_equal(found["label"][:, 0], seen["logits"].argmax(axis=1))


@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_of_every_width(bits: int, tmp_path: Path) -> None:
    torch.manual_seed(bits)
    model = nn.Sequential(
        qnn.QuantIdentity(act_quant=ByteInput), dense(24, 8, bits), Sine(), sign(), dense(8, 5, bits)
    )
    x = torch.randint(0, 256, (100, 24)).float()
    lowered, seen = lowered_and_seen(model.eval(), x, tmp_path / "net.onnx")
    found = lowered.network.run(lowered.quantize(x.numpy()))
    assert np.array_equal(found["dense1_sign"], seen["3"])
    assert np.array_equal(found["label"][:, 0], seen["logits"].argmax(axis=1))
    integers = model[4].quant_weight().int().numpy()
    divisor = np.gcd.reduce(integers, axis=None)
    assert np.array_equal(lowered.network.weights["classifier"], integers // divisor)
    operation = lowered.network.network.layers[-2].operation
    assert (
        isinstance(operation, Dense) and 2 ** (operation.weight_bits - 1) >= np.abs(integers // divisor).max()
    )
