"""Tasks and results of workers: plain records that travel as JSON to any process or machine."""

from dataclasses import dataclass, replace
from typing import Any, Literal, Required, TypedDict

from pydantic import TypeAdapter

from zerocross.models.data_config import DataConfig
from zerocross.models.training import TrainingSettings


@dataclass(frozen=True)
class Mixture:
    """Operations of topology `nasb` for a training that chooses among them, instead of training a fixed network.

    Attributes:
        choices: Names of operations by stage and edge.
        prices: (stage, edge, operation, price) for each operation; the largest price is 1.
        price_weight: Weight of the expected price, relative to the cross entropy.
    """

    choices: tuple[tuple[tuple[str, ...], ...], ...]
    prices: tuple[tuple[int, int, str, float], ...]
    price_weight: float


@dataclass(frozen=True)
class TrainingTask:
    """One network to train and evaluate.

    Attributes:
        plugins: Files and modules to import first.
        data: Data set.
        expressions: One expression for all activation slots, or one per slot.
        topology: Name and parameters, without open choices.
        settings: Training settings.
        device: Device of the training: "auto", "cpu" or "cuda".
        seed: Seed of the initial weights and the order of samples.
        final: Whether to examine the activations and evaluate on the test set.
        test: Whether to evaluate on the test set.
        weights: File for the trained weights (safetensors), or None.
        memory_gb: Limit on the worker's address space in GiB, from this task on; None sets no limit.
        mixture: Operations to choose from, for a mixture.
        share: Share of the training samples to train on, 0..1; see `zerocross.models.data.portion`.
        give_up: Share of the epochs after which a network at chance is given up; see `zerocross.models.hopeless`.
        start: Starting weights, `zoo:NAME` or the folder of a training; None for new ones.
    """

    plugins: tuple[str, ...]
    data: DataConfig
    expressions: tuple[str, ...]
    topology: dict[str, Any]
    settings: TrainingSettings
    device: str
    seed: int
    final: bool = False
    test: bool = False
    weights: str | None = None
    memory_gb: float | None = None
    mixture: Mixture | None = None
    share: float = 1.0
    give_up: float = 1.0
    start: str | None = None

    @property
    def trainings(self) -> "tuple[TrainingTask, ...]":
        """The trainings of the task: itself."""
        return (self,)

    def with_trainings(self, trainings: "tuple[TrainingTask, ...]") -> "TrainingTask":
        """Return a task of the same kind with other trainings."""
        (training,) = trainings
        return training


@dataclass(frozen=True)
class Stack:
    """Trainings that differ only in expressions and weight files, and run together.

    Attributes:
        trainings: Two or more trainings.
    """

    trainings: tuple[TrainingTask, ...]

    def with_trainings(self, trainings: tuple[TrainingTask, ...]) -> "Stack":
        """Return a task of the same kind with other trainings."""
        return replace(self, trainings=trainings)


Task = TrainingTask | Stack


class Result(TypedDict, total=False):
    """The result of a task, as JSON.

    Attributes:
        status: "ok", "failed", or "error" for a mistake of the user.
        reason: Reason for a status other than "ok".
        passing: Whether a retry may succeed.
        died: Whether every worker that tried the task died.
        seconds: Duration in seconds.
        expressions: Expressions of the task.
        accuracy: Accuracy on validation samples, 0..1.
        test: Accuracy on test samples, 0..1, if the task evaluates them.
        loss: Mean loss of each epoch.
        looks: Epochs with a validation accuracy; see `zerocross.models.curves`.
        validation: Accuracy at each look, 0..1.
        stacked: Number of networks that trained together.
        crossings: Number of crossings of each channel, by activation layer.
        thresholds: Thresholds of each thermometer by layer, if the network has one.
        binarized: Accuracy "before" and "after" the last step of self-binarizing, else None.
        sites: Activations, in the format of `zerocross.reports.activation_records.ActivationRecord` (final tasks).
        agreement: Comparison of network and crossing tables (final tasks); see `zerocross.reports.records.Finalist`.
        savings: Parts that could be removed from the network (final tasks).
        results: One result per training of a stack.
        weights: Digest of the file of weights, if the task has one; see `zerocross.digests`.
        operations: Operations that a mixture chose, by stage and edge.
        shares: Weights of a mixture's operations, by stage, edge and operation.
    """

    status: Required[Literal["ok", "failed", "error"]]
    reason: str
    passing: bool
    died: bool
    seconds: float
    expressions: list[str]
    accuracy: float
    test: float
    loss: list[float]
    looks: list[int]
    validation: list[float]
    stacked: int
    crossings: dict[str, list[int]]
    thresholds: dict[str, list[int]]
    binarized: dict[str, float] | None
    sites: list[dict[str, Any]]
    agreement: dict[str, Any]
    savings: dict[str, int]
    results: "list[Result]"
    weights: str
    operations: list[list[str]]
    shares: list[list[list[float]]]


_TASK = TypeAdapter[Task](Task)


def to_json(task: Task) -> str:
    """Return a task as JSON on one line."""
    return _TASK.dump_json(task).decode()


def from_json(text: str | bytes) -> Task:
    """Return the task from the JSON of `to_json`."""
    return _TASK.validate_json(text)
