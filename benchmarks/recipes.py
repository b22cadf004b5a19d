"""Compares recipes of training: each changes a few settings of `training`, and everything else stays.

    python benchmarks/recipes.py --network mlp --data FASHION_MNIST.npz --epochs 30
    python benchmarks/recipes.py --network cnv --data FASHION_MNIST.npz --limit 12000 --epochs 10
    python benchmarks/recipes.py --network resnete --data FASHION_MNIST.npz --limit 12000 --epochs 10
    python benchmarks/recipes.py --table-only

Trains plain signs, several seeds of each recipe. Every training is a row of the CSV file; run the same command to resume.
The reference has `surrogate: polynomial` and no label smoothing. The default of zerocross is `label_smoothing: 0.1`. The
table has validation accuracies. A star marks a difference to the reference (Welch's test, two-sided, Bonferroni's correction
for all comparisons).
"""

import argparse
import time
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from kept import append, read
from scipy.stats import ttest_ind

from zerocross.hw_search.networks import build_topology
from zerocross.models.accuracy import accuracy
from zerocross.models.data import load
from zerocross.models.training import train
from zerocross.models.training_settings import TrainingSettings

NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"name": "mlp", "hidden": [64, 64]},
    "cnv": {"name": "cnv", "blocks": [[8, 8], [16]], "dense": [32]},
    "resnete": {"name": "resnete", "widths": [16, 32], "blocks": [2, 2], "stem_stride": 2, "stream_bits": 6},
}

REFERENCE = "reference"
SETTINGS: dict[str, Any] = {"batch_size": 64, "surrogate": "polynomial", "label_smoothing": 0.0}
RECIPES: dict[str, dict[str, Any]] = {
    REFERENCE: {},
    "surrogate: window": {"surrogate": "window"},
    "surrogate: tanh": {"surrogate": "tanh"},
    "surrogate_width: 1.3": {"surrogate_width": 1.3},
    "learning_rate: 0.002": {"learning_rate": 2e-3},
    "learning_rate: 0.02": {"learning_rate": 2e-2},
    "warmup: 0.1": {"warmup": 0.1},
    "label_smoothing: 0.1": {"label_smoothing": 0.1},
    "weight_decay: 0.01": {"weight_decay": 1e-2},
    "clip_weights": {"clip_weights": True},
    "average: 1": {"average": 1.0},
    "self_binarizing": {"method": "self_binarizing"},
}
"""Changes of SETTINGS by name."""

COLUMNS = ("network", "data", "samples", "epochs", "recipe", "seed", "validation", "seconds")
LEVEL = 0.05


def run(options: argparse.Namespace) -> None:
    """Train what is missing."""
    data = load(options.data, limit=options.limit)
    same = (options.network, Path(options.data).stem, str(len(data.train)), str(options.epochs))
    known = {(row["recipe"], row["seed"]) for row in read(options.rows) if place(row) == same}
    jobs = [(seed, recipe) for seed in range(options.seeds) for recipe in options.recipes]
    wanted = [(seed, recipe) for seed, recipe in jobs if (recipe, str(seed)) not in known]
    started = time.monotonic()
    for done, (seed, recipe) in enumerate(wanted):
        begun = time.monotonic()
        torch.manual_seed(seed)
        model = build_topology(NETWORKS[options.network], data.input_shape, data.classes)
        settings = TrainingSettings(**{"epochs": options.epochs, **SETTINGS, **RECIPES[recipe]})
        train(model, data, settings, seed)
        found = accuracy(model, data.validation)
        row = (*same, recipe, seed, found, round(time.monotonic() - begun, 1))
        append(options.rows, COLUMNS, row)
        left = (time.monotonic() - started) / (done + 1) * (len(wanted) - done - 1)
        print(f"{options.network}, {recipe}, seed {seed}: {found:.2%}; {left / 60:.0f} min left", flush=True)


def place(row: dict[str, str]) -> tuple[str, str, str, str]:
    """Return network, data, samples and epochs of a row."""
    return row["network"], row["data"], row["samples"], row["epochs"]


def print_table(rows: list[dict[str, str]]) -> None:
    """Print the accuracies as Markdown: a column for each network with its data."""
    places = list(dict.fromkeys(map(place, rows)))
    cells: dict[tuple[str, tuple[str, str, str, str]], list[float]] = {}
    for row in rows:
        cells.setdefault((row["recipe"], place(row)), []).append(100 * float(row["validation"]))
    comparisons = sum(recipe != REFERENCE and len(values) > 1 for (recipe, _), values in cells.items())
    heads = [
        f"{network}, {data}, {int(samples):,} samples, {epochs} epochs"
        for network, data, samples, epochs in places
    ]
    print(f"| recipe | {' | '.join(heads)} |\n| --- |{' ---: |' * len(heads)}")
    for recipe in dict.fromkeys(row["recipe"] for row in rows):
        texts = [
            _text(cells.get((recipe, at), []), cells.get((REFERENCE, at), []), comparisons) for at in places
        ]
        print(f"| {recipe if recipe == REFERENCE else f'`{recipe}`'} | {' | '.join(texts)} |")
    print(f"\n* another accuracy than the reference's: Welch's test, {comparisons} comparisons (Bonferroni)")


def _text(values: list[float], reference: list[float], comparisons: int) -> str:
    if not values:
        return ""
    mean = f"{fmean(values):.2f}"
    if len(values) < 2:
        return mean
    chance = (
        1.0
        if values is reference or len(reference) < 2
        else ttest_ind(values, reference, equal_var=False).pvalue
    )
    return f"{mean} ± {stdev(values):.2f}{' *' if chance * comparisons < LEVEL else ''}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=NETWORKS, default="mlp")
    parser.add_argument("--data", default="digits", help="name of a data set, or an .npz file")
    parser.add_argument("--limit", type=int, help="training samples, including validation")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES), metavar="RECIPE")
    parser.add_argument("--rows", type=Path, default=Path("runs/recipes.csv"))
    parser.add_argument("--table-only", action="store_true", help="train nothing")
    options = parser.parse_args()
    if not options.table_only:
        torch.set_num_threads(1)
        options.rows.parent.mkdir(parents=True, exist_ok=True)
        run(options)
    print_table(read(options.rows))


if __name__ == "__main__":
    main()
