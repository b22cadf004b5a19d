"""Does a searched activation beat the plain sign? Said in a sentence, and only as far as the seeds allow."""

from collections.abc import Sequence
from statistics import fmean, stdev

from scipy.stats import ttest_ind

from reports.pareto import nondominated
from reports.records import Finalist

SIGNIFICANCE = 0.05
"""Largest p-value of Welch's t-test (one-sided) at which a difference is called significant."""


def p_value(better: Sequence[float], worse: Sequence[float]) -> float | None:
    """Return the one-sided p-value of Welch's t-test that `better` has the greater mean, None below two seeds."""
    if min(len(better), len(worse)) < 2:
        return None
    if len({*better}) == len({*worse}) == 1:
        return 0.0 if fmean(better) > fmean(worse) else 1.0
    return float(ttest_ind(better, worse, equal_var=False, alternative="greater").pvalue)


def verdict(front: Sequence[Finalist], references: Sequence[Finalist], objectives: Sequence[str]) -> str:
    """Return whether a network of the front has both a lower test error and fewer LUTs than a plain sign.

    Only plain signs count that no other plain sign dominates, and only where the network is no worse in any other
    objective: a slow network has not beaten a fast one. Of all such pairs the one with the smallest p-value is
    told; without one it is said that there is none.

    Args:
        front: networks of the front, plain signs among them or not.
        references: plain signs trained with the same seeds.
        objectives: what the search minimised.
    """
    searched = [finalist for finalist in front if not finalist.reference]
    if not searched:
        return "No searched activation is on the front: the plain sign is not beaten here."
    if not references:
        return "No plain sign could be trained to compare with."
    costs = list(dict.fromkeys(["lut", *(name for name in objectives if name != "error")]))
    points = [[-fmean(sign.validation), *(sign.metrics[name] for name in costs)] for sign in references]
    signs = [sign for sign, best in zip(references, nondominated(points), strict=True) if best]
    pairs = [
        (p_value(net.test, sign.test), net, sign)
        for net in searched
        for sign in signs
        if fmean(net.test) > fmean(sign.test)
        and net.metrics["lut"] < sign.metrics["lut"]
        and all(net.metrics[name] <= sign.metrics[name] for name in costs)
    ]
    if not pairs:
        return (
            f"No network of the front beats any of the {len(signs)} best plain signs in both test accuracy and LUT, "
            f"over {_seeds(searched[0])}."
        )
    p, net, sign = min(pairs, key=lambda pair: (1.0 if pair[0] is None else pair[0], -fmean(pair[1].test)))
    text = (
        f"{net.expression} ({_percent(net.test)} test accuracy, {net.metrics['lut']:,.0f} LUT estimated) beats the "
        f"plain sign ({_percent(sign.test)}, {sign.metrics['lut']:,.0f} LUT) in both, over {_seeds(net)}; "
    )
    if p is None:
        return text + "one seed says nothing of significance."
    # The best of many pairs looks better than it is: Bonferroni's correction asks for that much more.
    significant = "significant" if p * len(pairs) < SIGNIFICANCE else "not significant"
    many = f", Bonferroni-corrected for {len(pairs)} such pairs" if len(pairs) > 1 else ""
    return text + (
        f"the difference in accuracy is {significant} (Welch's t-test, one-sided p = {min(1.0, p * len(pairs)):.2g}{many})."
    )


def _percent(values: Sequence[float]) -> str:
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * fmean(values):.1f}{spread} %"


def _seeds(finalist: Finalist) -> str:
    count = len(finalist.seeds)
    return f"{count} seed" + ("s" if count != 1 else "")
