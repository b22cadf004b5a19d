"""The rules for users' arrays: which numbers are samples, which axis holds the channels, and which labels are classes.

Searches and builds read files by the same rules. Whatever is not obvious is returned as a note for the user.
"""

import math

import numpy as np

from zerocross.models.errors import ModelError

_FEW = 4  # the most channels of an ordinary image
_MANY = 16  # more channels than this do not occur in samples with a short first axis
_SHOWN = 6
_ORDERS = {2: "(N, channels, length)", 3: "(N, channels, height, width)"}


class DataError(ModelError):
    """Data that cannot be read or used; the message names the file, the array and the remedy."""


def check_finite(name: str, x: np.ndarray) -> None:
    """Check that an array holds numbers, none of them NaN or infinite.

    Args:
        name: Name of the array, for messages.
        x: Samples, shape (N, ...).

    Raises:
        DataError: If it does not. The message names row and column of the first wrong number.
    """
    if x.dtype.kind not in "iufb":
        raise DataError(f"{name} must hold numbers, found {x.dtype}")
    if x.dtype.kind != "f" or not len(wrong := np.argwhere(~np.isfinite(x))):
        return
    row, *place = (int(index) for index in wrong[0])
    where = f"column {place[0]}" if len(place) == 1 else f"position {tuple(place)}"
    more = f", and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
    found = x[tuple(wrong[0])]
    text = "NaN" if np.isnan(found) else "infinity"
    raise DataError(
        f"{name} holds {text} in row {row}, {where}{more} (counted from 0): replace or remove them"
    )


def channels_first(name: str, x: np.ndarray) -> tuple[np.ndarray, str]:
    """Return images as (N, channels, height, width), and a note if that was not obvious.

    Channels are expected on the last axis, as in Keras. They are on the first one if the shape says so:

    - (4 or fewer, height, width) with equal height and width, or with a width above 16,
    - (channels, height, width) with equal height and width, where the last axis is no likelier to hold channels.

    Args:
        name: Name of the array, for the note.
        x: Images, shape (N, height, width, channels) or (N, channels, height, width).
    """
    one, two, three = x.shape[1:]
    is_last = three <= _FEW < one
    is_first = not is_last and one <= _FEW and (three > _MANY or two == three > _FEW)
    certain = is_last or is_first or one == two != three
    if not certain:
        is_first = two == three != one
    shape = f"(N, {one}, {two}, {three})"
    order = "(N, channels, height, width)" if is_first else "(N, height, width, channels)"
    note = f"{name} of shape {shape} is read as {order}"
    if not certain:
        note += ": transpose it if that is wrong"
    return (x, note) if is_first else (np.moveaxis(x, 3, 1), "" if certain else note)


def fitted(name: str, x: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, str] | None:
    """Return samples in the form of a network's input, and a note if that was not obvious.

    Args:
        name: Name of the array, for the note.
        x: Samples: (N, *shape), channels last, without the axis of a single channel, or as rows of numbers.
        shape: Shape of a sample: (features,), (channels, length) or (channels, height, width).

    Returns:
        Samples of shape (N, *shape), and the note; None if they do not fit.
    """
    given, last = x.shape[1:], (*shape[1:], shape[0])
    if given == shape:
        both = shape == last and shape[0] > 1 and len(shape) > 1
        text = f"{name} of shape {x.shape} is read as {_ORDERS.get(len(shape))}: transpose it if channels are last"
        return x, text if both else ""
    if len(shape) > 1 and shape[0] == 1 and given == shape[1:]:
        return x[:, None], ""
    if len(shape) > 1 and given == last:
        return np.ascontiguousarray(np.moveaxis(x, -1, 1)), ""
    if 1 in (len(given), len(shape)) and math.prod(given) == math.prod(shape):
        order = _ORDERS.get(len(shape)) or f"(N, {shape[0]})"
        return x.reshape(
            len(x), *shape
        ), f"{name} of shape {x.shape} is read as {order}, in the order of its numbers"
    return None


