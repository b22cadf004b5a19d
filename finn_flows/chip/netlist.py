"""Gate-level simulation: a mapped netlist and the models of its cells, for `zerocross.finn_flows.rtl.simulation`.

Yosys has models of most cells. It leaves block RAMs of most families empty, so `families/*_block_ram.py` has models of them.
"""

import importlib.util
import re
from pathlib import Path

from zerocross.finn_flows.chip.synthesis import Synthesis
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.families import get_family

_TIMING = re.compile(r"^\s*specify\b.*?\bendspecify\b", re.MULTILINE | re.DOTALL)
_MODULE = re.compile(r"^(?:\(\*[^\n]*\*\)\s*)*module\s+(\w+).*?\bendmodule\b", re.MULTILINE | re.DOTALL)


class NoModel(FlowError):
    """The cells of a netlist cannot be simulated; the message names them."""


def netlist_sources(synthesis: Synthesis) -> list[Path]:
    """Return the files of a mapped netlist and its cells, for `zerocross.finn_flows.rtl.simulation.compile_design`.

    The netlist's top has the ports of the synthesised design.

    Raises:
        NoModel: If the family's cells, or some cells of the design, have no model.
    """
    family = get_family(synthesis.family)
    if not family.library:
        raise NoModel(f"netlists for {family.name} cannot be simulated: its block RAMs have no model")
    models = family.block_ram_models()
    for match in _MODULE.finditer(_library(family.library)):
        models.setdefault(match.group(1), match.group())
    wanted = set(synthesis.total.by_type)
    if missing := sorted(name for name in wanted if "endmodule" not in models.get(name, "")):
        raise NoModel(f"cells without a model: {', '.join(missing)}")
    while (
        inner := {name for cell in wanted for name in re.findall(r"\w+", models[cell])} & set(models) - wanted
    ):
        wanted |= inner
    cells = synthesis.verilog.with_name("cells.v")
    functions = "".join(_MODULE.sub("", _library(family.library)))
    cells.write_text(functions + "\n\n".join(models[name] for name in sorted(wanted)) + "\n")
    return [cells, synthesis.verilog]


def _library(name: str) -> str:
    """Read the models of a family's cells, included files inserted."""
    found = importlib.util.find_spec("pyosys")
    assert found is not None and found.origin is not None, "a synthesis was made with pyosys"
    folder = Path(found.origin).parent / "share" / name

    def read(file: str) -> str:
        text = (folder / file).read_text()
        return re.sub(r'^ *`include "(.+?)"', lambda match: read(match.group(1)), text, flags=re.MULTILINE)

    return _TIMING.sub("", read("cells_sim.v"))
