import os
import subprocess
import sys
from pathlib import Path

from zerocross.finn_flows.finn_patches import prepare_finn, vivado_installed


def test_finn_imports_without_vivado():
    prepare_finn()
    import finn.builder.build_dataflow
    import finn.builder.build_dataflow_steps

    assert Path(os.environ["FINN_BUILD_DIR"]).is_dir()
    if not vivado_installed():
        assert finn.builder.build_dataflow.get_vivado_root() == "none"


def test_nothing_heavy_is_imported_before_it_is_needed():
    heavy = ["torch", "brevitas", "finn", "qonnx", "onnx"]
    code = f"import sys, zerocross.finn_flows.cost; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
