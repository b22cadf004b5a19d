"""The early end of trainings at chance: who ends, and that the others do not change."""

import pytest
import torch
from torch import Tensor, nn

from zerocross.models.data import Data, Split, load, portion
from zerocross.models.expressions import parse
from zerocross.models.hopeless import guessing_limit
from zerocross.models.layers import install
from zerocross.models.topologies import build
from zerocross.models.training import TrainingFailure, TrainingSettings, train, train_together

SETTINGS = TrainingSettings(epochs=8, batch_size=8)
DEAD = "add(square(x), 1)"
"""An activation whose sign never changes, with which a network cannot learn."""


@pytest.fixture(scope="module")
def digits() -> Data:
    return load("digits", limit=500)


def network(text: str) -> nn.Module:
    torch.manual_seed(0)
    model = build("mlp", (1, 8, 8), 10, {"hidden": [8]})
    install(model, [parse(text)])
    return model


def weights(model: nn.Module) -> list[Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def test_a_network_at_chance_ends_and_says_when(digits: Data) -> None:
    epochs: list[int] = []
    with pytest.raises(
        TrainingFailure, match=r"stopped at chance after 4 of 8 epochs: .*guessing gives 10\.0%"
    ):
        train(
            network(DEAD),
            digits,
            SETTINGS,
            0,
            after_epoch=lambda epoch, _: epochs.append(epoch),
            give_up=0.25,
        )
    # 50 steps an epoch: 2 epochs would be a quarter, but the look waits for 200 steps.
    assert epochs == [1, 2, 3, 4]


def test_never_is_never(digits: Data) -> None:
    train(network(DEAD), digits, SETTINGS, 0)


def test_what_learns_goes_on_unchanged(digits: Data) -> None:
    alone, looked = network("x"), network("x")
    train(alone, digits, SETTINGS, 0)
    train(looked, digits, SETTINGS, 0, give_up=0.5)
    assert all(torch.equal(a, b) for a, b in zip(weights(alone), weights(looked), strict=True))


def test_of_a_stack_only_the_hopeless_fail(digits: Data) -> None:
    texts = ["x", DEAD, "sin(x)"]
    plain, looked = [network(text) for text in texts], [network(text) for text in texts]
    train_together(plain, digits, SETTINGS, 0)
    outcomes = train_together(looked, digits, SETTINGS, 0, give_up=0.5)
    assert [isinstance(outcome, TrainingFailure) for outcome in outcomes] == [False, True, False]
    assert "stopped at chance after 4 of 8 epochs" in str(outcomes[1])
    for index in (0, 2):
        pairs = zip(weights(plain[index]), weights(looked[index]), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_a_stack_of_nothing_else_ends(digits: Data) -> None:
    epochs: list[int] = []
    outcomes = train_together(
        [network(DEAD), network(DEAD)],
        digits,
        SETTINGS,
        0,
        after_epoch=lambda epoch, _: epochs.append(epoch),
        give_up=0.5,
    )
    assert len(epochs) == 4 and all("stopped at chance" in str(outcome) for outcome in outcomes)


def test_guessing_is_at_most_a_tenth_more_than_chance() -> None:
    assert guessing_limit(10, 1000) == pytest.approx(0.11)
    assert guessing_limit(2, 1000) == pytest.approx(0.5 + 0.0316, abs=1e-4)
    assert guessing_limit(2, 50) == pytest.approx(0.55)


def test_portions_are_drawn_class_by_class_and_contain_each_other(digits: Data) -> None:
    def rows(split: Split) -> set[bytes]:
        return {bytes(x.numpy().tobytes()) for x in split.x}

    few, more = portion(digits, 0.25), portion(digits, 0.5)
    assert rows(few.train) < rows(more.train) < rows(digits.train)
    whole = torch.bincount(digits.train.y).double()
    assert (torch.bincount(more.train.y) - whole / 2).abs().max() <= 0.5
    assert more.validation is digits.validation and more.fingerprint == digits.fingerprint
    assert torch.bincount(portion(digits, 1e-6).train.y).tolist() == [1] * 10
