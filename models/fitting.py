"""The loop of a training: optimizer, schedule, averages, checkpoints, and the epochs that fit a budget of time."""

import copy
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ChainedScheduler, CosineAnnealingLR, LinearLR, LRScheduler

from zerocross.models.augmentation import draw, moved
from zerocross.models.checkpoint import Checkpoint
from zerocross.models.data import Data
from zerocross.models.finite import cause
from zerocross.models.gradients import Graphed
from zerocross.models.layers import BatchNorm
from zerocross.models.machine import repeat_results
from zerocross.models.quantizers import FixedPoint
from zerocross.models.self_binarizing import set_sharpness
from zerocross.models.stacking import infinite_networks
from zerocross.models.surrogates import Tanh, set_surrogate
from zerocross.models.thermometer import ThermometerEncoder
from zerocross.models.training_settings import TrainingSettings

_TRIAL = 0.02
"""Share of a time budget in which the speed is measured."""

_SLACK = 0.95
"""Share of a time budget that the planned epochs take, at the speed measured."""

_LATE = 1.03
"""Relative excess of the expected time over the budget from which epochs are dropped."""

_SAVE_SECONDS = 30.0
_STATISTICS_BATCH = 1000
_STATISTICS_SAMPLES = 5_000


class TrainingFailure(Exception):
    """A network could not be trained; the message is the reason."""


