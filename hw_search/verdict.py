"""One sentence on whether a searched activation beats the plain sign, with its significance over training seeds."""

from collections.abc import Sequence
from statistics import fmean, stdev

from scipy.stats import ttest_ind

from zerocross.reports.pareto import nondominated
from zerocross.reports.records import Finalist

SIGNIFICANCE = 0.05
"""Largest p-value of Welch's t-test (one-sided) at which a difference is called significant."""


def p_value(better: Sequence[float], worse: Sequence[float]) -> float | None:
    """Return the one-sided p-value of Welch's t-test that `better` has the greater mean.

    It is None if the spread is unknown: with fewer than two seeds, or if neither side varies.
    """
    if min(len(better), len(worse)) < 2 or len({*better}) == len({*worse}) == 1:
        return None
    return float(ttest_ind(better, worse, equal_var=False, alternative="greater").pvalue)


def verdict(front: Sequence[Finalist], references: Sequence[Finalist], objectives: Sequence[str]) -> str:
    """Return whether a network of the front has both a lower test error and fewer LUTs than a plain sign.

    The verdict compares pairs of a network and a plain sign under two conditions:

    - no other plain sign dominates the plain sign;
    - the network is no worse in any other objective: a slow network does not beat a fast one.

    The verdict names the pair with the smallest p-value, or reports that there is no such pair.

    Args:
        front: Networks of the front, with or without plain signs.
        references: Plain signs trained with the same seeds.
        objectives: Metrics that the search minimised.
    """
    searched = [finalist for finalist in front if not finalist.reference]
    if not searched:
        return "No searched activation is on the front, so the plain sign is not beaten."
    if not references:
        return "No plain sign could be trained, so there is no comparison."
    costs = list(dict.fromkeys(["lut", *(name for name in objectives if name != "error")]))
    points = [[-fmean(sign.validation), *(sign.metrics[name] for name in costs)] for sign in references]
    signs = [sign for sign, best in zip(references, nondominated(points), strict=True) if best]
    # Costs alone select the pairs: a test of accuracies that also selected the pairs would be biased.
    pairs = [
        (net, sign)
        for net in searched
        for sign in signs
        if net.metrics["lut"] < sign.metrics["lut"]
        and all(net.metrics[name] <= sign.metrics[name] for name in costs)
    ]
    better = [
        (p_value(net.test, sign.test), net, sign) for net, sign in pairs if fmean(net.test) > fmean(sign.test)
    ]
    many = "the best plain sign" if len(signs) == 1 else f"any of the {len(signs)} best plain signs"
    if not better:
        return (
            f"No network of the front beats {many} in both test accuracy and LUT without being worse in another "
            f"objective (over {_seeds(searched[0])})."
        )
    p, net, sign = min(
        better, key=lambda entry: (1.0 if entry[0] is None else entry[0], -fmean(entry[1].test))
    )
    text = (
        f"{net.expression} ({_percent(net.test)} test accuracy, {net.metrics['lut']:,.0f} LUT estimated) beats the "
        f"plain sign ({_percent(sign.test)}, {sign.metrics['lut']:,.0f} LUT) in both, over {_seeds(net)}. "
    )
    if p is None:
        return text + "These seeds do not allow a significance test."
    corrected = min(1.0, p * len(pairs))
    significant = "significant" if corrected < SIGNIFICANCE else "not significant"
    for_pairs = f", Bonferroni-corrected for {len(pairs)} pairs" if len(pairs) > 1 else ""
    return text + (
        f"The difference in accuracy is {significant} over training seeds (Welch's t-test, one-sided "
        f"p = {corrected:.2g}{for_pairs})."
    )


def _percent(values: Sequence[float]) -> str:
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * fmean(values):.1f}{spread} %"


def _seeds(finalist: Finalist) -> str:
    count = len(finalist.seeds)
    return f"{count} seed" + ("s" if count != 1 else "")
