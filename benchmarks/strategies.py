"""Compares search strategies on tables: the share of the exact front that they find, by evaluations spent, with a figure.

    python benchmarks/strategies.py docs/tables/digits.csv.gz docs/tables/fashion.csv.gz [--figure FILE.png] [--children 64]
    python benchmarks/strategies.py --search examples/digits.yaml [--seeds 2]

Does the same as `zerocross compare` for several tables at once and prints its Markdown. With --search it runs real searches
instead, for a space without a table: surrogate and nsga2, each with as many candidates as the configuration requests.
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib
import numpy as np

from zerocross import load_config, search
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.strategies.surrogate import CHILDREN
from zerocross.hw_search.tables.comparison import LOOK, WORSE, Comparison, compare, comparison_table
from zerocross.hw_search.tables.table import Table
from zerocross.reports.pareto import hypervolume, hypervolume_history, reference_point
from zerocross.reports.summary import objective_points

matplotlib.use("Agg")
from matplotlib import pyplot

STRATEGIES = ("surrogate", "nsga2", "gaaf", "random")
LOOKED = tuple(name + LOOK for name in STRATEGIES if name != "gaaf")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", type=Path, nargs="*")
    parser.add_argument("--search", type=Path, help="configuration to search with both strategies")
    parser.add_argument("--seeds", type=int, default=20, help="searches per strategy")
    parser.add_argument(
        "--share", type=float, default=0.15, help="evaluations per search, as a share of the functions"
    )
    parser.add_argument("--children", type=int, help="candidates per generation of surrogate and nsga2")
    parser.add_argument("--figure", type=Path, help="also draw the curves (PNG)")
    options = parser.parse_args()
    if options.search:
        real(options.search, options.seeds)
        return
    if not options.tables:
        parser.error("no table given: name a table, or a configuration with --search")
    found = {}
    for path in options.tables:
        table = Table.load(path)
        name = table.about["config"]["name"]
        looks = LOOKED if any(row.early is not None for row in table.rows) else ()
        found[name] = compare(
            table, [*STRATEGIES, *looks], options.seeds, options.share, children=options.children
        )
        print(f"{name}: {comparison_table(found[name])}\n", flush=True)
    if options.figure:
        draw(found, options.figure)


def real(path: Path, seeds: int) -> None:
    """Search, and print the hypervolume after 25, 50, ... evaluations; the finals are cut short."""
    points: dict[tuple[str, int], np.ndarray] = {}
    config, plain = load_config(path), 1.0
    if "error" not in config.objectives:
        raise UserError(f"objectives: {path} does not minimise error, which this comparison needs; add it")
    asked = config.search
    children = asked.children or {"surrogate": CHILDREN, "gaaf": 10}.get(asked.strategy, asked.population)
    later = (asked.most_generations - 1) * children
    rounds = {"nsga2": later // asked.population, "surrogate": later // CHILDREN}
    for seed in range(seeds):
        for strategy, count in rounds.items():
            with tempfile.TemporaryDirectory() as folder:
                own = {"strategy": strategy, "children": None, "generations": 1 + count, "seed": seed}
                changed = {f"search.{name}": value for name, value in own.items()}
                final = {"seeds": 1, "networks": 1}
                run = search(load_config(path, {**changed, "output": folder, "final": final})).run
            found = [each for each in run.evaluations if not each.reference]
            points[strategy, seed] = objective_points(found, run.objectives)
            signs = [e.metrics["error"] for e in run.evaluations if e.reference and e.status == "ok"]
            plain = min(plain, *signs)
    corner = reference_point(np.concatenate(list(points.values())))
    # As on tables: at most five points below the best plain sign.
    corner[run.objectives.index("error")] = plain + WORSE
    places = list(range(25, min(map(len, points.values())) + 1, 25))
    print(
        f"Hypervolume of {', '.join(run.objectives)}, relative to that of all these searches together, by evaluations:\n"
    )
    print("| strategy, seed | " + " | ".join(map(str, places)) + " |\n" + "|" + " --- |" * (len(places) + 1))
    whole = hypervolume(np.concatenate(list(points.values())), corner)
    for (strategy, seed), own_points in points.items():
        history = hypervolume_history(own_points, corner) / whole
        print(f"| {strategy}, {seed} | " + " | ".join(f"{history[place - 1]:.1%}" for place in places) + " |")


def draw(found: dict[str, Comparison], path: Path) -> None:
    figure, axes = pyplot.subplots(1, len(found), figsize=(5.5 * len(found), 4), sharey=True, squeeze=False)
    for axis, (name, comparison) in zip(axes[0], found.items(), strict=True):
        for strategy, shares in comparison.shares.items():
            colour = f"C{STRATEGIES.index(strategy.removesuffix(LOOK))}"
            x = 100 * np.arange(1, comparison.budget + 1) / comparison.functions
            low, middle, high = 100 * np.quantile(shares, (0.25, 0.5, 0.75), axis=0)
            dashed = "--" if strategy.endswith(LOOK) else "-"
            axis.plot(x, middle, dashed, color=colour, label=strategy, linewidth=1.5)
            if dashed == "-":
                axis.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
        axis.axhline(99, color="grey", linewidth=0.7, linestyle=":")
        axis.set(title=name, xlabel="evaluations (% of the functions)", ylim=(80, 100.4))
    axes[0][0].set_ylabel("share of the exact hypervolume (%)")
    axes[0][0].legend(loc="lower right", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
