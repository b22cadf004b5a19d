"""What a search would do, before it starts: candidates, trainings, time and memory.

Nothing is written and no network is trained to its end. A sample of the space is screened like a search's candidates, and
a few steps of real candidates are timed.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import fmean

import numpy as np
import torch

from zerocross.finn_flows.crossings import CrossingError
from zerocross.hw_search.config import Config
from zerocross.hw_search.earlier import differences
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.evaluation import fresh
from zerocross.hw_search.execution.stacks import stack_size
from zerocross.hw_search.extraction.integers import to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.hw_search.pipeline import read_data, worker_count
from zerocross.hw_search.pricing import Infeasible, Pricer
from zerocross.hw_search.space import Candidate, Space
from zerocross.hw_search.strategies.making import make_strategy
from zerocross.hw_search.strategies.strategy import distinct
from zerocross.hw_search.trainings import device_type, task
from zerocross.models.accuracy import accuracies
from zerocross.models.data import Data, Split
from zerocross.models.fitting import Fit
from zerocross.models.stacking import Unstackable, stack
from zerocross.reports.storage import UnreadableRun, load_run
from zerocross.reports.wording import count, duration

_DRAWN = 200
_SCREENING = 20.0  # seconds
_TIMED = 3
"""Candidates to time: the smallest, the middle and the largest network of the sample."""

_STEPS = 0.5  # seconds of timed steps of each
_LOOK = 1000  # validation samples of a timed look
_FRONT = 8
"""Networks of a front, where no earlier front of the run tells how many."""

_BUDGETS = (10, 60, 480)


@dataclass(frozen=True)
class Pace:
    """Duration of one training in a worker, in seconds.

    Attributes:
        epoch: One epoch.
        look: All validation samples once.
        reading: Reading the crossings of the trained network.
        epochs: Epochs of a whole training.
    """

    epoch: float
    look: float
    reading: float
    epochs: int

    def seconds(self, share: float = 1.0) -> float:
        """Return the duration of a training that has a share of the epochs and samples."""
        return share * self.epochs * self.epoch + self.look + self.reading


@dataclass(frozen=True)
class Forecast:
    """What a search would do. All times and numbers of trainings are expectations.

    Attributes:
        name: Name of the run.
        space: Number of genomes in the space.
        strategy: Search strategy.
        candidates: Candidates that the strategy requests; None if `search.budget_minutes` alone ends it.
        drawn: Number of candidates in the sample of the space.
        dead: Share of them whose activation never changes its sign, 0..1.
        infeasible: Share of them that cannot meet the constraints, 0..1.
        reason: The most frequent reason for that; "" if there is none.
        trainings: Trainings of the search, plain signs included.
        final_trainings: Trainings of the front, its plain signs and their controls.
        seconds: Duration of the search without the final trainings, in seconds.
        final_seconds: Duration of the final trainings, in seconds.
        pace: Mean duration of a training.
        stack: Networks that train together.
        workers: Worker processes.
        memory_gb: Memory of a worker in GiB.
        device: Device of the trainings.
        bought: Number of candidates that fit into so many minutes, final trainings included.
        notes: Further sentences for the user.
    """

    name: str
    space: int
    strategy: str
    candidates: int | None
    drawn: int
    dead: float
    infeasible: float
    reason: str
    trainings: int
    final_trainings: int
    seconds: float
    final_seconds: float
    pace: Pace
    stack: int
    workers: int
    memory_gb: float
    device: str
    bought: dict[float, int]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the forecast as lines of text."""
        together = f", in stacks of {self.stack}" if self.stack > 1 else ""
        unfit = f" (most often: {self.reason})" if self.reason else ""
        buys = ", ".join(f"{minutes:g} minutes: {n:,}" for minutes, n in self.bought.items())
        lines = [
            f"{self.name}: a space of {self.space:,} candidates. Of {self.drawn} drawn ones, {self.dead:.0%} never change "
            f"their sign, {self.infeasible:.0%} cannot meet the constraints{unfit}, and "
            f"{1 - self.dead - self.infeasible:.0%} would train.",
        ]
        if self.candidates is not None:
            lines += [
                f"Search ({self.strategy}): {count(self.candidates, 'candidate')}, about "
                f"{count(self.trainings, 'training')}, about {duration(self.seconds)}.",
                f"Final trainings: about {self.final_trainings:,}, about {duration(self.final_seconds)}.",
            ]
        lines += [
            f"A training takes about {duration(self.pace.seconds())} in a worker ({self.pace.epochs} epochs{together}), "
            f"measured on {self.device}.",
            f"Memory: {count(self.workers, 'worker')}, about {self.memory_gb:.1f} GiB each.",
            f"Candidates by time, final trainings included: {buys}.",
            *self.notes,
        ]
        return "\n".join(lines)


