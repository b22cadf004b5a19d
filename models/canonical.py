"""When are two expressions the same activation, and which can never be one?

`canonical_key` joins expressions that are the same function of x and of their learnable parameters, so that a
search trains one of them. `constant_bit` recognises expressions whose sign never changes.

Both look at the function itself, in float64 on a fixed grid: rewriting rules would miss most of what joins the
pair space (max(x, -x) is |x|, relu(x) + min(x, 0) is x), and a grid sees it all.
"""

import hashlib
import itertools
import math
from functools import lru_cache

import torch
from torch import Tensor

from zerocross.models.activation import evaluate
from zerocross.models.expressions import Expression
from zerocross.models.operations import REALS, Interval

GRID_LIMIT = 8.0
"""The grid spans -8..8: batch norm leaves hardly anything beyond."""

_GRID_POINTS = 1024
_MAX_PERMUTATIONS = 120
_DIGITS = 6
_NOISE = 1e-12


@lru_cache(maxsize=1)
def _grid() -> Tensor:
    """Irregular points, so that no periodic pair of functions can agree on all of them by chance."""
    generator = torch.Generator().manual_seed(20_220_603)
    width = 2 * GRID_LIMIT / _GRID_POINTS
    jitter = torch.rand(_GRID_POINTS, generator=generator, dtype=torch.float64)
    return -GRID_LIMIT + width * (torch.arange(_GRID_POINTS, dtype=torch.float64) + jitter)


def _settings(start: float, count: int) -> list[list[float]]:
    """Three generic settings of parameters that start at the same value: beyond it, below it, and on both sides.

    Each is a value for every one of the parameters. Among three settings every pair of parameters is ordered both
    ways and every sign occurs, as it may in training.
    """
    far = [0.37 + 0.41 * math.sqrt(2 + k) for k in range(count)]
    mixed = [(-2.2 if k % 2 == 0 else 1.9) * far[count - 1 - k] for k in range(count)]
    return [
        [start + step for step in far],
        [start - 2.6 * step for step in far],
        [start + step for step in mixed],
    ]


def _rounded(values: Tensor) -> bytes:
    """Six significant digits of every value: coarse enough to forget rounding, fine enough for any real difference."""
    values = torch.nan_to_num(values, nan=1.2345e300, posinf=1.5e300, neginf=-1.5e300)
    values = torch.where(values.abs() < _NOISE, torch.zeros_like(values), values)
    exponent = torch.floor(torch.log10(torch.where(values == 0, torch.ones_like(values), values).abs()))
    digits = torch.round(values / 10.0 ** (exponent - _DIGITS + 1))
    # 9.999996 rounds up into the next decade; both spellings of it must give the same bytes.
    carried = digits.abs() >= 10.0**_DIGITS
    digits = torch.where(carried, digits / 10, digits)
    exponent = torch.where(carried, exponent + 1, exponent)
    return (digits + 0.0).numpy().tobytes() + (exponent * (digits != 0)).to(torch.int16).numpy().tobytes()


def _relevant(expression: Expression, initial: tuple[float, ...]) -> list[int]:
    """Indices of the parameters the function depends on, wherever they may be."""
    count = len(initial)
    found: set[int] = set()
    for factor, ascending in ((0.5, True), (-2.4, True), (1.3, False), (-1.7, False)):
        places = [index if ascending else count - 1 - index for index in range(count)]
        base = [start + factor * (0.58 + 0.17 * place) for start, place in zip(initial, places, strict=True)]
        reference = _rounded(evaluate(expression, _grid(), base))
        for index in range(count):
            for change in () if index in found else (-0.83, -2.9, 1.7):
                moved = [*base[:index], base[index] + change, *base[index + 1 :]]
                if _rounded(evaluate(expression, _grid(), moved)) != reference:
                    found.add(index)
                    break
    return sorted(found)


@lru_cache(maxsize=200_000)
def canonical_key(expression: Expression) -> str:
    """Return a key that two expressions share if they are the same function of x and of their parameters.

    Parameters with the same initial value may be renamed freely, those the function does not depend on are
    left out. "Same" means six significant digits at 1,024 irregular points of -8..8, at three generic settings of
    the parameters. Expressions with more parameters than can be permuted in 120 ways are joined only where
    their parameters stand in the same order.

    Returns:
        24 hexadecimal digits.
    """
    initial = expression.initial_parameters()
    relevant = _relevant(expression, initial)
    groups: dict[float, list[int]] = {}
    for index in relevant:
        groups.setdefault(initial[index], []).append(index)
    starts = sorted(groups)
    ways = math.prod(math.factorial(len(groups[start])) for start in starts)
    orders: itertools.product[tuple[tuple[int, ...], ...]] | list[tuple[tuple[int, ...], ...]]
    if ways <= _MAX_PERMUTATIONS:
        orders = itertools.product(*(itertools.permutations(groups[start]) for start in starts))
    else:
        orders = [tuple(tuple(groups[start]) for start in starts)]
    prints = []
    for order in orders:
        print_ = b""
        for setting in range(3):
            values = list(initial)
            for start, indices in zip(starts, order, strict=True):
                for index, value in zip(indices, _settings(start, len(indices))[setting], strict=True):
                    values[index] = value
            print_ += _rounded(evaluate(expression, _grid(), values))
        prints.append(print_)
    head = repr([(start, len(groups[start])) for start in starts]).encode()
    return hashlib.blake2b(head + min(prints), digest_size=12).hexdigest()


def bounds(expression: Expression) -> Interval:
    """Return an interval that holds every value of the expression, whatever x is and its parameters learn."""
    if expression.name == "number":
        return (expression.value, expression.value)
    rule = expression.operation.bounds
    if rule is None:
        return REALS
    low, high = rule(*(bounds(operand) for operand in expression.operands))
    # inf - inf: nothing is known.
    return REALS if math.isnan(low) or math.isnan(high) else (low, high)


@lru_cache(maxsize=200_000)
def constant_bit(expression: Expression) -> int | None:
    """Return the bit of an expression whose sign never changes, else None.

    Recognised are expressions whose value cannot change sign whatever their parameters learn (by interval
    arithmetic), and expressions whose sign is the same all over -8..8 and that no parameter changes. A constant
    with a learnable parameter that matters may come alive in training, and is not one.

    Returns:
        1 (value >= 0 everywhere), 0 (value < 0 everywhere) or None.
    """
    low, high = bounds(expression)
    if low >= 0:
        return 1
    if high < 0:
        return 0
    initial = expression.initial_parameters()
    if _relevant(expression, initial):
        return None
    grid = torch.linspace(-GRID_LIMIT, GRID_LIMIT, 4001, dtype=torch.float64)
    bits = (evaluate(expression, grid.float(), list(initial)) >= 0).broadcast_to(grid.shape)
    return int(bits[0]) if bool((bits == bits[0]).all()) else None
