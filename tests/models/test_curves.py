"""The course of a training, which following it does not change."""

import math

import pytest
import torch
from torch import nn

from zerocross.models.curves import LOOKS, Curves
from zerocross.models.data import Data, load
from zerocross.models.expressions import parse
from zerocross.models.fitting import TrainingFailure
from zerocross.models.layers import install
from zerocross.models.topologies import build
from zerocross.models.training import train, train_together
from zerocross.models.training_settings import TrainingSettings

SETTINGS = TrainingSettings(epochs=12, batch_size=64)


def network(data: Data, text: str = "sin(x)") -> nn.Module:
    torch.manual_seed(0)
    model = build("mlp", data.input_shape, data.classes, {"hidden": [8]})
    install(model, [parse(text)])
    return model


def test_a_followed_training_ends_with_the_same_weights() -> None:
    data = load("digits", limit=300)
    alone, followed, curves = network(data), network(data), Curves()
    losses: list[float] = []
    train(alone, data, SETTINGS, 0)
    train(followed, data, SETTINGS, 0, after_epoch=lambda _, loss: losses.append(loss), curves=curves)
    for own, other in zip(alone.state_dict().values(), followed.state_dict().values(), strict=True):
        assert torch.equal(own, other)
    assert curves.losses == [[round(loss, 5) for loss in losses]] and len(losses) == 12
    assert len(curves.looks) == LOOKS - 1 and 12 not in curves.looks and curves.looks == sorted(curves.looks)
    assert len(curves.validation) == 1 and len(curves.validation[0]) == len(curves.looks)
    assert all(0 <= value <= 1 for value in curves.validation[0])


def test_each_network_of_a_stack_has_its_own_losses_and_accuracies() -> None:
    data, curves = load("digits", limit=300), Curves()
    texts = ("sin(x)", "square(x)")  # the bit of a square is always 1
    train_together([network(data, text) for text in texts], data, SETTINGS, 0, curves=curves)
    single = Curves()
    train(network(data), data, SETTINGS, 0, curves=single)
    assert len(curves.validation) == 2 and curves.validation[0] != curves.validation[1]
    # The stack rounds floats differently, which may move a few samples.
    assert max(abs(a - b) for a, b in zip(curves.validation[0], single.validation[0], strict=True)) < 0.2
    assert curves.losses[0] == pytest.approx(single.losses[0], rel=0.1)
    assert curves.losses[1][-1] > 1.2 * curves.losses[0][-1]


def test_a_loss_that_is_not_a_number_stays_with_its_network() -> None:
    data, curves, means = load("digits", limit=300), Curves(), list[float]()
    networks = [network(data, text) for text in ("x", "x", "sin(x)")]
    with torch.no_grad():
        (scale,) = (p for name, p in networks[1].named_parameters() if name.endswith("log_scale"))
        scale.fill_(math.nan)
    found = train_together(
        networks, data, SETTINGS, 0, after_epoch=lambda _, loss: means.append(loss), curves=curves
    )
    assert isinstance(found[1], TrainingFailure) and not isinstance(found[0], TrainingFailure)
    assert math.isnan(curves.losses[1][-1])
    assert all(math.isfinite(loss) for index in (0, 2) for loss in curves.losses[index])
    assert means[-1] == pytest.approx((curves.losses[0][-1] + curves.losses[2][-1]) / 2, abs=1e-4)
