"""Reader of a FINN build's output folder: FINN's estimates, simulation and synthesis as a build.

FINN's version and its configured outputs determine the files in the folder; each file is read if it exists.
"""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from zerocross.reports import vendor_reports
from zerocross.reports.build_records import Build, BuildNode, Counts, Stage, Timing
from zerocross.reports.vendor_reports import UnreadableReport

ESTIMATES = "estimate_layer_resources.json"
HLS = "estimate_layer_resources_hls.json"
CYCLES = "estimate_layer_cycles.json"
OPERATIONS = "op_and_param_counts.json"
PERFORMANCE = "estimate_network_performance.json"
SIMULATION = "rtlsim_performance.json"
SYNTHESISED = "post_synth_resources_dcp.json"
ROUTED = "post_synth_resources.json"
ROUTED_XML = "post_synth_resources.xml"
OUT_OF_CONTEXT = "ooc_synth_and_timing.json"
TIMING = ("post_route_timing.rpt", "ooc_timing.rpt")
FIFOS = "fifo_sizing.json"
FOLDING = ("final_hw_config.json", "applied_folding_config.json", "auto_folding_config.json")
SECONDS = "time_per_step.json"
OUTCOME = "metadata_builder.json"


@dataclass(frozen=True)
class _Performance:
    max_cycles: int | None = None
    critical_path_cycles: int | None = None
    estimated_throughput_fps: float | None = None


@dataclass(frozen=True)
class _OutOfContext:
    clk_period_ns: float | None = None
    WNS: float | None = None
    fmax_mhz: float | None = None
    vivado_version: str = ""


@dataclass(frozen=True)
class _Simulation:
    """Simulation of the whole design, in FINN's format."""

    latency_cycles: int
    interval_cycles: int | None = None
    N: int = 1
    interval_is_steady_state: bool | None = None


@dataclass(frozen=True)
class _Output:
    """Simulation of one output, in finn-plus' format."""

    intervals: list[int]
    latency_cycles: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Folding:
    PE: int = 0
    SIMD: int = 0
    ram_style: str = ""


@dataclass(frozen=True)
class _Fifos:
    fifo_depths: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Outcome:
    status: str = "ok"
    tool_version: str = ""


_KINDS: dict[str, str] = {
    "MVAU": "product",
    "VVAU": "product",
    "Thresholding": "crossings",
    "ConvolutionInputGenerator": "generator",
    "FMPadding": "padding",
    "Pool": "pool",
    "StreamingMaxPool": "pool",
    "LabelSelect": "label",
    "AddStreams": "sum",
    "ElementwiseAdd": "sum",
    "DuplicateStreams": "fork",
    "StreamingConcat": "concat",
    "StreamingSplit": "select",
    "StreamingDataWidthConverter": "converter",
    "StreamingFIFO": "fifo",
}
_NODE = re.compile(r"(?:StreamingDataflowPartition_\d+_)?([A-Za-z]\w*?)_(?:hls|rtl)_\d+")
_PARTITION = re.compile(r"StreamingDataflowPartition_\d+_")


def holds_finn_output(folder: Path) -> bool:
    """Return whether a folder, or its `report` folder, has any file about nodes or the whole design."""
    return any(
        _find(folder, name) for name in (ESTIMATES, CYCLES, PERFORMANCE, ROUTED, ROUTED_XML, OUT_OF_CONTEXT)
    )


def read_finn_output(folder: Path) -> Build:
    """Read FINN's reports as a build.

    Args:
        folder: FINN's output folder, or the `report` folder in it.

    Returns:
        A build whose nodes have FINN's names. FINN does not report the layer of a node. So each node is its own layer,
        except converters, FIFOs, paddings and input generators: they belong to the next node.

    Raises:
        UnreadableReport: If the folder has none of FINN's reports, or one is damaged.
    """
    if not holds_finn_output(folder):
        raise UnreadableReport(
            f"{folder} holds none of FINN's reports (such as {ESTIMATES} or {ROUTED}). "
            "Name the output folder of a FINN build, or the report folder in it"
        )
    name = folder.resolve().parent.name if folder.resolve().name == "report" else folder.resolve().name
    build = Build(name=name, network="FINN", run=str(folder), tools={"simulation": "FINN's RTL simulation"})
    build = replace(build, **_hardware(folder))
    build = replace(build, nodes=_nodes(folder, build), stages=_stages(folder))
    return replace(build, **_pace(folder, build))


