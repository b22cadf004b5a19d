"""Growth of a search's own time and memory, without training, with its space, population and store.

    python benchmarks/growth.py [--evaluations 1000 10000] [--store 100000]

The searches do not train: an executor returns at once an accuracy and crossings that depend only on the expressions. Each
search stops where the finals begin, which leaves a page, and is then resumed, which finds all results in its store. Every
search has its own process. Prints a Markdown table: milliseconds per evaluation, first and from the store; seconds to open
the store and to write the page; sizes; peak memory. Compare the rows to see the growth.
"""

import argparse
import contextlib
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.execution.store import Store
from zerocross.hw_search.execution.tasks import Result, Task, TrainingTask
from zerocross.hw_search.pipeline import search
from zerocross.hw_search.progress import Terminal
from zerocross.hw_search.strategies.surrogate import CHILDREN
from zerocross.reports.page import render
from zerocross.reports.storage import load_run

SPACES: dict[str, tuple[dict[str, Any], Any]] = {
    "pair": ({"encoding": "pair"}, [64, 64, 64]),
    "nested": ({"encoding": "nested"}, [64, 64, 64]),
    "nested, one a layer": ({"encoding": "nested", "per_layer": True}, [64, 64, 64]),
    "pair, 20 networks": ({"encoding": "pair"}, {"choose": [[size, size] for size in range(8, 168, 8)]}),
}
"""Activations and widths of the networks, by name."""

STRATEGIES = ("nsga2", "surrogate", "random")


class Instant:
    """An executor that returns results at once; it stops the search where the finals begin."""

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """See `Executor.run`."""
        if any(training.final for work in tasks for training in work.trainings):
            raise KeyboardInterrupt
        for index, work in enumerate(tasks):
            assert isinstance(work, TrainingTask)  # stacks of 1
            digest = hashlib.blake2b(json.dumps(list(work.expressions)).encode(), digest_size=8).digest()
            crossings = {
                f"dense{site}_sign": [1 + (digest[site] + channel) % 3 for channel in range(width)]
                for site, width in enumerate(work.topology["hidden"], start=1)
            }
            result: Result = {
                "status": "ok",
                "expressions": list(work.expressions),
                "accuracy": 0.5 + 0.45 * int.from_bytes(digest[4:], "big") / 2**32,
                "crossings": crossings,
                "binarized": None,
                "seconds": 0.0,
            }
            yield index, result

    def close(self) -> None:
        """See `Executor.close`."""


def configuration(folder: str, space: str, strategy: str, population: int, evaluations: int) -> Config:
    activation, hidden = SPACES[space]
    children = CHILDREN if strategy == "surrogate" else population
    content: dict[str, Any] = {
        "name": "growth",
        "output": folder,
        "data": {"name": "digits"},
        "topology": {"name": "mlp", "hidden": hidden, "input_bits": 8},
        "activation": activation,
        "folding": {"target_cycles": {"choose": [64, 128, 256]}},
        "search": {
            "strategy": strategy,
            "population": population,
            "generations": 1 + (evaluations - population) // children,
            "children": children,
            "stack": 1,
        },
    }
    return make_config(content, "growth")


def measure(space: str, strategy: str, population: int, evaluations: int) -> dict[str, float]:
    """Run a search, resume it, and return the measurements."""
    with tempfile.TemporaryDirectory() as folder:
        config = configuration(folder, space, strategy, population, evaluations)
        run = Path(folder) / config.name
        search_seconds, resume_seconds = (seconds(config) for _ in range(2))
        started = time.perf_counter()
        with Store(run) as store:
            rows = len(store)
        opening = time.perf_counter() - started
        started = time.perf_counter()
        records = load_run(run)
        page = render(records)
        paging = time.perf_counter() - started
        count = len(records.evaluations)
        return {
            "evaluations": count,
            "rows": rows,
            "search": 1000 * search_seconds / count,
            "resume": 1000 * resume_seconds / count,
            "opening": opening,
            "page": paging,
            "store_mb": (run / "store.sqlite").stat().st_size / 1e6,
            "page_mb": len(page.encode()) / 1e6,
            "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        }


def seconds(config: Config) -> float:
    started = time.perf_counter()
    with contextlib.suppress(KeyboardInterrupt), Terminal() as watcher:
        search(config, watcher, Instant())
    return time.perf_counter() - started


def in_own_process(*arguments: object) -> dict[str, float]:
    """Measure in a separate process, to separate its memory."""
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--evaluations", type=int, nargs=2, default=[1_000, 10_000])
    parser.add_argument("--populations", type=int, nargs="+", default=[24, 1000])
    parser.add_argument("--store", type=int, default=100_000, help="evaluations of the longest search")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        space, strategy, population, evaluations = options.one
        print(json.dumps(measure(space, strategy, int(population), int(evaluations))))
        return
    few, many = options.evaluations
    cases = [(space, "nsga2", 100, few) for space in SPACES]
    cases += [("nested", "nsga2", population, many) for population in options.populations]
    cases += [("nested", strategy, 100, count) for strategy in STRATEGIES for count in (few, many)]
    cases += [("pair, 20 networks", "random", 100, count) for count in (few, many, options.store)]
    print(
        "| space | strategy | population | evaluations | ms each | ms each, resumed | opening, s | page, s | store, MB "
        "| page, MB | memory, MB |"
    )
    print("|" + " --- |" * 11)
    for case in dict.fromkeys(cases):
        found = in_own_process(*case)
        space, strategy, population, _ = case
        print(
            f"| {space} | {strategy} | {population:,} | {found['evaluations']:,.0f} | {found['search']:.2f} | "
            f"{found['resume']:.2f} | {found['opening']:.2f} | {found['page']:.1f} | {found['store_mb']:.1f} | "
            f"{found['page_mb']:.1f} | {found['memory_mb']:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
