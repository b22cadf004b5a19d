"""The report of a run: one HTML file that opens anywhere and fetches nothing."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment

from zerocross.reports import figures, pages, retrained, rungs, summary, wording
from zerocross.reports.activation_records import ActivationRecord
from zerocross.reports.convergence import convergence
from zerocross.reports.metrics import COSTS, METRICS, RESOURCES
from zerocross.reports.records import Finalist, Run
from zerocross.reports.run_builds import BuildLink
from zerocross.reports.run_progress import progress


def render(run: Run, builds: Sequence[BuildLink] = (), folder: Path | None = None) -> str:
    """Make the page of a run.

    Args:
        run: Run to show, finished or not.
        builds: Builds of its networks, which the page links.
        folder: Folder of the run, for the commands on the page; by default where the search left it.

    Returns:
        HTML with styles, scripts and figures inside.
    """
    on_front = {finalist.id for finalist in run.front}
    counts = Counter[str](e.status for e in run.evaluations)
    other_signs = [finalist for finalist in run.references if finalist.id not in on_front]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            finalists=[*run.front, *other_signs],
            other_signs=other_signs,
            on_front=on_front,
            knee=summary.knee(run.front, run.objectives),
            builds=builds,
            links=_contents(run, counts),
            counts=counts,
            lost=summary.left_out(run.evaluations, reasons=False),
            objectives=", ".join(METRICS[name].label for name in run.objectives),
            references_evaluated=sum(e.reference for e in run.evaluations),
            best=summary.front_evaluations(run),
            whole_front=len(summary.search_front(run)),
            losses=summary.losses(run.evaluations),
            gains={f.id: summary.gain(f, run.references) for f in run.front},
            control_gains={f.id: summary.control_gain(f, run.references, run.controls) for f in run.front},
            signs={f.id: f for f in run.references},
            retrained=retrained.sentences(run, folder),
            convergence=convergence(run, folder),
            progress=progress(run),
            commands={f.id: wording.build_command(folder, f.id) if folder else f.build for f in run.front},
            control_names=list(dict.fromkeys(control.name for control in run.controls)),
            controls_of={
                sign.id: {control.name: control for control in run.controls if control.sign == sign.id}
                for sign in run.references
            },
            config=_yaml(run.config),
        )
    )


def _environment() -> Environment:
    environment = pages.environment()
    environment.globals.update(
        figures=figures,
        rungs=rungs,
        control_text=wording.control_text,
        activation=wording.activation,
        crossings=_crossings,
        grid=_grid,
        layer_costs=summary.layer_costs,
        is_threshold=summary.is_threshold,
        costs_of=[METRICS[name] for name in COSTS],
        resources_of=[METRICS[name] for name in RESOURCES],
    )
    environment.filters["anchor"] = _anchor
    return environment


def _contents(run: Run, counts: Counter[str]) -> list[tuple[str, str]]:
    """Return the sections of the page, as ids and titles."""
    sections = {
        "front": ("The front", True),
        "networks": ("Networks", bool(run.front)),
        "hypervolume": ("Progress", bool(counts["ok"])),
        "accuracy": ("Accuracy", bool(run.front or run.references)),
        "losses": ("Left out", True),
        "setup": ("Setup", True),
        "words": ("Words", True),
    }
    return [(name, title) for name, (title, is_there) in sections.items() if is_there]


def _anchor(finalist: Finalist) -> str:
    """Return the id of a network's section on the page."""
    return "network-" + re.sub(r"[^\w-]+", "-", finalist.id)


def _crossings(site: ActivationRecord) -> str:
    """Return a site's crossings in a line: minimum, median and maximum over the channels, and the constant channels."""
    counts = sorted(site.crossings)
    if not counts:
        return "not counted"
    middle = (counts[(len(counts) - 1) // 2] + counts[len(counts) // 2]) / 2
    text = f"{counts[0]} / {middle:g} / {counts[-1]}"
    return f"{text}; {counts.count(0)} of {wording.count(len(counts), 'channel')} constant"


def _grid(site: ActivationRecord) -> str:
    """Return the integers of a site, such as "-64 to 64 in steps of 2"."""
    return f"{site.low:,} to {site.high:,} in steps of {site.step}".replace("-", "\u2212")


def _yaml(config: dict[str, Any]) -> str:
    """Return a configuration as YAML; values that YAML cannot express become text."""
    return yaml.safe_dump(json.loads(json.dumps(config, default=str)), sort_keys=False, allow_unicode=True)
