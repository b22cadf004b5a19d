"""What an activation brings, by the number of inputs of a neuron: one sparse layer of N neurons that read K bits each.

    python benchmarks/fan_in.py [--data FILE.npz] [--seeds 5] [--rows FILE.csv] [--figure FILE.png] [--table-only]

Trains the topology `hardwired` with:

- the plain sign, also with the surrogate gradient `polynomial`, and without batch norm;
- a sine;
- the ten functions with the best sum of ranks in docs/tables/;
- the free row, `row`;
- for K up to 6, a neuron that is any function of its inputs (`neurons: tables`).

Up to K = 6 all of them are the same hardware, one 6-input lookup table. Every training is a row of the CSV file; run the
same command to resume. The printed table has test accuracies. A star marks those above --against, of the same K
(Welch's test, one-sided, Bonferroni's correction for all comparisons).
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from kept import append, read
from scipy.stats import ttest_ind
from torch import nn

from zerocross.hw_search.tables.table import Table
from zerocross.models.accuracy import accuracy
from zerocross.models.data import Data, Split, load, load_test
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.models.table_neurons import MOST_INPUTS
from zerocross.models.topologies import build
from zerocross.models.training import train
from zerocross.models.training_settings import TrainingSettings

ROOT = Path(__file__).parents[1]
FAN_INS = (4, 6, 8, 12, 16)
LEVEL = 0.05
TABLE = "any function"
PLAIN = "plain sign"
BITS = {"thermometer": 8}
SETTINGS = ("data", "neurons", "epochs", "rate")
COLUMNS = (*SETTINGS, "inputs", "function", "seed", "validation", "test", "seconds")


@cache
def functions() -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return what is compared: expression, parameters of the topology and settings of the training, by name."""
    best: dict[str, tuple[str, dict[str, Any], dict[str, Any]]]
    best = {name: (name, {}, {}) for name in best_functions(10)}
    return {
        "plain sign": ("x", {}, {}),
        "plain sign, polynomial": ("x", {}, {"surrogate": "polynomial"}),
        "plain sign without batch norm": ("shift(scale(x))", {"norm": False}, {}),
        "sin(x)": ("sin(x)", {}, {}),
        "sine without batch norm": ("sin(shift(scale(x)))", {"norm": False}, {}),
        **best,
        "row": ("row(x)", {"norm": False}, {}),
        TABLE: ("x", {"neurons": "tables"}, {}),
    }


def best_functions(count: int) -> list[str]:
    """Return the functions with the best sum of ranks by validation error on two fully connected networks."""
    ranks: dict[str, list[int]] = {}
    for name in ("digits", "fashion"):
        rows = sorted(
            Table.load(ROOT / f"docs/tables/{name}.csv.gz").good, key=lambda row: row.objective("error")
        )
        for place, row in enumerate(rows):
            ranks.setdefault(row.expression, []).append(place)
    both = {expression: sum(places) for expression, places in ranks.items() if len(places) == 2}
    return sorted((each for each in both if each != "x"), key=lambda each: (both[each], each))[:count]


def network(data: Data, neurons: int, inputs: int, name: str) -> nn.Module:
    """Return an untrained network."""
    expression, parameters, _ = functions()[name]
    model = build(
        "hardwired",
        data.input_shape,
        data.classes,
        {"widths": [neurons], "inputs": inputs, "input_bits": BITS, **parameters},
        data.train.x,
    )
    install(model, [parse(expression)])
    return model


def jobs(seeds: int) -> Iterator[tuple[int, int, str]]:
    """Yield seed, inputs and function of every training; all functions of a seed come before the next seed."""
    for seed in range(seeds):
        for inputs in FAN_INS:
            for name in functions():
                if name != TABLE or inputs <= MOST_INPUTS:
                    yield seed, inputs, name


def run(data: Data, test: Split, options: argparse.Namespace) -> None:
    """Train what is missing."""
    known = {(row["inputs"], row["function"], row["seed"]) for row in rows_of(options)}
    wanted = [job for job in jobs(options.seeds) if (str(job[1]), job[2], str(job[0])) not in known]
    started = time.monotonic()
    for done, (seed, inputs, name) in enumerate(wanted):
        begun = time.monotonic()
        torch.manual_seed(seed)
        model = network(data, options.neurons, inputs, name)
        changes = {"surrogate": "window", "label_smoothing": 0.0, **functions()[name][2]}
        settings = TrainingSettings(options.epochs, 128, options.rate, **changes)
        train(model, data, settings, seed)
        found = accuracy(model, data.validation), accuracy(model, test)
        row = (*settings_of(options), inputs, name, seed, *found, round(time.monotonic() - begun, 1))
        append(options.rows, COLUMNS, row)
        left = (time.monotonic() - started) / (done + 1) * (len(wanted) - done - 1)
        print(f"K {inputs:2} {name:32} seed {seed}: {found[1]:.2%}; {left / 60:.0f} min left", flush=True)


