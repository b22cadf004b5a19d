"""Reading of samples from files: images, arrays and test sets."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

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


def read_samples(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, str]:
    """Read the samples in a file.

    Args:
        path: Image (any format that Pillow opens), or .npy array of one or more samples; channels may be last.
        shape: Shape of a sample: (features,) or (channels, height, width).

    Returns:
        Samples, (N, *shape), and a note on the conversion of the file, "" if there was none.

    Raises:
        UserError: If the file holds no samples.
    """
    try:
        if path.suffix == ".npy":
            return _array(path, np.load(path, allow_pickle=False), shape)
        return _image(path, shape)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a sample ({error})") from None


@contextmanager
def _as_user_error(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise UserError(f"{path}: {error}") from None


def _array(path: Path, values: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, str]:
    found = fitted("the array", values, shape) or fitted("the array", values[None], shape)
    if found is None or not len(found[0]):
        sizes = ", ".join(map(str, shape))
        raise UserError(
            f"{path} holds an array of shape {values.shape}: give one sample of shape {shape} or several of shape "
            f"(N, {sizes})"
        )
    with _as_user_error(path):
        check_finite("the array", found[0])
    return found


def _image(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, str]:
    from PIL import Image

    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UserError(f"{path} is an image, but samples have shape {shape}: give an .npy file")
    channels, height, width = shape
    with Image.open(path) as image:
        note = (
            f"resized from {image.width} x {image.height} pixels to {width} x {height}"
            if image.size != (width, height)
            else ""
        )
        fitted = image.convert("L" if channels == 1 else "RGB").resize((width, height))
    values = np.asarray(fitted, np.uint8)
    return (values[None] if channels == 1 else values.transpose(2, 0, 1))[None], note


def check_bytes(path: Path, values: np.ndarray) -> None:
    """Check that all values are whole numbers from 0 to 255. Pixels scaled to 0..1, for example, are rejected.

    Raises:
        UserError: If a value is not a whole number from 0 to 255.
    """
    least, most = values.min(), values.max()
    if least < 0 or most > 255 or (values != np.rint(values)).any():
        raise UserError(f"{path} holds values from {least:g} to {most:g}: give whole numbers from 0 to 255")


def read_test_set(
    path: Path, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Read the test set in an .npz file.

    Args:
        path: File with x_test, and y_test if there are labels.
        shape: Shape of a sample, channels first. The file may have channels last, or omit a single channel. See
            `zerocross.models.samples` for the labels that it may have.

    Returns:
        Samples, (N, *shape); their labels, int64 (N,), or None; and notes on what was not obvious. Labels that are text are
        numbered by the alphabet.

    Raises:
        UserError: If the file does not hold such arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("x_test", "y_test", "y_train") if name in file.files}
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except Exception as error:  # any error from zipfile, zlib or numpy on a damaged file
        raise UserError(f"{path} cannot be read as an .npz file without pickles ({error})") from None
    x, y = arrays.get("x_test"), arrays.get("y_test")
    found = None if x is None else fitted("x_test", x, shape)
    if found is None or not len(found[0]):
        kind = "no such array" if x is None else f"{x.dtype} {x.shape}"
        raise UserError(
            f"{path}: x_test must hold numbers of shape (N, {', '.join(map(str, shape))}), found {kind}"
        )
    samples, layout = found
    notes = [layout] if layout else []
    with _as_user_error(path):
        check_finite("x_test", samples)
        if y is None:
            return samples, None, tuple(notes)
        labels = read_labels("test", y, len(samples))
        if labels.dtype.kind == "U":  # by the alphabet, as in a search
            train = arrays.get("y_train")
            every = np.unique(
                labels if train is None else np.concatenate([labels, read_labels("train", train, len(train))])
            )
            labels = number("y_test", labels, every)
            notes.append(numbering(every))
        return samples, labels, tuple(notes)


def labels_in_classes(labels: np.ndarray, classes: int, name: str) -> tuple[np.ndarray, str]:
    """Return labels as the classes of a network, and a note if that was not obvious.

    Args:
        labels: Labels, int64 (N,).
        classes: Number of classes of the network.
        name: Description of the samples, for messages.

    Raises:
        UserError: If the labels do not fit the classes.
    """
    try:
        return in_classes(labels, classes)
    except DataError as error:
        raise UserError(f"{name}: {error}") from None
