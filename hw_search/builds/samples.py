"""Reading of samples from files: images, arrays and test sets."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from zerocross.hw_search.builds.csv_file import read_csv
from zerocross.hw_search.errors import UserError
from zerocross.models.samples import (
    DataError,
    check_finite,
    fitted,
    in_classes,
    number,
    numbering,
    read_labels,
)
from zerocross.reading import names_of_arrays, read_array, read_arrays

ARRAYS = frozenset({".csv", ".npy", ".npz"})
"""Suffixes of files that hold the network's own input. All others are image files."""


PICTURES = ("PNG", "JPEG", "BMP", "PPM", "TIFF", "GIF", "WEBP")
"""Formats of pictures that are read, by Pillow's names. PPM stands for PBM, PGM and PPM."""

_MOST_PIXELS = 1 << 27
_ORIENTATION = 0x0112
"""EXIF tag of a photograph's orientation; 1 is upright."""


@dataclass(frozen=True)
class TestSet:
    """Samples of a file, with their labels.

    Attributes:
        x: Samples, (N, *shape).
        y: Labels, int64 (N,), or None. Labels that are text are numbered by the alphabet.
        labels: File and array of the labels, for messages; "" if there are none.
        notes: What was not obvious; each begins with the file's name.
        known: Labels of the training samples of the file, in order, or all labels if they are text; None if the file has
            neither.
    """

    x: np.ndarray
    y: np.ndarray | None
    labels: str
    notes: tuple[str, ...]
    known: np.ndarray | None = None


@dataclass(frozen=True)
class _Arrays:
    """The arrays of a file as they are, with their names for messages."""

    x: np.ndarray
    x_name: str
    y: np.ndarray | None = None
    y_name: str = ""
    y_train: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def read_samples(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, list[str]]:
    """Read the samples in a file.

    Args:
        path: Picture in one of the formats `PICTURES`; or one or more samples in an .npy, .npz or .csv file. Their shape is
            as in `zerocross.models.samples.fitted`; labels are ignored.
        shape: Shape of a sample, channels first.

    Returns:
        Samples, (N, *shape), and notes on the conversion of the file.

    Raises:
        UserError: If the file holds no samples.
    """
    if path.suffix.lower() not in ARRAYS:
        with _readable(path):
            samples, note = _image(path, shape)
        return samples, [note] if note else []
    arrays = _arrays(path, shape)
    samples, note = _fitted(path, arrays, shape, may_be_one=True)
    ignored = [f"{arrays.y_name} holds labels, which are ignored: --data takes them"] if arrays.y_name else []
    return samples, [*([note] if note else []), *ignored]


def _arrays(path: Path, shape: tuple[int, ...]) -> _Arrays:
    suffix = path.suffix.lower()
    with _readable(path):
        if suffix == ".csv":
            table = read_csv(path, math.prod(shape))
            return _Arrays(table.samples, "the table", table.labels, table.column, notes=table.notes)
        if suffix == ".npy":
            return _Arrays(read_array(path), "the array")
        held = names_of_arrays(path)
        name = held[0] if len(held) == 1 else "x_test"
        if name not in held:
            raise UserError(f"{path} has no array x_test (it has {', '.join(held) or 'none'})")
        found = read_arrays(path, {name, "y_test", "y_train"})
        y, y_train = (found.get(each) for each in ("y_test", "y_train"))
        return _Arrays(found[name], name, y, "" if y is None else "y_test", y_train)


