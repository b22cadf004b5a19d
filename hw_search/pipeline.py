"""The main job, top to bottom: from a configuration to a front, its files and its page."""

import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml
from pydantic import TypeAdapter

from finn_flows.cost import Cost
from hw_search.config import Config
from hw_search.errors import UserError
from hw_search.evaluation import import_plugins, load_data, task, task_key
from hw_search.executor import Executor, LocalExecutor
from hw_search.files import write_text
from hw_search.pricing import Infeasible, Pricer
from hw_search.space import Candidate, Genome, Space
from hw_search.store import Store
from hw_search.strategies import Score, make_strategy
from hw_search.verdict import verdict
from models.data import Data
from models.errors import ModelError
from models.expressions import X
from reports.pareto import nondominated
from reports.records import Evaluation, Finalist, NodeCost, Run, Site
from reports.storage import contents

_SITE = TypeAdapter(Site)
_PACKAGES = ("zerocross", "torch", "brevitas", "finn-plus", "qonnx", "pymoo", "numpy")


class Watcher(Protocol):
    """Someone who looks on."""

    def begin(self, run: str, planned: int) -> None:
        """The search begins; about so many candidates will be asked for."""

    def evaluated(self, evaluation: Evaluation, cached: bool) -> None:
        """A candidate's result is there."""

    def generation(self, evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> None:
        """A batch is complete; these are all evaluations so far."""

    def finals(self, done: int, total: int) -> None:
        """So many of the front's last trainings are done."""


class Silent:
    """A watcher that says nothing."""

    def begin(self, run: str, planned: int) -> None:
        """See `Watcher`."""

    def evaluated(self, evaluation: Evaluation, cached: bool) -> None:
        """See `Watcher`."""

    def generation(self, evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> None:
        """See `Watcher`."""

    def finals(self, done: int, total: int) -> None:
        """See `Watcher`."""


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
        watcher: told of every step.
        executor: where networks are trained; worker processes on this machine by default.

    Returns:
        The front and all evaluations; the run's folder then holds `config.yaml`, `store.sqlite`, `pareto.json`,
        `pareto.csv`, `evaluations.jsonl`, `report.html` and the front's weights.

    Raises:
        UserError: for anything the user can mend.
        KeyboardInterrupt: passed on, after a page of what there is has been written.
    """
    watcher = watcher or Silent()
    started = time.time()
    import_plugins(config.plugins)
    try:
        data = load_data(**config.data.model_dump())
    except ModelError as error:
        raise UserError(f"data: {error}") from None
    space = Space(config, data.input_shape, data.classes)
    pricer = Pricer(config, space)
    pricer.check_space()
    folder = Path(config.output) / config.name
    with Store(folder) as store:
        write_text(folder / "config.yaml", yaml.safe_dump(config.model_dump(), sort_keys=False))
        own = (
            LocalExecutor(config.search.workers or os.cpu_count() or 1, folder / "workers.log")
            if executor is None
            else None
        )
        bench = _Bench(config, space, pricer, data, store, executor or own, watcher)  # type: ignore[arg-type]
        front: list[Finalist] = []
        references: list[Finalist] = []
        finished = False
        try:
            _evolve(bench, data.classes)
            front, references = bench.finals()
            finished = True
        finally:
            if own is not None:
                own.close()
            store.add_sitting(started, time.time() - started)
            run = _run(bench, front, references, store.seconds(), finished)
            if finished or run.evaluations:
                _leave(run, folder)
    return SearchResult(folder, run, bench.trained, bench.replayed)


def _evolve(bench: "_Bench", classes: int) -> None:
    """Let the strategy ask until it has no more questions."""
    config = bench.config
    strategy = make_strategy(
        config.search,
        bench.space,
        len(config.objectives),
        lambda genome: bench.candidate(genome).id,
        1 - 1 / classes,
    )
    bench.watcher.begin(config.name, strategy.planned)
    while genomes := strategy.ask():
        scores = bench.evaluate([bench.candidate(genome) for genome in genomes])
        strategy.tell(genomes, scores)
        bench.watcher.generation(bench.evaluations, config.objectives)


@dataclass
class _Trial:
    """A candidate on its way to an evaluation."""

    candidate: Candidate
    result: dict[str, Any] | None = None
    reason: str | None = None
    status: str = "ok"
    cached: bool = True


@dataclass
class _Bench:
    """Where candidates are evaluated: first what is free (is it dead, can it fit?), then what is stored, then training."""

    config: Config
    space: Space
    pricer: Pricer
    data: Data
    store: Store
    executor: Executor
    watcher: Watcher
    evaluations: list[Evaluation] = field(default_factory=list)
    trained: int = 0
    replayed: int = 0
    _candidates: dict[Genome, Candidate] = field(default_factory=dict)
    _by_id: dict[str, Candidate] = field(default_factory=dict)
    _scores: dict[str, Score] = field(default_factory=dict)
    _sign_error: dict[str, float] = field(default_factory=dict)

    def candidate(self, genome: Genome) -> Candidate:
        """Return what a genome stands for, made once."""
        if genome not in self._candidates:
            self._candidates[genome] = self.space.candidate(genome)
        return self._candidates[genome]

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Score]:
        """Evaluate candidates and the plain signs they are to be compared with; all new ones become evaluations."""
        signs = [candidate.with_expressions((X,)) for candidate in candidates]
        fresh: dict[str, _Trial] = {}
        for candidate in [*signs, *candidates]:
            if candidate.id not in self._scores and candidate.id not in fresh:
                fresh[candidate.id] = self._screen(candidate)
        self._train([trial for trial in fresh.values() if trial.reason is None])
        for trial in fresh.values():
            self._judge(trial)
        return [self._scores[candidate.id] for candidate in candidates]

    def _screen(self, candidate: Candidate) -> _Trial:
        """Turn away what no training can save."""
        reason = self.space.dead(candidate)
        if reason is None:
            try:
                reason = "; ".join(self.pricer.violations(self.pricer.cost(candidate))) or None
            except Infeasible as error:
                reason = str(error)
        return _Trial(candidate, reason=reason, status="ok" if reason is None else "infeasible")

    def _train(self, trials: Sequence[_Trial]) -> None:
        """Give every trial its result, training each network once."""
        seed = self.config.search.seed
        groups: dict[str, list[_Trial]] = {}
        tasks: dict[str, dict[str, Any]] = {}
        for trial in trials:
            work = task(self.config, trial.candidate, seed)
            key = task_key(trial.candidate, work, self.data.fingerprint)
            groups.setdefault(key, []).append(trial)
            tasks.setdefault(key, work)
        for key, result, cached in self._results(tasks):
            for trial in groups[key]:
                trial.result, trial.cached = result, cached
                self.watcher.evaluated(self._preview(trial), cached)

    def _preview(self, trial: _Trial) -> Evaluation:
        assert trial.result is not None
        metrics = {"error": 1 - trial.result["accuracy"]} if trial.result["status"] == "ok" else {}
        candidate = trial.candidate
        return Evaluation(
            -1, candidate.id, candidate.text, candidate.choices, candidate.is_reference, "ok", None, metrics
        )

    def _results(self, tasks: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], bool]]:
        """Yield (key, result, whether it was stored) of all tasks: the stored ones first, then as they are done."""
        missing = []
        for key, work in tasks.items():
            stored = self.store.get(key)
            if stored is None or (work["weights"] and not Path(work["weights"]).exists()):
                missing.append(key)
            else:
                self.replayed += 1
                yield key, stored, True
        for index, result in self.executor.run([tasks[key] for key in missing]):
            if result["status"] == "error":
                raise UserError(result["reason"])
            if not result.get("passing"):
                self.store.put(missing[index], result)
            self.trained += 1
            yield missing[index], result, False

    def _judge(self, trial: _Trial) -> None:
        """Turn a trial into an evaluation and a score."""
        candidate, metrics, violation = trial.candidate, {}, 0.0
        objectives: tuple[float, ...] | None = None
        if trial.result is not None and trial.result["status"] != "ok":
            trial.status, trial.reason = "failed", trial.result["reason"]
        elif trial.result is not None:
            cost = self.pricer.cost(candidate, trial.result["crossings"])
            metrics = {"error": 1 - trial.result["accuracy"], **self.pricer.metrics(cost)}
            if candidate.is_reference:
                self._sign_error[self._architecture(candidate)] = metrics["error"]
            objectives = tuple(metrics[name] for name in self.config.objectives)
            broken = self.pricer.violations(cost) | self._broken(
                candidate, metrics, trial.result["crossings"]
            )
            if broken:
                trial.status, trial.reason, violation = "infeasible", "; ".join(broken), sum(broken.values())
        self._by_id[candidate.id] = candidate
        self._scores[candidate.id] = Score(objectives, violation)
        self.evaluations.append(
            Evaluation(
                len(self.evaluations),
                candidate.id,
                candidate.text,
                candidate.choices,
                candidate.is_reference,
                trial.status,  # type: ignore[arg-type]
                trial.reason,
                metrics,
            )
        )

    @staticmethod
    def _architecture(candidate: Candidate) -> str:
        return candidate.with_expressions((X,)).network_key

    def _broken(
        self, candidate: Candidate, metrics: dict[str, float], crossings: dict[str, list[int]]
    ) -> dict[str, float]:
        """Return by how much a trained candidate breaks the constraints that need training to know."""
        limits = self.config.constraints
        found = {}
        most = max((max(counts, default=0) for counts in crossings.values()), default=0)
        if limits.max_crossings is not None and most > limits.max_crossings:
            found[f"{most} crossings are above max_crossings {limits.max_crossings}"] = (
                most / limits.max_crossings - 1
            )
        sign = self._sign_error.get(self._architecture(candidate))
        if limits.max_accuracy_loss is not None and sign is not None:
            loss = metrics["error"] - sign
            if loss > limits.max_accuracy_loss:
                found[f"{loss:.3f} accuracy lost are above max_accuracy_loss {limits.max_accuracy_loss}"] = (
                    loss
                )
        return found

    def front(self, references: bool) -> list[Evaluation]:
        """Return the evaluations no other dominates: of all feasible ones, or of the plain signs."""
        pool = [e for e in self.evaluations if e.status == "ok" and (e.reference or not references)]
        if not pool:
            return []
        points = np.array([[e.metrics[name] for name in self.config.objectives] for e in pool])
        chosen = [evaluation for evaluation, best in zip(pool, nondominated(points), strict=True) if best]
        chosen.sort(key=lambda evaluation: [evaluation.metrics[name] for name in self.config.objectives])
        most = self.config.final.networks
        if most is not None and len(chosen) > most:
            places = np.linspace(0, len(chosen) - 1, most).round().astype(int)
            chosen = [chosen[place] for place in dict.fromkeys(places.tolist())]
        return chosen

    def finals(self) -> tuple[list[Finalist], list[Finalist]]:
        """Train the front and its plain signs anew with several seeds, and read the test set.

        The plain signs are those with the front's own choices, and those no other plain sign dominates. The
        seeds are not the search's own, so that its luck does not count.
        """
        front = self.front(False)
        signs = {self._sign(evaluation).id for evaluation in front} | {e.id for e in self.front(True)}
        references = [evaluation for evaluation in self.evaluations if evaluation.id in signs]
        members = list({evaluation.id: evaluation for evaluation in [*front, *references]}.values())
        seeds = [self.config.search.seed + 1 + index for index in range(self.config.final.seeds)]
        folder = Path(self.config.output) / self.config.name
        tasks, places = {}, {}
        for member in members:
            candidate = self._by_id[member.id]
            for seed in seeds:
                weights = str((folder / _weights(candidate)).resolve()) if seed == seeds[0] else None
                work = task(self.config, candidate, seed, True, weights)
                places[member.id, seed] = key = task_key(candidate, work, self.data.fingerprint)
                tasks[key] = work
        results: dict[str, dict[str, Any]] = {}
        self.watcher.finals(0, len(tasks))
        for key, result, _ in self._results(tasks):
            results[key] = result
            self.watcher.finals(len(results), len(tasks))
        made = {}
        for member in members:
            outcomes = [results[places[member.id, seed]] for seed in seeds]
            made[member.id] = self._finalist(member, seeds, outcomes)
        return (
            [finalist for e in front if (finalist := made[e.id]) is not None],
            [finalist for e in references if (finalist := made[e.id]) is not None],
        )

    def _sign(self, evaluation: Evaluation) -> Candidate:
        """Return the plain sign of an evaluation's choices."""
        return self._by_id[evaluation.id].with_expressions((X,))

    def _finalist(
        self, member: Evaluation, seeds: list[int], outcomes: list[dict[str, Any]]
    ) -> Finalist | None:
        candidate = self._by_id[member.id]
        good = [
            (seed, outcome)
            for seed, outcome in zip(seeds, outcomes, strict=True)
            if outcome["status"] == "ok"
        ]
        if not good or good[0][0] != seeds[0]:
            return None  # it trained by luck in the search alone; its evaluation stays on record
        first = good[0][1]
        cost = self.pricer.cost(candidate, first["crossings"])
        return Finalist(
            id=member.id,
            expression=member.expression,
            choices=member.choices,
            reference=member.reference,
            seeds=[seed for seed, _ in good],
            validation=[outcome["accuracy"] for _, outcome in good],
            test=[outcome["test"] for _, outcome in good],
            search_error=member.metrics["error"],
            metrics={"error": 1 - first["accuracy"], **self.pricer.metrics(cost)},
            finn={
                "lut": cost.finn.lut,
                "bram": cost.finn.bram18,
                "dsp": cost.finn.dsp,
                "latency": cost.finn_latency,
                "ii": cost.ii,
            },
            fps=cost.fps,
            nodes=_nodes(cost),
            sites=[_SITE.validate_python(site) for site in first["sites"]],
            agreement=first["agreement"],
            weights=_weights(candidate),
            build=f"zerocross activations '{member.expression.split(' | ')[0]}'",
            topology=candidate.topology,
        )


def _weights(candidate: Candidate) -> str:
    """Path of a network's weights in the run's folder; foldings of one network share them."""
    return f"front/{candidate.network_key[:8]}.safetensors"


def _nodes(cost: Cost) -> list[NodeCost]:
    found = []
    for node in cost.nodes:
        entry = asdict(node)
        for model in ("finn", "zerocross"):
            entry[model] = {
                "lut": entry[model]["lut"],
                "bram": entry[model]["bram18"],
                "dsp": entry[model]["dsp"],
            }
        found.append(NodeCost(**entry))
    return found


def _run(
    bench: _Bench, front: list[Finalist], references: list[Finalist], seconds: float, finished: bool
) -> Run:
    config = bench.config
    data = bench.data
    return Run(
        name=config.name,
        description=(
            f"{config.data.name} ({len(data.train):,} training and {len(data.validation):,} validation samples), "
            f"{config.topology['name']}, {bench.pricer.part.name} at {config.device.clock_mhz:g} MHz"
        ),
        objectives=list(config.objectives),
        strategy=config.search.strategy,
        seconds=seconds,
        evaluations=bench.evaluations,
        front=front,
        references=references,
        verdict=verdict(front, references)
        if finished
        else "The search is not finished: run the same command to go on.",
        config=config.model_dump(),
        versions={"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        finished=finished,
    )


def _leave(run: Run, folder: Path) -> None:
    for name, text in contents(run).items():
        write_text(folder / name, text)
    from reports.page import write_report  # plotly is slow to import, and workers need none of it

    try:
        write_report(run, folder / "report.html")
    except OSError as error:
        raise UserError(f"{folder / 'report.html'} cannot be written ({error.strerror})") from None
