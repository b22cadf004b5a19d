"""Whether a searched activation beats the plain sign and its controls, with the significance over training seeds."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev, variance

from scipy.stats import t, ttest_ind

from zerocross.reports.pareto import nondominated
from zerocross.reports.records import Control, Evaluation, Finalist
from zerocross.reports.wording import control_text, count, is_of_tables

SIGNIFICANCE = 0.05
"""Largest p-value of Welch's t-test (one-sided) at which a difference is called significant."""


def p_value(better: Sequence[float], worse: Sequence[float]) -> float | None:
    """Return the one-sided p-value of Welch's t-test that `better` has the greater mean.

    It is None if the spread is unknown: with fewer than two seeds, or if neither side varies.
    """
    if min(len(better), len(worse)) < 2 or len({*better}) == len({*worse}) == 1:
        return None
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # one side may be constant
        return float(ttest_ind(better, worse, equal_var=False, alternative="greater").pvalue)


def least_difference(one: Sequence[float], other: Sequence[float], level: float) -> float:
    """Return the smallest difference of two means that Welch's test, one-sided, would call significant at a level.

    Args:
        one: At least two values.
        other: At least two values; not both sides are constant.
        level: Largest p-value, 0..1.
    """
    parts = [variance(values) / len(values) for values in (one, other)]
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (one, other), strict=True)
    )
    return float(t.ppf(1 - level, freedom)) * math.sqrt(sum(parts))


def verdict(
    front: Sequence[Finalist],
    references: Sequence[Finalist],
    objectives: Sequence[str],
    controls: Sequence[Control] = (),
    whole: Sequence[Evaluation] = (),
    lost: Sequence[str] = (),
) -> str:
    """Return what the final trainings show of the searched activations, and how many of them were not trained again.

    Args:
        front: Networks of the front that were trained again.
        references: Plain signs trained with the same seeds.
        objectives: Metrics that the search minimised.
        controls: Controls of the plain signs.
        whole: The search's whole front.
        lost: Ids of its networks whose final training failed.
    """
    trained = {finalist.id for finalist in front}
    searched = [e.id for e in whole if not (e.reference or is_of_tables(e))]
    missing = sum(name not in trained for name in searched)
    if missing and all(finalist.reference or is_of_tables(finalist) for finalist in front):
        networks, failed = count(missing, "network"), sum(name in lost for name in searched)
        why = (
            f": the final training of {failed} failed."
            if failed
            else ". A larger search.budget_minutes or final.networks trains more."
        )
        return (
            f"No verdict on activations: the search's front has {networks} with a searched activation, but none was trained "
            f"again{why}"
        )
    rest = f" {missing} of the front's {len(searched)} searched activations were not trained again."
    return _compared(front, references, objectives, controls) + (rest if missing else "")


