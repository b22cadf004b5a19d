"""Estimates against synthesis: makes the data set, fits the models' constants, reports the error on held-out designs.

    python benchmarks/calibration.py [--cache FOLDER] [--nodes-only | --only PATTERN | --kept]

Yosys synthesises the designs of `designs.py`; docs/calibration/elements.csv lists the result of each element. A row stays
valid while its SystemVerilog and memories are unchanged: an interrupted run resumes, and after a change of the RTL only the
affected designs are synthesised again. The constants are fitted to the single nodes and to the networks that are not held
out, and written to docs/calibration/constants.json. Copy them into `cost_model.Constants` and the families' `lut4` by hand.
The held-out networks are then estimated with them: docs/calibration/networks.csv and held_out.png. These networks are folded
as a search folds them, with the fixed prices in `designs.py`: they stay as they are when constants change.
"""

import argparse
import csv
import hashlib
import json
import math
import re
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from designs import Case, networks, single_nodes, using
from scipy.optimize import least_squares, minimize_scalar, nnls
from scipy.stats import spearmanr

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.chip.synthesis import synthesise
from zerocross.finn_flows.cost import estimate, expected_units
from zerocross.finn_flows.dead_lanes import remaining_price, unread_lanes
from zerocross.finn_flows.families import FAMILIES, get_family
from zerocross.finn_flows.network import Conv, Sparse
from zerocross.finn_flows.nodes import (
    NODES,
    Bias,
    CrossingSite,
    Fifo,
    GroupedProduct,
    InputGenerator,
    LabelSelect,
    MaxPool,
    Padding,
    Product,
    WidthConverter,
    WindowMaxPool,
    Wired,
    WiredCount,
)
from zerocross.finn_flows.nodes.crossing_site import COMPARATORS, SEARCH, TABLE
from zerocross.finn_flows.nodes.form import from_values, to_values
from zerocross.finn_flows.nodes.node import HardwareNode
from zerocross.finn_flows.parts import get_part
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import Design, generate, with_fifos
from zerocross.finn_flows.rtl.library import library, side_by_side
from zerocross.finn_flows.rtl.streaming import size_fifos

FOLDER = Path(__file__).parents[1] / "docs" / "calibration"
# By family: a pattern for the names of single nodes, and the number of networks of each part (fitted, held out).
FAMILY_NODES = {
    "7-series": "",
    "ecp5": "product(?!.*_large)|crossings_.?[05]$|wired_.*_.?.?[0468]x|count_",
    "ice40": "product_.*(_8_|distributed)(?!.*_large)|product_(64x10|32x16)_|crossings_.?5$|count_",
    "gowin": "product_.*(_8_|distributed)(?!.*_large)|product_(64x10|32x16)_|crossings_.?5$|count_",
}
FAMILY_NETWORKS = {"7-series": (99, 99), "ecp5": (4, 5), "ice40": (2, 3), "gowin": (2, 3)}
SMALL = 4_500  # FINN's LUTs of the largest network for families other than 7-series
COLUMNS = (
    "digest",
    "design",
    "use",
    "numbers",
    "family",
    "element",
    "kind",
    "lut",
    "bram",
    "unread",
    "record",
)
PARTS = {"7-series": "xc7z020", "ecp5": "lfe5u-45f", "ice40": "ice40hx8k", "gowin": "gw2ar-18"}


@dataclass(frozen=True)
class Row:
    """Resources of an element of a design.

    Attributes:
        digest: Digest of the design's files and of the flow.
        design: Name of the design.
        use: "node" or "network" (fitted), or "held out".
        numbers: Kind of the design's numbers; see `designs`.
        family: Family that it was mapped to.
        element: Name of the element in the design.
        kind: Kind of the element.
        lut: LUTs of the family.
        bram: Block RAMs of the family.
        node: The element's record, which prices it; None for the logic around the elements.
        unread: Lanes of the element that nothing reads; see `dead_lanes`.
    """

    digest: str
    design: str
    use: str
    numbers: str
    family: str
    element: str
    kind: str
    lut: int
    bram: int
    node: HardwareNode | None
    unread: int = 0


# ---- the data set


def read_rows() -> dict[str, list[Row]]:
    """Return the saved rows by digest."""
    kept: dict[str, list[Row]] = {}
    file = FOLDER / "elements.csv"
    if file.exists():
        with file.open(newline="") as stream:
            for entry in csv.DictReader(stream):
                counts = {name: int(entry.get(name) or 0) for name in ("lut", "bram", "unread")}
                node = _node_of(entry.pop("record"))
                known: dict[str, Any] = {**entry, **counts, "node": node}
                row = Row(**known)
                kept.setdefault(row.digest, []).append(row)
    return kept


