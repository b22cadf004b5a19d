"""The main job, top to bottom: from a configuration to a front, its files and its page."""

import os
import platform
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import yaml

from zerocross.hw_search.choice import alternatives
from zerocross.hw_search.config import Config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.evaluator import Evaluator
from zerocross.hw_search.execution.code_version import code_version
from zerocross.hw_search.execution.evaluation import load_data
from zerocross.hw_search.execution.executor import Executor, LocalExecutor
from zerocross.hw_search.execution.store import Store
from zerocross.hw_search.files import write_text
from zerocross.hw_search.final_training import finals
from zerocross.hw_search.plugins import import_plugins
from zerocross.hw_search.pricing import Pricer
from zerocross.hw_search.space import Candidate, Genome, Space
from zerocross.hw_search.strategies.differentiable import Differentiable
from zerocross.hw_search.strategies.making import make_strategy
from zerocross.hw_search.strategies.strategy import Strategy
from zerocross.hw_search.verdict import verdict
from zerocross.hw_search.watcher import Silent, Watcher
from zerocross.models.data import Data, check_test
from zerocross.models.errors import ModelError
from zerocross.models.training import pick_device
from zerocross.reports.records import Finalist, Run
from zerocross.reports.storage import REPORT, UnreadableRun, contents, load_run

_PACKAGES = ("zerocross", "torch", "brevitas", "finn-plus", "qonnx", "pymoo", "numpy")


@dataclass(frozen=True)
class SearchResult:
    """What a search leaves.

    Attributes:
        folder: the run's folder.
        run: its records; `run.front` is the front.
        trained: networks trained in this sitting.
        replayed: results found in the store.
    """

    folder: Path
    run: Run
    trained: int
    replayed: int

    @property
    def front(self) -> list[Finalist]:
        """The networks of the front."""
        return self.run.front


def search(config: Config, watcher: Watcher | None = None, executor: Executor | None = None) -> SearchResult:
    """Search, or go on with a search that was interrupted.

    Args:
        config: what to search.
        watcher: notified of every step.
        executor: where networks are trained; by default where `search.executor` says.

    Returns:
        The front and all evaluations; the run's folder then holds `config.yaml`, `store.sqlite`, `pareto.json`,
        `pareto.csv`, `evaluations.jsonl`, `report.html` and the front's weights.

    Raises:
        UserError: for anything the user can mend.
        KeyboardInterrupt: passed on, after a page of what there is has been written.
    """
    watcher = watcher or Silent()
    folder = Path(config.output) / config.name
    front: list[Finalist] = []
    references: list[Finalist] = []
    finished = False
    with open_run(config, watcher, executor) as evaluator:
        try:
            evolve(evaluator, watcher)
            front, references = finals(evaluator, watcher, folder)
            finished = True
            if not front:
                raise UserError(
                    f"no candidate came to anything. {_reasons(evaluator)}. {folder}/workers.log may say more"
                )
        finally:
            run = _run(evaluator, front, references, evaluator.seconds(), finished)
            if run.evaluations and (finished or not _is_finished(folder)):
                _leave(run, folder)
    return SearchResult(folder, run, evaluator.trained, evaluator.replayed)


@contextmanager
def open_run(
    config: Config,
    watcher: Watcher,
    executor: Executor | None = None,
    check: Callable[[Space], None] = lambda space: None,
) -> Iterator[Evaluator]:
    """Open a run's folder, its store and its workers, to evaluate candidates of a configuration.

    Args:
        config: the configuration; it is written to the folder.
        watcher: notified of every training.
        executor: as of `search`.
        check: raises a UserError for a space that is no use here, before anything is written.

    Raises:
        UserError: for anything the user can mend.
    """
    data, test_fingerprint = _data(config)
    space = Space(config, data.input_shape, data.classes)
    check(space)
    pricer = Pricer(config, space)
    pricer.check_space()
    folder = Path(config.output) / config.name
    with Store(folder) as store:
        write_text(folder / "config.yaml", yaml.safe_dump(config.model_dump(), sort_keys=False))
        workers = executor or _executor(config, folder / "workers.log")
        evaluator = Evaluator(config, space, pricer, data, test_fingerprint, store, workers, watcher)
        try:
            yield evaluator
        finally:
            if executor is None:
                workers.close()
            evaluator.end_sitting()


