"""`zerocross build`, `infer` and `lower`."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zerocross.hw_search.commands.output import plain_console, print_build, stoppable

if TYPE_CHECKING:
    from zerocross.hw_search.builds.pixels import PixelScaling

_HOST_PART = (
    "Have the host compute layers at the front of the file that the hardware lacks: nodes with weights, or behind a "
    "quantizer."
)


TRUST = Annotated[
    bool,
    typer.Option(
        "--trust", help="Read and run the folder's files, even if they were changed since they were made."
    ),
]


def build(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder of a run, such as runs/digits; a QONNX file; or zoo:NAME, see `zerocross zoo`."
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            help="Board or part to build for; `zerocross doctor --parts` lists them. Default: the part that a run was "
            "searched for."
        ),
    ] = None,
    pick: Annotated[
        str,
        typer.Option(
            help="Network of the run: its id, knee, best (least error), smallest (fewest LUTs), or searched "
            "(least error, no plain signs)."
        ),
    ] = "knee",
    clock: Annotated[
        float | None,
        typer.Option(min=0.1, help="Clock of the design in MHz. Default: the board's own clock."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Train the network again for this many epochs. Default: use the run's weights."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Seed of that training.")] = None,
    cycles: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Upper limit on the cycles per image of each node. Default: the folding from the search; for a QONNX file "
            "16 cycles per input value, or the least that every layer can meet.",
        ),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Maximum number of test images.")] = 1000,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Test set for a QONNX file or a network of the zoo: an .npz file with x_test and, optionally, the labels "
            "y_test; a .csv file with one sample in each row and, optionally, a column of labels; or an .npy file of "
            "samples."
        ),
    ] = None,
    logits: Annotated[
        str | None,
        typer.Option(
            help="Output of a QONNX file that holds the logits, if it has several outputs; the others are dropped."
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Memory for a layer's weights: --weights dense1=distributed (LUTs) or dense1=block. Repeatable."
        ),
    ] = None,
    implementation: Annotated[
        list[str] | None,
        typer.Option(
            help="Implementation of a layer's crossings (comparators, search, table, 'table in block RAM'): "
            "--implementation dense1_sign=table. `zerocross lower` lists the layer names. Repeatable."
        ),
    ] = None,
    gate_level: Annotated[
        bool, typer.Option("--gate-level", help="Also simulate the mapped netlist.")
    ] = False,
    route: Annotated[bool, typer.Option(help="Place and route, if open tools support the target.")] = True,
    route_seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of place and route.")] = 1,
    baud: Annotated[int, typer.Option(min=300, help="Baud rate of the board's serial line.")] = 115_200,
    host_part: Annotated[bool, typer.Option("--host-part", help=_HOST_PART)] = False,
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Build although the design is estimated to be too large for the part."),
    ] = False,
    scores: Annotated[
        bool,
        typer.Option(
            "--scores", help="Have the hardware answer the scores of all classes instead of the class."
        ),
    ] = False,
    scale: Annotated[
        str | None,
        typer.Option(
            help="How `infer` turns pixels 0..255 of image files into inputs of a QONNX file, or into numbers such as the "
            "training images of a run had: value = (pixel * scale - mean) / std. A number or a fraction: --scale 1/255. "
            "Default: 1."
        ),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(
            help="Mean, see --scale: one number, or one for each channel, as in --mean 0.5,0.4,0.3."
        ),
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="Standard deviation, see --scale: one number, or one for each channel.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the build. Default: builds/<network>-<target> beside the source."),
    ] = None,
    trust: TRUST = False,
) -> None:
    """Build an accelerator for a network: simulate, synthesise, place and route it, and write a report."""
    met = build_for(
        source,
        pick=pick,
        epochs=epochs,
        seed=seed,
        data=data,
        logits=logits,
        output=output,
        trust=trust,
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
        host_part=host_part,
        anyway=anyway,
        scores=scores,
        pixels=_pixels(scale, mean, std),
    )
    if not met:
        sys.exit(1)


def build_for(
    source: Path,
    pick: str,
    epochs: int | None = None,
    seed: int | None = None,
    data: Path | None = None,
    logits: str | None = None,
    output: Path | None = None,
    trust: bool = False,
    **options: Any,
) -> bool:
    """Build a network of a run, or a QONNX file, and print the result. Return False if it misses its clock.

    Args:
        source: Folder of a run, or a QONNX file.
        pick: See `zerocross.hw_search.finalists.choose`.
        epochs: Epochs of a new training; None uses the run's weights.
        seed: Seed of that training.
        data: See `zerocross.hw_search.builds.subject.FileSubject`.
        logits: The `output` there.
        output: Folder of the build.
        trust: Whether files of a run may have been changed since the search.
        **options: Fields of `zerocross.hw_search.builds.options.BuildOptions`.
    """
    from zerocross.hw_search.builds.progress import BuildTerminal
    from zerocross.hw_search.builds.targets import check_target
    from zerocross.reports.build_facts import misses_clock
    from zerocross.reports.storage import REPORT

    options["target"] = options["target"] or _searched_part(source)
    # Before torch is imported.
    board = check_target(options["target"], options["clock_mhz"], options.get("baud"))

    with stoppable("Finished steps are saved; run the same command to resume."), BuildTerminal() as watcher:
        watcher.stage("loading", "torch, Brevitas and FINN")
        from zerocross.hw_search.builds.builder import build as run_build
        from zerocross.hw_search.builds.options import BuildOptions
        from zerocross.hw_search.builds.subject import from_source
        from zerocross.hw_search.zoo import is_zoo

        subject = from_source(source, pick, epochs, seed, data, logits, trust)
        beside = Path() if is_zoo(source) else source if source.is_dir() else source.parent
        folder = output or beside / "builds" / f"{subject.origin.name}-{board}"
        result = run_build(subject, BuildOptions(**options), folder, watcher)
        _link(source, folder)
    print_build(result.build)
    typer.echo(f"\nReport: {result.folder / REPORT}")
    return not misses_clock(result.build)


def _searched_part(source: Path) -> str:
    """Return the part that a run was searched for.

    Raises:
        UserError: If the source is no run.
    """
    from zerocross.hw_search.errors import UserError
    from zerocross.reports.storage import PARETO, load_run

    if not (source / PARETO).is_file():
        raise UserError(f"{source} is no run, which knows its part: give --target with a board or part")
    return str(load_run(source).config["device"]["part"])


def _link(source: Path, folder: Path) -> None:
    """Write the page of a run again if a build is in its folder: the page links its builds."""
    from zerocross.reports.run_builds import BUILDS, builds_of
    from zerocross.reports.storage import REPORT, UnreadableRun, load_run

    if not source.is_dir() or folder.resolve().parent != (source / BUILDS).resolve():
        return
    from zerocross.hw_search.files import write_text
    from zerocross.reports.page import render

    with suppress(UnreadableRun):
        run = load_run(source)
        write_text(source / REPORT, render(run, builds_of(source, run), source))


def infer(
    build: Annotated[Path, typer.Argument(help="Folder of the build.")],
    images: Annotated[
        list[Path] | None, typer.Argument(help="Samples: image files, or .npy, .npz and .csv files.")
    ] = None,
    port: Annotated[
        str | None, typer.Option(help="Serial device of the board, such as /dev/ttyUSB0.")
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Simulate the board and its serial line.")
    ] = False,
    test: Annotated[int, typer.Option(min=0, help="Also send this many samples of the test set.")] = 0,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Test set, as for `build`. Default: that of the build, if it is still there. Without --test, all of its "
            "samples are sent."
        ),
    ] = None,
    scores: Annotated[bool, typer.Option("--scores", help="Also print the scores of all classes.")] = False,
    trust: TRUST = False,
) -> None:
    """Send samples to a built accelerator over the board's serial line and print their classes.

    Scores are the integers that decide the class. They are the accelerator's if it was built with --scores, else the integer
    network's.
    """
    from rich.progress import Progress
    from rich.table import Table

    from zerocross.hw_search.errors import UserError
    from zerocross.reports.wording import count

    if simulate == (port is not None):
        raise UserError(
            "choose where the accelerator runs: --port with the board's serial device (such as /dev/ttyUSB0), or --simulate"
        )
    with (
        stoppable("The board discards an incomplete frame; run the same command to start again."),
        Progress(console=plain_console(error=True)) as progress,
    ):
        task = progress.add_task("simulating" if simulate else "sending to the board", total=None)
        from zerocross.hw_search.builds.host import infer as run_infer
        from zerocross.hw_search.builds.layout import cache_folder

        found = run_infer(
            build,
            images or [],
            test,
            port,
            lambda done, of: progress.update(task, completed=done, total=of),
            cache_folder(),
            data,
            trust,
        )
    for note in found.notes:
        typer.echo(note, err=True)
    table = Table("sample", "class", "expected", *([] if found.labels is None else ["label"]))
    if scores:
        table.add_column("scores" if found.are_answered else "scores of the integer network", overflow="fold")
    for index, name in enumerate(found.names):
        label = [] if found.labels is None else [str(found.labels[index])]
        sums = [" ".join(map(str, found.scores[index]))] if scores else []
        table.add_row(name, str(found.classes[index]), str(found.expected[index]), *label, *sums)
    plain_console().print(table)
    wrong = found.differ
    samples, differ = count(len(found.names), "sample"), count(wrong, "answer differs", "answers differ")
    typer.echo(f"{samples}; {differ} from the integer network's")
    if found.labels is not None:
        typer.echo(f"Accuracy on these samples: {100 * float((found.classes == found.labels).mean()):.1f} %")
    if wrong:
        sys.exit(1)


def lower(
    model: Annotated[Path, typer.Argument(help="QONNX file, from Brevitas or any other source.")],
    output: Annotated[
        Path | None,
        typer.Option(help="File for the integer network. Default: <name>.integers.npz beside the model."),
    ] = None,
    host_part: Annotated[bool, typer.Option("--host-part", help=_HOST_PART)] = False,
    logits: Annotated[
        str | None,
        typer.Option(help="Output that holds the logits, if there are several; the others are dropped."),
    ] = None,
) -> None:
    """List the activations of a QONNX file with their crossings, and save the integer network."""
    from rich.table import Table

    from zerocross.finn_flows.lowering.lower import lower as run_lower
    from zerocross.finn_flows.lowering.storage import StorageError, save
    from zerocross.hw_search.errors import UserError
    from zerocross.hw_search.files import replacing

    lowered = run_lower(model, host_part, logits)
    table = Table(title="Activations and their crossings for each channel", title_justify="left")
    table.add_column(
        "activation", overflow="fold"
    )  # users copy names into options: a narrow terminal may not cut them
    table.add_column("operations absorbed", overflow="fold")
    for heading in ("channels", "levels", "grid", "least", "mean", "most"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in lowered.activations:
        counts = (f"{each.points:,}", str(each.least), f"{each.mean:.1f}", str(each.most))
        table.add_row(each.name, " ".join(each.operations), str(each.channels), str(each.levels), *counts)
    plain_console().print(table)
    if lowered.host.nodes:
        typer.echo(f"The host computes {', '.join(node.described for node in lowered.host.nodes)}.")
    if lowered.dropped:
        typer.echo(f"Outputs that the network does not compute: {', '.join(lowered.dropped)}")
    path = output or model.with_suffix(".integers.npz")
    try:
        save(lowered.network, path)
    except (OSError, StorageError) as error:
        reason = error if isinstance(error, StorageError) else f"{path} cannot be written ({error.strerror})"
        raise UserError(f"{reason}: give another file with --output") from None
    typer.echo(f"Integer network: {path}")
    if lowered.host.trained:
        host = path.with_name(path.name.removesuffix(".integers.npz").removesuffix(".npz") + ".host.onnx")
        with replacing(host) as temporary:
            temporary.write_bytes(lowered.host.content())
        typer.echo(f"The host's part: {host}")


def _pixels(scale: str | None, mean: str | None, std: str | None) -> "PixelScaling | None":
    """Return the declared scaling of pixels, or None.

    Raises:
        UserError: If an option is wrong.
    """
    if scale is None and mean is None and std is None:
        return None
    from zerocross.hw_search.builds.pixels import parse_pixels

    return parse_pixels(scale, mean, std)


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    from zerocross.hw_search.errors import UserError

    found = {}
    for text in texts:
        key, mark, value = text.partition("=")
        if not mark:
            raise UserError(f"{option} {text}: use the form layer=value")
        found[key] = value
    return found
