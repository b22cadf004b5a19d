"""The expected duration of a search: candidates that are drawn and screened, and a few timed steps of some of them."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import fmean

import numpy as np
import torch

from zerocross.finn_flows.crossings import CrossingError
from zerocross.hw_search.config import Config
from zerocross.hw_search.execution.evaluation import fresh, priced_numbers, savings, sites
from zerocross.hw_search.execution.stacks import stack_size
from zerocross.hw_search.extraction.agreement import agreement
from zerocross.hw_search.extraction.integers import to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.hw_search.pricing import Infeasible, Pricer
from zerocross.hw_search.space import Candidate, Space
from zerocross.hw_search.strategies.making import make_strategy
from zerocross.hw_search.strategies.strategy import distinct
from zerocross.hw_search.strategies.surrogate import CHILDREN
from zerocross.hw_search.trainings import device_type, parallel_trainings, task
from zerocross.models.accuracy import accuracies
from zerocross.models.curves import LOOKS, SAMPLES
from zerocross.models.data import Data, Split
from zerocross.models.fitting import Fit
from zerocross.models.hopeless import LOOK_SAMPLES
from zerocross.models.stacking import Unstackable, stack
from zerocross.reports.storage import UnreadableRun, load_run

_DRAWN = 200
_SCREENING = 20.0  # seconds
_TIMED = 3
"""Candidates to time: the smallest, the middle and the largest network of the sample."""

_STEPS = 0.4  # seconds of timed steps of each, alone and in a stack

STARTING = 6.0
"""Seconds until a worker has imported torch and Brevitas."""

ENDING = 4.0
"""Seconds in which a search writes its files and its page."""


@dataclass(frozen=True)
class Pace:
    """Duration of one training in a worker, in seconds.

    Attributes:
        epoch: One epoch of a network in a stack: its share of the stack's.
        alone: One epoch of a network that trains alone.
        look: All validation samples once.
        looks: How often a training looks at the validation samples on its way, in units of all of them.
        reading: Reading the crossings of the trained network.
        examining: What the examination of a final training takes besides.
        epochs: Epochs of a whole training.
    """

    epoch: float
    alone: float
    look: float
    looks: float
    reading: float
    examining: float
    epochs: float

    def seconds(self, share: float = 1.0) -> float:
        """Return the duration of a training in the search that has a share of the epochs and samples."""
        return share * self.epochs * self.epoch + (1 + self.looks) * self.look + self.reading

    def final_seconds(self, epochs: int | None = None) -> float:
        """Return the duration of a final training. Few of them are alike, so they train alone, and are tested too."""
        training = (self.epochs if epochs is None else epochs) * self.alone
        return training + (2 + self.looks) * self.look + self.reading + self.examining


class Sample:
    """Candidates drawn from the space, screened as in a search.

    Attributes:
        drawn: The candidates.
        good: Those that a search would train.
        dead: Share whose activation never changes its sign, 0..1.
        infeasible: Share that has no hardware within the constraints, 0..1.
        reason: The most frequent reason for that; "" if there is none.
    """

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


class Speed:
    """Timed steps of real candidates, in one thread like a worker's.

    Args:
        config: Configuration of the search.
        pricer: Estimates the candidates' costs.
        data: Training and validation data.
        sample: Candidates, at least a good one.
        together: Candidates that are evaluated at once; they decide the size of a stack.

    Attributes:
        pace: Mean duration of a training.
        stack: Networks that train together.
        device: Name of the device.
        memory_gb: Memory of a worker in GiB.
    """

    def __init__(self, config: Config, pricer: Pricer, data: Data, sample: Sample, together: int) -> None:
        wanted = device_type(config) if config.search.executor == "local" else "cpu"
        device = torch.device(wanted)
        self.device = torch.cuda.get_device_name(device) if wanted == "cuda" else "one thread of this CPU"
        self._config, self._pricer, self._data, self._sample = config, pricer, data, sample
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            timed = [self._time(candidate, device, together) for candidate in _spread(pricer, sample.good)]
        finally:
            torch.set_num_threads(threads)
        paces, stacks = zip(*timed, strict=True)
        self.pace = Pace(*(fmean(getattr(pace, part.name) for pace in paces) for part in fields(Pace)))
        self.stack = round(fmean(stacks))
        used = (
            torch.cuda.max_memory_reserved(device)
            if wanted == "cuda"
            else 1024 * getrusage(RUSAGE_SELF).ru_maxrss
        )
        self.memory_gb = used / 2**30

    def _time(self, candidate: Candidate, device: torch.device, together: int) -> tuple[Pace, int]:
        config, data = self._config, self._data
        work = task(config, candidate, config.search.seed)
        network = self._pricer.network(candidate.topology)
        size = config.search.stack or stack_size(network, work.settings.batch_size, device.type, together)
        single = fresh(work, data)
        models = [fresh(work, data)]
        alike = [other for other in self._sample.good if other.topology == candidate.topology]
        for other in (alike * size)[: size - 1]:
            models.append(fresh(task(config, candidate.with_expressions(other.expressions), 0), data))
        try:
            model = stack(models) if size > 1 else models[0]
        except Unstackable:
            model, size = models[0], 1
        alone = Fit(single, 1, data, work.settings, work.seed, device).seconds_per_epoch(_STEPS)
        epoch = alone
        if size > 1:
            epoch = Fit(model, size, data, work.settings, work.seed, device).seconds_per_epoch(_STEPS) / size
        held_out = len(data.validation)
        part = Split(data.validation.x[:LOOK_SAMPLES], data.validation.y[:LOOK_SAMPLES])
        begun = time.monotonic()
        accuracies(model, size, part, device)
        look = (time.monotonic() - begun) * held_out / len(part) / size
        # The course of validation accuracy, and the look whether a training is hopeless.
        looks = ((LOOKS - 1) * min(SAMPLES, held_out) + LOOK_SAMPLES) / held_out
        reading = examining = 0.0
        single = single.to(device).eval()
        with suppress(CrossingError):  # an untrained function may have values that are not numbers
            begun = time.monotonic()
            integer = to_integer(single, describe(single, data.input_shape))
            priced_numbers(integer)
            read = time.monotonic()
            agreement(single, integer, part)
            examined = time.monotonic()
            sites(single, integer)
            savings(integer)
            reading = read - begun
            examining = (examined - read) * held_out / len(part) + time.monotonic() - examined
        return Pace(epoch, alone, look, looks, reading, examining, work.settings.epochs), size


def _spread(pricer: Pricer, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates with the smallest, the middle and the largest network by LUTs."""
    ordered = sorted(candidates, key=lambda candidate: pricer.resources(pricer.cost(candidate)).lut)
    places = np.linspace(0, len(ordered) - 1, min(_TIMED, len(ordered))).round().astype(int)
    return list({ordered[place].network_key: ordered[place] for place in places}.values())


