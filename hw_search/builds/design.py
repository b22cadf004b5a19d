"""The design of a build: the plan, the assembled nodes, and FIFO depths from simulation."""

import hashlib
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.chip.serial_line import SerialLink
from zerocross.finn_flows.cost import Cost, estimate_plan
from zerocross.finn_flows.families.part import Part
from zerocross.finn_flows.folding import Folding, FoldingError
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import Conv, Dense, Network
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.planner import least_target, plan
from zerocross.finn_flows.rtl.design import Design, DesignError, Generated, with_fifos, without_label
from zerocross.finn_flows.rtl.library import NODES
from zerocross.finn_flows.rtl.logits import logit_scale
from zerocross.finn_flows.rtl.node_intervals import node_intervals
from zerocross.finn_flows.rtl.simulation import HARNESS
from zerocross.finn_flows.rtl.streaming import size_fifos
from zerocross.hw_search.builds.accelerator_file import save_accelerator
from zerocross.hw_search.builds.fit import Redesign, check_fit
from zerocross.hw_search.builds.job import Job
from zerocross.hw_search.builds.layout import NETWORK, RTL, SIZING
from zerocross.hw_search.builds.options import choose_styles
from zerocross.hw_search.builds.results import Sizing
from zerocross.hw_search.builds.rtl_folder import write_rtl
from zerocross.hw_search.builds.stages import Report, Stages
from zerocross.hw_search.code_digest import code_digest
from zerocross.hw_search.errors import UserError

CYCLES_AN_INPUT = 16
"""Default target in cycles per image, for each input value of an image."""

_CODE = (
    "zerocross.finn_flows.planner",
    "zerocross.finn_flows.assembly",
    "zerocross.finn_flows.rtl.streaming",
    "zerocross.finn_flows.rtl.node_intervals",
)


@dataclass(frozen=True)
class BuiltDesign:
    """A network's hardware.

    Attributes:
        plan: Hardware nodes, without weights and crossings.
        pace: Sentence on the default target; "" if the folding was requested.
        cost: Cost estimate of the plan.
        bare: Design without FIFOs, which answers the class.
        answering: Design without FIFOs that answers as the options ask: the class, or the scores.
        complete: Design with FIFOs.
        sizing: FIFO depths.
        generated: Files of the design.
        link: Serial link between host and board.
        digest: Digest of the files, without comments.
        redesign: Designs the network otherwise, for the remedies of a design that does not fit.
    """

    plan: Design
    pace: str
    cost: Cost
    bare: Design
    answering: Design
    complete: Design
    sizing: Sizing
    generated: Generated
    link: SerialLink
    digest: str
    redesign: Redesign


def make_design(job: Job, net: IntegerNetwork, stages: Stages) -> BuiltDesign:
    """Design a network's hardware, and write its SystemVerilog and its `accelerator.json`.

    Raises:
        zerocross.hw_search.errors.UserError: See `zerocross.hw_search.builds.options.choose_styles`.
        zerocross.finn_flows.errors.FlowError: If the network cannot be built with these options, or is estimated to be too
            large for the part.
    """
    folding, pace = _folding(job, net.network)
    try:
        planned = plan(net.network, folding, job.clock_mhz)
    except FoldingError as error:
        remedy = "" if error.cycles is None else f": use --cycles {error.cycles} or more"
        raise UserError(f"{error.problem}{remedy}") from None
    styles = choose_styles(job.options, net, planned, job.part)
    bare = assemble(planned, net, styles)
    redesign = _redesign(job, net, folding)
    if job.options.route and not job.options.anyway:
        check_fit(bare, job.target, redesign)
    answering = _without_label(bare) if job.options.scores else bare

    def size(report: Report) -> Sizing:
        report(-1, "sizing FIFOs in simulation")
        depths, interval = size_fifos(bare, job.folder / SIZING, job.cache)
        report(-1, "measuring nodes in simulation")
        intervals = node_intervals(bare, job.folder / SIZING, job.cache)
        shutil.rmtree(job.folder / SIZING, ignore_errors=True)
        return Sizing(depths, interval, len(bare.elements), intervals)

    inputs = {
        "folding": asdict(folding),
        "clock": job.clock_mhz,
        "styles": asdict(styles),
        "code": code_digest(*_CODE, data=[*sorted(NODES.glob("*.sv")), HARNESS]),
    }
    sizing = stages.run("design", Sizing, inputs, size)
    complete = with_fifos(answering, sizing.needed)
    scale = None
    if job.options.scores:
        scale = logit_scale(complete, complete.output.elements)
    generated = write_rtl(complete, job.folder / RTL)
    link = SerialLink(
        complete.input, complete.output, _design_id(job.folder, complete.output), job.options.baud
    )
    save_accelerator(generated, link, job.folder, job.options.pixels, job.subject.origin.scaling, scale)
    digest = code_digest(data=[*generated.sources, *sorted(generated.folder.glob("*.mem"))])
    return BuiltDesign(
        planned,
        pace,
        estimate_plan(planned, job.part, job.clock_mhz),
        bare,
        answering,
        complete,
        sizing,
        generated,
        link,
        digest,
        redesign,
    )


def _redesign(job: Job, net: IntegerNetwork, folding: Folding) -> Redesign:
    """Return the function that designs the network for another pace, part or memory of weights."""

    def make(cycles: int | None, part: Part, weights: Mapping[str, str]) -> Design:
        limits = (folding.max_pe, folding.max_simd, folding.registers)
        pace = folding if cycles is None else Folding(cycles, None, None, None, (), *limits)
        planned = plan(net.network, pace, job.clock_mhz)
        options = replace(job.options, weights={**job.options.weights, **weights})
        return assemble(planned, net, choose_styles(options, net, planned, part))

    return make


def _without_label(design: Design) -> Design:
    try:
        return without_label(design)
    except DesignError as error:
        raise UserError(f"--scores: {error}: omit the option") from None


def _folding(job: Job, network: Network) -> tuple[Folding, str]:
    """Return the requested folding or the default one, and a sentence on the default, "" if it is not used."""
    asked = dict(job.subject.folding)
    if job.options.cycles is not None:
        limits: dict[str, Any] = {
            name: asked[name] for name in ("max_pe", "max_simd", "registers") if name in asked
        }
        return Folding(**limits, target_cycles=job.options.cycles), ""
    if asked:
        return Folding(**asked), ""
    if not any(isinstance(layer.operation, Dense | Conv) for layer in network.layers):
        return Folding(), ""  # wired layers take an image in every cycle
    wanted = CYCLES_AN_INPUT * math.prod(network.input.shape)
    cycles = least_target(network, wanted)
    pace = f"The default pace is {CYCLES_AN_INPUT} cycles per input value: {wanted:,} cycles per image"
    if cycles > wanted:
        pace += f". Not every layer can meet it, so the target is {cycles:,} cycles, the least that every layer can meet"
    return Folding(target_cycles=cycles), f"{pace}; --cycles sets another."


def _design_id(folder: Path, answer: Stream) -> int:
    """Return a digest of the network and its answer. With it, a host detects a board that holds another design."""
    content = (folder / NETWORK).read_bytes() + repr((answer.elements, answer.bits, answer.signed)).encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=4).digest())
