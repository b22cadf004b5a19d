"""Sources of a build: networks of a run, and QONNX files."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from tests.finn_flows.finn_networks import export, mlp
from zerocross.digests import write_digests
from zerocross.finn_flows.coverage import measure
from zerocross.finn_flows.lowering.lower import lower
from zerocross.hw_search.builds.forms import integer_logits
from zerocross.hw_search.builds.layout import MODEL, WEIGHTS
from zerocross.hw_search.builds.subject import FileSubject, from_run, from_source, labelled
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.finalists import choose
from zerocross.models.data import load_test
from zerocross.reports.records import Run
from zerocross.reports.storage import UnreadableRun, load_run


def quiet(share: float, note: str) -> None:
    """Ignores progress."""


@pytest.fixture(scope="module")
def run(tiny_run: Path) -> Run:
    return load_run(tiny_run)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(mlp(8, (6, 5, 3)), tmp_path_factory.mktemp("file") / "mine.onnx")


def test_every_network_of_a_run_can_be_picked(tiny_run: Path, run: Run) -> None:
    names = [network.id for network in [*run.front, *run.references]]
    for name in names:
        assert from_run(tiny_run, name).origin.name == name
    for word in ("knee", "best", "smallest"):
        assert from_run(tiny_run, word).network in run.front


def test_a_network_that_is_not_there_is_named_with_those_that_are(tiny_run: Path, run: Run) -> None:
    near = run.front[0].id[:-1] + "x"
    with pytest.raises(UserError, match=f"no network '{near}': did you mean {run.front[0].id}"):
        from_run(tiny_run, near)
    with pytest.raises(UserError, match="no network '\\?\\?': known: knee, best"):
        from_run(tiny_run, "??")


@pytest.mark.parametrize("name", ["pareto.json", "evaluations.jsonl", "front"])
def test_a_run_that_was_changed_is_refused(name: str, tiny_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    net = from_run(folder, "knee").network
    file = folder / (net.weights if name == "front" else name)
    content = bytearray(file.read_bytes())
    content[-10] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"{file.name} was changed since .*: run the search again, .*--trust"):
        from_run(folder, "knee")
    if name == "front":
        assert from_run(folder, "knee", trust=True).network == net
        others = [each.id for each in load_run(folder).references if each.weights != net.weights]
        assert all(from_run(folder, other) for other in others)  # their files are as they were


def test_a_plugin_that_was_changed_is_not_imported(tiny_run: Path, tmp_path: Path) -> None:
    folder, plugin = Path(shutil.copytree(tiny_run, tmp_path / "run")), tmp_path / "mine.py"
    plugin.write_text("x = 1")
    record = json.loads((folder / "pareto.json").read_text())
    record["config"]["plugins"] = [str(plugin)]
    (folder / "pareto.json").write_text(json.dumps(record))
    weights = [str(file.relative_to(folder)) for file in (folder / "front").iterdir()]
    write_digests(folder, ["pareto.json", "evaluations.jsonl", *weights, str(plugin)])
    from_run(folder, "knee")
    plugin.write_text("open('imported', 'w')")
    with pytest.raises(UserError, match="mine.py was changed since"):
        from_run(folder, "knee")


def test_the_origin_says_what_was_searched(tiny_run: Path, run: Run) -> None:
    subject, net = from_run(tiny_run, "best"), min(run.front, key=lambda network: network.metrics["error"])
    origin = subject.origin
    assert (origin.expression, origin.trained, origin.run) == (net.expression, net.trained, str(tiny_run))
    assert origin.topology.startswith("mlp: ") and "hidden [16]" in origin.topology
    assert subject.folding == net.folding and subject.folding["target_cycles"] == 256


def test_the_runs_weights_become_a_qonnx_file_that_says_the_same(tiny_run: Path, tmp_path: Path) -> None:
    subject = from_run(tiny_run, "knee")
    exported = subject.write(tmp_path, quiet)
    net, test = subject.network, load_test("digits")
    assert exported.test == net.test[0] and exported.validation == net.validation[0]
    assert exported.images == len(test.x) and exported.training == f"1 epochs, seed {net.seeds[0]}"
    config = {**subject.record.config, "final": {**subject.record.config["final"], "epochs": 7}}
    longer = replace(subject, record=replace(subject.record, config=config))
    told = longer.write(tmp_path, quiet)
    assert told.training == f"7 epochs, seed {net.seeds[0]}"
    assert (tmp_path / WEIGHTS).read_bytes() == (tiny_run / net.weights).read_bytes()
    images = subject.images(50)
    assert len(images.x) == len(images.y) == 50 and images.name == "digits, test set"
    logits = subject.logits(tmp_path, images.x)
    assert logits.shape == (50, 10)
    lowered = lower(tmp_path / MODEL)
    integer = integer_logits(lowered.network, lowered.quantize(images.x.numpy().astype(np.float32)))
    assert (integer.argmax(axis=1) == logits.argmax(axis=1)).all()
    whole = subject.logits(tmp_path, test.x).argmax(axis=1)
    assert np.mean(whole == test.y.numpy()) == pytest.approx(exported.test)


def test_a_network_is_trained_anew_when_asked(tiny_run: Path, tmp_path: Path) -> None:
    shares: list[float] = []
    subject = from_run(tiny_run, "knee", epochs=1, seed=77)
    exported = subject.write(tmp_path, lambda share, note: shares.append(share))
    assert exported.training == "1 epochs, seed 77" and shares
    assert (tmp_path / WEIGHTS).read_bytes() != (tiny_run / subject.network.weights).read_bytes()
    whole = subject.logits(tmp_path, load_test("digits").x).argmax(axis=1)
    assert np.mean(whole == load_test("digits").y.numpy()) == pytest.approx(exported.test)


def test_its_key_says_how_it_is_trained_and_what_its_weights_are(tiny_run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_run, tmp_path / "copy"))
    before, before_copying = from_run(copy, "knee"), from_run(copy, "knee").key
    keys = [before.key, from_run(copy, "knee", 2).key, from_run(copy, "knee", 2, 3).key]
    weights = copy / before.network.weights
    weights.write_bytes(weights.read_bytes() + b" ")
    keys.append(from_run(copy, "knee", trust=True).key)
    assert all(one != other for index, one in enumerate(keys) for other in keys[:index])
    assert from_run(tiny_run, "knee").key == before_copying


def test_weights_that_are_gone_are_said_to_be(tiny_run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_run, tmp_path / "copy"))
    shutil.rmtree(copy / "front")
    subject = from_run(copy, "knee")
    with pytest.raises(UserError, match=r"front/.*safetensors cannot be read \(No such file"):
        subject.write(tmp_path / "build", quiet)


def test_a_file_is_taken_as_it_is(file: Path, tmp_path: Path) -> None:
    subject = from_source(file)
    assert isinstance(subject, FileSubject)
    exported = subject.write(tmp_path, quiet)
    assert (tmp_path / MODEL).read_bytes() == file.read_bytes() and exported.test is None
    images = subject.images(10)
    assert images.x.shape == (10, 6) and images.y is None and images.name == "random samples"
    assert torch.equal(images.x, from_source(file).images(10).x)
    assert torch.equal(images.x, subject.images(500).x[:10]) and len(subject.images(500).x) == 200
    assert subject.logits(tmp_path, images.x) is None and subject.origin.name == "mine"


def test_samples_of_a_file_without_data_exercise_it(file: Path) -> None:
    lowered = lower(file)
    x = from_source(file).images(200).x.numpy()
    found = measure(lowered.network, lowered.quantize(x))
    assert found.distinct == 200 and found.classes_seen == found.classes == 3
    assert found.inputs_changed == found.inputs == 6
    for layer in found.layers:
        assert layer.both_sides == layer.crossings and layer.changed == layer.channels


def test_one_of_several_outputs_is_built(file: Path, tmp_path: Path) -> None:
    model = onnx.load(file)
    (logits,) = (each.name for each in model.graph.output)
    inner = next(name for node in model.graph.node for name in node.output if name != logits)
    del model.graph.value_info[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(inner, onnx.TensorProto.FLOAT, None))
    path = tmp_path / "heads.onnx"
    onnx.save(model, path)
    subject = from_source(path, output=logits)
    exported = subject.write(tmp_path, quiet)
    assert exported.dropped == (inner,) and exported.note.endswith(f", without the outputs {inner}")
    assert [each.name for each in onnx.load(tmp_path / MODEL).graph.output] == [logits]
    assert subject.key != from_source(path).key
    with pytest.raises(UserError, match="--logits works only with a QONNX file"):
        from_source(tmp_path, output=logits)


def test_a_files_data_are_its_images_and_part_of_its_key(file: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (20, 6)).astype(np.uint8), rng.integers(0, 3, 20)
    data = tmp_path / "mine.npz"
    np.savez(data, x_train=x, y_train=y, x_test=x, y_test=y)
    subject = from_source(file, data=data)
    images = subject.images(7)
    assert (images.x.numpy() == x[:7]).all() and (images.y.numpy() == y[:7]).all()
    assert images.name == "mine, test set"
    keys = [from_source(file).key, subject.key]
    np.savez(data, x_train=x, y_train=y, x_test=x[::-1], y_test=y)
    keys.append(subject.key)
    assert all(one != other for index, one in enumerate(keys) for other in keys[:index])


def test_weights_beside_a_file_are_part_of_its_key_and_of_the_copy(file: Path, tmp_path: Path) -> None:
    path, data = tmp_path / "outside.onnx", tmp_path / "outside.data"
    keys, ways = [], []
    for sign in (1, -1):
        model = onnx.load(file)
        for tensor in model.graph.initializer:
            values = onnx.numpy_helper.to_array(tensor)
            if values.ndim == 2:
                tensor.CopyFrom(onnx.numpy_helper.from_array(sign * values, tensor.name))
        data.unlink(missing_ok=True)
        onnx.save(model, path, save_as_external_data=True, location=data.name, size_threshold=0)
        ways.append(path.read_bytes())
        subject = from_source(path)
        keys.append(subject.key)
        subject.write(tmp_path / "build", quiet)
        copy = lower(tmp_path / "build" / MODEL).network  # no .data file lies beside the copy
        for name, weights in lower(path).network.weights.items():
            assert (copy.weights[name] == weights).all()
    assert ways[0] == ways[1] and keys[0] != keys[1]


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("gone.onnx", {}, UserError, "gone.onnx does not exist"),
        ("there.onnx", {"epochs": 3}, UserError, "use --epochs and --seed only with a run's folder"),
        ("there.onnx", {"seed": 3}, UserError, "use --epochs and --seed only with a run's folder"),
        (".", {"data": Path("x.npz")}, UserError, "--data does not work with a run"),
        ("no/run", {}, UnreadableRun, "no/run does not exist"),
        (".", {}, UnreadableRun, "holds no finished or interrupted search"),
    ],
)
def test_what_cannot_be_built_is_said(
    name: str, options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "there.onnx").write_bytes(b"not read here")
    with pytest.raises(error, match=message):
        from_source(tmp_path / name, **options)


def test_a_run_without_a_front_has_nothing_to_build(run: Run) -> None:
    with pytest.raises(UserError, match="has no front yet"):
        choose(replace(run, front=[], verdict=""), "knee")


def test_a_message_about_labels_begins_with_file_and_array(file: Path, tmp_path: Path) -> None:
    data = tmp_path / "mine.npz"
    np.savez(data, x_test=np.zeros((4, 6)), y_test=[0, 5, 5, 7])
    with pytest.raises(
        UserError, match=r"^mine.npz, y_test: the labels are 0, 5, 7, but the network has 4 classes"
    ):
        labelled(from_source(file, data=data), 4, 4)
    np.savez(data, x_test=np.zeros((4, 6)), y_test=[0, 2, 2, 2])
    images = labelled(from_source(file, data=data), 4, 3)
    assert (
        images.notes == ("mine.npz, y_test: no sample has the label 1",) and images.name == "mine, test set"
    )