def write_rows(rows: Iterable[Row]) -> None:
    """Write the data set; an interrupted write leaves the old file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    partial = FOLDER / "elements.csv.part"
    with partial.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            known = {name: getattr(row, name) for name in COLUMNS[:-1]}
            writer.writerow({**known, "record": _record_of(row.node)})
    partial.replace(FOLDER / "elements.csv")


def _record_of(node: HardwareNode | None) -> str:
    """Write a node's record as JSON: its kind and its fields."""
    if node is None:
        return ""
    return json.dumps({"kind": type(node).__name__, **to_values(node)}, separators=(",", ":"))


def _node_of(text: str) -> HardwareNode | None:
    if not text:
        return None
    values = json.loads(text)
    return from_values(NODES[values.pop("kind")], values)


@cache
def _code(module: str) -> str:
    """Return the code of a module of the library and of the modules it uses, without comments."""
    files = {file.stem: file for file in library()}
    text = re.sub(r"//.*|^\s+", "", files.pop(module).read_text(), flags=re.MULTILINE)
    known = set(files)
    return text + "".join(_code(used) for used in sorted(known & set(re.findall(r"\bzc_\w+", text))))


def _digest(top: str, folder: Path, sources: Iterable[Path], prefix: str, family: str) -> str:
    """Digest the input of synthesis: modules, memories and the flow."""
    own = [file.read_text() for file in sources if file not in library()]
    known = {file.stem for file in library()}
    code = [_code(module) for module in sorted(known & set(re.findall(r"\bzc_\w+", top + "".join(own))))]
    memories = [file.read_text() for file in sorted(folder.glob(f"{prefix}*.mem"))]
    command = get_family(family).synthesis.command
    return hashlib.sha256("\n".join([command, top, *own, *code, *memories]).encode()).hexdigest()[:16]


class Maker:
    """Makes the missing rows.

    Args:
        cache: Folder for simulations and mapped parts.
    """

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.kept = read_rows()
        self.rows: list[Row] = []
        self.started = time.monotonic()

    def nodes(self, nodes: dict[str, HardwareNode], family: str) -> None:
        """Add the rows of single nodes, which are synthesised side by side."""
        tables = get_family(family).lut_inputs
        nodes = {
            key: replace(node, table_inputs=tables) if isinstance(node, Wired) else node
            for key, node in nodes.items()
        }
        with tempfile.TemporaryDirectory() as name:
            folder, missing = Path(name), {}
            built = {key: (node, node.generate(folder, f"{key}_")) for key, node in nodes.items()}
            digests = {}
            for key, (node, instance) in built.items():
                top = side_by_side({"node": (node, instance)}).replace(key, "node")
                digests[key] = _digest(top, folder, instance.sources, f"{key}_", family)
                if digests[key] not in self.kept:
                    missing[key] = (node, instance)
            if missing:
                top_file = folder / "side_by_side.sv"
                top_file.write_text(side_by_side(missing))
                own = [source for _, instance in missing.values() for source in instance.sources]
                sources = list(dict.fromkeys([*library(), *own, top_file]))
                cells = synthesise(
                    *("zc_side_by_side", sources, folder, family, list(missing)),
                    cache=self.cache / "mapped",
                    progress=lambda done, of: self._tell(f"{family}: single nodes", done, of),
                ).by_node
                for key, (node, _) in missing.items():
                    kind = key.split("_", maxsplit=1)[0]
                    what = (digests[key], key, "node", "", family, key, kind)
                    row = Row(*what, cells[key].lut, cells[key].bram, node)
                    self.kept[digests[key]] = [row]
            for key, (node, _) in built.items():
                self.rows += [replace(row, node=node) for row in self.kept[digests[key]]]
        self._save()

    def network(self, case: Case, family: str, done: int, of: int) -> None:
        """Add the rows of a network, with the FIFOs of a build."""
        bare = assemble(plan(case.net.network, case.folding), case.net, case.styles)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            generated = generate(bare, folder / "bare")
            top = (generated.folder / f"{generated.top}.sv").read_text()
            digest = _digest(top, generated.folder, generated.sources, "", family)
            if digest in self.kept:
                depths = {
                    row.element: row.node.depth for row in self.kept[digest] if isinstance(row.node, Fifo)
                }
            else:
                self._tell(f"{family}: {case.name}", done, of)
                marks, _ = size_fifos(bare, folder / "sizing", self.cache)
                depths = {name: depth for name, depth in marks.items() if depth > 1}
            design = with_fifos(bare, depths)
            if digest in self.kept:
                counts = {row.element: (row.lut, row.bram) for row in self.kept[digest]}
            else:
                counts = self._synthesise(design, family, folder)
        use = "held out" if case.held_out else "network"
        what = (digest, case.name, use, case.numbers, family)
        unread = unread_lanes(design)
        self.rows += [
            Row(
                *what,
                element.name,
                element.kind,
                *counts[element.name],
                element.node,
                unread.get(element.name, 0),
            )
            for element in design.elements
        ]
        self.rows.append(Row(*what, "", "rest", *counts[""], None))
        self._save()

    def _save(self) -> None:
        """Write the rows so far, and saved rows that the rest of the run may use."""
        made = {row.digest for row in self.rows}
        write_rows([*self.rows, *(row for key, rows in self.kept.items() if key not in made for row in rows)])

    def _synthesise(self, design: Design, family: str, folder: Path) -> dict[str, tuple[int, int]]:
        generated = generate(design, folder / "complete")
        names = [element.name for element in design.elements]
        cells = synthesise(
            *(generated.top, generated.sources, generated.folder, family, names),
            part=PARTS[family] if family != "7-series" else "",
            cache=self.cache / "mapped",
        ).by_node
        return {name: (found.lut, found.bram) for name, found in cells.items()}

    def _tell(self, note: str, done: int = 0, of: int = 0) -> None:
        seconds = time.monotonic() - self.started
        count = f", {done} of {of}, about {seconds * (of / done - 1):.0f} s left" if done else ""
        print(f"{seconds:6.0f} s  {note}{count}", flush=True)