def forecast(config: Config, budgets: Sequence[float] = ()) -> Forecast:
    """Return what a search would do. Nothing is written.

    Args:
        config: Configuration of the search.
        budgets: Times in minutes; by default `search.budget_minutes`, or 10, 60 and 480.

    Raises:
        UserError: If the user made a mistake, or no drawn candidate can train.
    """
    data, _ = read_data(config)
    space = Space(config, data.input_shape, data.classes, data.train.x)
    pricer = Pricer(config, space)
    pricer.check_space()
    sample = _Sample(config, space, pricer)
    if not sample.good:
        raise UserError(
            f"none of {len(sample.drawn)} drawn candidates can train: {sample.reason or 'all are dead'}"
        )
    planned = _planned(config, space)
    workers, notes = _workers(config)
    speed = _Speed(config, space, pricer, data, sample, planned or config.search.population)
    costs = _Costs(config, space, sample, speed.pace, workers, _front_size(config))
    amount = planned if planned is not None else costs.buys(config.search.budget_minutes or 0)
    times = tuple(budgets) or ((config.search.budget_minutes,) if config.search.budget_minutes else _BUDGETS)
    return Forecast(
        name=config.name,
        space=space.size,
        strategy=config.search.strategy,
        candidates=planned,
        drawn=len(sample.drawn),
        dead=sample.dead,
        infeasible=sample.infeasible,
        reason=sample.reason,
        trainings=round(costs.trainings(amount)),
        final_trainings=costs.final_trainings(amount),
        seconds=costs.seconds(amount),
        final_seconds=costs.final_seconds(amount),
        pace=speed.pace,
        stack=speed.stack,
        workers=workers,
        memory_gb=speed.memory_gb,
        device=speed.device,
        bought={minutes: costs.buys(minutes) for minutes in times},
        notes=(*notes, *_former(config)),
    )


class _Sample:
    """Candidates drawn from the space, screened as in a search."""

    def __init__(self, config: Config, space: Space, pricer: Pricer) -> None:
        started, reasons = time.monotonic(), Counter[str]()
        self.drawn: list[Candidate] = []
        self.good: list[Candidate] = []
        dead = 0
        for candidate in _draw(config, space):
            self.drawn.append(candidate)
            if space.dead(candidate) is not None:
                dead += 1
                continue
            try:
                broken = list(pricer.violations(pricer.cost(candidate)))
            except Infeasible as error:
                broken = [str(error)]
            if broken:
                reasons[broken[0]] += 1
            else:
                self.good.append(candidate)
            if time.monotonic() - started > _SCREENING:
                break
        self.dead = dead / len(self.drawn)
        self.infeasible = reasons.total() / len(self.drawn)
        self.reason = reasons.most_common(1)[0][0] if reasons else ""

    def live(self, screened: bool) -> float:
        """Return the share of candidates that train; `screened` if the strategy requests no dead ones."""
        return len(self.good) / max(1, len(self.drawn) * (1 - self.dead if screened else 1))


def _draw(config: Config, space: Space) -> Iterator[Candidate]:
    if space.size <= _DRAWN:
        yield from (space.candidate(genome) for genome in space.genomes())
        return
    rng, seen = np.random.default_rng(config.search.seed), set[str]()
    for _ in range(_DRAWN):
        for genome in distinct(1, space.sizes, str, rng, seen):
            yield space.candidate(genome)


def _planned(config: Config, space: Space) -> int | None:
    if config.search.generations is None and config.search.strategy != "exhaustive":
        return None
    if config.search.strategy == "differentiable":
        mixtures = len(space.seeds()) * len(config.search.price_weights) * config.search.most_generations
        return mixtures
    return make_strategy(config.search, space, len(config.objectives), str, 0.5).planned


def _workers(config: Config) -> tuple[int, list[str]]:
    if config.search.executor == "local":
        return worker_count(config), []
    workers = config.search.workers or 1
    return workers, [
        f"Steps were timed on this machine, for {count(workers, 'worker')} of the cluster (search.workers)."
    ]


def _front_size(config: Config) -> int:
    """Return the number of networks of the run's present front, or a usual one."""
    try:
        size = len(load_run(Path(config.output) / config.name).front) or _FRONT
    except UnreadableRun:
        size = _FRONT
    return min(size, config.final.networks or size)


def _former(config: Config) -> list[str]:
    from zerocross.hw_search.config import make_config

    folder = Path(config.output) / config.name
    try:
        changed = differences(make_config(load_run(folder).config), config)
    except (UnreadableRun, UserError):
        return []
    stored = (
        f"{folder} holds results; trainings in its store are not repeated, which these times do not count"
    )
    if not changed:
        return [f"{stored}."]
    others = f"They are of another configuration ({'; '.join(changed[:6])}), and will be kept in its folder earlier/"
    return [f"{stored}. {others}."]


