"""FINN's own SystemVerilog, finn-rtllib, copied from the installed package and mended on the way.

It is written for Vivado. What stands in the way of Verilator and Yosys is changed in the copy; the package stays as
it is.
"""

import importlib.util
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from zerocross.finn_flows.errors import FlowError

_INSTALL = "pip install finn-plus==1.6.1"

# Patterns and what takes their place, by file.
_MENDINGS: Mapping[str, Mapping[str, str]] = {
    # Written inside the module, it would hold for the files that follow.
    "dwc/hdl/vpc.sv": {r"`default_nettype \w+\n": ""},
}


class LibraryError(FlowError):
    """finn-rtllib is not there, or not as it was; the message says what to install."""


def copy_source(folder: Path, name: str) -> Path:
    """Copy a file of finn-rtllib into a build folder, mended, and return where it is.

    Args:
        folder: the build folder.
        name: its path in finn-rtllib, such as "dwc/hdl/vpc.sv".

    Raises:
        LibraryError: if the installed finn-rtllib has no such file, or another one than is known here.
    """
    return write_source(folder / f"finn_{Path(name).name}", _mended(name))


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
def _mended(name: str) -> str:
    path = _root() / name
    if not path.exists():
        raise LibraryError(f"finn-rtllib has no {name}: {_INSTALL}")
    text = path.read_text()
    for old, new in _MENDINGS.get(name, {}).items():
        text, count = re.subn(old, new, text)
        if not count:
            raise LibraryError(f"finn-rtllib's {name} is not the one known here: {_INSTALL}")
    return text
