"""All changes to FINN that this project needs, for finn-plus 1.6.1, each with its reason.

In Python (`prepare_finn`):

- `FINN_BUILD_DIR` is set, because FINN's packages read it at import.
- `finn.xsi.SimEngine` is a placeholder, because FINN loads it from Vivado's simulator even without a simulation.
- `get_vivado_root` returns "none", because FINN queries the tool's version at the end of every build.
- FINN's log shows errors only, and its warnings are filtered.

In SystemVerilog (`copy_source`): finn-rtllib is written for Vivado. Text that Verilator or Yosys reject is changed in a
copy; the package itself is not changed.
"""

import importlib.util
import logging
import os
import re
import sys
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from zerocross.finn_flows.children import new_folder
from zerocross.finn_flows.errors import FlowError
from zerocross.writing import replacing

_INSTALL = "pip install finn-plus==1.6.1"

# Patterns and their replacements, by file of finn-rtllib.
_SOURCE_PATCHES: Mapping[str, Mapping[str, str]] = {
    # The directive is inside the module. It would also apply to the following files and forbid their implicit wires.
    "dwc/hdl/vpc.sv": {r"`default_nettype \w+\n": ""},
}


class LibraryError(FlowError):
    """finn-rtllib is missing or of another version; the message says what to install."""


def vivado_installed() -> bool:
    """Return whether the environment names a Vivado installation; Vivado's settings script sets the variable."""
    return "XILINX_VIVADO" in os.environ


@lru_cache(maxsize=1)
def prepare_finn() -> None:
    """Make FINN's modules importable in this process. Call this before importing any of them.

    FINN's package needs three things. This function supplies substitutes, which suffice for estimates and code
    generation:

    * Build folder: `FINN_BUILD_DIR` is set to a temporary folder unless it is already set.
    * `finn.xsi.SimEngine`: a placeholder class replaces it, because FINN loads it from Vivado's simulator on first use.
    * `get_vivado_root`: it returns "none", because FINN queries the tool's version at the end of every build.

    If Vivado is installed, only the build folder is set. FINN's log shows errors only in both cases. The call is
    idempotent and affects one process: workers started with "spawn" must call it again.
    """
    if "FINN_BUILD_DIR" not in os.environ:
        os.environ["FINN_BUILD_DIR"] = str(new_folder("finn_build_"))
    logging.getLogger("finn_logger").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(finn|qonnx)\.")
    if vivado_installed():
        return

    import finn.xsi

    finn.xsi.SimEngine = type("SimEngine", (), {})

    import finn.util.basic

    for name in ("finn.util.basic", "finn.builder.build_dataflow"):  # the second module imports the name
        if name in sys.modules:
            setattr(sys.modules[name], "get_vivado_root", lambda: "none")  # noqa: B010 - not in the module's type


def copy_source(folder: Path, name: str) -> Path:
    """Copy a patched file of finn-rtllib into a build folder and return its path.

    Args:
        folder: Build folder.
        name: Path of the file in finn-rtllib, such as "dwc/hdl/vpc.sv".

    Raises:
        LibraryError: If the installed finn-rtllib lacks the file or has another version of it.
    """
    return write_source(folder / f"finn_{Path(name).name}", _patched(name))


def write_source(path: Path, text: str) -> Path:
    """Write a file that several nodes may share, replacing it atomically, and return its path."""
    with replacing(path) as partial:
        partial.write_text(text)
    return path


@lru_cache(maxsize=1)
def _root() -> Path:
    found = importlib.util.find_spec("finn")
    for place in (found.submodule_search_locations or ()) if found else ():
        root = Path(place) / "finn-rtllib"
        if root.is_dir():
            return root
    raise LibraryError(f"finn-rtllib is not in the installed finn package: {_INSTALL}")


@lru_cache(maxsize=16)
def _patched(name: str) -> str:
    path = _root() / name
    if not path.exists():
        raise LibraryError(f"finn-rtllib has no {name}: {_INSTALL}")
    text = path.read_text()
    for old, new in _SOURCE_PATCHES.get(name, {}).items():
        text, count = re.subn(old, new, text)
        if not count:
            raise LibraryError(f"finn-rtllib's {name} is of another version: {_INSTALL}")
    return text
