"""The command `zerocross`. The commands import all heavy packages themselves, so that --help answers at once."""

import signal
from types import FrameType
from typing import Annotated, NoReturn

import typer

from zerocross.hw_search.commands import streams
from zerocross.hw_search.commands.building import build, infer, lower
from zerocross.hw_search.commands.exporting import export
from zerocross.hw_search.commands.information import activations, configuration, doctor
from zerocross.hw_search.commands.output import Terminated, fail
from zerocross.hw_search.commands.reporting import report
from zerocross.hw_search.commands.retraining import retrain
from zerocross.hw_search.commands.searching import run, search
from zerocross.hw_search.commands.tables import compare, tabulate
from zerocross.hw_search.commands.training import train
from zerocross.hw_search.commands.zoo import zoo


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"zerocross {version('zerocross')}")
        raise typer.Exit


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for command in (
    run,
    search,
    train,
    build,
    infer,
    export,
    lower,
    retrain,
    report,
    tabulate,
    compare,
    doctor,
    activations,
    configuration,
):
    app.command()(command)
app.add_typer(zoo, name="zoo")


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Co-design of binary neural networks, their activation functions and their FPGA accelerators."""


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def main() -> None:
    """Run the command line. A user's mistake results in one message and exit status 1."""
    signal.signal(signal.SIGTERM, _terminate)
    streams.set_up()
    try:
        app()
    except Exception as error:
        from zerocross.finn_flows.errors import FlowError
        from zerocross.hw_search.errors import UserError
        from zerocross.models.errors import ModelError
        from zerocross.reports.build_storage import UnreadableBuild
        from zerocross.reports.storage import UnreadableRun
        from zerocross.reports.vendor_reports import UnreadableReport

        mistakes = UserError, FlowError, ModelError, UnreadableRun, UnreadableBuild, UnreadableReport
        if not isinstance(error, mistakes):
            raise
        fail(str(error))
