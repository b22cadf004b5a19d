"""Residual streams, means, wider weights and vectors: torch's values compared with the hardware's integers."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from brevitas.export import export_qonnx
from torch import Tensor, nn

from tests.hw_search.extraction.test_extraction import integers, pixels
from zerocross.finn_flows.crossings import CrossingError, from_bits
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import Add, Conv, Flatten, Network, SumPool
from zerocross.hw_search.extraction.agreement import agreement
from zerocross.hw_search.extraction.integers import to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.hw_search.extraction.scales import Scale, UnsupportedModule, scales
from zerocross.models.data import Split
from zerocross.models.expressions import parse
from zerocross.models.layers import (
    ActivationSlot,
    BinaryConv2d,
    InputQuant,
    IntegerConv2d,
    IntegerLinear,
    LogitScale,
    StreamSlot,
    linear,
    slots,
    stream_slots,
)

STEP = 0.25


def settle(model: nn.Module, seed: int = 0) -> nn.Module:
    """Set every norm close to its input's statistics, and learnable parameters to random values, in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    model.train()
    shape = model.shape
    for _ in range(3):
        model(pixels(shape, 20, seed).float())
    with torch.no_grad():
        for slot in [*slots(model).values(), *stream_slots(model).values()]:
            if not isinstance(slot.norm, nn.Identity):
                slot.norm.running_mean.add_(torch.randn(slot.channels, generator=generator))
                slot.norm.weight.normal_(0, 1.5, generator=generator)
                slot.norm.bias.normal_(0, 1, generator=generator)
            for learned in slot.function.learned:
                learned.add_(torch.randn(slot.channels, generator=generator))
    return model.eval()


def everything(model: nn.Module, x: Tensor, network: Network) -> dict[str, np.ndarray]:
    """Return the output of every layer's module except flattens, channels last."""
    layers = {layer.name for layer in network.layers if not isinstance(layer.operation, Flatten)}
    seen: dict[str, np.ndarray] = {}
    hooks = [
        module.register_forward_hook(
            lambda _, args, out, name=name: seen.__setitem__(name, np.moveaxis(out.detach().numpy(), 1, -1))
        )
        for name, module in model.named_modules()
        if name in layers
    ]
    with torch.no_grad():
        seen["class"] = model(x.float()).argmax(dim=1).numpy()
    for hook in hooks:
        hook.remove()
    return seen


def check(model: nn.Module, seed: int = 0) -> IntegerNetwork:
    """Every tensor of the integer network, converted by its scale, equals torch's."""
    x = pixels(model.shape, seed=seed + 1)
    network = describe(model, model.shape)
    net = to_integer(model, network)
    found = scales(network, dict(model.named_modules()))
    values, expected = net.run(integers(x, network)), everything(model, x, network)
    compared = 0
    for name, value in values.items():
        if name in expected:
            scale = found[name]
            torchs = ((value - scale.zero) * scale.step / scale.divisor).astype(np.float32)
            assert np.array_equal(torchs, expected[name].reshape(torchs.shape)), name
            compared += 1
    assert compared >= len(net.tables) + len(net.weights)
    assert np.array_equal(values["label"][:, 0], expected["class"])
    report = agreement(model, net, Split(x, torch.zeros(len(x), dtype=torch.int64)), batch=11)
    assert (report["differences"], report["wrong_classes"], report["ties"]) == (0, 0, [])
    assert report["bits"] == sum(values[name].size * (network.bits(name) or 1) for name in net.tables)
    return net


class Residual(nn.Module):
    """Every kind of layer in a residual stream, and a vector that is added to an image."""

    shape = (2, 8, 8)

    def __init__(self, bits: int = 8, width: int = 4, stream: int = 4) -> None:
        super().__init__()
        self.input = InputQuant(bits)
        pad = 0.0 if bits == 8 else -1.0
        self.stem = IntegerConv2d(2, width, 8, padding=1, pad_value=pad)
        self.stream = StreamSlot(width, stream, STEP)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.mean_level = StreamSlot(width, 3, 0.5, norm=False)
        self.flat = nn.Flatten()
        self.hyper = IntegerLinear(width, width, 3)
        self.shift = StreamSlot(width, stream, STEP, parse("sin(x)"))
        self.sign1 = ActivationSlot(width, parse("sub(learned, abs(x))"))
        self.conv1 = BinaryConv2d(width, width, 3, 1, padding=2, dilation=2, groups=2)
        self.level1 = StreamSlot(width, stream, STEP, parse("scale(x)"))
        self.sign2 = ActivationSlot(width, parse("shift(x)"), norm=False)
        self.conv2 = BinaryConv2d(width, 6, 3, 2, padding=1)
        self.level2 = StreamSlot(6, stream, STEP)
        self.halved = nn.AvgPool2d(2)
        self.halved_level = StreamSlot(width, stream, STEP, norm=False)
        self.wider = BinaryConv2d(width, 6, 1)
        self.wider_level = StreamSlot(6, stream, STEP)
        self.overlapping = nn.AvgPool2d(3, 1)
        self.sign3 = ActivationSlot(6)
        self.conv3 = IntegerConv2d(6, 6, 4, kernel=2)
        self.features = StreamSlot(6, 5, 0.125, signed=False)
        self.classifier = linear(6, 3, 8)
        self.scale = LogitScale(6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stream(self.stem(self.input(x)))
        vector = self.shift(self.hyper(self.flat(self.mean_level(self.mean(x)))))
        x = torch.add(self.level1(self.conv1(self.sign1(x + vector[:, :, None, None]))), x)
        short = self.wider_level(self.wider(self.halved_level(self.halved(x))))
        x = self.level2(self.conv2(self.sign2(x))) + short
        x = self.features(self.conv3(self.sign3(self.overlapping(x))))
        return self.scale(self.classifier(x.flatten(1)))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("bits", "stream"), [(8, 4), (8, 2), (1, 6)])
