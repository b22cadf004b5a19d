"""What a build starts from: a network of a run's front, or anyone's QONNX file."""

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from zerocross.finn_flows.lowering.lower import load_model
from zerocross.finn_flows.structural import WEIGHTS_IN_BLOCK_RAM
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.builds.forms import torch_logits
from zerocross.hw_search.builds.layout import MODEL, WEIGHTS
from zerocross.hw_search.builds.samples import read_test_set
from zerocross.hw_search.builds.stages import Facts, Report
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.evaluation import evaluate
from zerocross.hw_search.execution.tasks import code_version
from zerocross.hw_search.files import replacing
from zerocross.hw_search.finalists import choose, longer_training, with_weights
from zerocross.hw_search.plugins import import_plugins
from zerocross.models.data import Split, load_test
from zerocross.reports.records import Finalist, Run
from zerocross.reports.storage import load_run

_CYCLES_AN_INPUT = 16


@dataclass(frozen=True)
class Origin:
    """Where a network comes from, for the report; see `zerocross.reports.build_records.Build`.

    Attributes:
        estimate: what its search expected of it.
    """

    name: str
    run: str = ""
    expression: str = ""
    trained: list[str] = field(default_factory=list)
    choices: dict[str, Any] = field(default_factory=dict)
    topology: str = ""
    estimate: "Estimate | None" = None


@dataclass(frozen=True)
class Estimate:
    """What a search expected of a network.

    Attributes:
        part: on which part.
        metrics: {"lut", "bram", "ii", ...}, means over its seeds.
        in_block_ram: layers whose weights it took to be in block RAM.
    """

    part: str
    metrics: dict[str, float]
    in_block_ram: list[str]


class Subject(Protocol):
    """A network to be built."""

    @property
    def origin(self) -> Origin:
        """Where it comes from."""
        ...

    @property
    def folding(self) -> dict[str, Any]:
        """How parallel it is to be, fields of `zerocross.finn_flows.folding.Folding`; empty if it does not say."""
        ...

    @property
    def key(self) -> Facts:
        """All that decides what `write` writes and `images` returns."""
        ...

    def write(self, folder: Path, report: Report) -> Facts:
        """Write `model.onnx`, training the network first where that is asked; return accuracies as known.

        Returns:
            {"validation", "test", "images", "training"}: shares or None, of how many images the second one is, and
            how it was trained.
        """
        ...

    def images(self, most: int) -> "Images":
        """Return what the forms of the network are compared on."""
        ...

    def logits(self, folder: Path, samples: Tensor) -> np.ndarray | None:
        """Return what the trained module says of samples, where there is one, shape (N, classes)."""
        ...


@dataclass(frozen=True)
class Images:
    """Samples to compare forms on.

    Attributes:
        x: (N, features) or (N, channels, height, width), as the QONNX file takes them.
        y: labels (N,), or None.
        name: what they are.
    """

    x: Tensor
    y: Tensor | None
    name: str


