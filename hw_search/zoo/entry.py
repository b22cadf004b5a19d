"""An entry of the zoo: a trained network in one file, with all that is known of it.

The file is an .npz archive without pickles. It holds the array `entry` (JSON as UTF-8), the arrays `bits` and `numbers` of
`zerocross.hw_search.zoo.packing`, and `digest`, the digest of the other three.
"""

import hashlib
import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import nn

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.files import replacing
from zerocross.hw_search.networks import build_topology
from zerocross.hw_search.plugins import import_plugins
from zerocross.hw_search.zoo.packing import Packed, PackedTensor, fill, unpack
from zerocross.models.errors import ModelError
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.reading import NamedSection, Unreadable, as_record, parse_json, read_arrays, reason

LAYOUT = 1  # raise it whenever a field changes its meaning or is lost
SUFFIX = ".npz"


@dataclass(frozen=True)
class Training:
    """One training of an entry's network.

    Attributes:
        seed: Seed.
        epochs: Number of epochs.
        validation: Validation accuracy, 0..1.
        test: Accuracy on the whole test set, 0..1.
        seconds: Duration.
        device: Device.
        versions: Versions of the training's packages.
    """

    seed: int
    epochs: int
    validation: float
    test: float
    seconds: float
    device: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Estimate:
    """Estimates for the network, from the cost models of searches.

    Attributes:
        part: Part.
        clock_mhz: Clock in MHz.
        zerocross: {"lut", "bram", "dsp", "ii", "latency", ...} by this project's model.
        finn: The same by FINN's.
    """

    part: str
    clock_mhz: float
    zerocross: dict[str, float]
    finn: dict[str, float]


@dataclass(frozen=True)
class Measured:
    """Figures of a build of the network.

    Attributes:
        target: Board or part.
        family: Family of the part.
        clock_mhz: Requested clock in MHz.
        counted: {"lut", "ff", "bram", "dsp", ...} of the synthesiser, by family.
        routed: The same for the whole design after place and route; None if it was not routed.
        fmax_mhz: Highest clock of the routed design in MHz, or None.
        ii: Cycles between two images in simulation, or None.
        latency: Cycles from an image's first word to its class in simulation, or None.
        test_set: Source of the images of the certificate.
        images: Number of images that each form of the network answered.
        differences: Number of images on which two forms differ, over all comparisons.
        ties: Number of ties between classes, likewise.
        tools: Tools.
    """

    target: str
    family: str
    clock_mhz: float | None
    counted: dict[str, dict[str, float]]
    routed: dict[str, float] | None
    fmax_mhz: float | None
    ii: int | None
    latency: int | None
    test_set: str
    images: int
    differences: int
    ties: int
    tools: dict[str, str]


@dataclass(frozen=True)
class Entry:
    """A trained network.

    Attributes:
        name: Name, which is also that of the file.
        config: Configuration of the training, with all defaults. It repeats the training of the weights, unless the clock
            shortened that (`minutes`).
        expressions: Activations: one, or one for each slot.
        topology: Name and parameters.
        folding: Fields of `zerocross.finn_flows.folding.Folding`.
        input_shape: Shape of a sample.
        classes: Number of classes.
        data: Name of the data set.
        data_digest: Digest of training and validation samples.
        test_samples: Number of samples in the test set.
        scaling: {"low", "high"} of the scaling of numbers to bytes; None if the samples are bytes.
        trainings: Trainings with one seed each. The weights are those of the first.
        log: Epochs of that training, as in `training.json`.
        versions: Versions of the packages that made the entry.
        weights: Parameters.
        estimate: Cost estimates, or None.
        builds: Figures of builds, at most one for each target.
    """

    name: str
    config: dict[str, Any]
    expressions: list[str]
    topology: NamedSection
    folding: dict[str, Any]
    input_shape: list[int]
    classes: int
    data: str
    data_digest: str
    test_samples: int
    scaling: dict[str, list[float]] | None
    trainings: list[Training]
    log: list[dict[str, float | int | None]]
    versions: dict[str, str]
    weights: Packed
    estimate: Estimate | None = None
    builds: list[Measured] = field(default_factory=list)

    @property
    def test(self) -> float:
        """Mean accuracy on the whole test set over the seeds, 0..1."""
        return fmean(training.test for training in self.trainings)

    @property
    def spread(self) -> float | None:
        """Standard deviation of that accuracy; None for a single seed."""
        found = [training.test for training in self.trainings]
        return stdev(found) if len(found) > 1 else None

    @property
    def plugins(self) -> list[str]:
        """The user's files and modules that the network needs."""
        return list(self.config.get("plugins", []))

    def command(self, name: str) -> str:
        """Return the command that repeats the training of the weights.

        Args:
            name: What finds the entry: its name, or the path of its file.
        """
        file = f" --set data.name={self.data}" if self.data.endswith(".npz") else ""
        return f"zerocross train zoo:{name}{file}"

    @property
    def identity(self) -> str:
        """Digest of the network alone: it stays the same when figures are added."""
        parts = [self.expressions, self.topology, self.folding, self.input_shape, self.classes, self.scaling]
        return _digest(json.dumps(parts).encode(), self.weights)

    def module(self) -> nn.Module:
        """Return the network in eval mode, with binary weights -1 and +1. Its logits are those of the trained one.

        Raises:
            UserError: If the network of the topology is another one in this version, or a plugin is missing.
        """
        import_plugins(self.plugins)
        with torch.random.fork_rng(devices=[]):
            try:
                model = build_topology(self.topology, tuple(self.input_shape), self.classes)
                install(model, [parse(text) for text in self.expressions])
                fill(model, unpack(self.weights))
            except (ModelError, ValueError) as error:
                raise UserError(
                    f"zoo:{self.name} does not fit its topology in this version of zerocross ({error}): use the version "
                    f"{self.versions.get('zerocross', '')} that made it"
                ) from None
        return model.eval()


