"""The host of a built accelerator. It sends samples through a board's serial line, real or simulated."""

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from zerocross.finn_flows.children import scratch
from zerocross.finn_flows.chip.accelerator import Accelerator, SimulatedLine, compile_line, open_board
from zerocross.finn_flows.lowering.host_part import load_host_part, run_host_part
from zerocross.finn_flows.lowering.storage import load
from zerocross.hw_search.builds.accelerator_file import HostFacts, load_accelerator
from zerocross.hw_search.builds.forms import (
    class_count,
    integer_classes,
    integer_logits,
    stream_classes,
    stream_elements,
)
from zerocross.hw_search.builds.layout import HOST, NETWORK, RTL
from zerocross.hw_search.builds.pixels import check_reach, check_training
from zerocross.hw_search.builds.samples import (
    ARRAYS,
    check_bytes,
    labels_in_classes,
    read_samples,
    read_test_set,
)
from zerocross.hw_search.builds.subject import Images, from_source
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.trust import check_build
from zerocross.hw_search.zoo import is_zoo
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
        scores: Scores of the classes in the integer network's units, (N, classes): the accelerator's if it answers scores,
            else the integer network's.
        differ: Number of samples whose class, or any score that the accelerator answers, is not the integer network's.
        are_answered: Whether the accelerator answered the scores.
        notes: Conversions of files into samples.
    """

    names: list[str]
    classes: np.ndarray
    expected: np.ndarray
    labels: np.ndarray | None
    scores: np.ndarray
    differ: int
    are_answered: bool
    notes: list[str]


def infer(
    folder: Path,
    files: Sequence[Path] = (),
    test: int = 0,
    port: str | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
    cache: Path | None = None,
    data: Path | None = None,
    trust: bool = False,
) -> Inference:
    """Run samples through a built accelerator.

    Args:
        folder: Folder of the build.
        files: Pictures (see `zerocross.hw_search.builds.samples.PICTURES`), or .npy, .npz and .csv files of one or more
            samples: in the file's input format for a QONNX file; as in the training data for a network of a run, where uint8
            arrays hold bytes.
        test: Number of test-set samples to add; 0 adds all samples of `data`.
        port: Serial device of the board; None simulates board and line.
        progress: Receives the number of finished samples and the number of all samples.
        cache: See `zerocross.finn_flows.rtl.simulation.compile_design`.
        data: File of a test set, see `zerocross.hw_search.builds.samples.read_test_set`. None takes the test set of the
            build's run, or the file that the build was given.
        trust: Whether files of the build, or of its run, may have been changed since they were made.

    Raises:
        UserError: If the folder holds no build, a file of it was changed, or a file holds no sample.
        zerocross.finn_flows.chip.accelerator.BoardError: If communication with the board fails.
    """
    build = load_build(folder)
    if not trust:
        check_build(folder)
    facts = load_accelerator(folder)
    host, net = load_host_part(folder / HOST), load(folder / NETWORK)
    shape = tuple(host.get_tensor_shape(host.graph.input[0].name)[1:])
    names, parts, notes = [], [], list[str]()
    for path in files:
        samples, found_notes = read_samples(path, shape)
        if path.suffix.lower() in ARRAYS:
            samples, outside = _as_trained(path, samples, build, facts)
            found_notes += outside
        elif facts.pixels is not None:
            samples = facts.pixels.values(samples)
            if facts.scaling is not None:
                samples = facts.scaling.to_bytes(samples)
        elif build.trained:
            check_training(path.name, facts.scaling)
        else:
            check_reach(path.name, host, shape, net.network.input.bits)
        notes += [f"{path.name}: {note}" for note in found_notes]
        names += [path.name if len(samples) == 1 else f"{path.name}[{i}]" for i in range(len(samples))]
        parts.append(samples)
    labels = None
    if test or data is not None:
        images = _test_set(build, folder, facts, data, shape, class_count(net), trust)
        x = images.x.numpy()[: test or None]
        notes += images.notes
        names += [f"test[{index}]" for index in range(len(x))]
        parts.append(x)
        labels = images.y.numpy()[: len(x)] if images.y is not None and not files else None
    if not parts:
        raise UserError(
            "nothing to infer: give files with samples, --test with a number of test samples, or --data with a test set"
        )
    inputs = run_host_part(host, np.concatenate(parts).astype(np.float32))
    flat = stream_elements(net, inputs)
    if port is None:
        with scratch() as own:  # the build's folder may be read-only
            rtl = Path(shutil.copytree(folder / RTL, own / RTL, ignore=shutil.ignore_patterns("simulation")))
            paths = [rtl / name for name in facts.files]
            simulator = compile_line(facts.top, paths, rtl, facts.link, cache)
            outputs = Accelerator(SimulatedLine(simulator), facts.link).run(flat, progress)
    else:
        with open_board(port, facts.link) as board:
            outputs = board.run(flat, progress)
    logits = integer_logits(net, inputs)
    found, expected = stream_classes(outputs), integer_classes(net, logits)
    wrong, scores = found != expected, logits
    if facts.scores is not None:
        scores = facts.scores.factor * outputs + facts.scores.offset
        wrong = wrong | (scores != logits).any(axis=1)
    return Inference(
        names, found, expected, labels, scores, int(wrong.sum()), facts.scores is not None, notes
    )


def _as_trained(
    path: Path, samples: np.ndarray, build: Build, facts: HostFacts
) -> tuple[np.ndarray, list[str]]:
    """Return samples of a user's array as the network takes them, and notes.

    Raises:
        UserError: If the network was trained on bytes, and they are none.
    """
    if facts.scaling is not None and samples.dtype != np.uint8:
        outside = int(facts.scaling.clipped(samples).sum())
        text = f"{outside} of {samples.size} values lie outside the training samples' range"
        return facts.scaling.to_bytes(samples), [text] if outside else []
    if build.trained:
        check_bytes(path, samples)
    return samples, []


def _test_set(
    build: Build,
    folder: Path,
    facts: HostFacts,
    data: Path | None,
    shape: tuple[int, ...],
    classes: int,
    trust: bool,
) -> Images:
    """Return the whole test set: of a file, of the build's run, or of the zoo."""
    if data is None and is_zoo(build.run) and not build.data:
        return from_source(Path(build.run)).images(sys.maxsize)
    if data is None and build.trained and not build.data:
        for run in (Path(build.run), folder.resolve().parents[1]):
            if (run / PARETO).is_file():
                return from_source(run, build.network, trust=trust).images(sys.maxsize)
        raise UserError(
            f"the build's run is no longer at {build.run}: give files with samples, or --data FILE"
        )
    file = data or Path(build.data)
    if not file.is_file():
        missing = f"there is no test set {file}"
        if data is None:
            missing = (
                f"the build's test set is no longer at {file}" if build.data else "the build has no test set"
            )
        raise UserError(f"{missing}: give one with --data FILE (.npz, .csv or .npy)")
    found = read_test_set(file, shape)
    x, outside = _as_trained(file, found.x, build, facts)
    notes = (*found.notes, *(f"{file.name}: {note}" for note in outside))
    y, remark = (
        (None, "") if found.y is None else labels_in_classes(found.y, classes, found.labels, found.known)
    )
    if remark:
        notes = (*notes, f"{found.labels}: {remark}")
    return Images(torch.from_numpy(x), None if y is None else torch.from_numpy(y), file.name, notes=notes)