def _data(config: Config) -> tuple[Data, str]:
    import_plugins(config.plugins)
    try:
        data = load_data(config.data)
        return data, check_test(config.data.name, config.data.root, data)
    except ModelError as error:
        raise UserError(f"data: {error}") from None


def _executor(config: Config, log: Path) -> Executor:
    if config.search.executor == "ray":
        from zerocross.hw_search.execution.ray_executor import RayExecutor

        return RayExecutor(config.search, log)
    return LocalExecutor(_worker_count(config), log)


def _worker_count(config: Config) -> int:
    """Return how many worker processes to start: as configured, else one for each core, or two that share a GPU."""
    if config.search.workers is not None:
        return config.search.workers
    return (os.cpu_count() or 1) if pick_device(config.training.device).type == "cpu" else 2


def evolve(evaluator: Evaluator, watcher: Watcher) -> None:
    """Let the strategy ask until it has no more questions."""
    config, known = evaluator.config, dict[Genome, Candidate]()

    def candidate(genome: Genome) -> Candidate:
        if genome not in known:
            known[genome] = evaluator.space.candidate(genome)
        return known[genome]

    strategy: Strategy
    if config.search.strategy == "differentiable":
        fingerprint = evaluator.data.fingerprint + code_version(tuple(config.plugins))
        strategy = Differentiable(config, evaluator.space, evaluator.pricer, fingerprint, evaluator.results)
    else:
        strategy = make_strategy(
            config.search,
            evaluator.space,
            len(config.objectives),
            lambda genome: candidate(genome).key,
            1 - 1 / evaluator.data.classes,
        )
    watcher.begin(config.name, strategy.planned)
    while genomes := strategy.ask():
        strategy.tell(genomes, evaluator.evaluate([candidate(genome) for genome in genomes]))
        watcher.generation(evaluator.evaluations, config.objectives)


def _run(
    evaluator: Evaluator, front: list[Finalist], references: list[Finalist], seconds: float, finished: bool
) -> Run:
    config, data, part = evaluator.config, evaluator.data, evaluator.pricer.part
    stand_in = (
        ""
        if part.known_to_finn
        else f" (FINN's own estimates are for {part.finn_part}: it does not know the part)"
    )
    return Run(
        name=config.name,
        description=(
            f"{Path(config.data.name).name} ({len(data.train):,} training and {len(data.validation):,} validation "
            f"samples), {' or '.join(alternatives(config.topology['name']))}, {part.name} (LUT{part.lut_inputs}) at "
            f"{config.device.clock_mhz:g} MHz{stand_in}"
        ),
        objectives=list(config.objectives),
        strategy=config.search.strategy,
        seconds=seconds,
        evaluations=evaluator.evaluations,
        front=front,
        references=references,
        verdict=(verdict(front, references, config.objectives) if front else _reasons(evaluator))
        if finished
        else "The search is not finished: run the same command to go on.",
        config=config.model_dump(),
        input_shape=list(data.input_shape),
        classes=data.classes,
        versions=versions(),
        finished=finished,
    )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def _reasons(evaluator: Evaluator) -> str:
    """Say what most candidates failed of."""
    reasons = Counter(evaluation.reason or "it did not train again" for evaluation in evaluator.evaluations)
    return "; ".join(
        f"{count} of {len(evaluator.evaluations)}: {reason}" for reason, count in reasons.most_common(2)
    )


def _is_finished(folder: Path) -> bool:
    """Tell whether a finished run's records stand here: an interruption must not replace them."""
    try:
        return load_run(folder).finished
    except UnreadableRun:
        return False


def _leave(run: Run, folder: Path) -> None:
    from zerocross.reports.page import render  # plotly is slow to import, and only now is it needed

    for name, text in {**contents(run), REPORT: render(run)}.items():
        write_text(folder / name, text)
