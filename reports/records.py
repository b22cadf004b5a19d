"""The plain records a report is made of. Nothing here knows how a network was trained or priced."""

from dataclasses import dataclass, field
from typing import Any, Literal

from zerocross.reports.activation_records import ActivationRecord


@dataclass(frozen=True)
class Evaluation:
    """One network of a search and what came out of it.

    Attributes:
        number: order in which the search asked for it, from 0.
        id: short identifier; equal ids are the same candidate.
        expression: the activation, as text; one per layer are joined by " | ".
        choices: the other genes by path, such as {"topology.hidden": [64, 64], "folding.target_cycles": 64}.
        reference: True for a plain sign evaluated for comparison.
        status: "ok", "stopped" (after a first look), "infeasible" (a constraint is violated) or "failed".
        reason: why it is not ok, else None.
        metrics: those of `zerocross.reports.metrics.METRICS` that are known, by name; for "stopped", the first look's.
    """

    number: int
    id: str
    expression: str
    choices: dict[str, Any]
    reference: bool
    status: Literal["ok", "stopped", "infeasible", "failed"]
    reason: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeRecord:
    """One hardware node's estimates.

    Attributes:
        node: its name in the dataflow graph.
        layer: the network layer it serves.
        kind: what it does, in the hardware node's own word: "product", "crossings", "fifo", ...
        op_type: FINN's name for it; of several FINN nodes, by comma.
        pe: processing elements, 0 where the node has none.
        simd: inputs a cycle, 0 where the node has none.
        cycles: cycles for one image.
        finn: its resources by metric as stock FINN reports them.
        zerocross: the same as this project expects them.
        implementation: how it is built: "comparators" or "table" for crossings, "weights in LUTs" for a product, ...
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


@dataclass(frozen=True)
class Finalist:
    """A network of the final front, or a plain-sign reference, trained again with several seeds.

    Attributes:
        id: as in `Evaluation`.
        expression: as in `Evaluation`.
        trained: the expressions whose training this is: `expression`, or another spelling of the same function.
        choices: as in `Evaluation`.
        reference: True for a plain sign.
        seeds: training seeds.
        validation: validation accuracy of each seed, 0..1.
        test: test accuracy of each seed, 0..1.
        search_error: validation error the search saw.
        metrics: means of the metrics over the seeds, costs by this project's models.
        finn: the same costs as stock FINN reports them.
        fps: frames a second at the configured clock.
        nodes: cost by node, of the first seed's network.
        sites: activation layers, of the first seed's network.
        agreement: {"images", "bits", "differences"}: network against crossing tables over the validation set;
            {"end_to_end", "wrong_classes"}: samples that ran through the whole integer network;
            "ties": the first differences by layer, channel and accumulator.
        weights: path of the weights file relative to the run's folder.
        build: the command that makes hardware of it.
        savings: {"constant_channels", "weight_bits", "first_bits", "first_bits_left"}: what taking out constant
            channels would save, channels that start at 1, and those of them that no negated weight can absorb.
        topology: topology name and resolved parameters.
        folding: how parallel it is to be, resolved.
        training: how it was trained, resolved.
        binarized: of self-binarizing training, validation accuracy "before" and "after" the last step, from tanh to signs,
            of each seed; empty for others.
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


@dataclass(frozen=True)
class Run:
    """All of a run that a report shows.

    Attributes:
        name: the run's name.
        description: data set, part and clock in a line.
        objectives: the objectives minimised, names of metrics.
        strategy: search strategy.
        seconds: time spent, all sittings together.
        evaluations: everything evaluated, in order.
        front: the final front.
        references: plain-sign networks trained with the same final seeds.
        verdict: whether a front network beats a plain sign in both error and LUT, in a sentence or two.
        config: the resolved configuration.
        input_shape: (features,) or (channels, height, width) of the samples.
        classes: number of classes.
        versions: package versions.
        finished: False for a page made while the search still runs.
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
