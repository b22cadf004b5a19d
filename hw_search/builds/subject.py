"""The source of a build: a network of a run's front or of the zoo, or any QONNX file."""

import hashlib
import sys
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from qonnx.core.modelwrapper import ModelWrapper
from torch import Tensor

from zerocross.finn_flows.children import scratch
from zerocross.finn_flows.lowering.input_levels import input_levels
from zerocross.finn_flows.lowering.lower import lower
from zerocross.finn_flows.lowering.model_file import content_files, load_model, load_whole
from zerocross.finn_flows.lowering.outputs import keep_output
from zerocross.finn_flows.nodes.product import WEIGHTS_IN_BLOCK_RAM
from zerocross.finn_flows.stimuli import draw
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.builds.forms import torch_logits
from zerocross.hw_search.builds.layout import MODEL, WEIGHTS
from zerocross.hw_search.builds.results import Exported
from zerocross.hw_search.builds.samples import TestSet, check_bytes, labels_in_classes, read_test_set
from zerocross.hw_search.builds.stages import Report
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.code_version import code_version
from zerocross.hw_search.execution.evaluation import evaluate
from zerocross.hw_search.files import replacing
from zerocross.hw_search.finalists import longer_training, open_finalist, with_weights
from zerocross.hw_search.plugins import import_plugins
from zerocross.hw_search.zoo import PREFIX, is_zoo
from zerocross.hw_search.zoo.collection import find
from zerocross.hw_search.zoo.entry import Entry
from zerocross.hw_search.zoo.training_folder import RECORD
from zerocross.models.data import AT_HAND, Split, load_test
from zerocross.models.scaling import ByteScaling
from zerocross.models.topologies import has_slots
from zerocross.reports.records import Finalist, Run

_DRAWN = 200  # most samples that are drawn for a file without data


@dataclass(frozen=True)
class Origin:
    """Origin of a network, for the report; see `zerocross.reports.build_records.Build`.

    Attributes:
        estimate: Cost estimate from its search.
        data: Path of the test set that the build was given; "" if there is none.
        scaling: Scaling of the user's numbers to the bytes that it was trained on; None if they are bytes.
    """

    name: str
    run: str = ""
    expression: str = ""
    trained: list[str] = field(default_factory=list)
    choices: dict[str, Any] = field(default_factory=dict)
    topology: str = ""
    data: str = ""
    estimate: "Estimate | None" = None
    scaling: ByteScaling | None = None


@dataclass(frozen=True)
class Estimate:
    """Cost estimate of a network from its search.

    Attributes:
        part: Part that the estimate is for.
        metrics: {"lut", "bram", "ii", ...}, means over its seeds.
        in_block_ram: Layers whose weights the estimate puts in block RAM.
    """

    part: str
    metrics: dict[str, float]
    in_block_ram: list[str]


class Subject(Protocol):
    """A network to build."""

    @property
    def origin(self) -> Origin:
        """Origin of the network."""
        ...

    @property
    def folding(self) -> dict[str, Any]:
        """Folding as fields of `zerocross.finn_flows.folding.Folding`; empty if it is not specified."""
        ...

    @property
    def key(self) -> dict[str, Any]:
        """All inputs that determine the files from `write` and the result of `images`."""
        ...

    def write(self, folder: Path, report: Report) -> Exported:
        """Write `model.onnx`. Train the network first if the options request it."""
        ...

    def images(self, most: int) -> "Images":
        """Return at most `most` images to compare the forms of the network on."""
        ...

    def logits(self, folder: Path, samples: Tensor) -> np.ndarray | None:
        """Return the trained module's logits, (N, classes), or None if there is no module."""
        ...


@dataclass(frozen=True)
class Images:
    """Samples to compare forms on.

    Attributes:
        x: Samples in the QONNX file's input format, (N, features) or (N, channels, height, width).
        y: Labels, (N,), or None.
        name: Description of the samples.
        labels: File and array of the labels, for messages; "" if it is `name`.
        notes: How a user's arrays were read, where that is not obvious; each names its file.
        known: See `zerocross.hw_search.builds.samples.TestSet.known`.
    """

    x: Tensor
    y: Tensor | None
    name: str
    labels: str = ""
    notes: tuple[str, ...] = ()
    known: np.ndarray | None = None


