"""Training and evaluating one network."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from zerocross.models.data import Data, Split
from zerocross.models.errors import ModelError
from zerocross.models.self_binarizing import Schedule, set_sharpness
from zerocross.models.stacking import check_stack, stack, unstack

_EVALUATION_BATCH = 1000
_PROBE = 8


class TrainingFailure(Exception):
    """A network that could not be trained; the message is the reason."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained: Adam, cross entropy, a learning rate that falls along half a cosine.

    Attributes:
        epochs: passes over the training data.
        batch_size: samples a step.
        learning_rate: of the first step.
        augment: "none", "flip" (left-right) or "crop_flip" (shifts by up to an eighth of the side, too).
        method: "straight_through" trains signs by their straight-through gradient; "self_binarizing" puts tanh(nu x)
            in their place, nu growing step by step (`zerocross.models.self_binarizing`), and signs at the end.
        nu_start: of self_binarizing; see `zerocross.models.self_binarizing.Schedule`.
        nu_end: likewise.
        nu_shape: likewise.
    """

    epochs: int
    batch_size: int = 128
    learning_rate: float = 5e-3
    augment: str = "none"
    method: Literal["straight_through", "self_binarizing"] = "straight_through"
    nu_start: float = 1.0
    nu_end: float = 1000.0
    nu_shape: Literal["geometric", "linear"] = "geometric"

    def schedule(self) -> Schedule | None:
        """Return how nu grows, where it does.

        Raises:
            ModelError: if it cannot.
        """
        if self.method == "straight_through":
            return None
        return Schedule(self.nu_start, self.nu_end, self.nu_shape)


@dataclass(frozen=True)
class Binarized:
    """What the last step of self_binarizing, from tanh to signs, did to the validation accuracy.

    Attributes:
        before: share of samples right with tanh(nu_end x), 0..1.
        after: with signs.
    """

    before: float
    after: float


def pick_device(name: str) -> torch.device:
    """Return the device of a name; "auto" is a GPU where there is one.

    Raises:
        ModelError: if a GPU is asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ModelError("training.device is cuda, and torch sees no GPU here: use auto or cpu")
    return torch.device(name)


def train(
    model: nn.Module,
    data: Data,
    settings: TrainingSettings,
    seed: int,
    device: torch.device | None = None,
    after_epoch: Callable[[int, float], None] | None = None,
) -> Binarized | None:
    """Train a network in place; it is left in eval mode, its signs signs.

    Args:
        model: logits from samples of bytes.
        data: training samples are taken from it.
        settings: how.
        seed: order of the samples and augmentation; the initial weights are the caller's.
        device: where to train; the model is moved there.
        after_epoch: called with the epoch (from 1) and its mean loss.

    Returns:
        What the last step of self_binarizing did; None for other methods.

    Raises:
        TrainingFailure: if a parameter is no longer finite after an epoch, because a gradient was not.
    """
    device = device or torch.device("cpu")
    _fit(model, 1, data, settings, seed, device, after_epoch)
    return _binarized(model, data, settings, device)


def train_together(
    models: Sequence[nn.Module],
    data: Data,
    settings: TrainingSettings,
    seed: int,
    device: torch.device | None = None,
    after_epoch: Callable[[int, float], None] | None = None,
) -> list[Binarized | TrainingFailure | None]:
    """Train several networks of one topology in place, at once; they are left in eval mode.

    All see the same samples in the same order, as each would alone with this seed. What comes of it differs by the
    rounding of floats, which now and then turns a sign: as from another seed, at the most.

    Args:
        models: networks that differ in weights and activations; see `zerocross.models.stacking.stack`.
        data: as of `train`, and the others too.
        settings: how.
        seed: of the order of samples and augmentation.
        device: where to train.
        after_epoch: called with the epoch (from 1) and the networks' mean loss.

    Returns:
        For every network what `train` would return, or the failure it would raise.

    Raises:
        zerocross.models.stacking.Unstackable: if their layers cannot be stacked, or a stack gives other answers.
    """
    device = device or torch.device("cpu")
    for model in models:
        model.to(device)
    stacked = stack(models).to(device)
    check_stack(stacked, models, data.train.x[:_PROBE].to(device).float())
    _fit(stacked, len(models), data, settings, seed, device, after_epoch)
    unstack(stacked, models)
    for model in models:
        model.eval()
    found: list[Binarized | TrainingFailure | None] = []
    for model in models:
        try:
            check_finite(model, settings.epochs)
            found.append(_binarized(model, data, settings, device))
        except TrainingFailure as failure:
            found.append(failure)
    return found


