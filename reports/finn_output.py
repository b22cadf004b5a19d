"""Reader of a FINN build's output folder: FINN's estimates, simulation and synthesis as a build.

FINN's version and its configured outputs determine the files in the folder; each file is read if it exists. Releases
differ in the names of nodes (see `finn_names`) and in these files:

* `post_synth_resources.json` is written from 0.10.1 on, in the order of the stream. Before, there is only Vivado's
  report as XML, in the order of the alphabet.
* `rtlsim_performance.json` has `interval_cycles` and `TIMEOUT` since the simulation runs in XSI. In 0.8 and 0.9 its
  `latency_cycles` may be the time of all images.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from zerocross.reports import finn_names, vendor_reports
from zerocross.reports.build_records import Build, BuildNode, Counts, Stage, Timing
from zerocross.reports.vendor_reports import Instance, UnreadableReport

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
READ = {
    *(ESTIMATES, HLS, CYCLES, OPERATIONS, PERFORMANCE, SIMULATION, SYNTHESISED, FIFOS, SECONDS, OUTCOME),
    *(ROUTED, ROUTED_XML, OUT_OF_CONTEXT),
    *(*TIMING, *FOLDING),
    *("template_specialize_layers_config.json", "dataflow_build_config.json"),
}
# Alternatives that were not built, and Vivado's reports that FINN's own files repeat.
UNNEEDED = re.compile(
    r"estimate_layer_config_alternatives.*|ooc_(utilization|power)\.rpt|.*_partition_util\.rpt"
)


def _version(told: Any) -> str:
    """Return a tool's version as text: FINN writes the number 2022.2, and 0 in place of 2022.2.1."""
    return str(told) if told else ""


_Version = Annotated[str, BeforeValidator(_version)]


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
    vivado_version: _Version = ""


@dataclass(frozen=True)
class _Simulation:
    """Simulation of the whole design, in FINN's format; `UNFINISHED_...` count streams."""

    cycles: int
    latency_cycles: int | None = None
    interval_cycles: int | None = None
    N: int = 1
    interval_is_steady_state: bool | None = None
    TIMEOUT: int = 0
    UNFINISHED_INS: int = 0
    UNFINISHED_OUTS: int = 0


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
    tool_version: _Version = ""


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
        except converters, FIFOs, paddings and input generators: they belong to the next node if the files tell the
        order of the stream, else to none. `left_out` lists the names and files that the reader does not understand.

    Raises:
        UnreadableReport: If the folder has none of FINN's reports, or one is damaged.
    """
    if not holds_finn_output(folder):
        raise UnreadableReport(
            f"{folder} holds none of FINN's reports (such as {ESTIMATES} or {ROUTED}). "
            "Name the output folder of a FINN build, or the report folder in it"
        )
    name = folder.resolve().parent.name if folder.resolve().name == "report" else folder.resolve().name
    left_out: list[str] = []
    build = Build(name=name, network="FINN", run=str(folder))
    build = replace(build, **_hardware(folder, left_out))
    build = replace(build, nodes=_nodes(folder, build, left_out), stages=_stages(folder))
    build = replace(build, **_pace(folder, build, left_out))
    return replace(build, left_out=left_out + _not_read(folder))


def _hardware(folder: Path, left_out: list[str]) -> dict[str, Any]:
    """Return Vivado's results for the whole design: part, tool, counts, timing."""
    result: dict[str, Any] = {"tools": {"simulation": "FINN's RTL simulation"}}
    whole, heading = _counted(folder)
    part, tool = heading.part or _part_of_project(folder), ""
    top = whole.get("(top)")
    if path := _find(folder, OUT_OF_CONTEXT):
        if top:
            left_out.append(f"{path.name}: the counts of the board's whole design are shown instead")
        else:
            told = _json(path, _OutOfContext)
            top = {
                key: value
                for key, value in _json(path, dict[str, Any]).items()
                if isinstance(value, int | float)
            }
            tool = f"Vivado {told.vivado_version}" if told.vivado_version else ""
            fmax = told.fmax_mhz or None  # 0 if FINN found no slack
            period = told.clk_period_ns
            if period is None and fmax and told.WNS is not None:
                period = round(1000.0 / fmax + told.WNS, 6)
            result["clock_mhz"] = 1000.0 / period if period else None
            result["timing"] = Timing(fmax_mhz=fmax, slack_ns=told.WNS if fmax else None, estimated_by="finn")
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
            timed_after=summary.heading.stage or "routing",
            violated=summary.violated,
        )
    if path := _find(folder, OUTCOME):
        tool = tool or f"Vivado {_json(path, _Outcome).tool_version}".strip()
    tool = tool or "Vivado"
    result["tools"] |= {"synthesis": tool, "routing": tool}
    counted = top or whole or _table(folder, SYNTHESISED)
    # FINN's estimates are of no family.
    result |= {"part": part, "family": vendor_reports.family_of(part) or ("xilinx" if counted else "")}
    if top and heading.stage == "synthesis":
        result["synthesis"] = {result["family"]: _counts(top)}
    elif top:
        result["routed"] = _counts(top)
    return result


