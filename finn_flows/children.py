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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

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


def run(command: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, and return its exit status and output, as text.

    Args:
        command: Program and arguments.
        **options: Options of `subprocess.Popen`.
    """
    pipe = subprocess.PIPE
    with child(command, stdout=pipe, stderr=pipe, text=True, errors="replace", **options) as process:
        output, errors = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


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
