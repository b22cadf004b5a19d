"""Thresholds that depend on the sample: DyBNN's hyper-functions.

In "Dynamic Binary Neural Network by learning channel-wise thresholds" (Zhang et al., 2021, arXiv:2110.05185) a small
function of a layer's own input sets the thresholds of its signs, and the shifts of its PReLUs, for every channel and
sample. Here its output is a vector on the scale of the residual stream, which is added to every pixel ahead of the sign
or PReLU. In hardware the whole image waits until its vector is known.
"""

from typing import Literal

from torch import Tensor, nn

from zerocross.models.expressions import parse
from zerocross.models.layers import StreamSlot, linear

Dynamic = Literal["none", "threshold", "threshold_and_shift"]
"""Parts that depend on the sample: none, the thresholds of signs, or these and the shifts of PReLUs."""


class DynamicShift(nn.Module):
    """Adds a vector to an image; the vector is a function of the image. Shape: (N, C, H, W), kept.

    The vector is level(expand(relu(squeeze(level(mean(x)))))). `squeeze` and `expand` are fully connected, and every result
    is quantized. The vector starts at 0, because the gain of the last batch norm does.

    Args:
        channels: C.
        bits: Bits of the vector.
        scale: Scale of the stream, a power of two.
        reduction: Factor of the squeeze to C / reduction features, at least one.
        inner_bits: Bits of the mean, the features, and all weights; 1 makes the weights binary.
    """

    def __init__(
        self, channels: int, bits: int, scale: float, reduction: int = 8, inner_bits: int = 4
    ) -> None:
        super().__init__()
        squeezed = max(1, channels // reduction)
        level_bits = max(2, inner_bits)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.mean_level = StreamSlot(channels, level_bits, scale)
        self.flat = nn.Flatten()
        self.squeeze = linear(channels, squeezed, inner_bits)
        self.squeezed_level = StreamSlot(squeezed, level_bits, scale, parse("relu(x)"), signed=False)
        self.expand = linear(squeezed, channels, inner_bits)
        self.shift = StreamSlot(channels, bits, scale)
        nn.init.zeros_(self.shift.get_parameter("norm.weight"))

    def vector(self, x: Tensor) -> Tensor:
        """Return the vector for every sample, shape (N, C)."""
        mean = self.flat(self.mean_level(self.mean(x)))
        return self.shift(self.expand(self.squeezed_level(self.squeeze(mean))))

    def forward(self, x: Tensor) -> Tensor:
        """Shift every pixel."""
        return x + self.vector(x)[:, :, None, None]
