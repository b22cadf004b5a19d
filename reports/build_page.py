"""The page of one build, and the page that compares several: one HTML file each, which fetches nothing."""

from collections.abc import Sequence

from jinja2 import Environment
from markupsafe import Markup

from zerocross.reports import (
    build_comparison,
    build_diagram,
    build_facts,
    build_figures,
    build_wiring,
    pages,
    wording,
)
from zerocross.reports.build_facts import Column, Sum
from zerocross.reports.build_records import Build, BuildNode, Check


def render_build(build: Build) -> str:
    """Make the page of a build.

    Args:
        build: Build to show; values that no tool reported are shown as missing.

    Returns:
        HTML with styles, scripts and figures inside. Every hardware number is a `data` element; its class is the
        number's `Source` and its title describes that source.
    """
    columns = build_facts.columns(build)
    resources = [r for r in ("bram", "dsp", "uram") if any(c.total(build.nodes, r).value for c in columns)]
    return (
        _environment()
        .get_template("build.html.j2")
        .render(
            build=build,
            layers=build_facts.layers(build),
            columns=columns,
            groups=_groups(build, columns, ["lut", *resources]),
            around=any(
                build_facts.around(build, column, each) for column in columns for each in ("lut", *resources)
            ),
            node_columns=_node_columns(build, columns),
            steps=build_diagram.steps(build),
            figure_of_layers=build_figures.counts_by_layer(build),
            longest_stage=max((stage.seconds for stage in build.stages), default=0.0),
        )
    )


def render_comparison(builds: Sequence[Build]) -> str:
    """Make a page of several builds side by side: one table, one chart.

    Args:
        builds: Builds in the order to show them; networks and targets may differ.
    """
    columns = [build_facts.columns(build) for build in builds]
    kinds = dict.fromkeys((column.family, column.source) for some in columns for column in some)
    families = list(dict.fromkeys(family for family, _ in kinds))
    rows = [
        (family, resource, source)
        for family in families
        for resource in ("lut", "ff", "bram", "dsp", "uram")
        for source in build_figures.SAID
        if any(
            build_facts.whole(build, column, resource).value
            for build, some in zip(builds, columns, strict=True)
            for column in some
            if (column.family, column.source) == (family, source)
        )
    ]
    return (
        _environment()
        .get_template("comparison.html.j2")
        .render(
            builds=builds,
            verdict=build_comparison.verdict(builds),
            rows=rows,
            used={source for build in builds for source in build_facts.sources_used(build)},
            column_of={
                (index, column.family, column.source): column
                for index, some in enumerate(columns)
                for column in some
            },
            figure_of_builds=build_figures.builds_compared(builds),
        )
    )


def _environment() -> Environment:
    environment = pages.environment()
    environment.globals.update(
        facts=build_facts,
        wiring=build_wiring,
        source_names=build_figures.SAID,
        short_names=build_figures.SHORT,
        words_of={"finn": "FINN's estimate", "zerocross": "our estimate"},
        say=_say,
        say_sum=_say_sum,
        ratio_to_count=_ratio_to_count,
        built_as=_built_as,
        edge_words=_edge_words,
        duration=_duration,
        worst=_worst,
    )
    return environment


def _say(
    build: Build,
    value: float | None,
    source: str,
    unit: str = "",
    detail: str = "",
    decimals: int | None = None,
) -> Markup:
    """Return a number with its source; a dash if no tool reported it."""
    if value is None:
        return Markup('<span class="quiet" title="not reported">\u2013</span>')
    words = next((text for name, text in build_facts.sources(build).items() if name == source), "")
    title = ", ".join(part for part in (unit, words, detail) if part)
    places = (0 if float(value).is_integer() or value >= 100 else 1) if decimals is None else decimals
    text = f"{value:,.{places}f}".replace("-", "\u2212")
    return Markup('<data class="{}" value="{}" title="{}">{}</data>').format(
        source, f"{value:.10g}", title, text
    )


def _say_sum(build: Build, column: Column, total: Sum, resource: str) -> Markup:
    """Return a sum over nodes, with the number of nodes in it if some are missing."""
    detail = "" if total.known == total.nodes else f"sum over {total.known} of {total.nodes} nodes"
    return _say(
        build,
        total.value,
        column.source,
        build_facts.unit(build, resource, column.family, column.source),
        detail,
    )


def _groups(
    build: Build, columns: Sequence[Column], resources: Sequence[str]
) -> list[tuple[str, str, list[Column]]]:
    """Return (family, resource, columns) for every group of columns in the table by layer."""
    shown = [c for c in columns if c.source != "routing" or any(c.counts(node) for node in build.nodes)]
    return [
        (family, resource, [column for column in shown if column.family == family])
        for family in dict.fromkeys(column.family for column in shown)
        for resource in resources
    ]


def _node_columns(build: Build, columns: Sequence[Column]) -> list[tuple[Column, str]]:
    """Return the (column, resource) pairs for which any node has a count, for the table by node."""
    return [
        (column, resource)
        for column in columns
        for resource in ("lut", "ff", "bram", "dsp", "carry", "uram")
        if any(column.counts(node).get(resource) for node in build.nodes)
    ]


def _ratio_to_count(
    build: Build, nodes: Sequence[BuildNode] | None, estimate: Column, group: Sequence[Column], resource: str
) -> Markup:
    """Return an estimate divided by the count beside it, such as "x1.04"; "" if one is missing.

    Args:
        build: Build of the nodes.
        nodes: Nodes to sum over; None for the whole design.
        estimate: Column of the estimates.
        group: Columns of the same family, with the counts.
        resource: Resource, such as "lut".
    """
    counted = next((c for source in ("synthesis", "routing") for c in group if c.source == source), None)
    if estimate.source not in ("finn", "hls", "zerocross") or counted is None:
        return Markup("")
    if nodes is None:
        title = f"sum of the estimates / {build_figures.SAID[counted.source]} of the whole design"
        total, count = (build_facts.whole(build, column, resource).value for column in (estimate, counted))
        ratio = total / count if total is not None and count else None
    else:
        title = f"estimate / {build_figures.SAID[counted.source]}, over the nodes that have both"
        ratio = build_facts.ratio(nodes, estimate, counted, resource)
    if ratio is None:
        return Markup("")
    return Markup(' <span class="quiet ratio" title="{}">\u00d7{}</span>').format(title, f"{ratio:.2f}")


def _built_as(node: BuildNode) -> str:
    """Return how a node is built, such as "PE 8 \u00b7 SIMD 16, block"."""
    lanes = " \u00b7 ".join(f"{name} {n}" for name, n in (("PE", node.pe), ("SIMD", node.simd)) if n)
    return ", ".join(part for part in (lanes, node.implementation) if part)


def _edge_words(edge: build_diagram.Edge) -> tuple[str, str]:
    """Return a stream's widths, and its FIFOs with their peak occupancy, as text."""
    widths = " \u2192 ".join(str(bits) for bits in edge.bits)
    fifos = [
        f"{fifo.fifo_depth}" + ("" if fifo.fifo_peak is None else f" (\u2264{fifo.fifo_peak})")
        for fifo in edge.fifos
        if fifo.fifo_depth
    ]
    return f"{widths} bit" if widths else "", f"FIFO {' + '.join(fifos)}" if fifos else ""


def _duration(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else wording.duration(seconds)


def _worst(checks: Sequence[Check]) -> str:
    return "bad" if any(check.differences for check in checks) else "good"
