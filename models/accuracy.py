"""The share of samples that a network, or each network of a stack, classifies correctly."""

import torch
from torch import nn

from zerocross.models.data import Split

_BATCH = 1000


def accuracy(model: nn.Module, split: Split, device: torch.device | None = None) -> float:
    """Return the share of samples whose greatest logit is their label, 0..1; the model is put in eval mode.

    The lowest class wins a tie, as in the hardware's label select.
    """
    return accuracies(model, 1, split, device)[0]


@torch.no_grad()
def accuracies(model: nn.Module, size: int, split: Split, device: torch.device | None = None) -> list[float]:
    """Return the accuracy of each of the `size` networks of a stack; see `accuracy`."""
    device = device or torch.device("cpu")
    model.eval()
    right = torch.zeros(size, dtype=torch.int64)
    for x, y in zip(split.x.split(_BATCH), split.y.split(_BATCH), strict=True):
        logits = model(x.to(device).float()).cpu().unflatten(1, (size, -1))
        best = logits.max(dim=2, keepdim=True).values
        right += ((logits == best).int().argmax(dim=2) == y[:, None]).sum(dim=0)
    return [count / len(split) for count in right.tolist()]
