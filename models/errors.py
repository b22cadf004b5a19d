"""Errors in a user's input that make it impossible to build a network."""

import difflib
from collections.abc import Iterable


class ModelError(ValueError):
    """A bad expression, topology or data set; the message names the part and the remedy."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown name: the nearest known names, or all known names."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