def settings_of(options: argparse.Namespace) -> tuple[str, ...]:
    """Return SETTINGS as the rows have them."""
    return Path(options.data).stem, *(str(getattr(options, name)) for name in SETTINGS[1:])


def rows_of(options: argparse.Namespace) -> list[dict[str, str]]:
    """Return the rows with the same settings."""
    same = settings_of(options)
    return [row for row in read(options.rows) if tuple(row[name] for name in SETTINGS) == same]


def by_function(rows: Sequence[dict[str, str]]) -> dict[str, dict[int, list[float]]]:
    """Return test accuracies by function and fan-in."""
    found: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        found.setdefault(row["function"], {}).setdefault(int(row["inputs"]), []).append(float(row["test"]))
    return found


def print_table(found: dict[str, dict[int, list[float]]], against: str) -> None:
    """Print the accuracies as Markdown; a star marks those above the function `against` of the same K."""
    comparisons = sum(len(cells) for name, cells in found.items() if name != against)
    print("| function | " + " | ".join(f"K = {inputs}" for inputs in FAN_INS) + " |")
    print("| --- |" + " --- |" * len(FAN_INS))
    for name, cells in found.items():
        texts = []
        for inputs in FAN_INS:
            values, plain = cells.get(inputs, []), found[against].get(inputs, [])
            if len(values) < 2 or len(plain) < 2:
                texts.append("")
                continue
            chance = ttest_ind(values, plain, equal_var=False, alternative="greater").pvalue
            star = " *" if name != against and chance * comparisons < LEVEL else ""
            texts.append(f"{100 * fmean(values):.1f} ± {100 * stdev(values):.1f}{star}")
        shown = f"`{name}`" if "(" in name else name
        print(f"| {shown} | " + " | ".join(texts) + " |")
    print(
        f"\n* above the {against} of the same K, Welch's test, one-sided, {comparisons} comparisons (Bonferroni)"
    )


def draw(found: dict[str, dict[int, list[float]]], file: Path) -> None:
    """Draw accuracy against fan-in."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = {
        "plain sign": "#555555",
        "sin(x)": "#1f6f8b",
        "sine without batch norm": "#58a4b0",
        "row": "#b5651d",
        TABLE: "#8f3985",
    }
    figure, axes = pyplot.subplots(figsize=(6.4, 4.4), dpi=120)
    for name, cells in found.items():
        places = sorted(cells)
        values = [100 * np.mean(cells[inputs]) for inputs in places]
        spread = [
            100 * float(np.std(cells[inputs], ddof=1)) if len(cells[inputs]) > 1 else 0.0 for inputs in places
        ]
        if name in shown:
            axes.errorbar(places, values, spread, label=name, color=shown[name], marker="o", capsize=3)
        else:
            axes.plot(places, values, color="0.8", linewidth=1, zorder=0)
    axes.plot([], [], color="0.8", linewidth=1, label="others")
    axes.set(xlabel="inputs of a neuron, K", ylabel="test accuracy, %", xticks=FAN_INS)
    axes.grid(color="0.92", linewidth=0.6)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="digits", help="name of a data set, or an .npz file")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--neurons", type=int, default=520)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rate", type=float, default=5e-3, help="learning rate")
    parser.add_argument("--rows", type=Path, default=Path("runs/fan_in.csv"))
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--against", default=PLAIN, choices=list(functions()), help="what stars compare with")
    parser.add_argument("--table-only", action="store_true", help="train nothing")
    options = parser.parse_args()
    if not options.table_only:
        torch.set_num_threads(1)
        options.rows.parent.mkdir(parents=True, exist_ok=True)
        run(load(options.data), load_test(options.data), options)
    found = by_function(rows_of(options))
    print_table(found, options.against)
    if options.figure:
        draw(found, options.figure)


if __name__ == "__main__":
    main()
