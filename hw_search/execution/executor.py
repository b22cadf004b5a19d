"""Execution of tasks in worker processes on this machine, with one thread each."""

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

from zerocross.finn_flows.children import adopt, end
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.tasks import Result, Task, to_json

_ATTEMPTS = 2

_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 25), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
"""Settings with which glibc keeps freed memory instead of returning it at every step: a few per cent faster."""


class Executor(Protocol):
    """The interface for running tasks."""

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Run tasks. Yield (index of the task, its result) as results arrive, in any order."""

    def close(self) -> None:
        """Stop at once."""


class LocalExecutor:
    """Runs tasks in worker processes on this machine.

    If a worker dies, its task runs once more in a new process. If that dies too, the task fails with `passing` set, and the
    store does not keep the result.

    Args:
        workers: Number of processes. Each starts when it is first needed.
        log: File for the workers' output.
    """

    def __init__(self, workers: int, log: Path) -> None:
        self._workers = workers
        self._log = log
        self._idle: list[_Worker] = []
        self._busy: dict[int, tuple[_Worker, int]] = {}
        self._selector = selectors.DefaultSelector()

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """See `Executor.run`."""
        try:
            yield from self._run(tasks)
        finally:  # a worker that is still busy has a task that no one waits for
            for worker, _ in self._busy.values():
                worker.kill()
            for descriptor in self._busy:
                self._selector.unregister(descriptor)
            self._busy = {}

    def _run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
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
                    result = json.loads(line)
                    if result.get("passing"):  # the worker ends now: it must not receive a task
                        worker.kill(politely=True)
                    else:
                        self._idle.append(worker)
                    yield index, result
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
                            "died": True,
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
            worker.kill()  # it died while idle
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
        # One thread each, also in libraries that read the number of threads at import.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        try:
            with log.open("ab") as output:
                # A separate process session: Ctrl-C reaches only the search, which then stops its workers.
                self._process = subprocess.Popen(
                    # -P: modules in the current folder must not shadow imports.
                    [sys.executable, "-P", "-m", "zerocross.hw_search.execution.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=output,
                    env={**_MEMORY, **environment},
                    start_new_session=True,
                )
            adopt(self._process)
        except OSError as error:
            raise UserError(
                f"a worker process cannot be started ({error.strerror}): try fewer --workers"
            ) from None

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def give(self, work: Task) -> int:
        """Send a task. Return the file descriptor on which its result will arrive."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(to_json(work).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the worker died while idle: its closed output reports that at once
        return self._out.fileno()

    def alive(self) -> bool:
        """Return whether the process is running."""
        return self._process.poll() is None

    def read(self) -> bytes:
        """Return a result line, or b"" if the worker died."""
        line = self._out.readline()
        return line if line.endswith(b"\n") else b""

    def death(self) -> str:
        """Wait for the dead worker and return the cause of its death."""
        self.kill(politely=True)
        code = self._process.returncode
        if code == -signal.SIGKILL:
            return "killed (signal 9; the system does this when memory runs out: use fewer workers)"
        return f"signal {-code}" if code < 0 else f"exit code {code}; see workers.log"

    def kill(self, politely: bool = False) -> None:
        """End the worker."""
        if politely:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
        end(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
