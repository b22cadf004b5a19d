"""A weightless network: one layer of 6-input tables, trained by finite differences as in DWN (arXiv:2410.11112).

It is trained as our tables are, but its circuit is written by a few lines of its own: every table as it is.
"""

from pathlib import Path

from circuit import Trained
from sums import sizes
from task import Task
from voting import Tables, network, voting_circuit

from zerocross.hw_search.builds.forms import classes, torch_logits
from zerocross.models.table_neurons import TableLinear
from zerocross.models.training import train
from zerocross.models.training_settings import TrainingSettings

__all__ = ["EPOCHS", "UNITS", "run", "sizes"]

UNITS = "tables x bits of a feature"
EPOCHS = 30


def run(task: Task, folder: Path) -> Trained:
    """Train a network and write its circuit."""
    neurons, bits = task.size
    model = network(task, int(neurons), bits, "tables")
    train(model, task.data, TrainingSettings(task.epochs, augment=task.augment), task.seed)
    layer = model.get_submodule("sparse1")
    assert isinstance(layer, TableLinear)
    tables = Tables(layer.chosen().numpy(), (layer.table >= 0).numpy())
    circuit = voting_circuit(model, [tables], task.data.classes, folder)
    return Trained(
        classes(torch_logits(model, task.test.x)), task.test.x.flatten(1).numpy().astype(int), circuit
    )
