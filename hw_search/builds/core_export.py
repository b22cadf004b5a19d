"""The core of a build for other projects: `zerocross export`."""

import re
from dataclasses import dataclass
from pathlib import Path

from zerocross.finn_flows.cores.core import Core
from zerocross.finn_flows.cores.folder import FORMS, CoreFacts, check_core, write_core
from zerocross.hw_search.builds.accelerator_file import HostFacts, load_accelerator
from zerocross.hw_search.builds.layout import CORES, RTL
from zerocross.hw_search.builds.vectors import load_vectors
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.trust import check_build
from zerocross.models.errors import nearest
from zerocross.reports.build_records import Build
from zerocross.reports.build_storage import load_build
from zerocross.writing import remove_leftovers, replacing_folder

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")  # an underscore: no word of Verilog-2005, C or Python
_WORD = re.compile(
    r"(sync_)?(accept|reject)_on|always_(comb|ff|latch)|first_match|(ignore|illegal)_bins|"
    r"s_(always|eventually|nexttime|until)|(s_)?until_with|wait_order"
)
"""Words of SystemVerilog with an underscore (IEEE 1800-2017, annex B)."""
_MARK = Path("rtl") / "samples.hex"  # only an exported folder has it


@dataclass(frozen=True)
class Exported:
    """An exported core.

    Attributes:
        folder: Its folder.
        core: The core.
        checked: What its testbench printed; empty if it did not run.
    """

    folder: Path
    core: Core
    checked: tuple[str, ...]


def export_core(
    build: Path,
    form: str,
    name: str | None = None,
    output: Path | None = None,
    word_bytes: int = 1,
    samples: int = 20,
    check: bool = True,
    trust: bool = False,
) -> Exported:
    """Write the core of a build as a folder for other projects.

    Args:
        build: Folder of the build.
        form: One of `zerocross.finn_flows.cores.folder.FORMS`.
        name: Name of the top module; by default, the name of the network.
        output: Folder to write; by default, cores/<form> in the build's folder. A folder of an earlier export is replaced.
        word_bytes: Bytes of a word of the AXI streams.
        samples: Most samples of the testbench.
        check: Whether to run the testbench.
        trust: Whether files of the build may have been changed since it ended.

    Raises:
        UserError: If the folder holds no build, a file of it was changed, or an argument is wrong.
        zerocross.finn_flows.errors.FlowError: If a tool is missing, or the testbench fails.
    """
    if form not in FORMS:
        raise UserError(f"--as {form}: {nearest(form, FORMS)}")
    record = load_build(build)
    if not trust:
        check_build(build)
    if record.certificate is None:
        raise UserError(f"{build} has no certificate, because its build was not finished: build it again")
    facts = load_accelerator(build)
    inputs, outputs = load_vectors(build)
    core = Core(_checked_name(name, record), facts.top, facts.link, word_bytes)
    folder = (output or build / CORES / form).resolve()
    if folder.exists() and not (folder / _MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty, and no earlier export: give another folder with --output")
    rtl = build / RTL
    sources, vectors = [rtl / file for file in facts.files], (inputs[:samples], outputs[:samples])
    try:
        remove_leftovers(folder.parent)
        with replacing_folder(folder) as temporary:
            write_core(core, form, sources, rtl, vectors, _facts(record, facts), temporary)
            checked = check_core(core, temporary) if check else ()
    except OSError as error:
        raise UserError(
            f"{error.filename or folder} cannot be read or written ({error.strerror}): choose a folder with --output, or "
            "build again"
        ) from None
    return Exported(folder, core, checked)


def _checked_name(name: str | None, record: Build) -> str:
    if name is None:
        name = re.sub(r"\W+", "_", record.network, flags=re.ASCII).strip("_").lower()
        name = re.sub("_+", "_", name)
        return name if _is_free(name) else f"bnn_{name}"
    if not _is_free(name):
        raise UserError(
            f"--name {name}: give a name of lower-case letters, digits and at least one underscore, such as bnn_core; names "
            "that begin with zc_ or zerocross_, and words of SystemVerilog, are taken"
        )
    return name


def _is_free(name: str) -> bool:
    """Return whether a name is neither a word of the languages that read it, nor one of the design's modules."""
    return (
        bool(_NAME.fullmatch(name))
        and not name.startswith(("zc_", "zerocross_"))
        and not _WORD.fullmatch(name)
    )


def _facts(record: Build, facts: HostFacts) -> CoreFacts:
    activation = {"": "", "x": ", with plain signs", "tables": ", of tables"}.get(
        record.expression, f", with the activation `{record.expression}`"
    )
    about = (
        f"The binary neural network `{record.network}`{activation}, as a core with AXI4-Stream. zerocross made it from the\n"
        f"build `{record.name}` for {record.board or record.part}."
    )
    source = facts.link.source
    meaning = (
        "A bit is 1 for +1 and 0 for -1."
        if source.bits == 1
        else f"Elements are whole numbers from {source.range[0]} to {source.range[1]}, the levels of the input's quantizer."
    )
    if record.host:
        meaning += "\n  The host makes them from a sample (`host.onnx` of the build)."
    timing = record.timing
    return CoreFacts(
        about,
        meaning,
        record.part,
        timing.ii_measured or timing.ii_estimate,
        timing.latency_measured or timing.latency_estimate,
        facts.scores,
    )