def _part_of_project(folder: Path) -> str:
    """Return the part in the script of FINN's stitched IP, "" if there is none."""
    root = folder.parent if folder.resolve().name == "report" else folder
    script = root / "stitched_ip" / "make_project.tcl"
    found = re.search(r"-part\s+(\S+)", vendor_reports.read_text(script)) if script.is_file() else None
    return found[1] if found else ""


def _nodes(folder: Path, build: Build, left_out: list[str]) -> list[BuildNode]:
    estimates, cycles, hls = _table(folder, ESTIMATES), _numbers(folder, CYCLES), _table(folder, HLS)
    operations, path = _table(folder, OPERATIONS), _find(folder, FIFOS)
    depths = _json(path, _Fifos).fifo_depths if path else {}
    estimated = dict.fromkeys([*estimates, *cycles, *hls, *operations])
    listed = [*estimated, *depths]
    path = next((path for name in FOLDING if (path := _find(folder, name))), None)
    folding = _json(path, dict[str, _Folding], leave_out="Defaults") if path else {}
    alone = _by_node(SYNTHESISED, _table(folder, SYNTHESISED), listed, left_out)
    whole, heading = _counted(folder, listed)
    in_place = _by_node(ROUTED if _find(folder, ROUTED) else ROUTED_XML, whole, listed, left_out)
    synthesised, routed = (alone | in_place, {}) if heading.stage == "synthesis" else (alone, in_place)
    # FINN's own results of a synthesis include the FIFOs and converters, in the order of the stream.
    ordered = [in_place] if _find(folder, ROUTED) else []
    streamed = dict.fromkeys([*(name for table in [*ordered, alone] for name in table), *estimated])
    nodes, unknown = [], set()
    for name in dict.fromkeys([*streamed, *depths, *in_place]):
        parts = finn_names.parse(name)
        operator = parts.operator if parts else name
        kind = parts.kind if parts else ""
        if not kind:
            unknown.add(operator)
        folded = folding.get(name, _Folding())
        nodes.append(
            BuildNode(
                name=name,
                layer="",
                kind=kind or "other",
                implementation=folded.ram_style.replace("auto", ""),
                pe=folded.PE,
                simd=folded.SIMD,
                note=_operations(operations.get(name, {})) or operator,
                estimate_finn=_counts(estimates.get(name, {})),
                estimate_hls=_compiled(hls.get(name, {})),
                synthesis={build.family: _counts(synthesised[name])} if name in synthesised else {},
                routed=_counts(routed[name]) if name in routed else None,
                ii_estimate=int(cycles[name]) if name in cycles else None,
                fifo_depth=depths.get(name),
            )
        )
    if unknown:
        left_out.append(f"The function of these operators is not known: {', '.join(sorted(unknown))}")
    named = {node.name for node in nodes}
    lost = [name for name in folding if name not in named and not _is_inserted(name)]
    if path and lost:
        left_out.append(f"{path.name}: no other file has the nodes {', '.join(lost)}")
    return _with_layers(nodes, streamed)


