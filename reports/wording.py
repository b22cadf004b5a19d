"""Numbers as text for users. An accuracy always includes the number of seeds and the spread."""

import math
import shlex
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

UNKNOWN = "\u2013"


class Network(Protocol):
    """What names a network: a candidate of a search, or a network of its front."""

    @property
    def expression(self) -> str:
        """Its activation."""

    @property
    def reference(self) -> bool:
        """Whether it is a plain sign."""


def number(value: float | None) -> str:
    """Return a number with thousands separators, and one decimal if it is a fraction below 10."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 10 else f"{value:,.1f}"


def percent(fraction: float | None) -> str:
    """Return a fraction as a percentage: 0.9213 is "92.13%"."""
    return UNKNOWN if fraction is None or not math.isfinite(fraction) else f"{100 * fraction:.2f}%"


def signed(value: float) -> str:
    """Return a difference with its sign; negative differences have a typographic minus."""
    if value == 0:
        return "±0"
    return ("+" if value > 0 else "\u2212") + number(abs(value))


def count(amount: int, noun: str, plural: str | None = None) -> str:
    """Return an amount with its noun: "1 seed", "5 seeds"."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"


def deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation (n - 1), or None for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def accuracy(values: Sequence[float]) -> str:
    """Return the mean, standard deviation and number of seeds of an accuracy: "92.13 ± 0.41% (5 seeds)"."""
    if not values:
        return "not measured (0 seeds)"
    mean, spread = statistics.fmean(values), deviation(values)
    if spread is None:
        return f"{percent(mean)} (1 seed, no spread)"
    return f"{100 * mean:.2f} ± {100 * spread:.2f}% ({count(len(values), 'seed')})"


def duration(seconds: float) -> str:
    """Return a time span in its two largest units: "2 h 5 min", "3 min 12 s"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def choices(genes: Mapping[str, Any]) -> str:
    """Return the genes other than the activation: "topology.hidden = [64, 64], folding.target_cycles = 64"."""
    return ", ".join(f"{path} = {_plain(value)}" for path, value in genes.items()) or "no other choices"


def short_choices(genes: Mapping[str, Any]) -> str:
    """Return the genes for a narrow column, without their sections: "hidden [64, 64], target_cycles 64"."""
    return ", ".join(f"{path.rpartition('.')[2]} {_plain(value)}" for path, value in genes.items())


def _plain(value: Any) -> str:
    """Return a value as a configuration writes it: a mapping as "name: value, ..."."""
    return (
        ", ".join(f"{name}: {entry}" for name, entry in value.items())
        if isinstance(value, dict)
        else str(value)
    )


def activation(network: Network) -> str:
    """Return the activation of a network as users read it: its expression, or "plain sign", or "tables" in its place."""
    if is_of_tables(network):
        return "tables"
    return "plain sign" if network.reference else network.expression


def is_of_tables(network: Network) -> bool:
    """Return whether a network has no activation, because its neurons are tables.

    Its expression is recorded as x, but it is no plain sign.
    """
    return network.expression == "x" and not network.reference


def expressions(text: str) -> str:
    """Return the activations of a build, "a | b", as users read them: "plain sign" if all of them are x."""
    return "plain sign" if set(text.split(" | ")) == {"x"} else text


def build_command(folder: Path, pick: str) -> str:
    """Return the command that builds a network of a run's folder."""
    return f"zerocross build {shlex.quote(str(folder))} --pick {pick} --target ulx3s-85f"


def control_text(name: str) -> str:
    """Return what sets a control apart from the plain sign, such as "a shifted start"."""
    return "a shifted start" if name == "shifted" else f"the surrogate gradient {name}"
