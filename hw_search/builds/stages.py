"""Steps of a build that are done once: an interrupted build goes on from its last finished step."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import TypeAdapter

from zerocross.hw_search.builds.layout import STAGES
from zerocross.hw_search.builds.results import Result
from zerocross.hw_search.files import write_text
from zerocross.reports.build_records import Stage

R = TypeVar("R", bound=Result)

Report = Callable[[float, str], None]
"""Told which share of a step is done (0..1; negative where nobody knows), and a word on it."""


class BuildWatcher(Protocol):
    """Told of every step of a build."""

    def stage(self, name: str, note: str = "") -> None:
        """A step begins; the note says whether it was found done."""

    def progress(self, share: float, note: str) -> None:
        """So much of the step is done; negative where nobody knows how much."""

    def finished(self, stage: Stage) -> None:
        """A step has ended."""


class SilentBuild:
    """A watcher that says nothing."""

    def stage(self, name: str, note: str = "") -> None:
        """See `BuildWatcher`."""

    def progress(self, share: float, note: str) -> None:
        """See `BuildWatcher`."""

    def finished(self, stage: Stage) -> None:
        """See `BuildWatcher`."""


class Stages:
    """The steps of one build, in order.

    Each step has a key: all that decides its result, the steps before it included, but for those that none depends
    on. A step whose result lies in the folder under the same key, and whose files are still there, is not done again.

    Args:
        folder: the build's; results go to `stages/` in it.
        watcher: told of every step.
    """

    def __init__(self, folder: Path, watcher: BuildWatcher) -> None:
        self.folder, self._watcher = folder, watcher
        self.done: list[Stage] = []
        self._key = ""

    def run(
        self,
        name: str,
        kind: type[R],
        inputs: dict[str, Any],
        work: Callable[[Report], R],
        last: bool = False,
    ) -> R:
        """Do a step, or find it done.

        Args:
            name: of the step.
            kind: of its result.
            inputs: what decides its result, beside the steps before it.
            work: does it; what it returns is kept.
            last: whether no later step depends on this one.
        """
        text = json.dumps([self._key, name, inputs], sort_keys=True, default=str)
        key = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        if not last:
            self._key = key
        record = self.folder / STAGES / f"{name.replace(' ', '_')}.json"
        found = self._found(record, key, kind)
        if found is not None:
            result, seconds = found
            self._watcher.stage(name, "found done")
        else:
            self._watcher.stage(name)
            record.unlink(missing_ok=True)  # the files it speaks of are about to change
            started = time.monotonic()
            with self._failing(name, started):
                result = work(self._watcher.progress)
            seconds = time.monotonic() - started
            content = {"key": key, "seconds": seconds, "result": asdict(result)}
            write_text(record, json.dumps(content, indent=1) + "\n")
        self._end(Stage(name, "done", round(seconds, 1), result.note))
        return result

    def skip(self, name: str, why: str) -> None:
        """Note that a step is not done, and why."""
        self._end(Stage(name, "skipped", note=why))

    def _end(self, stage: Stage) -> None:
        self.done.append(stage)
        self._watcher.finished(stage)

    @contextmanager
    def _failing(self, name: str, started: float) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            seconds = round(time.monotonic() - started, 1)
            self._end(Stage(name, "failed", seconds, str(error).splitlines()[0] if str(error) else ""))
            raise

    def _found(self, record: Path, key: str, kind: type[R]) -> tuple[R, float] | None:
        try:
            content = json.loads(record.read_text(encoding="utf-8"))
            if content["key"] != key:
                return None
            result = TypeAdapter(kind).validate_python(content["result"])
            there = all((self.folder / file).exists() for file in result.files)
            return (result, float(content["seconds"])) if there else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
