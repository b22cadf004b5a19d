"""What a process leaves when it ends, in particular when it is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import still_runs
from zerocross.finn_flows import children

STARTS = """
import sys, time
from zerocross.finn_flows import children
with children.scratch() as folder, children.child(["sh", "-c", f"sleep {sys.argv[1]} & sleep {sys.argv[1]}"]):
    (folder / "file").write_text("")
    print(folder, flush=True)
    time.sleep(60)
"""


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def marker(tmp_path: Path) -> str:
    return f"62.{abs(hash(str(tmp_path))) % 10**9:09d}"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_process_leaves_neither_processes_nor_folders(number: int, tmp_path: Path) -> None:
    seconds = marker(tmp_path)
    command = [sys.executable, "-c", STARTS, seconds]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        folder = Path(parent.stdout.readline().strip())
        until(lambda: still_runs(f"sleep\0{seconds}"))
        assert (folder / "file").exists()
        parent.send_signal(number)
        parent.wait()
    until(lambda: not still_runs(seconds) and not folder.exists())


def test_a_group_ends_with_its_context(tmp_path: Path) -> None:
    seconds = marker(tmp_path)
    with pytest.raises(KeyboardInterrupt), children.child(["sh", "-c", f"sleep {seconds} & sleep {seconds}"]):
        until(lambda: still_runs(f"sleep\0{seconds}"))
        raise KeyboardInterrupt
    until(lambda: not still_runs(seconds))


def test_a_folder_ends_with_its_context() -> None:
    with children.scratch() as folder:
        (folder / "a").mkdir()
    assert not folder.exists()


def test_programs_run_to_their_ends() -> None:
    commands = [
        ["sh", "-c", "sleep 0.2; echo out; printf '\\377' >&2; exit 3"],
        ["true"],
        ["sh", "-c", "kill -9 $$"],
    ]
    done = children.run(commands, workers=2)
    assert [each.code for each in done] == [3, 0, -9]
    assert (done[0].output, done[0].errors) == ("out\n", "\ufffd")


def test_ctrl_c_ends_all_programs(tmp_path: Path) -> None:
    seconds = marker(tmp_path)
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        children.run([["sleep", seconds], ["sleep", seconds]], workers=2)
    until(lambda: not still_runs(seconds))


def test_a_fork_ends_nothing_of_its_parent(tmp_path: Path) -> None:
    with children.scratch() as folder, children.child(["sleep", marker(tmp_path)]) as process:
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        time.sleep(0.2)
        assert folder.exists() and process.poll() is None
