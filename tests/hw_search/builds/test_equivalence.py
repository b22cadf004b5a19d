"""Random networks with every operation, from torch to simulated RTL: the same logits in every form.

Batch norms and learnt parameters are left anywhere, so that the activations cross zero often and differently in every
channel; nothing is trained.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zerocross.finn_flows.assembly import Styles, assemble
from zerocross.finn_flows.folding import Folding, FoldingError
from zerocross.finn_flows.integer import IntegerNetwork, remove_first_bits
from zerocross.finn_flows.lowering.lower import lower
from zerocross.finn_flows.nodes.crossing_site import IMPLEMENTATIONS
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import Design, with_fifos
from zerocross.finn_flows.rtl.logits import design_logits
from zerocross.finn_flows.rtl.streaming import compile_streaming, size_fifos
from zerocross.finn_flows.vendor.dataflow import dataflow_model
from zerocross.finn_flows.vendor.execution import execute
from zerocross.hw_search.builds.certificate import logits_element
from zerocross.hw_search.builds.export import write_qonnx
from zerocross.hw_search.builds.forms import (
    integer_logits,
    stream_elements,
    torch_logits,
)
from zerocross.models.expressions import parse
from zerocross.models.layers import ActivationSlot, BinaryConv2d, BinaryLinear, InputQuant, LogitScale
from zerocross.models.operations import GAAF_BINARY, GAAF_UNARY, get_operation

NETWORKS = 36
IMAGES = 32


def expression(number: int) -> str:
    """Return an expression of two unary operations and a binary one. Consecutive numbers cover all operations."""
    rng = np.random.default_rng(number)
    first = GAAF_UNARY[number % len(GAAF_UNARY)]
    second = str(rng.choice(["x", "sin", "shift", "scale", "cube", "cos", "erf", "abs", "root"]))
    inner = str(rng.choice(["x", "mul(2, x)", "shift(x)", "scale(x)"]))
    operands = [_applied(first, inner), _applied(second, "x")]
    if rng.random() < 0.5:
        operands.reverse()
    return f"{GAAF_BINARY[number % len(GAAF_BINARY)]}({', '.join(operands)})"


def _applied(operation: str, to: str) -> str:
    return operation if get_operation(operation).arity == 0 else f"{operation}({to})"


class Border(nn.Module):
    """Padding that differs between height and width."""

    def __init__(self, down: int, along: int, value: float) -> None:
        super().__init__()
        self.amounts, self.value = (along, along, down, down), value

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pad(x, self.amounts, value=self.value)


class Drawing:
    """Draws the layers of a random network one after the other."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([7, seed])
        self.number = 4 * seed  # number of the next expression
        self.bits = int(self.rng.choice([1, 8]))
        self.layers: list[nn.Module] = [InputQuant(self.bits)]
        self.binary = self.bits == 1
        self.fan_in = 0
        if seed % 2:
            self.shape: tuple[int, ...] = (self.draw(1, 3), self.draw(4, 9), self.draw(4, 9))
        else:
            self.shape = (self.draw(3, 24),)
        self.input = self.shape

    def draw(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def network(self) -> nn.Sequential:
        depth = int(self.rng.choice([1, 2, 2, 3, 3, 4]))
        if len(self.shape) == 3:
            for _ in range(self.draw(1, depth)):
                self.convolution()
                depth -= 1
            self.layers.append(nn.Flatten())
            self.shape = (int(np.prod(self.shape)),)
        for _ in range(depth - 1):
            channels = self.draw(2, 21)
            self.layers.append(BinaryLinear(self.shape[0], channels))
            self.fan_in, self.shape = self.shape[0], (channels,)
            self.activation()
        classes = self.draw(2, 9)
        self.layers += [BinaryLinear(self.shape[0], classes), LogitScale(self.shape[0])]
        return nn.Sequential(*self.layers)

    def convolution(self) -> None:
        channels, height, width = self.shape
        down, along = self.draw(0, 1), self.draw(0, 1)
        kernel = min(self.draw(1, 3), height + 2 * down), min(self.draw(1, 4), width + 2 * along)
        stride = self.draw(1, 2), self.draw(1, 2)
        out = self.draw(2, 9)
        value = -1.0 if self.binary else 0.0
        if down == along:
            self.layers.append(_convolution(channels, out, kernel, stride, down, value))
        else:
            self.layers += [Border(down, along, value), _convolution(channels, out, kernel, stride, 0, value)]
        self.fan_in = channels * kernel[0] * kernel[1]
        self.shape = (
            out,
            (height + 2 * down - kernel[0]) // stride[0] + 1,
            (width + 2 * along - kernel[1]) // stride[1] + 1,
        )
        before = self.rng.random() < 0.3
        if before:
            self.pool()
        self.activation()
        if not before and self.rng.random() < 0.4:
            self.pool()

    def pool(self) -> None:
        channels, height, width = self.shape
        kernel = min(self.draw(1, 3), height), min(self.draw(1, 3), width)
        stride = self.draw(1, kernel[0]), self.draw(1, kernel[1])
        self.layers.append(nn.MaxPool2d(kernel, stride))
        self.shape = (channels, (height - kernel[0]) // stride[0] + 1, (width - kernel[1]) // stride[1] + 1)

    def activation(self) -> None:
        slot, text = ActivationSlot(self.shape[0]).eval(), expression(self.number)
        step, low = (2, -self.fan_in) if self.binary else (max(1, self.fan_in // 4), -255 * self.fan_in)
        grid = torch.arange(low, 1 - low, step)
        spread = (1.0 if self.binary else 147.0) * self.fan_in**0.5  # standard deviation of the accumulators
        draw = torch.Generator().manual_seed(self.number)
        for candidate in (text, f"sub({text}, learned)"):  # until most channels are not constant
            slot.install(parse(candidate))
            for _ in range(10):
                _randomise(slot, spread, draw)
                bits = slot.response(grid) >= 0
                if (bits.any(dim=1) != bits.all(dim=1)).float().mean() > 0.7:
                    break
            else:
                continue
            break
        self.layers.append(slot)
        self.number += 1
        self.binary = True


def _randomise(slot: ActivationSlot, spread: float, draw: torch.Generator) -> None:
    """Set batch norm and learnable parameters to random values, for accumulators with this spread."""
    with torch.no_grad():
        slot.norm.running_mean.normal_(0, 0.3 * spread, generator=draw)
        slot.norm.running_var.uniform_(0.003, 0.3, generator=draw).mul_(spread**2)
        slot.norm.weight.normal_(0, 1.5, generator=draw)
        slot.norm.bias.normal_(0, 0.7, generator=draw)
        for learned in slot.function.learned:
            learned.normal_(0, 1.5, generator=draw)


def _convolution(channels: int, out: int, kernel: Any, stride: Any, padding: int, value: float) -> nn.Module:
    return BinaryConv2d(channels, out, kernel, stride, padding, value)


@dataclass(frozen=True)
class Drawn:
    """A random network, and the other random inputs of its test."""

    model: nn.Sequential
    shape: tuple[int, ...]
    rng: np.random.Generator

    @property
    def expressions(self) -> list[str]:
        return [str(layer.function.expression) for layer in self.model if isinstance(layer, ActivationSlot)]


def drawn(seed: int) -> Drawn:
    torch.manual_seed(seed)
    drawing = Drawing(seed)
    return Drawn(drawing.network().eval(), drawing.input, drawing.rng)


def planned(net: IntegerNetwork, rng: np.random.Generator) -> Design:
    """Return a plan for a random target, or for the next feasible one."""
    target = int(rng.choice([1, 10, 50, 200, 1000, 100_000]))
    while True:
        try:
            return plan(net.network, Folding(target_cycles=target, max_pe=256, max_simd=256))
        except FoldingError:
            target *= 2


def test_the_networks_hold_every_operation() -> None:
    used = set()
    for seed in range(NETWORKS):
        for text in drawn(seed).expressions:
            used |= {node.name for node in parse(text).nodes()}
    assert set(GAAF_UNARY) | set(GAAF_BINARY) <= used


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(NETWORKS))
def test_every_form_of_a_random_network_gives_the_same_logits(
    seed: int, tmp_path: Path, runtime: Path
) -> None:
    network = drawn(seed)
    model, rng = network.model, network.rng
    x = torch.from_numpy(rng.integers(0, 256, (IMAGES, *network.shape)))
    scale = float(torch.exp(model[-1].log_scale))
    trained = torch_logits(model, x) / scale
    expected = np.rint(trained).astype(np.int64)
    assert np.abs(trained - expected).max() < 0.01

    write_qonnx(model.eval(), network.shape, tmp_path / "model.onnx")
    lowered = lower(tmp_path / "model.onnx")
    samples = x.numpy().astype(np.float32)
    assert (np.rint(lowered.scores(samples).values / scale) == expected).all()
    inputs = lowered.quantize(samples)
    assert (integer_logits(lowered.network, inputs) == expected).all()
    net, _ = remove_first_bits(lowered.network)
    assert (integer_logits(net, inputs) == expected).all()

    implementations = {name: str(rng.choice(IMPLEMENTATIONS)) for name in net.tables if rng.random() < 0.6}
    weights = {name: str(rng.choice(["block", "distributed"])) for name in net.weights}
    bare = assemble(planned(net, rng), net, Styles(weights, implementations))
    finn = execute(dataflow_model(bare, net.network.input.shape), inputs)
    assert (finn.logits.reshape(IMAGES, -1) == expected).all()
    assert finn.classes is not None and (finn.classes[:, 0] == expected.argmax(axis=1)).all()

    depths, interval = size_fifos(bare, tmp_path / "sizing", runtime)
    design = with_fifos(bare, {name: depth for name, depth in depths.items() if depth > 1})
    logits = logits_element(design)
    compiled, _ = compile_streaming(design, tmp_path / "rtl", [logits], runtime)
    flat = stream_elements(net, inputs)
    for stalls in ((0.0, 0.0), (0.3, 0.3), (0.1, 0.8), (0.8, 0.1)):
        streamed = compiled.stream(flat, stalls, seed=seed)
        assert (design_logits(design, streamed.taps[logits]) == expected).all()
        assert (streamed.outputs[:, 0] == expected.argmax(axis=1)).all()
        if stalls == (0.0, 0.0):
            assert streamed.interval == interval
