"""Configuration values that may be genes of the search: one value, or several to choose from.

A field of type `Choice[T]` takes a T or, in YAML, `{choose: [...]}` of Ts, which becomes a `Choose`. Pydantic checks every
alternative like a single value.
"""

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
"""Names of the forms of a value. Pydantic puts them into the place of an error; `TAGS` tells them from names of fields."""

TAGS = frozenset({ONE, SEVERAL, LIST, MAPPING})


@dataclass(frozen=True)
class Choose(Generic[T]):
    """Several values, one of which the search chooses.

    Attributes:
        choose: the values, at least one.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    choose: Annotated[list[T], Field(min_length=1)]


def _form(value: Any) -> str:
    return SEVERAL if isinstance(value, Choose) or (isinstance(value, dict) and "choose" in value) else ONE


def _nested_form(value: Any) -> str:
    if _form(value) == SEVERAL:
        return SEVERAL
    return LIST if isinstance(value, list) else MAPPING if isinstance(value, dict) else ONE


Choice = Annotated[
    Annotated[T, Tag(ONE)] | Annotated[Choose[T], Tag(SEVERAL)],
    Discriminator(_form),
]
"""One T, or several to choose from."""

if TYPE_CHECKING:  # mypy follows no recursive alias of this form
    Nested = Any
else:
    Nested = TypeAliasType(
        "Nested",
        Annotated[
            Annotated[Choose[Any], Tag(SEVERAL)]
            | Annotated[list["Nested"], Tag(LIST)]
            | Annotated[dict[str, "Nested"], Tag(MAPPING)]
            | Annotated[Any, Tag(ONE)],
            Discriminator(_nested_form),
        ],
    )
"""Any value of YAML, with choices wherever a value may stand, inside lists and mappings too."""


def _read(text: Any) -> Any:
    try:
        return float(text) if isinstance(text, str) else text
    except ValueError:
        return text


def _as_given(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    checked = check(value)
    return value if isinstance(value, int) else checked


Count = Annotated[int, Field(strict=True, gt=0)]
"""A positive integer."""

Positive = Annotated[
    float,
    Field(strict=True, gt=0, allow_inf_nan=False),
    WrapValidator(_as_given),
    BeforeValidator(_read),
]
"""A positive number. A whole one stays an integer; `5e-3`, which YAML 1.1 reads as text, is a number."""


def alternatives(value: T | Choose[T]) -> list[T]:
    """Return the values that a configuration value stands for."""
    return list(value.choose) if isinstance(value, Choose) else [value]