def _compared(
    front: Sequence[Finalist],
    references: Sequence[Finalist],
    objectives: Sequence[str],
    controls: Sequence[Control],
) -> str:
    """Return whether a network of the front has both a lower test error and fewer LUTs than a plain sign.

    The verdict compares pairs of a network and a plain sign under two conditions:

    - no other plain sign dominates the plain sign;
    - the network is no worse in any other objective: a slow network does not beat a fast one.

    Networks of tables take no part: they have no activation. A network must also be more accurate than all controls of the
    plain sign. The largest p-value of these comparisons counts, which needs no correction. The pairs are alternatives, so
    Bonferroni's correction is for their number. The verdict names the pair with the smallest p-value, or reports that there
    is no such pair.
    """
    searched = [finalist for finalist in front if not (finalist.reference or is_of_tables(finalist))]
    if not searched and front and all(is_of_tables(finalist) for finalist in front):
        return "The networks of the front are tables, which have no activation to compare with a plain sign."
    if not searched:
        return "No searched activation is on the front, so the plain sign is not beaten."
    if not references:
        return "No plain sign could be trained, so there is no comparison."
    costs = list(dict.fromkeys(["lut", *(name for name in objectives if name != "error")]))
    points = [[-fmean(sign.validation), *(sign.metrics[name] for name in costs)] for sign in references]
    signs = [sign for sign, best in zip(references, nondominated(points), strict=True) if best]
    # Costs alone select the pairs: a test of accuracies that also selected the pairs would be biased.
    pairs = [
        _Pair(net, sign, [control for control in controls if control.sign == sign.id])
        for net in searched
        for sign in signs
        if net.metrics["lut"] < sign.metrics["lut"]
        and all(net.metrics[name] <= sign.metrics[name] for name in costs)
    ]
    many = "the best plain sign" if len(signs) == 1 else f"any of the {len(signs)} best plain signs"
    over_sign = [pair for pair in pairs if fmean(pair.net.test) > fmean(pair.sign.test)]
    if not over_sign:
        return (
            f"No network of the front beats {many} in both test accuracy and LUT without being worse in another "
            f"objective (over {_seeds(searched[0])})."
        )
    better = [pair for pair in over_sign if pair.beats_controls]
    pair = min(better or over_sign, key=_Pair.order)
    net, sign, best = pair.net, pair.sign, pair.best_control
    control = "" if best is None else f"the plain sign with {control_text(best.name)} ({_percent(best.test)})"
    network = (
        f"{net.expression} ({_percent(net.test)} test accuracy, {net.metrics['lut']:,.0f} LUT estimated)"
    )
    plain = f"the plain sign ({_percent(sign.test)}, {sign.metrics['lut']:,.0f} LUT)"
    if not better:
        return (
            f"No activation of the front shows a gain of its own, over {_seeds(net)}. {network} beats {plain} in both, but "
            f"not {control} on the same hardware."
        )
    p = pair.p
    corrected = None if p is None else min(1.0, p * len(pairs))
    many_controls = "its control" if len(pair.controls) == 1 else f"its {len(pair.controls)} controls"
    difference = "the difference in accuracy" + (
        f" from the plain sign and {many_controls}" if pair.controls else ""
    )
    test = ""
    if corrected is not None:
        for_pairs = f", Bonferroni-corrected for {len(pairs)} pairs" if len(pairs) > 1 else ""
        test = f"over training seeds (Welch's t-test, one-sided p = {corrected:.2g}{for_pairs})"
    if corrected is not None and corrected >= SIGNIFICANCE:
        ahead = f", and more accuracy than its best control, {control}" if best is not None else ""
        return (
            "No activation of the front beats the plain sign significantly. "
            f"{network} has more accuracy and fewer LUTs than {plain}{ahead}, "
            f"over {_seeds(net)}, but {difference} is not significant {test}. With this spread, "
            f"{100 * pair.least_difference(SIGNIFICANCE / len(pairs)):.1f} points would be."
        )
    ahead = f", and its best control, {control}, in accuracy" if best is not None else ""
    text = f"{network} beats {plain} in both{ahead}, over {_seeds(net)}."
    if corrected is None:
        return f"{text} These seeds do not allow a significance test."
    return f"{text} {difference[0].upper()}{difference[1:]} is significant {test}."


@dataclass(frozen=True)
class _Pair:
    """A network, a plain sign that costs more, and the controls of the plain sign."""

    net: Finalist
    sign: Finalist
    controls: list[Control]

    @property
    def best_control(self) -> Control | None:
        """The control with the greatest mean test accuracy, or None if there is no control."""
        return max(self.controls, key=lambda control: fmean(control.test), default=None)

    @property
    def beats_controls(self) -> bool:
        """Whether the network is more accurate than every control."""
        return all(fmean(self.net.test) > fmean(control.test) for control in self.controls)

    @property
    def p(self) -> float | None:
        """The largest p-value against the plain sign and its controls, or None if one of them is unknown."""
        others: list[Finalist | Control] = [self.sign, *self.controls]
        found = [p_value(self.net.test, other.test) for other in others]
        known = [p for p in found if p is not None]
        return max(known) if len(known) == len(found) else None

    def least_difference(self, level: float) -> float:
        """Return the smallest difference that would be significant against the plain sign and all its controls."""
        others: list[Finalist | Control] = [self.sign, *self.controls]
        return max(least_difference(self.net.test, other.test, level) for other in others)

    def order(self) -> tuple[float, float]:
        """Return what the pair to name has the least of."""
        return 1.0 if self.p is None else self.p, -fmean(self.net.test)


def _percent(values: Sequence[float]) -> str:
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * fmean(values):.1f}{spread} %"


def _seeds(finalist: Finalist) -> str:
    count = len(finalist.seeds)
    return f"{count} seed" + ("s" if count != 1 else "")
