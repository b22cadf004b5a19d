"""Training of a network, or of a stack of networks."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import nn

from zerocross.models.accuracy import accuracy
from zerocross.models.checkpoint import Checkpoint
from zerocross.models.curves import Curves
from zerocross.models.data import Data
from zerocross.models.errors import ModelError
from zerocross.models.fitting import Fit, TrainingFailure, check_finite, reread_statistics, run
from zerocross.models.hopeless import HopelessWatch
from zerocross.models.self_binarizing import set_sharpness
from zerocross.models.stacking import check_stack, stack, unstack
from zerocross.models.training_settings import TrainingSettings

_PROBE = 8


@dataclass(frozen=True)
class Binarized:
    """Validation accuracy before and after the last step of self_binarizing, from tanh to signs.

    Attributes:
        before: Accuracy with tanh(nu_end x), 0..1.
        after: Accuracy with signs, 0..1.
    """

    before: float
    after: float


def pick_device(name: str) -> torch.device:
    """Return the device with a name; "auto" is a GPU if there is one.

    Raises:
        ModelError: If the name is a GPU and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ModelError("training.device is cuda, but torch finds no GPU: use auto or cpu")
    return torch.device(name)


def train(
    model: nn.Module,
    data: Data,
    settings: TrainingSettings,
    seed: int,
    device: torch.device | None = None,
    after_epoch: Callable[[int, float], None] | None = None,
    seconds: float | None = None,
    checkpoint: Checkpoint | None = None,
    give_up: float = 1.0,
    curves: Curves | None = None,
) -> Binarized | None:
    """Train a network in place; afterwards it is in eval mode, with signs.

    Args:
        model: Network from samples of bytes to logits.
        data: Data with the training samples.
        settings: Training settings.
        seed: Seed of the order of samples and of augmentation; the caller sets the initial weights.
        device: Device to train on; the model is moved there.
        after_epoch: Function called with the epoch (from 1) and its mean loss.
        seconds: Time for the training, which replaces the number of epochs; see `zerocross.models.fitting.run`.
        checkpoint: Where the state of the training is saved; see `zerocross.models.fitting.run`.
        give_up: Share of the epochs after which a network at chance is given up; see `zerocross.models.hopeless`. 1: never.
        curves: Follows the training.

    Returns:
        The accuracies before and after the last step of self_binarizing; None for other methods.

    Raises:
        TrainingFailure: If a parameter is no longer finite after an epoch, because a gradient was not finite, or if the
            network is given up.
        ModelError: If the checkpoint cannot be used.
    """
    device = device or torch.device("cpu")
    watch = HopelessWatch(model, 1, data, settings.epochs, settings.batch_size, give_up, device)
    if curves is not None:
        curves.begin(model, 1, data, settings.epochs, device)
    run(
        Fit(model, 1, data, settings, seed, device),
        _each(after_epoch, curves, watch),
        seconds,
        checkpoint,
    )
    return _binarized(model, data, settings, device)


def train_together(
    models: Sequence[nn.Module],
    data: Data,
    settings: TrainingSettings,
    seed: int,
    device: torch.device | None = None,
    after_epoch: Callable[[int, float], None] | None = None,
    give_up: float = 1.0,
    curves: Curves | None = None,
) -> list[Binarized | TrainingFailure | None]:
    """Train several networks of one topology together, in place; afterwards they are in eval mode.

    Each network gets the same samples in the same order as it would alone with this seed. The results differ only by the
    rounding of floats, which occasionally changes a sign; the effect is at most that of another seed.

    Args:
        models: Networks that differ in weights and activations; see `zerocross.models.stacking.stack`.
        data: As for `train`.
        settings: Training settings.
        seed: Seed of the order of samples and of augmentation.
        device: Device to train on.
        after_epoch: Function called with the epoch (from 1) and its mean loss over the networks whose loss is a number.
        give_up: As for `train`. The stack ends early only if all of its networks are at chance, or none is finite any more.
        curves: Follows the stack.

    Returns:
        The result of `train` for every network, or the failure that `train` would raise.

    Raises:
        zerocross.models.stacking.Unstackable: If the layers cannot be stacked, or the stack gives other logits.
    """
    device = device or torch.device("cpu")
    for model in models:
        model.to(device)
    stacked = stack(models).to(device)
    check_stack(stacked, models, data.train.x[:_PROBE].to(device).float())
    watch = HopelessWatch(stacked, len(models), data, settings.epochs, settings.batch_size, give_up, device)
    if curves is not None:
        curves.begin(stacked, len(models), data, settings.epochs, device)
    fit = Fit(stacked, len(models), data, settings, seed, device)
    with suppress(TrainingFailure):  # all networks are at chance, or lost: each has its own reason below
        run(fit, _each(after_epoch, curves, watch))
    unstack(stacked, models)
    for model in models:
        model.eval()
    found: list[Binarized | TrainingFailure | None] = []
    for index, (model, reason) in enumerate(zip(models, watch.reasons, strict=True)):
        try:
            check_finite(model, fit.lost.get(index, settings.epochs))
            if reason is not None:
                raise TrainingFailure(reason)
            found.append(_binarized(model, data, settings, device))
        except TrainingFailure as failure:
            found.append(failure)
    return found


def _each(
    after_epoch: Callable[[int, float], None] | None, curves: Curves | None, watch: HopelessWatch
) -> Callable[[int, list[float]], None]:
    def call(epoch: int, losses: list[float]) -> None:
        if after_epoch is not None:
            numbers = [loss for loss in losses if not math.isnan(loss)]
            after_epoch(epoch, sum(numbers) / len(numbers) if numbers else math.nan)
        if curves is not None:
            curves.look(epoch, losses)
        watch.look(epoch)

    return call


def _binarized(
    model: nn.Module, data: Data, settings: TrainingSettings, device: torch.device
) -> Binarized | None:
    """Take the last step of self_binarizing, from tanh to signs; do nothing for other methods."""
    schedule = settings.schedule()
    if schedule is None:
        return None
    set_sharpness(model, schedule.nu_end)
    before = accuracy(model, data.validation, device)
    set_sharpness(model, None)
    reread_statistics(model, data.train.x.to(device))  # those of tanh are others
    return Binarized(before, accuracy(model, data.validation, device))