def read_labels(part: str, y: np.ndarray, samples: int) -> np.ndarray:
    """Return the label of every sample.

    Args:
        part: "train" or "test", for messages.
        y: Whole numbers, truth values or text, of shape (N,) or (N, 1); or rows with a single 1, of shape (N, classes).
        samples: Number of samples, N.

    Returns:
        Labels, shape (N,): int64, or text.

    Raises:
        DataError: If the array does not hold such labels.
    """
    name, found = f"y_{part}", y
    if y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "biuf":
        if not ((y == 0) | (y == 1)).all() or not (y.sum(axis=1) == 1).all():
            raise DataError(
                f"{name} has shape {y.shape}, but not every row has a single 1: give one label for each sample"
            )
        found = y.argmax(axis=1)
    elif y.ndim == 2 and y.shape[1:] == (1,):
        found = y[:, 0]
    if found.ndim != 1 or found.dtype.kind not in "biufU":
        raise DataError(
            f"{name} must hold one label for each sample, as integers, as text, or as rows with a single 1; found "
            f"{y.dtype} {y.shape}"
        )
    if len(found) != samples:
        raise DataError(
            f"x_{part} has {samples} samples, {name} has {len(found)}: both must have the same number"
        )
    if found.dtype.kind == "U":
        return found
    if found.dtype.kind == "f" and not (found == np.rint(found)).all():
        row = int(np.flatnonzero(found != np.rint(found))[0])
        raise DataError(f"{name} holds {found[row]:g} in row {row}: give whole numbers as labels")
    wide = np.zeros(len(found), bool)
    if found.dtype.kind == "f":
        wide = (found >= 2.0**63) | (found < -(2.0**63))  # infinity, too
    elif found.dtype.kind == "u":
        wide = found > np.uint64(2**63 - 1)
    if wide.any():
        row = int(np.flatnonzero(wide)[0])
        raise DataError(f"{name} holds {found[row]:g} in row {row}: give labels of less than 64 bits")
    return found.astype(np.int64)


def number(name: str, labels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the class of every sample: the place of its label among the known ones.

    Args:
        name: Name of the array, for messages.
        labels: Labels from `read_labels`, shape (N,).
        known: All labels, in order: label i is class i.

    Raises:
        DataError: If a label is unknown.
    """
    is_same_kind = labels.dtype.kind == known.dtype.kind
    unknown = ~np.isin(labels, known) if is_same_kind else np.ones(len(labels), bool)
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        if not is_same_kind:
            kinds = ["text" if each.dtype.kind == "U" else "numbers" for each in (labels, known)]
            raise DataError(
                f"{name} holds labels as {kinds[0]}, and y_train as {kinds[1]}: use one of the two"
            )
        raise DataError(
            f"{name} holds the label {labels[row]} in row {row}, which no training sample has; known are {listed(known)}"
        )
    return np.searchsorted(known, labels).astype(np.int64)


def numbering(known: np.ndarray) -> str:
    """Return a note that says which label is which class; "" if label i is class i."""
    if known.dtype.kind != "U" and np.array_equal(known, np.arange(len(known))):
        return ""
    return f"the labels {listed(known)} are the classes 0..{len(known) - 1}, in this order"


def in_classes(labels: np.ndarray, classes: int, known: np.ndarray | None = None) -> tuple[np.ndarray, str]:
    """Return labels as the classes of a given network, and a note if that was not obvious.

    - If the training samples have as many different labels as classes, they are the classes in order.
    - Numbers 0..classes-1 are classes.
    - If there are as many different labels as classes, they are the classes in order: text by the alphabet.
    - Numbers 1..classes are the classes 0..classes-1.

    Args:
        labels: Labels of the whole set from `read_labels`, shape (N,).
        classes: Number of classes of the network.
        known: All labels of the training samples, in order; None if they are unknown.

    Raises:
        DataError: If the labels do not fit.
    """
    found = np.unique(labels)
    if known is not None and len(known) == classes and np.isin(found, known).all():
        missing = np.setdiff1d(known, found)
        lack = f"no sample has the label {listed(missing)}" if len(missing) else ""
        return np.searchsorted(known, labels).astype(np.int64), "; ".join(
            filter(None, (numbering(known), lack))
        )
    is_number = found.dtype.kind != "U"
    if is_number and found[0] >= 0 and found[-1] < classes:
        missing = np.setdiff1d(np.arange(classes), found)
        return labels, f"no sample has the label {listed(missing)}" if len(missing) else ""
    if len(found) == classes:
        return np.searchsorted(found, labels).astype(np.int64), numbering(found)
    if is_number and found[0] == 1 and found[-1] == classes:
        return labels - 1, f"the labels 1..{classes} are the classes 0..{classes - 1}"
    raise DataError(
        f"the labels are {listed(found)}, but the network has {classes} classes: give labels 0..{classes - 1}"
    )


def listed(values: np.ndarray) -> str:
    """Return a few values as text: 0, 1, 2, ... 9."""
    if (
        values.dtype.kind != "U"
        and len(values) > 2
        and np.array_equal(values, np.arange(values[0], values[0] + len(values)))
    ):
        return f"{values[0]}..{values[-1]}"
    if len(values) <= _SHOWN:
        return ", ".join(map(str, values))
    return f"{', '.join(map(str, values[: _SHOWN - 2]))}, ... {values[-1]}"
