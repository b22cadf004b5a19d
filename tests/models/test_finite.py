"""Gradients that are not finite, against the derivatives of torch and numpy."""

import math

import pytest
import torch
from torch import nn

from zerocross.models.expressions import parse
from zerocross.models.finite import cause, expression_gap, gradient_gap, operation_gap
from zerocross.models.layers import ActivationSlot
from zerocross.models.operations import BUILT_IN, Operation
from zerocross.models.presets import PRESETS

FINITE = [operation for operation in BUILT_IN if operation.arity]


@pytest.mark.parametrize("operation", FINITE, ids=lambda operation: operation.name)
def test_gradients_of_built_in_operations_are_finite(operation: Operation) -> None:
    assert operation_gap(operation) is None


@pytest.mark.parametrize("name", PRESETS)
def test_gradients_of_presets_are_finite(name: str) -> None:
    assert expression_gap(parse(PRESETS[name][0])) is None


@pytest.mark.parametrize(
    ("operation", "place"),
    [
        (Operation("a", 1, lambda x: torch.asin(torch.sin(x))), (math.pi / 2,)),
        (Operation("a", 1, lambda x, s: torch.asin(torch.sin(s * x)), (2.0,)), (math.pi / 4,)),
        (Operation("a", 1, lambda x, s: torch.asin(0.999 * torch.sin(s * x)), (1.0,)), None),
        (Operation("a", 1, torch.sqrt), (0.0,)),
        (Operation("a", 1, torch.acos), (1.0,)),
        (Operation("a", 1, lambda x: torch.where(x > 0, torch.log(x), x)), (0.0,)),  # 0 * infinity
        (Operation("a", 1, lambda x, s: x + s.sqrt(), (0.0,)), (0.0,)),  # by the parameter
        (Operation("a", 1, lambda x: (x >= 0).to(x)), None),  # no gradient
        (Operation("a", 2, torch.hypot), (0.0, 0.0)),
        (Operation("a", 2, lambda a, b: torch.sqrt(a * a + b * b + 1e-8)), None),
    ],
)
def test_gaps_are_found_where_they_are(operation: Operation, place: tuple[float, ...] | None) -> None:
    found = operation_gap(operation)
    assert found == (None if place is None else pytest.approx(place))


def test_the_first_of_the_given_values_counts() -> None:
    assert gradient_gap(torch.sqrt, [torch.tensor([1.0, -1.0, 0.0])]) == (-1.0,)


def test_a_cause_blames_no_activation_without_a_reason() -> None:
    plain, sine = ActivationSlot(2), ActivationSlot(2, parse("sin(x)"))
    assert cause(nn.Sequential(plain)) == "a gradient was not finite"
    assert cause(nn.Sequential(sine, plain)) == "a gradient through the activation sin(x) was not finite"