def _hardware(folder: Path) -> dict[str, Any]:
    """Return Vivado's results for the whole design: part, tool, counts, timing."""
    result: dict[str, Any] = {"tools": {"simulation": "FINN's RTL simulation"}}
    part, tool = "", ""
    if path := _find(folder, ROUTED_XML):
        heading, _ = vendor_reports.read_hierarchy(path)
        part = heading.part
    routed = _table(folder, ROUTED).get("(top)")
    if path := _find(folder, OUT_OF_CONTEXT):
        whole, told = _json(path, dict[str, Any]), _json(path, _OutOfContext)
        routed = {key: value for key, value in whole.items() if isinstance(value, int | float)}
        tool = f"Vivado {told.vivado_version}" if told.vivado_version else ""
        result["clock_mhz"] = 1000.0 / told.clk_period_ns if told.clk_period_ns else None
        result["timing"] = Timing(fmax_mhz=told.fmax_mhz, slack_ns=told.WNS, estimated_by="finn")
    if path := next((path for name in TIMING if (path := _find(folder, name))), None):
        summary = vendor_reports.read_timing(path)
        part, tool = part or summary.heading.part, summary.heading.tool
        if summary.period_ns:
            result["clock_mhz"] = 1000.0 / summary.period_ns
        result["timing"] = Timing(
            fmax_mhz=summary.fmax_mhz,
            slack_ns=summary.slack_ns,
            critical_path=summary.critical_path,
            estimated_by="finn",
        )
    if path := _find(folder, OUTCOME):
        tool = tool or f"Vivado {_json(path, _Outcome).tool_version}".strip()
    tool = tool or "Vivado"
    result["tools"] |= {"synthesis": tool, "routing": tool}
    result |= {"part": part, "family": vendor_reports.family_of(part) or "7-series"}
    return result | {"routed": _counts(routed) if routed else None}


def _nodes(folder: Path, build: Build) -> list[BuildNode]:
    estimates, hls = _table(folder, ESTIMATES), _table(folder, HLS)
    synthesised, routed = _by_node(_table(folder, SYNTHESISED)), _by_node(_routed(folder))
    cycles, operations = _numbers(folder, CYCLES), _table(folder, OPERATIONS)
    path = next((path for name in FOLDING if (path := _find(folder, name))), None)
    folding = _json(path, dict[str, _Folding], leave_out="Defaults") if path else {}
    path = _find(folder, FIFOS)
    depths = _json(path, _Fifos).fifo_depths if path else {}
    # The synthesis results include the FIFOs and converters, in the order of the stream.
    names = dict.fromkeys([*routed, *synthesised, *estimates, *cycles, *depths])
    nodes = []
    for name in names:
        if not (found := _NODE.fullmatch(name)):
            continue
        folded = folding.get(name, _Folding())
        whole = synthesised.get(name)
        nodes.append(
            BuildNode(
                name=name,
                layer="",
                kind=_kind(found[1]),
                implementation=folded.ram_style.replace("auto", ""),
                pe=folded.PE,
                simd=folded.SIMD,
                note=_operations(operations.get(name, {})) or found[1],
                estimate_finn=_counts(estimates.get(name, {})),
                estimate_hls=_counts(hls.get(name, {})),
                synthesis={build.family: _counts(whole)} if whole else {},
                routed=_counts(routed[name]) if name in routed else None,
                ii_estimate=int(cycles[name]) if name in cycles else None,
                fifo_depth=depths.get(name),
            )
        )
    return _with_layers(nodes)


def _kind(operator: str) -> str:
    """Return the kind of a FINN operator; the name of this project's own operators ("ZcWindowMaxPool") contains it."""
    if operator.startswith("Zc"):
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", operator.removeprefix("Zc")).lower()
    return _KINDS.get(operator, "other")


def _routed(folder: Path) -> dict[str, dict[str, float]]:
    """Return counts by node after place and route, from FINN's extract or from the report behind it."""
    if table := _table(folder, ROUTED):
        return table
    if not (path := _find(folder, ROUTED_XML)):
        return {}
    result: dict[str, dict[str, float]] = {}
    for instance in vendor_reports.read_hierarchy(path)[1]:
        *above, name = instance.path
        if _NODE.fullmatch(name) and not any(map(_NODE.fullmatch, above)):
            result[name] = {key.upper(): value for key, value in instance.used.items()}
    return result


