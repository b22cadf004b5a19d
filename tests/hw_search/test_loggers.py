"""Loggers, with the real packages where they are installed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.reports.conftest import make_run
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.loggers import make_logger
from zerocross.hw_search.watcher import Callback, Unread
from zerocross.reports.records import Run, TrainingCurve
from zerocross.reports.storage import EVALUATIONS, PARETO, REPORT


@pytest.fixture
def run() -> Run:
    """A run whose evaluations have curves."""
    made = make_run(20, finished=True)
    curve = TrainingCurve(3, 1.5, 0.9, [2.0, 1.0, 0.5], [1, 2], [0.5, 0.8])
    return replace(made, evaluations=[replace(e, trainings=[curve]) for e in made.evaluations])


def log(name: str, run: Run, folder: Path, is_stopped: bool = False) -> Callback:
    folder.mkdir()
    (folder / "config.yaml").write_text("name: tiny\nsearch: {seed: 3}\n")
    for file in (REPORT, PARETO, EVALUATIONS):
        (folder / file).write_text("content")
    logger = make_logger(name, folder)
    logger.begin(run.name, 20)
    logger.generation(run.evaluations[:10], run.objectives)
    logger.generation(run.evaluations, run.objectives)
    if not is_stopped:
        logger.end(run, folder)
    logger.close()
    return logger


def test_tensorboard(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log("tensorboard", run, tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    first = run.evaluations[0]
    assert [e.step for e in events.Scalars("candidates/lut")] == [
        e.number for e in run.evaluations if e.metrics
    ]
    assert [e.value for e in events.Scalars(f"loss/{first.id}/seed 3")] == [2.0, 1.0, 0.5]
    assert [e.step for e in events.Scalars(f"validation/{first.id}/seed 3")] == [1, 2]


def test_mlflow(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    log("mlflow", run, tmp_path / "run")
    (found,) = mlflow.search_runs(output_format="list")
    assert found.info.status == "FINISHED" and found.data.params == {"search.seed": "3"}
    client = mlflow.MlflowClient()
    assert len(client.get_metric_history(found.info.run_id, "lut")) == sum(
        "lut" in e.metrics for e in run.evaluations
    )
    assert {file.path for file in client.list_artifacts(found.info.run_id)} == {REPORT, PARETO, EVALUATIONS}


def test_an_interrupted_search_leaves_no_open_mlflow_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    log("mlflow", run, tmp_path / "run", is_stopped=True)
    (found,) = mlflow.search_runs(output_format="list")
    assert found.info.status == "KILLED" and mlflow.active_run() is None


def test_audited_evaluations_are_unread_again(run: Run) -> None:
    unread, before = Unread(), run.evaluations
    assert unread.of(before[:10]) == before[:10]
    now = [replace(e, audited=e.number == 3) for e in before]
    assert [e.number for e in unread.of(now)] == [3, *range(10, len(before))]
    assert unread.of(now) == []


def test_what_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="--log tensorbord: did you mean tensorboard"):
        make_logger("tensorbord", tmp_path)
    import builtins

    real: Callable[..., object] = builtins.__import__

    def without(name: str, *arguments: object, **keywords: object) -> object:
        if name == "mlflow":
            raise ImportError("No module named 'mlflow'")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(__import__("sys").modules, "zerocross.hw_search.loggers.mlflow_logger", raising=False)
    with pytest.raises(UserError, match=r'pip install -c constraints.txt "\.\[mlflow\]"'):
        make_logger("mlflow", tmp_path)
