"""`zerocross export` and `--scores`: builds that answer classes or scores, as cores for other projects."""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.hw_search.extraction.test_extraction import settle
from zerocross.finn_flows.chip.cells import Cells
from zerocross.finn_flows.chip.synthesis import Synthesis
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.lowering.storage import load
from zerocross.hw_search import cli
from zerocross.hw_search.builds import builder, core_export, layout, steps
from zerocross.hw_search.builds.builder import build
from zerocross.hw_search.builds.core_export import export_core
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.builds.fit import TooLarge
from zerocross.hw_search.builds.forms import integer_classes, integer_logits
from zerocross.hw_search.builds.host import infer
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.builds.subject import FileSubject
from zerocross.hw_search.builds.vectors import load_vectors
from zerocross.hw_search.errors import UserError
from zerocross.models.topologies import build as topology
from zerocross.reports.build_storage import load_build

OPTIONS = BuildOptions("ulx3s-25f", route=False, cycles=100, images=12)


@pytest.fixture(scope="module", autouse=True)
def quick(runtime: Path) -> Iterator[None]:
    def synthesise(top: str, sources: Any, folder: Path, family: str, *_: Any, **__: Any) -> Synthesis:
        return Synthesis(top, family, Cells(), {}, folder, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "synthesise", synthesise)
        patch.setattr(builder, "cache_folder", lambda: runtime)
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "tiny-net.onnx"
    export(settle(topology("mlp", (1, 4, 5), 3, {"hidden": [4], "input_bits": 8})), (1, 4, 5), path)
    return path


@pytest.fixture(scope="module")
def built(model: Path) -> Path:
    return build(FileSubject(model), OPTIONS, model.parent / "class").folder


@pytest.fixture(scope="module")
def scored(model: Path) -> Path:
    return build(FileSubject(model), replace(OPTIONS, scores=True), model.parent / "scores").folder


def vectors(folder: Path) -> tuple[IntegerNetwork, np.ndarray, np.ndarray]:
    """Return the network of a build, the logits of its vectors, and their answers."""
    net, (inputs, outputs) = load(folder / "network.npz"), load_vectors(folder)
    assert len(inputs) == 12
    return net, integer_logits(net, inputs.reshape(-1, *net.network.input.shape)), outputs


def test_vectors_are_the_scores_of_the_integer_network(scored: Path) -> None:
    _, logits, scores = vectors(scored)
    scale = core_export.load_accelerator(scored).scores
    assert scale is not None and (scale.factor * scores + scale.offset == logits).all()


@pytest.mark.slow
def test_vectors_are_the_classes_of_the_integer_network(built: Path) -> None:
    net, logits, classes = vectors(built)
    assert classes[:, 0].tolist() == integer_classes(net, logits).tolist()


def test_a_build_of_scores_compares_all_forms(scored: Path) -> None:
    record = load_build(scored)
    assert record.certificate is not None
    pairs = {(check.left, check.right): check for check in record.certificate.checks}
    assert pairs["RTL", "RTL, stalled"].compared == "logits"
    assert not any(check.differences for check in record.certificate.checks)


@pytest.mark.slow
def test_infer_gives_scores(built: Path, scored: Path, runtime: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (3, 1, 4, 5)).astype(np.float32)
    path = scored.parent / "samples.npy"
    np.save(path, samples)
    of_class = infer(built, [path], cache=runtime)
    of_scores = infer(scored, [path], cache=runtime)
    assert (of_class.scores == of_scores.scores).all() and of_scores.scores.shape == (3, 3)
    assert (of_scores.scores.argmax(axis=1) == of_scores.classes).all()
    assert of_scores.are_answered and not of_class.are_answered
    assert of_class.differ == of_scores.differ == 0


def test_infer_prints_scores(
    scored: Path, runtime: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "cache_folder", lambda: runtime)
    path = scored.parent / "one.npy"
    np.save(path, np.zeros((1, 1, 4, 5), np.float32))
    monkeypatch.setattr(sys, "argv", ["zerocross", "infer", str(scored), str(path), "--simulate", "--scores"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out = capsys.readouterr().out
    assert not ended.value.code and "integer" in out and "1 sample; 0 answers differ" in out


def test_the_command_writes_and_replaces_a_core(
    scored: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for form in ("verilog", "verilog"):
        monkeypatch.setattr(sys, "argv", ["zerocross", "export", str(scored), "--as", form, "--no-check"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
    out = capsys.readouterr().out
    assert "tiny_net: a sample is 20 words of 8 bits, an answer 3" in out
    folder = scored / "cores" / "verilog"
    assert f"Core: {folder}" in out and (folder / "rtl" / "tiny_net.v").is_file()
    assert not list(scored.rglob("*.tmp"))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["axi-stream", "litex"])
def test_an_exported_core_passes_its_testbench(scored: Path, tmp_path: Path, form: str) -> None:
    done = export_core(scored, form, "bnn_core", tmp_path / form, word_bytes=4, samples=5)
    assert done.checked[-1] == "PASS: 10 samples, 0 differences"


def test_wrong_arguments_have_one_message(scored: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--as litx: .*litex"):
        export_core(scored, "litx")
    for name in ("module", "Bnn_core", "zc_core", "a-b"):
        with pytest.raises(UserError, match=f"--name {name}: give a name of lower-case"):
            export_core(scored, "verilog", name)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="is not empty, and no earlier export"):
        export_core(scored, "verilog", output=tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").is_file()


def test_a_build_without_vectors_is_simulated_again(model: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, scores=True)
    folder = build(FileSubject(model), options, tmp_path / "build").folder
    (folder / "vectors.npz").unlink()
    with pytest.raises(UserError, match=r"vectors\.npz cannot be read .*build again"):
        export_core(folder, "verilog")
    build(FileSubject(model), options, folder)
    assert (folder / "vectors.npz").is_file()


def test_a_build_without_a_certificate_is_not_exported(scored: Path, tmp_path: Path) -> None:
    shutil.copytree(scored, tmp_path / "build")
    record = json.loads((tmp_path / "build" / "build.json").read_text())
    (tmp_path / "build" / "build.json").write_text(json.dumps({**record, "certificate": None}))
    with pytest.raises(UserError, match="has no certificate, because its build was not finished"):
        export_core(tmp_path / "build", "verilog", trust=True)


def test_classes_and_scores_are_different_designs(built: Path, scored: Path) -> None:
    ids = [json.loads((folder / "accelerator.json").read_text())["design_id"] for folder in (built, scored)]
    assert ids[0] != ids[1]


def test_one_logit_has_no_scores(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "one.onnx"
    export(settle(topology("mlp", (1, 4, 5), 1, {"hidden": [4], "input_bits": 8})), (1, 4, 5), path)
    with pytest.raises(
        UserError, match="--scores: the network decides by the sign of one sum.*omit the option"
    ):
        build(FileSubject(path), replace(OPTIONS, scores=True), tmp_path / "build")


def test_a_design_too_large_stops_before_simulation(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "wide.onnx"
    export(settle(topology("mlp", (1, 8, 8), 10, {"hidden": [128], "input_bits": 8})), (1, 8, 8), path)
    options = BuildOptions("icestick", cycles=8)
    with pytest.raises(
        TooLarge,
        match=r"needs about [\d,]+ of 1,280 logic cells.* of icestick \(estimate\): .*--target [\w-]+ \([\d,]+ .*--anyway",
    ):
        build(FileSubject(path), options, tmp_path / "build")
    assert not (tmp_path / "build" / "rtl").exists()
