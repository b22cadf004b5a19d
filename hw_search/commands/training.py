"""`zerocross train`."""

from typing import TYPE_CHECKING, Annotated

import typer

from zerocross.hw_search.commands.output import stoppable
from zerocross.hw_search.commands.searching import CONFIG, NAME, OUTPUT, SEED, SET, checked_config

if TYPE_CHECKING:
    from zerocross.hw_search.network_training import Trained


def train(
    config: CONFIG,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.05,
            help="Time for the training. The number of epochs, and with it the decay of the learning rate, follows from the "
            "measured speed. Default: training.epochs.",
        ),
    ] = None,
    output: OUTPUT = None,
    name: NAME = None,
    seed: SEED = None,
    set_: SET = None,
) -> None:
    """Train the network of a configuration without choices, and test it. An interrupted training resumes."""
    checked = checked_config(config, output, name, seed, None, None, None, set_)

    def report(record: "Trained", epoch: int, loss: float) -> None:
        found = record.log[-1]["validation"]
        if found is not None:
            typer.echo(
                f"{record.seconds:8.1f} s  epoch {epoch:4d}  loss {loss:.4f}  validation {100 * found:.2f} %"
            )

    with stoppable("Run the same command to resume from the last checkpoint (every 30 seconds)."):
        from zerocross.hw_search.network_training import WEIGHTS, train_network

        folder, record = train_network(checked, minutes, report, typer.echo)
    epochs, seconds = record.settings["epochs"], record.seconds
    typer.echo(f"{epochs} epochs in {seconds:.0f} s on {record.device}, seed {record.seed}")
    typer.echo(f"validation {100 * (record.validation or 0):.2f} %, test {100 * (record.test or 0):.2f} %")
    typer.echo(f"Weights: {folder / WEIGHTS}")
