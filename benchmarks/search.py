"""Speed of a search, and the work that the canonical key saves.

    python benchmarks/search.py [--candidates 48] [--workers 2]

Prints evaluations per hour with worker processes, and for the same tasks run one by one in this process. Then prints the
share of evaluations saved in the pair space, and in an evolution over it.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

import torch

from zerocross.hw_search.config import load_config
from zerocross.hw_search.execution.evaluation import evaluate, load_data
from zerocross.hw_search.execution.executor import LocalExecutor
from zerocross.hw_search.pipeline import search
from zerocross.hw_search.space import Candidate, Space
from zerocross.hw_search.trainings import task
from zerocross.models.canonical import canonical_key, constant_bit

CONFIG = Path(__file__).parent.parent / "examples" / "digits.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--candidates", type=int, default=48, help="networks to train with workers, and again in one process"
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
    torch.set_num_threads(1)
    evaluate(tasks[0])
    with tempfile.TemporaryDirectory() as folder, LocalExecutor(workers, Path(folder) / "log") as executor:
        list(executor.run(tasks[:workers]))  # loads imports and data once, before the timing
        started = time.perf_counter()
        list(executor.run(tasks))
        parallel = time.perf_counter() - started
    started = time.perf_counter()
    for work in tasks:
        evaluate(work)
    serial = time.perf_counter() - started
    print(f"{count} networks of {CONFIG.name}, {workers} workers against one process, imports excluded")
    print(
        f"  workers      {3600 * count / parallel:8,.0f} evaluations per hour ({parallel / count:.2f} s each)"
    )
    print(f"  one process  {3600 * count / serial:8,.0f} evaluations per hour ({serial / count:.2f} s each)")
    print(f"  ratio        {serial / parallel:8.2f}")


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
            "search.generations": 12,
            "final": {"seeds": 1, "networks": 1},
        }
        result = search(load_config(CONFIG, overrides))
    asked = 24 * 12
    searched = [evaluation for evaluation in result.run.evaluations if not evaluation.reference]
    trained = {(e.expression, str(e.choices.get("topology.hidden"))) for e in searched if e.metrics}
    print(f"evolution: at most {asked} candidates requested, {len(searched)} distinct ones evaluated")
    print(f"  trained      {len(trained):8} networks; the others share a training or were rejected")
    print(f"  saved        {1 - len(trained) / asked:8.1%}")


if __name__ == "__main__":
    main()
