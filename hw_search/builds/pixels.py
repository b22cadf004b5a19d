"""The scaling of an image file's pixels to a network's input, as the user declares it."""

from dataclasses import dataclass

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.host_part import run_host_part, takes_pixels_apart
from zerocross.hw_search.errors import UserError
from zerocross.models.scaling import ByteScaling


@dataclass(frozen=True)
class PixelScaling:
    """value = (pixel * scale - mean) / std, with pixels 0..255.

    Each step is rounded to float32, as by torchvision's ToTensor and Normalize.

    Attributes:
        scale: Factor of all pixels, such as 1/255.
        mean: Subtracted from each channel: one number for all channels, or one for each.
        std: Divides each channel, likewise; not 0.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def values(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels as values of the network's input, float32.

        Args:
            pixels: uint8, shape (N, channels, height, width).
        """
        mean, std = (np.array(each, np.float32).reshape(-1, 1, 1) for each in (self.mean, self.std))
        scaled = (pixels.astype(np.float64) * self.scale).astype(np.float32)
        return (scaled - mean) / std

    def check(self, shape: tuple[int, ...]) -> None:
        """Check that the scaling fits samples of a shape.

        Raises:
            UserError: If the samples are no images, or have another number of channels.
        """
        if len(shape) != 3:
            raise UserError(
                f"--scale, --mean and --std are for images, but samples have shape {shape}: omit them"
            )
        for option, values in (("--mean", self.mean), ("--std", self.std)):
            if len(values) not in (1, shape[0]):
                raise UserError(
                    f"{option} has {len(values)} numbers, but images have {shape[0]} channels: give one number for all "
                    "channels or one for each"
                )


def parse_pixels(scale: str | None, mean: str | None, std: str | None) -> PixelScaling | None:
    """Return the scaling from the options --scale, --mean and --std; None if none of them is given.

    Args:
        scale: A number or a fraction, such as 1/255.
        mean: Numbers separated by commas.
        std: Numbers separated by commas.

    Raises:
        UserError: If an option is not such a text.
    """
    if scale is None and mean is None and std is None:
        return None
    (factor, *more) = _numbers("--scale", scale or "1")
    divisors = _numbers("--std", std or "1")
    if more or not factor:
        raise UserError(f"--scale {scale}: give one number other than 0, such as 1/255")
    if 0 in divisors:
        raise UserError(f"--std {std}: give numbers other than 0")
    return PixelScaling(factor, _numbers("--mean", mean or "0"), divisors)


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        found = tuple(_number(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        found = ()
    if not found or not np.isfinite(found).all():
        raise UserError(f"{option} {text}: give numbers separated by commas, such as 0.5 or 1/255")
    return found


def _number(text: str) -> float:
    above, slash, below = text.partition("/")
    return float(above) / float(below) if slash else float(above)


def check_training(name: str, scaling: ByteScaling | None) -> None:
    """Check that pixels 0..255 are the bytes that a network was trained on.

    They are if it was trained on bytes, or on numbers from 0 to 1 or from 0 to 255.

    Args:
        name: Name of the image file, for the message.
        scaling: Scaling of the training images to bytes; None if they are bytes.

    Raises:
        UserError: If the training images had another range, such as that of normalised images.
    """
    if scaling is None or (scaling.low, scaling.high) in (((0.0,), (1.0,)), ((0.0,), (255.0,))):
        return
    low, high = scaling.low[0], scaling.high[0]
    raise UserError(
        f"{name}: the network was trained on images with values from {low:g} to {high:g}, so it is unknown which of them a "
        "pixel 0..255 is. Build again and say how a pixel becomes such a value, (pixel * scale - mean) / std, with --scale, "
        "--mean and --std, such as --scale 1/255; or give an .npy file with values of that range"
    )


def check_reach(name: str, host: ModelWrapper, shape: tuple[int, ...], bits: int) -> None:
    """Check that a network can take pixels 0..255 as they are: that the levels of its input reach that far.

    Args:
        name: Name of the image file, for the message.
        host: The host's part of the network.
        shape: Shape of a sample.
        bits: Bits of the integer network's input.

    Raises:
        UserError: If all pixels above 127 are the same to the network, or all above 1 if its input is a sign. Also if the
            host computes layers ahead of the quantizer, so that its levels say nothing about pixels.
    """
    lowest = 1 if bits == 1 else 127
    if takes_pixels_apart(host):
        dark, bright = run_host_part(host, np.stack([np.full(shape, lowest), np.full(shape, 255)]))
        if (dark != bright).any():
            return
        reason = f"the pixels {lowest} and 255 are the same to it, because the levels of its input do not reach 255"
    else:
        reason = "layers on the host come first, so it is unknown which numbers they take for pixels"
    raise UserError(
        f"{name}: the network may not take pixels 0..255: {reason}. Build again and say how a pixel becomes an input, "
        "(pixel * scale - mean) / std, with --scale, --mean and --std, such as --scale 1/255; --scale 1 takes pixels as "
        "they are"
    )