FRONT = 8
"""Networks of a front, where no earlier front of the run tells how many."""


class Durations:
    """Expected trainings and seconds of a search of n candidates.

    Args:
        config: Configuration of the search.
        space: Space of the candidates.
        sample: Candidates of it.
        pace: Duration of a training.
        front: Networks of the front.
    """

    def __init__(
        self, config: Config, space: Space, sample: Sample, pace: Pace, front: int | None = None
    ) -> None:
        self._config, self._pace, self._workers = config, pace, parallel_trainings(config)
        self._front = front or min(FRONT, config.final.networks or FRONT)
        self._space = space.size
        self._live = sample.live(config.search.strategy == "surrogate")
        combinations = 1
        for choice in space.choices:
            if choice.path[0] != "folding":  # candidates that differ in their folding share a training
                combinations *= len(choice.values)
        self._combinations = combinations if space.has_activations else 0  # of networks with a plain sign

    def _signs(self, candidates: float) -> float:
        """Return the expected number of plain signs beside so many candidates."""
        every = self._combinations
        return every * (1 - (1 - 1 / every) ** candidates) if every > 1 else float(every)

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
        each = sum(number * self._pace.seconds(share) for number, share in self._parts(candidates))
        return STARTING + each / self._workers

    def final_trainings(self, candidates: int, seeds: int | None = None) -> int:
        """Return the trainings of the front, its plain signs and their controls; with `final.seeds` by default."""
        final, front = self._config.final, min(self._front, max(1, candidates))
        networks = front + self._signs(front) * (1 + len(final.controls))
        return round(networks * (final.seeds if seeds is None else seeds))

    def final_seconds(self, candidates: int, seeds: int | None = None) -> float:
        """Return the duration of the final trainings."""
        each = self._pace.final_seconds(self._config.final.epochs)
        return ENDING + self.final_trainings(candidates, seeds) * each / self._workers

    @property
    def final_ratio(self) -> float:
        """Duration of a final training relative to that of a training in the search."""
        return self._pace.final_seconds(self._config.final.epochs) / self._pace.seconds()

    def fits(self, seconds: float) -> int:
        """Return the most candidates whose search and final trainings fit into a time.

        The final trainings count at most half of the time, because a search by time shortens them to that.
        """
        low, high = 0, self._space
        while low < high:
            middle = (low + high + 1) // 2
            if self.seconds(middle) + min(self.final_seconds(middle), seconds / 2) <= seconds:
                low = middle
            else:
                high = middle - 1
        return low


def measure(
    config: Config, space: Space, pricer: Pricer, data: Data, sample: Sample
) -> tuple[Speed, Durations]:
    """Time steps of a search's candidates, and return what they say about the whole search.

    Args:
        config: Configuration of the search.
        space: Space of the candidates.
        pricer: Estimates the candidates' costs.
        data: Training and validation data.
        sample: Candidates of the space, at least a good one.
    """
    speed = Speed(config, pricer, data, sample, _together(config, planned_candidates(config, space)))
    return speed, Durations(config, space, sample, speed.pace, _front_size(config))


def planned_candidates(config: Config, space: Space) -> int | None:
    """Return the number of candidates that the strategy requests; None if `search.budget_minutes` alone ends it."""
    if config.search.generations is None and config.search.strategy != "exhaustive":
        return None
    if config.search.strategy == "differentiable":
        return len(space.seeds()) * len(config.search.price_weights) * config.search.most_generations
    return make_strategy(config.search, space, len(config.objectives), str, 0.5).planned


def _together(config: Config, planned: int | None) -> int:
    """Return the usual number of trainings that are requested at once."""
    search = config.search
    later = planned is None or planned > search.population
    candidates = CHILDREN if search.strategy == "surrogate" else search.population
    return (search.children or candidates if later else search.population) * (
        1 if search.rungs else search.seeds
    )


def _front_size(config: Config) -> int | None:
    """Return the number of networks of the run's present front; None if it has none."""
    try:
        size = len(load_run(Path(config.output) / config.name).front)
    except UnreadableRun:
        return None
    return min(size, config.final.networks or size) or None
