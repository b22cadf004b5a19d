"""Logic cells of nodes on an iCE40: makes the data set, and fits the numbers of `LogicCells`.

    python benchmarks/logic_cells.py [--cache FOLDER]

Yosys maps nodes of `designs.py`, and nextpnr packs them (`--pack-only`). docs/calibration/logic_cells.csv lists the cells of
each node. Rows of nodes with the same record stay valid; delete the file after a change of the RTL. The fit minimises the
sum of squared relative errors, for each kind of price by itself. Copy the numbers into `finn_flows/families/ice40.py`.
"""

import argparse
import csv
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.chip.routed_cells import count_by_node
from zerocross.finn_flows.chip.synthesis import synthesise
from zerocross.finn_flows.families import get_family
from zerocross.finn_flows.families.family import LogicCells
from zerocross.finn_flows.nodes import NODES, Wired
from zerocross.finn_flows.nodes.form import from_values, to_values
from zerocross.finn_flows.nodes.node import HardwareNode
from zerocross.finn_flows.parts import get_part
from zerocross.finn_flows.rtl.library import library, side_by_side

TABLE = Path(__file__).parents[1] / "docs" / "calibration" / "logic_cells.csv"
FAMILY, PART = "ice40", "ice40hx8k"
COLUMNS = ("node", "lut", "ff", "carry", "bram", "cells", "record")
WANTED = re.compile(
    "product_(64x24_2x4|64x16_8x1|27x8|9x8_1|64x32_8x2|64x10_64x10|32x16_32|256x32_16x4|48x24|128x64|9x16|32x32"
    "|64x64_16x8_1|64x32_8x4_1_|256x10|144x16|100x10|36x12|576x64_16)(?!.*large)|crossings_.?[58]$|label|converter|fifo|windows"
    "|padding|pool|windowpool|bias|sum|concat|select|grouped_(16x9x1x1_4|32|8x9x4)|wired_(100|60|200_100|64_10x6|200_60x7"
    "|300_30x12|400_12)|count_(100|200|60|101|128)"
)
_BATCH = 60  # nodes that are mapped and packed at a time


def read_rows() -> dict[str, dict[str, str]]:
    """Return the saved rows by the nodes' records."""
    if not TABLE.exists():
        return {}
    with TABLE.open(newline="") as stream:
        return {row["record"]: row for row in csv.DictReader(stream)}


def node_of(record: str) -> HardwareNode:
    """Return the node of a row."""
    values = json.loads(record)
    return from_values(NODES[values.pop("kind")], values)


def record_of(node: HardwareNode) -> str:
    """Return a node as text."""
    return json.dumps({"kind": type(node).__name__, **to_values(node)}, separators=(",", ":"))


def stream_bits(node: HardwareNode) -> int:
    """Return the width of a node's streams together."""
    return sum(stream.width for stream in (*node.inputs.values(), *node.outputs.values()))


def fit(rows: list[dict[str, str]]) -> dict[str, LogicCells]:
    """Fit the cells of each kind of price. Weights and memories are taken from the price, with the cost model's numbers."""
    terms: dict[str, list[tuple[float, float, float, float]]] = {}
    for row in rows:
        node = node_of(row["record"])
        price, bits = node.price(), stream_bits(node)
        if price.tables:
            continue
        lut, _ = cost_model.on_family(price, FAMILY)
        weights = cost_model.weight_luts(price, FAMILY)
        fixed = weights + cost_model.memory_cells(price, FAMILY)
        kind = price.kind if price.kind in get_family(FAMILY).logic_cells else "other"
        terms.setdefault(kind, []).append((lut - weights, bits, fixed, float(row["cells"])))
    return {kind: _fitted(np.array(found)) for kind, found in sorted(terms.items())}


def _fitted(terms: np.ndarray) -> LogicCells:
    lut, bits, fixed, cells = terms.T
    scale = 1 / (cells + 100)  # relative errors, except for small nodes
    factors = np.stack([lut, bits, np.ones_like(lut)], axis=1)
    found, _ = nnls(factors * scale[:, None], (cells - fixed) * scale)
    return LogicCells(*(float(f"{number:.3g}") for number in found))


def pack(netlist: Path, folder: Path) -> Mapping[str, dict[str, int]]:
    """Return nextpnr's cells of a mapped netlist by node."""
    router = get_family(FAMILY).router
    device = get_part(PART).device
    assert router is not None and device is not None
    (folder / router.constraints).write_text("")
    (folder / "mapped.json").write_bytes(netlist.read_bytes())
    tool = router.nextpnr(device, ["--json", "mapped.json", "--write", "packed.json", "--pack-only"])
    call = f"import sys, {tool.module} as tool; sys.exit(tool.{tool.function}({list(tool.arguments)!r}))"
    subprocess.run([sys.executable, "-c", call], cwd=folder, check=True, capture_output=True)
    return count_by_node(
        json.loads((folder / "packed.json").read_text()), router.types or router.resources, router.carry
    )


def measure(nodes: dict[str, HardwareNode], cache: Path) -> list[dict[str, str]]:
    """Map and pack nodes side by side, and return their rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = {key: (node, node.generate(folder, f"{key}_")) for key, node in nodes.items()}
        top = folder / "side_by_side.sv"
        top.write_text(side_by_side(built))
        own = [source for _, instance in built.values() for source in instance.sources]
        sources = list(dict.fromkeys([*library(), *own, top]))
        mapped = synthesise(
            "zc_side_by_side", sources, folder, FAMILY, list(built), part=PART, cache=cache / "mapped"
        )
        packed = pack(mapped.netlist, folder)
    return [
        {
            "node": key,
            **{name: str(getattr(mapped.by_node[key], name)) for name in ("lut", "ff", "carry", "bram")},
            "cells": str(packed.get(key, {}).get("lut", 0)),
            "record": record_of(node),
        }
        for key, node in nodes.items()
    ]


def main() -> None:
    """Measure missing nodes, fit, and print the numbers and the errors."""
    from designs import single_nodes  # it imports torch, which the fit alone does not need

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, help="folder for mapped nodes")
    options = parser.parse_args()
    nodes = {
        name: replace(node, table_inputs=4) if isinstance(node, Wired) else node
        for name, node in single_nodes().items()
        if WANTED.match(name)
    }
    kept = read_rows()
    missing = [name for name, node in nodes.items() if record_of(node) not in kept]
    with tempfile.TemporaryDirectory() as spare:
        for start in range(0, len(missing), _BATCH):
            batch = {name: nodes[name] for name in missing[start : start + _BATCH]}
            kept |= {row["record"]: row for row in measure(batch, options.cache or Path(spare))}
            write_rows([kept[record_of(node)] for node in nodes.values() if record_of(node) in kept])
    rows = [kept[record_of(node)] for node in nodes.values()]
    for kind, found in fit(rows).items():
        print(f"{kind}: {found}")
    for row in rows:
        node = node_of(row["record"])
        estimate, cells = cost_model.logic_cells(node.price(), FAMILY, stream_bits(node)), int(row["cells"])
        print(f"  {row['node']:40}{cells:6}{estimate:6}{100 * (estimate / max(1, cells) - 1):7.1f}%")


def write_rows(rows: list[dict[str, str]]) -> None:
    """Write the data set; an interrupted write leaves the old file."""
    partial = TABLE.with_suffix(".part")
    with partial.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(TABLE)


if __name__ == "__main__":
    main()
