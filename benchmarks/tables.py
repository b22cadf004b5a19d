"""Analyses tables: best functions, periodic functions, accuracy against crossings, and functions better than the plain sign.

    python benchmarks/tables.py docs/tables/digits.csv.gz [--figure FILE.png] [--fresh 20 [--also EXPRESSION ...]]
    python benchmarks/tables.py docs/tables/digits.csv.gz docs/tables/fashion.csv.gz [--fresh 20]

Functions are ranked by validation accuracy; the reported accuracy is that of the test set. Two tables of one space are
compared with each other. With --fresh N, the best functions (for two tables, the best of both) are trained again with N
seeds that no table has used. Prints Markdown.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from zerocross.hw_search.config import make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.evaluation import evaluate
from zerocross.hw_search.plugins import import_plugins
from zerocross.hw_search.space import Space
from zerocross.hw_search.tables.comparison import table_summary
from zerocross.hw_search.tables.table import Row, Table
from zerocross.hw_search.trainings import task
from zerocross.models.canonical import canonical_key
from zerocross.models.expressions import parse
from zerocross.reports.pareto import nondominated

PERIODIC = {"sin", "cos", "tan"}
LEVEL = 0.05
COMMON = 4
BEST = 8
"""Numbers of functions trained again: COMMON for two tables, BEST for one."""
ENOUGH = 200
"""Smallest number of functions for statistics about the best ones."""
FRESH = 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("other", type=Path, nargs="?")
    parser.add_argument("--figure", type=Path, help="also draw accuracy against cost (PNG)")
    parser.add_argument(
        "--fresh", type=int, default=0, help="number of fresh seeds to train the best functions with"
    )
    parser.add_argument(
        "--also", nargs="+", default=[], help="further functions to train again, for one table"
    )
    options = parser.parse_args()
    table = Table.load(options.table)
    if options.other:
        compare([table, Table.load(options.other)], options.fresh)
        return
    good = sorted(table.good, key=lambda row: row.objective("error"))
    print(table_summary(table).splitlines()[0] + "\n")
    best(table, good)
    beating(table, good)
    periodic(good)
    crossings(good)
    seeds(table)
    looks(table)
    if options.figure:
        draw(table, good, options.figure)
    if options.fresh:
        chosen = [row for row in good if row is not table.plain][:BEST]
        also = {canonical_key(parse(text)) for text in options.also}
        chosen += [row for row in good if row not in chosen and canonical_key(parse(row.expression)) in also]
        confirm(table, chosen, options.fresh)


def plain(table: Table) -> Row:
    """Return the plain sign's row."""
    if table.plain is None:
        raise SystemExit("the table has no plain sign to compare with")
    return table.plain


def interval(values: Sequence[float]) -> str:
    """Return the mean over seeds and its 95 % confidence interval, in per cent, as text."""
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values) if len(values) > 1 else float("nan")
    return f"{100 * np.mean(values):.1f} ± {100 * half:.1f}"


def best(table: Table, good: list[Row], count: int = 12) -> None:
    sign = plain(table)
    points = np.array([[row.objective("error"), row.objective("lut")] for row in good])
    front = [row for row, on in zip(good, nondominated(points), strict=True) if on]
    for title, rows in (
        ("The most accurate, by validation", good[:count]),
        ("The exact front of error and LUT", front),
    ):
        print(
            f"{title}:\n\n| activation | validation % | test %, 95 % interval | crossings per channel | LUT |"
        )
        print("| --- | --- | --- | --- | --- |")
        for row in [*rows, sign]:
            name = "plain sign" if row is sign else f"`{row.expression}`"
            validation = 100 - 100 * row.objective("error")
            print(
                f"| {name} | {validation:.1f} | {interval(row.test)} | {row.numbers['channel_crossings']:.1f} | "
                f"{row.numbers['lut']:,.0f} |"
            )
        print()