# ---- the fit

# Constants that are fitted together, by the group of elements whose price they determine.
FITS: dict[str, tuple[str, ...]] = {
    "product": (
        *("product_base", "product_count", "product_power", "product_accumulator"),
        *("product_buffer", "product_address", "product_recode"),
    ),
    "weights in LUTs": ("product_rom",),
    "unrolled": ("unrolled_count", "unrolled_shared", "unrolled_channel"),
    "thresholds": ("compare", "compare_power", "rom_few", "rom_word", "rom_power"),
    "table": ("table_row", "table_power", "table_rows_power", "table_leaf", "table_channel"),
    "input_generator": ("generator_base", "generator_address"),
    "parallel_generator": ("whole_base",),
    "padding": ("padding_base", "padding_counter"),
    "pool": ("line_base", "pool_base", "pool_bit"),
    "label_select": ("label_base", "label_compare", "label_index"),
    "label_tree": ("label_tree_base", "label_tree_bit", "label_tree_index"),
    "wired": ("wired_table",),
    "count": ("tally_base", "tally_count"),
    "bias": ("bias_base", "bias_tree", "bias_rom", "bias_fixed"),
    "grouped": ("grouped_base",),
    "width_converter": ("converter_base", "converter_place", "converter_turn"),
    "fifo": ("fifo_base", "fifo_address", "fifo_wrap"),
}


def _group(node: HardwareNode | None) -> str:
    """Return the group of constants that an element's price depends on; "" if none is fitted to it."""
    match node:
        case Product(pe=pe, simd=simd, channels=channels, fan_in=fan_in) if (pe, simd) == (channels, fan_in):
            return "unrolled"
        case Product(ram_style="block"):
            return "product"
        case Product():
            return "weights in LUTs"
        case CrossingSite(implementation=implementation, crossings=crossings):
            groups = {COMPARATORS: "thresholds", SEARCH: "thresholds", TABLE: "table"}
            return groups.get(implementation, "") if any(crossings) else ""
        case InputGenerator():
            return "parallel_generator" if node.at_once else "input_generator"
        case Padding():
            return "padding"
        case MaxPool() | WindowMaxPool():
            return "pool"
        case LabelSelect():
            return "label_tree" if node.is_tree else "label_select"
        case Wired():
            return "wired"
        case WiredCount():
            return "count"
        case Bias():
            return "bias"
        case GroupedProduct():
            return "grouped"
        case WidthConverter():
            return "width_converter"
        case Fifo():
            return "fifo"
    return ""


