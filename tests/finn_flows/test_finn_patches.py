import os
import subprocess
import sys
from pathlib import Path

from zerocross.finn_flows import finn_patches
from zerocross.finn_flows.finn_patches import copy_source, prepare_finn, vivado_installed


def test_finn_imports_without_vivado() -> None:
    prepare_finn()
    import finn.builder.build_dataflow
    import finn.builder.build_dataflow_steps

    assert Path(os.environ["FINN_BUILD_DIR"]).is_dir()
    if not vivado_installed():
        assert finn.builder.build_dataflow.get_vivado_root() == "none"


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    heavy = ["torch", "brevitas", "finn", "qonnx", "onnx"]
    code = f"import sys, zerocross.finn_flows.cost; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_a_copied_source_is_finns_but_for_its_patches(tmp_path: Path) -> None:
    copied = copy_source(tmp_path, "dwc/hdl/vpc.sv")
    theirs = (finn_patches._root() / "dwc/hdl/vpc.sv").read_text()
    assert "`default_nettype" in theirs
    left = [line for line in theirs.splitlines() if "`default_nettype" not in line]
    assert copied.read_text().splitlines() == left
    assert copied == tmp_path / "finn_vpc.sv" and list(tmp_path.iterdir()) == [copied]
