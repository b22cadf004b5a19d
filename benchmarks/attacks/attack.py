"""What all kinds of attack share: what one is, and what counts as wrong."""

import re
from collections.abc import Callable
from typing import Protocol, TypeVar

from zerocross.finn_flows.errors import FlowError
from zerocross.hw_search.errors import UserError
from zerocross.models.errors import ModelError
from zerocross.reports.build_storage import UnreadableBuild
from zerocross.reports.storage import UnreadableRun
from zerocross.reports.vendor_reports import UnreadableReport

MISTAKES = UserError, FlowError, ModelError, UnreadableRun, UnreadableBuild, UnreadableReport
"""Errors that the command line prints as one message, as in `zerocross.hw_search.cli.main`."""

MOST_TEXT = 3000
"""Most characters of a message."""

R = TypeVar("R")


class Wrong(Exception):
    """An attack had an effect that it must not have; the message says which."""


class Attack(Protocol):
    """One kind of attack. Its constructor takes a folder for its files.

    Attributes:
        unit: What one attempt is, in the plural.
        each: Number of units in one attempt.
        tries: Attempts in one slice of the campaign.
        cpu: Seconds of processor time after which an attempt counts as a hang; 0 for none.
        patience: Seconds after which an attempt counts as a hang in any case.
    """

    unit: str
    each: int
    tries: int
    cpu: float
    patience: float

    def attempt(self, seed: int) -> str:
        """Attack once, in the way that the seed decides, and return how the product survived, in a few words.

        Raises:
            Wrong: If it did not.
        """
        ...


def check_message(text: str) -> None:
    """Check that a message is one that a person can read.

    Raises:
        Wrong: If it is empty, long, has characters that a terminal obeys, or is a traceback.
    """
    unprintable = [letter for letter in text if not letter.isprintable() and letter != "\n"]
    if not text or len(text) > MOST_TEXT or unprintable or "Traceback" in text:
        raise Wrong(f"no message for people: {text[:300]!r}")


def refused(work: Callable[[], R]) -> R | None:
    """Return what work returns, or None if it is refused with a message.

    Raises:
        Wrong: If the message is none for people.
    """
    try:
        return work()
    except MISTAKES as mistake:
        check_message(str(mistake))
        return None


def check_output(text: str) -> None:
    """Check what a command printed to standard error.

    Raises:
        Wrong: If it has a traceback.
    """
    if re.search(r"^Traceback|^  File \"", text, re.MULTILINE):
        raise Wrong(f"a traceback: {text[-600:]}")
