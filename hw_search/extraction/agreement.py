"""Comparison of a trained network with its integer network on data."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.hw_search.extraction.integers import hardware_input
from zerocross.hw_search.extraction.scales import scales
from zerocross.models.data import Split
from zerocross.models.layers import (
    slots,
    stream_slots,
)
from zerocross.models.table_neurons import table_slots

_TIES = 20


@torch.no_grad()
def agreement(
    model: nn.Module, integer: IntegerNetwork, split: Split, batch: int = 500, whole: int = 200
) -> dict[str, Any]:
    """Compare a trained network with its integer network, on data.

    The input of every activation is looked up in the activation's table, and the result is compared with the network's
    output, bit by bit. A level counts with all its bits. The first samples also run through the whole integer network,
    including padding and pools.

    Args:
        model: The trained network.
        integer: Integer network from `zerocross.hw_search.extraction.integers.to_integer`.
        split: Samples.
        batch: Samples per batch.
        whole: Number of samples that run through the whole integer network.

    Returns:
        {"images", "bits", "differences", "end_to_end", "wrong_classes", "ties"}. Differences are possible only where a
        rounding error before a quantizer decides a tie. "ties" lists the first twenty: layer, channel and accumulator.
    """
    found = scales(integer.network, dict(model.named_modules()))
    producers = integer.network.producers()
    sites: dict[str, nn.Module] = {**slots(model), **stream_slots(model), **table_slots(model)}
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        slot.register_forward_hook(
            lambda module, args, out, name=name: seen.__setitem__(name, (args[0], out))
        )
        for name, slot in sites.items()
    ]
    device = next(model.parameters()).device
    bits = differences = 0
    ties: list[str] = []
    try:
        for x in split.x.split(batch):
            model(x.to(device).float())
            for name, (read, out) in seen.items():
                integers = found[producers[name]].integers(_last(read))
                planes = integer.network.bits(name) or 1
                made = found[name].integers(_last(out))
                expected = made[..., None] >> np.arange(planes) & 1 if planes > 1 else made[..., None] > 0
                looked = integer.tables[name].bits(np.repeat(integers, planes, axis=-1))
                wrong = np.argwhere(looked.reshape(expected.shape) != expected)
                bits, differences = bits + expected.size, differences + len(wrong)
                ties += [
                    f"{name} channel {place[-2]} at accumulator {integers[tuple(place[:-1])]}"
                    for place in wrong[: max(0, _TIES - len(ties))]
                ]
    finally:
        for hook in hooks:
            hook.remove()
    samples = split.x[:whole]
    logits = model(samples.to(device).float()).cpu()
    # The lowest class wins a tie, as in the hardware's label select.
    classes = (logits == logits.max(dim=1, keepdim=True).values).int().argmax(dim=1).numpy()
    labels = integer.run(hardware_input(samples, integer.network))["label"][:, 0]
    return {
        "images": len(split),
        "bits": bits,
        "differences": differences,
        "end_to_end": len(samples),
        "wrong_classes": int((labels != classes).sum()),
        "ties": ties,
    }


def _last(values: Tensor) -> np.ndarray:
    """Return (N, C, H, W) with channels last; (N, C) stays unchanged."""
    return np.moveaxis(values.cpu().numpy(), 1, -1)
