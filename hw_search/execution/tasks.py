"""What workers are given and what they give back: plain records that travel as JSON to any process or machine."""

from dataclasses import dataclass, replace
from typing import Any, Literal, Required, TypedDict

from pydantic import TypeAdapter

from zerocross.models.data_config import DataConfig
from zerocross.models.training import TrainingSettings


@dataclass(frozen=True)
class Mixture:
    """Operations of topology `nasb` that a training chooses from, instead of training the network as it stands.

    Attributes:
        choices: names of operations by stage and edge.
        prices: (stage, edge, operation, price) of each; the dearest is 1.
        price_weight: weight of the expected price beside the cross entropy.
    """

    choices: tuple[tuple[tuple[str, ...], ...], ...]
    prices: tuple[tuple[int, int, str, float], ...]
    price_weight: float


@dataclass(frozen=True)
class TrainingTask:
    """One network to be trained and read.

    Attributes:
        plugins: files and modules to import first.
        data: what to learn from.
        expressions: one for all activation slots, or one for each.
        topology: name and parameters, nothing left to choose.
        settings: how to train.
        device: where, "auto", "cpu" or "cuda".
        seed: of the initial weights and the order of samples.
        final: whether the activations are examined and the test set is read.
        test: whether the test set is read.
        weights: file for the trained weights (safetensors), if they are wanted.
        memory_gb: memory that the worker may address from now on, where it is limited.
        mixture: operations to choose from, for a mixture.
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
    """Trainings that differ in expressions and weights alone, to be done at once.

    Attributes:
        trainings: two or more.
    """

    trainings: tuple[TrainingTask, ...]

    def with_trainings(self, trainings: tuple[TrainingTask, ...]) -> "Stack":
        """Return a task of the same kind with other trainings."""
        return replace(self, trainings=trainings)


Task = TrainingTask | Stack


class Result(TypedDict, total=False):
    """What a task came to, as JSON.

    Attributes:
        status: "ok"; "failed", for `reason`; or "error", for a mistake of the user's, which `reason` explains.
        reason: why it is not "ok".
        passing: True where another try may go well.
        seconds: time it took.
        expressions: the task's.
        accuracy: on validation samples, 0..1.
        test: on test samples, 0..1, if the task reads them.
        crossings: number of crossings of each channel, by activation layer.
        binarized: accuracy "before" and "after" the last step of self-binarizing, else None.
        sites: the activations, as `zerocross.reports.activation_records.ActivationRecord` has them (final tasks).
        agreement: network against crossing tables (final tasks); see `zerocross.reports.records.Finalist`.
        savings: what could be taken out of the network (final tasks).
        results: one for each training of a stack.
        operations: chosen by a mixture, by stage and edge.
        shares: weights of a mixture's operations, by stage, edge and operation.
    """

    status: Required[Literal["ok", "failed", "error"]]
    reason: str
    passing: bool
    seconds: float
    expressions: list[str]
    accuracy: float
    test: float
    crossings: dict[str, list[int]]
    binarized: dict[str, float] | None
    sites: list[dict[str, Any]]
    agreement: dict[str, Any]
    savings: dict[str, int]
    results: "list[Result]"
    operations: list[list[str]]
    shares: list[list[list[float]]]


_TASK = TypeAdapter[Task](Task)


def to_json(task: Task) -> str:
    """Return a task as JSON on one line."""
    return _TASK.dump_json(task).decode()


def from_json(text: str | bytes) -> Task:
    """Return the task that `to_json` wrote."""
    return _TASK.validate_json(text)
