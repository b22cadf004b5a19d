"""The host of a built accelerator. It sends samples through a board's serial line, real or simulated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zerocross.finn_flows.chip.accelerator import Accelerator, SimulatedLine, compile_line, open_board
from zerocross.finn_flows.lowering.host_part import load_host_part, run_host_part
from zerocross.finn_flows.lowering.storage import load
from zerocross.hw_search.builds.accelerator_file import load_accelerator
from zerocross.hw_search.builds.forms import integer_classes, integer_logits, stream_elements
from zerocross.hw_search.builds.layout import HOST, NETWORK, RTL
from zerocross.hw_search.builds.pixels import check_reach
from zerocross.hw_search.builds.samples import check_bytes, read_samples
from zerocross.hw_search.builds.subject import Subject, from_source
from zerocross.hw_search.errors import UserError
from zerocross.reports.build_records import Build
from zerocross.reports.build_storage import load_build
from zerocross.reports.storage import PARETO


@dataclass(frozen=True)
class Inference:
    """The answers of an accelerator.

    Attributes:
        names: Names of the samples.
        classes: Classes from the accelerator, (N,).
        expected: Classes from the integer network, (N,).
        labels: Labels of the samples, (N,), or None if they are unknown.
        notes: Conversions of files into samples.
    """

    names: list[str]
    classes: np.ndarray
    expected: np.ndarray
    labels: np.ndarray | None
    notes: list[str]


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
        folder: Folder of the build.
        files: Images (any format that Pillow opens), or .npy arrays of one or more samples: in the file's input format for
            a QONNX file; as in the training data for a network of a run, where uint8 arrays hold bytes.
        test: Number of test-set samples to add.
        port: Serial device of the board; None simulates board and line.
        progress: Receives the number of finished samples and the number of all samples.
        cache: See `zerocross.finn_flows.rtl.simulation.compile_design`.

    Raises:
        UserError: If the folder holds no build, or a file holds no sample.
        zerocross.finn_flows.chip.accelerator.BoardError: If communication with the board fails.
    """
    build = load_build(folder)
    facts = load_accelerator(folder)
    host, net = load_host_part(folder / HOST), load(folder / NETWORK)
    shape = tuple(host.get_tensor_shape(host.graph.input[0].name)[1:])
    names, parts, notes = [], [], []
    for path in files:
        samples, note = read_samples(path, shape)
        is_image = path.suffix != ".npy"
        if is_image and facts.pixels is not None:
            samples = facts.pixels.values(samples)
        elif is_image and not build.trained:
            check_reach(path.name, host, shape, net.network.input.bits)
        elif facts.scaling is not None and samples.dtype != np.uint8:
            outside = int(facts.scaling.clipped(samples).sum())
            note += (
                f"{outside} of {samples.size} values lie outside the training samples' range"
                if outside
                else ""
            )
            samples = facts.scaling.to_bytes(samples)
        elif build.trained:
            check_bytes(path, samples)
        notes += [f"{path.name}: {note}"] if note else []
        names += [path.name if len(samples) == 1 else f"{path.name}[{i}]" for i in range(len(samples))]
        parts.append(samples)
    labels = None
    if test:
        images = _test_set(build, folder).images(test)
        names += [f"test[{index}]" for index in range(len(images.x))]
        parts.append(images.x.numpy())
        labels = images.y.numpy() if images.y is not None and not files else None
    if not parts:
        raise UserError("nothing to infer: give image files, or --test with a number of test samples")
    inputs = run_host_part(host, np.concatenate(parts).astype(np.float32))
    flat = stream_elements(net, inputs)
    if port is None:
        paths = [folder / RTL / name for name in facts.files]
        simulator = compile_line(facts.top, paths, folder / RTL, facts.link, cache)
        found = Accelerator(SimulatedLine(simulator), facts.link).infer(flat, progress)
    else:
        with open_board(port, facts.link) as board:
            found = board.infer(flat, progress)
    return Inference(names, found, integer_classes(net, integer_logits(net, inputs)), labels, notes)


def _test_set(build: Build, folder: Path) -> Subject:
    if not build.trained:
        raise UserError("--test works only for a network from a run: give image files or .npy arrays")
    for run in (Path(build.run), folder.resolve().parents[1]):
        if (run / PARETO).is_file():
            return from_source(run, build.network)
    raise UserError(f"the build's run is no longer at {build.run}: give image files or .npy arrays")
