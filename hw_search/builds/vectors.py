"""Vectors of a build, `vectors.npz`: samples of the certificate as the design reads them, and its answers."""

from pathlib import Path

import numpy as np

from zerocross.hw_search.builds.layout import VECTORS
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.files import replacing
from zerocross.reading import read_arrays

_MOST = 200
_TYPES = (np.uint8, np.int8, np.uint16, np.int16, np.int32, np.int64)


def save_vectors(folder: Path, inputs: np.ndarray, outputs: np.ndarray) -> None:
    """Save the first samples, 200 at most.

    Args:
        folder: Folder of the build.
        inputs: Elements of the design's input, (N, elements).
        outputs: Elements of its output, (N, elements).
    """
    with replacing(folder / VECTORS) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, inputs=_small(inputs[:_MOST]), outputs=_small(outputs[:_MOST]))


def load_vectors(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and outputs, int64, (N, elements).

    Raises:
        UserError: If the build has none.
    """
    try:
        found = read_arrays(folder / VECTORS, {"inputs", "outputs"})
        return found["inputs"].astype(np.int64), found["outputs"].astype(np.int64)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{folder / VECTORS} cannot be read ({error}): run the same `zerocross build` again, which simulates the design"
        ) from None


def _small(values: np.ndarray) -> np.ndarray:
    """Return integers in the smallest type that holds them."""
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    return values.astype(
        next(kind for kind in _TYPES if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    )
