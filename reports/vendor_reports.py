"""Readers of Vivado's reports: utilisation, utilisation by hierarchy, and timing, as plain records.

Block RAMs are counted in RAMB18; a RAMB36 or a tile counts as two.
"""

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from zerocross.reports.build_records import Counts

# The names of rows and columns differ between versions of Vivado and families of parts.
_SITES = {
    "lut": ("Slice LUTs", "CLB LUTs"),
    "ff": ("Slice Registers", "CLB Registers"),
    "bram": ("Block RAM Tile",),
    "dsp": ("DSPs", "DSP Slices"),
    "uram": ("URAM",),
}
_PRIMITIVES = {"carry": ("CARRY4", "CARRY8")}
_HIERARCHY = {
    "lut": (("Total LUTs", 1),),
    "ff": (("FFs", 1),),
    "bram": (("RAMB36", 2), ("RAMB18", 1)),
    "dsp": (("DSP Blocks", 1), ("DSP48 Blocks", 1), ("DSPs", 1)),
    "uram": (("URAM", 1),),
}
_HEADER = re.compile(r"^\|\s*(Tool Version|Device|Design State)\s*:\s*(.*?)\s*$", re.MULTILINE)
_TOOL = re.compile(r"Vivado v\.?(\S+)")
_SLACK = re.compile(
    r"^Slack \(\w+\) :\s*(-?[\d.]+)ns\s+\(required time - arrival time\)(.*?)(?=^Slack|\Z)", re.M | re.S
)
_CLOCK = re.compile(r"^\s*(\S+)\s+\{[-\d. ]+\}\s+([\d.]+)\s+[\d.]+\s*$", re.MULTILINE)


class UnreadableReport(ValueError):
    """A file that is not the expected report, or is damaged; the message names it."""


@dataclass(frozen=True)
class Heading:
    """The header of a report.

    Attributes:
        tool: Tool, such as "Vivado 2023.2"; "" if missing.
        part: Part, such as "xc7z020clg400-1"; "" if missing.
        state: State of the design: "Synthesized", "Routed", "Physopt postRoute", ...; "" if missing.
    """

    tool: str
    part: str
    state: str

    @property
    def placed(self) -> bool:
        """Whether the design was placed, not only synthesised."""
        return any(word in self.state.lower() for word in ("placed", "route"))


@dataclass(frozen=True)
class Utilisation:
    """A utilisation report.

    Attributes:
        heading: Header of the report.
        used: Resources that the design uses.
        available: Resources of the part.
    """

    heading: Heading
    used: Counts
    available: Counts


@dataclass(frozen=True)
class Instance:
    """One line of a utilisation report by hierarchy.

    Attributes:
        path: Names of the instances from the top down; a last name in parentheses is the logic of the instance above,
            without that instance's own instances.
        module: Name of its module.
        used: Resources of the instance, including those below it.
    """

    path: tuple[str, ...]
    module: str
    used: Counts


@dataclass(frozen=True)
class TimingSummary:
    """A timing summary.

    Attributes:
        heading: Header of the report.
        slack_ns: Worst negative slack of setup in ns, None if nothing is constrained.
        period_ns: Period of the clock with that slack in ns, None if unknown.
        critical_path: Description of the worst path, "" if the report has no paths.
    """

    heading: Heading
    slack_ns: float | None
    period_ns: float | None
    critical_path: str

    @property
    def fmax_mhz(self) -> float | None:
        """Clock in MHz at which the slack would be 0, or None if unknown."""
        if self.slack_ns is None or self.period_ns is None or self.period_ns <= self.slack_ns:
            return None
        return 1000.0 / (self.period_ns - self.slack_ns)


def family_of(part: str) -> str:
    """Return a Xilinx part's family: "7-series", "ultrascale+", or "" for others."""
    if part.startswith("xc7"):
        return "7-series"
    return "ultrascale+" if re.match(r"xc(zu|u\d|k\d|au|[kv]u\d+p)", part) else ""


def read_utilisation(path: Path) -> Utilisation:
    """Read a report of `report_utilization`.

    Raises:
        UnreadableReport: If the file is missing or has no table of LUTs.
    """
    text = read_text(path)
    used: Counts = {}
    available: Counts = {}
    for name, cells in _site_rows(text):
        for resource, names in _SITES.items():
            if name in names and resource not in used:
                each = 2 if resource == "bram" else 1
                used[resource] = each * _number(path, name, cells.get("Used", ""))
                if cells.get("Available"):
                    available[resource] = each * _number(path, name, cells["Available"])
        for resource, names in _PRIMITIVES.items():
            if name in names:
                used[resource] = _number(path, name, cells.get("Used", ""))
    if "lut" not in used:
        raise UnreadableReport(
            f"{path} is not a utilisation report of Vivado: it has no row for Slice or CLB LUTs"
        )
    return Utilisation(_heading(text), used, available)


