"""The plain records that a report shows. They do not depend on how a network was trained or its cost estimated."""

from dataclasses import dataclass, field
from typing import Any, Literal

from zerocross.reports import wording
from zerocross.reports.activation_records import ActivationRecord


@dataclass(frozen=True)
class TrainingCurve:
    """One training of a network in a search.

    Attributes:
        seed: Seed of the training.
        seconds: Duration in a worker, in seconds; of a stack, its share.
        accuracy: Validation accuracy at the end, 0..1; None if the training failed.
        loss: Mean loss of each epoch.
        looks: Epochs with a validation accuracy, ascending.
        validation: Accuracy at each look on at most 2,000 validation samples, 0..1.
        stacked: Number of networks that trained together.
    """

    seed: int
    seconds: float
    accuracy: float | None
    loss: list[float] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    stacked: int = 1

    def __post_init__(self) -> None:
        if len(self.looks) != len(self.validation):
            raise ValueError(f"{len(self.looks)} looks, but {len(self.validation)} validation accuracies")


@dataclass(frozen=True)
class Evaluation:
    """One network of a search and its result.

    Attributes:
        number: Position in the order of the search's requests, from 0.
        id: Short identifier; equal ids are the same candidate.
        expression: Activation, as text; activations per layer are joined by " | ".
        choices: Other genes by path, such as {"topology.hidden": [64, 64], "folding.target_cycles": 64}.
        reference: True for a plain sign evaluated for comparison.
        status: "ok", "stopped" (at a rung), "infeasible" (it violates a constraint) or "failed".
        reason: Reason if the status is not "ok", else None.
        metrics: Known metrics of `zerocross.reports.metrics.METRICS`, by name; for "stopped", those of its last rung.
        rungs: Validation accuracy after each rung that it reached, 0..1.
        audited: True if a rung stopped it, and it trained in full all the same; see `RungRecord`.
        generation: Generation that requested it, from 1; 0 if unknown.
        seconds: Duration of its trainings in workers, with those of rungs, in seconds. Candidates that share a training have
            the same one.
        trainings: Its whole trainings, one for each seed.
    """

    number: int
    id: str
    expression: str
    choices: dict[str, Any]
    reference: bool
    status: Literal["ok", "stopped", "infeasible", "failed"]
    reason: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    rungs: list[float] = field(default_factory=list)
    audited: bool = False
    generation: int = 0
    seconds: float = 0.0
    trainings: list[TrainingCurve] = field(default_factory=list)


@dataclass(frozen=True)
class RungRecord:
    """A rung of a search, and how well it ranked the candidates.

    Attributes:
        epochs: Share of the epochs, 0..1.
        data: Share of the training samples, 0..1.
        tried: Number of distinct trainings.
        promoted: Number of them that went on.
        compared: Number of candidates of the rung that trained in full: the promoted ones and the audited ones.
        audited: Number of those that a rung stopped, and that trained in full all the same.
        correlation: Spearman's correlation of the validation accuracy after the rung with that of the whole training, over
            the compared candidates, -1..1; None if they are too few, or all equal.
        interval: The interval that holds 95 % of the correlations of resampled candidates, or None.
    """

    epochs: float
    data: float
    tried: int
    promoted: int
    compared: int
    audited: int
    correlation: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Control:
    """A plain sign that trained in another way with the same final seeds. Its hardware is that of the plain sign.

    Attributes:
        name: "shifted" (the start of its thresholds is shifted), or its surrogate gradient, "polynomial" or "tanh".
        sign: Id of the plain sign with the same choices.
        trained: Expressions that were trained.
        surrogate: Surrogate gradient that it trained with.
        seeds: Training seeds.
        validation: Validation accuracy of each seed, 0..1.
        test: Test accuracy of each seed, 0..1.
    """

    name: str
    sign: str
    trained: list[str]
    surrogate: str
    seeds: list[int]
    validation: list[float]
    test: list[float]


@dataclass(frozen=True)
class NodeRecord:
    """One hardware node's estimates.

    Attributes:
        node: Name in the dataflow graph.
        layer: Layer of the network that the node belongs to.
        kind: Function of the node, as the hardware nodes name it: "product", "crossings", "fifo", ...
        op_type: FINN's name for it; names of several FINN nodes are separated by commas.
        pe: Processing elements, 0 if the node has none.
        simd: Inputs per cycle, 0 if the node has none.
        cycles: Cycles for one image.
        finn: Resources by metric, estimated by stock FINN.
        zerocross: Resources by metric, estimated by this project's models.
        implementation: Implementation, such as "comparators" or "table" for crossings, "weights in LUTs" for a product.
    """

    node: str
    layer: str
    kind: str
    op_type: str
    pe: int
    simd: int
    cycles: int
    finn: dict[str, float]
    zerocross: dict[str, float]
    implementation: str = ""


