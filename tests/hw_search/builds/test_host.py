"""Inference by built accelerators: all kinds of files, a simulated serial line, and invalid samples."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto
from PIL import Image

from tests.finn_flows.lowering.foreign import Graph
from tests.hw_search.builds.stand_ins import no_simulation
from tests.hw_search.extraction.test_extraction import settle
from zerocross.finn_flows.chip.cells import Cells
from zerocross.finn_flows.chip.synthesis import Synthesis
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.lowering.storage import load
from zerocross.hw_search.builds import design, host, steps
from zerocross.hw_search.builds.accelerator_file import load_accelerator
from zerocross.hw_search.builds.builder import build
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.builds.host import infer
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.builds.pixels import PixelScaling
from zerocross.hw_search.builds.samples import read_samples
from zerocross.hw_search.builds.subject import FileSubject, from_run
from zerocross.hw_search.errors import UserError
from zerocross.models.data import load_test
from zerocross.models.scaling import ByteScaling
from zerocross.models.topologies import build as topology
from zerocross.reports.build_storage import UnreadableBuild
from zerocross.reports.storage import load_run


@pytest.fixture(scope="module")
def quick() -> Iterator[pytest.MonkeyPatch]:
    """Skips simulation and synthesis in builds: only the files that a host needs remain."""

    def synthesise(top: str, sources: Any, folder: Path, family: str, *_: Any, **__: Any) -> Synthesis:
        return Synthesis(top, family, Cells(), {}, folder, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(design, "size_fifos", lambda *_: ({}, 1.0))
        patch.setattr(design, "node_intervals", lambda *_: {})
        patch.setattr(steps, "certify", no_simulation)
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

    def run(self, flat: np.ndarray, progress: Any) -> np.ndarray:
        self.seen = flat
        progress(len(flat), len(flat))
        values = 2 * flat - 1 if self.net.network.input.bits == 1 else flat
        return self.net.run(values.reshape(-1, *self.net.network.input.shape))["label"]

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


def test_a_photograph_is_turned_as_it_was_held(coloured: Path, tmp_path: Path, boards: list[Any]) -> None:
    image, exif = pixels((4, 4, 3)), Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(np.rot90(image).copy()).save(tmp_path / "held.png", exif=exif)
    Image.fromarray(image).save(tmp_path / "upright.png")
    found = infer(coloured, [tmp_path / "held.png", tmp_path / "upright.png"], port="any")
    assert found.notes == ["held.png: turned as its EXIF says"]
    samples, _ = read_samples(tmp_path / "held.png", (3, 4, 4))
    assert np.array_equal(samples, read_samples(tmp_path / "upright.png", (3, 4, 4))[0])


def test_arrays_may_have_channels_last_or_none(gray: Path, tmp_path: Path, boards: list[Any]) -> None:
    x = pixels((3, 1, 4, 5))
    for name, array in (("first", x), ("last", np.moveaxis(x, 1, 3)), ("none", x[:, 0]), ("one", x[0, 0])):
        np.save(tmp_path / f"{name}.npy", array)
    files = [tmp_path / f"{name}.npy" for name in ("first", "last", "none", "one")]
    found = infer(gray, files, port="any").expected.tolist()
    assert found[:3] == found[3:6] == found[6:9] and found[9] == found[0]


def normalised_network(folder: Path, first: bool = False) -> Path:
    """A network of images of 3 channels that takes values of -2..2, with a float convolution ahead of it or without."""
    g = Graph((1, 3, 4, 5))
    if first:
        g = g.node("Conv", g.constant(g.rng.normal(size=(3, 3, 1, 1))), kernel_shape=[1, 1])
    g = g.quant(8, 2 / 127, signed=True).conv(3, 6).node("Relu").quant(2, 0.7).node("Flatten")
    g.dense(g.features(), 4).model().save(str(folder / "mine.onnx"))
    return folder / "mine.onnx"


def test_pixels_are_scaled_as_declared(quick: None, tmp_path: Path, boards: list[Any]) -> None:
    file = normalised_network(tmp_path)
    declared = PixelScaling(1 / 255, (0.5, 0.4, 0.3), (0.25,))
    made = build(FileSubject(file), replace(OPTIONS, pixels=declared), tmp_path / "build")
    assert made.build.pixels.endswith("with scale 0.00392157, mean 0.5, 0.4, 0.3, std 0.25")
    images = pixels((20, 4, 5, 3))
    for index, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{index:02}.png")
    tensors = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255)
    mean, std = (torch.tensor(each).reshape(-1, 1, 1) for each in ((0.5, 0.4, 0.3), (0.25, 0.25, 0.25)))
    np.save(tmp_path / "values.npy", tensors.sub(mean).div(std).numpy())
    found = infer(made.folder, [*sorted(tmp_path.glob("*.png")), tmp_path / "values.npy"], port="any")
    assert found.expected[:20].tolist() == found.expected[20:].tolist() and len(set(found.expected)) > 1


@pytest.mark.parametrize("first", [False, True], ids=["levels", "layers on the host"])
def test_pixels_beyond_the_levels_are_refused(
    quick: None, tmp_path: Path, boards: list[Any], first: bool
) -> None:
    options = replace(OPTIONS, host_part=first)
    made = build(FileSubject(normalised_network(tmp_path, first)), options, tmp_path / "build")
    assert made.build.host[0] == (
        "Conv_0 (Conv): has weights (3 x 3 x 1 x 1)" if first else "Quant_0 (Quant)"
    )
    Image.fromarray(pixels((4, 5, 3))).save(tmp_path / "one.png")
    with pytest.raises(
        UserError, match=r"one.png: .*Build again and say .*\(pixel \* scale - mean\) / std.*--scale 1/255"
    ):
        infer(made.folder, [tmp_path / "one.png"], port="any")
    again = build(
        FileSubject(tmp_path / "mine.onnx"), replace(options, pixels=PixelScaling()), tmp_path / "build"
    )
    assert len(infer(again.folder, [tmp_path / "one.png"], port="any").names) == 1


def test_rows_of_a_table_are_in_the_users_units(
    quick: None, tiny_run: Path, tmp_path: Path, boards: list[Any]
) -> None:
    run, scaling = load_run(tiny_run), ByteScaling((-1.0,), (1.5,))
    subject = from_run(tiny_run, "knee")
    floats = replace(subject, record=replace(run, scaling={"low": [-1.0], "high": [1.5]}))
    folder = build(floats, OPTIONS, tmp_path / "build").folder
    x = np.random.default_rng(0).normal(size=(6, *run.input_shape))
    np.save(tmp_path / "rows.npy", x)
    np.save(tmp_path / "bytes.npy", scaling.to_bytes(x))
    found = infer(folder, [tmp_path / "rows.npy", tmp_path / "bytes.npy"], port="any")
    assert found.expected[:6].tolist() == found.expected[6:].tolist()
    outside = int(scaling.clipped(x).sum())
    assert outside and found.notes == [
        f"rows.npy: {outside} of {x.size} values lie outside the training samples' range"
    ]


def test_pictures_become_what_a_run_was_trained_on(
    quick: None, tiny_run: Path, tmp_path: Path, boards: list[Any]
) -> None:
    run, subject = load_run(tiny_run), from_run(tiny_run, "knee")
    channels, height, width = run.input_shape
    assert channels == 1
    image = pixels((height, width))
    Image.fromarray(image).save(tmp_path / "one.png")

    def trained_on(low: float, high: float) -> Any:
        return replace(subject, record=replace(run, scaling={"low": [low], "high": [high]}))

    def sent(floats: Any, declared: PixelScaling | None = None) -> np.ndarray:
        made = build(floats, replace(OPTIONS, pixels=declared), tmp_path / "build")
        answering = infer(made.folder, [tmp_path / "one.png"], port="any")
        np.save(tmp_path / "same.npy", image[None])
        same = infer(made.folder, [tmp_path / "same.npy"], port="any")
        return np.array([answering.scores[0], same.scores[0]])

    for bytes_like in (subject, trained_on(0.0, 1.0), trained_on(0.0, 255.0)):
        found, expected = sent(bytes_like)
        assert found.tolist() == expected.tolist()
    normalised = trained_on((0 - 0.25) / 0.5, (1 - 0.25) / 0.5)  # torchvision's Normalize(0.25, 0.5)
    with pytest.raises(
        UserError, match=r"one.png: .*trained on images with values from -0.5 to 1.5.*--scale 1/255"
    ):
        sent(normalised)
    found, expected = sent(normalised, PixelScaling(1 / 255, (0.25,), (0.5,)))
    assert found.tolist() == expected.tolist()
    with pytest.raises(UserError, match="--mean has 3 numbers, but images have 1 channels"):
        sent(normalised, PixelScaling(1 / 255, (0.1, 0.2, 0.3)))
    with pytest.raises(UserError, match="was trained on bytes, which pixels are: omit"):
        sent(subject, PixelScaling(1 / 255))


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
            np.zeros(21),
            r"flat.npy: the array has the shape \(21,\): give one sample of shape \(1, 4, 5\) or several of shape "
            r"\(N, 1, 4, 5\)",
        ),
        ("whc.npy", np.zeros((2, 5, 4, 1)), r"the array has the shape \(2, 5, 4, 1\)"),
        ("none.npy", np.zeros((0, 1, 4, 5)), r"none.npy: the array has the shape \(0, 1, 4, 5\)"),
        (
            "nan.npy",
            np.full((1, 4, 5), np.nan),
            r"nan.npy: the array holds NaN in row 0, position \(0, 0, 0\), and 19 more",
        ),
        ("text.npy", np.full((1, 4, 5), "a"), "text.npy: the array must hold numbers, found <U1"),
        ("pickled.npy", np.array([{}]), "pickled.npy cannot be read as samples"),
        ("broken.npy", b"nothing", "broken.npy cannot be read as samples"),
        ("broken.png", b"nothing", "broken.png cannot be read as samples"),
        ("gone.png", None, "gone.png does not exist"),
        ("gone.npy", None, "gone.npy does not exist"),
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


def test_pictures_of_16_bits_are_scaled(gray: Path, tmp_path: Path, boards: list[Any]) -> None:
    image = pixels((4, 5))
    wide = image.astype(np.uint16) * 257
    Image.fromarray(image).save(tmp_path / "narrow.png")
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide).save(tmp_path / "wide.tif")
    (tmp_path / "wide.pgm").write_bytes(b"P5 5 4 65535\n" + wide.astype(">u2").tobytes())
    (tmp_path / "narrow.pgm").write_bytes(b"P5 5 4 255\n" + image.tobytes())
    names = ("narrow.png", "wide.png", "wide.tif", "wide.pgm", "narrow.pgm")
    read = [read_samples(tmp_path / name, (1, 4, 5)) for name in names]
    assert all((samples == image).all() for samples, _ in read)
    note = ["pixels of 16 bits scaled to 8"]
    assert [notes for _, notes in read] == [[], note, note, note, []]
    found = infer(gray, [tmp_path / name for name in names], port="any")
    assert len(set(found.expected.tolist())) == 1


def test_opaque_pictures_are_read_whatever_their_mode(gray: Path, tmp_path: Path) -> None:
    image = Image.fromarray(pixels((4, 5)))
    for mode in ("RGBA", "LA", "RGB", "P"):
        image.convert(mode).save(tmp_path / f"{mode}.png")
        samples, notes = read_samples(tmp_path / f"{mode}.png", (1, 4, 5))
        assert (samples == np.asarray(image)).all() and not notes


def pictures(folder: Path) -> None:
    frames = [Image.fromarray(pixels((4, 5), seed)) for seed in range(3)]
    frames[0].save(folder / "moves.gif", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "moves.png", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "pages.tif", save_all=True, append_images=frames[1:])
    clear = frames[0].convert("RGBA")
    clear.putpixel((1, 1), (9, 9, 9, 100))
    clear.save(folder / "clear.png")
    palette = frames[0].convert("P")
    palette.save(folder / "clear.gif", transparency=palette.getpixel((0, 0)))
    Image.fromarray(pixels((4, 5)).astype(np.float32)).save(folder / "float.tif")
    Image.fromarray(pixels((4, 5)).astype(np.int32)).save(folder / "wide.tif")
    frames[0].save(folder / "other.ico")
    frames[0].save(folder / "vector.eps")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("moves.gif", "moves.gif holds 3 pictures: give a file with one"),
        ("moves.png", "moves.png holds 3 pictures"),
        ("pages.tif", "pages.tif holds 3 pictures"),
        ("clear.png", "clear.png is partly transparent: put it on a background"),
        ("clear.gif", "clear.gif is partly transparent"),
        ("float.tif", "float.tif has pixels of mode F: save it with pixels of 8 or 16 bits"),
        ("wide.tif", "wide.tif has pixels of mode I"),
        ("other.ico", "no picture of a format that is read .PNG, JPEG, BMP, PPM, TIFF, GIF, WEBP."),
        ("vector.eps", "no picture of a format that is read"),
    ],
)
def test_pictures_that_would_lose_something_are_refused(
    name: str, message: str, gray: Path, tmp_path: Path, boards: list[Any]
) -> None:
    pictures(tmp_path)
    with pytest.raises(UserError, match=message):
        infer(gray, [tmp_path / name], port="any")
    assert not boards


def test_huge_pictures_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "huge.pgm").write_bytes(b"P5 100000 100000 255\n")
    with pytest.raises(UserError, match="huge.pgm .*100000 x 100000|huge.pgm .*10000000000 pixels"):
        read_samples(tmp_path / "huge.pgm", (1, 4, 5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"protocol": 1},
            "its design speaks protocol 1 of the serial line, this version of zerocross protocol 2",
        ),
        ({"protocol": "\u202e"}, r"its design speaks protocol '\\u202e' of the serial line"),
        ({"files": ["../../secret.sv"]}, r"files: '../../secret.sv' lies outside rtl/"),
        ({"files": ["/etc/hostname"]}, "files: '/etc/hostname' lies outside rtl/"),
        ({"files": 3}, "files: Input should be a valid list"),
        ({"baud": 0}, "baud: Input should be greater than 0"),
        ({"top": "a b"}, "top: String should match"),
        ({"sink": {"shape": [10], "lanes": 0, "bits": 1}}, "sink.lanes: Input should be greater than 0"),
        ({"source": {"shape": [], "lanes": 1, "bits": 1}}, "source.shape: List should have at least 1 item"),
    ],
)
def test_the_facts_about_a_design_are_checked(
    change: dict[str, Any], message: str, gray: Path, tmp_path: Path
) -> None:
    written = json.loads((gray / "accelerator.json").read_text())
    (tmp_path / "accelerator.json").write_text(json.dumps({**written, **change}))
    with pytest.raises(UserError, match=rf"accelerator.json cannot be read \({message}.*: build again"):
        load_accelerator(tmp_path)


def test_facts_without_a_protocol_are_old(gray: Path, tmp_path: Path) -> None:
    written = json.loads((gray / "accelerator.json").read_text())
    del written["protocol"]
    (tmp_path / "accelerator.json").write_text(json.dumps(written))
    with pytest.raises(UserError, match="speaks protocol 1"):
        load_accelerator(tmp_path)
    (tmp_path / "accelerator.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="nested too deeply"):
        load_accelerator(tmp_path)


def test_images_for_a_network_of_features_are_refused(
    quick: None, tiny_run: Path, tmp_path: Path, boards: list[Any]
) -> None:
    export(settle(topology("mlp", (6,), 3, {"hidden": [4]})), (6,), tmp_path / "mine.onnx")
    folder = build(FileSubject(tmp_path / "mine.onnx"), OPTIONS, tmp_path / "build").folder
    Image.fromarray(pixels((2, 3))).save(tmp_path / "one.png")
    with pytest.raises(
        UserError,
        match=r"one.png is an image, but samples have shape \(6,\): give an .npy, .npz or .csv file",
    ):
        infer(folder, [tmp_path / "one.png"], port="any")


def test_a_build_that_is_not_there_or_not_whole_is_said(gray: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to infer: give files with samples, --test .* or --data"):
        infer(gray, port="any")
    with pytest.raises(UnreadableBuild, match="holds no build"):
        infer(tmp_path, test=1)
    sample = tmp_path / "one.npy"
    np.save(sample, pixels((1, 4, 5)))
    for file in ("accelerator.json", "host.onnx", "network.npz"):
        folder = Path(shutil.copytree(gray, tmp_path / file))
        (folder / file).unlink()
        with pytest.raises(Exception, match=file) as refused:
            infer(folder, [sample], port="any")
        assert isinstance(refused.value, UserError), file
        with pytest.raises(Exception, match=file) as refused:
            infer(folder, [sample], port="any", trust=True)
        assert isinstance(refused.value, UserError | FlowError), file
    folder = Path(shutil.copytree(gray, tmp_path / "damaged"))
    (folder / "accelerator.json").write_text('{"top": 3}')
    with pytest.raises(UserError, match="accelerator.json cannot be read .*: build again"):
        infer(folder, [sample], port="any", trust=True)
    with pytest.raises(UserError, match="the build has no test set: give one with --data FILE"):
        infer(gray, test=1, port="any")


@pytest.mark.parametrize(
    "name", ["build.json", "accelerator.json", "host.onnx", "network.npz", "rtl/zerocross_top.sv", "library"]
)
def test_a_build_that_was_changed_is_refused(
    name: str, gray: Path, tmp_path: Path, boards: list[Any]
) -> None:
    folder = Path(shutil.copytree(gray, tmp_path / "build"))
    file = folder / name if name != "library" else sorted((folder / "rtl" / "library").iterdir())[0]
    sample = tmp_path / "one.npy"
    np.save(sample, pixels((1, 4, 5)))
    before = infer(folder, [sample], port="any").classes
    content = bytearray(file.read_bytes())
    digit = next(place for place in range(len(content) // 2, len(content)) if chr(content[place]).isdigit())
    content[digit] ^= 1  # another digit: a record stays a record
    file.write_bytes(content)
    with pytest.raises(
        UserError, match=rf"{file.name} was changed since .*: build again, .*; or add --trust"
    ):
        infer(folder, [sample], port="any")
    if name.startswith(("rtl", "library")):  # a board does not read it
        assert (infer(folder, [sample], port="any", trust=True).classes == before).all()
    (folder / "digests.json").unlink()
    with pytest.raises(UserError, match=r"has no digests.json, the list of its files .*: build again"):
        infer(folder, [sample], port="any")


def test_the_test_set_of_a_file_is_its_own_or_another(quick: None, tmp_path: Path, boards: list[Any]) -> None:
    file = normalised_network(tmp_path)
    x = np.random.default_rng(0).uniform(-2, 2, (30, 4, 5, 3)).astype(np.float32)
    y = np.arange(30) % 4
    data = tmp_path / "mine.npz"
    np.savez(data, x_test=x, y_test=y)
    folder = build(FileSubject(file, data), OPTIONS, tmp_path / "build").folder
    own = infer(folder, test=7, port="any")
    assert own.names == [f"test[{index}]" for index in range(7)]
    assert own.labels is not None and own.labels.tolist() == y[:7].tolist()
    np.save(tmp_path / "same.npy", x)
    np.savetxt(tmp_path / "same.csv", np.moveaxis(x, 3, 1).reshape(30, -1), delimiter=",")
    np.savez(tmp_path / "same.npz", x)
    for name in ("same.npy", "same.csv", "same.npz"):
        given = infer(folder, [tmp_path / name], port="any")
        assert len(given.expected) == 30 and given.expected[:7].tolist() == own.expected.tolist(), name
    np.savez(tmp_path / "other.npz", x_test=x[::-1], y_test=y[::-1] + 1)
    other = infer(folder, data=tmp_path / "other.npz", port="any")
    assert other.expected.tolist() == given.expected[::-1].tolist() and other.labels is not None
    assert other.labels.tolist() == y[::-1].tolist()
    assert other.notes == ["other.npz, y_test: the labels 1..4 are the classes 0..3, in this order"]
    data.unlink()
    with pytest.raises(
        UserError, match="the build's test set is no longer at .*mine.npz: give one with --data"
    ):
        infer(folder, test=1, port="any")
    with pytest.raises(UserError, match="there is no test set .*gone.npz"):
        infer(folder, data=tmp_path / "gone.npz", port="any")


def test_signals_may_have_channels_last_or_be_rows_of_numbers(
    quick: None, tmp_path: Path, boards: list[Any]
) -> None:
    g = Graph((1, 2, 12)).quant(4, 1.0)
    g = g.node("Conv", g.weights((3, 2, 3)), kernel_shape=[3]).node("Relu").quant(2, 2.0).node("Flatten")
    g.dense(30, 4).model().save(str(tmp_path / "signal.onnx"))
    folder = build(FileSubject(tmp_path / "signal.onnx"), OPTIONS, tmp_path / "build").folder
    x = np.random.default_rng(0).integers(0, 16, (6, 2, 12)).astype(np.float32)
    for name, array in (("first", x), ("last", np.moveaxis(x, 1, 2)), ("flat", x.reshape(6, 24))):
        np.save(tmp_path / f"{name}.npy", array)
    np.savez(tmp_path / "set.npz", x_test=np.moveaxis(x, 1, 2), y_test=np.arange(6) % 4)
    np.savetxt(tmp_path / "rows.csv", x.reshape(6, 24), delimiter=",")
    expected = infer(folder, [tmp_path / "first.npy"], port="any").expected.tolist()
    assert len(set(expected)) > 1
    for name in ("last.npy", "flat.npy", "set.npz", "rows.csv"):
        assert infer(folder, [tmp_path / name], port="any").expected.tolist() == expected, name
    assert infer(folder, data=tmp_path / "set.npz", port="any").expected.tolist() == expected


def test_only_the_authors_nodes_are_listed_for_the_host(quick: None, tmp_path: Path) -> None:
    g = Graph((1, 6), elem_type=TensorProto.UINT8)
    g.node("Cast", to=TensorProto.FLOAT).node("Mul", g.constant(0.5)).quant(4, 1.0).dense(6, 3)
    model = g.model()
    model.save(str(tmp_path / "bytes.onnx"))
    made = build(FileSubject(tmp_path / "bytes.onnx"), OPTIONS, tmp_path / "build").build
    own = {f"{node.name} ({node.op_type})" for node in model.graph.node}
    assert made.host and set(made.host) <= own