def read_hierarchy(path: Path) -> tuple[Heading, list[Instance]]:
    """Read a report of `report_utilization -hierarchical`, as text or as XML.

    Raises:
        UnreadableReport: If the file is missing, is damaged or has no table of instances.
    """
    text = read_text(path)
    if text.lstrip().startswith("<"):
        try:
            document = ET.fromstring(text.encode())
        except ET.ParseError as error:
            raise UnreadableReport(f"{path} is damaged: {error}") from None
        heading = Heading("", _full_part(document.get("partname", "")), document.get("designstate", ""))
        rows = [[cell.get("contents", "") for cell in row] for row in document.iter("tablerow")]
    else:
        heading = _heading(text)
        # Vivado puts one space after the bar, and two for every level.
        rows = [
            [cell[1:].rstrip() for cell in line.split("|")[1:-1]]
            for line in text.splitlines()
            if line[:1] == "|"
        ]
    start = next((i for i, row in enumerate(rows) if row and row[0].strip() == "Instance"), None)
    if start is None:
        raise UnreadableReport(f"{path} is not a utilisation report by hierarchy: it has no column Instance")
    titles = [cell.strip() for cell in rows[start]]
    instances: list[Instance] = []
    above: list[str] = []
    for row in rows[start + 1 :]:
        if len(row) != len(titles):
            break
        cells = dict(zip(titles, row, strict=True))
        name = row[0].strip()
        depth = (len(row[0]) - len(row[0].lstrip())) // 2
        above[depth:] = [name]
        used = {
            resource: float(
                sum(each * _number(path, name, cells[title]) for title, each in parts if title in cells)
            )
            for resource, parts in _HIERARCHY.items()
            if any(title in cells for title, _ in parts)
        }
        instances.append(Instance(tuple(above), cells.get("Module", "").strip(), used))
    if not instances:
        raise UnreadableReport(f"{path} is cut short: its table of instances is empty")
    return heading, instances


def read_timing(path: Path) -> TimingSummary:
    """Read a report of `report_timing_summary`.

    Raises:
        UnreadableReport: If the file is missing or has no design timing summary.
    """
    text = read_text(path)
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.split()[:1] == ["WNS(ns)"]), None)
    values = [] if start is None or start + 2 >= len(lines) else lines[start + 2].split()
    if not values:
        raise UnreadableReport(
            f"{path} is not a timing summary of Vivado: it has no table beginning with WNS(ns)"
        )
    slack = None if values[0] == "NA" else _number(path, "WNS(ns)", values[0])
    paths = [(float(found[1]), found[2]) for found in _SLACK.finditer(text)]
    worst = min(paths, key=lambda pair: pair[0], default=(0.0, ""))[1]
    return TimingSummary(_heading(text), slack, _period(text, slack), _path_in_words(worst))


def read_text(path: Path) -> str:
    """Read a text file; bytes that are not UTF-8 become replacement characters.

    Raises:
        UnreadableReport: If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UnreadableReport(f"{path} cannot be read: {error.strerror}") from None


def _heading(text: str) -> Heading:
    found = {name: value.rstrip("| ") for name, value in _HEADER.findall(text)}
    tool = _TOOL.search(found.get("Tool Version", ""))
    return Heading(
        f"Vivado {tool[1]}" if tool else "",
        _full_part(found.get("Device", "")),
        found.get("Design State", ""),
    )


def _full_part(name: str) -> str:
    """Return the full name of a part: reports of older versions leave out "xc"."""
    return name if not name or name.startswith("xc") else f"xc{name}"


def _site_rows(text: str) -> list[tuple[str, dict[str, str]]]:
    """Return (name, cells by title) for every row in the tables of sites and primitives."""
    rows, titles = [], []
    for line in text.splitlines():
        if not line.startswith("|"):
            continue
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells and cells[0] in ("Site Type", "Ref Name"):
            titles = cells
        elif titles and len(cells) == len(titles):
            rows.append((cells[0].rstrip("*"), dict(zip(titles, cells, strict=True))))
    return rows


def _number(path: Path, name: str, cell: str) -> float:
    """Return the number in a cell, which may include a percentage: "4910 (9.23%)"."""
    found = re.match(r"\s*(-?[\d,]+(?:\.\d+)?)", cell)
    if found is None:
        raise UnreadableReport(f"{path} is damaged: {name} has {cell.strip()!r} where a number should be")
    return float(found[1].replace(",", ""))


def _period(text: str, slack: float | None) -> float | None:
    """Return the period of the clock with the worst slack; of the fastest clock if the report does not name it."""
    periods = {name: float(period) for name, period in _CLOCK.findall(text)}
    _, _, table = text.partition("| Intra Clock Table")
    for line in table.partition("| Inter Clock Table")[0].splitlines():
        cells = line.split()
        if len(cells) > 1 and cells[0] in periods and slack is not None and cells[1] == f"{slack:.3f}":
            return periods[cells[0]]
    return min(periods.values(), default=None)


def _path_in_words(path: str) -> str:
    """Return a path of the timing details as text: "a/C -> b/D, 5.325 ns, 15 levels of logic"."""
    fields = dict(
        re.findall(r"^\s+(Source|Destination|Data Path Delay|Logic Levels):\s+(\S+)", path, re.MULTILINE)
    )
    if "Source" not in fields or "Destination" not in fields:
        return ""
    words = f"{fields['Source']} -> {fields['Destination']}"
    if "Data Path Delay" in fields:
        words += f", {fields['Data Path Delay'].removesuffix('ns')} ns"
    return words + (f", {fields['Logic Levels']} levels of logic" if "Logic Levels" in fields else "")
