"""Programs that this process starts, and its temporary folders: they end with it, even if it is killed.

A killed process cannot clean up. A guardian, a small process of its own, does it instead. It reads a pipe that tells it what
there is, and that closes when this process ends in any way. It then kills the groups of processes and removes the folders
that are left.
"""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_GUARDIAN = """
import os, shutil, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
left = {}
for line in sys.stdin.buffer:
    what, name = line[1:].split()
    if line[:1] == b"+":
        left[name] = what
    else:
        left.pop(name, None)
for name, what in left.items():
    if what == b"group":
        try:
            os.killpg(int(name), signal.SIGKILL)
        except OSError:
            pass
folders = [bytes.fromhex(name.decode()) for name, what in left.items() if what == b"folder"]
for _ in range(20):
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    if not any(map(os.path.exists, folders)):
        break
    time.sleep(0.05)  # a process that was just killed may still write
"""


class _Guardian:
    """The guardian of this process. It starts when something is first given to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def tell(self, line: str) -> None:
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _GUARDIAN],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,
                )
                atexit.register(self._end, self._process, os.getpid())
            assert self._process.stdin is not None
            with suppress(BrokenPipeError):  # the guardian was killed: there is none then
                os.write(self._process.stdin.fileno(), line.encode() + b"\n")

    def forget(self) -> None:
        """Leave the guardian to the parent, in a forked child."""
        self._lock = threading.Lock()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None

    def _end(self, process: "subprocess.Popen[bytes]", owner: int) -> None:
        if os.getpid() == owner and process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()


_guardian = _Guardian()
os.register_at_fork(after_in_child=_guardian.forget)


def python(code: str, *arguments: str) -> list[str]:
    """Return the command that runs Python code. With `own_modules`, it imports nothing from the folder it works in."""
    return [sys.executable, "-P", "-c", code, *arguments]


def own_modules() -> dict[str, str]:
    """Return the environment for `python`: that of this process, with an absolute PYTHONPATH.

    An empty or relative entry would mean a folder in the child's working folder.
    """
    places = [os.path.abspath(place) for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places)}


def adopt(process: "subprocess.Popen[Any]") -> None:
    """Have a process end with this one, and all that it starts.

    Args:
        process: A leader of a group of processes (`start_new_session=True`).
    """
    _guardian.tell(f"+group {process.pid}")


def end(process: "subprocess.Popen[Any]") -> None:
    """Kill a process from `adopt` and all that it started, and wait for it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _guardian.tell(f"-group {process.pid}")


@dataclass(frozen=True)
class Finished:
    """A program that has ended.

    Attributes:
        code: Exit status; negative if a signal ended it.
        output: Standard output.
        errors: Standard error.
    """

    code: int
    output: str
    errors: str


@contextmanager
def child(command: Sequence[str], **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """Start a program. It ends with this context and with this process, and so does all that it starts.

    Args:
        command: Program and arguments.
        **options: Options of `subprocess.Popen`.
    """
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        try:
            adopt(process)
            yield process
        finally:
            end(process)


def run(commands: Sequence[Sequence[str]], workers: int = 1, **options: Any) -> list[Finished]:
    """Run programs to their end, in parallel. After an error or Ctrl-C, none of them is left.

    Args:
        commands: Program and arguments of each.
        workers: Most programs at a time.
        **options: Options of `subprocess.Popen` for all of them.

    Returns:
        The exit status and the output of each, in the order of the commands.
    """
    waiting, running = deque(enumerate(commands)), list[tuple[int, ExitStack, _Redirected]]()
    done: dict[int, Finished] = {}
    with ExitStack() as all_ended:
        while waiting or running:
            while waiting and len(running) < workers:
                index, command = waiting.popleft()
                ended = all_ended.enter_context(ExitStack())
                running.append((index, ended, ended.enter_context(_redirected(command, options))))
            for entry in list(running):
                index, ended, (process, *files) = entry
                if process.poll() is not None:
                    running.remove(entry)
                    output, errors = (_text(file) for file in files)
                    done[index] = Finished(process.returncode, output, errors)
                    ended.close()
            time.sleep(0.005)
    return [done[index] for index in range(len(commands))]


_Redirected = tuple["subprocess.Popen[Any]", IO[bytes], IO[bytes]]


@contextmanager
def _redirected(command: Sequence[str], options: dict[str, Any]) -> Iterator[_Redirected]:
    """Start a program whose output goes to two files, so that it never waits for a reader."""
    with (
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
        child(command, stdout=output, stderr=errors, **options) as process,
    ):
        yield process, output, errors


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a new temporary folder. It is removed with this context, or with this process."""
    folder = new_folder("zerocross_")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _guardian.tell(f"-folder {os.fsencode(folder).hex()}")


def new_folder(prefix: str) -> Path:
    """Return a new temporary folder. It is removed with this process."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    _guardian.tell(f"+folder {os.fsencode(folder).hex()}")
    return folder
