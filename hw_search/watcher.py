"""The callbacks of a search: progress displays, loggers, and a user's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from zerocross.reports.records import Evaluation, Run, RungRecord


class StopSearch(Exception):
    """Raised by a callback's `generation`: the search ends there, and its front is trained. The message says why."""


class Watcher(Protocol):
    """Receives a call for every step of a search."""

    def note(self, text: str) -> None:
        """Something that the user must know, in whole sentences."""

    def begin(self, run: str, planned: int | None) -> None:
        """The search begins. It will request about `planned` candidates; None if its time alone ends it."""

    def rung(self, number: int, expression: str, error: float | None) -> None:
        """A candidate's training for a rung, from 1, has ended, with its validation error, or None if it failed."""

    def trained(self, expression: str, reference: bool, error: float | None, cached: bool) -> None:
        """A candidate's training is available, with its validation error, or None if it failed.

        `cached` is true if the result came from the store.
        """

    def generation(self, evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> None:
        """A batch is complete. `evaluations` holds all evaluations so far; see `Unread` for the new ones among them."""

    def ranked(self, rungs: Sequence[RungRecord]) -> None:
        """The rungs ranked the candidates so far like this. Called before `generation`, if the search has rungs."""

    def finals(self, done: int, total: int) -> None:
        """`done` of the `total` final trainings of the front are complete."""

    def end(self, run: Run, folder: Path) -> None:
        """The search has ended, and all its files are in the folder."""

    def close(self) -> None:
        """The search is over, also if it was interrupted or failed. The last call."""


class Callback:
    """Base class of a user's callbacks: it ignores every call. Override what you need.

    Calls come from the searching process, one at a time and in this order: `begin`; for each generation `rung` and `trained`
    as results arrive, `ranked` if there are rungs, then `generation`; `finals` while the front trains again; `end`;
    `close`, also after an interruption. A resumed search calls all of them again, for stored results too. `generation` may
    raise `StopSearch`.
    """

    def note(self, text: str) -> None:
        """See `Watcher`."""

    def begin(self, run: str, planned: int | None) -> None:
        """See `Watcher`."""

    def rung(self, number: int, expression: str, error: float | None) -> None:
        """See `Watcher`."""

    def trained(self, expression: str, reference: bool, error: float | None, cached: bool) -> None:
        """See `Watcher`."""

    def generation(self, evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> None:
        """See `Watcher`."""

    def ranked(self, rungs: Sequence[RungRecord]) -> None:
        """See `Watcher`."""

    def finals(self, done: int, total: int) -> None:
        """See `Watcher`."""

    def end(self, run: Run, folder: Path) -> None:
        """See `Watcher`."""

    def close(self) -> None:
        """See `Watcher`."""


Silent = Callback
"""A callback that does nothing."""


class Unread:
    """Tells which evaluations a callback has not seen: new ones, and those that an audit has trained in full since."""

    def __init__(self) -> None:
        self._read = 0
        self._audited: set[int] = set()

    def of(self, evaluations: Sequence[Evaluation]) -> list[Evaluation]:
        """Return the unseen ones of all evaluations so far."""
        audited = [e for e in evaluations[: self._read] if e.audited and e.number not in self._audited]
        found = [*audited, *evaluations[self._read :]]
        self._audited |= {e.number for e in found if e.audited}
        self._read = len(evaluations)
        return found


def together(*watchers: Watcher) -> Watcher:
    """Return a watcher that passes every call on to all of these, in order."""
    return watchers[0] if len(watchers) == 1 else cast(Watcher, _Together(watchers))


class _Together:
    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = watchers

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> None:
            stop: StopSearch | None = None
            for watcher in self._watchers:
                try:
                    getattr(watcher, name)(*arguments)
                except StopSearch as asked:  # the others hear of this generation too
                    stop = stop or asked
            if stop is not None:
                raise stop

        return call
