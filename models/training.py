"""Training and evaluation of a network, or of a stack of networks."""

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
    """A network could not be trained; the message is the reason."""


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a training with Adam, cross entropy and a learning rate that decays along a half cosine.

    Attributes:
        epochs: Passes over the training data.
        batch_size: Samples per step.
        learning_rate: Initial learning rate.
        augment: "none", "flip" (left-right) or "crop_flip" (also shifts by up to an eighth of the side).
        method: "straight_through" trains signs with a straight-through gradient. "self_binarizing" replaces them by
            tanh(nu x), where nu grows at every step (`zerocross.models.self_binarizing`), and restores them at the end.
        nu_start: First nu of self_binarizing; see `zerocross.models.self_binarizing.Schedule`.
        nu_end: Last nu of self_binarizing.
        nu_shape: Growth of nu, "geometric" or "linear".
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
        """Return the schedule of nu; None for "straight_through".

        Raises:
            ModelError: If nu_start and nu_end are invalid.
        """
        if self.method == "straight_through":
            return None
        return Schedule(self.nu_start, self.nu_end, self.nu_shape)


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
) -> Binarized | None:
    """Train a network in place; afterwards it is in eval mode, with signs.

    Args:
        model: Network from samples of bytes to logits.
        data: Data with the training samples.
        settings: Training settings.
        seed: Seed of the order of samples and of augmentation; the caller sets the initial weights.
        device: Device to train on; the model is moved there.
        after_epoch: Function called with the epoch (from 1) and its mean loss.

    Returns:
        The accuracies before and after the last step of self_binarizing; None for other methods.

    Raises:
        TrainingFailure: If a parameter is no longer finite after an epoch, because a gradient was not finite.
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
    """Train several networks of one topology together, in place; afterwards they are in eval mode.

    Each network gets the same samples in the same order as it would alone with this seed. The results differ only by the
    rounding of floats, which occasionally changes a sign; the effect is at most that of another seed.

    Args:
        models: Networks that differ in weights and activations; see `zerocross.models.stacking.stack`.
        data: As for `train`.
        settings: Training settings.
        seed: Seed of the order of samples and of augmentation.
        device: Device to train on.
        after_epoch: Function called with the epoch (from 1) and the mean loss over the networks.

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
    # Images stay bytes until their batch is drawn, which needs a quarter of the memory.
    x, y = data.train.x.to(device), data.train.y.to(device)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, fused=True)
    steps = max(1, math.ceil(len(y) / settings.batch_size))
    sharpening = settings.schedule()
    last, step = max(1, settings.epochs * steps - 1), 0
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * steps)
    for epoch in range(1, settings.epochs + 1):
        total = torch.zeros((), device=device)
        # Batches have nearly equal sizes: a last batch with a single sample would break batch norm.
        for batch in torch.randperm(len(y), generator=generator).to(device).tensor_split(steps):
            if sharpening is not None:
                set_sharpness(model, sharpening.nu(step / last))
            samples = augmented(x[batch].float(), settings.augment, generator)
            # The gradient of the sum of the losses is, for each network, the gradient of its own loss.
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
    """Take the last step of self_binarizing, from tanh to signs; do nothing for other methods."""
    schedule = settings.schedule()
    if schedule is None:
        return None
    set_sharpness(model, schedule.nu_end)
    before = accuracy(model, data.validation, device)
    set_sharpness(model, None)
    return Binarized(before, accuracy(model, data.validation, device))


def check_finite(model: nn.Module, epoch: int) -> None:
    """Raise if a parameter is not finite. One check per epoch is enough: Adam never makes such a parameter finite again."""
    parameters = dict(model.named_parameters())
    norms = torch.stack(torch._foreach_norm([parameter.detach() for parameter in parameters.values()]))
    if bool(torch.isfinite(norms).all()):
        return
    name = list(parameters)[int(torch.isfinite(norms).int().argmin())]
    raise TrainingFailure(f"{name} is no longer finite after epoch {epoch}: its gradient was not finite")


def augmented(x: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """Return a batch (N, ...) augmented as `TrainingSettings.augment` specifies; only images (N, C, H, W) change."""
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
    """Return the share of samples whose greatest logit is their label, 0..1; the model is put in eval mode.

    The lowest class wins a tie, as in the hardware's label select.
    """
    device = device or torch.device("cpu")
    model.eval()
    right = 0
    for x, y in zip(split.x.split(_EVALUATION_BATCH), split.y.split(_EVALUATION_BATCH), strict=True):
        logits = model(x.to(device).float()).cpu()
        best = logits.max(dim=1, keepdim=True).values
        right += int(((logits == best).int().argmax(dim=1) == y).sum())
    return right / len(split)
