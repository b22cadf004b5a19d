"""The recipe of a training: schedule, averages, precision, budgets of time, and resumption."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from zerocross.models import fitting
from zerocross.models.augmentation import draw, moved
from zerocross.models.checkpoint import Checkpoint
from zerocross.models.data import Data, Split, load
from zerocross.models.errors import ModelError
from zerocross.models.fitting import Fit, reread_statistics, run
from zerocross.models.layers import BatchNorm
from zerocross.models.sparse import SparseLinear
from zerocross.models.topologies import build
from zerocross.models.training import TrainingSettings, accuracy, train

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits() -> Data:
    return load("digits", limit=400)


def network(**parameters: object) -> nn.Module:
    torch.manual_seed(0)
    return build("mlp", (1, 8, 8), 10, {"hidden": [16], **parameters})


def equal(one: nn.Module, other: nn.Module) -> bool:
    twin = other.state_dict()
    return all(torch.equal(value, twin[name]) for name, value in one.state_dict().items())


RECIPES = {
    "plain": {},
    "everything": {
        "surrogate": "tanh",
        "warmup": 0.2,
        "label_smoothing": 0.1,
        "weight_decay": 0.01,
        "clip_weights": True,
        "average": 0.5,
        "augment": "crop_flip",
    },
    "self binarizing": {"method": "self_binarizing"},
}


@pytest.mark.parametrize("stopped", [3, 5])
@pytest.mark.parametrize("recipe", RECIPES)
def test_resumption_gives_the_same_weights(
    recipe: str, stopped: int, digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_SAVE_SECONDS", 0.0)
    settings = TrainingSettings(5, 64, **RECIPES[recipe])
    straight = network(dropout=0.2)
    run(Fit(straight, 1, digits, settings, 3, CPU))

    def stop(epoch: int, _: float) -> None:
        if epoch == stopped:
            raise KeyboardInterrupt

    file = tmp_path / "state.pt"
    broken = network(dropout=0.2)
    with pytest.raises(KeyboardInterrupt):
        run(Fit(broken, 1, digits, settings, 3, CPU), stop, checkpoint=Checkpoint(file))
    torch.manual_seed(99)
    again, epochs = network(dropout=0.2), list[int]()
    run(
        Fit(again, 1, digits, settings, 3, CPU),
        lambda epoch, _: epochs.append(epoch),
        checkpoint=Checkpoint(file),
    )
    assert epochs == list(range(stopped, 6))  # the epoch in which it stopped was not saved
    assert equal(again, straight)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_training_that_stopped_behind_its_last_epoch_has_the_same_weights(
    recipe: str, digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_SAVE_SECONDS", 0.0)
    settings, file = TrainingSettings(2, 64, **RECIPES[recipe]), tmp_path / "state.pt"
    straight, again = network(), network()
    run(Fit(straight, 1, digits, settings, 3, CPU), checkpoint=Checkpoint(file))
    run(Fit(again, 1, digits, settings, 3, CPU), checkpoint=Checkpoint(file))  # runs no epoch
    assert equal(again, straight)


def test_no_batch_has_a_single_sample(digits: Data) -> None:
    odd = replace(digits, train=Split(digits.train.x[:7], digits.train.y[:7]))
    for size in (1, 2, 3, 7):
        fit = Fit(network(), 1, odd, TrainingSettings(1, size), 0, CPU)
        assert all(batch.shape[1] >= 2 for batch in fit._batches())
        fit.run_epoch()


def test_a_checkpoint_of_another_training(
    digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_SAVE_SECONDS", 0.0)
    file, settings = tmp_path / "state.pt", TrainingSettings(1)
    train(network(), digits, settings, 0, checkpoint=Checkpoint(file, "one"))
    with pytest.raises(ModelError, match="belongs to another training"):
        train(network(), digits, settings, 0, checkpoint=Checkpoint(file, "other"))
    file.write_bytes(b"damaged")
    with pytest.raises(ModelError, match="is not a readable checkpoint: delete it"):
        train(network(), digits, settings, 0, checkpoint=Checkpoint(file, "one"))


def rates(settings: TrainingSettings, digits: Data) -> list[float]:
    fit, found = Fit(network(), 1, digits, settings, 0, CPU), list[float]()
    step = fit._optimizer.step
    fit._optimizer.step = lambda *a: (found.append(fit._optimizer.param_groups[0]["lr"]), step(*a))[1]  # type: ignore
    while fit.epoch < fit.epochs:
        fit.run_epoch()
    return found


def test_the_learning_rate_rises_and_decays(digits: Data) -> None:
    found = rates(TrainingSettings(4, 32, learning_rate=0.01, warmup=0.25), digits)
    steps, rising = len(found), round(0.25 * len(found))
    for step, rate in enumerate(found):
        cosine = 0.01 * (1 + math.cos(math.pi * step / steps)) / 2
        first = 1 / (rising + 1)
        assert rate == pytest.approx(cosine * min(1.0, first + (1 - first) * step / rising))


def test_a_shorter_training_still_decays_to_zero(digits: Data) -> None:
    fit = Fit(network(), 1, digits, TrainingSettings(100, 64), 0, CPU)
    fit.run_epoch()
    fit.shorten(4)
    while fit.epoch < fit.epochs:
        fit.run_epoch()
    assert fit.epoch == 4
    assert fit._optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-6)


def test_a_budget_decides_the_epochs_and_nothing_else(digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Fit, "seconds_per_epoch", lambda self, budget: setattr(self, "_startup", 0.0) or 100.0
    )
    model, epochs = network(), list[int]()
    train(
        model, digits, TrainingSettings(50), 1, seconds=330, after_epoch=lambda epoch, _: epochs.append(epoch)
    )
    assert epochs == [1, 2, 3]
    other = network()
    train(other, digits, TrainingSettings(3), 1)
    assert equal(model, other)


def test_measuring_the_speed_changes_nothing(digits: Data) -> None:
    settings = TrainingSettings(2, 64, average=1.0)
    model, other = network(dropout=0.2), network(dropout=0.2)
    fit = Fit(model, 1, digits, settings, 0, CPU)
    torch.manual_seed(5)
    assert fit.seconds_per_epoch(0.01) > 0
    run(fit)
    torch.manual_seed(5)
    run(Fit(other, 1, digits, settings, 0, CPU))
    assert equal(model, other)


def test_averages(digits: Data) -> None:
    """The average of each step's parameters replaces them."""
    model = network()
    settings = TrainingSettings(2, 64, average=0.5)
    fit = Fit(model, 1, digits, settings, 0, CPU)
    name = "dense1.weight"
    parameter, steps = model.get_parameter(name), math.ceil(len(digits.train) / 64)
    expected, decay = parameter.detach().clone(), math.exp(-1 / (0.5 * steps))
    step = fit._optimizer.step

    def watched(*arguments: object) -> object:
        nonlocal expected
        found = step(*arguments)
        expected = decay * expected + (1 - decay) * parameter.detach()
        return found

    fit._optimizer.step = watched  # type: ignore[method-assign, assignment]
    run(fit)
    torch.testing.assert_close(model.get_parameter(name).detach(), expected)


