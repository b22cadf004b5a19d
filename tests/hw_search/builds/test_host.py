"""Inference by built accelerators: all kinds of files, a simulated serial line, and invalid samples."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.hw_search.extraction.test_extraction import settle
from zerocross.finn_flows.chip.cells import Cells
from zerocross.finn_flows.chip.synthesis import Synthesis
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.lowering.storage import load
from zerocross.hw_search.builds import design, host, steps
from zerocross.hw_search.builds.builder import build
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.builds.host import infer
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.builds.results import Simulated
from zerocross.hw_search.builds.subject import FileSubject, from_run
from zerocross.hw_search.errors import UserError
from zerocross.models.data import load_test
from zerocross.models.topologies import build as topology
from zerocross.reports.build_storage import UnreadableBuild


@pytest.fixture(scope="module")
def quick() -> Iterator[pytest.MonkeyPatch]:
    """Skips simulation and synthesis in builds: only the files that a host needs remain."""
    nothing = Simulated("", 0, (), 1.0, 1, 1, None)

    def synthesise(top: str, sources: Any, folder: Path, family: str, *_: Any, **__: Any) -> Synthesis:
        return Synthesis(top, family, Cells(), {}, folder, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(design, "size_fifos", lambda *_: ({}, 1.0))
        patch.setattr(steps, "certify", lambda *_: nothing)
        patch.setattr(steps, "synthesise", synthesise)
        yield patch


OPTIONS = BuildOptions("ulx3s-25f", route=False, cycles=100)


@pytest.fixture(scope="module")
def gray(quick: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build for gray images of four by five."""
    folder = tmp_path_factory.mktemp("gray")
    torch.manual_seed(0)
    model = settle(topology("mlp", (1, 4, 5), 3, {"hidden": [4], "input_bits": 8}))
    export(model, (1, 4, 5), folder / "mine.onnx")
    return build(FileSubject(folder / "mine.onnx"), OPTIONS, folder / "build").folder


