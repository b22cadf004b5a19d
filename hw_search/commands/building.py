"""`zerocross build`, `infer` and `lower`."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from zerocross.hw_search.commands.output import print_build, stoppable


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
        float | None, typer.Option(min=0.1, help="The design's clock in MHz; the board's own where left out.")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Train the network anew for so long, instead of taking the run's weights."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of that training.")] = None,
    cycles: Annotated[
        int | None,
        typer.Option(
            min=1, help="Most cycles an image may take in any node, instead of the search's folding."
        ),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Test images run through every form, at most.")] = 1000,
    data: Annotated[
        Path | None, typer.Option(help="Of a QONNX file: an .npz file with x_test and y_test to compare on.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Where a layer's weights are kept: --weights dense1=distributed (or block). Repeatable."
        ),
    ] = None,
    implementation: Annotated[
        list[str] | None,
        typer.Option(
            help="How a layer's crossings are built, comparators, search, table or 'table in block RAM': "
            "--implementation dense1_sign=table. `zerocross lower` tells the names. Repeatable."
        ),
    ] = None,
    gate_level: Annotated[
        bool, typer.Option("--gate-level", help="Simulate the mapped netlist too.")
    ] = False,
    route: Annotated[bool, typer.Option(help="Place and route, where open tools can.")] = True,
    route_seed: Annotated[int, typer.Option(help="Of place and route.")] = 1,
    baud: Annotated[int, typer.Option(min=300, help="Of the board's serial line.")] = 115_200,
    output: Annotated[
        Path | None,
        typer.Option(help="The build's folder; builds/<network>-<target> beside the source by default."),
    ] = None,
) -> None:
    """Make an accelerator of a network: simulated, synthesised, placed and routed, with its report."""
    build_for(
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
        implementations=_pairs("--implementation", implementation or []),
        gate_level=gate_level,
        route=route,
        route_seed=route_seed,
        baud=baud,
    )


def build_for(
    source: Path,
    pick: str,
    epochs: int | None = None,
    seed: int | None = None,
    data: Path | None = None,
    output: Path | None = None,
    **options: Any,
) -> None:
    """Build a network of a run, or a QONNX file, and say what came out.

    Args:
        source: a run's folder or a QONNX file.
        pick: see `zerocross.hw_search.finalists.choose`.
        epochs: train it anew for so long.
        seed: of that training.
        data: see `zerocross.hw_search.builds.subject.FileSubject`.
        output: the build's folder.
        **options: fields of `zerocross.hw_search.builds.options.BuildOptions`.
    """
    from zerocross.hw_search.builds.progress import BuildTerminal
    from zerocross.reports.storage import REPORT

    with stoppable("what was finished is kept: run the same command to go on"), BuildTerminal() as watcher:
        watcher.stage("loading", "torch, Brevitas and FINN")
        from zerocross.hw_search.builds.builder import build as run_build
        from zerocross.hw_search.builds.options import BuildOptions
        from zerocross.hw_search.builds.subject import from_source
        from zerocross.hw_search.builds.targets import check_target

        subject = from_source(source, pick, epochs, seed, data)
        beside = source if source.is_dir() else source.parent
        board = check_target(options["target"], options["clock_mhz"])
        folder = output or beside / "builds" / f"{subject.origin.name}-{board}"
        result = run_build(subject, BuildOptions(**options), folder, watcher)
    print_build(result.build)
    typer.echo(f"\nReport: {result.folder / REPORT}")


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

    from zerocross.hw_search.errors import UserError

    if simulate == (port is not None):
        raise UserError("say where the accelerator is: --port /dev/ttyUSB0 for a board, or --simulate")
    with (
        stoppable("a board forgets a frame it got a part of"),
        Progress(console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("simulating" if simulate else "talking to the board", total=None)
        from zerocross.hw_search.builds.host import infer as run_infer
        from zerocross.hw_search.builds.layout import cache_folder

        found = run_infer(
            build,
            images or [],
            test,
            port,
            lambda done, of: progress.update(task, completed=done, total=of),
            cache_folder(),
        )
    for note in found.notes:
        typer.echo(note, err=True)
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


def lower(
    model: Annotated[Path, typer.Argument(help="A QONNX file, from Brevitas or anywhere.")],
    output: Annotated[
        Path | None, typer.Option(help="The integer network; <name>.integers.npz beside the file by default.")
    ] = None,
) -> None:
    """Absorb every activation of a QONNX file into crossings, and say what became of it."""
    from rich.console import Console
    from rich.table import Table

    from zerocross.finn_flows.lowering.lower import lower as run_lower
    from zerocross.finn_flows.lowering.storage import save

    lowered = run_lower(model)
    table = Table(
        "activation", "operations absorbed", "channels", "levels", "grid", "crossings: least", "mean", "most"
    )
    for each in lowered.activations:
        counts = (f"{each.points:,}", str(each.least), f"{each.mean:.1f}", str(each.most))
        table.add_row(each.name, " ".join(each.operations), str(each.channels), str(each.levels), *counts)
    Console().print(table)
    path = output or model.with_suffix(".integers.npz")
    save(lowered.network, path)
    typer.echo(f"Integer network: {path}")


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    from zerocross.hw_search.errors import UserError

    found = {}
    for text in texts:
        key, mark, value = text.partition("=")
        if not mark:
            raise UserError(f"{option} {text}: write it as layer=value")
        found[key] = value
    return found
