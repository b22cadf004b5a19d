"""A search in MLflow: one run, with the configuration as parameters and the results as metrics and files."""

from collections.abc import Sequence
from pathlib import Path

import mlflow
import yaml

from zerocross.hw_search.watcher import Callback, Unread
from zerocross.reports.configurations import fields, text
from zerocross.reports.records import Evaluation, Run
from zerocross.reports.storage import EVALUATIONS, PARETO, REPORT


class MLflow(Callback):
    """Logs to the tracking server that MLflow is configured for (MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME).

    Args:
        folder: Folder of the run, whose name is that of the MLflow run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._unread, self._is_open = folder, Unread(), False

    def begin(self, run: str, planned: int | None) -> None:
        """See `Watcher`."""
        mlflow.start_run(run_name=run)
        self._is_open = True
        config = yaml.safe_load((self._folder / "config.yaml").read_text(encoding="utf-8"))
        mlflow.log_params({path: text(value)[:500] for path, value in fields(config).items()})

    def generation(self, evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> None:
        """See `Watcher`."""
        for e in self._unread.of(evaluations):
            mlflow.log_metrics({**e.metrics, "training_seconds": e.seconds}, step=e.number)

    def end(self, run: Run, folder: Path) -> None:
        """See `Watcher`."""
        for place, net in enumerate(run.front):
            mlflow.log_metric("front_test_accuracy", sum(net.test) / len(net.test), step=place)
        for name in (REPORT, PARETO, EVALUATIONS):
            mlflow.log_artifact(str(folder / name))
        mlflow.end_run()
        self._is_open = False

    def close(self) -> None:
        """See `Watcher`."""
        if self._is_open:  # interrupted
            mlflow.end_run("KILLED")
            self._is_open = False
