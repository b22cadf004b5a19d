"""What a search would do, before it starts: candidates, trainings, time and memory.

Nothing is written and no network is trained to its end. A sample of the space is screened like a search's candidates, and
a few steps of real candidates are timed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zerocross.hw_search.budget import LEAST, SLACK
from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.data_set import check_augment, read_data
from zerocross.hw_search.earlier import differences
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.first_pass import gradient_notes
from zerocross.hw_search.pace import Durations, Pace, Sample, measure, planned_candidates
from zerocross.hw_search.pipeline import open_space
from zerocross.hw_search.space import Space
from zerocross.hw_search.strategies.warm_start import starts
from zerocross.hw_search.trainings import parallel_trainings
from zerocross.reports.storage import UnreadableRun, load_run
from zerocross.reports.wording import count, duration

_BUDGETS = (10, 60, 480)


@dataclass(frozen=True)
class Forecast:
    """What a search would do. All times and numbers of trainings are expectations.

    Attributes:
        name: Name of the run.
        space: Number of genomes in the space.
        strategy: Search strategy.
        candidates: Candidates that the strategy requests, or that fit into `search.budget_minutes` if they are fewer.
        drawn: Number of candidates in the sample of the space.
        dead: Share of them whose activation never changes its sign, 0..1.
        infeasible: Share of them that have no hardware within the constraints, 0..1.
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
    candidates: int
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
        buys = ", ".join(
            f"{minutes:g} {'minute' if minutes == 1 else 'minutes'}: {n:,}"
            for minutes, n in self.bought.items()
        )
        lines = [
            f"{self.name}: a space of {self.space:,} candidates. In a sample of {self.drawn}, {self.dead:.0%} never change "
            f"their sign, {self.infeasible:.0%} have no hardware within the constraints{unfit}, and "
            f"{1 - self.dead - self.infeasible:.0%} would train.",
            f"Search ({self.strategy}): {count(self.candidates, 'candidate')}, about "
            f"{count(self.trainings, 'training')}, about {duration(self.seconds)}.",
            f"Final trainings: about {self.final_trainings:,}, about {duration(self.final_seconds)}.",
            f"A training takes about {duration(self.pace.seconds())} in a worker ({self.pace.epochs:.0f} epochs{together}), "
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
    check_augment(config, data.input_shape)
    begun: list[str] = []

    def check_start(space: Space) -> None:
        starts(config.search.start_from, space, begun.append)

    space, pricer = open_space(config, data, check_start)
    sample = Sample(config, space, pricer)
    if not sample.good:
        raise UserError(
            f"none of {len(sample.drawn)} drawn candidates can train: {sample.reason or 'all are dead'}"
        )
    speed, durations = measure(config, space, pricer, data, sample)
    planned, minutes = planned_candidates(config, space), config.search.budget_minutes
    amount = space.size if planned is None else planned
    if minutes is not None:
        amount = min(amount, max(durations.fits(60 * minutes), LEAST))
    workers = parallel_trainings(config)
    times = tuple(budgets) or (_BUDGETS if minutes is None else (minutes,))
    return Forecast(
        name=config.name,
        space=space.size,
        strategy=config.search.strategy,
        candidates=amount,
        drawn=len(sample.drawn),
        dead=sample.dead,
        infeasible=sample.infeasible,
        reason=sample.reason,
        trainings=round(durations.trainings(amount)),
        final_trainings=durations.final_trainings(amount),
        seconds=durations.seconds(amount),
        final_seconds=durations.final_seconds(amount),
        pace=speed.pace,
        stack=speed.stack,
        workers=workers,
        memory_gb=speed.memory_gb,
        device=speed.device,
        bought={minutes: durations.fits(60 * minutes) for minutes in times},
        notes=(
            *begun,
            *gradient_notes(space),
            *_shortened(config, durations, amount),
            *_on_cluster(config, workers),
            *_former(config),
        ),
    )


def _shortened(config: Config, durations: Durations, candidates: int) -> list[str]:
    minutes = config.search.budget_minutes
    whole = durations.seconds(candidates) + durations.final_seconds(candidates)
    if minutes is None or whole <= SLACK * 60 * minutes:
        return []
    return [
        f"All these final trainings do not fit into search.budget_minutes {minutes:g}: they are shortened to the rest of it."
    ]


def _on_cluster(config: Config, workers: int) -> list[str]:
    if config.search.executor == "local":
        return []
    return [
        f"Steps were timed on this machine, for {count(workers, 'worker')} of the cluster (search.workers)."
    ]


def _former(config: Config) -> list[str]:
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
