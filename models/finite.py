"""Gradients of activations that are not finite: where, and in which activation of a network.

One such gradient makes all weights before the activation NaN, also where the sign's surrogate gradient is 0, because
0 * infinity is NaN.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn

from zerocross.models.activation import ActivationFunction, evaluate
from zerocross.models.canonical import GRID_LIMIT
from zerocross.models.expressions import Expression, X
from zerocross.models.operations import Operation

_POINTS = 400
_PAIRS = 60


@lru_cache(maxsize=1)
def _points() -> Tensor:
    """Return some hundred values, from 0 outwards: a grid, and where functions often have gaps or corners."""
    grid = torch.linspace(-GRID_LIMIT, GRID_LIMIT, _POINTS + 1, dtype=torch.float64)
    halves = torch.arange(-16, 17, dtype=torch.float64) / 2
    angles = torch.arange(-10, 11, dtype=torch.float64) * (math.pi / 4)
    values = torch.unique(torch.cat([grid, halves, angles])).flip(0)
    return values[values.abs().argsort(stable=True)].float()


def gradient_gap(
    function: Callable[..., Tensor], operands: Sequence[Tensor], initial: Sequence[float] = ()
) -> tuple[float, ...] | None:
    """Return the operands at which a gradient of a function is not finite; None if there are no such operands.

    Args:
        function: Elementwise function of the operands and of its learnable parameters.
        operands: Values of each operand, of equal shapes (N,). The first point found is returned.
        initial: Values of the learnable parameters; the gradients by them count too.
    """
    inputs = [operand.clone().requires_grad_() for operand in operands]
    inputs += [torch.full_like(operands[0], value, requires_grad=True) for value in initial]
    with torch.enable_grad():
        value = function(*inputs)
        if not value.requires_grad:
            return None
        gradients = torch.autograd.grad(value.sum(), inputs, allow_unused=True)
    wrong = torch.zeros_like(operands[0], dtype=torch.bool)
    for gradient in gradients:
        if gradient is not None:
            wrong |= ~torch.isfinite(gradient)
    if not bool(wrong.any()):
        return None
    place = int(wrong.int().argmax())
    return tuple(float(operand[place]) for operand in operands)


def operation_gap(operation: Operation) -> tuple[float, ...] | None:
    """Return operands at which a gradient of an operation is not finite, with initial parameters; None if none is found."""
    values = _points()
    if operation.arity == 2:
        few = values[:: max(1, len(values) // _PAIRS)]
        values = torch.cartesian_prod(few, few)
        return gradient_gap(operation.function, [values[:, 0], values[:, 1]], operation.initial)
    return gradient_gap(operation.function, [values], operation.initial)


def expression_gap(expression: Expression) -> float | None:
    """Return a value at which a gradient of an expression is not finite, with initial parameters; None if none is found."""

    def function(x: Tensor, *learned: Tensor) -> Tensor:
        return evaluate(expression, x, learned)

    found = gradient_gap(function, [_points()], expression.initial_parameters())
    return None if found is None else found[0]


def cause(model: nn.Module) -> str:
    """Return what made parameters of a network infinite or NaN, as the beginning of a sentence."""
    functions = [module.expression for module in model.modules() if isinstance(module, ActivationFunction)]
    for expression in dict.fromkeys(reversed(functions)):  # gradients come from behind
        try:
            place = expression_gap(expression)
        except Exception:  # a user's operation may raise anything, for example on another device
            continue
        if place is not None:
            return f"the gradient of the activation {expression} is not finite, such as at x = {place:.4g}"
    others = [str(expression) for expression in dict.fromkeys(functions) if expression != X]
    if not others:
        return "a gradient was not finite"
    return f"a gradient through the activation {' or '.join(others)} was not finite"
