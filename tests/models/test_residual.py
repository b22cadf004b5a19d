"""Residual backbones: their shapes, their blocks by numpy, their training, and their integers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from brevitas.export import export_qonnx
from torch import Tensor, nn

from zerocross.finn_flows.network import Add, SumPool
from zerocross.hw_search.extraction.agreement import agreement
from zerocross.hw_search.extraction.integers import to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.models.data import Data, Split
from zerocross.models.dynamic import DynamicShift
from zerocross.models.errors import ModelError
from zerocross.models.expressions import parse
from zerocross.models.layers import ActivationSlot, BinaryConv2d, StreamSlot, install, slots, stream_slots
from zerocross.models.residual import BIREAL, REACTNET, RESNETE, Block, ResidualStream, Style, stream_scale
from zerocross.models.topologies import build
from zerocross.models.training import TrainingSettings, accuracy, train

SMALL = {"widths": [6, 8], "blocks": [1, 2]}
NAMES = ["resnete", "bireal", "reactnet_resnet", "reactnet_mobilenet"]


def settle(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give parameters values that training could reach, near the initial ones, in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for slot in [*slots(model).values(), *stream_slots(model).values()]:
            for parameter in slot.parameters():
                parameter.add_(0.5 * torch.randn(slot.channels, generator=generator))
            if not isinstance(slot.norm, nn.Identity):
                slot.norm.running_mean.normal_(0, 1, generator=generator)
                slot.norm.running_var.uniform_(0.3, 30, generator=generator)
    return model.eval()


def striped(shape: tuple[int, ...] = (1, 8, 8), samples: int = 360, classes: int = 3) -> Data:
    """Images of random stripes: columns, rows, or neither."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, samples)
    columns = rng.integers(0, 2, (samples, shape[0], 1, shape[2])) * 200
    rows = rng.integers(0, 2, (samples, shape[0], shape[1], 1)) * 200
    clean = np.where(
        (y == 0)[:, None, None, None], columns, np.where((y == 1)[:, None, None, None], rows, 100)
    )
    x = np.clip(clean + rng.integers(-50, 51, (samples, *shape)), 0, 255).astype(np.uint8)
    parts = [
        Split(torch.from_numpy(x[part]), torch.from_numpy(y[part]))
        for part in (slice(0, 260), slice(260, None))
    ]
    return Data(*parts, shape, classes, "")


def binary_convolutions(model: nn.Module) -> list[tuple[int, int, int, int]]:
    return [
        (m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0])
        for m in model.modules()
        if isinstance(m, BinaryConv2d)
    ]


@pytest.mark.parametrize("name", NAMES[:3])
def test_the_shape_of_resnet_18(name: str) -> None:
    model = build(name, (3, 32, 32), 10, {})
    body = [shape for shape in binary_convolutions(model) if shape[2] == 3]
    stages = [[(64, 64, 3, 1)] * 4]
    stages += [[(w, 2 * w, 3, 2), *[(2 * w, 2 * w, 3, 1)] * 3] for w in (64, 128, 256)]
    assert body == [shape for stage in stages for shape in stage]
    assert len(slots(model)) == 16
    shapes = describe(model, (3, 32, 32)).shapes()
    assert shapes["mean"] == (1, 1, 512)
    assert shapes["stages.3.3.conv"] == (4, 4, 512)


