"""Readers of everything that can be shown as a build: a build's folder, FINN's output, a folder of Vivado's reports."""

import re
from pathlib import Path

from zerocross.reports import finn_output, vendor_reports
from zerocross.reports.build_records import Build, BuildNode, Source, Timing, Usage
from zerocross.reports.build_storage import BUILD, UnreadableBuild, load_build
from zerocross.reports.vendor_reports import Heading, Instance

UNITS = {"lut": "LUT6", "ff": "FF", "bram": "RAMB18", "dsp": "DSP", "uram": "URAM", "carry": "CARRY"}


def read_build(path: Path) -> Build:
    """Read a build.

    Args:
        path: One of:
            * the folder of a `zerocross build`, or its `build.json`;
            * the output folder of a FINN build;
            * a folder with Vivado's utilisation and timing reports (`*.rpt`), or one such report.

    Raises:
        UnreadableBuild: If it is none of these, or another version wrote it.
        vendor_reports.UnreadableReport: If one of FINN's or Vivado's reports is damaged.
    """
    if path.name == BUILD or (path / BUILD).is_file():
        return load_build(path)
    if finn_output.holds_finn_output(path):
        return finn_output.read_finn_output(path)
    reports = [path] if path.suffix == ".rpt" else sorted(path.glob("*.rpt"))
    build = _vivado_build(path, reports)
    if build is None:
        raise UnreadableBuild(
            f"{path} holds no search and no build. Name a folder with pareto.json (from `zerocross search`), {BUILD} "
            "(from `zerocross build`), FINN's reports, or Vivado's utilisation or timing reports (*.rpt)"
        )
    return build


def _vivado_build(path: Path, reports: list[Path]) -> Build | None:
    """Combine Vivado's reports into a build; return None if no report is of a known kind."""
    headings: list[Heading] = []
    utilisation: list[Usage] = []
    timing, clock, whole, nodes = Timing(), None, {}, []
    for report in reports:
        text = vendor_reports.read_text(report)
        if "WNS(ns)" in text:
            summary = vendor_reports.read_timing(report)
            headings.append(summary.heading)
            clock = 1000.0 / summary.period_ns if summary.period_ns else None
            timing = Timing(
                fmax_mhz=summary.fmax_mhz, slack_ns=summary.slack_ns, critical_path=summary.critical_path
            )
        elif "Site Type" in text:
            counted = vendor_reports.read_utilisation(report)
            headings.append(counted.heading)
            source: Source = "routing" if counted.heading.placed else "synthesis"
            whole = counted.used
            utilisation = [
                Usage(UNITS[name], used, counted.available[name], source)
                for name, used in whole.items()
                if name in counted.available
            ]
        elif re.search(r"^\|\s*Instance\s*\|", text, re.MULTILINE):
            heading, instances = vendor_reports.read_hierarchy(report)
            headings.append(heading)
            nodes = _instances(instances, heading)
    if not headings:
        return None
    part = next((heading.part for heading in headings if heading.part), "")
    tool = next((heading.tool for heading in headings if heading.tool), "Vivado")
    family = vendor_reports.family_of(part) or "7-series"
    placed = any(heading.placed for heading in headings)
    return Build(
        name=path.stem,
        network="Vivado's reports",
        run=str(path),
        part=part,
        family=family,
        clock_mhz=clock,
        tools={"synthesis": tool, "routing": tool},
        nodes=nodes,
        timing=timing,
        utilisation=utilisation,
        synthesis={family: whole} if whole and not placed else {},
        routed=whole if whole and placed else None,
    )


def _instances(instances: list[Instance], heading: Heading) -> list[BuildNode]:
    """Return the instances below the top; while there is only one, the instances below that one."""
    top = instances[0].path
    while True:
        below = [i for i in instances if i.path[:-1] == top and not i.path[-1].startswith("(")]
        if len(below) != 1:
            break
        top = below[0].path
    family = vendor_reports.family_of(heading.part) or "7-series"
    return [
        BuildNode(
            name=instance.path[-1],
            layer=instance.path[-1],
            kind="other",
            note=instance.module,
            synthesis={} if heading.placed else {family: instance.used},
            routed=instance.used if heading.placed else None,
        )
        for instance in below
    ]