def price(row: Row) -> cost_model.Price:
    """Return the price of an element as it is built, in 6-input LUTs."""
    return remaining_price(row.node, row.unread) if row.node else cost_model.Price(0.0)


def fit(rows: Sequence[Row], constants: cost_model.Constants) -> cost_model.Constants:
    """Fit the constants to elements mapped to 7-series, group by group.

    The fit minimises the sum of squares of log((estimate + 100) / (LUT + 100)). These are relative errors, except for small
    elements: many of them are needed to matter in a network.
    """
    for group, names in FITS.items():
        mine = [row for row in rows if row.family == "7-series" and _group(row.node) == group]
        start = [getattr(constants, name) for name in names]
        scale = [max(abs(value), 0.1) for value in start]
        found = least_squares(
            _errors, start, bounds=(0, np.inf), x_scale=scale, args=(constants, names, mine)
        )
        constants = _replaced(constants, names, [_short(value) for value in found.x])
    return constants


def _fitted(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.use != "held out"]


def _short(value: float) -> float:
    return float(f"{value:.3g}") if value > 1e-3 else 0.0


def _errors(
    values: Sequence[float], constants: cost_model.Constants, names: Sequence[str], rows: Sequence[Row]
) -> list[float]:
    with using(_replaced(constants, names, values)):
        return [math.log((price(row).lut + 100) / (row.lut + 100)) for row in rows]


def _replaced(
    constants: cost_model.Constants, names: Sequence[str], values: Sequence[float]
) -> cost_model.Constants:
    changes: dict[str, Any] = dict(zip(names, map(float, values), strict=True))
    return replace(constants, **changes)


# ---- the result


@dataclass(frozen=True)
class Network:
    """Resources of a whole network, used and estimated, in LUTs of the family.

    Attributes:
        design: Name of the network.
        use: "network" (fitted) or "held out".
        layers: "fully connected" or "convolutional".
        family: Family that it was mapped to.
        style: Memory of its weights: "block" or "LUTs".
        lut: LUTs used.
        searched: Estimate that a search uses, before anything is built.
        built: Estimate of the elements as built.
        finn: FINN's estimate; for other families, that of a 7-series part.
        bram: Block RAMs of the family used.
        bram_built: Estimate of the block RAMs, as built.
    """

    design: str
    use: str
    layers: str
    family: str
    style: str
    lut: int
    searched: int
    built: int
    finn: int
    bram: int
    bram_built: int


def compare(cases: Sequence[Case], rows: Sequence[Row]) -> list[Network]:
    """Estimate the networks that the rows describe."""
    named = {case.name: case for case in cases}
    found = []
    for name, family in dict.fromkeys((row.design, row.family) for row in rows if row.use != "node"):
        mine = [row for row in rows if (row.design, row.family) == (name, family)]
        case = named[name]
        cost = estimate(case.net.network, case.folding, get_part(PARTS[family]))
        built = [cost_model.on_family(price(row), family) for row in mine]
        found.append(
            Network(
                *(name, mine[0].use, _layers(case), family),
                style="LUTs" if case.in_luts else "block",
                lut=sum(row.lut for row in mine),
                searched=cost.zerocross.lut,
                built=sum(lut for lut, _ in built),
                finn=cost.finn.lut,
                bram=sum(row.bram for row in mine),
                bram_built=sum(blocks for _, blocks in built),
            )
        )
    return found


def _layers(case: Case) -> str:
    kinds = {type(layer.operation) for layer in case.net.network.layers}
    return "convolutional" if Conv in kinds else "hard-wired" if Sparse in kinds else "fully connected"


def tell(networks: Sequence[Network]) -> None:
    """Print the errors, by family and by kind of network."""
    print(f"{'family':10}{'networks':28}{'n':>4}  {'searched':>19}  {'as built':>19}  {'FINN':>19}")
    for family in PARTS:
        mine = [network for network in networks if network.family == family]
        block = [network for network in mine if network.style == "block"]
        held = [network for network in block if network.use == "held out"]
        parts = {
            "held out": held,
            **{
                f"held out, {kind}": [n for n in held if kind in (n.design.split()[0], n.layers)]
                for kind in (
                    "digits",
                    "28x28",
                    "32x32",
                    "drawn",
                    "random",
                    "fully connected",
                    "convolutional",
                    "hard-wired",
                )
            },
            "held out, below 1,000 LUT": [n for n in held if n.lut < 1000],
            "held out, from 1,000 LUT": [n for n in held if n.lut >= 1000],
            "held out, weights in LUTs": [n for n in mine if n.use == "held out" and n.style == "LUTs"],
            "fitted": [n for n in block if n.use == "network"],
        }
        for name, part in parts.items():
            if len(part) > 2:
                columns = "  ".join(_errors_of(part, column) for column in ("searched", "built", "finn"))
                print(f"{family:10}{name:28}{len(part):4}  {columns}")