def labelled(subject: Subject, most: int, classes: int) -> Images:
    """Return at most `most` images of a subject, with their labels as classes of the network.

    Args:
        subject: The network.
        most: See `Subject.images`.
        classes: Number of classes of the network.

    Raises:
        UserError: If the file of the images does not hold them, or its labels do not fit the classes.
    """
    images = subject.images(most)
    if images.y is None:
        return images
    whole = subject.images(sys.maxsize).y  # few images may lack classes
    assert whole is not None
    labels = images.labels or images.name
    y, note = labels_in_classes(whole.numpy(), classes, labels, images.known)
    notes = (*images.notes, f"{labels}: {note}") if note else images.notes
    return replace(images, y=torch.from_numpy(y[: len(images.y)]), notes=notes)


def _activations(topology: dict[str, Any], text: str, trained: list[str]) -> tuple[str, list[str]]:
    """Return the activations of a network as text, and as it was trained; "tables" if it has none."""
    return (text, trained) if has_slots(topology["name"], topology) else ("tables", ["tables"])


@dataclass(frozen=True)
class RunSubject:
    """A network of a run's front.

    Attributes:
        folder: Folder of the run.
        record: The run.
        network: The network.
        epochs: Epochs of a new training; None uses the run's weights.
        seed: Seed of that training; None uses the seed of the run's weights.
    """

    folder: Path
    record: Run
    network: Finalist
    epochs: int | None = None
    seed: int | None = None

    @property
    def origin(self) -> Origin:
        """See `Subject`."""
        net, topology = self.network, dict(self.network.topology)
        name = topology.pop("name", "")
        text = ", ".join(f"{key} {value}" for key, value in topology.items())
        scaling = self.record.scaling
        blocks = [node.layer for node in net.nodes if node.implementation == WEIGHTS_IN_BLOCK_RAM]
        return Origin(
            net.id,
            str(self.folder.resolve()),
            *_activations(net.topology, net.expression, net.trained),
            net.choices,
            f"{name}: {text}",
            estimate=Estimate(self.record.config["device"]["part"], net.metrics, list(dict.fromkeys(blocks))),
            scaling=None if scaling is None else ByteScaling(tuple(scaling["low"]), tuple(scaling["high"])),
        )

    @property
    def folding(self) -> dict[str, Any]:
        """See `Subject`."""
        return self.network.folding

    @property
    def key(self) -> dict[str, Any]:
        """See `Subject`."""
        weights, config = self.folder / self.network.weights, self.record.config
        test = self._test()
        return {
            "network": self.network.id,
            "epochs": self.epochs,
            "seed": self.seed,
            "weights": _digest(weights.read_bytes()) if weights.is_file() else "",
            "test": _digest(test.x.numpy().tobytes(), test.y.numpy().tobytes()),
            "code": code_version(tuple(config["plugins"])),
        }

    def write(self, folder: Path, report: Report) -> Exported:
        """See `Subject`."""
        net, own = self.network, folder / WEIGHTS
        seed = net.seeds[0] if self.seed is None else self.seed
        whole = self.record.config["final"]["epochs"] or net.training["epochs"]
        if self.epochs is None and self.seed in (None, net.seeds[0]):
            _copy(self.folder / net.weights, own)
            epochs, validation, test = whole, net.validation[0], net.test[0]
        else:
            epochs = self.epochs or whole
            task = longer_training(self.record, net, epochs, seed, own)
            result = evaluate(
                task, lambda epoch, loss: report(epoch / epochs, f"epoch {epoch}, loss {loss:.3f}")
            )
            if result["status"] != "ok":
                raise UserError(
                    f"the training of {net.id} failed with seed {seed}: {result['reason']}; try another --seed"
                )
            validation, test = result["accuracy"], result["test"]
        export(with_weights(self.record, net, own), tuple(self.record.input_shape), folder / MODEL)
        images = len(self._test().x)
        return Exported(f"{epochs} epochs, seed {seed}", (MODEL, WEIGHTS), validation, test, images)

    def images(self, most: int) -> Images:
        """See `Subject`."""
        test, name = self._test(), self.record.config["data"]["name"]
        return Images(test.x[:most], test.y[:most], f"{Path(name).stem}, test set")

    def _test(self) -> Split:
        import_plugins(self.record.config["plugins"])
        data = self.record.config["data"]
        return load_test(data["name"], data["root"])

    def logits(self, folder: Path, samples: Tensor) -> np.ndarray:
        """See `Subject`."""
        return torch_logits(with_weights(self.record, self.network, folder / WEIGHTS), samples)