def _is_inserted(name: str) -> bool:
    parts = finn_names.parse(name)
    return parts is not None and parts.kind in finn_names.INSERTED


def _counted(
    folder: Path, listed: Collection[str] = ()
) -> tuple[dict[str, dict[str, float]], vendor_reports.Heading]:
    """Return counts in the board's whole design by name, and the heading of Vivado's report, empty if there is none.

    The counts are FINN's extract, or those of Vivado's report behind it, "(top)" among them.
    """
    table, path = _table(folder, ROUTED), _find(folder, ROUTED_XML)
    if not path:
        return table, vendor_reports.Heading("", "", "")
    heading, instances = vendor_reports.read_hierarchy(path)
    return table or _highest(instances, listed), heading


def _highest(instances: list[Instance], listed: Collection[str]) -> dict[str, dict[str, float]]:
    """Return the counts of the nodes, and of the highest instances that neither hold a node nor belong to one.

    The second and further instances of a name have their whole path as name.
    """
    taken: set[tuple[str, ...]] = set()
    holding: set[tuple[str, ...]] = set()
    for instance in instances[1:]:
        path = instance.path
        if finn_names.is_node(path[-1], listed) and not _within(path, taken):
            taken.add(path)
            holding.update(path[:depth] for depth in range(len(path)))
    result: dict[str, dict[str, float]] = {"(top)": instances[0].used}
    for instance in instances[1:]:
        path = instance.path
        other = not (path in holding or path[-1].startswith("(") or _within(path, taken))
        if other or path in taken:
            taken.add(path)
            result["/".join(path) if path[-1] in result else path[-1]] = instance.used
    return result


def _within(path: tuple[str, ...], higher: Collection[tuple[str, ...]]) -> bool:
    return any(path[:depth] in higher for depth in range(1, len(path) + 1))


def _by_node(
    file: str, table: dict[str, dict[str, float]], listed: Collection[str], left_out: list[str]
) -> dict[str, dict[str, float]]:
    """Return counts by node, under the names of FINN's estimates where these are certain."""
    found = {name: counts for name, counts in table.items() if finn_names.is_node(name, listed)}
    others = [name for name in table if name not in found and name != "(top)"]
    if others:
        left_out.append(f"{file}: not nodes of FINN: {_largest({name: table[name] for name in others})}")
    several = finn_names.partitions(found)
    if len(several) > 1:
        left_out.append(
            f"{file}: {len(several)} partitions number their nodes from 0 each, so their counts cannot be assigned to the "
            "nodes of the estimates and stand under their own names"
        )
    names = finn_names.as_estimated(found)
    return {names[name]: counts for name, counts in found.items()}


def _largest(table: dict[str, dict[str, float]], shown: int = 8) -> str:
    """Return the names with the most LUTs, and the sum of the others."""
    luts = {name: _counts(counts).get("lut", 0.0) for name, counts in table.items()}
    names = sorted(luts, key=lambda name: -luts[name])
    words = [f"{name} ({luts[name]:,.0f} LUT)" for name in names[:shown]]
    if rest := names[shown:]:
        words.append(f"and {len(rest)} smaller ({sum(luts[name] for name in rest):,.0f} LUT)")
    return ", ".join(words)


def _with_layers(nodes: list[BuildNode], streamed: Collection[str]) -> list[BuildNode]:
    """Assign layers; a node of a stream whose place in the stream is unknown gets none."""
    layer, result = "", []
    for node in reversed(nodes):
        if node.kind not in ("fifo", "converter", "padding", "generator"):
            layer = node.name
        result.append(replace(node, layer=(layer or node.name) if node.name in streamed else ""))
    return result[::-1]


