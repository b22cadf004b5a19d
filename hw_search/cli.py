"""The command `zerocross`. Everything heavy is imported inside the commands: --help must answer at once."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any, NoReturn

import typer

app = typer.Typer(
    help="Co-design of binary neural networks, their activation functions and their FPGA accelerators.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


_CONFIG = Annotated[Path, typer.Argument(help="YAML file: what to search. See docs/configuration.md.")]
_OUTPUT = Annotated[str | None, typer.Option(help="Folder of all runs, instead of the file's.")]
_NAME = Annotated[str | None, typer.Option(help="The run's name, instead of the file's.")]
_SEED = Annotated[int | None, typer.Option(help="Instead of search.seed.")]
_WORKERS = Annotated[int | None, typer.Option(help="Worker processes, instead of search.workers.")]
_SET = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any field: --set search.generations=3. May be repeated."),
]


@app.command()
def run(
    config: _CONFIG,
    output: _OUTPUT = None,
    name: _NAME = None,
    seed: _SEED = None,
    workers: _WORKERS = None,
    set_: _SET = None,
) -> None:
    """Search, then build a network of the front for each target; or go on where that was interrupted."""
    folder, checked = _search(config, output, name, seed, workers, set_)
    for target in checked.build.targets:
        typer.echo(f"\nBuilding for {target}")
        _build(
            folder,
            pick=checked.build.pick,
            epochs=checked.build.epochs,
            target=target,
            clock_mhz=checked.build.clock_mhz,
            images=checked.build.images,
        )


@app.command()
def search(
    config: _CONFIG,
    output: _OUTPUT = None,
    name: _NAME = None,
    seed: _SEED = None,
    workers: _WORKERS = None,
    set_: _SET = None,
) -> None:
    """Search activations, architecture and folding; or go on with a search that was interrupted."""
    _search(config, output, name, seed, workers, set_)


def _search(
    path: Path,
    output: str | None,
    name: str | None,
    seed: int | None,
    workers: int | None,
    set_: list[str] | None,
) -> tuple[Path, Any]:
    from hw_search.config import load_config
    from hw_search.progress import Terminal

    overrides = {"output": output, "name": name, "search.seed": seed, "search.workers": workers}
    overrides = {key: value for key, value in overrides.items() if value is not None} | _assignments(
        set_ or []
    )
    checked = load_config(path, overrides)
    with (
        _stoppable("what was evaluated is kept: run the same command to go on"),
        Terminal(seeds=checked.search.seeds) as watcher,
    ):
        from hw_search.pipeline import search as run_search

        result = run_search(checked, watcher)
    if not result.trained:
        typer.echo("This search was finished before: nothing new had to be trained.")
    _tell(result.run)
    typer.echo(f"\nReport: {result.folder / 'report.html'}")
    return result.folder, checked


@app.command()
def build(
    source: Annotated[Path, typer.Argument(help="A run's folder, such as runs/digits, or a QONNX file.")],
    target: Annotated[str, typer.Option(help="A board or part: `zerocross doctor --parts` lists them.")],
    pick: Annotated[
        str,
        typer.Option(
            help="Of a run: an id, knee, best (least error), smallest (fewest LUTs), searched (best but plain signs)."
        ),
    ] = "knee",
    clock: Annotated[
        float | None, typer.Option(help="The design's clock in MHz; the board's own where left out.")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Train the network anew for so long, instead of taking the run's weights."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of that training.")] = None,
    cycles: Annotated[
        int | None,
        typer.Option(help="Most cycles an image may take in any node, instead of the search's folding."),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Test images run through every form, at most.")] = 1000,
    data: Annotated[
        Path | None, typer.Option(help="Of a QONNX file: an .npz file with x_test and y_test to compare on.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Where a layer's weights are kept: --weights fc1=distributed (or block). Repeatable."
        ),
    ] = None,
    way: Annotated[
        list[str] | None,
        typer.Option(
            help="How a layer's crossings are built: --way act1=table (comparators, search). Repeatable."
        ),
    ] = None,
    gate_level: Annotated[
        bool, typer.Option("--gate-level", help="Simulate the mapped netlist too.")
    ] = False,
    route: Annotated[bool, typer.Option(help="Place and route, where open tools can.")] = True,
    route_seed: Annotated[int, typer.Option(help="Of place and route.")] = 1,
    output: Annotated[
        Path | None,
        typer.Option(help="The build's folder; builds/<network>-<target> beside the source by default."),
    ] = None,
) -> None:
    """Make an accelerator of a network: simulated, synthesised, placed and routed, with its report."""
    _build(
        source,
        pick=pick,
        epochs=epochs,
        seed=seed,
        data=data,
        output=output,
        target=target,
        clock_mhz=clock,
        cycles=cycles,
        images=images,
        weights=_pairs("--weights", weights or []),
        ways=_pairs("--way", way or []),
        gate_level=gate_level,
        route=route,
        route_seed=route_seed,
    )


def _build(
    source: Path,
    pick: str,
    epochs: int | None = None,
    seed: int | None = None,
    data: Path | None = None,
    output: Path | None = None,
    **options: Any,
) -> None:
    from hw_search.build_progress import BuildTerminal

    with _stoppable("what was finished is kept: run the same command to go on"), BuildTerminal() as watcher:
        watcher.stage("loading", "torch, Brevitas and FINN")
        from hw_search.building import BuildOptions
        from hw_search.building import build as run_build
        from hw_search.subject import from_source

        subject = from_source(source, pick, epochs, seed, data)
        beside = source if source.is_dir() else source.parent
        folder = output or beside / "builds" / f"{subject.origin.name}-{options['target'].lower()}"
        result = run_build(subject, BuildOptions(**options), folder, watcher)
    _tell_build(result.build)
    typer.echo(f"\nReport: {result.folder / 'report.html'}")


@app.command()
def infer(
    build: Annotated[Path, typer.Argument(help="A build's folder.")],
    images: Annotated[list[Path] | None, typer.Argument(help="Image files, or .npy arrays.")] = None,
    port: Annotated[str | None, typer.Option(help="The board's serial device, such as /dev/ttyUSB0.")] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Simulate the board and its serial line.")
    ] = False,
    test: Annotated[int, typer.Option(min=0, help="Send so many samples of the test set, too.")] = 0,
) -> None:
    """Send samples to a built accelerator over the board's serial line, and get their classes."""
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from hw_search.errors import UserError

    if simulate == (port is not None):
        raise UserError("say where the accelerator is: --port /dev/ttyUSB0 for a board, or --simulate")
    with _stoppable("no sample was left half sent"), Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("simulating" if simulate else "talking to the board", total=None)
        from hw_search.building import cache_folder
        from hw_search.inference import infer as run_infer

        found = run_infer(
            build,
            images or [],
            test,
            port,
            lambda done, of: progress.update(task, completed=done, total=of),
            cache_folder(),
        )
    table = Table("sample", "class", "network says", *([] if found.labels is None else ["label"]))
    for index, name in enumerate(found.names):
        label = [] if found.labels is None else [str(found.labels[index])]
        table.add_row(name, str(found.classes[index]), str(found.expected[index]), *label)
    Console().print(table)
    wrong = int((found.classes != found.expected).sum())
    typer.echo(f"{len(found.names)} samples, {wrong} answers other than the network's")
    if found.labels is not None:
        typer.echo(f"accuracy on them: {100 * float((found.classes == found.labels).mean()):.1f} %")
    if wrong:
        sys.exit(1)


