"""Readers of Vivado's reports: utilisation, utilisation by hierarchy, and timing, as plain records.

Block RAMs are counted in RAMB18; a RAMB36 or a tile counts as two.
"""

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from zerocross.reports.build_records import Counts

# The names of rows and columns differ between versions of Vivado and families of parts: "Slice" on the 7 series, "CLB"
# on UltraScale, neither for the registers of Versal.
_SITES = {
    "lut": ("Slice LUTs", "CLB LUTs"),
    "ff": ("Slice Registers", "CLB Registers", "Registers"),
    "bram": ("Block RAM Tile",),
    "dsp": ("DSPs", "DSP Slices"),
    "uram": ("URAM",),
}
_PRIMITIVES = {"carry": ("CARRY4", "CARRY8", "LOOKAHEAD8")}
# For tables without a row for tiles.
_BLOCK_RAMS = {"RAMB36/FIFO": 2, "RAMB36E5": 2, "RAMB18": 1, "RAMB18E5": 1}
_HIERARCHY = {
    "lut": (("Total LUTs", 1),),
    "ff": (("FFs", 1), ("Registers", 1)),
    "bram": (("RAMB36", 2), ("RAMB18", 1)),
    "dsp": (("DSP Blocks", 1), ("DSP48 Blocks", 1), ("DSPs", 1), ("DSP Slices", 1)),
    "uram": (("URAM", 1),),
}
_FAMILIES = (  # of commercial, automotive and defence parts; the first match counts
    ("7-series", r"x(?:[acq]|qr)7"),
    ("versal", r"x(?:[acq]|qr)(?:v[cehmnpr]?\d|2v)"),
    ("ultrascale+", r"x(?:[acq]|qr)(?:zu|au|su|ux|u\d|k\d|[kv]u\d+p)"),
    ("ultrascale", r"x(?:[acq]|qr)[kv]u\d"),
)
_STATES = ("synthesized", "optimized", "placed", "postplace", "routed", "postroute")  # in order of the steps
_FILE_WORDS = (("rout", "routed"), ("plac", "placed"), ("opt", "optimized"), ("synth", "synthesized"))
_HEADER = re.compile(
    r"^\|\s*(Tool Version|Date|Command|Design|Device|Design State)\s*:\s*(.*?)\s*$", re.MULTILINE
)
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
        design: Name of the top module; "" if missing.
        command: Command that wrote the report; "" if missing.
        date: Time at which it was written, or the earliest time if missing.
    """

    tool: str
    part: str
    state: str
    design: str = ""
    command: str = ""
    date: datetime = datetime.min

    @property
    def step(self) -> int:
        """Place of the state among the steps of an implementation, -1 if unknown; higher is later."""
        state = self.state.lower()
        if "partially" in state:
            return _STATES.index("placed")
        return max((i for i, word in enumerate(_STATES) if word in state), default=-1)

    @property
    def stage(self) -> Literal["synthesis", "placement", "routing"] | None:
        """Last step that is complete, None if unknown."""
        if self.step < 0:
            return None
        if self.step < _STATES.index("placed"):
            return "synthesis"
        return "placement" if self.step < _STATES.index("routed") else "routing"

    @property
    def placed(self) -> bool:
        """Whether the design was placed, not only synthesised."""
        return self.stage in ("placement", "routing")


@dataclass(frozen=True)
class Utilisation:
    """A utilisation report.

    Attributes:
        heading: Header of the report.
        used: Resources that the design uses.
        available: Resources of the part.
        dies: Number of dies (SLRs) with their own columns, 0 if the report has none.
    """

    heading: Heading
    used: Counts
    available: Counts
    dies: int = 0


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
        period_ns: Period of the clock with that slack in ns; for a path between two clocks, of the second. None if
            unknown.
        critical_path: Description of the worst path, "" if the report has no paths.
        violated: What else is violated, and by how much, with the remedy.
    """

    heading: Heading
    slack_ns: float | None
    period_ns: float | None
    critical_path: str
    violated: tuple[str, ...] = ()

    @property
    def fmax_mhz(self) -> float | None:
        """Clock in MHz at which the slack would be 0, or None if unknown."""
        if self.slack_ns is None or self.period_ns is None or self.period_ns <= self.slack_ns:
            return None
        return 1000.0 / (self.period_ns - self.slack_ns)


def family_of(part: str) -> str:
    """Return a Xilinx part's family: "7-series", "ultrascale", "ultrascale+", "versal", or "" if unknown."""
    return next((family for family, pattern in _FAMILIES if re.match(pattern, part.lower())), "")


def read_heading(path: Path) -> Heading:
    """Read the header of any report; a missing state is taken from the file's name.

    Raises:
        UnreadableReport: If the file is missing.
    """
    return _heading(read_text(path), path)


