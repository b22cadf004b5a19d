"""Gate-level simulation: a mapped netlist and the behaviour of its cells, for `zerocross.finn_flows.rtl.simulation`.

The cells' behaviour is what Yosys has for them; block RAMs, which it leaves empty for most families, are this
project's (`families/*_block_ram.py`).
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
    """A netlist whose cells cannot be simulated; the message says which."""


def netlist_sources(synthesis: Synthesis) -> list[Path]:
    """Return the files that make up a mapped netlist, for `zerocross.finn_flows.rtl.simulation.compile_design`.

    Its top has the ports of the design that was synthesised.

    Raises:
        NoModel: if the family's cells, or some that the design uses, have no behaviour.
    """
    family = get_family(synthesis.family)
    if not family.library:
        raise NoModel(f"netlists for {family.name} are not simulated: their block RAMs have no model")
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
    """Read a family's cells, with all that is included."""
    found = importlib.util.find_spec("pyosys")
    assert found is not None and found.origin is not None, "a synthesis was made with pyosys"
    folder = Path(found.origin).parent / "share" / name

    def read(file: str) -> str:
        text = (folder / file).read_text()
        return re.sub(r'^ *`include "(.+?)"', lambda match: read(match.group(1)), text, flags=re.MULTILINE)

    return _TIMING.sub("", read("cells_sim.v"))
