"""Data sets: scikit-learn's, torchvision's, and any .npz file of the user.

All samples consist of bytes 0..255; `zerocross.models.scaling` maps other numbers to bytes. A validation set is held out of
the training data; all decisions use it. The test set has a call of its own, because it is read only once, at the end.
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zerocross.models.samples import (
    DataError,
    channels_first,
    check_finite,
    listed,
    number,
    numbering,
    read_labels,
)
from zerocross.models.scaling import ByteScaling, scaling_notes, scaling_of
from zerocross.reading import Unreadable, names_of_arrays, read_arrays

SPLIT_SEED = 20_190_202
"""Seed of the fixed train/test split of scikit-learn's data, so that all users have the same test set."""


@dataclass(frozen=True)
class _Download:
    """A data set of torchvision: its class there, the shape of a sample, the number of classes and of test samples."""

    kind: str
    shape: tuple[int, ...]
    classes: int = 10
    tests: int = 10_000


_TORCHVISION = {
    "mnist": _Download("MNIST", (1, 28, 28)),
    "fashion_mnist": _Download("FashionMNIST", (1, 28, 28)),
    "cifar10": _Download("CIFAR10", (3, 32, 32)),
    "cifar100": _Download("CIFAR100", (3, 32, 32), classes=100),
}
_SCIKIT_LEARN = {"breast_cancer": "load_breast_cancer"}
"""Tables of numbers that come with scikit-learn: one row a sample, each column with a range of its own."""

AT_HAND = ("digits", *_SCIKIT_LEARN)
"""Data sets that need no download."""

NAMES = (*AT_HAND, *_TORCHVISION)
"""Names of the built-in data sets."""