def from_run(
    folder: Path, pick: str, epochs: int | None = None, seed: int | None = None, trust: bool = False
) -> RunSubject:
    """Return a network of a run as a subject to build, with the weights of its best training by validation.

    Args:
        folder: Folder of the run.
        pick: See `zerocross.hw_search.finalists.choose`.
        epochs: See `RunSubject`.
        seed: See `RunSubject`.
        trust: See `zerocross.hw_search.finalists.open_finalist`.

    Raises:
        UserError: If there is no such network, or a file of the run was changed.
    """
    if (folder / RECORD).is_file():
        raise UserError(
            f"{folder} holds the training of one network: run `zerocross zoo add {folder} --name NAME`, then build zoo:NAME"
        )
    searched = epochs is not None or seed is not None  # a new training begins with the search's settings
    record, network = open_finalist(folder, pick, trust, searched)
    return RunSubject(folder, record, network, epochs, seed)


def from_source(
    source: Path,
    pick: str = "knee",
    epochs: int | None = None,
    seed: int | None = None,
    data: Path | None = None,
    output: str | None = None,
    trust: bool = False,
) -> Subject:
    """Return the subject to build from a run's folder, a QONNX file or `zoo:NAME`.

    See `from_run`, `FileSubject` and `EntrySubject`.

    Raises:
        UserError: If the file or network does not exist, or an option does not apply to the source.
    """
    if is_zoo(source):
        if epochs is not None or seed is not None:
            raise UserError(
                f"a build uses the weights of {source}: omit --epochs and --seed (`zerocross train {source}` trains again)"
            )
        if output is not None:
            raise UserError(
                f"--logits works only with a QONNX file: omit it, because {source} has one output"
            )
        return EntrySubject(find(source), data)
    if source.suffix.lower() == ".onnx":
        if not source.is_file():
            raise UserError(f"{source} does not exist")
        if epochs is not None or seed is not None:
            raise UserError(f"{source} cannot be trained: use --epochs and --seed only with a run's folder")
        return FileSubject(source, data, output)
    if source.is_file():
        raise UserError(f"{source} is no run's folder, QONNX file (.onnx) or zoo:NAME")
    if output is not None:
        raise UserError(f"--logits works only with a QONNX file: omit it, because {source} is a run")
    if data is not None:
        raise UserError(
            f"--data does not work with a run: omit it, because the run {source} has its own data"
        )
    return from_run(source, pick, epochs, seed, trust)


@dataclass(frozen=True)
class FileSubject:
    """A QONNX file from any source.

    Attributes:
        path: The file.
        data: File of the test set, with samples in the network's input format; see
            `zerocross.hw_search.builds.samples.read_test_set`. None draws random samples that exercise the network.
        output: Output that holds the logits, if the file has several. The build's file has only this one.
    """

    path: Path
    data: Path | None = None
    output: str | None = None

    @property
    def origin(self) -> Origin:
        """See `Subject`."""
        data = "" if self.data is None else str(self.data.resolve())
        return Origin(self.path.stem, str(self.path), data=data)

    @property
    def folding(self) -> dict[str, Any]:
        """See `Subject`. A file does not specify a folding."""
        return {}

    @property
    def key(self) -> dict[str, Any]:
        """See `Subject`."""
        files = content_files(self.path) + ([] if self.data is None else [self.data])
        output = {} if self.output is None else {"output": self.output}
        return {"files": [_digest(_content(file)) for file in files], **output}

    def write(self, folder: Path, report: Report) -> Exported:
        """See `Subject`."""
        whole = load_whole(self.path)  # an error here names the user's file, not the copy
        note, dropped = "weights of the file, not retrained", list[str]()
        if self.output is None and len(content_files(self.path)) == 1:
            _copy(self.path, folder / MODEL)
            return Exported(note, (MODEL,))
        if self.output is not None:
            names = {each.name for each in whole.graph.output}
            whole = keep_output(ModelWrapper(whole), self.output).model
            dropped = sorted(names - {self.output})
        with replacing(folder / MODEL) as temporary:
            temporary.write_bytes(whole.SerializeToString(deterministic=True))
        return Exported(note, (MODEL,), dropped=tuple(dropped))

    def images(self, most: int) -> Images:
        """See `Subject`."""
        if self.data is None:
            return Images(torch.from_numpy(self._drawn[:most]), None, "random samples")
        found = self._read
        y = None if found.y is None else torch.from_numpy(found.y[:most])
        name = f"{self.data.stem}, test set"
        return Images(torch.from_numpy(found.x[:most]), y, name, found.labels, found.notes, found.known)

    @cached_property
    def _read(self) -> TestSet:
        """The test set."""
        assert self.data is not None
        model = load_model(self.path)
        return read_test_set(self.data, tuple(model.get_tensor_shape(model.graph.input[0].name)[1:]))

    @cached_property
    def _drawn(self) -> np.ndarray:
        """Samples in the file's input format that exercise its network, the most useful first."""
        lowered = lower(self.path, host_part=True, output=self.output)
        levels = input_levels(lowered)
        return levels.samples(draw(lowered.network, _DRAWN, levels.integers))

    def logits(self, folder: Path, samples: Tensor) -> np.ndarray | None:
        """See `Subject`: a file has no module."""
        return None


