"""The operations in activation expressions.

The 22 unary and 11 binary operations are those of GAAF (Li et al., "GAAF: Searching Activation Functions for
Binary Neural Networks Through Genetic Algorithm", Tsinghua Science and Technology 28(1), 2023), with its codes.
Further operations have no code; encodings use them only if they are named. `register_operation` adds a user's own
operation by name.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from zerocross.models.errors import ModelError, nearest

EPSILON = 1e-8
"""GAAF's guard in roots, logarithms, exponentials and quotients."""

Interval = tuple[float, float]
"""Bounds (low, high) of a value over all inputs; either may be infinite."""

REALS: Interval = (-math.inf, math.inf)


@dataclass(frozen=True)
class Operation:
    """One operation of the expression language.

    Attributes:
        name: Name in expressions.
        arity: Number of operands; 0 for leaves.
        function: `function(*operands, *parameters)`, elementwise on tensors that broadcast.
        initial: Initial value of each learnable per-channel parameter.
        code: GAAF's code among the unary or the binary operations, or None.
        bounds: `bounds(*operand_intervals)` returns an interval that contains every result, for any learnt parameters;
            None means all real numbers.
        description: Formula, for users.
    """

    name: str
    arity: int
    function: Callable[..., Tensor]
    initial: tuple[float, ...] = ()
    code: int | None = None
    bounds: Callable[..., Interval] | None = None
    description: str = ""


OPERATIONS: dict[str, Operation] = {}

OWN = (
    "(an operation of your own: list its file under `plugins` in the configuration, or give it to `zerocross activations` "
    "as --plugins FILE)"
)
"""The remedy where no built-in operation was meant."""


def register_operation(
    name: str,
    function: Callable[..., Tensor],
    arity: int = 1,
    initial: tuple[float, ...] = (),
    *,
    bounds: Callable[..., Interval] | None = None,
    description: str = "",
) -> Operation:
    """Register an operation by name, for expressions and for search spaces.

    Args:
        name: A letter, then letters, digits or underscores.
        function: Elementwise function of `arity` tensors and one tensor for each learnable parameter.
        arity: 1 or 2.
        initial: Initial values of its learnable per-channel parameters.
        bounds: See `Operation`.
        description: Formula.

    Returns:
        The operation. Registering a name again replaces a user's operation, never a built-in one.

    Raises:
        ModelError: If the name is invalid, a built-in operation has it, or the arity is not 1 or 2.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ModelError(f"operation name {name!r}: use a letter, then letters, digits or underscores")
    if name == "number" or (name in OPERATIONS and OPERATIONS[name] in BUILT_IN):
        raise ModelError(f"operation name {name!r} is taken by a built-in operation: choose another")
    if arity not in (1, 2):
        raise ModelError(f"operation {name!r}: arity must be 1 or 2, not {arity}")
    operation = Operation(
        name,
        arity,
        function,
        tuple(float(value) for value in initial),
        None,
        bounds,
        description,
    )
    if name in OPERATIONS:
        for forget in _FORGET:
            forget()
    OPERATIONS[name] = operation
    return operation


def forget_by(forget: Callable[[], None]) -> None:
    """Have a function called when a user's operation is replaced: what is known by its name is no longer true."""
    _FORGET.append(forget)


_FORGET: list[Callable[[], None]] = []


def get_operation(name: str) -> Operation:
    """Return an operation by name.

    Raises:
        ModelError: For an unknown name; the message has the nearest known names.
    """
    if name in OPERATIONS:
        return OPERATIONS[name]
    raise ModelError(f"unknown operation {name!r}: {nearest(name, OPERATIONS)} {OWN}")


def is_own_operation(name: str) -> bool:
    """Return whether a user registered the operation."""
    return name in OPERATIONS and OPERATIONS[name] not in BUILT_IN


def _increasing(function: Callable[[float], float]) -> Callable[[Interval], Interval]:
    return lambda a: (function(a[0]), function(a[1]))


def _square_bounds(a: Interval) -> Interval:
    ends = (a[0] * a[0], a[1] * a[1])
    return (0.0 if a[0] <= 0 <= a[1] else min(ends), max(ends))


