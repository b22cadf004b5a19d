"""The integers of a Brevitas layer's weights."""

import math
from typing import Any

import numpy as np
import torch


def weight_bits(module: Any) -> int | None:
    """Return the bits per weight of a layer: 1 for -1 and +1, 2..8 for integers on a power-of-two scale, else None."""
    if not module.weight_quant.is_quant_enabled:
        return None
    values, step, bits = _quantized(module)
    if bits == 1:
        return 1 if bool((values.abs() == 1).all()) else None
    whole = step.numel() == 1 and math.frexp(step.item())[0] == 0.5
    return bits if whole and 2 <= bits <= 8 else None


def integer_weights(module: Any) -> tuple[np.ndarray, float]:
    """Return a layer's integer weights in torch's layout (int8 for -1 and +1, else int16), and their scale."""
    values, step, bits = _quantized(module)
    scale = 1.0 if bits == 1 else step.item()
    return np.rint(values.numpy() / scale).astype(np.int8 if bits == 1 else np.int16), scale


def _quantized(module: Any) -> tuple[torch.Tensor, torch.Tensor, int]:
    with torch.no_grad():
        quantized = module.quant_weight()
    return quantized.value.detach().cpu(), quantized.scale.detach().cpu(), int(quantized.bit_width)


def stream_order(features: np.ndarray, image: tuple[int, ...]) -> np.ndarray:
    """Return the features of a flattened image in the order of the hardware's stream.

    torch flattens (channels, height, width); in the stream, channels vary fastest.

    Args:
        features: One row for each feature, (features, ...), in torch's order.
        image: Shape of the image, (height, width, channels), or (features,), which needs no change.
    """
    if len(image) != 3:
        return features
    height, width, channels = image
    split = features.reshape(channels, height, width, *features.shape[1:])
    return np.moveaxis(split, 0, 2).reshape(features.shape)