def test_the_shape_of_mobilenet() -> None:
    model = build("reactnet_mobilenet", (3, 224, 224), 1000, {"stem_stride": 2, "shortcut_bits": 8})
    body = binary_convolutions(model)
    assert [shape[0] for shape in body[::2]] == [32, 64, 128, 128, 256, 256, *[512] * 6, 1024]
    assert [shape[1] for shape in body[1::2]] == [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    assert [shape[3] for shape in body[::2]] == [1, 2, 1, 2, 1, 2, *[1] * 5, 2, 1]
    assert {shape[2] for shape in body[::2]} == {3}
    assert {shape[2] for shape in body[1::2]} == {1}


@pytest.mark.parametrize("bits", range(2, 9))
def test_the_automatic_scale_is_the_best_power_of_two(bits: int) -> None:
    """Return the mean squared error for a standard normal value, by numerical integration."""
    x = np.linspace(-8, 8, 160_001)
    density = np.exp(-x * x / 2)

    def error(scale: float) -> float:
        q = np.clip(np.rint(x / scale), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) * scale
        return float((density * (q - x) ** 2).sum())

    best = min((2.0**power for power in range(-8, 3)), key=error)
    assert stream_scale(bits) == best


def numpy_bn(x: np.ndarray, slot: nn.Module) -> np.ndarray:
    if isinstance(slot.norm, nn.Identity):
        return x
    mean, var, gain, bias = (
        value.detach().double().numpy()[:, None, None]
        for value in (slot.norm.running_mean, slot.norm.running_var, slot.norm.weight, slot.norm.bias)
    )
    return (x - mean) / np.sqrt(var + slot.norm.eps) * gain + bias


def learned(slot: nn.Module) -> list[np.ndarray]:
    return [value.detach().double().numpy()[:, None, None] for value in slot.function.learned]


def rsign(x: np.ndarray, slot: nn.Module) -> np.ndarray:
    shift = learned(slot)[0] if slot.function.learned else 0
    return np.where(numpy_bn(x, slot) + shift >= 0, 1, -1)


def level(x: np.ndarray, slot: StreamSlot, bits: int, scale: float) -> np.ndarray:
    y = numpy_bn(x, slot)
    if slot.function.learned:
        before, slope, after = learned(slot)
        y = y + before
        y = np.where(y > 0, y, slope * y) + after
    return np.clip(np.rint(y / scale), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) * scale


def convolve(x: np.ndarray, conv: nn.Module, stride: int, pad: float) -> np.ndarray:
    weights = np.where(conv.weight.detach().numpy() >= 0, 1, -1)
    side = weights.shape[-1]
    x = np.pad(x, ((0, 0), (0, 0), (side // 2,) * 2, (side // 2,) * 2), constant_values=pad)
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows[:, :, ::stride, ::stride], weights)


@pytest.mark.parametrize("style", [RESNETE, BIREAL, REACTNET], ids=["resnete", "bireal", "reactnet"])
@pytest.mark.parametrize(("kernel", "stride", "channels"), [(3, 1, 5), (3, 2, 5), (3, 2, 7), (1, 1, 7)])
def test_a_block_by_numpy(style: Style, kernel: int, stride: int, channels: int) -> None:
    torch.manual_seed(kernel + stride + channels)
    bits, scale = 4, 0.25
    block = settle(Block(5, channels, style, ResidualStream(bits, scale), kernel, stride))
    x = np.random.default_rng(0).integers(-20, 20, (3, 5, 6, 4)) * scale
    y = level(convolve(rsign(x, block.sign), block.conv, stride, -1), block.level, bits, scale)
    short = x
    if stride == 2:
        short = level(x.reshape(3, 5, 3, 2, 2, 2).mean(axis=(3, 5)), block.shortcut.mean_level, bits, scale)
    if channels != 5:
        short = level(convolve(short, block.shortcut.conv, 1, 0), block.shortcut.level, bits, scale)
    expected = y + short
    if style.function is not None:
        expected = level(expected, block.function, bits, scale)
    found = block(torch.from_numpy(x).float()).detach().numpy()
    assert np.array_equal(found, expected)


def test_what_stands_ahead_of_a_sign() -> None:
    for name, norm, text in (
        ("resnete", True, "x"),
        ("bireal", False, "x"),
        ("reactnet_resnet", False, "shift(x)"),
    ):
        found = slots(build(name, (3, 8, 8), 2, SMALL)).values()
        assert {isinstance(slot.norm, nn.Identity) for slot in found} == {not norm}
        assert {str(slot.function.expression) for slot in found} == {text}


@pytest.mark.parametrize(
    ("name", "dynamic"),
    [
        ("resnete", "none"),
        ("reactnet_mobilenet", "threshold"),
        *(
            pytest.param(name, dynamic, marks=pytest.mark.slow)
            for name in NAMES
            for dynamic in ("none", "threshold")
            if (name, dynamic) not in {("resnete", "none"), ("reactnet_mobilenet", "threshold")}
        ),
    ],
)
def test_stripes_are_learnt(name: str, dynamic: str) -> None:
    data = striped()
    torch.manual_seed(0)
    model = build(name, data.input_shape, 3, {**SMALL, "dynamic": dynamic})
    losses: list[float] = []
    train(model, data, TrainingSettings(6, 32, 1e-2), 0, after_epoch=lambda _, loss: losses.append(loss))
    assert losses[-1] < losses[0]
    assert accuracy(model, data.validation) > 0.6
    net = to_integer(model, describe(model, data.input_shape))
    found = agreement(model, net, data.validation)
    assert (found["differences"], found["wrong_classes"]) == (0, 0)


VARIANTS = [
    {"dynamic": "threshold", "reduction": 2},
    {"stream_bits": 3, "input_bits": 1, "weight_bits": 1, "stream_scale": 0.5},
    {"shortcut_bits": 4, "weight_bits": 3, "stem_kernel": 5, "stem_stride": 2, "stream_bits": 8},
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("variant", range(len(VARIANTS) + 1))
def test_integers_are_torchs(name: str, variant: int) -> None:
    parameters = [*VARIANTS, {"dynamic": "threshold_and_shift" if "reactnet" in name else "none"}][variant]
    torch.manual_seed(variant)
    shape = (2, 8, 8)
    model = build(name, shape, 4, {**SMALL, **parameters})
    install(model, [parse("add(sin(mul(2, x)), scale(x))")])
    settle(model, variant)
    samples = torch.randint(0, 256, (40, *shape), dtype=torch.uint8)
    network = describe(model, shape)
    found = agreement(model, to_integer(model, network), Split(samples, torch.zeros(40, dtype=torch.int64)))
    assert (found["differences"], found["wrong_classes"], found["end_to_end"]) == (0, 0, 40)
    sums = sum(isinstance(layer.operation, Add) for layer in network.layers)
    shifts = sum(isinstance(module, DynamicShift) for module in model.modules())
    assert sums == len(slots(model)) + shifts
    assert any(isinstance(layer.operation, SumPool) for layer in network.layers)


@pytest.mark.parametrize("name", NAMES)
def test_export(name: str, tmp_path: Path) -> None:
    model = settle(build(name, (2, 8, 8), 4, {**SMALL, "dynamic": "threshold"}))
    path = tmp_path / "model.onnx"
    export_qonnx(model, torch.zeros(1, 2, 8, 8), str(path), dynamo=False)
    assert path.stat().st_size > 0


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("resnete", {"widths": [4, 0], "blocks": [1, 1]}, r"widths must have a positive number.*\[4, 0\]"),
        ("resnete", {"widths": [4], "blocks": []}, "blocks must have a positive number for each stage"),
        ("resnete", {"widths": [4], "blocks": [1, 1]}, "1 widths and 2 blocks"),
        (
            "resnete",
            {"widths": [4] * 4, "blocks": [1] * 4},
            r"widths\[3\]: an image of side 3 cannot be halved",
        ),
        ("bireal", {"dynamic": "threshold_and_shift"}, "needs a backbone with PReLUs: use a reactnet"),
        ("bireal", {"dynamic": "always"}, "dynamic: .*found 'always'"),
        ("bireal", {"stream_bits": 1}, "stream_bits must be 2 to 8 here, not 1"),
        ("bireal", {"stream_scale": 0.3}, "stream_scale must be a power of two"),
        ("bireal", {"weight_bits": 9}, "weight_bits: .* less than or equal to 8, found 9"),
        ("bireal", {"stem_kernel": 4}, "stem_kernel must be odd"),
        ("bireal", {"reduction": 0}, "reduction must be at least 1"),
    ],
)
def test_what_cannot_be_built(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build(name, (3, 12, 12), 2, parameters)


def test_residual_backbones_need_images() -> None:
    with pytest.raises(ModelError, match="need images"):
        build("resnete", (64,), 2, {})


def test_sites_are_the_signs() -> None:
    model = build("reactnet_mobilenet", (3, 8, 8), 2, SMALL)
    assert all(isinstance(slot, ActivationSlot) for slot in slots(model).values())
    assert len(slots(model)) == 2 * 3


def test_images_of_odd_sides_go_through_a_stage(tmp_path: Path) -> None:
    x: Tensor = torch.zeros(2, 3, 7, 5)
    assert build("resnete", (3, 7, 5), 2, {"widths": [4], "blocks": [2]}).eval()(x).shape == (2, 2)
