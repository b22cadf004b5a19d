"""A search from start to end: from a configuration to a front, its files and its page."""

import platform
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from zerocross.hw_search.budget import Budget
from zerocross.hw_search.choice import alternatives
from zerocross.hw_search.config import Config
from zerocross.hw_search.data_set import check_augment, read_data
from zerocross.hw_search.earlier import keep_other_front, remark, set_aside
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.evaluator import Evaluator
from zerocross.hw_search.execution.code_version import plugin_digests
from zerocross.hw_search.execution.executor import Executor, LocalExecutor
from zerocross.hw_search.execution.store import Store
from zerocross.hw_search.files import write_text
from zerocross.hw_search.final_training import Finals, finals, whole_front
from zerocross.hw_search.finalists import list_digests
from zerocross.hw_search.first_pass import check_networks, gradient_notes
from zerocross.hw_search.notebook import Notebook, in_notebook
from zerocross.hw_search.pace import Durations, Sample, measure
from zerocross.hw_search.pricing import Pricer
from zerocross.hw_search.space import Candidate, Genome, Space
from zerocross.hw_search.strategies.differentiable import Differentiable
from zerocross.hw_search.strategies.making import make_strategy
from zerocross.hw_search.strategies.strategy import Score, Strategy
from zerocross.hw_search.strategies.warm_start import starts
from zerocross.hw_search.trainings import worker_count
from zerocross.hw_search.verdict import verdict
from zerocross.hw_search.watcher import Callback, StopSearch, Watcher, together
from zerocross.models.data import Data
from zerocross.reports import rows
from zerocross.reports.convergence import Convergence, convergence
from zerocross.reports.records import Finalist, Run
from zerocross.reports.run_builds import builds_of
from zerocross.reports.storage import FUNCTIONS, REPORT, UnreadableRun, contents, load_retrained, load_run
from zerocross.reports.wording import count

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects

_IDLE = 500
"""Generations in a row without a new candidate that end a search."""

_FINNS_COSTS = (
    "cost_model is finn: the search minimised FINN's estimates, which the figures of the search show. The knee, the verdict "
    "and the tables of the networks trained again use zerocross's."
)

_PACKAGES = ("zerocross", "torch", "brevitas", "finn-plus", "qonnx", "pymoo", "numpy")