_FIELDS = TypeAdapter(dict[str, Any])
_ENTRY = TypeAdapter(Entry)


def save_entry(entry: Entry, path: Path) -> None:
    """Write an entry atomically."""
    fields = {name: value for name, value in vars(entry).items() if name != "weights"}
    content = {"layout": LAYOUT, "tensors": entry.weights.tensors, **fields}
    text = _FIELDS.dump_json(content)
    archive = io.BytesIO()
    np.savez_compressed(
        archive,
        entry=np.frombuffer(text, np.uint8),
        bits=entry.weights.bits,
        numbers=entry.weights.numbers,
        digest=np.frombuffer(_digest(text, entry.weights).encode(), np.uint8),
    )
    with replacing(path) as temporary:
        temporary.write_bytes(archive.getvalue())


def load_entry(path: Path, remedy: str = "add the network again") -> Entry:
    """Read an entry.

    Args:
        path: The file.
        remedy: Remedy for a damaged file, in the imperative.

    Raises:
        UserError: If there is no such file, it is damaged, or a later version of zerocross wrote it.
    """
    try:
        arrays = read_arrays(path, _ARRAYS)
        text, bits, numbers, digest = (arrays[name] for name in _ARRAYS)
        content = parse_json(text.tobytes())
        layout = content.pop("layout")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, Unreadable, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path} is not a readable entry of the zoo ({reason(error)}): {remedy}") from None
    if layout != LAYOUT:
        newer = "install a newer zerocross" if isinstance(layout, int) and layout > LAYOUT else remedy
        raise UserError(
            f"{path} has layout {layout}, but this version of zerocross reads layout {LAYOUT}: {newer}"
        )
    try:
        tensors = tuple(
            PackedTensor(each["name"], each["kind"], tuple(each["shape"]), each.get("width", 1))
            for each in content.pop("tensors")
        )
        weights = Packed(tensors, bits, numbers)
        if digest.tobytes().decode() != _digest(text.tobytes(), weights):
            raise UserError(f"{path} is damaged (its content does not have its digest): {remedy}")
        found = as_record(_ENTRY, {**content, "weights": _NONE})
        return replace(found, weights=weights, name=path.stem)  # a file that was renamed is another entry
    except (Unreadable, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a readable entry of the zoo ({reason(error)}): {remedy}") from None


_ARRAYS = ("entry", "bits", "numbers", "digest")
_NONE = Packed((), np.empty(0, np.uint8), np.empty(0, np.float32))


def _digest(text: bytes, weights: Packed) -> str:
    digest = hashlib.blake2b(text, digest_size=16)
    digest.update(repr(weights.tensors).encode())
    digest.update(weights.bits.tobytes())
    digest.update(weights.numbers.tobytes())
    return digest.hexdigest()
