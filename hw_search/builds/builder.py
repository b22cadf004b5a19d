"""All steps from a trained network to an accelerator: `zerocross build`.

Each step saves its result in the build's folder. An interrupted build therefore resumes after its last finished step, and
a build with changed options repeats only the steps that depend on them.
"""

import errno
from dataclasses import dataclass
from pathlib import Path

from zerocross.finn_flows.chip.place_route import DoesNotFit
from zerocross.hw_search.builds import steps
from zerocross.hw_search.builds.design import BuiltDesign, make_design
from zerocross.hw_search.builds.fit import with_remedies
from zerocross.hw_search.builds.job import Job
from zerocross.hw_search.builds.layout import ACCELERATOR, HOST, NETWORK, VECTORS, cache_folder
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.builds.record import Done, build_record
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
from zerocross.hw_search.builds.rtl_folder import design_files
from zerocross.hw_search.builds.stages import BuildWatcher, SilentBuild, Stages
from zerocross.hw_search.builds.subject import Subject
from zerocross.hw_search.builds.targets import clock_of, find_target
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.files import holding, write_digests, write_text
from zerocross.reports.build_records import Build
from zerocross.reports.build_storage import BUILD, save_build
from zerocross.reports.storage import REPORT

READ_BACK = BUILD, ACCELERATOR, HOST, NETWORK, VECTORS
"""Files of a build that `infer` and `report` read, beside those of the design."""

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EEXIST, errno.ENOTDIR)


def check_path(folder: Path) -> None:
    """Check that tools can read a folder's name in their scripts.

    Raises:
        UserError: If it holds a quotation mark, a backslash or a control character.
    """
    path = str(folder.absolute())
    if wrong := [letter for letter in path if letter in '"\\' or not letter.isprintable()]:
        raise UserError(
            f"{path!r} holds {wrong[0]!r}, which synthesis cannot read: choose a folder with --output"
        )


@dataclass(frozen=True)
class BuildResult:
    """The result of a build.

    Attributes:
        folder: Folder of the build.
        build: Record of the build.
    """

    folder: Path
    build: Build


def build(
    subject: Subject, options: BuildOptions, folder: Path, watcher: BuildWatcher | None = None
) -> BuildResult:
    """Build an accelerator, or resume an interrupted build.

    Args:
        subject: Network to build.
        options: Options of the build.
        folder: Folder for all results.
        watcher: Receives a call for every step.

    Raises:
        UserError: If the user made a mistake, or a file cannot be written.
    """
    try:
        check_path(folder)
        origin = subject.origin
        if options.pixels is not None and origin.trained and origin.scaling is None:
            raise UserError(
                f"--scale, --mean and --std: {origin.name} was trained on bytes, which pixels are: omit the options"
            )
        target = find_target(options.target)
        clock_mhz = clock_of(target, options.clock_mhz)
        job = Job(subject, options, folder, target, clock_mhz, cache_folder())
        with holding(folder, "choose another folder with --output"):
            return BuildResult(folder, _build(job, Stages(folder, watcher or SilentBuild())))
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise UserError(f"{error.filename or folder} cannot be written ({error.strerror})") from None


def _build(job: Job, stages: Stages) -> Build:
    """Run all steps. Save the record of the finished steps, even after an error."""
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
    try:
        exported = steps.export_model(job, stages)
        network, lowering = steps.lower_model(job, stages)
        sampled = steps.take_samples(job, network, stages)
        design = make_design(job, network.net, stages)
        simulated = steps.simulate(job, network, design, stages)
        synthesised = steps.count_cells(job, design, stages)
        netlist = steps.simulate_netlist(job, network, design, stages)
        routed = steps.route(job, design, stages)
        vivado = steps.write_for_vivado(job, network, design, stages)
    except DoesNotFit as error:
        misfit = error
        if design is not None:
            misfit = with_remedies(error, design.bare, job.target, design.redesign)
        raise misfit from None
    finally:
        done = Done(
            exported, lowering, sampled, design, simulated, synthesised, netlist, routed, vivado, misfit
        )
        record = build_record(job, tuple(stages.done), done)
        # A build that failed before its design holds less than an older page in this folder: keep that page.
        if design is not None or not (job.folder / REPORT).exists():
            _leave(record, job.folder)
    return record


def _leave(build: Build, folder: Path) -> None:
    from zerocross.reports.build_page import render_build

    save_build(build, folder)
    write_text(folder / REPORT, render_build(build))
    write_digests(folder, [*READ_BACK, *(str(file.relative_to(folder)) for file in design_files(folder))])