def test_every_integer_is_torchs(seed: int, bits: int, stream: int) -> None:
    torch.manual_seed(seed)
    net = check(settle(Residual(bits, stream=stream), seed), seed)
    kinds = [type(layer.operation) for layer in net.network.layers]
    assert (kinds.count(Add), kinds.count(SumPool)) == (3, 3)
    assert net.network.shapes()["add"] == (8, 8, 4)
    conv = next(layer.operation for layer in net.network.layers if layer.name == "conv1")
    assert conv == Conv(4, (3, 3), (1, 1), 2, (2, 2), 1)


@pytest.mark.parametrize("side", [3, 5, 6, 7])
def test_means_whose_size_is_no_power_of_two(side: int) -> None:
    """torch rounds ninths and forty-ninths; the tables must round the same way."""

    class Mean(nn.Module):
        shape = (3, side, side)

        def __init__(self) -> None:
            super().__init__()
            self.input = InputQuant(8)
            self.stem = BinaryConv2d(3, 5, 1)
            self.stream = StreamSlot(5, 6, 0.125)
            self.mean = nn.AdaptiveAvgPool2d(1)
            self.sign = ActivationSlot(5, parse("sin(mul(9, x))"))
            self.flat = nn.Flatten()
            self.classifier = linear(5, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.classifier(self.flat(self.sign(self.mean(self.stream(self.stem(self.input(x)))))))

    torch.manual_seed(side)
    check(settle(Mean(), side), side)


def test_a_scale_is_exact() -> None:
    scale = Scale(0.25, np.array([3, -1], np.int64), 9)
    whole = np.arange(-40, 40)
    values = scale.values(whole)
    expected = (torch.from_numpy(whole)[:, None] - torch.tensor([3, -1])).float() * 0.25 / 9
    assert np.array_equal(values, expected.numpy())
    assert np.array_equal(scale.integers(values), np.stack([whole, whole], axis=1))


def test_every_wrong_bit_of_a_level_is_counted() -> None:
    torch.manual_seed(0)
    model = settle(Residual())
    net = to_integer(model, describe(model, model.shape))
    table = net.tables["level1"]
    rows = np.stack([table.row(index) for index in range(table.channels)])
    rows[2 * 4 + 1] ^= 1  # channel 2, plane 1
    wrong = replace(net, tables={**net.tables, "level1": from_bits(table.grid, rows)})
    split = Split(pixels(model.shape, 7), torch.zeros(7, dtype=torch.int64))
    found = agreement(model, wrong, split)
    assert found["differences"] == 7 * 8 * 8
    assert found["ties"][0].startswith("level1 channel 2 at accumulator ")


class Sum(nn.Module):
    """Two branches with different scales."""

    shape = (2, 4, 4)

    def __init__(self, one: float, other: float) -> None:
        super().__init__()
        self.input = InputQuant(8)
        self.stem = BinaryConv2d(2, 3, 1)
        self.one, self.other = StreamSlot(3, 4, one), StreamSlot(3, 4, other)
        self.sign = ActivationSlot(3)
        self.classifier = linear(48, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(self.input(x))
        return self.classifier(self.sign(self.one(x) + self.other(x)).flatten(1))


def test_a_sum_needs_one_scale() -> None:
    with pytest.raises(
        UnsupportedModule, match=r"add adds values on the scales 0\.25 and 0\.5: use StreamSlots"
    ):
        describe(Sum(0.5, 0.25), (2, 4, 4))
    torch.manual_seed(0)
    check(settle(Sum(0.5, 0.5)))


def test_a_vector_is_spread_by_its_author() -> None:
    class Forgotten(Residual):
        def forward(self, x: Tensor) -> Tensor:
            x = self.stream(self.stem(self.input(x)))
            return x + self.flat(self.mean_level(self.mean(x)))

    with pytest.raises(
        UnsupportedModule, match=r"add adds a vector to an image: write vector\[:, :, None, None\]"
    ):
        describe(Forgotten(), Residual.shape)


def test_what_float32_cannot_hold_is_refused() -> None:
    model = nn.Sequential(InputQuant(8), nn.Flatten(), IntegerLinear(3000, 2, 8))
    with pytest.raises(
        UnsupportedModule, match=r"2 reaches [\d,]+, but float32 is exact only up to 16,777,216"
    ):
        describe(model, (3000,))


def test_a_level_that_is_no_number_is_named() -> None:
    model = settle(Sum(0.5, 0.5))
    with torch.no_grad():
        model.one.norm.bias[1] = float("nan")
    with pytest.raises(CrossingError, match="of channel 4 is not a number at accumulator"):
        to_integer(model, describe(model, model.shape))


@pytest.mark.parametrize("bits", [1, 8])
def test_qonnx_has_the_same_quantizers(bits: int, tmp_path: Path) -> None:
    """Node types of the export's quantizers, weights and sums. Other tests check their outputs."""
    torch.manual_seed(0)
    model = settle(Residual(bits))
    path = tmp_path / "residual.onnx"
    export_qonnx(model, pixels(model.shape, 1).float(), str(path), dynamo=False)
    kinds = Counter(node.op_type for node in onnx.load(path).graph.node)
    assert kinds["Quant"] == len(stream_slots(model)) + 4 + (bits == 8)  # weights of several bits, and bytes
    assert kinds["BipolarQuant"] == 3 + 3 + (bits == 1)
    assert kinds["Add"] >= 3
    assert model(pixels(model.shape).float()).shape == (30, 3)
