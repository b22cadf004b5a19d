"""Thermometer inputs: each byte becomes z bits, and bit i is +1 where the byte is at least threshold i, else -1.

A first layer of binary inputs is much smaller in hardware than one of bytes. Thresholds come from the training data
before a training starts, and stay or are learned. They are part of a network's state, like its weights.
"""

from typing import Literal

import brevitas.nn as qnn
import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from zerocross.models.quantizers import BinaryActivation

MOST_BITS = 16
_NEAR = 64.0
_RANGE = 256.0


@dataclass(frozen=True, config={"extra": "forbid"})
class Thermometer:
    """The encoding of each byte of the input as several bits.

    Attributes:
        thermometer: Bits of each feature or input channel, 1..16.
        thresholds: "quantiles" of the training values of each feature or channel, "uniform" over 0..255, or "learned": they
            begin at the quantiles, and training moves them.
        step: Thresholds are multiples of it, a power of two. A comparison looks only at the bits of a byte above it, so that
            it is a wire with 128, and one 6-input lookup table with 4 or more.
    """

    thermometer: int
    thresholds: Literal["quantiles", "uniform", "learned"] = "quantiles"
    step: Literal[1, 2, 4, 8, 16, 32, 64, 128] = 1

    def __post_init__(self) -> None:
        if not 1 <= self.thermometer <= MOST_BITS:
            raise ValueError(f"thermometer must be 1..{MOST_BITS} bits, not {self.thermometer}")


class _Comparison(torch.autograd.Function):
    """Values (N, C, 1, ...) against thresholds (C, z, ...): -1 or +1, (N, C, z, ...).

    The gradient belongs to `latent`, of the thresholds' shape, in units of `_RANGE`. It is that of a line from -1 to +1
    around the threshold, as wide as half of a byte's range.
    """

    @staticmethod
    def forward(ctx, x: Tensor, thresholds: Tensor, latent: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, thresholds)
        return (x >= thresholds).to(x.dtype).mul_(2).sub_(1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, None, Tensor]:  # type: ignore[no-untyped-def]
        x, thresholds = ctx.saved_tensors
        near = (x - thresholds).abs() < _NEAR
        slope = (gradient * near).sum(dim=0) * (-_RANGE / _NEAR)
        return None, None, slope.sum_to_size(thresholds.shape)


class ThermometerEncoder(nn.Module):
    """A thermometer of the network's bytes, behind its InputQuant.

    Shapes: (N, C) to (N, C * z), or (N, C, H, W) to (N, C * z, H, W). Bit i of channel c is channel c * z + i.

    Args:
        channels: C: each feature of a flat input has its own thresholds, and so has each channel of an image.
        encoding: Number of bits z, and the kind of thresholds.

    Attributes:
        thresholds: Integers 1..255, (C, z), "uniform" ones until `set_thresholds` reads the data; None if they are learned.
        latent: Parameter, thresholds / 256 before rounding, if they are learned; else None.
    """

    def __init__(self, channels: int, encoding: Thermometer) -> None:
        super().__init__()
        self.channels, self.bits, self.kind = channels, encoding.thermometer, encoding.thresholds
        self.step = encoding.step
        self.thresholds: Tensor | None
        self.repeats: Tensor
        uniform = _rounded(uniform_thresholds(self.bits), self.step).expand(channels, -1).clone()
        learned = self.kind == "learned"
        self.register_buffer("thresholds", None if learned else uniform)
        self.latent = nn.Parameter(uniform / _RANGE) if learned else None
        self.register_buffer("repeats", torch.arange(channels).repeat_interleave(self.bits), persistent=False)
        self.sign = qnn.QuantIdentity(act_quant=BinaryActivation, return_quant_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return -1 and +1. Except in export, skip Brevitas' bookkeeping: the values are the same."""
        image = (1,) * (x.dim() - 2)
        if self.sign.act_quant.export_mode:
            # A Gather of channels and a BipolarQuant, both of which QONNX has.
            return self.sign(x[:, self.repeats] - self.integers().reshape(1, -1, *image))
        shape = (self.channels, self.bits, *image)
        thresholds = self.integers().reshape(shape)
        latent = thresholds if self.latent is None else self.latent.reshape(shape)
        made: Tensor = _Comparison.apply(x.unsqueeze(2), thresholds, latent)
        return made.flatten(1, 2)

    def integers(self) -> Tensor:
        """Return the thresholds that the hardware compares with, integers 1..255, (C, z)."""
        if self.latent is not None:
            return _rounded(self.latent.detach() * _RANGE, self.step)
        assert self.thresholds is not None
        return self.thresholds

    @torch.no_grad()
    def set(self, thresholds: Tensor) -> None:
        """Set the thresholds, (C, z), rounded to multiples of the step."""
        found = _rounded(thresholds, self.step)
        if self.latent is not None:
            self.latent.copy_(found / _RANGE)
        elif self.thresholds is not None:
            self.thresholds.copy_(found)


def set_thresholds(model: nn.Module, samples: Tensor) -> None:
    """Set the thresholds of a network's thermometer, if it has one and reads them from the data.

    Args:
        model: Network of any kind.
        samples: Training samples, bytes, (N, features) or (N, channels, height, width).
    """
    for module in model.modules():
        if isinstance(module, ThermometerEncoder) and module.kind != "uniform":
            features = samples.flatten(1).T
            rows = features if len(features) == module.channels else samples.transpose(0, 1).flatten(1)
            module.set(quantile_thresholds(rows, module.bits, module.step))


def _rounded(thresholds: Tensor, step: int) -> Tensor:
    """Return the nearest multiples of a step within a byte's range, at least one step."""
    return (thresholds / step).round().mul(step).clamp(step, 256 - step)


def uniform_thresholds(bits: int) -> Tensor:
    """Return thresholds that divide 0..255 evenly, (bits,), float32."""
    return torch.round(torch.arange(1, bits + 1) * 256 / (bits + 1))


def quantile_thresholds(rows: Tensor, bits: int, step: int = 1) -> Tensor:
    """Return thresholds that divide the values of each row into bits + 1 classes of about equal size.

    Where more values than one class holds are the row's least one, such as black pixels, they are a class of their own, and
    the thresholds divide the others. Values of few kinds give equal thresholds. A constant row has a threshold just above
    it (for 255: 255), so that its bits are constant on these values.

    Args:
        rows: Bytes, (rows, values).
        bits: Thresholds of a row.
        step: Divisor that the thresholds should have. A threshold becomes the multiple below it where no value of the row
            lies between them, so that both divide the values alike; others stay.

    Returns:
        Integers 1..255, rising in each row, (rows, bits), float32.
    """
    counts = np.stack([np.bincount(row, minlength=256) for row in rows.cpu().numpy()])
    upto, count = counts.cumsum(axis=1), rows.shape[1]
    least = (counts > 0).argmax(axis=1)
    black = counts[np.arange(len(counts)), least]
    share = np.arange(1, bits + 1)
    places = np.where(
        (black * (bits + 1) > count)[:, None],
        black[:, None] + (share - 1) * (count - black)[:, None] // bits,
        share * count // (bits + 1),
    )
    # The value at a place among the row's sorted values: as many values are at most as large.
    found = (upto[:, None, :] <= places[:, :, None]).sum(axis=2)
    constant = (black == count)[:, None]
    found = np.where(constant, least[:, None] + 1, found)
    found = found.clip(1, 255)
    below = found // step * step
    alike = np.take_along_axis(upto, found - 1, 1) == np.take_along_axis(upto, np.maximum(below, 1) - 1, 1)
    return torch.from_numpy(np.where(alike & (below > 0), below, found)).float()
