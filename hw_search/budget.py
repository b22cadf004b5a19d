"""The time of a search, `search.budget_minutes`.

The clock decides only after which generation a search ends; what the generations contain, the seed decides. The file
`budget.json` in the run's folder holds the time that each configuration has spent and where it ended, so that the same
command ends there again. A larger budget goes on from there.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from zerocross.hw_search.config import Config
from zerocross.hw_search.earlier import digest
from zerocross.hw_search.evaluator import Evaluator
from zerocross.hw_search.files import write_text
from zerocross.hw_search.final_training import expected_epochs
from zerocross.reading import Unreadable, as_record, read_json
from zerocross.reports.wording import count, duration

BUDGET = "budget.json"


@dataclass
class Spent:
    """What the searches of one configuration have spent.

    Attributes:
        seconds: Time of all generations, in seconds, also of interrupted ones.
        epochs: Epochs that they trained.
        after: What `seconds` was at the end of each generation. A search that repeats generations decides as at first.
        ends: Number of generations after which a search ended, by its budget in minutes.
    """

    seconds: float = 0.0
    epochs: float = 0.0
    after: list[float] = field(default_factory=list)
    ends: dict[str, int] = field(default_factory=dict)


_SPENT = TypeAdapter(dict[str, Spent])


class Budget:
    """Decides after which generation a search ends.

    Args:
        evaluator: The search.
        minutes: Time of the search with its final trainings, in minutes. The duration of the final trainings is expected
            from the epochs trained so far.

    Attributes:
        ending: Why the search ended, in a sentence; "" while it goes on.
    """

    def __init__(self, evaluator: Evaluator, minutes: float) -> None:
        self.ending = ""
        self._evaluator, self._minutes = evaluator, minutes
        self._path = Path(evaluator.config.output) / evaluator.config.name / BUDGET
        self._all = _read(self._path)
        self._own = self._all.setdefault(_name(evaluator.config), Spent())
        self._generations = 0

    def goes_on(self) -> bool:
        """Return whether another generation fits. The first one is always evaluated."""
        key = f"{self._minutes:g}"
        if key in self._own.ends:
            fits = self._generations < self._own.ends[key]
        else:
            fits = not self._generations or self._expected() <= 60 * self._minutes
        if not fits:
            self._own.ends[key] = self._generations
            self._write()
            candidates = sum(not evaluation.reference for evaluation in self._evaluator.evaluations)
            self.ending = (
                f"The search ended after {count(self._generations, 'generation')} ({count(candidates, 'candidate')}), as "
                f"search.budget_minutes is {key}; about {duration(self._reserve())} of them are for the final trainings. "
                "The same command repeats exactly this search, and a larger budget goes on from here."
            )
        return fits

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count the time and the epochs of a generation, also of one that is interrupted."""
        begun, epochs = time.monotonic(), self._evaluator.epochs
        try:
            yield
            self._generations += 1
        finally:
            self._own.seconds += time.monotonic() - begun
            self._own.epochs += self._evaluator.epochs - epochs
            if self._generations > len(self._own.after):
                self._own.after.append(self._own.seconds)
            self._write()

    def _expected(self) -> float:
        """Return the expected seconds of the search if it goes on to the nearest end: half of a generation may exceed."""
        after, done = [0.0, *self._own.after], self._generations
        spent = after[done] if done < len(self._own.after) else self._own.seconds
        return spent + self._reserve() + (after[done] - after[done - 1]) / 2

    def _reserve(self) -> float:
        """Return the expected duration of the final trainings in seconds; 0 while nothing has trained."""
        if not self._own.epochs:
            return 0.0
        return expected_epochs(self._evaluator) * self._own.seconds / self._own.epochs

    def _write(self) -> None:
        write_text(self._path, json.dumps({name: asdict(spent) for name, spent in self._all.items()}) + "\n")


def _name(config: Config) -> str:
    """Return the name of a configuration whatever its length."""
    search = config.search.model_copy(update={"budget_minutes": None, "generations": None})
    return digest(config.model_copy(update={"search": search}))


def _read(path: Path) -> dict[str, Spent]:
    try:
        return as_record(_SPENT, read_json(path))
    except (OSError, Unreadable):  # a lost file costs only the memory of where a search ended
        return {}
