"""Place and route, and the bitstream: nextpnr and the families' packers, from Python wheels.

Each tool runs in its own process and sees only its work folder. The clocks that the design reaches, its resources and its
critical path (with the design's own names) are read from nextpnr's report.
"""

import importlib.util
import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from zerocross.finn_flows.boards import Board
from zerocross.finn_flows.children import child, own_modules, python, scratch
from zerocross.finn_flows.chip.routed_cells import count_by_node, node_of
from zerocross.finn_flows.chip.serial_line import design_clock
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.families import get_family
from zerocross.finn_flows.families.router import Pin, Router, Tool
from zerocross.finn_flows.rtl.simulation import ToolMissing


class RouteError(FlowError):
    """A netlist cannot be placed and routed; the message has the tool's essential line and names the log."""


class DoesNotFit(RouteError):
    """A design is too large for its part.

    Attributes:
        found: What is wrong, in words: the message without its remedy.
        resource: Insufficient resource, by a name of `Routed.used`.
        used: Amount that the design needs.
        available: Amount that the part has.
    """

    def __init__(self, found: str, resource: str, used: int, available: int, remedy: str = ""):
        super().__init__(f"{found}: {remedy}" if remedy else found)
        self.found, self.resource, self.used, self.available = found, resource, used, available


@dataclass(frozen=True)
class Clock:
    """A clock of the design.

    Attributes:
        name: Name of the net.
        fmax_mhz: Highest frequency in MHz.
        wanted_mhz: Requested frequency in MHz.
    """

    name: str
    fmax_mhz: float
    wanted_mhz: float

    @property
    def slack_ns(self) -> float:
        """Slack of a period; negative if the clock is missed."""
        return 1e3 / self.wanted_mhz - 1e3 / self.fmax_mhz


@dataclass(frozen=True)
class CriticalPath:
    """The slowest path from register to register.

    Attributes:
        start: Cell at the start.
        end: Cell at the end.
        nodes: Nodes of the design along the path, in order; `serial_line` is the line to the host.
        delay_ns: Total delay.
        routing_ns: Part of the delay that is on wires.
        levels: Number of logic cells on the path.
    """

    start: str
    end: str
    nodes: tuple[str, ...]
    delay_ns: float
    routing_ns: float
    levels: int

    def in_words(self) -> str:
        """Return a readable line about the path."""
        return (
            f"{self.start} to {self.end}: {self.delay_ns:.1f} ns, {self.routing_ns:.1f} ns of them on wires, "
            f"{self.levels} logic cells, in {' -> '.join(self.nodes)}"
        )


@dataclass(frozen=True)
class Use:
    """The use of a resource.

    Attributes:
        used: Amount that the design uses.
        available: Amount that the part has.
    """

    used: int
    available: int


@dataclass(frozen=True)
class Routed:
    """A placed and routed design.

    Attributes:
        target: Board or part.
        bitstream: Bitstream file.
        clocks: All clocks, the one with the least margin first.
        used: Used resources of the part, if the part has them: "lut" (iCE40: logic cells of a LUT and a flip-flop each),
            "ff" (not reported for iCE40), "carry" (Gowin), "lut_memory", "bram", "dsp", "pll", "pin".
        critical: Slowest path of the first clock, or None for a design without registers.
        hold_violations: Number of nextpnr's hold time violations.
        seconds: Run time, packing included.
        log: nextpnr's log file.
        by_node: Used amount of each resource by node, "" for what belongs to no node. It has only resources whose sum is the
            amount in `used`.
    """

    target: str
    bitstream: Path
    clocks: tuple[Clock, ...]
    used: dict[str, Use]
    critical: CriticalPath | None
    hold_violations: int
    seconds: float
    log: Path
    by_node: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether every clock reaches its requested frequency, and no path is too fast for a flip-flop's hold time."""
        return all(clock.slack_ns >= 0 for clock in self.clocks) and not self.hold_violations

    @property
    def fmax_mhz(self) -> float:
        """Highest frequency in MHz of the clock with the least margin; 0 for a design without clocks."""
        return self.clocks[0].fmax_mhz if self.clocks else 0.0

    def timing(self) -> str:
        """Return a readable line: whether the clock is reached, what limits it, and what to change."""
        if not self.clocks:
            return "no clock to meet"
        tightest = self.clocks[0]
        limit = ""
        if self.critical and self.critical.nodes:
            limit = f"; the slowest path is in {' -> '.join(self.critical.nodes)}"
        if self.hold_violations:
            limit += (
                f"; violates the hold time of flip-flops {self.hold_violations} times, which no slower clock mends: build "
                "with another --route-seed"
            )
        if tightest.slack_ns >= 0:
            return f"reaches {tightest.fmax_mhz:.1f} MHz; its clock is {tightest.wanted_mhz:.1f} MHz{limit}"
        return (
            f"reaches only {tightest.fmax_mhz:.1f} MHz, and its clock is {tightest.wanted_mhz:.1f} MHz "
            f"({-tightest.slack_ns:.2f} ns too slow){limit}: build with --clock {int(tightest.fmax_mhz)} or less, with more "
            "--cycles (shorter paths), another --route-seed or a faster --target"
        )