@dataclass(frozen=True)
class Split:
    """Samples and their labels.

    Attributes:
        x: Bytes, shape (N, features) or (N, channels, height, width), uint8.
        y: Labels 0..classes-1, shape (N,), int64.
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Data:
    """The data that a search may use.

    Attributes:
        train: Training samples.
        validation: Samples held out of the training data.
        input_shape: Shape of a sample, (features,) or (channels, height, width).
        classes: Number of classes.
        fingerprint: Digest of all samples and of their split.
        scaling: Scaling of the user's numbers to bytes; None if they are bytes.
        notes: How a file was read, where that is not obvious.
    """

    train: Split
    validation: Split
    input_shape: tuple[int, ...]
    classes: int
    fingerprint: str
    scaling: ByteScaling | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Part:
    """The training or test samples of a set; x and y as in `Split`.

    Attributes:
        scaling: As in `Data`.
        numbers: The samples before scaling; None if they are bytes.
        layout: Note on the place of the channels; "" if it is obvious.
        labels: Note on the labels; "" if they are obvious.
    """

    x: np.ndarray
    y: np.ndarray
    scaling: ByteScaling | None = None
    numbers: np.ndarray | None = None
    layout: str = ""
    labels: str = ""

    def notes(self, kept: np.ndarray) -> tuple[str, ...]:
        """Return notes for the user, given which samples are used."""
        columns = [] if self.numbers is None else scaling_notes(self.scaling, self.numbers[kept])
        return tuple(filter(None, (self.layout, self.labels, *columns)))


def load(
    name: str, validation: float = 0.2, split_seed: int = 0, limit: int | None = None, root: str = "data"
) -> Data:
    """Load the training data of a set and hold out a validation set.

    Args:
        name: One of NAMES, or the path of an .npz file with x_train, y_train, x_test and y_test.
        validation: Share held out, 0..1, drawn class by class.
        split_seed: Seed that selects the held-out samples.
        limit: Number of training samples to use (validation included), drawn class by class; None for all. Each class gives
            its share, rounded, and at least one, so that some samples more or fewer are possible.
        root: Folder of torchvision's downloads.

    Raises:
        DataError: If the data cannot be read or used.
    """
    part = _source(name, root)(True)
    x, y, kept = part.x, part.y, np.ones(len(part.y), bool)
    classes = int(y.max()) + 1
    rng = np.random.default_rng(split_seed)
    if limit is not None and limit < len(y):
        kept = _stratified(y, limit / len(y), rng, least=1)
        x, y = x[kept], y[kept]
    held_out = _stratified(y, validation, rng)
    if not held_out.any() or held_out.all():
        raise DataError(
            f"data.validation {validation} and data.limit {limit} leave no samples for training or for validation. "
            "Change them so that every class has samples in both"
        )
    digest = hashlib.blake2b(digest_size=12)
    for array in (x, y, held_out):
        digest.update(np.ascontiguousarray(array).tobytes())
    return Data(
        _split(x[~held_out], y[~held_out]),
        _split(x[held_out], y[held_out]),
        tuple(x.shape[1:]),
        classes,
        digest.hexdigest(),
        part.scaling,
        part.notes(kept),
    )


def portion(data: Data, share: float) -> Data:
    """Return data with a share of the training samples, drawn class by class, at least one each. The rest stays.

    The draw depends on the samples alone, and a larger share contains every smaller one.

    Args:
        data: The data.
        share: Share of the training samples, 0..1.
    """
    rng = np.random.default_rng(SPLIT_SEED)
    kept = torch.from_numpy(_stratified(data.train.y.numpy(), share, rng, least=1))
    return replace(data, train=Split(data.train.x[kept], data.train.y[kept]))


def load_test(name: str, root: str = "data") -> Split:
    """Load the test samples of a set; arguments as for `load`."""
    part = _source(name, root)(False)
    return _split(part.x, part.y)


def check_test(name: str, root: str, data: Data) -> tuple[str, tuple[str, ...]]:
    """Check that the test set can be read at the end of a search, without running any network on it.

    Returns:
        A digest of its samples and labels, and notes on them.

    Raises:
        DataError: If it cannot be read, or its samples have another shape than the training samples.
    """
    test = _source(name, root)(False)
    if tuple(test.x.shape[1:]) != data.input_shape:
        raise DataError(
            f"{name}: test samples have shape {tuple(test.x.shape[1:])}, training samples have {data.input_shape}"
        )
    digest = hashlib.blake2b(test.x.tobytes() + test.y.tobytes(), digest_size=12)
    return digest.hexdigest(), (test.labels,) if test.labels else ()


def resembles(name: str, data: Data, test: Split) -> bool:
    """Return whether samples have the form and the number of test samples of the data set `name`, one of torchvision's."""
    if name not in _TORCHVISION:
        return False
    known = _TORCHVISION[name]
    return (data.input_shape, data.classes, len(test)) == (known.shape, known.classes, known.tests)


def as_npz(name: str, root: str = "data") -> bytes:
    """Return a whole set as the content of an .npz file, for a machine without the set.

    `load` and `load_test` read the same samples from that file as from the set itself.

    Args:
        name: As in `load`.
        root: Folder of torchvision's downloads.

    Raises:
        DataError: If the data cannot be read.
    """
    if name.endswith(".npz"):
        try:
            return Path(name).read_bytes()
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error.strerror}") from None
    if name in _SCIKIT_LEARN:  # the numbers, from which the columns' ranges are read again
        return _content(_table(name))
    arrays: dict[str, np.ndarray] = {}
    for part in ("train", "test"):
        samples = _source(name, root)(part == "train")
        arrays[f"y_{part}"] = samples.y
        arrays[f"x_{part}"] = samples.x.transpose(0, 2, 3, 1)  # channels last, as in users' files
    return _content(arrays)


def _content(arrays: dict[str, np.ndarray]) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def _split(x: np.ndarray, y: np.ndarray) -> Split:
    return Split(torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(np.ascontiguousarray(y)))


def _stratified(labels: np.ndarray, share: float, rng: np.random.Generator, least: int = 0) -> np.ndarray:
    """Mark `share` of the samples of every class, rounded and at least `least`, in a boolean mask."""
    mask = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        mask[members[: max(least, round(share * len(members)))]] = True
    return mask