class Fit:
    """A training of a network, or of a stack of several, between two epochs.

    Args:
        model: Network from samples to logits. It is moved to the device and put in training mode.
        size: Number of networks in the stack; 1 for a network.
        data: Data with the training samples.
        settings: Training settings.
        seed: Seed of the order of samples and of augmentation.
        device: Device to train on.

    Attributes:
        epoch: Number of finished epochs.
        epochs: Total number of epochs.
        lost: For each network of a stack whose parameters are no longer finite, the epoch after which that was found.
    """

    def __init__(
        self,
        model: nn.Module,
        size: int,
        data: Data,
        settings: TrainingSettings,
        seed: int,
        device: torch.device,
    ) -> None:
        self.model, self.settings, self.device = model, settings, device
        self.epoch, self.epochs = 0, settings.epochs
        self.lost: dict[int, int] = {}
        self._size, self._startup = size, 0.0
        self._half = settings.precision == "bfloat16"
        self._last = self._half and data.train.x.dim() == 4
        model.to(device).train()
        if device.type == "cuda":
            repeat_results()
        if self._last:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._generator = torch.Generator().manual_seed(seed)
        # Images stay bytes until their batch is drawn, which needs a quarter of the memory.
        self._x, self._y = data.train.x.to(device), data.train.y.to(device)
        # A batch of a single sample would break batch norm.
        self._steps = max(1, min(math.ceil(len(self._y) / settings.batch_size), len(self._y) // 2))
        self._optimizer = _optimizer(model, settings)
        self._schedule()
        self._sharpening = settings.schedule()
        self._surrogate = settings.surrogate_gradient(device)
        set_surrogate(model, self._surrogate)
        self._clips = _clips(model) if settings.clip_weights else {}
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self._average = {name: p.detach().clone() for name, p in named} if settings.average else {}
        self._averaged: list[Tensor] = [p for _, p in named]
        # A captured graph reads no attributes that change, such as nu of self_binarizing.
        graphed = device.type == "cuda" and size == 1 and self._sharpening is None
        self._gradients = Graphed(self._compute, model) if graphed else self._compute

    def _schedule(self) -> None:
        self._cosine = CosineAnnealingLR(self._optimizer, self.epochs * self._steps)
        self._rates: LRScheduler | ChainedScheduler = self._cosine
        if self.settings.warmup:
            rising = max(1, round(self.settings.warmup * self.epochs * self._steps))
            linear = LinearLR(self._optimizer, 1 / (rising + 1), total_iters=rising)
            self._rates = ChainedScheduler([self._cosine, linear])

    def _compute(self, batch: Tensor) -> Tensor:
        """Compute the gradients of a batch and return its loss: a scalar, or for a stack one loss per network, (size,).

        Args:
            batch: Indices of the samples, and the rows of `zerocross.models.augmentation.draw`; (1 + rows, N).
        """
        size, settings = self._size, self.settings
        samples = moved(self._x[batch[0]].float(), batch[1:])
        if self._last:
            samples = samples.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half, cache_enabled=False):
            logits = self.model(samples)
        labels = self._y[batch[0]]
        if size > 1:
            labels = labels.repeat_interleave(size)
        # The gradient of the sum of the losses is, for each network, the gradient of its own loss.
        rows, smoothing = logits.float().reshape(len(labels), -1), settings.label_smoothing
        loss = size * nn.functional.cross_entropy(rows, labels, label_smoothing=smoothing)
        loss.backward()
        if size == 1:
            return loss.detach()
        # Not the sum's parts: a network whose loss is not a number leaves the others' losses alone.
        own = nn.functional.cross_entropy(rows.detach(), labels, reduction="none", label_smoothing=smoothing)
        return own.reshape(-1, size).mean(0)

    def _batches(self) -> tuple[Tensor, ...]:
        """Draw an epoch: what `_compute` takes, batch by batch, with one transfer to the device."""
        order = torch.randperm(len(self._y), generator=self._generator)
        parts = order.tensor_split(self._steps)
        shape, kind = tuple(self._x.shape[1:]), self.settings.augment
        moves = [draw(kind, shape, len(part), self._generator) for part in parts]
        epoch = torch.cat([order[None], torch.cat(moves, dim=1)])
        return epoch.to(self.device).tensor_split(self._steps, dim=1)

    def _step(self, batch: Tensor) -> Tensor:
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._gradients(batch)
        self._optimizer.step()
        with torch.no_grad():
            for limit, weights in self._clips.items():
                torch._foreach_clamp_min_(weights, -limit)
                torch._foreach_clamp_max_(weights, limit)
            if self._average:
                decay = math.exp(-1 / (self.settings.average * self._steps))
                torch._foreach_lerp_(list(self._average.values()), self._averaged, 1 - decay)
        return loss

    def run_epoch(self) -> list[float]:
        """Train for an epoch and return the mean loss of each network over the samples.

        Raises:
            TrainingFailure: If a parameter is no longer finite; in a stack, one of every network.
        """
        self.model.train()
        total, last = torch.zeros(self._size, device=self.device), max(1, self.epochs * self._steps - 1)
        for index, batch in enumerate(self._batches()):
            progress = min(1.0, (self.epoch * self._steps + index) / last)
            if self._sharpening is not None:
                set_sharpness(self.model, self._sharpening.nu(progress))
            if isinstance(self._surrogate, Tanh):
                self._surrogate.sharpen(progress)
            total += self._step(batch)
            self._rates.step()
        self.epoch += 1
        if self._size == 1:
            check_finite(self.model, self.epoch)
        else:
            self._find_lost()
        return [loss / self._steps for loss in total.tolist()]

    def _find_lost(self) -> None:
        """Find the networks of a stack that are lost. The others go on as if nothing had happened."""
        if _first_infinite(dict(self.model.named_parameters())) is None:
            return
        for index in infinite_networks(self.model, self._size):
            self.lost.setdefault(index, self.epoch)
        if len(self.lost) == self._size:
            raise TrainingFailure(f"no network of the stack is finite after epoch {self.epoch}")

    def seconds_per_epoch(self, budget: float) -> float:
        """Measure the speed on a copy of the network, which leaves this training as it is.

        Args:
            budget: Seconds to measure for, at least; the first steps, which are slower, are not counted.
        """
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            trial = copy.copy(self)
            trial.model = copy.deepcopy(self.model).train()
            trial._optimizer = _optimizer(trial.model, self.settings)
            trial._generator = torch.Generator().manual_seed(0)
            trial._clips = _clips(trial.model) if self.settings.clip_weights else {}
            trial._average = {name: value.clone() for name, value in self._average.items()}
            trial._averaged = [p for p in trial.model.parameters() if p.requires_grad]
            trial._gradients = trial._compute
            if isinstance(self._gradients, Graphed):
                trial._gradients = Graphed(trial._compute, trial.model)
            batches, done, started = trial._batches(), 0, time.monotonic()
            count = min(len(batches), 4)
            for batch in [batches[0], batches[-1], *batches[:count]]:
                trial._step(batch)
            _wait(self.device)
            begun = time.monotonic()
            while time.monotonic() - begun < budget or done == 0:
                for batch in batches[:count]:
                    trial._step(batch)
                _wait(self.device)
                done += count
            self._startup = begun - started
            return (time.monotonic() - begun) / done * self._steps

    def fit_to(self, seconds: float) -> None:
        """Set the number of epochs to what fits a time, before the first epoch."""
        started = time.monotonic()
        each = self.seconds_per_epoch(_TRIAL * seconds)
        left = seconds - 2 * self._startup - (time.monotonic() - started - self._startup)
        self.epochs = max(1, int(_SLACK * left / each))
        self._optimizer = _optimizer(self.model, self.settings)
        self._schedule()

    def shorten(self, epochs: int) -> None:
        """Reduce the number of epochs. The learning rate decays faster from here on, and still ends at 0."""
        self.epochs = epochs
        self._cosine.T_max = epochs * self._steps

    def finish(self) -> None:
        """Put averaged weights in place, and read the statistics of batch norms again, in float32, on plain samples.

        Running statistics follow the last batches only; see `reread_statistics`.
        """
        with torch.no_grad():
            for name, value in self._average.items():
                self.model.get_parameter(name).copy_(value)
        if self._sharpening is not None:  # a training that was restored after its last epoch has none yet
            set_sharpness(self.model, self._sharpening.nu(1.0))
        if self._last:
            self.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        reread_statistics(self.model, self._x)

    def state(self) -> dict[str, Any]:
        """Return the whole state of the training, for `restore`."""
        return {
            "epoch": self.epoch,
            "epochs": self.epochs,
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "rates": self._rates.state_dict(),
            "generator": self._generator.get_state(),
            "random": torch.get_rng_state(),
            "gpu": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "average": self._average,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from the state of an equal training."""
        self.epoch, self.epochs = state["epoch"], state["epochs"]
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._rates.load_state_dict(state["rates"])
        self._generator.set_state(state["generator"].cpu())
        torch.set_rng_state(state["random"].cpu())
        if state["gpu"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["gpu"].cpu(), self.device)
        for name, value in state["average"].items():
            self._average[name].copy_(value)


def run(
    fit: Fit,
    after_epoch: Callable[[int, list[float]], None] | None = None,
    seconds: float | None = None,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Train to the end.

    Args:
        fit: The training, before its first epoch.
        after_epoch: Function called with the epoch (from 1) and its mean loss for each network.
        seconds: Time for the training. It replaces the number of epochs: the speed is measured first, and epochs are dropped
            later only if the device becomes slower. None trains for the epochs of the settings.
        checkpoint: Where the state of the training is saved, after an epoch every 30 seconds. If its file exists, the
            training continues from it. Without `seconds`, it ends with the weights that it would have had without an
            interruption.

    Raises:
        TrainingFailure: See `Fit.run_epoch`.
        ModelError: If the checkpoint cannot be used.
    """
    started = saved = time.monotonic()
    state = checkpoint.load() if checkpoint is not None else None
    spent = checkpoint.seconds if checkpoint is not None else 0.0
    if state is not None:
        fit.restore(state)
    elif seconds is not None:
        fit.fit_to(seconds)
    begun, first = time.monotonic(), fit.epoch
    while fit.epoch < fit.epochs:
        losses = fit.run_epoch()
        if checkpoint is not None:
            checkpoint.seconds = spent + time.monotonic() - started
        if after_epoch is not None:
            after_epoch(fit.epoch, losses)
        now = time.monotonic()
        if seconds is not None:
            each = (now - begun) / (fit.epoch - first)
            left = seconds - spent - (now - started)
            if fit.epoch < fit.epochs and each * (fit.epochs - fit.epoch) > left + (_LATE - 1) * seconds:
                fit.shorten(fit.epoch + max(1, int(left / each)))
        if checkpoint is not None and now - saved > _SAVE_SECONDS:
            checkpoint.save(fit.state())
            saved = now
    fit.finish()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _weights(model: nn.Module) -> list[Tensor]:
    """Return the weights of products, and the choices and entries of tables; no thresholds of a thermometer."""
    names = ("weight", "latent", "table")
    thresholds = {id(each.latent) for each in model.modules() if isinstance(each, ThermometerEncoder)}
    return [
        p
        for name, p in model.named_parameters()
        if name.endswith(names) and p.dim() > 1 and id(p) not in thresholds
    ]


def _clips(model: nn.Module) -> dict[float, list[Tensor]]:
    """Return the weights to clip, by the largest magnitude at which they have a gradient: 1, or less for few bits.

    Weights that choose connections by their order are not among them: it would be lost at the limit.
    """
    products, found = {id(each) for each in _weights(model)}, dict[float, list[Tensor]]()
    for module in model.modules():
        few = getattr(module, "few", None)
        if few is not None and not few.fixed:
            continue
        grid = getattr(module, "grid", None)
        for name, each in module.named_parameters(recurse=False):
            if id(each) in products and name != "latent":
                limit = grid.limit if isinstance(grid, FixedPoint) and name == "weight" else 1.0
                found.setdefault(limit, []).append(each)
    return found


def _optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not settings.weight_decay:
        return torch.optim.Adam(parameters, lr=settings.learning_rate, fused=True)
    weights = _weights(model)
    known = {id(weight) for weight in weights}
    others = [parameter for parameter in parameters if id(parameter) not in known]
    groups = [
        {"params": weights, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


@torch.no_grad()
def reread_statistics(model: nn.Module, x: Tensor) -> None:
    """Set the running statistics of a network's batch norms to those of the samples, in float32, norm by norm.

    Each norm is read behind norms that have their final statistics already. If all were read at once, a norm would see bits
    that depend on the batch at hand, not those of the network as it is used: where a threshold meets a frequent
    value, a small difference flips most bits of a channel. One residual network lost 17 points of accuracy.

    Up to 5,000 samples, evenly spaced, are read.

    Args:
        model: Network; all other layers are in eval mode meanwhile, and afterwards.
        x: Samples, (N, ...).
    """
    model.eval()
    x = x[:: math.ceil(len(x) / _STATISTICS_SAMPLES)]
    batches = x.tensor_split(max(1, math.ceil(len(x) / _STATISTICS_BATCH)))
    for norm in _norms_in_order(model, batches[0]):
        momentum = norm.momentum
        norm.reset_running_stats()
        norm.momentum = None  # cumulative mean
        norm.train()
        handle = norm.register_forward_hook(_stop)
        for batch in batches:
            with suppress(_Reached):
                model(batch.float())
        handle.remove()
        norm.momentum = momentum
        norm.eval()


class _Reached(Exception):
    """A forward pass has come as far as it is needed."""


def _stop(*_: object) -> None:
    raise _Reached


def _norms_in_order(model: nn.Module, x: Tensor) -> list[BatchNorm]:
    """Return the batch norms of a network in the order in which samples meet them."""
    met = list[BatchNorm]()
    norms = [module for module in model.modules() if isinstance(module, BatchNorm)]
    handles = [norm.register_forward_pre_hook(lambda module, _: met.append(module)) for norm in norms]
    model(x.float())
    for handle in handles:
        handle.remove()
    return list(dict.fromkeys(met))


def check_finite(model: nn.Module, epoch: int) -> None:
    """Raise if a parameter is not finite. One check per epoch is enough: Adam never makes such a parameter finite again."""
    name = _first_infinite(dict(model.named_parameters()))
    if name is not None:
        raise TrainingFailure(f"{cause(model)}: {name} is no longer finite after epoch {epoch}")


def _first_infinite(parameters: dict[str, Tensor]) -> str | None:
    """Return the name of the first parameter that is not finite; None if all are."""
    norms = torch.stack(torch._foreach_norm([parameter.detach() for parameter in parameters.values()]))
    finite = torch.isfinite(norms)
    return None if bool(finite.all()) else list(parameters)[int(finite.int().argmin())]
