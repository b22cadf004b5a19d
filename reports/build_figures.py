"""The figures of builds. Each takes plain records and returns a plotly figure."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from zerocross.reports import build_facts, drawing
from zerocross.reports.build_facts import Column, LayerNodes
from zerocross.reports.build_records import Build, Source

COLOURS: dict[Source, str] = {
    "finn": drawing.FAINT,
    "hls": "#8f8a1c",
    "zerocross": drawing.FOUND,
    "synthesis": "#12947f",
    "routing": drawing.PLAIN,
    "simulation": "#7d62c9",
}
SAID: dict[Source, str] = {
    "finn": "FINN's estimate",
    "hls": "HLS estimate",
    "zerocross": "our estimate",
    "synthesis": "synthesis",
    "routing": "place and route",
    "simulation": "simulation",
}
SHORT: dict[Source, str] = {  # for narrow columns
    "finn": "FINN",
    "hls": "HLS",
    "zerocross": "ours",
    "synthesis": "synthesis",
    "routing": "routed",
    "simulation": "simulation",
}
CHARTED = ("lut", "bram", "dsp", "ff")


def counts_by_layer(build: Build) -> go.Figure | None:
    """Draw the resources of each layer, estimates beside counts; a menu picks family and resource.

    Returns:
        The figure, or None if no resource is known.
    """
    layers = build_facts.layers(build)
    columns = [c for c in build_facts.columns(build) if any(c.counts(node) for node in build.nodes)]
    views = [
        (family, resource)
        for family in dict.fromkeys(column.family for column in columns)
        for resource in CHARTED
        if any(c.total(build.nodes, resource).value for c in columns if c.family == family)
    ]
    if not views:
        return None
    rows = list(range(len(layers)))
    traces = [
        {
            "type": "bar",
            "name": SAID[column.source],
            "orientation": "h",
            "y": rows,
            "x": _values(layers, column, views[0][1]),
            "visible": column.family == views[0][0],
            "marker": {"color": COLOURS[column.source]},
            "hovertemplate": f"{SAID[column.source]}: %{{x:,.0f}}<extra></extra>",
        }
        for column in columns
    ]
    most = max(sum(column.family == family for column in columns) for family, _ in views)
    figure = drawing.figure(
        traces, height=130 + (16 + 14 * most) * len(layers), barmode="group", bargap=0.3, showlegend=True
    )
    names = [drawing.escape(drawing.clip(layer.name, 22)) for layer in layers]
    figure.update_yaxes(tickvals=rows, ticktext=names, range=[len(rows) - 0.5, -0.5], showgrid=False)
    figure.update_xaxes(title_text=_title(build, *views[0]), rangemode="tozero")
    if len(views) > 1:
        buttons = [
            drawing.button(
                _title(build, family, resource),
                (
                    {
                        "x": [_values(layers, column, resource) for column in columns],
                        "visible": [column.family == family for column in columns],
                    },
                    {"xaxis.title.text": _title(build, family, resource)},
                ),
            )
            for family, resource in views
        ]
        drawing.menu(figure, "Resource", buttons)
    return figure


def builds_compared(builds: Sequence[Build]) -> go.Figure | None:
    """Draw one quantity of several builds, by source; a menu picks the quantity. Return None if no quantity is known."""
    views: dict[str, dict[Source, list[float | None]]] = {}
    for title, said in _quantities(builds).items():
        known = {source: values for source, values in said.items() if any(v is not None for v in values)}
        if known:
            views[title] = known
    if not views:
        return None
    views = dict(
        sorted(views.items(), key=lambda view: -_known(view[1]))
    )  # the quantity that most builds have comes first
    sources = [source for source in COLOURS if any(source in said for said in views.values())]
    first = next(iter(views))
    rows = list(range(len(builds)))
    blank: list[float | None] = [None] * len(builds)
    traces: list[Any] = [
        {
            "type": "bar",
            "name": SAID[source],
            "orientation": "h",
            "y": rows,
            "x": views[first].get(source, blank),
            "visible": source in views[first],
            "marker": {"color": COLOURS[source]},
            "hovertemplate": f"{SAID[source]}: %{{x:,.4~g}}<extra></extra>",
        }
        for source in sources
    ]
    height = 130 + (16 + 14 * len(sources)) * len(builds)
    figure = drawing.figure(traces, height=height, barmode="group", bargap=0.3, showlegend=True)
    names = [drawing.escape(drawing.clip(build.name, 26)) for build in builds]
    figure.update_yaxes(tickvals=rows, ticktext=names, range=[len(rows) - 0.5, -0.5], showgrid=False)
    figure.update_xaxes(title_text=first, rangemode="tozero")
    if len(views) > 1:
        buttons = [
            drawing.button(
                title,
                (
                    {
                        "x": [said.get(source, blank) for source in sources],
                        "visible": [source in said for source in sources],
                    },
                    {"xaxis.title.text": title},
                ),
            )
            for title, said in views.items()
        ]
        drawing.menu(figure, "Show", buttons)
    return figure


def _values(layers: Sequence[LayerNodes], column: Column, resource: str) -> list[float | None]:
    return [column.total(layer.nodes, resource).value for layer in layers]


def _title(build: Build, family: str, resource: str) -> str:
    return f"{build_facts.unit(build, resource, family)}, {build_facts.family_names(build, family).name}"


def _quantities(builds: Sequence[Build]) -> dict[str, dict[Source, list[float | None]]]:
    """Return {title: {source: one value per build, None if unknown}}."""
    families = list(dict.fromkeys(column.family for build in builds for column in build_facts.columns(build)))
    result: dict[str, dict[Source, list[float | None]]] = {}
    for family in families:
        for resource in CHARTED:
            said: dict[Source, list[float | None]] = {}
            for index, build in enumerate(builds):
                for column in build_facts.columns(build):
                    if column.family == family:
                        whole = build_facts.whole(build, column, resource)
                        said.setdefault(column.source, [None] * len(builds))[index] = whole.value
            if any(value for values in said.values() for value in values):
                result[_title(build_facts.build_with_names(builds, family), family, resource)] = said
    rates: dict[Source, list[float | None]] = {
        "finn": [build_facts.rate(b, False) if b.timing.estimated_by == "finn" else None for b in builds],
        "zerocross": [
            build_facts.rate(b, False) if b.timing.estimated_by == "zerocross" else None for b in builds
        ],
        "simulation": [build_facts.rate(b, True) for b in builds],
    }
    result["images a second at the usable clock"] = rates
    latency = [
        build_facts.microseconds(b.timing.latency_measured, build_facts.usable_clock(b)) for b in builds
    ]
    result["latency (µs) at the usable clock"] = {"simulation": latency}
    clocked: tuple[Source, Source] = ("synthesis", "routing")
    result["highest clock (MHz)"] = {
        source: [b.timing.fmax_mhz if build_facts.clock_source(b) == source else None for b in builds]
        for source in clocked
    }
    return result


def _known(said: dict[Source, list[float | None]]) -> int:
    """Return the number of builds for which any source has a value."""
    return sum(any(value is not None for value in values) for values in zip(*said.values(), strict=True))