@pytest.mark.parametrize("trained", [False, True])
def test_statistics_read_again(trained: bool, digits: Data) -> None:
    model = network(dropout=0.5)
    if trained:  # reads them at its end
        run(Fit(model, 1, digits, TrainingSettings(1, 64), 0, CPU))
    else:
        reread_statistics(model, digits.train.x)
    norm = next(module for module in model.modules() if isinstance(module, BatchNorm))
    values: list[Tensor] = []
    handle = norm.register_forward_pre_hook(lambda _, inputs: values.append(inputs[0]))
    accuracy(model, digits.train)
    handle.remove()
    assert norm.running_mean is not None and norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, values[0].mean(0))
    torch.testing.assert_close(norm.running_var, values[0].var(0))
    assert norm.momentum == 0.1 and not model.training


def test_statistics_are_those_of_the_network_as_it_is_used(
    digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In small batches, a norm behind a sign sees other bits with the statistics of the batch than with the final ones.
    monkeypatch.setattr("zerocross.models.fitting._STATISTICS_BATCH", 16)
    torch.manual_seed(0)
    model = build("resnete", (1, 8, 8), 10, {"widths": [8, 16], "blocks": [1, 1], "stream_bits": 4})
    reread_statistics(model, digits.train.x)
    norms = [module for module in model.modules() if isinstance(module, BatchNorm)]
    values: dict[nn.Module, Tensor] = {}
    handles = [
        norm.register_forward_pre_hook(lambda module, inputs: values.setdefault(module, inputs[0]))
        for norm in norms
    ]
    accuracy(model, digits.train)
    for handle in handles:
        handle.remove()
    assert len(values) == len(norms) > 5
    for norm in norms:
        seen = values[norm]
        means = seen.mean([axis for axis in range(seen.dim()) if axis != 1])
        assert norm.running_mean is not None
        torch.testing.assert_close(norm.running_mean, means, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "topology",
    ["mlp", pytest.param("cnv", marks=pytest.mark.slow), pytest.param("resnete", marks=pytest.mark.slow)],
)
def test_bfloat16_learns_and_leaves_a_float32_network(topology: str) -> None:
    data = load("digits")
    parameters = {
        "mlp": {"hidden": [64]},
        "cnv": {"blocks": [[16]], "dense": [32]},
        "resnete": {"widths": [16], "blocks": [1], "stream_bits": 6},
    }[topology]
    torch.manual_seed(0)
    model = build(topology, (1, 8, 8), 10, parameters)
    train(model, data, TrainingSettings(4, 32, 1e-2, precision="bfloat16"), 0)
    assert accuracy(model, data.validation) > 0.6
    assert all(
        value.dtype != torch.bfloat16 and value.is_contiguous() for value in model.state_dict().values()
    )


def test_clipped_weights(digits: Data) -> None:
    model = network()
    train(model, digits, TrainingSettings(3, 16, learning_rate=0.5, clip_weights=True), 0)
    assert all(
        float(model.get_parameter(f"{name}.weight").detach().abs().max()) <= 1
        for name in ("dense1", "classifier")
    )


@pytest.mark.parametrize("bits, limit", [(1, 1.0), (2, 0.75), (3, 0.875)])
def test_weights_begin_and_stay_where_they_learn(digits: Data, bits: int, limit: float) -> None:
    model = build("mlp", digits.input_shape, 10, {"hidden": [16], "weight_bits": bits})
    weight = model.get_parameter("dense2.weight" if hasattr(model, "dense2") else "classifier.weight")
    assert bits == 1 or 0.9 * limit < float(weight.detach().abs().max()) <= limit
    train(model, digits, TrainingSettings(2, 16, learning_rate=0.5, clip_weights=True), 0)
    assert float(weight.detach().abs().max()) == limit


@pytest.mark.parametrize("connections", ["learned", "random"])
def test_weights_that_choose_connections_are_not_clipped(digits: Data, connections: str) -> None:
    settings = {"widths": [40], "inputs": 4, "input_bits": 1, "connections": connections}
    model = build("hardwired", digits.input_shape, 10, settings)
    train(model, digits, TrainingSettings(2, 16, learning_rate=0.5, clip_weights=True), 0)
    sparse = [module for module in model.modules() if isinstance(module, SparseLinear)]
    largest = max(float(module.weight.detach().abs().max()) for module in sparse)
    assert largest > 1 if connections == "learned" else largest == 1


def test_only_products_decay() -> None:
    x = torch.zeros((64, 1, 8, 8), dtype=torch.uint8)
    part = Split(x, torch.arange(64) % 10)
    fit = Fit(
        network(), 1, Data(part, part, (1, 8, 8), 10, ""), TrainingSettings(1, weight_decay=0.5), 0, CPU
    )
    decays = {
        group["weight_decay"]: [p.dim() for p in group["params"]] for group in fit._optimizer.param_groups
    }
    assert set(decays) == {0.0, 0.5}
    assert min(decays[0.5]) == 2 and max(decays[0.0]) == 1


def test_learned_thresholds_do_not_decay() -> None:
    x = torch.zeros((64, 1, 8, 8), dtype=torch.uint8)
    part = Split(x, torch.arange(64) % 10)
    encoding = {"thermometer": 2, "thresholds": "learned"}
    model = build("mlp", (1, 8, 8), 10, {"hidden": [8], "input_bits": encoding})
    fit = Fit(model, 1, Data(part, part, (1, 8, 8), 10, ""), TrainingSettings(1, weight_decay=0.5), 0, CPU)
    fixed = [p for group in fit._optimizer.param_groups if not group["weight_decay"] for p in group["params"]]
    assert any(p is model.thermometer.latent for p in fixed)


@pytest.mark.parametrize("kind", ["none", "flip", "crop_flip", "shift"])
@pytest.mark.parametrize("channels", [1, 3])
def test_augmentation_sample_by_sample(kind: str, channels: int) -> None:
    x = torch.randint(1, 256, (20, channels, 16, 16), dtype=torch.uint8)
    moves = draw(kind, (channels, 16, 16), 20, torch.Generator().manual_seed(0))
    found = moved(x, moves)
    if kind == "shift":  # by a pixel at most, from the middle of the border
        assert set(moves[0].tolist()) == {0} and set(moves[1:].flatten().tolist()) == {1, 2, 3}
    for index in range(20):
        image = x[index]
        if len(moves) and moves[0, index]:
            image = image.flip(2)
        if len(moves) == 3:
            down, right = (int(value) for value in moves[1:, index])
            image = nn.functional.pad(image, [2] * 4)[:, down : down + 16, right : right + 16]
        assert torch.equal(found[index], image)
