"""Controls: plain signs that train in another way, so that an activation is credited only with what it alone brings.

Much of what an activation adds to a binary network a plain sign can have too, on the same hardware: another start of its
thresholds, or another surrogate gradient.
"""

from collections.abc import Sequence
from dataclasses import replace

from zerocross.hw_search.space import Candidate
from zerocross.models.expressions import parse

SHIFTED = parse("sub(x, 0.65)")
"""A plain sign whose thresholds start elsewhere: batch norm's learnable shift can undo it."""


def controls(sign: Candidate, names: Sequence[str]) -> dict[str, Candidate]:
    """Return the controls of a plain sign by name.

    A surrogate gradient is no control where the sign has it already, or where training uses none. A network of tables has no
    controls, because it has no activations.

    Args:
        sign: The plain sign.
        names: Controls of `final.controls`.
    """
    found = dict[str, Candidate]()
    if not sign.has_activations:
        return found
    for name in names:
        if name == "shifted":
            found[name] = sign.with_expressions((SHIFTED,))
        elif sign.training["method"] == "straight_through" and sign.training["surrogate"] != name:
            training = {**sign.training, "surrogate": name, "surrogate_width": None}
            found[name] = replace(sign, training=training)
    return found