def _by_node(table: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Remove the partition that FINN puts before a node's name, if the rest is still unique."""
    short = [_PARTITION.sub("", name) for name in table]
    return {
        (new if short.count(new) == 1 else old): counts
        for new, (old, counts) in zip(short, table.items(), strict=True)
        if old != "(top)"
    }


def _with_layers(nodes: list[BuildNode]) -> list[BuildNode]:
    layer, result = nodes[-1].name if nodes else "", []
    for node in reversed(nodes):
        if node.kind not in ("fifo", "converter", "padding", "generator"):
            layer = node.name
        result.append(replace(node, layer=layer))
    return result[::-1]


def _pace(folder: Path, build: Build) -> dict[str, Any]:
    """Return cycles by FINN's formulas and its simulation, and the clock if no other file has it."""
    timing, clock = replace(build.timing, estimated_by="finn"), build.clock_mhz
    if path := _find(folder, PERFORMANCE):
        told = _json(path, _Performance)
        interval = told.max_cycles
        timing = replace(timing, ii_estimate=interval, latency_estimate=told.critical_path_cycles)
        if clock is None and interval and told.estimated_throughput_fps:
            clock = round(told.estimated_throughput_fps * interval / 1e6, 6)
    if path := _find(folder, SIMULATION):
        interval, latency = _simulated(_json(path, list[_Output] | _Simulation))
        timing = replace(timing, ii_measured=interval, latency_measured=latency)
    return {"timing": timing, "clock_mhz": clock}


def _simulated(told: "list[_Output] | _Simulation") -> tuple[int | None, int | None]:
    """Return (II, latency) in the simulation."""
    if isinstance(told, list):
        intervals = [output.intervals[0] for output in told if output.intervals]
        latencies = [output.latency_cycles[0] for output in told if output.latency_cycles]
        return max(intervals, default=None), max(latencies, default=None)
    steady = told.interval_is_steady_state
    if steady is None:
        steady = told.N > 1  # a single image has no interval
    return (told.interval_cycles if steady else None), told.latency_cycles


def _stages(folder: Path) -> list[Stage]:
    seconds = _numbers(folder, SECONDS)
    stages = [Stage(name, "done", value) for name, value in seconds.items() if name != "total_build_time"]
    if (path := _find(folder, OUTCOME)) and _json(path, _Outcome).status == "failed":
        stages.append(Stage("FINN's build", "failed", 0.0, "see FINN's log for the reason"))
    return stages


def _counts(told: dict[str, float]) -> Counts:
    """Rename FINN's resources to this project's names."""
    halves = told.get("BRAM_18K"), told.get("BRAM_36K")
    dsps = [told[name] for name in ("DSP", "DSP48E", "DSP48") if name in told]
    counts = {"lut": told.get("LUT"), "ff": told.get("FF"), "uram": told.get("URAM")}
    if any(value is not None for value in halves):
        counts["bram"] = (halves[0] or 0) + 2 * (halves[1] or 0)
    elif "BRAM" in told:
        counts["bram"] = 2 * told["BRAM"]  # Vivado's tiles of 36 kbit
    if dsps:
        counts["dsp"] = sum(dsps)
    return {name: value for name, value in counts.items() if value is not None}


def _operations(told: dict[str, float]) -> str:
    return ", ".join(f"{value:,.0f} {name.replace('_', ' ')}" for name, value in told.items())


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / "report" / name, folder / name) if path.is_file()), None)


def _table(folder: Path, name: str) -> dict[str, dict[str, float]]:
    """Return the resources by node in a file, without FINN's sum."""
    path = _find(folder, name)
    return _json(path, dict[str, dict[str, float]], leave_out="total") if path else {}


def _numbers(folder: Path, name: str) -> dict[str, float]:
    path = _find(folder, name)
    return _json(path, dict[str, float]) if path else {}


def _json(path: Path, kind: Any, leave_out: str = "") -> Any:
    """Read a file and validate its content as a type; `leave_out` names an entry to ignore."""
    try:
        told = json.loads(vendor_reports.read_text(path))
        if isinstance(told, dict):
            told.pop(leave_out, None)
        return TypeAdapter(kind).validate_python(told)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UnreadableReport(f"{path} is damaged: {f'{place}: ' if place else ''}{first['msg']}") from None
    except ValueError as error:
        raise UnreadableReport(f"{path} is damaged: {error}") from None