def _fitted(
    path: Path, arrays: _Arrays, shape: tuple[int, ...], may_be_one: bool = False
) -> tuple[np.ndarray, str]:
    """Return samples in the form of the input, (N, *shape), and a note; a single sample may lack the first axis."""
    x, name = arrays.x, arrays.x_name
    found = fitted(name, x, shape) or (fitted(name, x[None], shape) if may_be_one else None)
    if found is None or not len(found[0]):
        sizes = ", ".join(map(str, shape))
        one = f"one sample of shape ({sizes}) or several " if may_be_one else "samples "
        raise UserError(f"{path}: {name} has the shape {x.shape}: give {one}of shape (N, {sizes})")
    with _as_user_error(path):
        check_finite(name, found[0])
    return found


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn any error from reading a file into a message."""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except Exception as error:  # Pillow, zipfile, zlib and numpy raise many kinds for a damaged file
        raise UserError(f"{path} cannot be read as samples ({error})") from None


@contextmanager
def _as_user_error(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise UserError(f"{path}: {error}") from None


def _image(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, str]:
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UserError(
            f"{path} is an image, but samples have shape {shape}: give an .npy, .npz or .csv file"
        )
    channels, height, width = shape
    try:
        image: Image.Image = Image.open(path, formats=PICTURES)
    except UnidentifiedImageError:
        raise UserError(
            f"{path} cannot be read as samples: it is no picture of a format that is read ({', '.join(PICTURES)}), nor an "
            ".npy, .npz or .csv file"
        ) from None
    with image:
        _check_picture(path, image)
        notes = []
        if image.getexif().get(_ORIENTATION, 1) != 1:
            image = ImageOps.exif_transpose(image)
            notes.append("turned as its EXIF says")
        if image.mode.startswith("I"):
            notes.append("pixels of 16 bits scaled to 8")
            image = Image.fromarray(np.rint(np.asarray(image).astype(np.float64) / 257).astype(np.uint8))
        if image.size != (width, height):
            notes.append(f"resized from {image.width} x {image.height} pixels to {width} x {height}")
        fitted = image.convert("L" if channels == 1 else "RGB").resize((width, height))
    values = np.asarray(fitted, np.uint8)
    return (values[None] if channels == 1 else values.transpose(2, 0, 1))[None], ", ".join(notes)


def _check_picture(path: Path, image: Image.Image) -> None:
    """Refuse pictures that are not one opaque image of pixels of 8 or 16 bits.

    Raises:
        UserError: If it is none.
    """
    if image.width * image.height > _MOST_PIXELS:
        raise UserError(
            f"{path} has {image.width} x {image.height} pixels; at most {_MOST_PIXELS:,} are read: make it smaller"
        )
    frames = (
        1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    )  # MPO: a photograph with thumbnails
    if frames > 1:
        raise UserError(f"{path} holds {frames} pictures: give a file with one")
    wide = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if image.mode[0] in "IF" and not wide:
        raise UserError(f"{path} has pixels of mode {image.mode}: save it with pixels of 8 or 16 bits")
    if image.has_transparency_data and (np.asarray(image.convert("RGBA"))[..., 3] < 255).any():
        raise UserError(f"{path} is partly transparent: put it on a background, as the training pictures are")


def check_bytes(path: Path, values: np.ndarray) -> None:
    """Check that all values are whole numbers from 0 to 255. Pixels scaled to 0..1, for example, are rejected.

    Raises:
        UserError: If a value is not a whole number from 0 to 255.
    """
    least, most = values.min(), values.max()
    if least < 0 or most > 255 or (values != np.rint(values)).any():
        raise UserError(f"{path} holds values from {least:g} to {most:g}: give whole numbers from 0 to 255")


def read_test_set(path: Path, shape: tuple[int, ...]) -> TestSet:
    """Read the test set in a file.

    Args:
        path: An .npz file with x_test, and y_test if there are labels; a .csv file, see
            `zerocross.hw_search.builds.csv_file.read_csv`; or an .npy file without labels.
        shape: Shape of a sample, channels first. See `zerocross.models.samples` for the shapes and the labels that a file
            may have.

    Raises:
        UserError: If the file does not hold such arrays.
    """
    if path.suffix.lower() not in ARRAYS:
        raise UserError(f"{path} is no test set: give an .npz, .npy or .csv file")
    arrays = _arrays(path, shape)
    samples, layout = _fitted(path, arrays, shape)
    notes, y, known = [*arrays.notes, *([layout] if layout else [])], arrays.y, None
    if y is not None:
        with _as_user_error(path):
            y = read_labels("test", y, len(samples))
            train = _train_labels(arrays, needed=y.dtype.kind == "U")
            if y.dtype.kind == "U":  # by the alphabet, as in a search
                every = np.unique(y if train is None else np.concatenate([y, train]))
                y, known = number(arrays.y_name, y, every), every
                notes.append(numbering(every))
            elif train is not None and train.dtype.kind != "U":
                known = np.unique(train)
    labels = "" if y is None else f"{path.name}, {arrays.y_name}"
    return TestSet(samples, y, labels, tuple(f"{path.name}: {note}" for note in notes), known)


def _train_labels(arrays: _Arrays, needed: bool) -> np.ndarray | None:
    """Return the labels of a file's training samples; None if it has none, or if they are no labels and are not needed."""
    if arrays.y_train is None:
        return None
    try:
        return read_labels("train", arrays.y_train, len(np.atleast_1d(arrays.y_train)))
    except DataError:
        if needed:
            raise
        return None


def labels_in_classes(
    labels: np.ndarray, classes: int, name: str, known: np.ndarray | None = None
) -> tuple[np.ndarray, str]:
    """Return labels as the classes of a network, and a note if that was not obvious.

    Args:
        labels: Labels, int64 (N,).
        classes: Number of classes of the network.
        name: File and array of the labels, for messages.
        known: See `TestSet.known`. If they are text, `labels` are their places.

    Raises:
        UserError: If the labels do not fit the classes.
    """
    if known is not None and known.dtype.kind == "U":
        if len(known) != classes:
            raise UserError(
                f"{name}: there are {len(known)} different labels as text, but the network has {classes} classes, so which "
                f"label is which class is unknown: give numbers 0..{classes - 1}, or an .npz file with all labels in y_train"
            )
        return labels, ""
    try:
        return in_classes(labels, classes, known)
    except DataError as error:
        raise UserError(f"{name}: {error}") from None
