"""Make FINN importable and quiet on a machine without Vivado."""

import logging
import os
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
        os.environ["FINN_BUILD_DIR"] = tempfile.mkdtemp(prefix="finn_build_")
    logging.getLogger("finn_logger").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(finn|qonnx)\.")
    if vivado_installed():
        return

    import finn.xsi  # noqa: PLC0415 - FINN is imported late: it takes seconds

    finn.xsi.SimEngine = type("SimEngine", (), {})

    import finn.util.basic  # noqa: PLC0415

    finn.util.basic.get_vivado_root = lambda: "none"
    if "finn.builder.build_dataflow" in sys.modules:
        sys.modules["finn.builder.build_dataflow"].get_vivado_root = finn.util.basic.get_vivado_root  # type: ignore[attr-defined]
