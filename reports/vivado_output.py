"""Reader of a folder of Vivado's reports: utilisation, utilisation by hierarchy and timing as a build.

A flow writes the same report after several steps. For each kind of report, the last step counts. The counts after
synthesis stand beside those after place and route.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zerocross.reports import vendor_reports
from zerocross.reports.build_records import Build, BuildNode, Counts, Source, Timing, Usage
from zerocross.reports.vendor_reports import Heading, Instance, TimingSummary, UnreadableReport, Utilisation

UNITS = {"lut": "LUT6", "ff": "FF", "bram": "RAMB18", "dsp": "DSP", "uram": "URAM", "carry": "CARRY"}

_KINDS: dict[str, tuple[str, Callable[[Path], Any]]] = {  # mark in the text, reader
    "timing": (r"^\s*WNS\(ns\)", vendor_reports.read_timing),
    "hierarchy": (r"^\|\s*Instance\s*\|", vendor_reports.read_hierarchy),
    "utilisation": (r"^\|\s*Site Type\s*\|\s*Used\b", vendor_reports.read_utilisation),
}
_PARTIAL = re.compile(r"\s-(cells|pblocks)\b")


@dataclass(frozen=True)
class _Report:
    path: Path
    kind: str
    heading: Heading
    content: Any

    @property
    def place(self) -> tuple[int, Any, str]:
        """Sorts reports by the step of the flow, then by date."""
        return self.heading.step, self.heading.date, str(self.path)


@dataclass
class _Folder:
    """Reports of one design, and what is left out."""

    root: Path
    reports: list[_Report] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def leave_out(self, path: Path, reason: str) -> None:
        name = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        self.left_out.append(f"{name if path != self.root else path.name}: {reason}")

    def last(self, kind: str, placed: bool) -> _Report | None:
        """Return the last report of a kind after synthesis, or after placement; list those before it."""
        of_kind = [r for r in self.reports if r.kind == kind and r.heading.placed == placed]
        if not of_kind:
            return None
        last = max(of_kind, key=lambda report: report.place)
        for report in of_kind:
            if report is not last:
                step = "a later step" if report.heading.step < last.heading.step else "the same step"
                name = last.path.name if last.path.name != report.path.name else str(last.path)
                self.leave_out(report.path, f"{name} is of {step}")
        return last


def read_vivado_output(path: Path) -> Build | None:
    """Combine Vivado's reports into a build.

    Args:
        path: A report (`*.rpt`), a folder with reports, or a project's folder with reports in folders below.

    Returns:
        A build of the design whose reports are furthest in the flow, or None if no report is of a known kind. Its
        `left_out` lists all other reports.

    Raises:
        UnreadableReport: If all reports of a known kind are damaged.
    """
    paths = [path] if path.suffix == ".rpt" else sorted(path.glob("*.rpt")) or sorted(path.rglob("*.rpt"))
    folder = _Folder(path)
    _read(folder, paths)
    if not folder.reports:
        return None
    _keep_one_design(folder)
    return _build(folder)


def _read(folder: _Folder, paths: Iterable[Path]) -> None:
    """Read all reports of known kinds."""
    damaged: UnreadableReport | None = None
    for path in paths:
        text = vendor_reports.read_text(path)
        kind = next((kind for kind, (mark, _) in _KINDS.items() if re.search(mark, text, re.MULTILINE)), "")
        heading = vendor_reports.read_heading(path)
        command = heading.command.split()[:1]
        if not kind:
            folder.leave_out(path, f"{command[0]} is not read" if command else "its kind is unknown")
            continue
        if partial := _PARTIAL.search(heading.command):
            folder.leave_out(path, f"it covers a part of the design only (-{partial[1]})")
            continue
        try:
            content = _KINDS[kind][1](path)
        except UnreadableReport as error:
            damaged = damaged or error
            folder.leave_out(path, str(error).removeprefix(f"{path} "))
        else:
            folder.reports.append(_Report(path, kind, heading, content))
    if damaged and not folder.reports:
        raise damaged


def _keep_one_design(folder: _Folder) -> None:
    """Keep the reports of the design that is furthest in the flow, from its folder and its synthesis."""
    main = max(folder.reports, key=lambda report: report.place)
    kept = []
    for report in folder.reports:
        theirs, ours = report.heading, main.heading
        if theirs.design and ours.design and theirs.design != ours.design:
            folder.leave_out(report.path, f"of another design, {theirs.design}, not {ours.design}")
        elif not _same_part(theirs.part, ours.part):
            folder.leave_out(report.path, f"for another part, {theirs.part}, not {ours.part}")
        elif report.path.parent != main.path.parent and theirs.placed:
            folder.leave_out(report.path, f"of another run than {main.path.parent.name}")
        else:
            kept.append(report)
    folder.reports = kept


def _same_part(left: str, right: str) -> bool:
    """Return whether two names may be of one part: reports of timing leave out the speed grade."""
    left, right = (re.sub(r"[^a-z0-9]", "", part.lower()) for part in (left, right))
    return left.startswith(right) or right.startswith(left)


def _build(folder: _Folder) -> Build:
    clocks = [report for placed in (True, False) if (report := folder.last("timing", placed))]
    counts = {placed: folder.last("utilisation", placed) for placed in (True, False)}
    trees = {placed: folder.last("hierarchy", placed) for placed in (True, False)}
    for report in clocks[1:]:
        folder.leave_out(report.path, f"{clocks[0].path.name} is of a later step")
    used = [report for report in (*clocks[:1], *counts.values(), *trees.values()) if report]
    # Reports of timing leave out the speed grade.
    part = max((report.heading.part for report in used), key=len)
    family = vendor_reports.family_of(part) or "xilinx"
    tools = {
        step: next((r.heading.tool for r in used if r.heading.tool and r.heading.placed == placed), "")
        for step, placed in (("synthesis", False), ("routing", True))
    }
    tool = tools["routing"] or tools["synthesis"] or "Vivado"
    routed, synthesised = (_used(folder, counts[placed]) for placed in (True, False))
    clock: TimingSummary | None = clocks[0].content if clocks else None
    return Build(
        name=folder.root.stem if folder.root.suffix == ".rpt" else folder.root.resolve().name,
        network="Vivado's reports",
        run=str(folder.root),
        part=part,
        family=family,
        clock_mhz=1000.0 / clock.period_ns if clock and clock.period_ns else None,
        tools={"synthesis": tools["synthesis"] or tool, "routing": tool},
        nodes=_nodes(trees, family),
        timing=_timing(clock),
        utilisation=_usage(counts[True] or counts[False]),
        synthesis={family: synthesised} if synthesised else {},
        routed=routed or None,
        left_out=folder.left_out,
    )


def _timing(clock: TimingSummary | None) -> Timing:
    if clock is None:
        return Timing()
    return Timing(
        fmax_mhz=clock.fmax_mhz,
        slack_ns=clock.slack_ns,
        critical_path=clock.critical_path,
        timed_after=clock.heading.stage or "synthesis",
        violated=clock.violated,
    )


def _used(folder: _Folder, report: _Report | None) -> Counts:
    """Return the counts of a utilisation report; note what else it has, and resources without a known row."""
    if report is None:
        return {}
    used: Counts = report.content.used
    if report.content.dies:
        folder.leave_out(report.path, f"the use of each of the {report.content.dies} dies (SLRs)")
    missing = [UNITS[name] for name in ("ff", "bram", "dsp") if name not in used]
    if missing:
        folder.leave_out(report.path, f"it has no row of a known name for {', '.join(missing)}")
    return used


def _usage(report: _Report | None) -> list[Usage]:
    if report is None:
        return []
    counted: Utilisation = report.content
    source: Source = "routing" if report.heading.placed else "synthesis"
    return [
        Usage(UNITS[name], used, counted.available[name], source)
        for name, used in counted.used.items()
        if name in counted.available
    ]


def _nodes(trees: dict[bool, _Report | None], family: str) -> list[BuildNode]:
    """Return the design's instances with their counts after synthesis, and after place and route."""
    below = {placed: _instances(report.content[1]) for placed, report in trees.items() if report}
    routed, synthesised = below.get(True, {}), below.get(False, {})
    return [
        BuildNode(
            name=name,
            layer=name,
            kind="other",
            note=(routed.get(name) or synthesised[name]).module,
            synthesis={family: synthesised[name].used} if name in synthesised else {},
            routed=routed[name].used if name in routed else None,
        )
        for name in dict.fromkeys([*routed, *synthesised])
    ]


def _instances(instances: list[Instance]) -> dict[str, Instance]:
    """Return the instances below the top; while there is only one, the instances below that one."""
    top = instances[0].path
    while True:
        below = [i for i in instances if i.path[:-1] == top and not i.path[-1].startswith("(")]
        if len(below) != 1:
            return {instance.path[-1]: instance for instance in below}
        top = below[0].path
