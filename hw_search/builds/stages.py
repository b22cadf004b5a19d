"""Steps of a build with saved results: an interrupted build resumes after its last finished step."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import TypeAdapter

from zerocross.digests import digest_of
from zerocross.hw_search.builds.layout import STAGES
from zerocross.hw_search.builds.results import StepResult
from zerocross.hw_search.files import write_text
from zerocross.reading import read_json
from zerocross.reports.build_records import Stage

R = TypeVar("R", bound=StepResult)

Report = Callable[[float, str], None]
"""Receives the finished share of a step (0..1; negative if it is unknown) and a short note."""


class BuildWatcher(Protocol):
    """Receives a call for every step of a build."""

    def stage(self, name: str, note: str = "") -> None:
        """A step begins. The note is "found done" if a saved result is used."""

    def progress(self, share: float, note: str) -> None:
        """A share of the step, 0..1, is done; negative if the share is unknown."""

    def finished(self, stage: Stage) -> None:
        """A step has ended."""


class SilentBuild:
    """A watcher that ignores every call."""

    def stage(self, name: str, note: str = "") -> None:
        """See `BuildWatcher`."""

    def progress(self, share: float, note: str) -> None:
        """See `BuildWatcher`."""

    def finished(self, stage: Stage) -> None:
        """See `BuildWatcher`."""


class Stages:
    """The steps of one build, in order.

    Each step has a key: a digest of its inputs and of the steps before it, except steps that no later step depends on. A
    step is not repeated if the folder holds its result under the same key, and result and files are as the step left them.

    Args:
        folder: Folder of the build. Results are saved in its folder `stages/`.
        watcher: Receives a call for every step.
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
        """Return the result of a step, from its saved record or by running it.

        Args:
            name: Name of the step.
            kind: Type of its result.
            inputs: Inputs that determine its result, in addition to the steps before it.
            work: Function that runs the step. Its result is saved.
            last: Whether no later step depends on this one.
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
            record.unlink(missing_ok=True)  # the files that it lists will change
            started = time.monotonic()
            with self._failing(name, started):
                result = work(self._watcher.progress)
            seconds = time.monotonic() - started
            content = {"key": key, "seconds": seconds, "result": asdict(result), "files": self._files(result)}
            write_text(record, json.dumps({**content, "digest": _digest(content)}, indent=1) + "\n")
        self._end(Stage(name, "done", round(seconds, 1), result.note))
        return result

    def skip(self, name: str, why: str) -> None:
        """Record that a step is skipped, and the reason."""
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
            content = read_json(record)
            if content["key"] != key or content.pop("digest") != _digest(content):
                return None
            result = TypeAdapter(kind).validate_python(content["result"])
            return (result, float(content["seconds"])) if content["files"] == self._files(result) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _files(self, result: StepResult) -> dict[str, str]:
        """Return the digests of a step's files by name; "" for folders, which are for other tools.

        Raises:
            OSError: If a file is missing.
        """
        paths = {name: self.folder / name for name in result.files}
        return {name: "" if path.is_dir() else digest_of(path) for name, path in paths.items()}


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(json.loads(json.dumps(content)), sort_keys=True)  # as it is read back
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