def _abs_bounds(a: Interval) -> Interval:
    ends = (abs(a[0]), abs(a[1]))
    return (0.0 if a[0] <= 0 <= a[1] else min(ends), max(ends))


def _sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value)) if value > -700 else 0.0


def _add_bounds(a: Interval, b: Interval) -> Interval:
    return (a[0] + b[0], a[1] + b[1])


def _sub_bounds(a: Interval, b: Interval) -> Interval:
    return (a[0] - b[1], a[1] - b[0])


def _mul_bounds(a: Interval, b: Interval) -> Interval:
    # 0 * infinity is 0 here: an unbounded factor is finite at every point.
    products = [0.0 if 0.0 in (u, v) else u * v for u in a for v in b]
    return (min(products), max(products))


def _div_bounds(a: Interval, b: Interval) -> Interval:
    low, high = b[0] + EPSILON, b[1] + EPSILON
    if low <= 0 <= high:
        return (0.0, 0.0) if a == (0.0, 0.0) else REALS
    return _mul_bounds(a, (1 / high, 1 / low))


def _ratio_bounds(a: Interval, b: Interval) -> Interval:
    return _div_bounds(a, _add_bounds(a, b))


def _mix_bounds(a: Interval, b: Interval) -> Interval:
    return (0.0, 0.0) if a == b == (0.0, 0.0) else REALS


def _constant(low: float, high: float) -> Callable[..., Interval]:
    return lambda *operands: (low, high)


_KNOTS = tuple(place / 2 for place in range(-8, 9))
"""Knots of `row`: every sum that a sparse layer of up to 16 inputs can have is at a knot, or has one for itself."""


def _row(x: Tensor, *values: Tensor) -> Tensor:
    result = values[0]
    for place, before, after in zip(_KNOTS, values, values[1:], strict=False):
        result = result + (after - before) * torch.clamp(2 * (x - place), 0.0, 1.0)
    return result


_UNARY: tuple[Operation, ...] = (
    Operation("x", 0, lambda: torch.empty(0), (), 0, description="x"),
    Operation("zero", 0, lambda: torch.tensor(0.0), (), 1, bounds=_constant(0, 0), description="0"),
    Operation("square", 1, torch.square, (), 2, bounds=_square_bounds, description="x^2"),
    Operation(
        "cube", 1, lambda x: x * x * x, (), 3, bounds=_increasing(lambda v: v * v * v), description="x^3"
    ),
    Operation(
        "root",
        1,
        lambda x: torch.sign(x) * torch.sqrt(torch.abs(x) + EPSILON),
        (),
        4,
        bounds=_increasing(lambda v: math.copysign(math.sqrt(abs(v) + EPSILON), v) if v else 0.0),
        description="sgn(x) sqrt(|x| + 1e-8)",
    ),
    Operation("log", 1, lambda x: torch.log(torch.abs(x) + EPSILON), (), 5, description="log(|x| + 1e-8)"),
    Operation("sin", 1, torch.sin, (), 6, bounds=_constant(-1, 1), description="sin x"),
    Operation("cos", 1, torch.cos, (), 7, bounds=_constant(-1, 1), description="cos x"),
    Operation(
        "sigmoid", 1, torch.sigmoid, (), 8, bounds=_increasing(_sigmoid), description="1 / (1 + exp(-x))"
    ),
    Operation("tan", 1, torch.tan, (), 9, description="tan x"),
    Operation("atan", 1, torch.atan, (), 10, bounds=_increasing(math.atan), description="arctan x"),
    Operation("erf", 1, torch.erf, (), 11, bounds=_increasing(math.erf), description="erf x"),
    Operation(
        "erfc",
        1,
        torch.erfc,
        (),
        12,
        bounds=lambda a: (math.erfc(a[1]), math.erfc(a[0])),
        description="1 - erf x",
    ),
    Operation(
        "laplace",
        1,
        lambda x: torch.exp(EPSILON - torch.abs(x)),
        (),
        13,
        bounds=_constant(0, math.exp(EPSILON)),
        description="exp(-|x| + 1e-8)",
    ),
    Operation(
        "gauss", 1, lambda x: torch.exp(-(x * x)), (), 14, bounds=_constant(0, 1), description="exp(-x^2)"
    ),
    Operation(
        "relu", 1, torch.relu, (), 15, bounds=_increasing(lambda v: max(v, 0.0)), description="max(x, 0)"
    ),
    Operation(
        "negpart",
        1,
        lambda x: torch.clamp(x, max=0.0),
        (),
        16,
        bounds=_increasing(lambda v: min(v, 0.0)),
        description="min(x, 0)",
    ),
    Operation("abs", 1, torch.abs, (), 17, bounds=_abs_bounds, description="|x|"),
    Operation("neg", 1, torch.neg, (), 18, bounds=lambda a: (-a[1], -a[0]), description="-x"),
    Operation(
        "scale",
        1,
        lambda x, s: s * x,
        (1.0,),
        19,
        bounds=lambda a: a if a == (0.0, 0.0) else REALS,
        description="s x, s learnable from 1",
    ),
    Operation("shift", 1, lambda x, b: x + b, (0.0,), 20, description="x + b, b learnable from 0"),
    Operation("learned", 0, lambda s: s, (1.0,), 21, description="s, learnable from 1"),
)

