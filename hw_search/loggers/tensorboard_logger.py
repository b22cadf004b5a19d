"""A search in TensorBoard: `tensorboard --logdir RUN/tensorboard`."""

from collections.abc import Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from zerocross.hw_search.watcher import Callback, Unread
from zerocross.reports.records import Evaluation, Run


class TensorBoard(Callback):
    """Logs metrics by candidate, and loss and validation accuracy of each training by epoch.

    Args:
        folder: Folder of the run. The events go to its folder `tensorboard`.
    """

    def __init__(self, folder: Path) -> None:
        self._writer, self._unread = SummaryWriter(str(folder / "tensorboard")), Unread()

    def generation(self, evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> None:
        """See `Watcher`."""
        for e in self._unread.of(evaluations):
            for name, value in e.metrics.items():
                self._writer.add_scalar(f"candidates/{name}", value, e.number)
            for training in e.trainings:
                for epoch, loss in enumerate(training.loss, start=1):
                    self._writer.add_scalar(f"loss/{e.id}/seed {training.seed}", loss, epoch)
                for epoch, accuracy in zip(training.looks, training.validation, strict=True):
                    self._writer.add_scalar(f"validation/{e.id}/seed {training.seed}", accuracy, epoch)
        self._writer.flush()

    def end(self, run: Run, folder: Path) -> None:
        """See `Watcher`."""
        for place, net in enumerate(run.front):
            self._writer.add_scalar("front/test accuracy", sum(net.test) / len(net.test), place)

    def close(self) -> None:
        """See `Watcher`."""
        self._writer.close()
