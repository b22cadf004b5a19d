"""Residual backbones: every binary convolution has its own shortcut, on a stream of a few bits.

The stream holds integers of `bits` bits on one power-of-two scale. A block reads the stream through a sign, convolves,
quantizes the result to the stream's integers, and adds it to the stream:

    x -> [dynamic shift] -> activation slot -> binary convolution -> batch norm, stream quantizer -> + shortcut
      -> [dynamic shift, function, stream quantizer]

A shortcut to a smaller image is the mean of 2x2 pixels. A shortcut to another number of channels is a 1x1 convolution of
the stream's levels. Both end in a batch norm and a stream quantizer. A sum is quantized again only if a function follows.

In the published networks the stream, the first and last layers, and 1x1 shortcuts are float. Here all of them are integers.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from zerocross.models.dynamic import Dynamic, DynamicShift
from zerocross.models.errors import ModelError, shown
from zerocross.models.expressions import Expression, X, parse
from zerocross.models.input_encoding import InputBits, encoder, input_channels, input_padding, quantizer_bits
from zerocross.models.layers import (
    ActivationSlot,
    BinaryConv2d,
    InputQuant,
    LogitScale,
    StreamSlot,
    conv2d,
    linear,
)

_MOST_BLOCKS = 1000


@dataclass(frozen=True)
class Style:
    """The properties that distinguish the backbones.

    Attributes:
        site: Function before a sign, unless a search installs another.
        norm: Whether a batch norm precedes that function.
        function: Function of the stream after a sum, quantized again; None for no function.
        pointwise: True if a block is a 3x3 and a 1x1 convolution, each with its shortcut; False for a 3x3 convolution
            alone.
    """

    site: Expression = X
    norm: bool = True
    function: Expression | None = None
    pointwise: bool = False


@dataclass(frozen=True)
class ResidualStream:
    """The settings of a residual stream.

    Attributes:
        bits: Bits of its quantizers, 2..8.
        scale: Scale, a power of two.
        shortcut_bits: Bits of the weights in 1x1 shortcuts; 1 for -1 and +1.
        dynamic: Parts that depend on the sample.
        reduction: Factor by which hyper-functions squeeze channels; see `DynamicShift`.
        dynamic_bits: Bits inside hyper-functions.
    """

    bits: int
    scale: float
    shortcut_bits: int = 1
    dynamic: Dynamic = "none"
    reduction: int = 8
    dynamic_bits: int = 4

    def slot(self, channels: int) -> StreamSlot:
        """Return a quantizer onto the stream."""
        return StreamSlot(channels, self.bits, self.scale)

    def shift(self, channels: int) -> nn.Module:
        """Return a dynamic shift of the stream."""
        return DynamicShift(channels, self.bits, self.scale, self.reduction, self.dynamic_bits)


def stream_scale(bits: int) -> float:
    """Return the power of two that quantizes a standard normal value with the least mean squared error.

    An initial batch norm puts standard normal values on the stream. The scale is 1 for 2 bits and halves with every further
    bit, except from 3 to 4.
    """
    return 2.0 ** (2 - bits if bits < 4 else 3 - bits)


class Block(nn.Module):
    """One binary convolution with its shortcut. Shapes: (N, C, H, W) to (N, channels, H / stride, W / stride).

    Args:
        in_channels: C.
        channels: Output channels.
        style: Style of the backbone.
        stream: Settings of the stream.
        kernel: Side of the kernel, 3 or 1; the padding ensures that only the stride shrinks the image.
        stride: 1 or 2; 2 needs even sides of the image.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        style: Style,
        stream: ResidualStream,
        kernel: int = 3,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.threshold = nn.Identity() if stream.dynamic == "none" else stream.shift(in_channels)
        self.sign = ActivationSlot(in_channels, style.site, style.norm)
        self.conv = BinaryConv2d(in_channels, channels, kernel, stride, kernel // 2)
        self.level = stream.slot(channels)
        self.shortcut = nn.Sequential()
        if stride == 2:
            self.shortcut.add_module("mean", nn.AvgPool2d(2))
            self.shortcut.add_module("mean_level", stream.slot(in_channels))
        if in_channels != channels:
            self.shortcut.add_module("conv", conv2d(in_channels, channels, stream.shortcut_bits, kernel=1))
            self.shortcut.add_module("level", stream.slot(channels))
        self.shift: nn.Module = nn.Identity()
        self.function: nn.Module = nn.Identity()
        if style.function is not None:
            if stream.dynamic == "threshold_and_shift":
                self.shift = stream.shift(channels)
            self.function = StreamSlot(channels, stream.bits, stream.scale, style.function, norm=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and add."""
        branch = self.level(self.conv(self.sign(self.threshold(x))))
        return self.function(self.shift(branch + self.shortcut(x)))


class Backbone(nn.Module):
    """A stem, stages of blocks, the mean of the image, and a classifier. Shapes: (N, C, H, W) bytes to (N, classes).

    The first block of every stage except the first halves the image. The mean is rectified, so that the classifier's
    levels count from 0 and its logits remain integers on one scale.

    Args:
        input_shape: Shape of a sample, (channels, height, width).
        classes: Number of logits.
        style: Style of the backbone.
        stream: Settings of the stream.
        widths: Channels of each stage.
        blocks: Number of blocks in each stage.
        input_bits: Encoding of the input: 8 (bytes), 1 (one bit at 128), {planes: z}: its z highest bits (2..8), or
            {thermometer: z, thresholds: quantiles, step: 1}: z bits (1..16) of each feature or channel, at quantiles of its
            training values, at `uniform` or at `learned` thresholds, which are multiples of `step` (1, 2, 4, ... 128).
        weight_bits: Bits of the weights in the stem and the classifier; 1 for -1 and +1.
        stem_kernel: Side of the stem's kernel, odd.
        stem_stride: Stride of the stem.
        cell: Function from a stage and its width to a module that replaces each block that keeps the image's size and
            width; None for no replacement.

    Raises:
        ModelError: If the network cannot be built.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        style: Style,
        stream: ResidualStream,
        widths: list[int],
        blocks: list[int],
        input_bits: InputBits = 8,
        weight_bits: int = 8,
        stem_kernel: int = 3,
        stem_stride: int = 1,
        cell: Callable[[int, int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        _check(style, stream, widths, blocks, stem_kernel, stem_stride)
        channels, *sides = input_shape
        # MobileNet's stem is half as wide as its first stage.
        width = max(1, widths[0] // 2) if style.pointwise else widths[0]
        self.input = InputQuant(quantizer_bits(input_bits))
        self._encoder, encoding = encoder(input_bits, channels)
        self.add_module(self._encoder, encoding)
        self.stem = conv2d(
            input_channels(input_bits, channels),
            width,
            weight_bits,
            kernel=stem_kernel,
            stride=stem_stride,
            padding=stem_kernel // 2,
            pad_value=input_padding(input_bits),
        )
        sides = [(side - 1) // stem_stride + 1 for side in sides]
        self.stem_level = stream.slot(width)
        self.stages = nn.Sequential()
        for index, (wide, count) in enumerate(zip(widths, blocks, strict=True)):
            stage = nn.Sequential()
            for place in range(count):
                stride = 2 if index and not place else 1
                sides = [_halved(side, index) for side in sides] if stride == 2 else sides
                if cell is not None and stride == 1 and width == wide:
                    stage.append(cell(index, wide))
                elif style.pointwise:
                    stage.append(Block(width, width, style, stream, 3, stride))
                    stage.append(Block(width, wide, style, stream, 1))
                else:
                    stage.append(Block(width, wide, style, stream, 3, stride))
                width = wide
            self.stages.append(stage)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.features = StreamSlot(width, stream.bits, stream.scale, signed=False)
        self.flat = nn.Flatten()
        self.classifier = linear(width, classes, weight_bits)
        self.scale = LogitScale(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        x = self.stages(self.stem_level(self.stem(self.get_submodule(self._encoder)(self.input(x)))))
        return self.scale(self.classifier(self.flat(self.features(self.mean(x)))))


def _check(
    style: Style,
    stream: ResidualStream,
    widths: list[int],
    blocks: list[int],
    stem_kernel: int,
    stem_stride: int,
) -> None:
    for name, values in (("widths", widths), ("blocks", blocks)):
        if not values or min(values) < 1:
            raise ModelError(f"{name} must have a positive number for each stage, not {values}")
    if sum(blocks) > _MOST_BLOCKS:
        raise ModelError(
            f"there are {shown(sum(blocks))} blocks over all stages: give at most {_MOST_BLOCKS}"
        )
    if len(widths) != len(blocks):
        raise ModelError(
            f"there are {len(widths)} widths and {len(blocks)} blocks: give one of each for every stage"
        )
    if stem_kernel < 1 or stem_kernel % 2 == 0 or stem_stride < 1:
        raise ModelError(
            f"stem_kernel must be odd and stem_stride at least 1, not {stem_kernel} and {stem_stride}"
        )
    if stream.reduction < 1:
        raise ModelError(f"reduction must be at least 1, not {stream.reduction}")
    if stream.dynamic == "threshold_and_shift" and style.function is None:
        raise ModelError(
            "dynamic: threshold_and_shift needs a backbone with PReLUs: use a reactnet, or set dynamic: threshold"
        )


def _halved(side: int, stage: int) -> int:
    if side % 2:
        raise ModelError(
            f"widths[{stage}]: an image of side {side} cannot be halved: use fewer stages, or another stem_stride"
        )
    return side // 2


RESNETE = Style()
BIREAL = Style(norm=False)
REACTNET = Style(parse("shift(x)"), norm=False, function=parse("shift(prelu(shift(x)))"))
REACTNET_MOBILENET = Style(REACTNET.site, norm=False, function=REACTNET.function, pointwise=True)
