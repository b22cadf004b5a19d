"""The time of a search, `search.budget_minutes`.

The clock decides only how many candidates a search evaluates, and how much its final trainings cover; what they are, the
seed decides. The file `budget.json` in the run's folder holds the time that each configuration has spent with its data and
code, and what was decided, so that the same command decides the same again. A larger budget goes on from there.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from zerocross.hw_search.earlier import digest
from zerocross.hw_search.evaluator import Evaluator
from zerocross.hw_search.execution.code_version import code_version
from zerocross.hw_search.files import write_text
from zerocross.hw_search.final_training import Scope, final_seconds, least_seeds, scopes
from zerocross.hw_search.pace import ENDING, Durations
from zerocross.hw_search.trainings import parallel_trainings
from zerocross.reading import Unreadable, as_record, read_json
from zerocross.reports.summary import tried
from zerocross.reports.wording import count, duration

BUDGET = "budget.json"

LEAST = 4
"""Fewest candidates of a search, and of a part of a generation."""

SLACK = 1.1
"""Ratio to the time left that final trainings may have."""


@dataclass
class Ended:
    """What a search with one budget did.

    Attributes:
        parts: Candidates that were evaluated at once: a generation, or a part of the last one. A 0 ends the search.
        scopes: What the final trainings covered, after so many candidates.
    """

    parts: list[int] = field(default_factory=list)
    scopes: dict[str, Scope] = field(default_factory=dict)


@dataclass
class Spent:
    """What the searches of one configuration have spent.

    Attributes:
        seconds: Time of all searches without final trainings, in seconds, also of interrupted ones.
        ratio: Duration of a final training relative to that of a training in the search.
        after: What `seconds` was after so many candidates ("24"), and after the audit that followed ("24 audited"). A
            search that repeats generations decides as at first. If a smaller budget ends between two places of a larger
            one, its share of the time between them counts.
        ends: What was decided, by budget in minutes.
    """

    seconds: float = 0.0
    ratio: float = 1.5
    after: dict[str, float] = field(default_factory=dict)
    ends: dict[str, Ended] = field(default_factory=dict)


_SPENT = TypeAdapter(dict[str, Spent])


class Budget:
    """Decides how much a search evaluates.

    Args:
        evaluator: The search.
        minutes: Time of the search with its final trainings, in minutes.
        expect: Function that measures what a search costs before anything has trained; None if no candidate can train. It
            is called at most once.
        note: Receives what the user must know before the search begins.

    Attributes:
        ending: Why the search ended, in sentences; "" while it goes on.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        minutes: float,
        expect: Callable[[], Durations | None],
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.ending = ""
        self._evaluator, self._minutes, self._expect, self._note = evaluator, minutes, expect, note
        self._path = Path(evaluator.config.output) / evaluator.config.name / BUDGET
        self._all = _read(self._path)
        self._own = self._all.setdefault(_name(evaluator), Spent())
        self._ended = self._own.ends.setdefault(f"{minutes:g}", Ended())
        self._mark = time.monotonic()
        self._done = self._parts = 0
        self._audited = False
        self._pace: float | None = None  # seconds for a candidate, as measured last

    def take(self, waiting: int) -> int:
        """Return how many of a generation's waiting candidates to evaluate now; 0 ends the search.

        The first candidates are always evaluated.
        """
        if self._parts == len(self._ended.parts):
            self._count()
            self._ended.parts.append(self._fitting(waiting))
            self._write()
        taken = min(self._ended.parts[self._parts], waiting)
        self._parts += 1
        if not taken:
            self._end()
        return taken

    @contextmanager
    def spending(self, candidates: int) -> Iterator[None]:
        """Count the time of an evaluation of so many candidates, also of one that is interrupted."""
        before, is_whole = self._spent(), False
        begun = max(before, self._own.after.get(f"{self._done} audited", 0.0))
        try:
            yield
            is_whole = True
        finally:
            self._count()
            if is_whole:
                self._done += candidates
                if is_new := self._place not in self._own.after:
                    self._own.after[self._place] = self._between(before, candidates)
                self._pace = max(self._spent() - (begun if is_new else before), 0.0) / candidates
            self._write()

    @contextmanager
    def auditing(self) -> Iterator[None]:
        """Count the time of the audit of the rungs, also of one that is interrupted."""
        self._count()
        before, begun = self._spent(), self._own.seconds
        try:
            yield
            self._audited = True
        finally:
            self._count()
            if self._audited:
                behind = self._next() is not None
                spent = before + self._own.seconds - begun if behind else self._own.seconds
                self._own.after.setdefault(self._place, spent)
            self._write()

    def scope(self) -> Scope:
        """Return what the final trainings cover: all that is configured, or what fits into the rest of the time."""
        decided, key = self._ended.scopes, str(self._done)
        if key not in decided:
            self._count()
            left = max(60 * self._minutes - self._spent() - ENDING, 0.0)
            possible = scopes(self._evaluator)
            fitting = (scope for scope in possible if self._finals(scope) <= SLACK * left)
            decided[key] = next(fitting, possible[-1])
            self._write()
        shortened = decided[key].shortened(self._evaluator)
        self.ending = " ".join(filter(None, (self.ending, shortened)))
        return decided[key]

    def _fitting(self, waiting: int) -> int:
        """Return how many candidates the rest of the time allows, to the nearest end."""
        limit = 60 * self._minutes
        if not self._done:
            return self._first(waiting, limit)
        audit = self._evaluator.audit_seconds() / parallel_trainings(self._evaluator.config)
        reserve = min(audit + self._finals(scopes(self._evaluator)[0]), limit / 2)
        left = limit - self._spent() - reserve - ENDING
        fitting = round(left / self._pace) if self._pace else waiting
        return min(fitting, waiting) if fitting >= min(LEAST, waiting) else 0

    def _first(self, waiting: int, limit: float) -> int:
        """Return how many of the first candidates to evaluate, and say so if it is not all of them."""
        expected = self._expect()
        self._count()
        if expected is None:
            return waiting
        self._own.ratio = expected.final_ratio
        whole = expected.seconds(waiting) + expected.final_seconds(waiting)
        if whole <= SLACK * limit:
            return waiting
        taken = max(min(expected.fits(limit - self._spent()), waiting), min(LEAST, waiting))
        least = expected.seconds(LEAST) + expected.final_seconds(1, least_seeds(self._evaluator.config))
        cut = (
            ""
            if taken == waiting
            else f"the search begins with {taken:,} of them, plain signs included, and "
        )
        text = (
            f"The first {count(waiting, 'candidate')} with all final trainings need about {duration(whole)}, more than "
            f"search.budget_minutes {self._minutes:g}: {cut}the final trainings are shortened to the rest of the time."
        )
        if least > SLACK * limit:
            text += f" Even so, it takes about {duration(least)}: no search of this configuration is shorter."
        self._note(text)
        return taken

    def _finals(self, scope: Scope) -> float:
        each = self._own.ratio / parallel_trainings(self._evaluator.config)
        return each * final_seconds(self._evaluator, scope)

    def _spent(self) -> float:
        """Return the seconds that the search has taken so far; a repeated one has those of the first time."""
        begun = self._own.seconds if self._done or not self._own.after else 0.0
        return self._own.after.get(self._place, begun)

    def _next(self) -> int | None:
        """Return the nearest place ahead that an earlier search has reached, in candidates; None if there is none."""
        ahead = [int(place) for place in self._own.after if place.isdigit() and int(place) > self._done]
        return min(ahead, default=None)

    def _between(self, before: float, candidates: int) -> float:
        """Return the seconds at a new place, so many candidates after one that was reached after `before` seconds."""
        ahead = self._next()
        if ahead is None:
            return self._own.seconds
        share = candidates / (ahead - self._done + candidates)
        return before + share * max(self._own.after[str(ahead)] - before, 0.0)

    @property
    def _place(self) -> str:
        """Where the search is, as a key of `Spent.after`."""
        return f"{self._done} audited" if self._audited else str(self._done)

    def _count(self) -> None:
        now = time.monotonic()
        self._own.seconds += now - self._mark
        self._mark = now

    def _end(self) -> None:
        generations = count(self._evaluator.generation, "generation")
        self.ending = (
            f"The search ended after {generations} ({tried(self._evaluator.evaluations)}), as "
            f"search.budget_minutes is {self._minutes:g}. The same command repeats exactly this search, and a larger budget "
            "goes on from here."
        )

    def _write(self) -> None:
        write_text(self._path, json.dumps({name: asdict(spent) for name, spent in self._all.items()}) + "\n")


def _name(evaluator: Evaluator) -> str:
    """Return the name of a configuration, whatever its length, with its data and code."""
    config = evaluator.config
    search = config.search.model_copy(update={"budget_minutes": None, "generations": None})
    parts = (
        digest(config.model_copy(update={"search": search})),
        evaluator.data.fingerprint,
        code_version(tuple(config.plugins)),
    )
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def _read(path: Path) -> dict[str, Spent]:
    try:
        return as_record(_SPENT, read_json(path))
    except (OSError, Unreadable):  # a lost file costs only the memory of where a search ended
        return {}
