"""The interface for progress reports of a search."""

from collections.abc import Sequence
from typing import Protocol

from zerocross.reports.records import Evaluation, RungRecord


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
        """A batch is complete. `evaluations` holds all evaluations so far; new ones follow those of the call before."""

    def ranked(self, rungs: Sequence[RungRecord]) -> None:
        """The rungs ranked the candidates so far like this. Called before `generation`, if the search has rungs."""

    def finals(self, done: int, total: int) -> None:
        """`done` of the `total` final trainings of the front are complete."""


class Silent:
    """A watcher that ignores every call."""

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
