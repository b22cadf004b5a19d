"""Gate-level simulation: a mapped netlist and the behaviour of its cells, for `zerocross.finn_flows.rtl.simulation`.

The cells' behaviour is what Yosys has for them; block RAMs, which it leaves empty for most families, are this
project's (`block_rams.py`). UltraScale+ is counted only: its block RAMs have no model.
"""

import importlib.util
import re
from pathlib import Path

from zerocross.finn_flows.chip.block_rams import block_ram_models
from zerocross.finn_flows.chip.synthesis import Synthesis
from zerocross.finn_flows.errors import FlowError

_LIBRARY = {"7-series": "xilinx", "ecp5": "ecp5", "ice40": "ice40", "gowin": "gowin"}
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
    if synthesis.family not in _LIBRARY:
        raise NoModel(f"netlists for {synthesis.family} are not simulated: their block RAMs have no model")
    models = block_ram_models(synthesis.family)
    for match in _MODULE.finditer(_library(_LIBRARY[synthesis.family])):
        models.setdefault(match.group(1), match.group())
    wanted = set(synthesis.total.by_type)
    if missing := sorted(name for name in wanted if "endmodule" not in models.get(name, "")):
        raise NoModel(f"cells without a model: {', '.join(missing)}")
    while (
        inner := {name for cell in wanted for name in re.findall(r"\w+", models[cell])} & set(models) - wanted
    ):
        wanted |= inner
    cells = synthesis.verilog.with_name("cells.v")
    functions = "".join(_MODULE.sub("", _library(_LIBRARY[synthesis.family])))
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
