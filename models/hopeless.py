"""Early end of trainings that learn nothing.

A training ends early if, after a share of its epochs, the network is no better than a guess on training samples and on all
validation samples. The look changes nothing in trainings that go on: it draws no random numbers.
"""

import math

import torch
from torch import nn

from zerocross.models.accuracy import accuracies
from zerocross.models.data import Data, Split
from zerocross.models.fitting import TrainingFailure

LOOK_SAMPLES = 1000
"""Training samples of the look; the validation samples follow only where a network is at chance on these."""

_LEAST_STEPS = 200
"""Steps before the look: by then the running statistics of batch norms describe the network."""

_DEVIATIONS = 2.0
_RELATIVE = 1.1


def guessing_limit(classes: int, samples: int) -> float:
    """Return the largest accuracy that counts as guessing, 0..1.

    It is two standard deviations above 1 / classes, and at most 1.1 / classes.

    Args:
        classes: Number of classes.
        samples: Number of samples of the accuracy.
    """
    guess = 1 / classes
    return min(_RELATIVE * guess, guess + _DEVIATIONS * math.sqrt(guess * (1 - guess) / samples))


class HopelessWatch:
    """Looks once at a training, and remembers which networks are at chance.

    Args:
        model: Network, or stack of networks.
        size: Number of networks in the stack.
        data: Data of the training.
        epochs: Epochs of the training.
        batch_size: Samples per step.
        give_up: Share of the epochs after which to look, 0..1. 1 does not look.
        device: Device of the training.

    Attributes:
        reasons: For each network, the reason to give it up, or None.
    """

    def __init__(
        self,
        model: nn.Module,
        size: int,
        data: Data,
        epochs: int,
        batch_size: int,
        give_up: float,
        device: torch.device,
    ) -> None:
        self._model, self._data, self._epochs, self._device = model, data, epochs, device
        steps = max(1, math.ceil(len(data.train) / batch_size))
        self._when = max(math.ceil(give_up * epochs), math.ceil(_LEAST_STEPS / steps))
        self._sample = Split(data.train.x[:LOOK_SAMPLES], data.train.y[:LOOK_SAMPLES])
        self.reasons: list[str | None] = [None] * size

    def look(self, epoch: int) -> None:
        """Look at the networks if this is the epoch to do so and the last epoch is still to come.

        Raises:
            TrainingFailure: If all networks are at chance.
        """
        if epoch != self._when or epoch >= self._epochs:
            return
        size, classes = len(self.reasons), self._data.classes
        seen = accuracies(self._model, size, self._sample, self._device)
        limit = guessing_limit(classes, len(self._sample))
        if min(seen) > limit:
            return
        held_out = accuracies(self._model, size, self._data.validation, self._device)
        held_out_limit = guessing_limit(classes, len(self._data.validation))
        for index, (own, other) in enumerate(zip(seen, held_out, strict=True)):
            if own <= limit and other <= held_out_limit:
                self.reasons[index] = (
                    f"stopped at chance after {epoch} of {self._epochs} epochs: accuracy {own:.1%} in training and "
                    f"{other:.1%} in validation, guessing gives {1 / classes:.1%}"
                )
        if all(self.reasons):
            raise TrainingFailure(str(self.reasons[0]))