@dataclass(frozen=True, repr=False)
class SearchResult:
    """The result of a search.

    Attributes:
        folder: Folder of the run.
        run: Records of the run; `run.front` is the front.
        trained: Number of networks trained by this call.
        replayed: Number of results found in the store.
    """

    folder: Path
    run: Run
    trained: int
    replayed: int

    @property
    def front(self) -> list[Finalist]:
        """The networks of the front."""
        return self.run.front

    def to_dataframe(self, front: bool = False) -> "pandas.DataFrame":
        """Return the evaluations as a pandas table, or the networks of the front; columns as in `reports.rows`.

        Raises:
            UserError: If pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise UserError("to_dataframe needs pandas: pip install pandas") from None
        return pandas.DataFrame(rows.networks(self.run) if front else rows.evaluations(self.run))

    def plot(self) -> "plotly.graph_objects.Figure":
        """Return the figure of the front among all evaluations."""
        from zerocross.reports.figures import front

        return front(self.run)

    def convergence(self) -> Convergence:
        """Return whether the front still rises, and what would improve it; see `zerocross.reports.convergence`.

        With fewer than eight candidates, the sentences say that this cannot be said yet.
        """
        return convergence(self.run, self.folder)

    def __repr__(self) -> str:
        return f"<SearchResult {self.folder}: {rows.summary(self.run)}>"

    def _repr_html_(self) -> str:
        return rows.html_table(self.run)


def load_result(folder: str | Path) -> SearchResult:
    """Return the result of a search from its folder, also that of an interrupted one.

    Raises:
        UnreadableRun: If the folder holds no search.
    """
    return SearchResult(Path(folder), load_run(Path(folder)), 0, 0)


def search(
    config: Config,
    watcher: Watcher | None = None,
    executor: Executor | None = None,
    callbacks: Sequence[Watcher] = (),
) -> SearchResult:
    """Run a search, or resume an interrupted one.

    Args:
        config: Configuration of the search.
        watcher: Progress display, which receives a call for every step; by default a bar in a notebook, else nothing.
        executor: Executor that trains the networks; by default the one that `search.executor` selects.
        callbacks: Further receivers of these calls, such as a logger; see `zerocross.Callback`.

    Returns:
        The front and all evaluations. The run's folder then holds `config.yaml`, `store.sqlite`, `pareto.json`,
        `pareto.csv`, `evaluations.jsonl`, `report.html` and the front's weights.

    Raises:
        UserError: If the user made a mistake.
        KeyboardInterrupt: If the user stops the search. A page with the results so far is written first.
    """
    watcher = together(watcher or _display(config), *callbacks)
    folder = Path(config.output) / config.name
    found, ending = Finals(), ""
    finished = False
    with closing(watcher):
        with open_run(config, watcher, executor, _check_start) as evaluator:
            try:
                budget = _budget(evaluator, watcher)
                ending = evolve(evaluator, watcher, budget)
                scope = budget.scope() if budget else None
                ending = " ".join(filter(None, (ending, budget.ending if budget else "")))
                found = finals(evaluator, watcher, folder, scope)
                finished = True
                if not found.front:
                    raise UserError(
                        f"no candidate succeeded. {_reasons(evaluator)}. See also {folder}/workers.log"
                    )
            finally:
                run = _result(evaluator, found, finished, ending, folder)
                if run.evaluations and (finished or not _is_finished(folder)):
                    if finished and (other := keep_other_front(folder, run)):
                        watcher.note(other)
                        run = _result(evaluator, found, finished, ending, folder)  # beside what was moved
                    _leave(run, folder)
        watcher.end(run, folder)
    return SearchResult(folder, run, evaluator.trained, evaluator.replayed)


def _check_start(space: Space) -> None:
    """Check the augmentation and the folders that a search starts from, before anything is written."""
    config = space.config
    check_augment(config, space.input_shape)
    own = (Path(config.output) / config.name).resolve()
    for folder in config.search.start_from:
        if Path(folder).resolve() == own:
            raise UserError(
                f"search.start_from: {folder} is the folder of this search itself, whose results change while it runs: give "
                "this search another --name"
            )
    starts(config.search.start_from, space, lambda text: None)


def _result(evaluator: Evaluator, found: Finals, finished: bool, ending: str, folder: Path) -> Run:
    remarks = [*([ending] if ending else []), *remark(folder, evaluator.config)]
    return _run(evaluator, found, finished, remarks, load_retrained(folder))


def _display(config: Config) -> Watcher:
    return Notebook(seeds=config.search.seeds) if in_notebook() else Callback()


@contextmanager
def open_run(
    config: Config,
    watcher: Watcher,
    executor: Executor | None = None,
    check: Callable[[Space], None] = lambda space: None,
    keeps_config: bool = False,
) -> Iterator[Evaluator]:
    """Open a run's folder, its store and its workers, to evaluate candidates of a configuration.

    Args:
        config: The configuration. It is written to the folder, unless this keeps its own.
        watcher: Receives a call for every training.
        executor: See `search`.
        check: Function that raises a UserError for an unsuitable space, before anything is written.
        keeps_config: Whether the folder keeps its configuration, which differs only in the place and the workers.

    Raises:
        UserError: If the user made a mistake.
    """
    data, test_fingerprint = read_data(config)
    space, pricer = open_space(config, data, check)
    for text in gradient_notes(space):
        watcher.note(text)
    folder = Path(config.output) / config.name
    with Store(folder) as store:
        if changed := set_aside(folder, config):
            watcher.note(changed)
        _say_losses(store, folder, watcher)
        if not keeps_config:
            write_text(folder / "config.yaml", yaml.safe_dump(config.model_dump(), sort_keys=False))
        workers = executor or _executor(config, folder / "workers.log")
        evaluator = Evaluator(config, space, pricer, data, test_fingerprint, store, workers, watcher)
        try:
            yield evaluator
        finally:
            if executor is None:
                workers.close()
            evaluator.end_sitting()


def open_space(
    config: Config, data: Data, check: Callable[[Space], None] = lambda space: None
) -> tuple[Space, Pricer]:
    """Return the space of a configuration and the prices of its candidates, after all checks that need no training.

    Args:
        config: The configuration. Its plugins must be imported already.
        data: Its data.
        check: See `open_run`.

    Raises:
        UserError: If the user made a mistake, a network of the user's own topology fails, or no candidate can be built.
    """
    space = Space(config, data.input_shape, data.classes, data.train.x)
    check(space)
    pricer = Pricer(config, space)
    check_networks(space, data)
    pricer.check_space()
    return space, pricer


def _say_losses(store: Store, folder: Path, watcher: Watcher) -> None:
    """Tell the user what the store has lost, because it is trained again."""
    if store.damaged:
        results = count(store.damaged, "result is", "results are")
        watcher.note(f"{results} damaged in {store.path}: these trainings run again.")
    elif not len(store) and (_is_finished(folder) or (folder / FUNCTIONS).exists()):
        watcher.note(
            f"{folder} holds finished results, but its {store.path.name} is gone or empty: all networks train again."
        )


def _executor(config: Config, log: Path) -> Executor:
    if config.search.executor == "ray":
        from zerocross.hw_search.execution.ray_executor import RayExecutor

        return RayExecutor(config.search, log)
    return LocalExecutor(worker_count(config), log)


def _budget(evaluator: Evaluator, watcher: Watcher) -> Budget | None:
    minutes, config = evaluator.config.search.budget_minutes, evaluator.config
    if minutes is None:
        return None

    def durations() -> Durations | None:
        sample = Sample(config, evaluator.space, evaluator.pricer)
        if not sample.good:
            return None
        return measure(config, evaluator.space, evaluator.pricer, evaluator.data, sample)[1]

    return Budget(evaluator, minutes, durations, watcher.note)


def evolve(evaluator: Evaluator, watcher: Watcher, budget: Budget | None = None) -> str:
    """Evaluate the strategy's candidates until it returns no more or the budget ends, and audit the rungs.

    A search also ends when the whole space is evaluated, or when many generations in a row bring no new candidate.

    Returns:
        Why the search ended early, in a sentence; "" if the strategy, the budget or the space's size ended it.

    Raises:
        UserError: If the strategy finds no candidate at all.
    """
    config, known = evaluator.config, dict[Genome, Candidate]()

    def candidate(genome: Genome) -> Candidate:
        if genome not in known:
            known[genome] = evaluator.space.candidate(genome)
        return known[genome]

    strategy: Strategy
    if config.search.strategy == "differentiable":
        strategy = Differentiable(
            config, evaluator.space, evaluator.pricer, evaluator.data.fingerprint, evaluator.results
        )
    else:
        strategy = make_strategy(
            config.search,
            evaluator.space,
            len(config.objectives),
            lambda genome: candidate(genome).key,
            1 - 1 / evaluator.data.classes,
            starts(config.search.start_from, evaluator.space, watcher.note),
        )
    watcher.begin(config.name, None if budget else strategy.planned)
    ending, idle = "", 0
    while not ending and (genomes := strategy.ask()):
        before = len(evaluator.evaluations)
        scores = _evaluated(evaluator, [candidate(genome) for genome in genomes], budget)
        if len(scores) == len(genomes):
            strategy.tell(genomes, scores)
        elif not scores:
            break
        if config.search.rungs:
            watcher.ranked(evaluator.rungs(intervals=False))
        try:
            watcher.generation(evaluator.evaluations, config.objectives)
        except StopSearch as stop:
            ending = f"A callback ended the search after generation {evaluator.generation}" + (
                f": {stop}." if str(stop) else "."
            )
        if len(scores) < len(genomes):
            break
        idle = 0 if len(evaluator.evaluations) > before else idle + 1
        if evaluator.has_all(known):
            evaluator.exhausted = True
            break
        if idle == _IDLE and not ending:
            ending = f"The search ended after generation {evaluator.generation}: the last {_IDLE} brought no new candidate."
    if not evaluator.evaluations:
        raise UserError(
            "the search found no candidate: no activation that it drew ever changes its sign. Widen `activation`"
        )
    if config.search.rungs and config.search.audit:
        with budget.auditing() if budget else nullcontext():
            evaluator.audit()
        watcher.ranked(evaluator.rungs())
        with suppress(StopSearch):  # the search has ended
            watcher.generation(evaluator.evaluations, config.objectives)
    return ending


def _evaluated(evaluator: Evaluator, candidates: list[Candidate], budget: Budget | None) -> list[Score]:
    """Return the scores of a generation, or of its first candidates if the budget ends."""
    if budget is None:
        return evaluator.evaluate(candidates)
    scores = list[Score]()
    while len(scores) < len(candidates) and (taken := budget.take(len(candidates) - len(scores))):
        with budget.spending(taken):
            part = candidates[len(scores) : len(scores) + taken]
            scores += evaluator.evaluate(part, begins=not scores)
    return scores


def _run(
    evaluator: Evaluator, found: Finals, finished: bool, remarks: list[str], retrained: list[Finalist]
) -> Run:
    config, data, part = evaluator.config, evaluator.data, evaluator.pricer.part
    stand_in = (
        ""
        if part.known_to_finn
        else f" (FINN does not know the part: its own estimates are for {part.finn_part})"
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
        seconds=evaluator.seconds(),
        evaluations=evaluator.evaluations,
        front=found.front,
        references=found.references,
        verdict=(
            verdict(
                found.front,
                found.references,
                config.objectives,
                found.controls,
                whole_front(evaluator),
                found.lost,
            )
            if found.front
            else _reasons(evaluator)
        )
        if finished
        else "The search is not finished. Run the same command to resume.",
        config=config.model_dump(),
        input_shape=list(data.input_shape),
        scaling={name: list(ends) for name, ends in asdict(data.scaling).items()} if data.scaling else None,
        notes=list(data.notes),
        classes=data.classes,
        versions=versions(),
        finished=finished,
        rungs=evaluator.rungs(),
        controls=found.controls,
        remarks=[*found.remarks, *remarks, *([_FINNS_COSTS] if config.cost_model == "finn" else [])],
        exhausted=evaluator.exhausted,
        plugins=plugin_digests(tuple(config.plugins)),
        retrained=retrained,
    )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that affect results."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def _reasons(evaluator: Evaluator) -> str:
    """Return the two most frequent reasons for failure, with their counts."""
    front = {evaluation.id for evaluation in whole_front(evaluator)}
    failed = [entry for entry in evaluator.evaluations if entry.reason or entry.id in front]
    reasons = Counter(entry.reason or "its final training failed" for entry in failed)
    return "; ".join(
        f"{often} of {count(len(evaluator.evaluations), 'candidate')}, plain signs included: {reason}"
        for reason, often in reasons.most_common(2)
    )


def _is_finished(folder: Path) -> bool:
    """Return whether the folder holds the records of a finished run. An interrupted run must not replace them."""
    try:
        return load_run(folder).finished
    except UnreadableRun:
        return False


def _leave(run: Run, folder: Path) -> None:
    from zerocross.reports.page import render  # imported here because plotly is slow to import

    for name, text in {**contents(run), REPORT: render(run, builds_of(folder, run), folder)}.items():
        write_text(folder / name, text)
    list_digests(run, folder)
