"""A build in the terminal: its verdicts, its numbers with their sources, its layers."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from zerocross.reports import build_facts, build_figures, wording
from zerocross.reports.build_facts import Column
from zerocross.reports.build_records import Build

_MARKS = {"good": ("✓", "green"), "bad": ("✗", "bold red"), "unknown": ("?", "dim")}


def build_table(build: Build) -> RenderableType:
    """Return a build's summary for the terminal: verdicts, numbers, a table by layer, hints, and what is left out.

    Print it with `crop=False`: hints and commands may be longer than a line and are not wrapped.

    Args:
        build: Build, finished or not.
    """
    parts: list[RenderableType] = [Text(build.name, style="bold")]
    for verdict in build_facts.verdicts(build):
        mark, style = _MARKS[verdict.state]
        parts.append(Text(f"{mark} {verdict.text}", style=style))
    if build.certificate and build.certificate.exercise:
        parts.append(Text(f"Samples: {build_facts.exercise_text(build.certificate.exercise)}", style="dim"))
    parts.append(_numbers(build))
    if build.nodes:
        parts.append(_layers(build))
    remarks = [*filter(None, [build_facts.dropped_text(build)]), *build_facts.remarks(build)]
    parts += [Text(line, style="dim") for line in remarks]
    if build.searched:
        parts.append(Text(build.searched, style="dim"))
    # Users copy the command, so it is not wrapped. Neither are hints, which may hold one.
    parts += [Text(hint, style="yellow", no_wrap=True, overflow="ignore") for hint in build.hints]
    if build.load:
        line = f"{build_facts.load_words(build)} {build.load}"
        parts.append(Text(line, no_wrap=True, overflow="ignore"))
    if build.left_out:
        parts.append(Text("Not shown:", style="yellow"))
        parts += [Text(f"- {reason}", style="yellow", overflow="fold") for reason in build.left_out]
    return Group(*parts)


def _numbers(build: Build) -> Table:
    """Return one line for each number of the whole design, with its source."""
    timing = build.timing
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    if build.accuracy.test is not None:
        table.add_row(
            "test accuracy",
            wording.percent(build.accuracy.test),
            wording.count(build.accuracy.images, "image"),
        )
    for measured in (False, True):
        said = "simulation" if measured else build_figures.SAID[timing.estimated_by]
        interval = timing.ii_measured if measured else timing.ii_estimate
        latency = timing.latency_measured if measured else timing.latency_estimate
        clock = build_facts.usable_clock(build)
        rate = build_facts.rate(build, measured)
        if interval is not None:
            at = "" if rate is None else f", {rate:,.0f} images a second at {clock:.6g} MHz"
            table.add_row("II", f"{interval:,}", f"cycles, {said}{at}")
        if latency is not None:
            table.add_row("latency", f"{latency:,}", f"cycles, {said}")
    if build.line_rate is not None:
        table.add_row("serial line", f"{build.line_rate:,.0f}", "images a second at most")
    if timing.fmax_mhz is not None:
        table.add_row("highest clock", f"{timing.fmax_mhz:.1f}", f"MHz, {build_facts.clock_words(build)}")
    for use in build.utilisation:
        share = f", {100 * use.used / use.available:.1f}% of {use.available:,.0f}" if use.available else ""
        table.add_row(use.resource, f"{use.used:,.0f}", f"{build_figures.SAID[use.source]}{share}")
    return table


def _layers(build: Build) -> Table:
    """Return the table of each layer's LUTs and block RAMs on the target, estimates beside the count.

    It fits 80 columns: long names of layers are folded, and other families are on the page only.
    """
    known = [c for c in build_facts.columns(build) if any(c.counts(node) for node in build.nodes)]
    family = build.family or (known[0].family if known else "")
    columns = [c for c in known if c.family == family]
    counted = [c for c in columns if c.source in ("synthesis", "routing")]
    columns = [c for c in columns if c not in counted[:-1]]  # of several counts, the last one
    shown = [(c, "lut") for c in columns]
    shown += [(c, "bram") for c in columns if c.total(build.nodes, "bram").value]
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("layer", overflow="fold")
    for heading in ("II", *(_title(build, column, resource) for column, resource in shown)):
        table.add_column(heading, justify="right", no_wrap=True)
    for layer in build_facts.layers(build):
        interval = layer.interval(measured=True) or layer.interval(measured=False)
        sums = [wording.number(column.total(layer.nodes, resource).value) for column, resource in shown]
        table.add_row(layer.name, wording.number(interval), *sums)
    rest = [build_facts.around(build, column, resource) for column, resource in shown]
    if any(rest):
        table.add_row(build_facts.AROUND, "", *(wording.number(each) if each else "" for each in rest))
    interval = build.timing.ii_measured or build.timing.ii_estimate
    sums = [wording.number(build_facts.whole(build, column, resource).value) for column, resource in shown]
    table.add_row("whole", wording.number(interval), *sums, style="bold")
    return table


def _title(build: Build, column: Column, resource: str) -> str:
    unit = build_facts.unit(build, resource, column.family, column.source).split(" (")[0]
    source = "synth." if column.source == "synthesis" else build_figures.SHORT[column.source]
    return f"{unit}\n{source}"
