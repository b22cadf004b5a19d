"""A design as one module of plain Verilog-2005, for tools that take no SystemVerilog. Yosys with slang makes it."""

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from zerocross.finn_flows.children import scratch
from zerocross.finn_flows.chip.yosys import Script, quoted, run_scripts

_STYLE = re.compile(r"(?<=\(\* ram_style = )\d+'h([0-9a-f]+)(?= \*\))")  # Yosys writes some texts as numbers
_IN_LUTS = re.compile(r'^ *\(\* ram_style = "distributed" \*\)\n', re.MULTILINE)

_HEADER = """// SPDX-License-Identifier: BSD-3-Clause
//
// Made by zerocross from SystemVerilog; see README.md.
`timescale 1ns / 1ps
"""


def _as_text(number: re.Match[str]) -> str:
    return f'"{bytes.fromhex(number.group(1)).decode("ascii")}"'


_ESCAPED = re.compile(r"\\(\S+) ")
_LONGEST = 90  # Verilator hashes names of over 127 characters with their hierarchy, and then fails to trace parts of them


def _simple_names(text: str) -> str:
    r"""Replace escaped names (`\a.b[0].c `) by identifiers (`a_b_0_c `), cut long ones, and number equal results."""
    taken = set(re.findall(r"[A-Za-z_]\w*", _ESCAPED.sub(" ", text)))
    names = {}
    for name in sorted(set(_ESCAPED.findall(text))):
        simple = re.sub(r"\W+", "_", name).strip("_")[:_LONGEST]
        # A name without a sign that needs the escape is a keyword.
        names[name] = f"\\{name}" if simple == name else next(n for n in _numbered(simple) if n not in taken)
        taken.add(names[name])
    return _ESCAPED.sub(lambda found: f"{names[found.group(1)]} ", text)


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}__{number}" for number in itertools.count(2))


def plain_verilog(
    top: str, sources: Sequence[Path], folder: Path, target: Path, lut_memory: bool = True
) -> None:
    """Write a design as one module of Verilog-2005. It contains the content of memory files, and wishes for memories.

    Its names are those of the design with underscores in place of dots and brackets, cut after 90 characters.

    Args:
        top: Top module, whose ports the module has.
        sources: SystemVerilog files.
        folder: Folder of the memory files.
        target: File to write.
        lut_memory: Whether the part has LUTs that can be memories. Yosys rejects wishes for them on other parts.

    Raises:
        ToolMissing: If pyosys is not installed.
        SynthesisError: If Yosys does not read the design.
    """
    with scratch() as work:
        listing = work / "sources.f"  # a file, because names may contain spaces
        options = ["--ignore-assertions", f"--top {top}", *(f'"{source.resolve()}"' for source in sources)]
        listing.write_text("\n".join(options) + "\n")
        commands = (
            f"read_slang -f {quoted(listing)}",
            f"hierarchy -top {top}",
            "proc",
            "flatten -noscopeinfo",
            "opt_clean -purge",
            "setattr -unset src -unset hdlname -unset keep_hierarchy */*",
            "setattr -mod -unset src -unset hdlname -unset keep_hierarchy -unset top *",
            f"write_verilog -noparallelcase {quoted(work / 'plain.v')}",
        )
        run_scripts([Script(top, commands, work / "translate.ys")], folder)
        text = _STYLE.sub(_as_text, (work / "plain.v").read_text())
    if not lut_memory:
        text = _IN_LUTS.sub("", text)
    target.write_text(_HEADER + _simple_names(text))