_BINARY: tuple[Operation, ...] = (
    Operation("add", 2, torch.add, (), 0, _add_bounds, "a + b"),
    Operation("sub", 2, torch.sub, (), 1, _sub_bounds, "a - b"),
    Operation("mul", 2, torch.mul, (), 2, _mul_bounds, "a b"),
    Operation("div", 2, lambda a, b: a / (b + EPSILON), (), 3, _div_bounds, "a / (b + 1e-8)"),
    Operation("ratio", 2, lambda a, b: a / (a + b + EPSILON), (), 4, _ratio_bounds, "a / (a + b + 1e-8)"),
    Operation("max", 2, torch.maximum, (), 5, lambda a, b: (max(a[0], b[0]), max(a[1], b[1])), "max(a, b)"),
    Operation("min", 2, torch.minimum, (), 6, lambda a, b: (min(a[0], b[0]), min(a[1], b[1])), "min(a, b)"),
    Operation(
        "gate",
        2,
        lambda a, b: a * torch.sigmoid(b),
        (),
        7,
        lambda a, b: _mul_bounds(a, (_sigmoid(b[0]), _sigmoid(b[1]))),
        "a sigmoid(b)",
    ),
    Operation(
        "gaussdiff",
        2,
        lambda a, b: torch.exp(-((a - b) ** 2)),
        (),
        8,
        _constant(0, 1),
        "exp(-(a - b)^2)",
    ),
    Operation(
        "expdiff", 2, lambda a, b: torch.exp(-torch.abs(a - b)), (), 9, _constant(0, 1), "exp(-|a - b|)"
    ),
    Operation(
        "mix",
        2,
        lambda a, b, g: g * a + (1 - g) * b,
        (1.0,),
        10,
        _mix_bounds,
        "g a + (1 - g) b, g learnable from 1",
    ),
)

_FURTHER: tuple[Operation, ...] = (
    Operation(
        "prelu",
        1,
        lambda x, s: torch.relu(x) + s * torch.clamp(x, max=0.0),
        (0.25,),
        bounds=lambda a: a if a[0] >= 0 else REALS,
        description="max(x, 0) + s min(x, 0), s learnable from 0.25",
    ),
    Operation(
        "row",
        1,
        _row,
        _KNOTS,
        description="lines between learnable values at -4, -3.5, ..., 4, from f(x) = x; constant outside",
    ),
)

BUILT_IN: tuple[Operation, ...] = _UNARY + _BINARY + _FURTHER
OPERATIONS.update({operation.name: operation for operation in BUILT_IN})

GAAF_UNARY: tuple[str, ...] = tuple(operation.name for operation in _UNARY)
"""Names of the unary operations, by GAAF's code."""

GAAF_BINARY: tuple[str, ...] = tuple(operation.name for operation in _BINARY)
"""Names of the binary operations, by GAAF's code."""
