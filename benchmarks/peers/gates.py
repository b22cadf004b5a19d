"""Differentiable logic gates by torchlogix: random connections, learned functions of two bits.

torchlogix writes Verilog of its own, by a module that needs Python 3.12. Here the gates are written like the tables of the
other peers; synthesis packs them into 6-input tables.
"""

import math
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import torch
from circuit import Trained
from task import Task
from torch import Tensor, nn
from voting import Tables, network, voting_circuit

from zerocross.hw_search.builds.forms import classes, torch_logits
from zerocross.models.training import train

if sys.version_info < (3, 12):
    without = ModuleType("torchlogix.circuit")
    without.Circuit = None  # type: ignore[attr-defined]
    sys.modules[without.__name__] = without

from torchlogix.layers import GroupSum, LogicDense

EPOCHS = 30
TAU = 0.4
"""Temperature of the logits, in square roots of a class's number of gates; the examples of the library have 0.35 to 0.4."""


class Zeros(nn.Module):
    """Turns -1 and +1 into 0 and 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Convert bits."""
        return (x + 1) / 2


def sizes(images: bool) -> tuple[tuple[float, ...], ...]:
    """Return the sizes to train, the smallest first."""
    if images:
        return (400, 3, 1), (1000, 3, 1), (2000, 3, 1), (4000, 3, 1), (4000, 4, 3)
    return (260, 3, 7), (520, 3, 7), (1040, 3, 7), (2080, 4, 7)


def run(task: Task, folder: Path) -> Trained:
    """Train a network and write its circuit."""
    width, depth, bits = (int(each) for each in task.size)
    count = task.data.classes
    width -= width % count
    model = network(task, width, bits)
    widths = [model.get_submodule("sparse1").in_features] + [width] * depth
    gates = [LogicDense(before, after) for before, after in pairwise(widths)]
    model.sparse1, model.sparse1_sign = nn.Sequential(Zeros(), *gates), nn.Identity()
    model.classifier, model.scale = GroupSum(count, TAU * math.sqrt(width / count)), nn.Identity()
    train(model, task.data, replace(task.settings, learning_rate=0.01), task.seed)
    with torch.no_grad():
        # A gate's entries are ordered by its first input, then by its second.
        layers = [
            Tables(gate.connections.indices.flip(0).T.numpy(), gate.get_luts().numpy()) for gate in gates
        ]
    circuit = voting_circuit(model, layers, count, folder)
    return Trained(
        classes(torch_logits(model, task.test.x)), task.test.x.flatten(1).numpy().astype(int), circuit
    )
