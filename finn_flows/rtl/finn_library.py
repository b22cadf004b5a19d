"""FINN's own SystemVerilog, finn-rtllib, copied from the installed package and mended on the way.

It is written for Vivado. What stands in the way of Verilator and Yosys, or is wrong at the edges, is changed in the
copy; the package stays as it is.
"""

import importlib.util
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from finn_flows.finn_setup import prepare_finn
from finn_flows.graph import Attributes, onnx_node


class LibraryError(RuntimeError):
    """finn-rtllib is not there, or not as it was; the message says what to install."""


def copy_sources(folder: Path, *names: str) -> tuple[Path, ...]:
    """Copy files of finn-rtllib into a build folder, mended, and return where they are.

    Args:
        folder: the build folder.
        names: paths in finn-rtllib, such as "dwc/hdl/vpc.sv".
    """
    return tuple(write_source(folder / f"finn_{Path(name).name}", _mended(name)) for name in names)


def write_source(path: Path, text: str) -> Path:
    """Write a file that several nodes may share: complete at any moment."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    partial.write_text(text)
    partial.replace(path)
    return path


def generate_implementation(op_type: str, attributes: Attributes, module: str, folder: Path) -> Path:
    """Have one of FINN's nodes write its HDL and keep the implementation, `<module>_impl`.

    FINN's own wrapper around it, whose words are padded to bytes, is left behind.

    Args:
        op_type: FINN's name of the specialised node.
        attributes: the node's.
        module: the implementation's name without `_impl`.
        folder: the build folder.

    Returns:
        The file with the module.

    Raises:
        LibraryError: if FINN refuses the node; the message holds its reason.
    """
    prepare_finn()
    from qonnx.custom_op.registry import getCustomOp

    node: Any = getCustomOp(onnx_node(op_type, attributes, ["in"], ["out"], module))
    with TemporaryDirectory() as name:
        node.set_nodeattr("code_gen_dir_ipgen", name)
        try:
            node.generate_hdl(None, "", 0.0)
        except (AssertionError, ValueError) as refusal:
            raise LibraryError(f"FINN's {op_type} refuses {dict(attributes)}: {refusal}") from refusal
        text = (Path(name) / f"{module}_impl.sv").read_text()
    return write_source(folder / f"{module}_impl.sv", text)


@lru_cache(maxsize=1)
def _root() -> Path:
    found = importlib.util.find_spec("finn")
    for place in (found.submodule_search_locations or ()) if found else ():
        root = Path(place) / "finn-rtllib"
        if root.is_dir():
            return root
    raise LibraryError("finn-rtllib is not in the installed finn package: pip install finn-plus==1.6.1")


@lru_cache(maxsize=16)
def _mended(name: str) -> str:
    path = _root() / name
    if not path.exists():
        raise LibraryError(f"finn-rtllib has no {name}: pip install finn-plus==1.6.1")
    text = path.read_text()
    for old, new in _MENDINGS.get(name, {}).items():
        text, count = re.subn(old, new, text)
        if not count:
            raise LibraryError(
                f"finn-rtllib's {name} is not the one known here: pip install finn-plus==1.6.1"
            )
    return text


# A line buffer of no or one word: FINN's has an address of no bits then.
_SHALLOW_BUFFER = """
module swg_ram_buffer #(
    int unsigned WIDTH,
    int unsigned DEPTH,
    parameter RAM_STYLE = "auto"
)(
    input logic clk,
    input logic rst_n,
    input logic shift_enable,
    input logic [WIDTH-1:0] shift_in,
    output logic [WIDTH-1:0] shift_out
);
  if (DEPTH == 0) begin : g_none
    assign shift_out = shift_in;
  end else if (DEPTH == 1) begin : g_one
    logic [WIDTH-1:0] word;
    always_ff @(posedge clk) if (shift_enable) word <= shift_in;
    assign shift_out = word;
  end else begin : g_deep
    swg_deep_buffer #(.WIDTH(WIDTH), .DEPTH(DEPTH), .RAM_STYLE(RAM_STYLE)) buffer (.*);
  end
endmodule
"""

# Patterns and what takes their place, by file.
_MENDINGS: Mapping[str, Mapping[str, str]] = {
    # Inside a module, where it would hold for the files that follow.
    "dwc/hdl/vpc.sv": {r"`default_nettype \w+\n": ""},
    "swg/swg_common.sv": {
        r"module swg_ram_buffer": "module swg_deep_buffer",
        r"endmodule : swg_ram_buffer": f"endmodule\n{_SHALLOW_BUFFER}",
    },
}