Progress = Callable[[str, float | None], None]
"""Function that receives the current phase, such as "placing", and its completed share, or None if unknown."""


def place_and_route(
    netlist: Path,
    board: Board,
    folder: Path,
    clock_mhz: float | None = None,
    seed: int = 1,
    progress: Progress | None = None,
) -> Routed:
    """Place and route a netlist and pack its bitstream.

    Args:
        netlist: Yosys' JSON. The top's ports are clk, rx, tx and optionally led.
        board: Board or part.
        folder: Output folder. All files, including the bitstream design.bit, .bin or .fs, are written to its subfolder
            route/<board>, which is emptied first.
        clock_mhz: Clock of the design in MHz; by default, the board's own.
        seed: Seed of the placement. The highest clock varies by some percent between seeds.
        progress: Called with the current phase.

    Raises:
        DoesNotFit: If the part is too small.
        RouteError: If the netlist cannot be placed and routed for another reason.
        ToolMissing: If a wheel is missing or broken.
        Unreachable: If the board's PLL cannot generate the clock.
    """
    began = time.monotonic()
    tell = progress or (lambda phase, share: None)
    router = _router(board.family)
    clock, _ = design_clock(board, clock_mhz)
    work = (folder / "route" / board.name).resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    shutil.copyfile(netlist, work / "netlist.json")
    ports = _ports(work / "netlist.json")
    (work / router.constraints).write_text(constraints(board, clock, ports))

    log = work / "nextpnr.log"
    arguments = ["--json", "netlist.json", "--write", router.netlist, "--report", "report.json"]
    arguments += ["--seed", str(seed), "--freq", f"{clock:g}", "--timing-allow-fail"]
    code = _run(router.nextpnr(board.device, arguments), work, log, _follow(tell))
    text = log.read_text(errors="replace")
    if code or not (work / "report.json").exists():
        raise _complaint(text, code, board, log)

    tell("packing the bitstream", None)
    _pack(board, router, work)
    cells = json.loads((work / router.netlist).read_text())
    if router.netlist != router.routed:  # it is large, and no other tool reads it
        (work / router.netlist).unlink()
    report = json.loads((work / "report.json").read_text())
    clocks, used = read_clocks(report), read_use(report["utilization"], board.family)
    return Routed(
        target=board.name,
        bitstream=work / router.bitstream,
        clocks=clocks,
        used=used,
        critical=read_critical_path(report, clocks[0].name) if clocks else None,
        hold_violations=sum(map(int, re.findall(r"(\d+) Hold/min time violations", text))),
        seconds=time.monotonic() - began,
        log=log,
        by_node=_by_node(cells, router, used),
    )


def _by_node(netlist: dict, router: Router, used: dict[str, Use]) -> dict[str, dict[str, int]]:
    """Return the used resources by node, without those whose sum is not nextpnr's own count."""
    counts = count_by_node(netlist, router.types or router.resources, router.carry)
    whole = [
        name for name, use in used.items() if sum(node.get(name, 0) for node in counts.values()) == use.used
    ]
    return {node: {name: counts.get(node, {}).get(name, 0) for name in whole} for node in ("", *counts)}


