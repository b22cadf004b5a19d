"""Padding of torch modules: any level, other amounts on opposite sides."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.hw_search.extraction.test_scales import check, settle
from zerocross.finn_flows.lowering.lower import lower
from zerocross.finn_flows.network import Pad
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.extraction.layers import describe
from zerocross.models.layers import (
    ActivationSlot,
    BinaryConv2d,
    BinaryLinear,
    InputQuant,
    LogitScale,
    StreamSlot,
)


class Padded(nn.Sequential):
    """Signed levels padded with 0 and with another level, a mean that pads, a pool that rounds up, signs padded with +1."""

    shape = (2, 8, 7)

    def __init__(self, by_zero: float = 0.0) -> None:
        super().__init__(
            *(InputQuant(8), BinaryConv2d(2, 4, padding=1, pad_value=0.0), StreamSlot(4, 4, 0.25)),
            *(BinaryConv2d(4, 4, padding=1, pad_value=by_zero), StreamSlot(4, 3, 0.5), nn.AvgPool2d(2, 2, 1)),
            *(
                BinaryConv2d(4, 4, padding=1, pad_value=-0.5),
                ActivationSlot(4),
                nn.MaxPool2d(3, 2, ceil_mode=True),
            ),
            *(BinaryConv2d(4, 4, padding=1, pad_value=1.0), ActivationSlot(4), nn.Flatten()),
            *(BinaryLinear(4 * 2 * 2, 5), LogitScale(16)),
        )


def test_every_integer_is_torchs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = settle(Padded())
    net = check(model)
    pads = {layer.name: layer.operation for layer in net.network.layers if isinstance(layer.operation, Pad)}
    assert pads == {
        "1_padding": Pad((1, 1, 1, 1), 0),
        "3_padding": Pad((1, 1, 1, 1), 8),
        "5_padding": Pad((1, 1, 1, 1), 4),
        "6_padding": Pad((1, 1, 1, 1), 12),
        "8_padding": Pad((0, 0, 0, 1), -1),
        "9_padding": Pad((1, 1, 1, 1), 1),
    }
    export(model, model.shape, tmp_path / "net.onnx")
    lowered = lower(tmp_path / "net.onnx").network
    assert [layer.operation for layer in lowered.network.layers if isinstance(layer.operation, Pad)] == list(
        pads.values()
    )
    x = np.random.default_rng(0).integers(0, 256, (20, 8, 7, 2))
    assert np.array_equal(lowered.run(x)["label"], net.run(x)["label"])


def test_a_value_between_levels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^3 pads levels with 0.1, which is none of them: .* pad_value=-2$"):
        describe(Padded(0.1).eval(), Padded.shape)