def _errors_of(networks: Sequence[Network], column: str) -> str:
    """Return the mean absolute error, the mean ratio and the rank correlation as text."""
    estimated = np.array([getattr(network, column) for network in networks], float)
    taken = np.array([network.lut for network in networks], float)
    error, ratio = np.abs(estimated / taken - 1).mean(), np.exp(np.log(estimated / taken).mean())
    return f"{100 * error:6.1f}% x{ratio:4.2f} {spearmanr(estimated, taken).statistic:5.3f}"


def write_networks(networks: Sequence[Network]) -> None:
    """Write the networks' figures to networks.csv."""
    partial = FOLDER / "networks.csv.part"
    with partial.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [entry.name for entry in fields(Network)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, networks))
    partial.replace(FOLDER / "networks.csv")


def draw(networks: Sequence[Network], file: Path) -> None:
    """Draw the estimates of the held-out networks against the LUTs they use."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    mine = [n for n in networks if n.use == "held out" and n.family == "7-series" and n.style == "block"]
    figure, axes = pyplot.subplots(figsize=(5.6, 5.2), dpi=120)
    taken = [network.lut for network in mine]
    ends = [0.8 * min(taken), 6 * max(taken)]
    axes.plot(ends, ends, color="0.6", linewidth=1, zorder=0)
    axes.plot(
        taken, [network.finn for network in mine], "^", color="#b5651d", markersize=5, label="FINN's estimate"
    )
    axes.plot(
        taken,
        [network.searched for network in mine],
        "o",
        color="#1f6f8b",
        markersize=5,
        label="this project's",
    )
    axes.set(xscale="log", yscale="log", xlim=(ends[0], 1.3 * max(taken)), ylim=ends)
    axes.set(xlabel="LUTs after synthesis (7-series)", ylabel="LUTs estimated before building")
    axes.set_title(f"{len(mine)} held-out networks", fontsize=11)
    axes.legend(frameon=False, loc="upper left")
    axes.grid(which="both", color="0.92", linewidth=0.6)
    figure.tight_layout()
    figure.savefig(file)


def _some(cases: Sequence[Case], count: tuple[int, int]) -> list[Case]:
    """Return as many networks of each part (fitted, held out), evenly from first to last."""
    chosen: list[Case] = []
    for held_out, most in zip((False, True), count, strict=True):
        part = [case for case in cases if case.held_out == held_out]
        places = np.linspace(0, len(part) - 1, min(most, len(part))).round().astype(int)
        chosen += [part[place] for place in places]
    return chosen


def with_shares(
    constants: cost_model.Constants, rows: Sequence[Row], cases: Sequence[Case]
) -> cost_model.Constants:
    """Fit the expected sizes of FIFOs, which no single element shows, to the fitted networks."""
    if not cases:
        return constants
    found, _ = nnls(*_planned_fifos(constants, rows, cases))
    return _replaced(constants, _SHARES, [_short(share) for share in found])


def fit_lut4(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Fit the factors from 6-input to 4-input LUTs, by family and kind of price."""
    return {
        name: {kind: _factor(name, kind, before, rows) for kind, before in family.lut4.items()}
        for name, family in FAMILIES.items()
        if family.lut4
    }


def _factor(family: str, kind: str, before: float, rows: Sequence[Row]) -> float:
    mine = [
        row
        for row in rows
        if row.family == family and row.use != "held out" and price(row).kind == kind
        if family != "ice40" or price(row).implementation not in (COMPARATORS, SEARCH)
    ]  # Yosys counts the carries of iCE40's comparators separately; they also use logic cells
    if len(mine) < 3:
        return before
    found = minimize_scalar(_off_family, bounds=(0.5, 5), args=(family, kind, mine), method="bounded")
    return _short(found.x)


_SHARES = ("fifo_windows", "fifo_image", "fifo_vector")