@app.command()
def lower(
    model: Annotated[Path, typer.Argument(help="A QONNX file, from Brevitas or anywhere.")],
    output: Annotated[
        Path | None, typer.Option(help="The integer network (.npz); beside the file by default.")
    ] = None,
) -> None:
    """Absorb every activation of a QONNX file into crossings, and say what became of it."""
    from rich.console import Console
    from rich.table import Table

    from finn_flows.lowering.lower import lower as run_lower
    from finn_flows.lowering.storage import save

    lowered = run_lower(model)
    table = Table(
        "activation", "operations absorbed", "channels", "levels", "grid", "crossings: least", "mean", "most"
    )
    for site in lowered.sites:
        counts = (f"{site.points:,}", str(site.least), f"{site.mean:.1f}", str(site.most))
        table.add_row(site.name, " ".join(site.operations), str(site.channels), str(site.levels), *counts)
    Console().print(table)
    path = output or model.with_suffix(".npz")
    save(lowered.network, path)
    typer.echo(f"Integer network: {path}")


@app.command()
def report(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="A run's folder; or builds, FINN's output folders or Vivado's among them, to compare."
        ),
    ],
    output: Annotated[Path, typer.Option(help="The page of a comparison.")] = Path("comparison.html"),
) -> None:
    """Write a run's or a build's page again; or compare builds side by side."""
    from hw_search.files import write_text
    from reports.build_storage import BUILD
    from reports.storage import PARETO, load_run

    if len(folders) == 1 and not (folders[0] / BUILD).exists() and (folders[0] / PARETO).exists():
        from reports.page import render

        loaded = load_run(folders[0])
        _tell(loaded)
        path, text = folders[0] / "report.html", render(loaded)
    else:
        from reports.build_page import render_build, render_comparison
        from reports.build_reading import read_build

        builds = [read_build(folder) for folder in folders]
        for built in builds:
            _tell_build(built)
        alone = len(builds) == 1 and (folders[0] / BUILD).exists()
        path = folders[0] / "report.html" if alone else output
        text = render_build(builds[0]) if alone else render_comparison(builds)
    write_text(path, text)
    typer.echo(f"\nReport: {path}")


