"""A weightless network: one layer of 6-input tables, trained by finite differences as in DWN (arXiv:2410.11112).

Encoder, votes and argmax are those of ours, so the two differ only in their neurons.
"""

from pathlib import Path

from circuit import Trained
from hardwired import sizes
from table_layer import TableLayer
from task import Task
from torch import nn
from voting import INPUTS, Tables, network, voting_circuit

from zerocross.hw_search.builds.forms import classes, torch_logits
from zerocross.models.training import train
from zerocross.models.training_settings import TrainingSettings

__all__ = ["EPOCHS", "UNITS", "run", "sizes"]

UNITS = "tables x bits of a feature"
EPOCHS = 30


def run(task: Task, folder: Path) -> Trained:
    """Train a network and write its circuit."""
    neurons, bits = task.size
    model = network(task, int(neurons), bits)
    layer = TableLayer(model.get_submodule("sparse1").in_features, int(neurons), INPUTS)
    model.sparse1, model.sparse1_sign = layer, nn.Identity()
    train(model, task.data, TrainingSettings(task.epochs, augment=task.augment), task.seed)
    tables = Tables(layer.latent.argmax(dim=-1).numpy(), (layer.table >= 0).numpy())
    circuit = voting_circuit(model, [tables], task.data.classes, folder)
    return Trained(
        classes(torch_logits(model, task.test.x)), task.test.x.flatten(1).numpy().astype(int), circuit
    )