def _source(name: str, root: str) -> Callable[[bool], _Part]:
    """Return a function that loads (samples, labels); its argument selects training (True) or test (False)."""
    if name == "digits":
        return _digits
    if name in _SCIKIT_LEARN:
        return lambda train: _from_arrays(_table(name), train)
    if name in _TORCHVISION:
        return lambda train: _torchvision(name, root, train)
    if name.endswith(".npz"):
        return lambda train: _npz(Path(name), train)
    raise DataError(f"unknown data set {name!r}: use {', '.join(NAMES)}, or the path of an .npz file")


def _digits(train: bool) -> _Part:
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    y = digits.target.astype(np.int64)
    test = _stratified(y, 0.2, np.random.default_rng(SPLIT_SEED))
    chosen = ~test if train else test
    return _Part(x[chosen], y[chosen])


def _table(name: str) -> dict[str, np.ndarray]:
    """Return a table of scikit-learn as the arrays of a user's file."""
    import sklearn.datasets

    table = getattr(sklearn.datasets, _SCIKIT_LEARN[name])()
    x, y = table.data.astype(np.float32), table.target.astype(np.int64)
    test = _stratified(y, 0.2, np.random.default_rng(SPLIT_SEED))
    return {"x_train": x[~test], "y_train": y[~test], "x_test": x[test], "y_test": y[test]}


def _torchvision(name: str, root: str, train: bool) -> _Part:
    import torchvision

    dataset = getattr(torchvision.datasets, _TORCHVISION[name].kind)
    try:
        loaded = dataset(root, train=train, download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"data {name!r} could not be downloaded to or read from {Path(root).resolve()}: {error}. "
            "Put torchvision's files there, or use an .npz file"
        ) from None
    x = np.asarray(loaded.data)
    images = x[:, None] if x.ndim == 3 else np.moveaxis(x, 3, 1)
    return _Part(images, np.asarray(loaded.targets, dtype=np.int64))


def _npz(path: Path, train: bool) -> _Part:
    """Read the training or test part of a user's file; the training samples decide on scaling, layout and classes."""
    arrays = _read(path)
    try:
        return _from_arrays(arrays, train)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _from_arrays(arrays: dict[str, np.ndarray], train: bool) -> _Part:
    x_train = arrays["x_train"]
    _check("x_train", x_train)
    labels = read_labels("train", arrays["y_train"], len(x_train))
    known = np.unique(labels)
    if len(known) < 2:
        raise DataError("y_train has only one class: provide at least two")
    scaling = scaling_of(x_train)
    x, y, note = x_train, labels, numbering(known)
    if not train:
        x = arrays["x_test"]
        _check("x_test", x)
        if x.shape[1:] != x_train.shape[1:] or x.dtype != x_train.dtype:
            raise DataError(
                f"x_test holds {x.dtype} samples of shape {x.shape[1:]}, but x_train holds {x_train.dtype} samples of shape "
                f"{x_train.shape[1:]}: use the same type and shape"
            )
        y = read_labels("test", arrays["y_test"], len(x))
        missing = np.setdiff1d(known, y)
        note = f"no test sample has the label {listed(missing)}" if len(missing) else ""
    classes = number("y_train" if train else "y_test", y, known)
    images, layout = _images("x_train", x if scaling is None else scaling.to_bytes(x))
    return _Part(images, classes, scaling, None if scaling is None else x, layout if train else "", note)


def _images(name: str, x: np.ndarray) -> tuple[np.ndarray, str]:
    """Return samples with channels first, and a note on their layout."""
    if x.ndim == 4:
        return channels_first(name, x)
    return (x[:, None], "") if x.ndim == 3 else (x, "")


def _read(path: Path) -> dict[str, np.ndarray]:
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        held = names_of_arrays(path)
        for name in names:
            if name not in held:
                raise DataError(f"{path} lacks the array {name!r} (it has {', '.join(held) or 'none'})")
        return read_arrays(path, names)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except (OSError, Unreadable) as error:
        raise DataError(f"{path} is not a readable .npz file without pickles: {error}") from None


def _check(name: str, x: np.ndarray) -> None:
    if x.ndim not in (2, 3, 4) or 0 in x.shape:
        raise DataError(
            f"{name} has shape {x.shape}; use (samples, features), (samples, height, width), (samples, height, width, "
            "channels) or (samples, channels, height, width), with at least one sample"
        )
    check_finite(name, x)
