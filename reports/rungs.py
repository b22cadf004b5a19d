"""What a report says about the rungs of a search."""

from zerocross.reports.records import RungRecord
from zerocross.reports.wording import UNKNOWN

_NEAR_ZERO = 0.3
"""Correlation below which a rung hardly ranks."""


def brief(number: int, rung: RungRecord) -> str:
    """Return a rung's correlation in a few words.

    Args:
        number: Number of the rung, from 1.
        rung: The rung.
    """
    return f"rung {number} ranks by {correlation(rung.correlation)} ({rung.compared} compared)"


def sentence(number: int, rung: RungRecord) -> str:
    """Return a rung's length, its selection and its correlation in a sentence or two; arguments as for `brief`."""
    length = f"Rung {number} ({rung.epochs:.0%} of the epochs"
    length += ")" if rung.data == 1 else f", {rung.data:.0%} of the samples)"
    promoted = f"{length} let {rung.promoted:,} of {rung.tried:,} candidates go on"
    if rung.correlation is None:
        return f"{promoted}. How well it ranks is unknown: {rung.compared} of its candidates trained in full."
    text = f"{promoted}. It ranks like the whole training by {correlation(rung.correlation)}"
    if rung.interval is not None:
        text += f" ({' to '.join(correlation(end) for end in rung.interval)})"
    text += f", over {rung.compared:,} candidates, {rung.audited:,} of which it or a later rung had stopped."
    return f"{text} {remedy}" if (remedy := advice(rung)) else text


def advice(rung: RungRecord) -> str:
    """Return what to do about a rung that hardly ranks; nothing for another one."""
    if rung.correlation is None or rung.correlation >= _NEAR_ZERO:
        return ""
    return "This is close to chance: give the rungs more epochs or samples (search.rungs)."


def correlation(value: float | None) -> str:
    """Return a correlation with two decimals and a typographic minus."""
    return UNKNOWN if value is None else f"{value:.2f}".replace("-", "\u2212")