def _fit(
    model: nn.Module,
    size: int,
    data: Data,
    settings: TrainingSettings,
    seed: int,
    device: torch.device,
    after_epoch: Callable[[int, float], None] | None,
) -> None:
    """Train a network, or a stack of several."""
    model.to(device).train()
    generator = torch.Generator().manual_seed(seed)
    # Images stay bytes until their batch is drawn: four times less memory.
    x, y = data.train.x.to(device), data.train.y.to(device)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, fused=True)
    steps = max(1, math.ceil(len(y) / settings.batch_size))
    sharpening = settings.schedule()
    last, step = max(1, settings.epochs * steps - 1), 0
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * steps)
    for epoch in range(1, settings.epochs + 1):
        total = torch.zeros((), device=device)
        # Batches of nearly equal size: a last one of a single sample would break batch norm.
        for batch in torch.randperm(len(y), generator=generator).to(device).tensor_split(steps):
            if sharpening is not None:
                set_sharpness(model, sharpening.nu(step / last))
            samples = augmented(x[batch].float(), settings.augment, generator)
            # The sum of the networks' losses: its gradient is each network's own.
            logits = model(samples).reshape(len(batch) * size, -1)
            loss = size * nn.functional.cross_entropy(logits, y[batch].repeat_interleave(size))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            step += 1
            total += loss.detach()
        if size == 1:
            check_finite(model, epoch)
        if after_epoch is not None:
            after_epoch(epoch, float(total) / steps / size)
    model.eval()


def _binarized(
    model: nn.Module, data: Data, settings: TrainingSettings, device: torch.device
) -> Binarized | None:
    """Take the last step of self_binarizing, where that is the method."""
    schedule = settings.schedule()
    if schedule is None:
        return None
    set_sharpness(model, schedule.nu_end)
    before = accuracy(model, data.validation, device)
    set_sharpness(model, None)
    return Binarized(before, accuracy(model, data.validation, device))


def check_finite(model: nn.Module, epoch: int) -> None:
    """Look once an epoch: what a gradient that is not finite does to a parameter, Adam never undoes."""
    parameters = dict(model.named_parameters())
    norms = torch.stack(torch._foreach_norm([parameter.detach() for parameter in parameters.values()]))
    if bool(torch.isfinite(norms).all()):
        return
    name = list(parameters)[int(torch.isfinite(norms).int().argmin())]
    raise TrainingFailure(f"{name} is no longer finite after epoch {epoch}: its gradient was not")


def augmented(x: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """Return a batch (N, ...) augmented as `TrainingSettings.augment` says; only images (N, C, H, W) are."""
    if kind == "none" or x.dim() != 4:
        return x
    flip = torch.rand(len(x), generator=generator).to(x.device, non_blocking=True) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    if kind == "crop_flip":
        reach = max(1, x.shape[-1] // 8)
        down, right = torch.randint(0, 2 * reach + 1, (2, len(x)), generator=generator).to(
            x.device, non_blocking=True
        )
        padded = nn.functional.pad(x, [reach] * 4)
        rows = down[:, None] + torch.arange(x.shape[2], device=x.device)
        columns = right[:, None] + torch.arange(x.shape[3], device=x.device)
        samples = torch.arange(len(x), device=x.device)[:, None, None]
        x = padded.permute(0, 2, 3, 1)[samples, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return x


@torch.no_grad()
def accuracy(model: nn.Module, split: Split, device: torch.device | None = None) -> float:
    """Return the share of samples whose greatest logit is their label, 0..1, in eval mode.

    Ties go to the lowest class, as in the hardware's label select.
    """
    device = device or torch.device("cpu")
    model.eval()
    right = 0
    for x, y in zip(split.x.split(_EVALUATION_BATCH), split.y.split(_EVALUATION_BATCH), strict=True):
        logits = model(x.to(device).float()).cpu()
        best = logits.max(dim=1, keepdim=True).values
        right += int(((logits == best).int().argmax(dim=1) == y).sum())
    return right / len(split)
