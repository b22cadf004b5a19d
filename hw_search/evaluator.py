"""Evaluation of candidates: first the checks that need no training (constant bit, fit), then the store, then training."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Literal

import numpy as np

from zerocross.digests import digest_of
from zerocross.finn_flows.cost import Cost
from zerocross.finn_flows.network import is_indexed
from zerocross.hw_search.config import Config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.executor import Executor
from zerocross.hw_search.execution.stacks import stack_size, stacks
from zerocross.hw_search.execution.store import Store
from zerocross.hw_search.execution.tasks import Result, Stack, Task, TrainingTask
from zerocross.hw_search.pricing import Infeasible, Pricer
from zerocross.hw_search.ranking import rank_rungs
from zerocross.hw_search.space import Candidate, Genome, Space
from zerocross.hw_search.strategies.halving import Rung
from zerocross.hw_search.strategies.strategy import Score
from zerocross.hw_search.strategy_config import RungConfig, rung_epochs
from zerocross.hw_search.trainings import task, task_key
from zerocross.hw_search.watcher import Watcher
from zerocross.models.data import Data
from zerocross.models.expressions import X
from zerocross.reports.records import Evaluation, RungRecord, TrainingCurve

_LEARNED = 1.1  # minimum accuracy relative to guessing, as in GAAF
_MOST_DEATHS = 8  # trainings in a row that end with their workers
_AUDIT = 1  # distinguishes the random numbers of the audit from others with the search's seed


@dataclass
class Trial:
    """A candidate under evaluation.

    Attributes:
        candidate: The candidate.
        status: Status of the evaluation.
        reason: Reason for a status other than "ok".
        results: One result per seed.
        metrics: Mean error and costs over the seeds. A stopped candidate has those of its last rung; a failed one has none.
        violation: Sum of its relative constraint violations, after its last rung or in the end; 0 if it meets all of them.
        rungs: Validation accuracy after each rung that it reached, 0..1.
        seconds: Duration of its trainings, with those of rungs, in seconds.
    """

    candidate: Candidate
    status: Literal["ok", "stopped", "infeasible", "failed"] = "ok"
    reason: str | None = None
    results: list[Result] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    violation: float = 0.0
    rungs: list[float] = field(default_factory=list)
    seconds: float = 0.0


class Evaluator:
    """Evaluates candidates and keeps the records of all evaluations.

    Args:
        config: Configuration of the search.
        space: Space of the candidates.
        pricer: Estimates the candidates' costs.
        data: Training and validation data.
        test_fingerprint: Digest of the test set, which only the final trainings read.
        store: Store of results, known and new.
        executor: Executor that trains the networks.
        watcher: Receives a call for every training.
    """

    def __init__(
        self,
        config: Config,
        space: Space,
        pricer: Pricer,
        data: Data,
        test_fingerprint: str,
        store: Store,
        executor: Executor,
        watcher: Watcher,
    ) -> None:
        self.config, self.space, self.pricer, self.data = config, space, pricer, data
        self.test_fingerprint = test_fingerprint
        self.evaluations: list[Evaluation] = []
        self.candidates: dict[str, Candidate] = {}
        self.trained = self.replayed = 0
        self.generation = 0
        self.exhausted = False  # whether the whole space is evaluated
        self._store, self._executor, self._watcher = store, executor, watcher
        self._started, self._clock = time.time(), time.monotonic()
        self._deaths = 0  # trainings in a row
        self._given: set[str] = set()  # keys of the results returned so far
        self._scores: dict[str, Score] = {}
        self._sign_error: dict[str, float] = {}
        self._rungs = [Rung(config.search.keep) for _ in config.search.rungs]

    def has_all(self, known: Mapping[Genome, Candidate]) -> bool:
        """Return whether the whole space is evaluated, except candidates that cannot learn.

        Args:
            known: All genomes that the strategy has considered, with their candidates.
        """
        return len(known) >= self.space.size and all(
            each.key in self._scores or self.space.dead(each) is not None for each in known.values()
        )

    def seconds(self) -> float:
        """Return the total time that searches have run in this folder, in seconds, including this one."""
        return self._store.seconds() + time.monotonic() - self._clock

    def end_sitting(self) -> None:
        """Record the duration of this search in the store."""
        self._store.add_sitting(self._started, time.monotonic() - self._clock)

    def evaluate(self, candidates: Sequence[Candidate], begins: bool = True) -> list[Score]:
        """Evaluate candidates and the plain signs with the same choices. New evaluations are added to the records.

        Args:
            candidates: A generation, or a part of one.
            begins: Whether a generation begins with them.
        """
        self.generation += begins
        signs = [plain_sign(candidate) for candidate in candidates if candidate.has_activations]
        fresh: dict[str, Trial] = {}
        for candidate in [*signs, *candidates]:
            if candidate.key not in self._scores and candidate.key not in fresh:
                fresh[candidate.key] = self._screened(candidate)
        self._train(self._after_rungs([trial for trial in fresh.values() if trial.reason is None]))
        for trial in fresh.values():
            if trial.results:
                self.judge(trial)
            self._record(trial)
        return [self._scores[candidate.key] for candidate in candidates]

    def results(self, tasks: dict[str, TrainingTask]) -> Iterator[tuple[str, Result, bool]]:
        """Run tasks, given by store key.

        Yields:
            (key, result, whether it came from the store). Stored results come first, the others as they complete.

        Raises:
            UserError: If a task fails because of a user's mistake, or the workers of many tasks in a row die.
        """
        again = {key: tasks[key] for key in tasks if key in self._given and not tasks[key].weights}
        fresh = {key: work for key, work in tasks.items() if key not in again}
        stored: set[str] = set()
        missing: list[list[str]] = []
        for keys in [
            *([key] for key in again),
            *stacks(fresh, lambda work: self._stack_size(work, len(fresh))),
        ]:
            for key in keys:
                result = self._stored(key, tasks[key])
                if result is not None:
                    stored.add(key)
                    self.replayed += 1
                    yield key, result, True
            if not stored.issuperset(keys):
                missing.append(keys)
        singles: list[list[str]] = []
        for keys, results in self._done(tasks, missing, stored):
            if results is None:
                singles += [[key] for key in keys if key not in stored]
            else:
                yield from self._kept(tasks, keys, results, stored)
        for keys, results in self._done(tasks, singles, stored):
            yield from self._kept(tasks, keys, results or [], stored)
        # Only tasks of earlier calls stay out of stacks. Stored results do not change the stacks, so a resumed search forms
        # the same ones.
        self._given |= tasks.keys()

    def _stored(self, key: str, work: TrainingTask) -> Result | None:
        """Return the result of a task from the store; None if its weights are not as the training left them."""
        result = self._store.get(key)
        if result is None or not work.weights or result["status"] != "ok":
            return result
        try:
            is_whole = digest_of(Path(work.weights)) == result.get("weights")
        except OSError:
            return None
        if not is_whole:
            self._watcher.note(
                f"{work.weights} was changed since its network was trained: it is trained again."
            )
        return result if is_whole else None

    def _done(
        self, tasks: dict[str, TrainingTask], groups: list[list[str]], stored: set[str]
    ) -> Iterator[tuple[list[str], list[Result] | None]]:
        """Run the tasks of each group together. Yield None for a failed stack, because one of its tasks may be the cause."""
        # A stack also retrains its stored tasks; their weight files are not overwritten.
        own = {key: replace(work, weights=None) if key in stored else work for key, work in tasks.items()}
        works: list[Task] = [
            Stack(tuple(own[key] for key in keys)) if len(keys) > 1 else own[keys[0]] for keys in groups
        ]
        for index, result in self._executor.run(works):
            if result["status"] == "error":
                raise UserError(result["reason"])
            if len(groups[index]) == 1:
                self._check_deaths(result)
                yield groups[index], [result]
            else:
                yield groups[index], result.get("results")

    def _check_deaths(self, result: Result) -> None:
        """Stop the search if no worker survives: the cause is then not a candidate."""
        self._deaths = self._deaths + 1 if result.get("died") else 0
        if self._deaths == _MOST_DEATHS:
            raise UserError(
                f"{_MOST_DEATHS} trainings in a row ended with their worker processes (the last one: {result['reason']}). "
                "The finished trainings are saved: remove the cause and run the same command to resume"
            )

    def _kept(
        self, tasks: dict[str, TrainingTask], keys: list[str], results: list[Result], stored: set[str]
    ) -> Iterator[tuple[str, Result, bool]]:
        """Store results, except those stored before: their stack ran only for its other tasks."""
        for key, result in zip(keys, results, strict=True):
            if key in stored:
                continue
            if not result.get("passing"):
                self._store.put(key, result, replace=tasks[key].weights is not None)
            self.trained += 1
            yield key, result, False

    def _stack_size(self, work: TrainingTask, count: int) -> int:
        """Return the number of networks to train in one stack, for `count` tasks like this one."""
        if self.config.search.stack is not None:
            return self.config.search.stack
        return stack_size(self.pricer.network(work.topology), work.settings.batch_size, work.device, count)

    def _screened(self, candidate: Candidate) -> Trial:
        """Reject a candidate that no training can make feasible."""
        reason = self.space.dead(candidate)
        if reason is None:
            try:
                reason = "; ".join(self.pricer.violations(self.pricer.cost(candidate))) or None
            except Infeasible as error:
                reason = str(error)
        return Trial(candidate, "ok" if reason is None else "infeasible", reason)

    def _after_rungs(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return the trials to train in full: the plain signs, and the candidates that all rungs let go on."""
        signs = [trial for trial in trials if trial.candidate.is_reference]
        on = [trial for trial in trials if not trial.candidate.is_reference]
        search = self.config.search
        for number, (rung, ranks) in enumerate(zip(search.rungs, self._rungs, strict=True), start=1):
            done = self._done_for(on, [search.seed], rung)
            broken = {id(trial): self._violated(trial, done[trial.candidate.key]) for trial in on}
            for trial in on:
                trial.violation = sum(broken[id(trial)].values())
            on = [trial for trial in on if trial.status == "ok"]
            points = [tuple(trial.metrics[name] for name in self.config.objectives) for trial in on]
            violations = [trial.violation for trial in on]
            for trial, better in zip(on, ranks.better(points, violations), strict=True):
                trial.rungs.append(1 - trial.metrics["error"])
                if not better:
                    trial.status = "stopped"
                    trial.reason = (
                        f"stopped at rung {number} ({rung_epochs(rung, trial.candidate.training['epochs'])} epochs, "
                        f"{rung.data:.0%} of the samples): not among the better {search.keep:.0%} of all candidates so far"
                        + "".join(f"; {text}" for text in broken[id(trial)])
                    )
            on = [trial for trial in on if trial.status == "ok"]
        return [*signs, *on]

    def audit(self) -> None:
        """Train a random sample of the stopped candidates in full, and replace their records.

        Without them, the correlation of rungs and whole trainings would rest on the candidates that the rungs favoured. They
        are drawn from the distinct trainings of which no variant went on, and count like any other candidate from then on.
        """
        pool, search = self._auditable(), self.config.search
        rng = np.random.default_rng([search.seed, _AUDIT])
        places = sorted(rng.permutation(len(pool))[: search.audit].tolist())
        drawn = {pool[place].number: Trial(self.candidates[pool[place].id]) for place in places}
        self._train(list(drawn.values()))
        for number, trial in drawn.items():
            trial.rungs, trial.seconds = self.evaluations[number].rungs, self.evaluations[number].seconds
            self.judge(trial)
            generation = self.evaluations[number].generation
            self.evaluations[number] = self._evaluation(trial, number, generation, audited=True)

    def audit_seconds(self) -> float:
        """Return the expected duration of the audit so far in one worker, from the whole trainings so far, in seconds."""
        whole = [training.seconds for entry in self.evaluations for training in entry.trainings]
        number = min(self.config.search.audit, len(self._auditable()))
        return number * self.config.search.seeds * fmean(whole) if whole else 0.0

    def _auditable(self) -> list[Evaluation]:
        """Return the stopped evaluations from which an audit draws."""
        known = {
            self.candidates[entry.id].network_key
            for entry in self.evaluations
            if entry.rungs and entry.status != "stopped"
        }
        stopped: dict[str, Evaluation] = {}
        for entry in self.evaluations:
            key = self.candidates[entry.id].network_key
            if entry.status == "stopped" and key not in known:
                stopped.setdefault(key, entry)
        return list(stopped.values())

    def rungs(self, intervals: bool = True) -> list[RungRecord]:
        """Return the records of the rungs so far; see `zerocross.hw_search.ranking.rank_rungs`."""
        shares = [(rung.epochs, rung.data) for rung in self.config.search.rungs]
        return rank_rungs(
            self.evaluations, shares, lambda entry: self.candidates[entry.id].network_key, intervals
        )

    def final_tasks(
        self, candidate: Candidate, seeds: Iterable[int], epochs: int | None = None
    ) -> dict[str, TrainingTask]:
        """Return the final trainings of a candidate by store key, in the order of the seeds.

        Args:
            candidate: The candidate.
            seeds: Seeds.
            epochs: Epochs instead of the candidate's.
        """
        works = [task(self.config, candidate, seed, final=True, epochs=epochs) for seed in seeds]
        fingerprint = self.data.fingerprint + self.test_fingerprint
        return {task_key(candidate, work, fingerprint): work for work in works}

    def _train(self, trials: Sequence[Trial]) -> None:
        """Set the results of every trial."""
        first = self.config.search.seed
        done = self._done_for(trials, range(first, first + self.config.search.seeds))
        for trial in trials:
            trial.results = done[trial.candidate.key]

    def _done_for(
        self, trials: Sequence[Trial], seeds: Sequence[int], rung: RungConfig | None = None
    ) -> dict[str, list[Result]]:
        """Return the results by candidate, one per seed. Candidates that differ only in folding share their results."""
        tasks: dict[str, TrainingTask] = {}
        wanted: dict[str, list[str]] = {}
        for trial in trials:
            for seed in seeds:
                work = task(self.config, trial.candidate, seed, rung=rung)
                key = task_key(trial.candidate, work, self.data.fingerprint)
                tasks.setdefault(key, work)
                wanted.setdefault(trial.candidate.key, []).append(key)
        done: dict[str, Result] = {}
        for key, result, cached in self.results(tasks):
            done[key] = result
            text = " | ".join(tasks[key].expressions)
            error = 1 - result["accuracy"] if result["status"] == "ok" else None
            if rung is not None:
                self._watcher.rung(self.config.search.rungs.index(rung) + 1, text, error)
            else:
                self._watcher.trained(text, text == str(X), error, cached)
        return {name: [done[key] for key in keys] for name, keys in wanted.items()}

    def _violated(self, trial: Trial, results: Sequence[Result]) -> dict[str, float]:
        """Set a trial's metrics from results, or its failure; return the violated constraints with their relative amounts.

        The loss of accuracy against the plain sign is not among them.
        """
        costs = self._measure(trial, results)
        if trial.status == "failed":
            return {}
        broken = {text: amount for cost in costs for text, amount in self.pricer.violations(cost).items()}
        accuracy, guessing = 1 - trial.metrics["error"], 1 / self.data.classes
        if accuracy <= _LEARNED * guessing:
            broken[f"learned nothing: accuracy {accuracy:.1%}, guessing gives {guessing:.1%}"] = 1.0
        limit = self.config.constraints.max_crossings
        most = max(self.crossings(trial.candidate, results), default=0)
        if limit is not None and most > limit:
            broken[f"{most} crossings in a channel are above max_crossings {limit}"] = most / limit - 1
        return broken

    def _measure(self, trial: Trial, results: Sequence[Result]) -> list[Cost]:
        """Set a trial's metrics from results, or its failure; return the cost of each result."""
        trial.seconds += sum(result.get("seconds", 0.0) for result in results)
        failures = [result["reason"] for result in results if result["status"] != "ok"]
        if failures:
            # The metrics of a rung are no longer valid.
            trial.status, trial.reason, trial.metrics = "failed", failures[0], {}
            return []
        costs = [
            self.pricer.cost(trial.candidate, result["crossings"], result.get("thresholds"))
            for result in results
        ]
        priced = [self.pricer.metrics(cost) for cost in costs]
        trial.metrics = {
            "error": fmean(1 - result["accuracy"] for result in results),
            **{name: fmean(metrics[name] for metrics in priced) for name in priced[0]},
        }
        return costs

    def judge(self, trial: Trial) -> None:
        """Set a trial's metrics and status from its results. The plain sign of an architecture must be judged first."""
        broken = self._violated(trial, trial.results)
        if trial.status == "failed":
            return
        error, limit = trial.metrics["error"], self.config.constraints.max_accuracy_loss
        architecture = plain_sign(trial.candidate).network_key
        if trial.candidate.is_reference:
            self._sign_error[architecture] = error
        loss = error - self._sign_error.get(architecture, error)
        if limit is not None and loss > limit:
            broken[f"accuracy loss {loss:.3f} is above max_accuracy_loss {limit}"] = loss
        trial.violation = sum(broken.values())
        if broken:
            trial.status, trial.reason = "infeasible", "; ".join(broken)

    def crossings(self, candidate: Candidate, results: Sequence[Result]) -> list[int]:
        """Return the crossings of every channel of every sign, for all seeds.

        Levels of a residual stream do not count, nor tables, whose crossings depend on the order of their inputs.
        """
        network = self.pricer.network(candidate.topology)
        producers, layers = network.producers(), network.inputs()
        tables = {name for name, producer in producers.items() if is_indexed(layers[producer])}
        return [
            count
            for result in results
            for name, channels in result["crossings"].items()
            if network.is_binary(name) and name not in tables
            for count in channels
        ]

    def _record(self, trial: Trial) -> None:
        candidate = trial.candidate
        known = tuple(trial.metrics[name] for name in self.config.objectives) if trial.metrics else None
        self._scores[candidate.key] = Score(known, trial.violation)
        self.candidates[candidate.id] = candidate
        self.evaluations.append(self._evaluation(trial, len(self.evaluations), self.generation))

    def _evaluation(self, trial: Trial, number: int, generation: int, audited: bool = False) -> Evaluation:
        candidate, first = trial.candidate, self.config.search.seed
        return Evaluation(
            number=number,
            id=candidate.id,
            expression=candidate.text,
            choices=candidate.choices,
            reference=candidate.is_reference,
            status=trial.status,
            reason=trial.reason,
            metrics=trial.metrics,
            rungs=trial.rungs,
            audited=audited,
            generation=generation,
            seconds=round(trial.seconds, 3),
            trainings=[
                TrainingCurve(
                    seed=first + index,
                    seconds=result.get("seconds", 0.0),
                    accuracy=result.get("accuracy"),
                    loss=result.get("loss", []),
                    looks=result.get("looks", []),
                    validation=result.get("validation", []),
                    stacked=result.get("stacked", 1),
                )
                for index, result in enumerate(trial.results)
            ],
        )


def plain_sign(candidate: Candidate) -> Candidate:
    """Return the plain sign with the same choices as a candidate."""
    return candidate.with_expressions((X,))
