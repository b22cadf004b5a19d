"""Real inputs of a file that its own input quantizer turns into given levels.

The nodes ahead of the hardware are run, not read. Constant inputs show which values give which levels, and finer values are
tried where neighbouring levels are still missing. A few inputs of two values then show which element of the file's input
each integer comes from. If the integers are no function of one element each, as behind a normalisation of the whole sample,
there is no inverse. The samples then are values of a normal distribution.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto
from qonnx.core.modelwrapper import ModelWrapper
from scipy import special

from zerocross.finn_flows.lowering.lower import Lowered

_ROUNDS = 12  # of finer values
_FINER = 512  # values of a round
_CHECKED = 16  # samples that check an inverse


@dataclass(frozen=True)
class InputLevels:
    """Samples of a file by numbers 0..1 for each element; see `zerocross.finn_flows.stimuli.Integers`.

    Attributes:
        integers: Turns numbers (N, elements) into inputs of the integer network, (N, *its shape).
        samples: Turns the same numbers into inputs of the file, float32 (N, *its shape).
        is_inverse: Whether the samples reach all levels that the quantizer can make, element by element.
    """

    integers: Callable[[np.ndarray], np.ndarray]
    samples: Callable[[np.ndarray], np.ndarray]
    is_inverse: bool


def input_levels(lowered: Lowered) -> InputLevels:
    """Find real inputs for the levels of a file's input.

    Args:
        lowered: The file's network.
    """
    return _inverse(lowered) or _by_normal_values(lowered)


def _inverse(lowered: Lowered) -> InputLevels | None:
    values, found = _explore(lowered)
    if not len(values):
        return None
    rows = [row.tobytes() for row in np.ascontiguousarray(found.T)]
    numbered = {row: number for number, row in enumerate(dict.fromkeys(rows))}  # mostly one for each channel
    kind = np.array([numbered[row] for row in rows])
    columns = [np.frombuffer(row, found.dtype) for row in numbered]
    levels = [np.unique(column) for column in columns]
    reals = [
        np.array([_middle(values, column == level) for level in own])
        for own, column in zip(levels, columns, strict=True)
    ]
    counts = np.array([len(own) for own in levels])
    level_table, real_table = (np.zeros((len(levels), counts.max())) for _ in range(2))
    for row, (own, real) in enumerate(zip(levels, reals, strict=True)):
        level_table[row, : len(own)], real_table[row, : len(own)] = own, real
    origin = _origins(lowered, values, found)
    if origin is None:
        return None
    shape, inner = _shape(lowered.original), lowered.network.network.input.shape

    def places(numbers: np.ndarray) -> np.ndarray:
        return np.minimum((numbers * counts[kind]).astype(np.int64), counts[kind] - 1)

    def integers(numbers: np.ndarray) -> np.ndarray:
        return level_table[kind, places(numbers)].astype(np.int64).reshape(len(numbers), *inner)

    def samples(numbers: np.ndarray) -> np.ndarray:
        flat = np.empty(numbers.shape, np.float32)
        flat[:, origin] = real_table[kind, places(numbers)]
        return flat.reshape(len(numbers), *shape)

    return InputLevels(integers, samples, True)


def _explore(lowered: Lowered) -> tuple[np.ndarray, np.ndarray]:
    """Return values, sorted, and the integers that constant inputs of them become: (V,) and (V, elements)."""
    allowed = _annotated(lowered.original)
    if allowed is not None:
        return _of_constants(lowered, allowed.astype(np.float32))
    powers = 2.0 ** np.arange(-16, 17, 0.5)
    whole = np.arange(-256, 257)
    wide = np.unique(np.concatenate([whole, whole / 256, powers, -powers]).astype(np.float32))
    values, found = _of_constants(lowered, wide)
    for _ in range(_ROUNDS):
        gaps = np.flatnonzero((np.abs(np.diff(found.astype(np.int64), axis=0)) > _step(lowered)).any(axis=1))
        middle = ((values[gaps].astype(np.float64) + values[gaps + 1]) / 2).astype(np.float32)
        finer = np.setdiff1d(
            middle[np.linspace(0, len(gaps) - 1, min(len(gaps), _FINER)).astype(int)], values
        )
        finer, made = _of_constants(lowered, finer)
        if not len(finer):
            break
        order = np.argsort(np.concatenate([values, finer]))
        found = np.concatenate([found, made])[order]
        values = np.concatenate([values, finer])[order]
    return values, found


def _annotated(model: ModelWrapper) -> np.ndarray | None:
    """Return the integers of an input that is annotated with a datatype, or of bytes; None for other inputs."""
    name = model.graph.input[0].name
    if model.get_tensor_valueinfo(name).type.tensor_type.elem_type == TensorProto.UINT8:
        return np.arange(256)
    datatype = model.get_tensor_datatype(name)
    if not datatype.is_integer() or datatype.bitwidth() > 8:
        return None
    low, high = int(datatype.min()), int(datatype.max())
    return np.array([value for value in range(low, high + 1) if datatype.allowed(value)])


def _of_constants(lowered: Lowered, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return those of some values that become levels everywhere, and the levels.

    Others may be no numbers, such as the logarithm of a negative value.
    """
    shape, grid = _shape(lowered.original), lowered.network.network.grids()["input"]
    parts = [np.zeros((0, int(np.prod(lowered.network.network.input.shape))), np.int16)]
    for start in range(0, len(values), 64):
        some = values[start : start + 64]
        constant = np.broadcast_to(some.reshape(-1, *(1,) * len(shape)), (len(some), *shape))
        with np.errstate(all="ignore"):
            made = lowered.quantize(np.ascontiguousarray(constant)).reshape(len(some), -1)
        parts.append(np.clip(made, -1000, 1000).astype(np.int16))
    found = np.concatenate(parts)
    are_levels = (found >= grid.low) & (found <= grid.high) & ((found - grid.low) % grid.step == 0)
    good = are_levels.all(axis=1)
    return values[good], found[good]