def _planned_fifos(
    constants: cost_model.Constants, rows: Sequence[Row], cases: Sequence[Case]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the FIFOs' fraction of each fitted network's LUTs: expected for a unit of each share, and used."""
    expected, taken = [], []
    for case in cases:
        mine = [row for row in rows if row.design == case.name and row.family == "7-series"]
        lut = sum(row.lut for row in mine)
        if case.held_out or not lut:
            continue
        columns = []
        for share in _SHARES:
            with using(_replaced(constants, _SHARES, [float(share == other) for other in _SHARES])):
                units = list(expected_units(plan(case.net.network, case.folding)))
            columns.append(sum(unit.price.lut for unit in units if unit.kind == Fifo.word) / lut)
        expected.append(columns)
        taken.append(sum(row.lut for row in mine if row.kind == "fifo") / lut)
    return np.array(expected), np.array(taken)


def _off_family(factor: float, family: str, kind: str, rows: Sequence[Row]) -> float:
    factors = {**get_family(family).lut4, kind: factor}
    estimated = [cost_model.on_family(price(row), family, factors)[0] for row in rows]
    return sum(math.log((lut + 20) / (row.lut + 20)) ** 2 for lut, row in zip(estimated, rows, strict=True))


def _estimate(maker: Maker, cases: Sequence[Case]) -> None:
    """Synthesise networks for 7-series, and print the error of the present constants."""
    for done, case in enumerate(cases):
        maker.network(case, "7-series", done, len(cases))
    found = compare(cases, maker.rows)
    for network in found:
        print(f"  {network}")
    tell(found)


def _estimate_kept() -> None:
    """Print the error of the present constants on held-out networks whose rows are saved, without the large ones."""
    rows = [
        row
        for kept in read_rows().values()
        for row in kept
        if row.use == "held out" and row.family == "7-series"
    ]
    rows = [row for row in rows if not row.design.startswith("large")]
    names = {row.design for row in rows}
    tell(compare([case for case in networks() if case.name in names], rows))


def main() -> None:
    """Make the data set, fit the constants and report the error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, help="folder for mapped parts and simulations")
    parser.add_argument("--nodes-only", action="store_true", help="fit to single nodes only, then stop")
    parser.add_argument(
        "--only",
        help="7-series networks that match this pattern, such as 'large' or 'held out, convolutional'; nothing is fitted",
    )
    parser.add_argument(
        "--kept", action="store_true", help="the held-out networks by the rows of elements.csv, old or not"
    )
    options = parser.parse_args()
    if options.kept:
        _estimate_kept()
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as spare:
        maker = Maker(options.cache or Path(spare))
        if options.only:
            wanted = re.compile(options.only)
            _estimate(maker, [case for case in networks() if wanted.search(f"{case.name}, {_layers(case)}")])
            return
        for family, kinds in FAMILY_NODES.items():
            nodes = {name: node for name, node in single_nodes().items() if re.match(kinds, name)}
            maker.nodes(nodes, family)
        cases = [] if options.nodes_only else list(networks())
        small = [case for case in cases if estimate(case.net.network, case.folding).finn.lut <= SMALL]
        jobs = [
            (family, case)
            for family, count in FAMILY_NETWORKS.items()
            for case in _some(cases if family == "7-series" else small, count)
        ]
        for done, (family, case) in enumerate(jobs):
            maker.network(case, family, done, len(jobs))
    if not options.nodes_only:
        write_rows(maker.rows)
    constants = with_shares(fit(_fitted(maker.rows), cost_model.CONSTANTS), maker.rows, cases)
    with using(constants):
        lut4 = fit_lut4(maker.rows)
    (FOLDER / "constants.json").write_text(json.dumps({**asdict(constants), "lut4": lut4}, indent=1) + "\n")
    for entry in fields(constants):
        before, after = getattr(cost_model.CONSTANTS, entry.name), getattr(constants, entry.name)
        if before != after:
            print(f"{entry.name}: {after} (finn_flows/cost_model.py has {before})")
    for family, factors in lut4.items():
        if factors != get_family(family).lut4:
            print(
                f"lut4 of {family}: {factors} (its file in finn_flows/families/ has {get_family(family).lut4})"
            )
    with using(constants):
        for row in maker.rows:
            if row.use == "node" and row.family == "7-series":
                print(
                    f"  {row.element:40}{row.lut:6}{price(row).lut:8.0f}{100 * (price(row).lut / max(1, row.lut) - 1):7.1f}%"
                )
        found = compare(cases, maker.rows)
        for network in found:
            print(f"  {network}")
        tell(found)
    if found:
        write_networks(found)
        draw(found, FOLDER / "held_out.png")


if __name__ == "__main__":
    main()
