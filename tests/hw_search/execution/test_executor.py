"""Real worker processes that run a plugin's misbehaving operations."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hw_search.conftest import MISBEHAVING, task
from zerocross.hw_search.execution.executor import LocalExecutor
from zerocross.hw_search.execution.tasks import Result, Stack


@pytest.mark.slow
def test_every_task_gets_its_own_result(
    plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZEROCROSS_TEST_MARKER", str(tmp_path / "marker"))
    texts = ["x", "die(x)", "stumble(x)", "nan(x)", "die_once(x)", "sin(x)"]
    tasks = [task(plugin, text) for text in texts]
    with LocalExecutor(2, tmp_path / "workers.log") as executor:
        results = dict(executor.run(tasks))
    found = [results[index] for index in range(len(texts))]
    assert [result["status"] for result in found] == ["ok", "failed", "failed", "failed", "ok", "ok"]
    assert "its worker process died twice: killed (signal 9" in found[1]["reason"] and found[1]["passing"]
    assert found[2]["reason"] == "KeyError: 'nothing here'"
    assert "no longer finite after epoch 1" in found[3]["reason"]
    assert "nothing here" in (tmp_path / "workers.log").read_text()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Result]:
    """Results of one worker: a stack that runs out of memory, a network, another that runs out of it, and a mistake."""
    folder = tmp_path_factory.mktemp("worker")
    plugin, broken = folder / "plugin.py", folder / "broken.py"
    plugin.write_text(MISBEHAVING)
    broken.write_text("import nothing_of_that_name")
    greedy, sound = (task(plugin, text, memory_gb=16) for text in ("hoard(x)", "x"))
    with LocalExecutor(1, folder / "workers.log") as executor:
        return dict(executor.run([Stack((sound, greedy)), sound, greedy, task(broken, "x")]))


def test_running_out_of_memory_fails_the_evaluation_alone(results: dict[int, Result]) -> None:
    assert results[0]["status"] == "failed" and results[0]["reason"].startswith("out of memory")
    assert results[1]["status"] == "ok"  # not given to the process that ends
    assert results[2]["reason"].startswith("out of memory")


def test_a_users_mistake_stops_with_its_message(results: dict[int, Result]) -> None:
    assert results[3]["status"] == "error"
    assert "cannot be imported: ModuleNotFoundError" in results[3]["reason"]


def test_tasks_that_no_one_waits_for_do_not_answer_later(plugin: Path, tmp_path: Path) -> None:
    with LocalExecutor(2, tmp_path / "workers.log") as executor:
        left = executor.run([task(plugin, "x"), task(plugin, "sin(x)")])
        next(left)
        left.close()  # type: ignore[attr-defined]  # a generator: a search that is interrupted
        found = list(executor.run([task(plugin, "cos(x)")]))
    assert [index for index, _ in found] == [0] and found[0][1]["status"] == "ok"


BUSY = """
import sys
from pathlib import Path
from tests.hw_search.conftest import task
from zerocross.hw_search.execution.executor import LocalExecutor
with LocalExecutor(1, Path(sys.argv[1]).with_name("log")) as executor:
    list(executor.run([task(Path(sys.argv[1]), "x")]))
"""


@pytest.mark.slow
def test_a_worker_does_not_train_on_when_its_search_is_killed(tmp_path: Path) -> None:
    plugin, started = tmp_path / "plugin.py", tmp_path / "started"
    plugin.write_text(
        f"import os, pathlib, time\npathlib.Path({str(started)!r}).write_text(str(os.getpid()))\ntime.sleep(99)\n"
    )
    search = subprocess.Popen([sys.executable, "-c", BUSY, str(plugin)])
    while not started.exists() or not started.read_text():
        assert search.poll() is None
        time.sleep(0.05)
    search.send_signal(signal.SIGKILL)
    search.wait()
    process, deadline = Path("/proc") / started.read_text(), time.monotonic() + 20
    while process.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