@dataclass(frozen=True, repr=False)
class Finalist:
    """A network of the final front, or a plain-sign reference, trained again with several seeds.

    Attributes:
        id: As in `Evaluation`.
        expression: As in `Evaluation`.
        trained: Expressions that were trained: `expression`, or another spelling of the same function.
        choices: As in `Evaluation`.
        reference: True for a plain sign.
        seeds: Training seeds.
        validation: Validation accuracy of each seed, 0..1.
        test: Test accuracy of each seed, 0..1.
        search_error: Validation error in the search.
        metrics: Means of the metrics over the seeds; costs are estimated by this project's models.
        finn: The same costs, estimated by stock FINN.
        fps: Frames per second at the configured clock.
        nodes: Cost by node, for the network of the first seed.
        sites: Activation layers of the first seed's network.
        agreement: Comparison with the crossing tables:
            * "images", "bits", "differences": bits compared on the validation set;
            * "end_to_end", "wrong_classes": samples run through the whole integer network, and wrong classes;
            * "ties": the first differences by layer, channel and accumulator.
        weights: Path of the weights file, relative to the run's folder.
        build: Command that builds the hardware.
        savings: Possible savings:
            * "constant_channels", "weight_bits": constant channels, and the weight bits that go with them;
            * "first_bits": channels that start at 1;
            * "first_bits_left": those of them that no negated weight can absorb.
        topology: Name and resolved parameters of the topology.
        folding: Resolved folding.
        training: Resolved training settings.
        binarized: Validation accuracy of each seed "before" and "after" the last step of self-binarizing training, from
            tanh to signs; empty for other methods.
    """

    id: str
    expression: str
    trained: list[str]
    choices: dict[str, Any]
    reference: bool
    seeds: list[int]
    validation: list[float]
    test: list[float]
    search_error: float
    metrics: dict[str, float]
    finn: dict[str, float]
    fps: float
    nodes: list[NodeRecord]
    sites: list[ActivationRecord]
    agreement: dict[str, Any]
    savings: dict[str, int]
    weights: str
    build: str
    topology: dict[str, Any]
    folding: dict[str, Any]
    training: dict[str, Any]
    binarized: list[dict[str, float]] = field(default_factory=list)

    def __repr__(self) -> str:
        lut = f", {wording.number(self.metrics['lut'])} LUT" if "lut" in self.metrics else ""
        tested = wording.accuracy(self.test)
        return f"<Finalist {self.id}: {wording.activation(self)}, test accuracy {tested}{lut}>"


@dataclass(frozen=True, repr=False)
class Run:
    """The part of a run that a report shows.

    Attributes:
        name: Name of the run.
        description: Data set, part and clock in one line.
        objectives: Minimised objectives, names of metrics.
        strategy: Search strategy.
        seconds: Total time in seconds, including resumed runs.
        evaluations: All evaluations, in order.
        front: Final front.
        references: Plain-sign networks trained with the same final seeds.
        verdict: Whether a front network beats a plain sign in both error and LUT, in a sentence or two.
        config: Resolved configuration.
        input_shape: Shape of the samples, (features,) or (channels, height, width).
        classes: Number of classes.
        versions: Package versions.
        finished: False while the search still runs.
        scaling: Scaling of the user's numbers to bytes, byte = (value - low) * 255 / (high - low): {"low": [...], "high":
            [...]}, one number for each column of a table, or one for all values. None if the data are bytes.
        notes: How the data were read, where that is not obvious.
        rungs: Rungs of the search, from the shortest.
        controls: Controls beside the plain signs.
        remarks: What was left out of the front or the comparison, and why; where the search stopped before its end; and
            where earlier results are. In sentences.
        exhausted: Whether the search evaluated all candidates of its space.
        plugins: Digest of the code of each plugin, by its name in the configuration; a change of comments is none. Empty for
            runs of earlier versions.
        retrained: Networks of the front that were trained again (`zerocross retrain`), with the ids that they have on the
            front. The first seed is the one with the best validation, and its weights are kept.
    """

    name: str
    description: str
    objectives: list[str]
    strategy: str
    seconds: float
    evaluations: list[Evaluation]
    front: list[Finalist]
    references: list[Finalist]
    verdict: str
    config: dict[str, Any]
    input_shape: list[int]
    classes: int
    versions: dict[str, str]
    finished: bool = True
    scaling: dict[str, list[float]] | None = None
    notes: list[str] = field(default_factory=list)
    rungs: list[RungRecord] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    exhausted: bool = False
    plugins: dict[str, str] = field(default_factory=dict)
    retrained: list[Finalist] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Run {self.name}: {len(self.evaluations):,} evaluations, front of {len(self.front):,}>"
