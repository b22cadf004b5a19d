"""Training: it learns, is reproducible, and fails with a reason."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from zerocross.finn_flows.crossings import CrossingError
from zerocross.hw_search.extraction.integers import to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.models.data import Data, Split, load
from zerocross.models.errors import ModelError
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.models.operations import OPERATIONS, register_operation
from zerocross.models.topologies import build
from zerocross.models.training import TrainingFailure, TrainingSettings, accuracy, pick_device, train


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    before = dict(OPERATIONS)
    yield
    OPERATIONS.clear()
    OPERATIONS.update(before)


@pytest.fixture(scope="module")
def digits() -> Data:
    return load("digits")


def network(text: str = "x", hidden: tuple[int, ...] = (64, 64), seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = build("mlp", (1, 8, 8), 10, {"hidden": list(hidden)})
    install(model, [parse(text)])
    return model


@pytest.mark.parametrize("text", ["x", "add(sin(x), scale(x))"])
def test_digits_are_learnt(text: str, digits: Data) -> None:
    model = network(text)
    losses: list[float] = []
    train(model, digits, TrainingSettings(epochs=8), seed=0, after_epoch=lambda _, loss: losses.append(loss))
    assert accuracy(model, digits.validation) > 0.85
    assert len(losses) == 8
    assert losses[-1] < losses[0]
    assert not model.training


@pytest.fixture(scope="module")
def some_digits() -> Data:
    return load("digits", limit=400)


def weights(seed: int, initial: int, digits: Data, augment: str = "none") -> dict[str, Tensor]:
    model = network("mix(sin(x), shift(x))", (16,), initial)
    train(model, digits, TrainingSettings(epochs=2, augment=augment), seed)
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("augment", ["none", "flip", "crop_flip"])
def test_seeds_decide_everything(augment: str, some_digits: Data) -> None:
    one = weights(3, 1, some_digits, augment)
    torch.manual_seed(99)
    torch.rand(7)
    other = weights(3, 1, some_digits, augment)
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    for seed, initial in ((4, 1), (3, 2)):
        changed = weights(seed, initial, some_digits, augment)
        assert not all(torch.equal(value, changed[name]) for name, value in one.items())


def test_dropout_repeats_itself(some_digits: Data) -> None:
    found = []
    for _ in range(2):
        torch.manual_seed(5)
        model = build("mlp", (1, 8, 8), 10, {"hidden": [8], "dropout": 0.3})
        train(model, some_digits, TrainingSettings(epochs=1), seed=1)
        found.append(model.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


class _NaNGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, s: Tensor) -> Tensor:
        return x * s

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, (gradient * float("nan")).sum(dim=0, keepdim=True)


@pytest.mark.parametrize("kind", ["gradient", "value", "infinite"])
def test_what_is_no_longer_finite_fails_with_its_reason(kind: str, some_digits: Data) -> None:
    register_operation("gradient", _NaNGradient.apply, initial=(1.0,))
    register_operation("value", lambda x, s: s * x / (x - x), initial=(1.0,))
    register_operation("infinite", lambda x, s: torch.sqrt(x * 0) * s, initial=(1.0,))
    model = network(f"{kind}(shift(x))", (8,))
    with pytest.raises(
        TrainingFailure,
        match=rf"gradient (of|through) the activation {kind}\(shift\(x\)\) (is|was) not finite.* after epoch 1",
    ):
        train(model, some_digits, TrainingSettings(epochs=3), seed=0)


def test_an_undefined_value_is_no_success(some_digits: Data) -> None:
    """An activation without parameters whose value is NaN trains, but never gets a crossing table."""
    register_operation("undefined", lambda x: x.detach() * 0 + float("nan"))
    model = network("undefined(x)", (8,))
    train(model, some_digits, TrainingSettings(epochs=1), seed=0)
    with pytest.raises(CrossingError, match="not a number at accumulator"):
        to_integer(model, describe(model, some_digits.input_shape))


def test_samples_that_fill_no_batch_evenly() -> None:
    """A last batch of one sample would break batch norm."""
    x = torch.randint(0, 256, (129, 1, 8, 8), dtype=torch.uint8)
    part = Split(x, torch.arange(129) % 10)
    data = Data(part, part, (1, 8, 8), 10, "")
    train(network(hidden=(8,)), data, TrainingSettings(epochs=1, batch_size=128), seed=0)


class _Table(nn.Module):
    """Returns logits from the first pixel."""

    def __init__(self, rows: list[list[float]]) -> None:
        super().__init__()
        self.rows = torch.tensor(rows)

    def forward(self, x: Tensor) -> Tensor:
        return self.rows[x[:, 0].long()]


def test_ties_go_to_the_lowest_class() -> None:
    model = _Table([[1, 5, 5], [2, 2, 2], [0, 0, 1], [-1, -3, -1]])
    x = torch.arange(4, dtype=torch.uint8)[:, None]
    assert accuracy(model, Split(x, torch.tensor([1, 0, 2, 0]))) == 1.0
    assert accuracy(model, Split(x, torch.tensor([2, 1, 2, 2]))) == 0.25


def test_accuracy_of_more_samples_than_a_batch() -> None:
    model = _Table([[1, 0], [0, 1]])
    x = torch.arange(2501, dtype=torch.int64)[:, None] % 2
    assert accuracy(model.train(), Split(x, torch.zeros(2501, dtype=torch.int64))) == 1251 / 2501
    assert not model.training


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="training.device is cuda, but torch finds no GPU"):
        pick_device("cuda")
