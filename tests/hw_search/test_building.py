"""`zerocross build`: what it checks ahead of slow imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from zerocross.hw_search.commands.building import build_for
from zerocross.reports.storage import UnreadableRun

_SCRIPT = """
import sys
from zerocross.hw_search import cli
try:
    cli.main()
finally:
    assert "torch" not in sys.modules
"""


def build(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _SCRIPT, "build", *words], capture_output=True, text=True, check=False
    )


def test_a_typed_target_is_checked_before_torch_is_imported(tmp_path: Path) -> None:
    done = build("zoo:tfc-digits", "--target", "icebraker")
    assert done.returncode == 1 and done.stderr.startswith("error: --target: ")
    assert "icebreaker" in done.stderr and "Traceback" not in done.stderr


def test_only_a_run_knows_its_part() -> None:
    done = build("model.onnx")
    assert done.returncode == 1
    assert (
        done.stderr
        == "error: model.onnx is no run, which knows its part: give --target with a board or part\n"
    )


def test_a_search_builds_with_few_options(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRun, match="nothing does not exist"):  # not the lack of an option
        build_for(tmp_path / "nothing", pick="knee", target="icebreaker", clock_mhz=None, images=10)
