"""A weightless network: one layer of 6-input tables, trained by finite differences in the manner of DWN (arXiv:2410.11112).

It is the network of our tables. Its circuit is written by a few lines of its own: every table as it is.
"""

from pathlib import Path

from circuit import Trained
from sums import EPOCHS, UNITS, sizes, trained
from task import Task
from voting import Tables, voting_circuit

from zerocross.hw_search.builds.forms import classes, torch_logits
from zerocross.models.table_neurons import TableLinear

__all__ = ["EPOCHS", "UNITS", "run", "sizes"]


def run(task: Task, folder: Path) -> Trained:
    """Train a network and write its circuit."""
    model = trained(task, "tables")
    layer = model.get_submodule("sparse1")
    assert isinstance(layer, TableLinear)
    tables = Tables(layer.chosen().numpy(), (layer.table >= 0).numpy())
    circuit = voting_circuit(model, [tables], task.data.classes, folder)
    return Trained(
        classes(torch_logits(model, task.test.x)), task.test.x.flatten(1).numpy().astype(int), circuit
    )
