"""Augmentation of images. The host draws what happens to each sample; the samples' device does it."""

import torch
from torch import Tensor, nn


def draw(kind: str, shape: tuple[int, ...], count: int, generator: torch.Generator) -> Tensor:
    """Draw the augmentation of a batch.

    Args:
        kind: "none", "flip" (left-right), "crop_flip" (also shifts by up to an eighth of the side) or "shift" (shifts by up
            to a sixteenth of the side, without flips, as for digits).
        shape: Shape of a sample; only images (C, H, W) change.
        count: Number of samples N.
        generator: Source of randomness, on the CPU.

    Returns:
        int64 of shape (rows, N): no rows, or a row with 1 for a flip, or this row and the shifts down and right, counted
        from minus an eighth of the side.
    """
    if kind == "none" or len(shape) != 3:
        return torch.empty((0, count), dtype=torch.int64)
    most = _reach(shape)
    if kind == "shift":
        few = max(1, shape[-1] // 16)
        moves = torch.randint(most - few, most + few + 1, (2, count), generator=generator)
        return torch.cat([torch.zeros((1, count), dtype=torch.int64), moves])
    flip = (torch.rand(count, generator=generator) < 0.5).long()[None]
    if kind == "flip":
        return flip
    return torch.cat([flip, torch.randint(0, 2 * most + 1, (2, count), generator=generator)])


def moved(x: Tensor, moves: Tensor) -> Tensor:
    """Augment a batch.

    Args:
        x: Samples (N, ...), of any type.
        moves: What `draw` drew, on the device of x.
    """
    if len(moves) == 0:
        return x
    x = torch.where((moves[0] == 1)[:, None, None, None], x.flip(3), x)
    if len(moves) == 1:
        return x
    padded = nn.functional.pad(x, [_reach(tuple(x.shape[1:]))] * 4)
    rows = moves[1][:, None] + torch.arange(x.shape[2], device=x.device)
    columns = moves[2][:, None] + torch.arange(x.shape[3], device=x.device)
    samples = torch.arange(len(x), device=x.device)[:, None, None]
    x = padded.permute(0, 2, 3, 1)[samples, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    # Images of one channel get the strides of a new tensor, which decide how a product is computed, and so its rounding.
    return x.flatten().reshape(x.shape) if x.shape[1] == 1 else x


def _reach(shape: tuple[int, ...]) -> int:
    return max(1, shape[-1] // 8)
