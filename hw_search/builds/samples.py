"""Reading of samples from files: images, arrays and test sets."""

from pathlib import Path

import numpy as np

from zerocross.hw_search.errors import UserError


def read_samples(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, str]:
    """Read the samples in a file.

    Args:
        path: Image (any format that Pillow opens), or .npy array of one or more samples.
        shape: Shape of a sample: (features,) or (channels, height, width).

    Returns:
        Samples, (N, *shape), and a note on the conversion of the file, "" if there was none.

    Raises:
        UserError: If the file holds no samples.
    """
    try:
        if path.suffix == ".npy":
            return _array(path, np.load(path, allow_pickle=False), shape), ""
        return _image(path, shape)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a sample ({error})") from None


def _array(path: Path, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if values.shape == shape:
        values = values[None]
    if values.shape[1:] != shape or not len(values):
        sizes = ", ".join(map(str, shape))
        raise UserError(
            f"{path} holds an array of shape {values.shape}: give one sample of shape {shape} or several of shape "
            f"(N, {sizes})"
        )
    if values.dtype.kind not in "buif" or not np.isfinite(values).all():
        raise UserError(f"{path} holds {values.dtype} values that are not finite numbers: replace them")
    return values


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


def read_test_set(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray | None]:
    """Read the test set in an .npz file.

    Args:
        path: File with x_test, and y_test if there are labels.
        shape: Shape of a sample, channels first. The file may have channels last, or omit a single channel.

    Returns:
        Samples, (N, *shape), and their labels, int64 (N,), or None.

    Raises:
        UserError: If the file does not hold such arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("x_test", "y_test") if name in file.files}
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except Exception as error:  # any error from zipfile, zlib or numpy on a damaged file
        raise UserError(f"{path} cannot be read as an .npz file without pickles ({error})") from None
    x, y = arrays.get("x_test"), arrays.get("y_test")
    if x is not None and len(shape) == 3 and x.ndim == 3:
        x = x[:, None]
    if x is not None and x.shape[1:] != shape and len(shape) == 3 and x.shape[1:] == (*shape[1:], shape[0]):
        x = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    if x is None or x.shape[1:] != shape or x.dtype.kind not in "biuf" or not len(x):
        found = "no such array" if x is None else f"{x.dtype} {x.shape}"
        raise UserError(
            f"{path}: x_test must hold numbers of shape (N, {', '.join(map(str, shape))}), found {found}"
        )
    if y is not None and (y.shape != (len(x),) or y.dtype.kind not in "iu"):
        raise UserError(f"{path}: y_test must hold {len(x)} integers, found {y.dtype} {y.shape}")
    return x, None if y is None else y.astype(np.int64)
