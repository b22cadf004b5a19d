"""Whoever follows a search while it runs."""

from collections.abc import Sequence
from typing import Protocol

from zerocross.reports.records import Evaluation


class Watcher(Protocol):
    """Notified of every step of a search."""

    def begin(self, run: str, planned: int) -> None:
        """The search begins; about so many candidates will be asked for."""

    def first_look(self, expression: str, error: float | None) -> None:
        """A candidate's first look is done: its validation error, or None where it failed."""

    def trained(self, expression: str, reference: bool, error: float | None, cached: bool) -> None:
        """A candidate's training is there: its validation error, or None where it failed; `cached` if it was stored."""

    def generation(self, evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> None:
        """A batch is complete; these are all evaluations so far, the new ones behind those of the call before."""

    def finals(self, done: int, total: int) -> None:
        """So many of the front's last trainings are done."""


class Silent:
    """A watcher that says nothing."""

    def begin(self, run: str, planned: int) -> None:
        """See `Watcher`."""

    def first_look(self, expression: str, error: float | None) -> None:
        """See `Watcher`."""

    def trained(self, expression: str, reference: bool, error: float | None, cached: bool) -> None:
        """See `Watcher`."""

    def generation(self, evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> None:
        """See `Watcher`."""

    def finals(self, done: int, total: int) -> None:
        """See `Watcher`."""
