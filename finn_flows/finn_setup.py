"""Make FINN importable and quiet on a machine without Vivado."""

import atexit
import logging
import os
import shutil
import sys
import tempfile
import warnings
from functools import lru_cache


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
