"""Errors in a user's input that make it impossible to build a network."""

import difflib
from collections.abc import Iterable

_SHOWN = 100


class ModelError(ValueError):
    """A bad expression, topology or data set; the message names the part and the remedy."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown name: the nearest known names, or all known names."""
    known = list(known)
    near = difflib.get_close_matches(name[:_SHOWN], known, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its kind if it has none; at most 300 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def shown(value: object) -> str:
    """Return a value of a user for a message, cut to 100 characters."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a very long number"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
