"""Compares the methods of the papers: accuracy with its spread, and hardware costs.

    python benchmarks/methods.py [methods | transferred | bands | dense | convolutional | residual] [--data FILE.npz]
        [--seeds N] [--rows NAME ...] [--against NAME] [--output FOLDER]

Every row of a section of methods.yaml is a separate search (most have one candidate), saved in FOLDER (runs/methods); run
the same command to resume. Its network is trained with fresh seeds and then tested once. Prints a Markdown table.
"""

import argparse
import copy
import re
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import yaml
from scipy.stats import ttest_ind

from zerocross.hw_search.config import make_config
from zerocross.hw_search.pipeline import evolve, open_run
from zerocross.hw_search.watcher import Silent

ROWS = Path(__file__).with_name("methods.yaml")
LEVEL = 0.05  # significance level of all comparisons together
SEARCHED = "searched activation"
"""The row whose result the rows with `searched: true` use."""


@dataclass(frozen=True)
class Row:
    """A method's network.

    Attributes:
        name: Name of the method.
        expression: Activation of the network.
        test: Test accuracy of every seed, 0..1.
        metrics: Estimated costs, means over the seeds.
        finn_lut: FINN's LUT estimate, mean over the seeds.
    """

    name: str
    expression: str
    test: list[float]
    metrics: dict[str, float]
    finn_lut: float


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with some fields replaced; a section with a new `name` is replaced as a whole."""
    result = copy.deepcopy(base)
    for key, value in change.items():
        whole = not isinstance(value, dict) or not isinstance(result.get(key), dict) or "name" in value
        result[key] = copy.deepcopy(value) if whole else merged(result[key], value)
    return result


def run(name: str, settings: dict[str, Any], output: Path) -> Row:
    """Search a row's space, train the best network with fresh seeds, and test it."""
    folder = re.sub(r"\W+", "_", name)
    config = make_config({**settings, "name": folder, "output": str(output)}, name)
    with open_run(config, Silent()) as evaluator:
        candidate = evaluator.space.candidate((0,) * len(evaluator.space.sizes))
        if evaluator.space.size > 1:
            evolve(evaluator, Silent())
            good = [evaluation for evaluation in evaluator.evaluations if evaluation.status == "ok"]
            found = min(good, key=lambda evaluation: evaluation.metrics["error"])
            candidate = evaluator.candidates[found.id]
        first = config.search.seed + config.search.seeds
        seeds = range(first, first + config.final.seeds)
        tasks = evaluator.final_tasks(candidate, seeds, config.final.epochs)
        results = {key: result for key, result, _ in evaluator.results(tasks)}
        ordered = [results[key] for key in tasks]
        if reasons := [result["reason"] for result in ordered if result["status"] != "ok"]:
            raise SystemExit(f"{name}: a training failed: {reasons[0]}")
        costs = [
            evaluator.pricer.cost(candidate, result["crossings"], result.get("thresholds"))
            for result in ordered
        ]
        priced = [evaluator.pricer.metrics(cost) for cost in costs]
        return Row(
            name,
            candidate.text,
            [result["test"] for result in ordered],
            {key: fmean(metrics[key] for metrics in priced) for key in priced[0]},
            fmean(cost.finn.lut for cost in costs),
        )


def table(rows: list[Row], against: str | None = None) -> str:
    """Return the rows as Markdown; a star marks those that differ significantly from the one named, or from the first.

    Welch's t-test, two-sided, on the test accuracies of the seeds, with Bonferroni's correction for the rows.
    """
    lines = [
        "| method | activation | test accuracy | LUT, FINN | LUT | BRAM18 | II | latency |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    baseline = next((row for row in rows if row.name == against), rows[0])
    for row in rows:
        mark = ""
        if row is not baseline:
            chance = ttest_ind(row.test, baseline.test, equal_var=False).pvalue
            mark = " *" if chance < LEVEL / (len(rows) - 1) else ""
        spread = stdev(row.test) if len(row.test) > 1 else float("nan")
        numbers = [row.finn_lut, *(row.metrics[key] for key in ("lut", "bram", "ii", "latency"))]
        cells = [row.name, f"`{row.expression}`", f"{fmean(row.test):.1%} ± {spread:.1%}{mark}"]
        lines.append("| " + " | ".join([*cells, *(f"{number:,.0f}" for number in numbers)]) + " |")
    lines.append("")
    lines.append(
        f"{len(baseline.test)} seeds; ± one standard deviation; * differs significantly from the {baseline.name}."
    )
    return "\n".join(lines)


def main() -> None:
    """Run the rows and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "section",
        nargs="?",
        default="methods",
        choices=["methods", "transferred", "bands", "dense", "convolutional", "residual"],
    )
    parser.add_argument("--data", help="name or .npz file of a data set, instead of the download")
    parser.add_argument(
        "--seeds", type=int, help="fresh seeds per network, instead of the number in methods.yaml"
    )
    parser.add_argument("--rows", nargs="+", help="run only these rows and the first one, the plain sign")
    parser.add_argument("--against", help="mark what differs from this row, instead of the first")
    parser.add_argument("--output", type=Path, default=Path("runs/methods"))
    options = parser.parse_args()
    content = yaml.safe_load(ROWS.read_text(encoding="utf-8"))[options.section]
    base, found = content["base"], list[Row]()
    if unknown := {*(options.rows or ()), *filter(None, [options.against])} - set(content["rows"]):
        parser.error(f"no row {', '.join(sorted(unknown))}: the section has {', '.join(content['rows'])}")
    if options.seeds:
        base["final"]["seeds"] = options.seeds
    if options.data:
        base["data"]["name"] = options.data
    if options.rows:
        # The first row and `against` are what rows are compared with; a row with "searched" needs the search's result.
        kept = {next(iter(content["rows"])), *options.rows, options.against}
        if any(content["rows"][name].get("searched") for name in options.rows):
            kept.add(SEARCHED)
        content["rows"] = {name: change for name, change in content["rows"].items() if name in kept}
    for name, change in content["rows"].items():
        settings = merged(base, {key: value for key, value in change.items() if key != "searched"})
        if change.get("searched"):
            known = [row for row in found if row.name == SEARCHED]
            settings["activation"]["expressions"] = [known[0].expression]
        found.append(run(name, settings, options.output / options.section))
        print(table(found, options.against), flush=True)


if __name__ == "__main__":
    main()