class _Speed:
    """Timed steps of real candidates, in one thread like a worker's."""

    def __init__(
        self, config: Config, space: Space, pricer: Pricer, data: Data, sample: _Sample, planned: int
    ) -> None:
        wanted = device_type(config) if config.search.executor == "local" else "cpu"
        device = torch.device(wanted)
        self.device = torch.cuda.get_device_name(device) if wanted == "cuda" else "one thread of this CPU"
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            timed = [
                self._time(config, pricer, data, sample, candidate, device, planned)
                for candidate in _spread(pricer, sample.good)
            ]
        finally:
            torch.set_num_threads(threads)
        paces, stacks = zip(*timed, strict=True)
        self.pace = Pace(
            fmean(pace.epoch for pace in paces),
            fmean(pace.look for pace in paces),
            fmean(pace.reading for pace in paces),
            round(fmean(pace.epochs for pace in paces)),
        )
        self.stack = round(fmean(stacks))
        used = (
            torch.cuda.max_memory_reserved(device)
            if wanted == "cuda"
            else 1024 * getrusage(RUSAGE_SELF).ru_maxrss
        )
        self.memory_gb = used / 2**30

    def _time(
        self,
        config: Config,
        pricer: Pricer,
        data: Data,
        sample: _Sample,
        candidate: Candidate,
        device: torch.device,
        planned: int,
    ) -> tuple[Pace, int]:
        work = task(config, candidate, config.search.seed)
        network = pricer.network(candidate.topology)
        size = config.search.stack or stack_size(
            network, work.settings.batch_size, device.type, min(planned, config.search.population)
        )
        models = [fresh(work, data)]
        alike = [other for other in sample.good if other.topology == candidate.topology]
        for other in (alike * size)[: size - 1]:
            models.append(fresh(task(config, candidate.with_expressions(other.expressions), 0), data))
        try:
            model = stack(models) if size > 1 else models[0]
        except Unstackable:
            model, size = models[0], 1
        fit = Fit(model, size, data, work.settings, work.seed, device)
        epoch = fit.seconds_per_epoch(_STEPS) / size
        part = Split(data.validation.x[:_LOOK], data.validation.y[:_LOOK])
        begun = time.monotonic()
        accuracies(model, size, part, device)
        look = (time.monotonic() - begun) * len(data.validation) / len(part) / size
        begun = time.monotonic()
        single = models[0].to(device).eval()
        with suppress(CrossingError):  # an untrained function may have values that are not numbers
            to_integer(single, describe(single, data.input_shape))
        return Pace(epoch, look, time.monotonic() - begun, work.settings.epochs), size


def _spread(pricer: Pricer, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates with the smallest, the middle and the largest network by LUTs."""
    ordered = sorted(candidates, key=lambda candidate: pricer.resources(pricer.cost(candidate)).lut)
    places = np.linspace(0, len(ordered) - 1, min(_TIMED, len(ordered))).round().astype(int)
    return list({ordered[place].network_key: ordered[place] for place in places}.values())


class _Costs:
    """Trainings and seconds of a search of n candidates."""

    def __init__(
        self, config: Config, space: Space, sample: _Sample, pace: Pace, workers: int, front: int
    ) -> None:
        self._config, self._pace, self._workers, self._front = config, pace, workers, front
        self._space = space.size
        self._live = sample.live(config.search.strategy == "surrogate")
        combinations = 1
        for choice in space.choices:
            if choice.path[0] != "folding":  # candidates that differ in their folding share a training
                combinations *= len(choice.values)
        self._combinations = combinations

    def _signs(self, candidates: int) -> float:
        """Return the expected number of plain signs beside so many candidates."""
        every = self._combinations
        return every * (1 - (1 - 1 / every) ** candidates) if every > 1 else 1.0

    def _parts(self, candidates: int) -> Iterator[tuple[float, float]]:
        """Yield numbers of trainings, each with their length as a share of a whole one."""
        search, going = self._config.search, candidates * self._live
        if search.strategy == "differentiable":
            yield float(candidates), 1.0  # the mixtures
        for rung in search.rungs:
            yield going, rung.epochs * rung.data
            going *= search.keep
        if search.rungs:
            going += min(search.audit, candidates * self._live - going)
        yield (going + self._signs(candidates)) * search.seeds, 1.0

    def trainings(self, candidates: int) -> float:
        """Return the trainings of the search."""
        return sum(number for number, _ in self._parts(candidates))

    def seconds(self, candidates: int) -> float:
        """Return the duration of the search without final trainings."""
        return (
            sum(number * self._pace.seconds(share) for number, share in self._parts(candidates))
            / self._workers
        )

    def final_trainings(self, candidates: int) -> int:
        """Return the trainings of the front, its plain signs and their controls."""
        final, front = self._config.final, min(self._front, max(1, candidates))
        signs = min(front, self._combinations)
        return (front + signs * (1 + len(final.controls))) * final.seeds

    def final_seconds(self, candidates: int) -> float:
        """Return the duration of the final trainings."""
        share = (self._config.final.epochs or self._pace.epochs) / self._pace.epochs
        return self.final_trainings(candidates) * self._pace.seconds(share) / self._workers

    def buys(self, minutes: float) -> int:
        """Return the most candidates whose search and final trainings fit into a time."""
        low, high = 0, self._space
        while low < high:
            middle = (low + high + 1) // 2
            if self.seconds(middle) + self.final_seconds(middle) <= 60 * minutes:
                low = middle
            else:
                high = middle - 1
        return low