def beating(table: Table, good: list[Row]) -> None:
    sign = plain(table)
    others = [row for row in good if row is not sign]
    values = np.array(
        [
            stats.ttest_ind(row.test, sign.test, equal_var=False, alternative="greater").pvalue
            if np.std(row.test) + np.std(sign.test) > 0
            else 1.0
            for row in others
        ]
    )
    discovered = stats.false_discovery_control(np.nan_to_num(values, nan=1.0)) < LEVEL
    certain = values < LEVEL / len(others)
    above = sum(np.mean(row.test) > np.mean(sign.test) for row in others)
    print(
        f"Against the plain sign ({interval(sign.test)} %, {len(sign.test)} seeds): {above:,} of {len(others):,} functions "
        f"have a higher mean test accuracy; by Welch's one-sided test {(values < LEVEL).sum():,} at p < {LEVEL}, "
        f"{discovered.sum():,} with a false discovery rate of {LEVEL} (Benjamini-Hochberg), {certain.sum():,} after "
        "Bonferroni's correction.\n"
    )


def names(row: Row) -> set[str]:
    return {node.name for node in parse(row.expression).nodes()}


def periodic(good: list[Row]) -> None:
    marks = np.array([bool(names(row) & PERIODIC) for row in good])
    print("| functions that train | number | with sin, cos or tan | chance |\n| --- | --- | --- | --- |")
    for share in (1.0, 0.25, 0.1, 0.05, 0.01):
        top = max(1, round(share * len(good)))
        chance = stats.hypergeom.sf(marks[:top].sum() - 1, len(good), marks.sum(), top)
        label = "all" if share == 1 else f"most accurate {share:.0%}"
        text = "" if share == 1 else f"{chance:.2g}"
        print(f"| {label} | {top:,} | {marks[:top].mean():.0%} | {text} |")
    print(
        "\nChance: probability of at least as many periodic ones among as many functions drawn at random.\n"
    )


def crossings(good: list[Row]) -> None:
    counts = np.array([row.numbers["channel_crossings"] for row in good])
    accuracy = np.array([np.mean(row.test) for row in good])
    luts = np.array([row.numbers["lut"] for row in good])
    print(
        "| crossings per channel | functions | test accuracy: median, best tenth | LUT, median |\n| --- | --- | --- | --- |"
    )
    for low, high in ((0, 0.5), (0.5, 0.95), (0.95, 1.05), (1.05, 2), (2, 4), (4, 8), (8, np.inf)):
        inside = (counts >= low) & (counts < high)
        if inside.any():
            middle, tenth = np.quantile(accuracy[inside], (0.5, 0.9))
            print(
                f"| {low:g} to {high:g} | {inside.sum():,} | {100 * middle:.1f} %, {100 * tenth:.1f} % | "
                f"{np.median(luts[inside]):,.0f} |"
            )
    rho = stats.spearmanr(counts, accuracy)
    print(f"\nRank correlation of crossings and test accuracy: {rho.statistic:.2f}.\n")


