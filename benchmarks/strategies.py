"""Search strategies on tables: how much of the exact front they find, against what they spend, and the picture of it.

    python benchmarks/strategies.py docs/tables/digits.csv.gz docs/tables/fashion.csv.gz [--figure FILE.png]

What `zerocross compare` does, for several tables at once; prints its Markdown.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np

from hw_search.comparison import LOOK, Comparison, compare, comparison_table
from hw_search.table import Table

matplotlib.use("Agg")
from matplotlib import pyplot

STRATEGIES = ("surrogate", "nsga2", "gaaf", "random")
LOOKED = tuple(name + LOOK for name in STRATEGIES if name != "gaaf")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=20, help="searches of each strategy")
    parser.add_argument(
        "--share", type=float, default=0.15, help="evaluations of each, as a share of the functions"
    )
    parser.add_argument("--figure", type=Path, help="also draw the curves (PNG)")
    options = parser.parse_args()
    found = {}
    for path in options.tables:
        table = Table.load(path)
        name = table.about["config"]["name"]
        found[name] = compare(table, [*STRATEGIES, *LOOKED], options.seeds, options.share)
        print(f"{name}: {comparison_table(found[name])}\n", flush=True)
    if options.figure:
        draw(found, options.figure)


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
    main()
