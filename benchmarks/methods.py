"""The methods of the papers beside each other: accuracy with its spread, and what each costs in hardware.

    python benchmarks/methods.py [--data FILE.npz] [--seeds N] [--rows NAME ...] [--output FOLDER]

Every row of methods.yaml is a search of its own (most have one candidate), in FOLDER (runs/methods), where an
interrupted one goes on; its network is trained with fresh seeds and then tested, once. Prints the table as Markdown.
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

from hw_search.config import make_config
from hw_search.pipeline import search
from reports.records import Finalist

ROWS = Path(__file__).with_name("methods.yaml")
LEVEL = 0.05  # of all comparisons together


@dataclass(frozen=True)
class Row:
    """A method's network.

    Attributes:
        name: the method.
        best: its network with the least validation error over the fresh seeds.
    """

    name: str
    best: Finalist


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with some fields replaced; a topology of another name replaces all of it."""
    result = copy.deepcopy(base)
    for key, value in change.items():
        whole = not isinstance(value, dict) or not isinstance(result.get(key), dict) or "name" in value
        result[key] = copy.deepcopy(value) if whole else merged(result[key], value)
    return result


def run(name: str, settings: dict[str, Any], output: Path) -> Row:
    """Search a row's space and return its best network."""
    folder = re.sub(r"\W+", "_", name)
    config = make_config({**settings, "name": folder, "output": str(output)}, name)
    done = search(config)
    return Row(name, min(done.front, key=lambda finalist: 1 - fmean(finalist.validation)))


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown; what differs significantly from the first is marked.

    Welch's t-test, two-sided, on the test accuracies of the seeds, with Bonferroni's correction for the rows.
    """
    lines = [
        "| method | activation | test accuracy | LUT, FINN | LUT | BRAM18 | II | latency |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    plain = rows[0].best
    for row in rows:
        best, mark = row.best, ""
        if row is not rows[0]:
            chance = ttest_ind(best.test, plain.test, equal_var=False).pvalue
            mark = " *" if chance < LEVEL / (len(rows) - 1) else ""
        spread = stdev(best.test) if len(best.test) > 1 else float("nan")
        numbers = [best.finn["lut"], *(best.metrics[key] for key in ("lut", "bram", "ii", "latency"))]
        cells = [row.name, f"`{best.expression}`", f"{fmean(best.test):.1%} ± {spread:.1%}{mark}"]
        lines.append("| " + " | ".join([*cells, *(f"{number:,.0f}" for number in numbers)]) + " |")
    lines.append("")
    lines.append(
        f"{len(plain.seeds)} seeds; ± one standard deviation; * differs significantly from the {rows[0].name}."
    )
    return "\n".join(lines)


def main() -> None:
    """Run the rows and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="a data set's name or .npz file instead of Fashion-MNIST's download")
    parser.add_argument("--seeds", type=int, default=3, help="fresh seeds of each network")
    parser.add_argument("--rows", nargs="+", help="some rows only; the plain sign is always among them")
    parser.add_argument("--output", type=Path, default=Path("runs/methods"))
    options = parser.parse_args()
    content = yaml.safe_load(ROWS.read_text(encoding="utf-8"))
    base, found = merged(content["base"], {"final": {"seeds": options.seeds}}), list[Row]()
    if options.data:
        base["data"]["name"] = options.data
    for name, change in content["rows"].items():
        if options.rows and found and name not in options.rows:
            continue
        settings = merged(base, {key: value for key, value in change.items() if key != "searched"})
        if change.get("searched"):
            known = [row for row in found if row.name == "searched activation"]
            if not known:
                continue
            settings["activation"]["expressions"] = [known[0].best.expression]
        found.append(run(name, settings, options.output))
        print(table(found), flush=True)


if __name__ == "__main__":
    main()
