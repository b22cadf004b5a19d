"""Runs tasks in worker processes on this machine, one thread each."""

import json
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.tasks import Result, Task, to_json

_ATTEMPTS = 2

_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 25), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
"""glibc keeps a training's memory instead of giving it back to the system at every step: a few per cent faster."""


class Executor(Protocol):
    """Anything that runs tasks."""

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Run tasks; yield (index of the task, its result) as they come, in any order."""

    def close(self) -> None:
        """Stop at once."""


class LocalExecutor:
    """Worker processes on this machine.

    A task whose worker dies is tried once more in a fresh one; if that dies too, the task has failed with a
    `passing` reason, which the store does not keep.

    Args:
        workers: number of processes, started when first needed.
        log: file that gets what workers print.
    """

    def __init__(self, workers: int, log: Path) -> None:
        self._workers = workers
        self._log = log
        self._idle: list[_Worker] = []
        self._busy: dict[int, tuple[_Worker, int]] = {}
        self._selector = selectors.DefaultSelector()

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """See `Executor.run`."""
        waiting = deque(range(len(tasks)))
        attempts = [0] * len(tasks)
        while waiting or self._busy:
            while waiting and len(self._busy) < self._workers:
                self._give(waiting.popleft(), tasks, attempts)
            for key, _ in self._selector.select():
                worker, index = self._busy.pop(key.fd)
                self._selector.unregister(key.fd)
                line = worker.read()
                if line:
                    self._idle.append(worker)
                    yield index, json.loads(line)
                    continue
                death = worker.death()
                if attempts[index] < _ATTEMPTS:
                    waiting.append(index)
                else:
                    yield (
                        index,
                        {
                            "status": "failed",
                            "passing": True,
                            "reason": f"its worker process died twice: {death}",
                        },
                    )

    def _give(self, index: int, tasks: Sequence[Task], attempts: list[int]) -> None:
        attempts[index] += 1
        worker = self._free_worker()
        descriptor = worker.give(tasks[index])
        self._busy[descriptor] = (worker, index)
        self._selector.register(descriptor, selectors.EVENT_READ)

    def _free_worker(self) -> "_Worker":
        while self._idle:
            worker = self._idle.pop()
            if worker.alive():
                return worker
            worker.kill()  # its memory had run out, and it ended by itself
        return _Worker(self._log)

    def close(self) -> None:
        """Kill all workers."""
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            worker.kill()
        self._idle, self._busy = [], {}
        self._selector.close()

    def __enter__(self) -> "LocalExecutor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Worker:
    def __init__(self, log: Path) -> None:
        # One thread each, also where a library reads its number of threads at import.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        try:
            with log.open("ab") as output:
                # A session of its own: Ctrl-C reaches the search alone, which then stops its workers.
                self._process = subprocess.Popen(
                    # -P: modules of the folder they happen to be in are none of ours.
                    [sys.executable, "-P", "-m", "zerocross.hw_search.execution.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=output,
                    env={**_MEMORY, **environment},
                    start_new_session=True,
                )
        except OSError as error:
            raise UserError(
                f"a worker process cannot be started ({error.strerror}); fewer --workers may help"
            ) from None

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def give(self, work: Task) -> int:
        """Send a task; return the descriptor on which its result will come."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(to_json(work).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it died while idle: its closed output says so at once
        return self._out.fileno()

    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process.poll() is None

    def read(self) -> bytes:
        """Read a result line; empty if the worker is gone."""
        line = self._out.readline()
        return line if line.endswith(b"\n") else b""

    def death(self) -> str:
        """Reap the worker and say what ended it."""
        self.kill(politely=True)
        code = self._process.returncode
        if code == -signal.SIGKILL:
            return "killed (signal 9; the system does this when memory runs out: use fewer workers)"
        return f"signal {-code}" if code < 0 else f"exit code {code}; workers.log says more"

    def kill(self, politely: bool = False) -> None:
        """End the worker."""
        if politely:
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
        else:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