def constraints(board: Board, clock_mhz: float, ports: Iterable[str]) -> str:
    """Return the file that assigns pins to ports, in the format of the board's family.

    Args:
        board: Board. nextpnr chooses pins for ports that the board does not name.
        clock_mhz: Clock in MHz at the pin of a bare part.
        ports: Ports of the netlist's top.
    """
    sites = {"clk": board.clock, "rx": board.rx, "tx": board.tx, "led": board.led}
    pins = [
        Pin(
            port,
            site=sites.get(port, ""),
            standard=board.led_standard if port == "led" else board.io_standard,
            pull_up=port == "rx",
        )
        for port in ports
    ]
    frequency = (board.clock_mhz or clock_mhz) if "clk" in ports else None
    return "\n".join(_router(board.family).pins(pins, frequency)) + "\n"


def read_clocks(report: dict) -> tuple[Clock, ...]:
    """Read the clocks from nextpnr's report, the one with the least margin first."""
    clocks = [
        Clock(name, values["achieved"], values["constraint"]) for name, values in report["fmax"].items()
    ]
    return tuple(sorted(clocks, key=lambda clock: clock.fmax_mhz / clock.wanted_mhz))


def read_use(utilization: dict, family: str) -> dict[str, Use]:
    """Read the used resources from nextpnr's report."""
    return {
        ours: Use(utilization[theirs]["used"], utilization[theirs]["available"])
        for theirs, ours in _router(family).resources.items()
        if theirs in utilization
    }


def read_critical_path(report: dict, clock: str) -> CriticalPath | None:
    """Read a clock's slowest path from register to register from nextpnr's report."""
    for path in report["critical_paths"]:
        if path["from"].endswith(f" {clock}") and path["to"].endswith(f" {clock}"):
            steps = path["path"]
            cells = [steps[0]["from"]["cell"], *(step["to"]["cell"] for step in steps)]
            return CriticalPath(
                start=cells[0],
                end=cells[-1],
                nodes=tuple(dict.fromkeys(filter(None, map(node_of, cells)))),
                delay_ns=sum(step["delay"] for step in steps),
                routing_ns=sum(step["delay"] for step in steps if step["type"] == "routing"),
                levels=sum(step["type"] == "logic" for step in steps),
            )
    return None


def _ports(netlist: Path) -> tuple[str, ...]:
    modules = json.loads(netlist.read_text())["modules"]
    top = next(module for module in modules.values() if int(module["attributes"].get("top", "0"), 2))
    return tuple(top["ports"])


def _router(family: str) -> Router:
    router = get_family(family).router
    assert router is not None, f"{family} has boards, but no place and route"
    return router


def _pack(board: Board, router: Router, work: Path) -> None:
    """Write the bitstream under a temporary name, and rename it when it is complete."""
    partial, log = f"{router.bitstream}.partial", work / "pack.log"
    code = _run(router.packer(board.device, partial), work, log, lambda line: None)
    if code or not (work / partial).exists():
        raise RouteError(f"packing the bitstream for {board.name} failed: {_last(log)} (see {log})")
    (work / partial).replace(work / router.bitstream)


# gowin_pack reads its arguments from the command line; the other tools are functions with arguments.
_CHILD = """
import importlib, sys
module, function, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
call = getattr(importlib.import_module(module), function)
sys.argv[1:] = arguments
sys.exit(call() if function == "main" else call(arguments))
"""