def seeds(table: Table) -> None:
    """Print how well one seed predicts the ranking by many."""
    good = [row for row in table.good if len(row.validation) > 2]
    if len(good) < ENOUGH:
        return
    scores = np.array([row.validation for row in good])
    over_all, among_best, spread = [], [], []
    for chooser, first, second in itertools.permutations(range(scores.shape[1]), 3):
        # One seed chooses, two others are compared: a seed that also chose would bias the correlation.
        top = np.argsort(-scores[:, chooser])[: len(good) // 10]
        over_all.append(stats.spearmanr(scores[:, first], scores[:, second]).statistic)
        among_best.append(np.corrcoef(scores[top, first], scores[top, second])[0, 1])
        spread.append(np.median(np.abs(scores[top, first] - scores[top, second])))
    one = float(np.mean(among_best))
    count = scores.shape[1]
    reliability = count * one / (1 + (count - 1) * one)
    print(
        f"Two seeds: rank correlation {np.mean(over_all):.2f} over all functions; among the best tenth by a third seed they "
        f"correlate by {one:.2f}, so the mean of {count} seeds has a reliability of {reliability:.2f} there "
        f"(Spearman-Brown). Median distance of two seeds among them: {100 * np.mean(spread):.1f} points.\n"
    )


def looks(table: Table) -> None:
    """Print how well the first evaluation round ranks functions."""
    rows = [row for row in table.good if row.early is not None]
    if len(rows) < ENOUGH:
        return
    early = np.array([row.early for row in rows], float)
    whole = np.array([np.mean(row.validation) for row in rows])
    places = stats.rankdata(-early)[np.argsort(-whole)[:50]]
    rho, nine = stats.spearmanr(early, whole).statistic, np.quantile(places, 0.9)
    print(
        f"The first evaluation round against the mean of all seeds: rank correlation {rho:.2f}. All of the 50 "
        f"best functions are among the first {places.max() / len(rows):.0%}, nine of ten among the first "
        f"{nine / len(rows):.0%}.\n"
    )


def compare(tables: list[Table], fresh: int) -> None:
    """Print what two tables have in common."""
    first, second = tables
    if first.places.keys() != second.places.keys():
        raise UserError(
            "the tables belong to different spaces (their genomes differ); name two tables of one space"
        )
    pairs = [
        (row, second.rows[second.places[row.genomes[0]]])
        for row in first.good
        if second.rows[second.places[row.genomes[0]]].status == "ok"
    ]
    errors = np.array([[row.objective("error") for row in pair] for pair in pairs])
    ranks = stats.rankdata(errors, axis=0)
    print(
        f"{len(pairs):,} functions train on both; rank correlation {stats.spearmanr(*errors.T).statistic:.2f}."
    )
    for share in (0.25, 0.1, 0.05):
        top = round(share * len(pairs))
        both = int((ranks <= top).all(axis=1).sum())
        chance = stats.hypergeom.sf(both - 1, len(pairs), top, top)
        print(
            f"Among the best {share:.0%} of both: {both}; {share * top:.0f} expected by chance (p = {chance:.2g})."
        )
    best = [pairs[place] for place in np.argsort(ranks.sum(axis=1))[:COMMON]]
    print(f"\nThe best by the sum of both ranks: {', '.join(f'`{row.expression}`' for row, _ in best)}.\n")
    if fresh:
        for place, table in enumerate(tables):
            confirm(table, [pair[place] for pair in best], fresh)


def confirm(table: Table, rows: list[Row], count: int) -> None:
    """Train functions and the plain sign with seeds that the table has not used, and test them."""
    torch.set_num_threads(1)
    config = make_config({**table.about["config"], "output": "runs"})
    import_plugins(config.plugins)
    space = Space(config, tuple(table.about["input_shape"]), table.about["classes"])
    scores = []
    for row in [plain(table), *rows]:
        candidate = space.candidate(row.genomes[0])
        results = [evaluate(task(config, candidate, FRESH + seed, test=True)) for seed in range(count)]
        # A function that fails to train with a seed counts as guessing.
        scores.append([result.get("test", 1 / table.about["classes"]) for result in results])
    print(
        f"{config.name}, {count} fresh seeds:\n\n| activation | test %, 95 % interval | p against the plain sign |"
    )
    print("| --- | --- | --- |")
    for row, own in zip([plain(table), *rows], scores, strict=True):
        if own is scores[0]:
            print(f"| plain sign | {interval(own)} | |")
            continue
        value = stats.ttest_ind(own, scores[0], equal_var=False).pvalue * len(rows)
        print(f"| `{row.expression}` | {interval(own)} | {min(1.0, value):.2g} |")
    print("\np: Welch's two-sided test, Bonferroni's correction for the functions of this table.\n")


def draw(table: Table, good: list[Row], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sign = plain(table)
    groups = {
        "without sin, cos, tan": [row for row in good if not names(row) & PERIODIC and row is not sign],
        "with": [row for row in good if names(row) & PERIODIC],
        "plain sign": [sign],
    }
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4), sharey=True)
    for axis, number, label in zip(
        axes, ("lut", "channel_crossings"), ("LUT (estimate, 7-series)", "crossings per channel"), strict=True
    ):
        for (name, rows), colour in zip(groups.items(), ("#9aa0a6", "#1a73e8", "#d93025"), strict=True):
            axis.scatter(
                [row.numbers[number] for row in rows],
                [100 * np.mean(row.test) for row in rows],
                s=60 if name == "plain sign" else 6,
                marker="D" if name == "plain sign" else "o",
                color=colour,
                alpha=1 if name == "plain sign" else 0.6,
                linewidths=0,
                label=name,
            )
        axis.set(xlabel=label)
    axes[0].set_xscale("log")
    axes[1].set_xscale("symlog", linthresh=1)
    axes[0].set_ylabel("test accuracy, mean of the seeds (%)")
    axes[0].legend(loc="lower right", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