@dataclass(frozen=True)
class EntrySubject:
    """A network of the zoo.

    Attributes:
        entry: The network.
        data: File of the test set, see `zerocross.hw_search.builds.samples.read_test_set`. None uses the test set of the
            training if that comes with the package (digits, breast_cancer), and otherwise draws random samples that
            exercise the network.
    """

    entry: Entry
    data: Path | None = None

    @property
    def origin(self) -> Origin:
        """See `Subject`."""
        entry, topology = self.entry, dict(self.entry.topology)
        name = topology.pop("name", "")
        text = ", ".join(f"{key} {value}" for key, value in topology.items())
        return Origin(
            entry.name,
            f"{PREFIX}{entry.name}",
            *_activations(entry.topology, " | ".join(entry.expressions), entry.expressions),
            topology=f"{name}: {text}",
            data="" if self.data is None else str(self.data.resolve()),
            scaling=self._scaling,
        )

    @property
    def folding(self) -> dict[str, Any]:
        """See `Subject`."""
        return self.entry.folding

    @property
    def key(self) -> dict[str, Any]:
        """See `Subject`."""
        data = "" if self.data is None else _digest(_content(self.data))
        return {"entry": self.entry.identity, "data": data, "code": code_version(tuple(self.entry.plugins))}

    def write(self, folder: Path, report: Report) -> Exported:
        """See `Subject`."""
        entry, first = self.entry, self.entry.trainings[0]
        export(entry.module(), tuple(entry.input_shape), folder / MODEL)
        training = f"{first.epochs} epochs, seed {first.seed}, from the zoo"
        return Exported(training, (MODEL,), first.validation, first.test, entry.test_samples)

    def images(self, most: int) -> Images:
        """See `Subject`."""
        if self.data is None and self.entry.data in AT_HAND:
            test = load_test(self.entry.data)
            return Images(test.x[:most], test.y[:most], f"{self.entry.data}, test set")
        found = self._images
        return replace(found, x=found.x[:most], y=None if found.y is None else found.y[:most])

    @cached_property
    def _images(self) -> Images:
        """All samples of the user's file, or drawn samples, as for the same network in a file."""
        with scratch() as folder:
            file = folder / MODEL
            export(self.entry.module(), tuple(self.entry.input_shape), file)
            found = FileSubject(file, self.data).images(sys.maxsize)
        if self.data is None:
            return found
        x = found.x.numpy()
        if self._scaling is not None and x.dtype != np.uint8:
            return replace(found, x=torch.from_numpy(self._scaling.to_bytes(x)))
        check_bytes(self.data, x)
        return found

    @property
    def _scaling(self) -> ByteScaling | None:
        scaling = self.entry.scaling
        return None if scaling is None else ByteScaling(tuple(scaling["low"]), tuple(scaling["high"]))

    def logits(self, folder: Path, samples: Tensor) -> np.ndarray:
        """See `Subject`."""
        return torch_logits(self.entry.module(), samples)


def _digest(*parts: bytes) -> str:
    return hashlib.blake2b(b"".join(parts), digest_size=16).hexdigest()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from None


def _copy(source: Path, target: Path) -> None:
    content = _content(source)
    with replacing(target) as temporary:
        temporary.write_bytes(content)