def _pace(folder: Path, build: Build, left_out: list[str]) -> dict[str, Any]:
    """Return cycles by FINN's formulas and its simulation, and the clock if no other file has it."""
    timing, clock, stages = replace(build.timing, estimated_by="finn"), build.clock_mhz, build.stages
    if path := _find(folder, PERFORMANCE):
        told = _json(path, _Performance)
        interval = told.max_cycles
        timing = replace(timing, ii_estimate=interval, latency_estimate=told.critical_path_cycles)
        if clock is None and interval and told.estimated_throughput_fps:
            clock = round(told.estimated_throughput_fps * interval / 1e6, 6)
    if path := _find(folder, SIMULATION):
        simulated = _json(path, list[_Output] | _Simulation)
        if reason := _unfinished(simulated):
            stages = [*stages, Stage("FINN's RTL simulation", "failed", 0.0, reason)]
        else:
            interval, latency = _simulated(simulated)
            timing = replace(timing, ii_measured=interval, latency_measured=latency)
            if latency is None and isinstance(simulated, _Simulation):
                left_out.append(
                    f"{path.name}: its latency_cycles is missing, or the time of all {simulated.N} images, so neither "
                    "latency nor interval follow"
                )
    return {"timing": timing, "clock_mhz": clock, "stages": stages}


def _unfinished(told: "list[_Output] | _Simulation") -> str:
    """Return why a simulation measured nothing, "" if it did."""
    if isinstance(told, list) or not (told.TIMEOUT or told.UNFINISHED_INS or told.UNFINISHED_OUTS):
        return ""
    after = "timed out" if told.TIMEOUT else "stopped early"
    return (
        f"it {after} after {told.cycles:,} cycles (unfinished: {told.UNFINISHED_INS} inputs, {told.UNFINISHED_OUTS} "
        "outputs), so its cycles are not shown. Deeper FIFOs may help"
    )


def _simulated(told: "list[_Output] | _Simulation") -> tuple[int | None, int | None]:
    """Return (II, latency) in the simulation."""
    if isinstance(told, list):
        intervals = [output.intervals[0] for output in told if output.intervals]
        latencies = [output.latency_cycles[0] for output in told if output.latency_cycles]
        return max(intervals, default=None), max(latencies, default=None)
    latency = told.latency_cycles
    if latency is not None and told.N > 1 and latency >= told.cycles:
        latency = None  # the time of all images
    steady = told.interval_is_steady_state
    if steady is None:
        steady = told.N > 1  # a single image has no interval
    if not steady:
        return None, latency
    if told.interval_cycles is not None or latency is None:
        return told.interval_cycles, latency
    return round((told.cycles - latency) / (told.N - 1)), latency  # the mean over the images after the first


def _stages(folder: Path) -> list[Stage]:
    seconds = _numbers(folder, SECONDS)
    stages = [Stage(name, "done", value) for name, value in seconds.items() if name != "total_build_time"]
    if (path := _find(folder, OUTCOME)) and _json(path, _Outcome).status == "failed":
        stages.append(Stage("FINN's build", "failed", 0.0, "see FINN's log for the reason"))
    return stages


def _not_read(folder: Path) -> list[str]:
    """Return a line with the names of the reports that the reader does not know, if there are any."""
    reports = folder / "report" if (folder / "report").is_dir() else folder
    files = sorted(path.name for path in reports.iterdir() if path.suffix in (".json", ".xml", ".rpt"))
    unread = [name for name in files if name not in READ and not UNNEEDED.fullmatch(name)]
    return [f"Reports of unknown kinds: {', '.join(unread)}"] if unread else []


def _counts(told: dict[str, float]) -> Counts:
    """Rename FINN's resources to this project's names; those of Vivado's reports have them already."""
    if "lut" in told:
        return told
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


def _compiled(told: dict[str, float]) -> Counts:
    """Return the HLS compiler's counts; FINN writes zeros for a node that it did not compile."""
    return _counts(told) if any(told.values()) else {}


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
