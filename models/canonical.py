"""Detection of expressions that are the same activation, and of expressions whose sign never changes.

Expressions that are the same function of x and of their learnable parameters have the same `canonical_key`, so a search
trains only one of them. `constant_bit` recognises expressions whose sign never changes.

- `canonical_key` evaluates the function in float64 on a fixed grid. Rewriting rules would miss most of the equal functions
  in the pair space, such as max(x, -x) = |x| or relu(x) + min(x, 0) = x; a grid finds these. It compares values, not
  gradients: at exactly 0, min(x, relu(x)) has half the gradient of x. Only a slot without batch norm often reads a 0.
- `constant_bit` first uses interval arithmetic. If no parameter affects the value, it then evaluates the function in
  float32 on a grid of 4,001 points.
"""

import hashlib
import itertools
import math
from functools import lru_cache

import torch
from torch import Tensor

from zerocross.models.activation import evaluate
from zerocross.models.expressions import Expression
from zerocross.models.operations import REALS, Interval, forget_by

GRID_LIMIT = 8.0
"""The grid spans -8..8: after batch norm hardly any value is outside."""

_GRID_POINTS = 1024
_MAX_PERMUTATIONS = 120
_DIGITS = 6
_NOISE = 1e-12


@lru_cache(maxsize=1)
def _grid() -> Tensor:
    """Return irregular points, so that two periodic functions cannot agree on all of them by chance."""
    generator = torch.Generator().manual_seed(20_220_603)
    width = 2 * GRID_LIMIT / _GRID_POINTS
    jitter = torch.rand(_GRID_POINTS, generator=generator, dtype=torch.float64)
    return -GRID_LIMIT + width * (torch.arange(_GRID_POINTS, dtype=torch.float64) + jitter)


def _settings(start: float, count: int) -> list[list[float]]:
    """Return three settings of parameters that share an initial value: all above it, all below it, and mixed.

    A setting has one value for each parameter. Over the three settings each pair of parameters occurs in both orders, and
    every sign occurs, as may happen in training.
    """
    far = [0.37 + 0.41 * math.sqrt(2 + k) for k in range(count)]
    mixed = [(-2.2 if k % 2 == 0 else 1.9) * far[count - 1 - k] for k in range(count)]
    return [
        [start + step for step in far],
        [start - 2.6 * step for step in far],
        [start + step for step in mixed],
    ]


def _rounded(values: Tensor) -> bytes:
    """Return six significant digits of every value: coarse enough to ignore rounding, fine enough for real differences."""
    values = torch.nan_to_num(values, nan=1.2345e300, posinf=1.5e300, neginf=-1.5e300)
    values = torch.where(values.abs() < _NOISE, torch.zeros_like(values), values)
    exponent = torch.floor(torch.log10(torch.where(values == 0, torch.ones_like(values), values).abs()))
    digits = torch.round(values / 10.0 ** (exponent - _DIGITS + 1))
    # 9.999996 rounds up into the next decade: 9.999996 and 10.0 must give the same bytes.
    carried = digits.abs() >= 10.0**_DIGITS
    digits = torch.where(carried, digits / 10, digits)
    exponent = torch.where(carried, exponent + 1, exponent)
    return (digits + 0.0).numpy().tobytes() + (exponent * (digits != 0)).to(torch.int16).numpy().tobytes()


def _relevant(expression: Expression, initial: tuple[float, ...]) -> list[int]:
    """Return the indices of the parameters that change the function for some setting."""
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

    * "Same" means equal to six significant digits at 1,024 irregular points in -8..8, for three generic settings of the
      parameters.
    * Parameters with the same initial value may be in any order, if that allows at most 120 permutations. With more
      permutations, only expressions with the same order of parameters share a key.
    * Parameters without effect on the function are ignored.

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
    """Return an interval that contains every value of the expression, for any x and any learnt parameters."""
    if expression.name == "number":
        return (expression.value, expression.value)
    rule = expression.operation.bounds
    if rule is None:
        return REALS
    low, high = rule(*(bounds(operand) for operand in expression.operands))
    # NaN comes from inf - inf: there is no bound.
    return REALS if math.isnan(low) or math.isnan(high) else (low, high)


@lru_cache(maxsize=200_000)
def constant_bit(expression: Expression) -> int | None:
    """Return the bit of an expression whose sign never changes, else None.

    Two kinds of expressions are recognised:
    * those whose value cannot change sign, for any learnt parameters, by interval arithmetic;
    * those with the same sign everywhere in -8..8, if no parameter affects the value.

    A constant that depends on a learnable parameter is not recognised: training may change its sign.

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


forget_by(canonical_key.cache_clear)
forget_by(constant_bit.cache_clear)