def _run(tool: Tool, work: Path, log: Path, heard: Callable[[str], None]) -> int:
    """Run a tool in a folder and write its output to the log line by line. The tool ends with this process."""
    if importlib.util.find_spec(tool.module.split(".", maxsplit=1)[0]) is None:
        raise ToolMissing(f"making a bitstream needs {tool.wheel}: pip install {tool.wheel}")
    with scratch() as temporary:
        environment = {key: value for key, value in own_modules().items() if key != "YOWASP_MOUNT"}
        with (
            log.open("w") as written,
            child(
                python(_CHILD, tool.module, tool.function, *tool.arguments),
                cwd=work,
                env={**environment, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                written.write(line)
                heard(line)
            return int(process.wait())


_PHASES = {
    "Preparing to run": "getting nextpnr ready (once)",
    "Info: Packing": "packing",
    "Info: Creating initial": "placing",
    "Info: Routing globals": "routing",
    "Info: Routing..": "routing",
}
_ARCS = re.compile(r"^Info: Routing (\d+) arcs")
_ROUTED = re.compile(r"^Info:\s+\d+ \|[^|]*\|[^|]*\|\s*(\d+)\|")


def _follow(tell: Progress) -> Callable[[str], None]:
    """Return a function that derives the progress from nextpnr's output lines."""
    arcs, last = 0, ""

    def heard(line: str) -> None:
        nonlocal arcs, last
        phase = next((ours for theirs, ours in _PHASES.items() if line.startswith(theirs)), "")
        if phase and phase != last:
            last = phase
            tell(phase, None)
        if found := _ARCS.match(line):
            arcs = int(found.group(1))
        elif arcs and last == "routing" and (found := _ROUTED.match(line)):
            # More arcs than at the start may remain, because nextpnr removes wires again.
            tell("routing", max(0.0, 1 - int(found.group(1)) / arcs))

    return heard


_USE = re.compile(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)
_WORDS = {"lut": "LUTs", "ff": "flip-flops", "bram": "block RAMs", "dsp": "multipliers", "pin": "pins"}
_WORDS |= {"lut_memory": "LUTs that can be memory", "carry": "carry cells", "pll": "PLLs"}
_REMEDY = {
    "bram": "put the weights of small layers into LUTs (`--weights LAYER=distributed`), use a smaller network",
    "lut_memory": "put weights into block RAM (`--weights LAYER=block`)",
}


def _complaint(text: str, code: int, board: Board, log: Path) -> FlowError:
    """Return the error of a failed nextpnr run: an insufficient resource, or nextpnr's own message."""
    router = _router(board.family)
    resources = {name: (int(used), int(of)) for name, used, of in _USE.findall(text)}
    over = {name: use for name, use in resources.items() if use[0] > use[1]}
    if over:
        name = max(over, key=lambda name: over[name][0] / max(over[name][1], 1))
        used, available = over[name]
        resource = router.resources.get(name, name)
        return DoesNotFit(
            f"the design needs {used:,} {_what(resource, board)}, {board.part.name} has {available:,} "
            f"({_excess(used, available)})",
            resource,
            used,
            available,
            f"{_REMEDY.get(resource, 'build with more --cycles')}, or for a larger --target",
        )
    said = next(iter(re.findall(r"^ERROR: (.*)$", text, re.MULTILINE)), "")
    full = {
        name: use
        for name, use in resources.items()
        if router.resources.get(name) in ("lut", "ff", "carry", "lut_memory", "bram", "dsp")
        and use[0] > 0.8 * use[1]
    }
    if full and re.search(r"place|legali[sz]e|route|congest", said):
        name = max(full, key=lambda name: full[name][0] / full[name][1])
        (used, available), resource = full[name], router.resources[name]
        return DoesNotFit(
            f"the design uses {used:,} of {available:,} {_what(resource, board)} of {board.part.name}, too many to "
            f"be placed and routed ({said})",
            resource,
            used,
            available,
            "build with more --cycles, or for a larger --target",
        )
    if "Traceback" in text or code < 0 or not said:
        killed = "it was killed, probably because memory ran out" if code == -signal.SIGKILL else _last(log)
        return ToolMissing(
            f"nextpnr failed to run ({killed}; see {log}): "
            f"if it is broken, pip install --force-reinstall {router.wheel}"
        )
    return RouteError(f"nextpnr cannot place and route the design for {board.name}: {said} (see {log})")


def _what(resource: str, board: Board) -> str:
    cell = _router(board.family).cell if resource == "lut" else ""
    return cell or _WORDS.get(resource, resource)


def _excess(used: int, available: int) -> str:
    return f"{100 * (used - available) / available:.0f}% too many" if available else "it has none"


def _last(log: Path) -> str:
    """Return the last line of a log that is not empty."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "its log is empty"