def _middle(values: np.ndarray, chosen: np.ndarray) -> float:
    """Return the value in the middle of the longest run of chosen values: it is far from the edges of its level."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    return float(values[(starts[longest] + ends[longest] - 1) // 2])


def _origins(lowered: Lowered, values: np.ndarray, found: np.ndarray) -> np.ndarray | None:
    """Return the element of the file's input that each integer comes from, (elements,); None if there is no such element."""
    elements = found.shape[1]
    if int(np.prod(_shape(lowered.original))) != elements:
        return None
    origin = np.zeros(elements, np.int64)
    known: np.ndarray = (found == found[0]).all(axis=0)
    still = known.copy()
    while not known.all():
        column = found[:, np.flatnonzero(~known)[0]]
        one, other = int(column.argmin()), int(column.argmax())
        told = (found[one] != found[other]) & ~known
        index = np.arange(elements)
        places = np.zeros(elements, np.int64)
        for bit in range(max(1, int(elements - 1).bit_length())):
            mixed = np.where(index >> bit & 1, values[other], values[one]).astype(np.float32)
            made = lowered.quantize(mixed.reshape(1, *_shape(lowered.original))).ravel()
            places |= (made == found[other]).astype(np.int64) << bit
        origin[told] = places[told]
        known |= told
    if (origin >= elements).any() or len(set(origin[~still])) < (~still).sum():
        return None
    origin[still] = np.setdiff1d(np.arange(elements), origin[~still])
    # Each element must become what it became among equal ones, whatever the others are.
    rows = np.random.default_rng(0).integers(0, len(values), (_CHECKED, elements))
    flat = np.empty((_CHECKED, elements), np.float32)
    flat[:, origin] = values[rows]
    again = lowered.quantize(flat.reshape(_CHECKED, *_shape(lowered.original))).reshape(_CHECKED, elements)
    return origin if (again == found[rows, np.arange(elements)]).all() else None


def _by_normal_values(lowered: Lowered) -> InputLevels:
    """Return samples of a normal distribution, of the width for which the integers differ most."""
    shape = _shape(lowered.original)
    elements = int(np.prod(lowered.network.network.input.shape))
    inputs = int(np.prod(shape))

    def of_width(width: float) -> Callable[[np.ndarray], np.ndarray]:
        def samples(numbers: np.ndarray) -> np.ndarray:
            whole = np.resize(numbers.T, (inputs, len(numbers))).T
            return (
                (width * special.ndtri(np.clip(whole, 1e-9, 1 - 1e-9))).astype(np.float32).reshape(-1, *shape)
            )

        return samples

    tried = np.random.default_rng(0).random((64, elements))
    found = [of_width(2.0**power) for power in range(-4, 9, 2)]
    spread = [len(np.unique(lowered.quantize(each(tried)).reshape(64, -1), axis=0)) for each in found]
    levels = [len(np.unique(lowered.quantize(each(tried)))) for each in found]
    samples = max(zip(spread, levels, found, strict=True), key=lambda entry: entry[:2])[2]
    return InputLevels(lambda numbers: lowered.quantize(samples(numbers)), samples, False)


def _step(lowered: Lowered) -> int:
    return lowered.network.network.grids()["input"].step


def _shape(model: ModelWrapper) -> tuple[int, ...]:
    return tuple(model.get_tensor_shape(model.graph.input[0].name)[1:])
