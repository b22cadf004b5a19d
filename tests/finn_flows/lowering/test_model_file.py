"""ONNX files whose weights lie in files beside them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.finn_flows.lowering.foreign import Graph
from zerocross.finn_flows.lowering import model_file
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.lower import lower
from zerocross.finn_flows.lowering.model_file import content_files, load_whole


def network(seed: int = 0) -> onnx.ModelProto:
    graph = Graph((1, 10), seed).bipolar().dense(10, 12).norm(12).bipolar().dense(12, 5)
    return graph.model().model


def apart(model: onnx.ModelProto, path: Path, one: bool = True) -> Path:
    """Save a model with its weights in `weights/...`: one file, or a file for each tensor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "weights").mkdir(exist_ok=True)
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.replace("/", "_")
    onnx.external_data_helper.convert_model_to_external_data(
        model, one, location="weights/all.data" if one else None, size_threshold=0
    )
    (path.parent / "weights/all.data").unlink(missing_ok=True)
    onnx.save(model, path)
    return path


def moved(path: Path, location: str) -> None:
    """Change where all weights of a file are said to lie."""
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("one", [True, False])
def test_a_file_is_loaded_with_its_weights_from_any_folder(
    one: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = apart(network(), tmp_path / "far/model.onnx", one)
    assert len(path.read_bytes()) < len(network().SerializeToString())
    plain = tmp_path / "plain.onnx"
    onnx.save(network(), plain)
    x = np.random.default_rng(0).normal(size=(20, 10)).astype(np.float32)
    for folder, name in (
        (tmp_path, Path("far/model.onnx")),
        (path.parent, Path("model.onnx")),
        (Path("/"), path),
    ):
        monkeypatch.chdir(folder)
        found, expected = lower(name), lower(plain)
        for left, right in zip(
            found.network.run(found.quantize(x)).values(),
            expected.network.run(expected.quantize(x)).values(),
            strict=True,
        ):
            assert (left == right).all()
    tensors = len(network().graph.initializer)
    assert len(content_files(path)) == (2 if one else tensors + 1) and content_files(plain) == [plain]


def test_constants_of_nodes_may_lie_outside_too(tmp_path: Path) -> None:
    model = network()
    values = onnx.numpy_helper.from_array(np.ones((1, 5), np.float32), "ones")
    constant = helper.make_node("Constant", [], ["ones"], name="ones", value=values)
    last = model.graph.output[0].name
    model.graph.node.extend([constant, helper.make_node("Mul", [last, "ones"], ["out"], name="scaled")])
    model.graph.output[0].name = "out"
    onnx.external_data_helper.set_external_data(model.graph.node[-2].attribute[0].t, "weights/one.data")
    path = apart(model, tmp_path / "model.onnx")
    assert path.parent / "weights/one.data" in content_files(path)
    whole = load_whole(path).graph.node[-2].attribute[0].t
    assert (onnx.numpy_helper.to_array(whole) == 1).all()


def shorten(folder: Path) -> None:
    data = folder / "weights/all.data"
    data.write_bytes(data.read_bytes()[:-7])


def remove(folder: Path) -> None:
    (folder / "weights/all.data").unlink()


def link(folder: Path) -> None:
    remove(folder)
    (folder / "weights/all.data").symlink_to("/etc/hostname")


def link_folder(folder: Path) -> None:
    (folder / "weights").rename(folder.parent / "elsewhere")
    (folder / "weights").symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (remove, r"model.onnx: .*/weights/all.data, which holds its weights, does not exist"),
        (
            shorten,
            r"/weights/all.data does not hold the weights of \w+ in model.onnx \(.*\): export the model again",
        ),
        (
            lambda folder: moved(folder / "model.onnx", "/etc/hostname"),
            "in '/etc/hostname', which is not in the model's folder",
        ),
        (
            lambda folder: moved(folder / "model.onnx", "../all.data"),
            r"in '\.\./all.data', which is not in the model's folder",
        ),
        (link, "in 'weights/all.data', which is not in the model's folder"),
        (link_folder, "in 'weights/all.data', which is not in the model's folder"),
    ],
)
def test_weights_that_are_gone_short_or_elsewhere_are_named(
    harm: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    path = apart(network(), tmp_path / "model/model.onnx")
    (tmp_path / "all.data").write_bytes((path.parent / "weights/all.data").read_bytes())
    harm(path.parent)
    with pytest.raises(LoweringError, match=message):
        content_files(path)
    with pytest.raises(LoweringError, match=message):
        lower(path)


def test_files_beyond_protobufs_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = apart(network(), tmp_path / "model.onnx")
    monkeypatch.setattr(model_file, "_MOST_BYTES", 1000)
    with pytest.raises(LoweringError, match="GB: at most 2 GB are supported"):
        load_whole(path)
