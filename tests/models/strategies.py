"""Hypothesis strategies and reference formulas that several test files share."""

import math
from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special

from zerocross.models.expressions import Expression, X
from zerocross.models.operations import BUILT_IN, GAAF_BINARY, GAAF_UNARY

Array = NDArray[np.float64]

KNOTS = np.arange(-4, 4.5, 0.5)
"""Places of the learnable values of `row`, and these values at the beginning."""

REFERENCE: dict[str, Callable[..., Array]] = {
    "x": lambda x: x,
    "prelu": lambda x, s: np.where(x > 0, x, s * x),
    "zero": lambda: np.float64(0),
    "square": lambda x: x**2,
    "cube": lambda x: x**3,
    "root": lambda x: np.sign(x) * np.sqrt(np.abs(x) + 1e-8),
    "log": lambda x: np.log(np.abs(x) + 1e-8),
    "sin": np.sin,
    "cos": np.cos,
    "sigmoid": special.expit,
    "tan": np.tan,
    "atan": np.arctan,
    "erf": special.erf,
    "erfc": special.erfc,
    "laplace": lambda x: np.exp(-np.abs(x) + 1e-8),
    "gauss": lambda x: np.exp(-(x**2)),
    "relu": lambda x: np.maximum(x, 0),
    "negpart": lambda x: np.minimum(x, 0),
    "abs": np.abs,
    "neg": lambda x: -x,
    "scale": lambda x, s: s * x,
    "shift": lambda x, b: x + b,
    "learned": lambda s: s,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / (b + 1e-8),
    "ratio": lambda a, b: a / (a + b + 1e-8),
    "max": np.maximum,
    "min": np.minimum,
    "gate": lambda a, b: a * special.expit(b),
    "gaussdiff": lambda a, b: np.exp(-((a - b) ** 2)),
    "expdiff": lambda a, b: np.exp(-np.abs(a - b)),
    "mix": lambda a, b, g: g * a + (1 - g) * b,
    "row": lambda x, *values: np.interp(x, KNOTS, values),
}
"""The formulas of the paper's code, written a second time in numpy and scipy."""

INITIAL = {"scale": 1.0, "shift": 0.0, "learned": 1.0, "mix": 1.0, "prelu": 0.25}
"""The operations with a learnable parameter, and its initial value; `row` has one for each knot."""

UNARY_CODES = (
    *("x", "zero", "square", "cube", "root", "log", "sin", "cos", "sigmoid", "tan", "atan", "erf", "erfc"),
    *("laplace", "gauss", "relu", "negpart", "abs", "neg", "scale", "shift", "learned"),
)
BINARY_CODES = ("add", "sub", "mul", "div", "ratio", "max", "min", "gate", "gaussdiff", "expdiff", "mix")


def reference(expression: Expression, x: Array, parameters: list[float] | list[Array]) -> Array:
    """Evaluate an expression by the formulas above; parameters are ordered operands first, left to right."""
    remaining = list(parameters)

    def visit(node: Expression) -> Array:
        if node.name == "x":
            return x
        if node.name == "number":
            return np.float64(node.value)
        operands = [visit(operand) for operand in node.operands]
        learned = [remaining.pop(0)] if node.name in INITIAL else []
        return REFERENCE[node.name](*operands, *learned)

    with np.errstate(all="ignore"):
        return np.broadcast_to(visit(expression), x.shape)


_LEAVES = st.sampled_from([X, X, X, Expression("zero"), Expression("learned")])
NUMBERS = st.one_of(
    st.integers(-1000, 1000).map(float), st.floats(allow_nan=False, allow_infinity=False)
).map(lambda value: Expression("number", (), value))


def expressions(
    names: list[str] | None = None, numbers: bool = True, size: int = 8
) -> st.SearchStrategy[Expression]:
    """Trees of any shape; optionally without numbers, or with some operations only."""
    allowed = set(names or (operation.name for operation in BUILT_IN))
    ones = sorted(set(GAAF_UNARY) & allowed - {"x", "zero", "learned"})
    twos = sorted(set(GAAF_BINARY) & allowed)
    leaves = _LEAVES if names is None else st.just(X)
    return st.recursive(
        st.one_of(leaves, NUMBERS) if numbers else leaves,
        lambda inner: st.one_of(
            st.builds(lambda name, a: Expression(name, (a,)), st.sampled_from(ones), inner),
            st.builds(lambda name, a, b: Expression(name, (a, b)), st.sampled_from(twos), inner, inner),
        ),
        max_leaves=size,
    )


def learnt(expression: Expression, rng: np.random.Generator, spread: float = 3.0) -> list[float]:
    """Parameters of any value."""
    count = len(expression.initial_parameters())
    return [float(value) for value in rng.normal(0, spread, count)]


def irregular(limit: float, points: int, seed: int = 7) -> Array:
    """Sorted points that do not coincide with any period."""
    rng = np.random.default_rng(seed)
    return np.sort(rng.uniform(-limit, limit, points)) + math.pi * 1e-4
