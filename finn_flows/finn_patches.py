"""Every change to FINN that this project needs, for finn-plus 1.6.1, each with its reason.

In Python (`prepare_finn`):

- `FINN_BUILD_DIR` is set: FINN's packages read it when they are imported.
- `finn.xsi.SimEngine` is a placeholder: FINN loads it from Vivado's simulator, also where nothing is simulated.
- `get_vivado_root` answers "none": FINN asks for the tool's version at the end of every build.
- FINN's log is held at errors, its warnings are filtered.

In SystemVerilog (`copy_source`): finn-rtllib is written for Vivado. What stands in the way of Verilator and Yosys is changed
in a copy; the package stays as it is.
"""

import atexit
import importlib.util
import logging
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from zerocross.finn_flows.errors import FlowError

_INSTALL = "pip install finn-plus==1.6.1"

# Patterns and what takes their place, by file of finn-rtllib.
_SOURCE_PATCHES: Mapping[str, Mapping[str, str]] = {
    # Inside the module, the directive holds for the files that follow, whose wires it forbids.
    "dwc/hdl/vpc.sv": {r"`default_nettype \w+\n": ""},
}


class LibraryError(FlowError):
    """finn-rtllib is not there, or not as it was; the message says what to install."""


def vivado_installed() -> bool:
    """Tell whether a Vivado installation is announced in the environment (its settings script sets this)."""
    return "XILINX_VIVADO" in os.environ


@lru_cache(maxsize=1)
def prepare_finn() -> None:
    """Make FINN's modules importable in this process; call it before importing any of them.

    FINN's package needs three things that only a Vivado installation gives. Without one, this supplies
    stand-ins, which every estimate and code-generation step is content with:

    * a build folder: `FINN_BUILD_DIR` is set to a temporary folder unless it is set already;
    * `finn.xsi.SimEngine`, loaded from Vivado's simulator on first use: a placeholder class takes its place;
    * `get_vivado_root`, asked for the tool's version at the end of every build: answers "none".

    Where Vivado is installed, only the build folder is looked after. FINN's log is held at errors in both
    cases. The call is idempotent and per process: workers started with "spawn" must call it again.
    """
    if "FINN_BUILD_DIR" not in os.environ:
        folder = os.environ["FINN_BUILD_DIR"] = tempfile.mkdtemp(prefix="finn_build_")
        atexit.register(_remove, folder, os.getpid())
    logging.getLogger("finn_logger").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(finn|qonnx)\.")
    if vivado_installed():
        return

    import finn.xsi

    finn.xsi.SimEngine = type("SimEngine", (), {})

    import finn.util.basic

    for name in ("finn.util.basic", "finn.builder.build_dataflow"):  # the second copies it when imported
        if name in sys.modules:
            setattr(sys.modules[name], "get_vivado_root", lambda: "none")  # noqa: B010 - not in the module's type


def _remove(folder: str, owner: int) -> None:
    """Remove a build folder at exit, but not from a process that was forked from its owner."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def copy_source(folder: Path, name: str) -> Path:
    """Copy a file of finn-rtllib into a build folder, patched, and return where it is.

    Args:
        folder: the build folder.
        name: its path in finn-rtllib, such as "dwc/hdl/vpc.sv".

    Raises:
        LibraryError: if the installed finn-rtllib has no such file, or another one than is known here.
    """
    return write_source(folder / f"finn_{Path(name).name}", _patched(name))


def write_source(path: Path, text: str) -> Path:
    """Write a file that several nodes may share, complete at any moment, and return where it is."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    partial.write_text(text)
    partial.replace(path)
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
            raise LibraryError(f"finn-rtllib's {name} is not the one known here: {_INSTALL}")
    return text
