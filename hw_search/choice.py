"""Configuration values that may be genes of the search: one value, or several to choose from.

A field of type `Choice[T]` accepts a T or, in YAML, `{choose: [...]}` with a list of Ts, which becomes a `Choose`. Pydantic
checks every alternative like a single value. `{range: [low, high]}` is short for a list of values between two numbers.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from typing_extensions import TypeAliasType

T = TypeVar("T")

ONE, SEVERAL, LIST, MAPPING = "<one>", "<several>", "<list>", "<mapping>"
"""Names of the forms of a value. Pydantic includes them in the location of an error; `TAGS` allows removing them."""

TAGS = frozenset({ONE, SEVERAL, LIST, MAPPING})


@dataclass(frozen=True)
class Choose(Generic[T]):
    """Several values, from which the search chooses one.

    Attributes:
        choose: The values, at least one.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    choose: Annotated[list[T], Field(min_length=1)]


_STEPS = 16
_MOST_STEPS = 1000


def _spread(value: Any) -> Any:
    """Return the values of {range: [low, high], log: false, steps: 16} as {choose: [...]}; other values as they are.

    They have equal distances, or with `log` equal ratios. Between integers they are integers.
    """
    if not isinstance(value, dict) or "range" not in value:
        return value
    if extra := value.keys() - {"range", "log", "steps"}:
        raise ValueError(
            f"a range has the fields range, log and steps, not {', '.join(sorted(map(str, extra)))}"
        )
    ends, log, steps = value["range"], value.get("log", False), value.get("steps", _STEPS)
    ends = [_read(end) for end in ends] if isinstance(ends, list) else ends
    if not isinstance(ends, list) or len(ends) != 2 or any(type(end) not in (int, float) for end in ends):
        raise ValueError("range needs two numbers, such as {range: [0.001, 0.02], log: true}")
    low, high = ends
    if not low < high:
        raise ValueError(f"range must rise, not go from {low:g} to {high:g}")
    if not isinstance(log, bool) or (log and low <= 0):
        raise ValueError("log is true or false, and a range with log: true begins above 0")
    if type(steps) is not int or not 2 <= steps <= _MOST_STEPS:
        raise ValueError(f"steps must be a whole number from 2 to {_MOST_STEPS:,}")
    shares = [step / (steps - 1) for step in range(steps)]
    if log:
        between = [low * math.exp(share * math.log(high / low)) for share in shares]
    else:
        between = [low + share * (high - low) for share in shares]
    whole = type(low) is int and type(high) is int
    found = [round(number) if whole else float(f"{number:.4g}") for number in between]
    return {"choose": list(dict.fromkeys([low, *found[1:-1], high]))}


def _form(value: Any) -> str:
    several = isinstance(value, Choose) or (
        isinstance(value, dict) and ("choose" in value or "range" in value)
    )
    return SEVERAL if several else ONE


def _nested_form(value: Any) -> str:
    if _form(value) == SEVERAL:
        return SEVERAL
    return LIST if isinstance(value, list) else MAPPING if isinstance(value, dict) else ONE


Choice = Annotated[
    Annotated[T, Tag(ONE)] | Annotated[Choose[T], BeforeValidator(_spread), Tag(SEVERAL)],
    Discriminator(_form),
]
"""One T, or several to choose from."""

if TYPE_CHECKING:  # mypy does not support a recursive alias of this form
    Nested = Any
else:
    Nested = TypeAliasType(
        "Nested",
        Annotated[
            Annotated[Choose[Any], BeforeValidator(_spread), Tag(SEVERAL)]
            | Annotated[list["Nested"], Tag(LIST)]
            | Annotated[dict[str, "Nested"], Tag(MAPPING)]
            | Annotated[Any, Tag(ONE)],
            Discriminator(_nested_form),
        ],
    )
"""Any YAML value. Choices are allowed in place of any value, also inside lists and mappings."""


def _read(text: Any) -> Any:
    try:
        return float(text) if isinstance(text, str) else text
    except ValueError:
        return text


def _as_given(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    checked = check(value)
    return value if isinstance(value, int) else checked


MOST_EPOCHS = 100_000

MOST_SEED = 2**63 - 1
"""Largest seed. Trainings add their number to it; torch takes seeds of 64 bits."""

Count = Annotated[int, Field(strict=True, gt=0, le=10**12)]
"""A positive integer."""

CountOrNone = Annotated[int, Field(strict=True, ge=0)]
"""An integer of at least 0."""

Epochs = Annotated[int, Field(strict=True, gt=0, le=MOST_EPOCHS)]
"""A number of passes over the training data."""

Size = Annotated[int, Field(strict=True, gt=0, le=1_000_000)]
"""A positive number of samples, or of parallel parts of hardware."""

Positive = Annotated[
    float,
    Field(strict=True, gt=0, allow_inf_nan=False),
    WrapValidator(_as_given),
    BeforeValidator(_read),
]
"""A positive number. A whole number stays an integer. `5e-3`, which YAML 1.1 reads as text, is accepted as a number."""

NotNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False), BeforeValidator(_read)]
"""A number that is at least 0."""

Share = Annotated[float, Field(strict=True, ge=0, lt=1), BeforeValidator(_read)]
"""A share, at least 0 and below 1."""

Sharpness = Annotated[float, Field(strict=True, ge=1, allow_inf_nan=False), BeforeValidator(_read)]
"""A number that is at least 1."""


def alternatives(value: T | Choose[T]) -> list[T]:
    """Return all alternatives of a configuration value."""
    return list(value.choose) if isinstance(value, Choose) else [value]
