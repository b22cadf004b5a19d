"""Runs side by side: their fronts on common axes, hypervolumes, and the difference of their configurations."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from zerocross.reports import axes, drawing, noise, pages, wording
from zerocross.reports.configurations import differing, of_run
from zerocross.reports.convergence import cut, networks_cut
from zerocross.reports.metrics import METRICS
from zerocross.reports.pareto import Floats, hypervolume, nondominated
from zerocross.reports.records import Run
from zerocross.reports.summary import front_evaluations

_DATA, _PART, _COST_MODEL = "data.", "device.part", "cost_model"
_OTHER_VALUES = (_DATA, "final.epochs", "plugins.", "device.", _COST_MODEL)
"""Fields that decide a network's accuracy or costs, and are not part of its id."""


class IncomparableRuns(ValueError):
    """Runs that have nothing in common to compare; the message says what."""


@dataclass(frozen=True)
class Point:
    """A network of a front.

    Attributes:
        id: Its id.
        name: Its activation, or "plain sign".
        choices: Its other choices by path.
        metrics: Metrics by name.
        test: Test accuracy of each seed, 0..1; empty before the final trainings.
        seeds: Number of trainings that its error is the mean of.
        joint: Whether no network of all runs dominates it in the common objectives.
        shared: Names of all runs with this network on their fronts. It has the same values in each of them: those of the run
            with the most seeds.
    """

    id: str
    name: str
    choices: dict[str, Any]
    metrics: dict[str, float]
    test: list[float]
    seeds: int
    joint: bool = False
    shared: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunComparison:
    """Runs side by side.

    Attributes:
        names: Names of the runs, each different.
        runs: The runs.
        objectives: Objectives that all runs minimised.
        points: Front of each run.
        volumes: Hypervolume of each front, as a share of the box that all fronts span; see `compare_runs`.
        noise: Standard deviation of each hypervolume between training seeds; None if unknown.
        noise_between: Standard deviation of the difference of the two largest hypervolumes; None if unknown.
        differences: Fields in which the configurations differ, with the text of each run's value; "plugins.NAME" is the
            digest of a plugin's code.
    """

    names: list[str]
    runs: list[Run]
    objectives: list[str]
    points: list[list[Point]]
    volumes: list[float]
    noise: list[float | None]
    noise_between: float | None
    differences: dict[str, list[str]]

    @property
    def cuts(self) -> list[str]:
        """How much less the final trainings of runs covered than was configured, in sentences."""
        part = ", so its hypervolume is that of a part of its front"
        return [
            f"The final trainings of {name} cover only {cut(run)}{part if networks_cut(run) else ''}."
            for name, run in zip(self.names, self.runs, strict=True)
            if cut(run)
        ]

    def volume(self, index: int) -> str:
        """Return a run's hypervolume and its noise as text: "45.0 ± 5.2%"."""
        deviation = self.noise[index]
        spread = "" if deviation is None else f" ± {100 * deviation:.1f}"
        return f"{100 * self.volumes[index]:.1f}{spread}%"

    @property
    def verdict(self) -> str:
        """Which front dominates most of the box, whether noise explains it, and how the joint front is shared."""
        first, second = sorted(range(len(self.names)), key=lambda index: -self.volumes[index])[:2]
        gap = self.volumes[first] - self.volumes[second]
        if gap:
            text = (
                f"The front of {self.names[first]} dominates the largest share of the common box: {self.volume(first)}, "
                f"{self.names[second]} {self.volume(second)}. {self._against_noise(gap)}"
            )
        else:
            text = f"The fronts of {self.names[first]} and {self.names[second]} dominate the same share of the common box."
        owners = Counter(point.shared for points in self.points for point in points if point.joint)
        found = {names: number // len(names) for names, number in owners.items()}
        shares = ", ".join(
            f"{number} {'of' if len(names) == 1 else 'shared by'} {_listed(names)}"
            for names, number in sorted(found.items(), key=lambda item: len(item[0]))
        )
        text += f" The joint front has {wording.count(sum(found.values()), 'network')}: {shares}."
        text = " ".join([text, *self.cuts])
        unrecorded = [
            name
            for name, run in zip(self.names, self.runs, strict=True)
            if any(plugin not in run.plugins for plugin in run.config.get("plugins") or [])
        ]
        if unrecorded:
            text += f" The code of plugins of {_listed(unrecorded)} is not recorded, so whether it differs is unknown."
        if any(path.startswith(_DATA) for path in self.differences):
            text += " The runs have other data, so their errors are not those of one task."
        if _PART in self.differences:
            text += " The runs are for different parts, so their costs are not of one kind."
        if _COST_MODEL in self.differences:
            text += " The runs minimised costs of different models; the costs here are zerocross's."
        return text

    def _against_noise(self, gap: float) -> str:
        """Return whether the noise between seeds explains the gap between the two largest hypervolumes."""
        if self.noise_between is None:
            return f"How much of the difference is noise is unknown without {noise.TRUSTED} final seeds of a network."
        if gap > noise.CLEAR * self.noise_between:
            return "The difference is more than the noise between training seeds."
        return "The difference is within the noise between training seeds."

    def figure(self) -> go.Figure:
        """Draw the fronts on common axes; with three or more objectives a menu picks the plane."""
        planes = axes.planes(self.objectives) or [(self.objectives[0],) * 2]
        views = [self._view(plane) for plane in planes]
        figure = drawing.figure(self._traces(planes[0]), height=460, hovermode="closest")
        for update, metric in zip((figure.update_xaxes, figure.update_yaxes), planes[0], strict=True):
            update(**self._axis(metric).layout())
        if len(planes) > 1:
            labels = [axes.plane_name(plane) for plane in planes]
            drawing.menu(
                figure, "Axes", [drawing.button(*entry) for entry in zip(labels, views, strict=True)]
            )
        return figure

    def _traces(self, plane: tuple[str, str]) -> list[dict[str, Any]]:
        found = []
        # The legend shows the marker of the first point: a full one.
        drawn = [sorted(points, key=lambda point: not point.joint) for points in self.points]
        for index, (name, points) in enumerate(zip(self.names, drawn, strict=True)):
            colour, (x, y) = drawing.CHANNELS[index % len(drawing.CHANNELS)], _stairs(points, plane)
            group = {"legendgroup": name, "type": "scatter"}
            found.append(
                {
                    **group,
                    "x": x,
                    "y": y,
                    "mode": "lines",
                    "line": {"color": colour, "width": 1.5, "shape": "hv"},
                    "hoverinfo": "skip",
                    "showlegend": False,
                }
            )
            found.append(
                {
                    **group,
                    "name": f"{drawing.escape(name)} ({len(points)})",
                    "x": _values(points, plane[0]),
                    "y": _values(points, plane[1]),
                    "mode": "markers",
                    "marker": {
                        "color": colour,
                        "size": [_size(name, point) for point in points],
                        "opacity": 1,  # plotly's default for markers of several sizes is less
                        "symbol": [("circle" if point.joint else "circle-open") for point in points],
                    },
                    "hovertext": [_hover(name, point) for point in points],
                    "hoverinfo": "text",
                }
            )
        return found

    def _view(self, plane: tuple[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
        traces = self._traces(plane)
        data = {"x": [trace["x"] for trace in traces], "y": [trace["y"] for trace in traces]}
        return data, axes.relayout(self._axis(plane[0]), self._axis(plane[1]))

    def _axis(self, metric: str) -> axes.Axis:
        """Return an axis that holds all fronts."""
        values = [value for group in self.points for value in _values(group, metric)]
        return axes.axis(metric, values, values)


def compare_runs(runs: Mapping[str, Run]) -> RunComparison:
    """Compare the fronts of runs.

    The box of the hypervolume extends, for each objective, from the best value of all fronts to the worst one plus a tenth
    of the range, so shares of one comparison can be compared with each other. Errors are validation errors: means over the
    final seeds, or those of the search before the final trainings. The noise of a hypervolume is that of these errors
    between training seeds; the luck of a search as a whole is not in it.

    Networks of one id on several fronts are one network, with the values of the run that trained it with the most seeds,
    unless the data, the device, the cost model, `final.epochs` or a plugin's code differ.

    Args:
        runs: Two or more runs by name.

    Raises:
        IncomparableRuns: If the runs have no objective in common, or one has no front yet.
    """
    names, own = list(runs), list(runs.values())
    objectives = [name for name in own[0].objectives if all(name in run.objectives for run in own)]
    if not objectives:
        each = "; ".join(f"{name}: {', '.join(run.objectives)}" for name, run in runs.items())
        raise IncomparableRuns(f"the runs have no objective in common ({each}): compare runs that share one")
    points = [_points(run) for run in own]
    for name, found in zip(names, points, strict=True):
        if not found:
            raise IncomparableRuns(f"{name} has no front yet: run its search again, which resumes it")
    differences = differing([of_run(run) for run in own])
    points = _with_shared(names, points, differences)
    tables = [_table(found, objectives) for found in points]
    whole = np.concatenate(tables)
    # Up to the worst value of all fronts: a front that another one dominates would else lie outside the box.
    ideal, worst = whole.min(axis=0), whole.max(axis=0)
    span = np.where(worst > ideal, 1.1 * (worst - ideal), 1.0)
    scaled, ones = [(table - ideal) / span for table in tables], np.ones(len(objectives))
    volumes = [hypervolume(table, ones) for table in scaled]
    firsts = whole[nondominated(whole)]  # equal networks of several runs are all on the joint front
    best = iter((whole[:, None] == firsts).all(axis=2).any(axis=1).tolist())
    joint = {_identity(point) for found in points for point in found if next(best)}
    marked = [[replace(point, joint=_identity(point) in joint) for point in found] for found in points]
    deviations: list[float | None] = [None] * len(own)
    between: float | None = None
    if "error" in objectives:
        deviations, between = _noise(own, marked, scaled, objectives.index("error"), span, volumes)
    return RunComparison(names, own, objectives, marked, volumes, deviations, between, differences)


def _identity(point: Point) -> tuple[str, tuple[str, ...]]:
    return point.id, point.shared


def _with_shared(
    names: Sequence[str], points: Sequence[Sequence[Point]], differences: Mapping[str, Any]
) -> list[list[Point]]:
    """Return the points with the runs that share them. Other seeds of one network are no gain of a run."""
    alone = any(path.startswith(_OTHER_VALUES) for path in differences)
    owners: dict[str, list[str]] = {}
    most: dict[str, Point] = {}
    for name, found in zip(names, points, strict=True):
        for point in found:
            owners.setdefault(point.id, []).append(name)
            most[point.id] = max(most.get(point.id, point), point, key=lambda each: each.seeds)
    if alone:
        return [
            [replace(point, shared=(name,)) for point in found]
            for name, found in zip(names, points, strict=True)
        ]
    return [[replace(most[point.id], shared=tuple(owners[point.id])) for point in found] for found in points]


def _noise(
    runs: Sequence[Run],
    points: Sequence[Sequence[Point]],
    scaled: Sequence[Floats],
    axis: int,
    span: Floats,
    volumes: Sequence[float],
) -> tuple[list[float | None], float | None]:
    """Return the noise of each hypervolume, and that of the difference of the two largest; None if unknown."""
    networks = [[*run.front, *run.references] for run in runs]
    pooled = noise.deviation([net for own in networks for net in own])
    if pooled is None:
        return [None] * len(runs), None
    own = [noise.deviation(nets) for nets in networks]
    spreads = [
        (pooled if deviation is None else deviation)
        / float(span[axis])
        / np.sqrt([point.seeds for point in found])
        for deviation, found in zip(own, points, strict=True)
    ]
    # Networks that differ only in their folding share their trainings, and so their error.
    identities = [
        [repr((point.name, point.metrics["error"], point.seeds)) for point in found] for found in points
    ]
    drawn = noise.volumes_drawn_again(scaled, axis, spreads, identities)
    first, second = np.argsort(volumes)[::-1][:2]
    return drawn.std(axis=0).tolist(), float((drawn[:, first] - drawn[:, second]).std())


def names_of(folders: Sequence[Path], runs: Sequence[Run]) -> list[str]:
    """Return a different name for each run: its own, else its folder's, else the path."""
    for names in ([run.name for run in runs], [folder.name for folder in folders]):
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def render_runs(comparison: RunComparison) -> str:
    """Make the page of a comparison: HTML with styles, scripts and figures inside."""
    return (
        pages.environment()
        .get_template("runs.html.j2")
        .render(
            comparison=comparison,
            plot=comparison.figure(),
            metrics=[METRICS[name] for name in comparison.objectives],
        )
    )


def _points(run: Run) -> list[Point]:
    if run.front:
        return [
            Point(net.id, wording.activation(net), net.choices, net.metrics, net.test, len(net.validation))
            for net in run.front
        ]
    return [
        Point(e.id, wording.activation(e), e.choices, e.metrics, [], max(len(e.trainings), 1))
        for e in front_evaluations(run)
    ]


def _listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence: "a, b and c"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _table(points: Sequence[Point], objectives: Sequence[str]) -> Floats:
    return np.array(
        [[point.metrics.get(name, np.inf) for name in objectives] for point in points], dtype=float
    )


def _values(points: Sequence[Point], metric: str) -> list[float | None]:
    scale = METRICS[metric].scale
    return [scale * p.metrics[metric] if metric in p.metrics else None for p in points]


def _stairs(points: Sequence[Point], plane: tuple[str, str]) -> tuple[list[float], list[float]]:
    table = np.array([_values(points, metric) for metric in plane], dtype=float).T
    best = table[nondominated(table)]
    best = best[np.argsort(best[:, 0])]
    return best[:, 0].tolist(), best[:, 1].tolist()


def _size(run: str, point: Point) -> int:
    """Return the size of a network's marker: smaller for each further run, so that a shared network shows all colours."""
    return max(10 - 4 * point.shared.index(run), 3) + 6 * (len(point.shared) > 1)


def _hover(run: str, point: Point) -> str:
    values = ", ".join(
        f"{METRICS[name].label} {METRICS[name].text(value)}"
        for name, value in point.metrics.items()
        if name in METRICS
    )
    lines = [
        f"<b>{drawing.wrapped(point.name)}</b>",
        drawing.wrapped(wording.choices(point.choices)),
        drawing.wrapped(values),
        drawing.escape(f"{_listed(point.shared) or run}, {point.id}"),
    ]
    if point.test:
        lines.insert(2, f"test accuracy {drawing.escape(wording.accuracy(point.test))}")
    return "<br>".join(line for line in lines if line)
