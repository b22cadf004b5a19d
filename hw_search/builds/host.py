"""Samples through a built accelerator: on a board's serial line, or through the simulated line."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from finn_flows.chip.accelerator import Accelerator, SimulatedLine, compile_line, open_board
from finn_flows.chip.serial_line import Link
from finn_flows.lowering.lower import lower
from finn_flows.lowering.storage import load
from finn_flows.rtl.design import Generated
from finn_flows.rtl.nodes import Stream, library
from hw_search.builds.certificate import stream_elements
from hw_search.builds.forms import classes, integer_logits
from hw_search.builds.subject import MODEL, Subject, from_source
from hw_search.errors import UserError
from hw_search.files import write_text
from reports.build_records import Build
from reports.build_storage import load_build
from reports.storage import PARETO

ACCELERATOR, NETWORK = "accelerator.json", "network.npz"


@dataclass(frozen=True)
class Inference:
    """What an accelerator said.

    Attributes:
        names: of the samples.
        classes: what it answered, (N,).
        expected: what the integer network answers, (N,).
        labels: what is right, (N,), or None where nobody knows.
    """

    names: list[str]
    classes: np.ndarray
    expected: np.ndarray
    labels: np.ndarray | None


def save_accelerator(generated: Generated, link: Link, folder: Path) -> None:
    """Write what a host needs to know of a design: its top, its files and its link."""
    own = [path.name for path in generated.sources if path.parent == generated.folder]
    content = {
        "top": generated.top,
        "sources": own,
        "source": asdict(link.source),
        "sink": asdict(link.sink),
        "design_id": link.design_id,
        "baud": link.baud,
    }
    write_text(folder / ACCELERATOR, json.dumps(content, indent=1) + "\n")


def infer(
    folder: Path,
    files: Sequence[Path] = (),
    test: int = 0,
    port: str | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
    cache: Path | None = None,
) -> Inference:
    """Run samples through a built accelerator.

    Args:
        folder: the build's.
        files: images (anything Pillow opens) or .npy arrays of one sample or several, as the network takes them.
        test: so many samples of the test set too.
        port: the board's serial device; None simulates board and line.
        progress: told how many samples are done, of how many.
        cache: see `finn_flows.rtl.simulation.compile_design`.

    Raises:
        UserError: if there is no such build, or a file is no sample.
        finn_flows.chip.accelerator.BoardError: if the board cannot be talked to.
    """
    build = load_build(folder)
    top, sources, link = _accelerator(folder)
    lowered, net = lower(folder / MODEL), load(folder / NETWORK)
    shape = tuple(lowered.original.get_tensor_shape(lowered.original.graph.input[0].name)[1:])
    names, parts = [], []
    for path in files:
        samples = _read(path, shape)
        if build.trained:
            _check_bytes(path, samples)
        names += [path.name if len(samples) == 1 else f"{path.name}[{i}]" for i in range(len(samples))]
        parts.append(samples)
    labels = None
    if test:
        images = _test_set(build, folder).images(test)
        names += [f"test[{index}]" for index in range(len(images.x))]
        parts.append(images.x.numpy())
        labels = images.y.numpy() if images.y is not None and not files else None
    if not parts:
        raise UserError("nothing to infer: name image files, or --test with a number of test samples")
    inputs = lowered.quantize(np.concatenate(parts).astype(np.float32))
    flat = stream_elements(net, inputs)
    if port is None:
        paths = [*library(), *(folder / "rtl" / name for name in sources)]
        simulator = compile_line(top, paths, folder / "rtl", link, cache)
        found = Accelerator(SimulatedLine(simulator), link).infer(flat, progress)
    else:
        with open_board(port, link) as board:
            found = board.infer(flat, progress)
    return Inference(names, found, classes(integer_logits(net, inputs)), labels)


def _test_set(build: Build, folder: Path) -> Subject:
    if not build.trained:
        raise UserError("--test is for networks of a run: name image files or .npy arrays")
    for run in (Path(build.run), folder.resolve().parents[1]):
        if (run / PARETO).is_file():
            return from_source(run, build.network)
    raise UserError(f"the build's run is not at {build.run} any more: name image files or .npy arrays")


def _accelerator(folder: Path) -> tuple[str, list[str], Link]:
    try:
        content = json.loads((folder / ACCELERATOR).read_text())
        source, sink = Stream(**content["source"]), Stream(**content["sink"])
        return content["top"], content["sources"], Link(source, sink, content["design_id"], content["baud"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / ACCELERATOR} cannot be read ({error}): build again") from None


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read samples, (N, *shape), bytes."""
    try:
        if path.suffix == ".npy":
            return _array(path, np.load(path, allow_pickle=False), shape)
        return _image(path, shape)[None]
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a sample ({error})") from None


def _array(path: Path, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if values.shape == shape:
        values = values[None]
    if values.shape[1:] != shape or not len(values):
        sizes = ", ".join(map(str, shape))
        raise UserError(
            f"{path} holds an array of {values.shape}; a sample is {shape}, several are (N, {sizes})"
        )
    if values.dtype.kind not in "buif" or not np.isfinite(values).all():
        raise UserError(f"{path} holds {values.dtype} values that are no numbers")
    return values


def _check_bytes(path: Path, values: np.ndarray) -> None:
    """Refuse what no network of a run was trained on; such as pixels that were scaled to 0..1."""
    least, most = values.min(), values.max()
    if least < 0 or most > 255 or (values != np.rint(values)).any():
        raise UserError(f"{path} holds values of {least:g} to {most:g}: samples are whole numbers, 0 to 255")


def _image(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    from PIL import Image

    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UserError(f"{path}: samples of shape {shape} are no images: give an .npy file")
    channels, height, width = shape
    with Image.open(path) as image:
        fitted = image.convert("L" if channels == 1 else "RGB").resize((width, height))
    values = np.asarray(fitted, np.uint8)
    return values[None] if channels == 1 else values.transpose(2, 0, 1)
