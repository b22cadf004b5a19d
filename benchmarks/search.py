"""Speed of a search, and the work that the canonical key saves.

    python benchmarks/search.py [--candidates 48] [--workers 2]

Prints evaluations per hour with several worker processes and with one, for the same tasks. Then prints the share of
evaluations saved in the pair space, and in an evolution over it.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from zerocross.hw_search.config import load_config
from zerocross.hw_search.execution.evaluation import load_data
from zerocross.hw_search.execution.executor import LocalExecutor
from zerocross.hw_search.execution.tasks import Task
from zerocross.hw_search.pipeline import search
from zerocross.hw_search.space import Candidate, Space
from zerocross.hw_search.trainings import task
from zerocross.models.canonical import canonical_key, constant_bit

CONFIG = Path(__file__).parent.parent / "examples" / "digits.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--candidates", type=int, default=48, help="networks to train with all workers, and again with one"
    )
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    options = parser.parse_args()
    config = load_config(CONFIG)
    data = load_data(config.data)
    space = Space(config, data.input_shape, data.classes)
    speed(space, options.candidates, options.workers)
    saved_in_the_space(space)
    saved_in_an_evolution()


def candidates(space: Space, count: int) -> list[Candidate]:
    rng = random.Random(0)
    found: dict[str, Candidate] = {}
    while len(found) < count:
        candidate = space.candidate([rng.randrange(size) for size in space.sizes])
        if space.dead(candidate) is None:
            found.setdefault(candidate.network_key, candidate)
    return list(found.values())


def speed(space: Space, count: int, workers: int) -> None:
    tasks = [task(space.config, candidate, 0) for candidate in candidates(space, count)]
    parallel, serial = seconds(tasks, workers), seconds(tasks, 1)
    print(f"{count} networks of {CONFIG.name}, {workers} workers against one, imports excluded")
    print(
        f"  workers      {3600 * count / parallel:8,.0f} evaluations per hour ({parallel / count:.2f} s each)"
    )
    print(f"  one worker   {3600 * count / serial:8,.0f} evaluations per hour ({serial / count:.2f} s each)")
    print(f"  ratio        {serial / parallel:8.2f}")


def seconds(tasks: Sequence[Task], workers: int) -> float:
    """Return the seconds in which workers evaluate the tasks, after they have loaded imports and data."""
    with tempfile.TemporaryDirectory() as folder, LocalExecutor(workers, Path(folder) / "log") as executor:
        list(executor.run(tasks[:workers]))
        started = time.perf_counter()
        list(executor.run(tasks))
        return time.perf_counter() - started


def saved_in_the_space(space: Space) -> None:
    assert space.encoding is not None
    sizes = space.encoding.sizes()
    genomes = ((u, v, b) for u in range(sizes[0]) for v in range(sizes[1]) for b in range(sizes[2]))
    expressions = [space.encoding.decode(genome) for genome in genomes]
    started = time.perf_counter()
    alive = [expression for expression in expressions if constant_bit(expression) is None]
    keys = {canonical_key(expression) for expression in alive}
    seconds = time.perf_counter() - started
    total = len(expressions)
    print(
        f"pair space: {total:,} genomes, {total - len(alive):,} never change sign, {len(keys):,} functions to train"
    )
    print(
        f"  saved        {1 - len(keys) / total:8.1%} ({1000 * seconds / total:.1f} ms per genome to check)"
    )


def saved_in_an_evolution() -> None:
    with tempfile.TemporaryDirectory() as folder:
        overrides = {
            "output": folder,
            "training.epochs": 1,
            "search.seeds": 1,
            "search.strategy": "nsga2",
            "search.generations": 12,
            "final": {"seeds": 1, "networks": 1},
        }
        config = load_config(CONFIG, overrides)
        result = search(config)
    asked = config.search.population * config.search.most_generations
    searched = [evaluation for evaluation in result.run.evaluations if not evaluation.reference]
    trained = {(e.expression, str(e.choices.get("topology.hidden"))) for e in searched if e.metrics}
    print(f"evolution: at most {asked} candidates requested, {len(searched)} distinct ones evaluated")
    print(f"  trained      {len(trained):8} networks; the others share a training or were rejected")
    print(f"  saved        {1 - len(trained) / asked:8.1%}")


if __name__ == "__main__":
    main()