def read_utilisation(path: Path) -> Utilisation:
    """Read a report of `report_utilization`.

    Raises:
        UnreadableReport: If the file is missing or has no table of LUTs.
    """
    text = read_text(path)
    used: Counts = {}
    available: Counts = {}
    rows = _site_rows(text)
    tiles = any(name in _SITES["bram"] for name, _ in rows)
    for name, cells in rows:
        for resource, names in _SITES.items():
            if name in names and resource not in used:
                each = 2 if resource == "bram" else 1
                used[resource] = each * _number(path, name, cells["Used"])
                if cells.get("Available"):
                    available[resource] = each * _number(path, name, cells["Available"])
        for resource, names in _PRIMITIVES.items():
            if name in names:
                used[resource] = _number(path, name, cells["Used"])
        if name in _BLOCK_RAMS and not tiles:
            each = _BLOCK_RAMS[name]
            used["bram"] = used.get("bram", 0.0) + each * _number(path, name, cells["Used"])
            if cells.get("Available"):
                # RAMB18 and RAMB36 share their sites.
                available["bram"] = each * _number(path, name, cells["Available"])
    if "lut" not in used:
        found = ", ".join(dict.fromkeys(name for name, _ in rows[:12]))
        raise UnreadableReport(
            f"{path} is not a utilisation report of Vivado: it has no row for Slice or CLB LUTs"
            + (f", only {found}" if found else "")
        )
    dies = len(set(re.findall(r"\|\s*(SLR\d+)\s*(?=\|)", text)))
    return Utilisation(_heading(text, path), used, available, dies)


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
        part, state = document.get("partname", ""), document.get("designstate", "")
        command, design = document.get("cmdline", ""), document.get("designname", "")
        heading = Heading("", _full_part(part), state, design, command)
        rows = [[cell.get("contents", "") for cell in row] for row in document.iter("tablerow")]
    else:
        heading = _heading(text, path)
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
    if not any(title in titles for title, _ in _HIERARCHY["lut"]):
        raise UnreadableReport(f"{path} has no column Total LUTs; its columns are {', '.join(titles)}")
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


_OTHERS = {
    "WHS(ns)": "hold by {:.2f} ns, which no slower clock mends",
    "WPWS(ns)": "a pulse width by {:.2f} ns, which needs a slower clock",
}
"""Worst slacks besides that of setup."""


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
    row = dict(zip(re.split(r"\s{2,}", lines[start or 0].strip()), values, strict=False))
    violated = tuple(
        what.format(-number)
        for name, what in _OTHERS.items()
        if (text_of := row.get(name, "NA")) != "NA" and (number := _number(path, name, text_of)) < 0
    )
    return TimingSummary(_heading(text, path), slack, _period(text, slack), _path_in_words(worst), violated)


def read_text(path: Path) -> str:
    """Read a text file; bytes that are not UTF-8 become replacement characters.

    Raises:
        UnreadableReport: If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UnreadableReport(f"{path} cannot be read: {error.strerror}") from None


def _heading(text: str, path: Path) -> Heading:
    found = {name: value.rstrip("| ") for name, value in reversed(_HEADER.findall(text))}  # the first counts
    tool = _TOOL.search(found.get("Tool Version", ""))
    # File names of Vivado and of its scripts contain the step: "top_utilization_placed.rpt", "post_route_util.rpt".
    named = next((state for word, state in _FILE_WORDS if word in path.stem.lower()), "")
    return Heading(
        f"Vivado {tool[1]}" if tool else "",
        _full_part(found.get("Device", "")),
        found.get("Design State", "") or named,
        found.get("Design", ""),
        found.get("Command", ""),
        _date(found.get("Date", "")),
    )


def _date(text: str) -> datetime:
    try:
        return datetime.strptime(" ".join(text.split()), "%a %b %d %H:%M:%S %Y")
    except ValueError:
        return datetime.min


def _full_part(name: str) -> str:
    """Return the full name of a part: reports of older versions leave out "xc"."""
    return name if not name or re.match(r"x[acq]", name) else f"xc{name}"


def _site_rows(text: str) -> list[tuple[str, dict[str, str]]]:
    """Return (name, cells by title) for every row in the tables that count the sites and primitives of the whole part.

    The tables of dies (SLRs) also begin with "Site Type", but have a column for each die in place of "Used".
    """
    rows: list[tuple[str, dict[str, str]]] = []
    titles: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            titles = titles if line.startswith("+") else []
            continue
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells and cells[0] in ("Site Type", "Ref Name"):
            titles = cells if "Used" in cells else []
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
    """Return the period of the clock with the worst slack, None if several clocks could have it."""
    periods = {name: float(period) for name, period in _CLOCK.findall(text)}
    if slack is not None:
        for title, column in (("Intra Clock Table", 0), ("Inter Clock Table", 1)):
            for line in _section(text, title):
                cells = line.split()
                if (
                    len(cells) > column + 1
                    and cells[column] in periods
                    and cells[column + 1] == f"{slack:.3f}"
                ):
                    return periods[cells[column]]
    return next(iter(periods.values())) if len(periods) == 1 else None


def _section(text: str, title: str) -> list[str]:
    """Return the lines of a section of a timing summary, up to the title of the next."""
    lines = text.partition(f"| {title}")[2].splitlines()[2:]
    end = next((i for i, line in enumerate(lines) if line.startswith("| ")), len(lines))
    return lines[:end]


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