@pytest.fixture(scope="module")
def coloured(quick: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coloured")
    torch.manual_seed(0)
    shape = {"blocks": [[4]], "dense": [], "pool": [False], "kernel": 2, "input_bits": 1}
    export(settle(topology("cnv", (3, 4, 4), 4, shape)), (3, 4, 4), folder / "mine.onnx")
    return build(FileSubject(folder / "mine.onnx"), OPTIONS, folder / "build").folder


class Answering:
    """Replaces a board: it answers like the integer network, except for the first sample."""

    def __init__(self, folder: Path) -> None:
        self.net, self.seen = load(folder / "network.npz"), np.empty(0)

    def infer(self, flat: np.ndarray, progress: Any) -> np.ndarray:
        self.seen = flat
        progress(len(flat), len(flat))
        values = 2 * flat - 1 if self.net.network.input.bits == 1 else flat
        return self.net.run(values.reshape(-1, *self.net.network.input.shape))["label"][:, 0]

    def __enter__(self) -> "Answering":
        return self

    def __exit__(self, *exception: object) -> None:
        """Does nothing: there is no device to close."""


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Records the opened boards. Every board answers like the current build."""
    opened: list[tuple[str, Any]] = []

    def open_board(port: str, link: Any) -> Answering:
        opened.append((port, link))
        return boards_of[0]

    boards_of: list[Answering] = []
    original = host.load

    def load_network(path: Path) -> Any:
        boards_of[:] = [Answering(path.parent)]
        return original(path)

    monkeypatch.setattr(host, "load", load_network)
    monkeypatch.setattr(host, "open_board", open_board)
    return opened


def pixels(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_images_and_arrays_go_through_the_simulated_line(gray: Path, tmp_path: Path, runtime: Path) -> None:
    folder = Path(shutil.copytree(gray, tmp_path / "build"))
    image = pixels((4, 5))
    Image.fromarray(image).save(tmp_path / "one.png")
    np.save(tmp_path / "same.npy", image[None])
    np.save(tmp_path / "three.npy", pixels((3, 1, 4, 5), 1))
    done: list[tuple[int, int]] = []
    files = [tmp_path / name for name in ("one.png", "same.npy", "three.npy")]
    found = infer(folder, files, progress=lambda *counts: done.append(counts), cache=runtime)
    assert found.names == ["one.png", "same.npy", "three.npy[0]", "three.npy[1]", "three.npy[2]"]
    assert done[-1] == (5, 5)
    assert (found.classes == found.expected).all() and found.classes[0] == found.classes[1]
    net = load(folder / "network.npz")
    assert found.expected[0] == net.run(image[None, :, :, None])["label"][0, 0]
    assert found.labels is None  # labels of files are unknown


def test_a_board_is_asked_over_its_port(gray: Path, tmp_path: Path, boards: list[Any]) -> None:
    np.save(tmp_path / "four.npy", pixels((4, 1, 4, 5)))
    found = infer(gray, [tmp_path / "four.npy"], port="/dev/ttyTEST")
    assert [port for port, _ in boards] == ["/dev/ttyTEST"]
    written = json.loads((gray / "accelerator.json").read_text())
    link = boards[0][1]
    assert (link.design_id, link.baud) == (written["design_id"], 115_200)
    assert link.source.elements == 20 and link.sink.elements == 1
    assert (found.classes == found.expected).all() and len(found.names) == 4


def test_images_are_fitted_to_the_network(coloured: Path, tmp_path: Path, boards: list[Any]) -> None:
    image = np.kron(pixels((4, 4, 3)), np.ones((2, 2, 1), np.uint8))  # twice the size, four equal pixels each
    Image.fromarray(image).save(tmp_path / "large.png")
    Image.fromarray(image[:, :, 0]).convert("P").save(tmp_path / "palette.gif")
    np.save(tmp_path / "small.npy", image[::2, ::2].transpose(2, 0, 1))
    files = [tmp_path / name for name in ("large.png", "palette.gif", "small.npy")]
    found = infer(coloured, files, port="any")
    assert len(found.names) == 3 and found.classes[0] == found.classes[2]
    assert found.notes == [
        f"{name}: resized from 8 x 8 pixels to 4 x 4" for name in ("large.png", "palette.gif")
    ]


def test_test_samples_of_a_run_have_labels(
    quick: None, tiny_run: Path, tmp_path: Path, boards: list[Any]
) -> None:
    subject = from_run(tiny_run, "knee")
    folder = build(subject, OPTIONS, tmp_path / "build").folder
    found = infer(folder, test=25, port="any")
    assert found.labels is not None and (found.labels == load_test("digits").y[:25].numpy()).all()
    for number, text in ((0.5, "0.5 to 0.5"), (256, "256 to 256"), (-1, "-1 to -1")):
        np.save(tmp_path / "scaled.npy", np.full(tuple(subject.record.input_shape), number))
        with pytest.raises(
            UserError, match=f"scaled.npy holds values from {text}: give whole numbers from 0 to 255"
        ):
            infer(folder, [tmp_path / "scaled.npy"], port="any")
    logits = subject.logits(folder, load_test("digits").x[:25])
    assert (found.expected == logits.argmax(axis=1)).all()


def test_a_run_that_moved_is_found_beside_its_builds(
    quick: None, tiny_run: Path, tmp_path: Path, boards: list[Any]
) -> None:
    before = Path(shutil.copytree(tiny_run, tmp_path / "before"))
    build(from_run(before, "knee"), OPTIONS, before / "builds" / "mine")
    after = before.rename(tmp_path / "after")
    assert len(infer(after / "builds" / "mine", test=3, port="any").names) == 3
    alone = (after / "builds" / "mine").rename(tmp_path / "alone")
    with pytest.raises(UserError, match="the build's run is no longer at .*before: give"):
        infer(alone, test=3, port="any")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "flat.npy",
            np.zeros(20),
            r"flat.npy holds an array of shape \(20,\): give one sample of shape \(1, 4, 5\) or several of shape "
            r"\(N, 1, 4, 5\)",
        ),
        ("hwc.npy", np.zeros((2, 4, 5, 1)), r"holds an array of shape \(2, 4, 5, 1\)"),
        ("none.npy", np.zeros((0, 1, 4, 5)), r"none.npy holds an array of shape \(0, 1, 4, 5\)"),
        ("nan.npy", np.full((1, 4, 5), np.nan), "nan.npy holds float64 values that are not finite numbers"),
        ("text.npy", np.full((1, 4, 5), "a"), "text.npy holds <U1 values that are not finite numbers"),
        ("pickled.npy", np.array([{}]), "pickled.npy cannot be read as a sample"),
        ("broken.npy", b"nothing", "broken.npy cannot be read as a sample"),
        ("broken.png", b"nothing", "broken.png cannot be read as a sample"),
        ("gone.png", None, "gone.png cannot be read as a sample"),
        ("gone.npy", None, "gone.npy cannot be read as a sample"),
    ],
)
def test_what_is_no_sample_is_said(
    name: str, content: Any, message: str, gray: Path, tmp_path: Path, boards: list[Any]
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        np.save(tmp_path / name, content, allow_pickle=True)
    with pytest.raises(UserError, match=message):
        infer(gray, [tmp_path / name], port="any")
    assert not boards


def test_images_for_a_network_of_features_are_refused(
    quick: None, tiny_run: Path, tmp_path: Path, boards: list[Any]
) -> None:
    export(settle(topology("mlp", (6,), 3, {"hidden": [4]})), (6,), tmp_path / "mine.onnx")
    folder = build(FileSubject(tmp_path / "mine.onnx"), OPTIONS, tmp_path / "build").folder
    Image.fromarray(pixels((2, 3))).save(tmp_path / "one.png")
    with pytest.raises(
        UserError, match=r"one.png is an image, but samples have shape \(6,\): give an .npy file"
    ):
        infer(folder, [tmp_path / "one.png"], port="any")


def test_a_build_that_is_not_there_or_not_whole_is_said(gray: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to infer: give image files, or --test"):
        infer(gray, port="any")
    with pytest.raises(UnreadableBuild, match="holds no build"):
        infer(tmp_path, test=1)
    sample = tmp_path / "one.npy"
    np.save(sample, pixels((1, 4, 5)))
    for file in ("accelerator.json", "model.onnx", "network.npz"):
        folder = Path(shutil.copytree(gray, tmp_path / file))
        (folder / file).unlink()
        with pytest.raises(Exception, match=file) as refused:
            infer(folder, [sample], port="any")
        assert isinstance(refused.value, UserError | FlowError), file
    folder = Path(shutil.copytree(gray, tmp_path / "damaged"))
    (folder / "accelerator.json").write_text('{"top": 3}')
    with pytest.raises(UserError, match="accelerator.json cannot be read .*: build again"):
        infer(folder, [sample], port="any")
    with pytest.raises(UserError, match="--test works only for a network from a run"):
        infer(gray, test=1, port="any")