@app.command()
def doctor(
    parts: Annotated[bool, typer.Option("--parts", help="List the parts and boards known.")] = False,
) -> None:
    """Say what is installed, what is missing, and what each missing thing would give."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if parts:
        from finn_flows.chip.boards import TARGETS
        from finn_flows.parts import BOARDS, PARTS

        title = "Bitstreams: by Vivado for AMD parts, else with open tools for bare parts and boards with a *"
        table = Table(title=title, title_justify="left")
        for column in ("part", "LUT", "FF", "BRAM18", "DSP"):
            table.add_column(column, no_wrap=True)
        table.add_column("boards", overflow="fold")
        for part in PARTS:
            boards = [board for board, name in BOARDS.items() if name == part.name]
            marked = ", ".join(f"{board}*" if board in TARGETS else board for board in boards)
            numbers = (f"{value:,}" for value in (part.luts, part.ffs, part.bram18, part.dsps))
            table.add_row(part.name, *numbers, marked)
        console.print(table)
        return
    from hw_search.doctor import findings

    table = Table("", "what", "found", "what it gives")
    missing = []
    for finding in findings():
        mark = "[green]✓" if finding.state else "[red]✗" if finding.needed else "[yellow]-"
        table.add_row(mark, finding.name, finding.state or "missing", finding.gives)
        if finding.needed and not finding.state:
            missing.append(finding.name)
    console.print(table)
    if missing:
        _fail(f"missing: {', '.join(missing)}")
    typer.echo("Everything a search needs is here.")


@app.command()
def activations(
    expression: Annotated[
        str | None,
        typer.Argument(help="An expression or a preset; without one, all operations and presets are listed."),
    ] = None,
    fan_in: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Fan-in K of the binary product ahead of it.")
    ] = 64,
    html: Annotated[Path | None, typer.Option(help="Also write the curve as an interactive page.")] = None,
) -> None:
    """Look at one expression: its curve, its crossings at a fan-in, and what they cost."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if expression is None:
        from models.operations import OPERATIONS
        from models.presets import PRESETS

        table = Table(
            "operation", "operands", "formula", "learnable", title="Operations", title_justify="left"
        )
        for operation in OPERATIONS.values():
            initial = ", ".join(f"from {value:g}" for value in operation.initial)
            table.add_row(operation.name, str(operation.arity), operation.description, initial)
        console.print(table)
        table = Table("preset", "expression", "where it comes from", title="Presets", title_justify="left")
        for name, (text, source) in PRESETS.items():
            table.add_row(name, text, source)
        console.print(table)
        return
    from hw_search.inspection import inspect, picture
    from models.presets import resolve

    found = inspect(resolve(expression), fan_in)
    places = found.site.curves[0].crossings
    typer.echo(
        f"{found.expression}    {found.parameters} learnable parameters a channel, canonical key {found.key}\n"
    )
    typer.echo(picture(found.site))
    listed = ", ".join(str(place) for place in places[:16]) + (", ..." if len(places) > 16 else "")
    where = f" at accumulators {listed}" if places else ""
    typer.echo(
        f"\n{len(places)} crossings on the {fan_in + 1} values of fan-in {fan_in}, x = a / sqrt({fan_in}){where}"
    )
    if found.constant is not None:
        typer.echo(
            f"Its bit is always {found.constant}, whatever it learns: a search turns it away untrained."
        )
    table = Table(
        "PE", "LUT6", "BRAM18", "built as", title="64 such channels (estimate)", title_justify="left"
    )
    for pe, price in found.prices.items():
        table.add_row(str(pe), f"{price.lut:,.0f}", str(price.bram18), price.way)
    console.print(table)
    if html is not None:
        from hw_search.files import write_text
        from reports.figure_curves import curves

        write_text(html, curves(found.site).to_html(include_plotlyjs=True))
        typer.echo(f"Curve: {html}")


