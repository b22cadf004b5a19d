"""The course of a training: the loss of each epoch, and the validation accuracy at a few of them."""

import math

import torch
from torch import nn

from zerocross.models.accuracy import accuracies
from zerocross.models.data import Data, Split

LOOKS = 8
"""Parts of a training. A validation accuracy is read after each but the last, whose accuracy is the result's."""

SAMPLES = 2000
"""Validation samples of a look, from the first one."""


class Curves:
    """Follows the training of a network or of a stack. It draws no random numbers and changes nothing in the training.

    Attributes:
        losses: Mean loss by network and epoch.
        looks: Epochs with a validation accuracy, ascending.
        validation: Validation accuracies by network and look, 0..1.
    """

    def __init__(self) -> None:
        self.losses: list[list[float]] = []
        self.looks: list[int] = []
        self.validation: list[list[float]] = []

    def begin(self, model: nn.Module, size: int, data: Data, epochs: int, device: torch.device) -> None:
        """Begin a training of `size` networks, with so many epochs."""
        self._model, self._size, self._device = model, size, device
        self._sample = Split(data.validation.x[:SAMPLES], data.validation.y[:SAMPLES])
        self._places = {math.ceil(epochs * part / LOOKS) for part in range(1, LOOKS)} - {epochs}
        self.looks = []
        self.losses = [[] for _ in range(size)]
        self.validation = [[] for _ in range(size)]

    def look(self, epoch: int, losses: list[float]) -> None:
        """Follow an epoch, from 1, and its mean loss for each network."""
        for course, loss in zip(self.losses, losses, strict=True):
            course.append(round(loss, 5))
        if epoch in self._places:
            self.looks.append(epoch)
            found = accuracies(self._model, self._size, self._sample, self._device)
            for own, accuracy in zip(self.validation, found, strict=True):
                own.append(round(accuracy, 5))