@dataclass(frozen=True)
class RunSubject:
    """A network of a run's front.

    Attributes:
        folder: the run's.
        record: the run.
        network: the network.
        epochs: train it anew for so many passes; None takes the weights that the run left.
        seed: of that training; that of the run's own weights where None.
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
        blocks = [node.layer for node in net.nodes if node.way == WEIGHTS_IN_BLOCK_RAM]
        return Origin(
            net.id,
            str(self.folder.resolve()),
            net.expression,
            net.trained,
            net.choices,
            f"{name}: {text}",
            Estimate(self.record.config["device"]["part"], net.metrics, list(dict.fromkeys(blocks))),
        )

    @property
    def folding(self) -> dict[str, Any]:
        """See `Subject`."""
        return self.network.folding

    @property
    def key(self) -> Facts:
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

    def write(self, folder: Path, report: Report) -> Facts:
        """See `Subject`."""
        net, own = self.network, folder / WEIGHTS
        seed = net.seeds[0] if self.seed is None else self.seed
        whole = self.record.config["final"]["epochs"] or net.training["epochs"]
        if self.epochs is None and self.seed in (None, net.seeds[0]):
            _copy(self.folder / net.weights, own)
            facts: Facts = {"validation": net.validation[0], "test": net.test[0]}
            epochs = whole
        else:
            epochs = self.epochs or whole
            task = longer_training(self.record, net, epochs, seed, own)
            result = evaluate(
                task, lambda epoch, loss: report(epoch / epochs, f"epoch {epoch}, loss {loss:.3f}")
            )
            if result["status"] != "ok":
                raise UserError(f"{net.id} does not train with seed {seed}: {result['reason']}")
            facts = {"validation": result["accuracy"], "test": result["test"]}
        export(with_weights(self.record, net, own), tuple(self.record.input_shape), folder / MODEL)
        facts |= {"images": len(self._test().x), "training": f"{epochs} epochs, seed {seed}"}
        return {**facts, "files": [MODEL, WEIGHTS]}

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


def from_run(folder: Path, pick: str, epochs: int | None = None, seed: int | None = None) -> RunSubject:
    """Return a network of a run as something to build.

    Args:
        folder: the run's.
        pick: see `zerocross.hw_search.finalists.choose`.
        epochs: see `RunSubject`.
        seed: see `RunSubject`.

    Raises:
        UserError: if there is no such network.
    """
    record = load_run(folder)
    return RunSubject(folder, record, choose(record, pick), epochs, seed)


def from_source(
    source: Path,
    pick: str = "knee",
    epochs: int | None = None,
    seed: int | None = None,
    data: Path | None = None,
) -> Subject:
    """Return what is to be built of a run's folder or a QONNX file; see `from_run` and `FileSubject`.

    Raises:
        UserError: if there is no such thing.
    """
    if source.suffix == ".onnx":
        if not source.is_file():
            raise UserError(f"{source} is not there")
        if epochs is not None or seed is not None:
            raise UserError(f"{source} cannot be trained: --epochs and --seed are for the networks of a run")
        return FileSubject(source, data)
    if data is not None:
        raise UserError(f"--data is for QONNX files: {source} knows its own data")
    return from_run(source, pick, epochs, seed)


@dataclass(frozen=True)
class FileSubject:
    """Anyone's QONNX file.

    Attributes:
        path: the file.
        data: an .npz file with x_test, samples as the network takes them, and y_test if there are labels; random
            samples where it is None.
    """

    path: Path
    data: Path | None = None

    @property
    def origin(self) -> Origin:
        """See `Subject`."""
        return Origin(self.path.stem, str(self.path))

    @property
    def folding(self) -> dict[str, Any]:
        """See `Subject`; a file says nothing of it, so it is a pace that folds little: 16 cycles an input."""
        model = load_model(self.path)
        shape = model.get_tensor_shape(model.graph.input[0].name)[1:]
        return {"target_cycles": _CYCLES_AN_INPUT * math.prod(shape)}

    @property
    def key(self) -> Facts:
        """See `Subject`."""
        files = [self.path] if self.data is None else [self.path, self.data]
        return {"files": [_digest(_content(file)) for file in files]}

    def write(self, folder: Path, report: Report) -> Facts:
        """See `Subject`."""
        load_model(self.path)  # what is no network is told by its own name
        _copy(self.path, folder / MODEL)
        facts: Facts = {"validation": None, "test": None, "images": 0, "training": "as the file has it"}
        return {**facts, "files": [MODEL]}

    def images(self, most: int) -> Images:
        """See `Subject`."""
        model = load_model(self.path)
        shape = tuple(model.get_tensor_shape(model.graph.input[0].name)[1:])
        if self.data is not None:
            x, y = read_test_set(self.data, shape)
            labels = None if y is None else torch.from_numpy(y[:most])
            return Images(torch.from_numpy(x[:most]), labels, f"{self.data.stem}, test set")
        values = np.random.default_rng(0).integers(0, 256, (min(most, 200), *shape))
        return Images(torch.from_numpy(values), None, "random samples")

    def logits(self, folder: Path, samples: Tensor) -> None:
        """See `Subject`."""
        return None


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
