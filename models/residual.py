"""Residual backbones: every binary convolution has a shortcut of its own, on a stream of a few bits.

The stream holds integers of `bits` bits on one power-of-two scale. A block reads it by a sign, convolves, brings the
product back on the stream, and adds it to what was there:

    x -> [dynamic shift] -> activation site -> binary convolution -> batch norm, stream quantizer -> + shortcut
      -> [dynamic shift, function, stream quantizer]

A shortcut to a smaller image is a mean of 2x2 pixels; to other channels, a 1x1 convolution of the stream's levels. Both
end in a batch norm and a stream quantizer. Sums are not quantized again, unless a function follows.

The published networks carry the stream, their first and last layer, and 1x1 shortcuts in float. Here all of them are
integers.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from zerocross.models.dynamic import Dynamic, DynamicShift
from zerocross.models.errors import ModelError
from zerocross.models.expressions import Expression, X, parse
from zerocross.models.layers import (
    ActivationSlot,
    BinaryConv2d,
    InputQuant,
    LogitScale,
    StreamSlot,
    conv2d,
    linear,
)


@dataclass(frozen=True)
class Style:
    """What sets one backbone apart from another.

    Attributes:
        site: the function ahead of a sign, where no search puts another.
        norm: whether a batch norm stands ahead of that function.
        function: the function of the stream behind a sum, quantized again; None for none.
        pointwise: a block is a 3x3 and a 1x1 convolution, each with its shortcut; else a 3x3 convolution alone.
    """

    site: Expression = X
    norm: bool = True
    function: Expression | None = None
    pointwise: bool = False


@dataclass(frozen=True)
class Stream:
    """The numbers of a residual stream.

    Attributes:
        bits: of its quantizers, 2..8.
        scale: a power of two.
        shortcut_bits: of the weights of 1x1 shortcuts; 1 for -1 and +1.
        dynamic: what depends on the sample.
        reduction: how much hyper-functions squeeze; see `DynamicShift`.
        dynamic_bits: bits inside hyper-functions.
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

    That is what a batch norm at its start puts on the stream: 1 for 2 bits, halved for every further bit, but not from
    3 to 4.
    """
    return 2.0 ** (2 - bits if bits < 4 else 3 - bits)


class Block(nn.Module):
    """One binary convolution with its shortcut. Shapes: (N, C, H, W) to (N, channels, H / stride, W / stride).

    Args:
        in_channels: C.
        channels: outputs.
        style: what stands where.
        stream: its numbers.
        kernel: 3 or 1, padded so that only the stride shrinks the image.
        stride: 1 or 2; 2 needs even sides.
    """

    def __init__(
        self, in_channels: int, channels: int, style: Style, stream: Stream, kernel: int = 3, stride: int = 1
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

    The first block of every stage but the first halves the image. The mean is rectified, so that the classifier's
    levels count from 0 and its logits stay integers on one scale.

    Args:
        input_shape: (channels, height, width).
        classes: number of logits.
        style: what stands where.
        stream: its numbers.
        widths: channels of each stage.
        blocks: blocks of each stage.
        input_bits: 8 or 1.
        weight_bits: of the stem and the classifier; 1 for -1 and +1.
        stem_kernel: side of the stem's kernel, odd.
        stem_stride: the stem's stride.
        cell: from a stage and its width, what stands in a block's place wherever the image and the width stay the same.

    Raises:
        ModelError: for what cannot be built.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        style: Style,
        stream: Stream,
        widths: list[int],
        blocks: list[int],
        input_bits: int = 8,
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
        self.input = InputQuant(input_bits)
        self.stem = conv2d(
            channels,
            width,
            weight_bits,
            kernel=stem_kernel,
            stride=stem_stride,
            padding=stem_kernel // 2,
            pad_value=0.0 if input_bits == 8 else -1.0,
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
        x = self.stages(self.stem_level(self.stem(self.input(x))))
        return self.scale(self.classifier(self.flat(self.features(self.mean(x)))))


def _check(
    style: Style, stream: Stream, widths: list[int], blocks: list[int], stem_kernel: int, stem_stride: int
) -> None:
    for name, values in (("widths", widths), ("blocks", blocks)):
        if not values or min(values) < 1:
            raise ModelError(f"{name} must have a positive number for each stage, not {values}")
    if len(widths) != len(blocks):
        raise ModelError(f"{len(widths)} widths and {len(blocks)} blocks: give one of each for every stage")
    if stem_kernel < 1 or stem_kernel % 2 == 0 or stem_stride < 1:
        raise ModelError(
            f"stem_kernel must be odd and stem_stride at least 1, not {stem_kernel} and {stem_stride}"
        )
    if stream.reduction < 1:
        raise ModelError(f"reduction must be at least 1, not {stream.reduction}")
    if stream.dynamic == "threshold_and_shift" and style.function is None:
        raise ModelError(
            "dynamic: threshold_and_shift needs a backbone with PReLUs: use a reactnet, or dynamic: threshold"
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