@app.command()
def configuration() -> None:
    """Print the configuration reference (Markdown), made from the program itself."""
    from hw_search.reference import reference

    typer.echo(reference(), nl=False)


def _assignments(texts: list[str]) -> dict[str, Any]:
    import yaml

    from hw_search.errors import UserError

    found = {}
    for text in texts:
        key, mark, value = text.partition("=")
        if not mark:
            raise UserError(f"--set {text}: write it as field=value")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"--set {text}: the value is no valid YAML") from None
    return found


@contextmanager
def _stoppable(remedy: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        _fail(f"stopped: {remedy}", 130)


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    from hw_search.errors import UserError

    found = {}
    for text in texts:
        key, mark, value = text.partition("=")
        if not mark:
            raise UserError(f"{option} {text}: write it as layer=value")
        found[key] = value
    return found


def _tell_build(built: Any) -> None:
    """Print a build's numbers."""
    from rich.console import Console

    from reports.build_summary import build_table

    Console().print(build_table(built))


def _tell(run: Any) -> None:
    """Print a run's front and verdict."""
    from rich.console import Console
    from rich.table import Table

    seeds = max((len(net.seeds) for net in run.front), default=0)
    title = f"{run.name}: front. Accuracy: mean and deviation of {seeds} seeds; costs are estimates"
    table = Table(title=title, title_justify="left")
    table.add_column("id", no_wrap=True)
    table.add_column("activation", overflow="fold")
    table.add_column("choices", overflow="fold")
    for column in ("test %", "LUT", "BRAM", "II"):
        table.add_column(column, justify="right", no_wrap=True)
    for net in run.front:
        choices = ", ".join(str(value) for value in net.choices.values())
        costs = (f"{net.metrics[name]:,.0f}" for name in ("lut", "bram", "ii"))
        name = "plain sign" if net.reference else net.expression
        table.add_row(net.id, name, choices, _mean_and_deviation(net.test), *costs)
    Console().print(table)
    typer.echo(run.verdict)


def _mean_and_deviation(values: list[float]) -> str:
    deviation = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * fmean(values):.1f}{deviation}"


def _fail(message: str, code: int = 1) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    sys.exit(code)


def main() -> None:
    """Run the command line; a user's mistake becomes one message and exit status 1."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except Exception as error:
        from finn_flows.errors import FlowError
        from hw_search.errors import UserError
        from models.errors import ModelError
        from reports.build_storage import UnreadableBuild
        from reports.storage import UnreadableRun
        from reports.vendor_reports import UnreadableReport

        mistakes = UserError, FlowError, ModelError, UnreadableRun, UnreadableBuild, UnreadableReport
        if not isinstance(error, mistakes):
            raise
        _fail(str(error))
