"""Lowers a QONNX file to an integer network in four steps: tidy, rewrite, absorb, read."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.integer import IntegerNetwork, remove_unreached
from zerocross.finn_flows.lowering.absorbing.absorb import AbsorbActivations, node_texts
from zerocross.finn_flows.lowering.absorbing.endings import with_decision
from zerocross.finn_flows.lowering.absorbing.reading import input_tensor, read_network
from zerocross.finn_flows.lowering.absorbing.scores import Scores, file_scores
from zerocross.finn_flows.lowering.canonical.rewriting import rewritten
from zerocross.finn_flows.lowering.canonical.tidying import tidied
from zerocross.finn_flows.lowering.encoders import with_encoders
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.execution import run
from zerocross.finn_flows.lowering.graph.integers import Integers
from zerocross.finn_flows.lowering.graph.naming import author_names, repeatable_names
from zerocross.finn_flows.lowering.host_part import HostPart, refusal, split
from zerocross.finn_flows.lowering.host_part import host_part as host_part_of
from zerocross.finn_flows.lowering.model_file import load_model
from zerocross.finn_flows.lowering.outputs import keep_output
from zerocross.finn_flows.lowering.untouched import run_untouched
from zerocross.finn_flows.lowering.validity import check_file, check_values


@dataclass(frozen=True)
class ActivationSummary:
    """An activation of a lowered network: the nodes it replaces, and its crossings.

    Attributes:
        name: Name of its layer in the integer network.
        operations: Types of the nodes it replaces, in order.
        channels: Number of channels.
        levels: Number of output levels that its bits can hold; 2 for a sign.
        points: Number of integers of the grid it reads.
        least: Fewest crossings of a row of bits.
        mean: Average crossings of a row of bits.
        most: Most crossings of a row of bits.
    """

    name: str
    operations: tuple[str, ...]
    channels: int
    levels: int
    points: int
    least: int
    mean: float
    most: int


@dataclass(frozen=True)
class Lowered:
    """A lowered QONNX file.

    Attributes:
        network: Integers that the hardware computes with.
        file: The file as it is, with the chosen output alone.
        original: Tidied graph, with the author's own nodes.
        model: Absorbed graph, which qonnx can still execute.
        activations: Summary of each activation, in the order of the layers.
        host: Nodes ahead of the integer network's input, which the host computes.
        graph: Graph that was absorbed: rewritten, without the layers that the host computes; with one logit, its output is
            the class.
        front: Graph of the layers that the host computes, from the file's input to that of `graph`; None if there are none.
        ends: The levels that products, sums and mean pools read, by their tensors in `graph`.
        dropped: Names of the file's other outputs, which the network does not compute.
    """

    network: IntegerNetwork
    file: ModelWrapper
    original: ModelWrapper
    model: ModelWrapper
    activations: tuple[ActivationSummary, ...]
    host: HostPart
    graph: ModelWrapper
    front: ModelWrapper | None
    ends: dict[str, Integers]
    dropped: tuple[str, ...] = ()

    def quantize(self, samples: np.ndarray) -> np.ndarray:
        """Compute the integer network's input with the graph's own nodes: normalisation, input quantizer.

        Args:
            samples: Inputs of the QONNX file, shape (N, ...).

        Returns:
            Integers, shape (N, features) or (N, height, width, channels).
        """
        return self.host.run(samples)

    def scores(self, samples: np.ndarray, led: bool = False) -> Scores:
        """Run samples through the file, node by node, up to the scores by which it chooses the class.

        Functions round as they do in torch. For example, onnxruntime's sigmoid is exactly 0 below -18 and torch's is not,
        so a subsequent sign would differ.

        Args:
            samples: Inputs of the QONNX file, shape (N, ...).
            led: Whether every layer continues with the levels of the integers, as far as rounding explains a difference.
        """
        inputs = samples if self.front is None else run(self.front, samples)
        inputs = inputs.astype(np.float32)  # tidied graphs read floats
        if led:
            return file_scores(self.graph, inputs, (self.model, self.ends))
        return replace(file_scores(self.graph, inputs), own=self._own_classes(samples))

    def _own_classes(self, samples: np.ndarray) -> np.ndarray | None:
        """Return the classes (N,) that the author's own nodes give; None if `graph` has the same nodes or one logit."""
        if self.front is None and _same_nodes(self.original, self.graph):
            return None
        return self._classes_of(run(self.original, samples.astype(np.float32)).reshape(len(samples), -1))

    def untouched_classes(self, samples: np.ndarray) -> tuple[str, np.ndarray] | None:
        """Return the classes that another executor finds for the first samples, and its name; see `run_untouched`.

        Returns:
            None if it cannot run the file, or the file answers no class.
        """
        found = run_untouched(self.file, self.original.graph.output[0].name, samples)
        classes = None if found is None else self._classes_of(found[1].reshape(len(found[1]), -1))
        return None if found is None or classes is None else (found[0], classes)

    def _classes_of(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return the classes (N,) of the file's outputs (N, elements); None for numbers with one logit."""
        if outputs.shape[1] > 1:
            return outputs.argmax(axis=1)
        is_class = self.original.graph.node[-1].op_type in ("ArgMax", "TopK")
        return outputs[:, 0].astype(np.int64) if is_class else None


@repeatable_names()
def lower(source: Path | str | ModelWrapper, host_part: bool = False, output: str | None = None) -> Lowered:
    """Lower a QONNX file.

    Args:
        source: A graph, or a file from any exporter; with Brevitas use `export_qonnx(..., dynamo=False)`.
        host_part: Whether the host may compute layers at the front of the file: nodes with weights, or behind a quantizer.
        output: Name of the output that holds the logits or the class; a graph with a single output needs none. The nodes
            that only other outputs need are dropped.

    Raises:
        LoweringError: If the file is no ONNX file, or hardware cannot compute a node; the message names it.
    """
    if isinstance(source, ModelWrapper):
        check_file(source.model)
        file = source
    else:
        file = load_model(Path(source))
    kept = file if output is None else keep_output(file, output)
    original = tidied(kept)
    check_values(original)
    dropped = {each.name for each in file.graph.output} - {each.name for each in original.graph.output}
    graph = rewritten(original)
    try:
        lowered = _lowered(kept, original, None, graph)
    except LoweringError as error:
        lowered = _behind_front(kept, original, graph, error)
        if not host_part:
            layers = ", ".join(str(node) for node in lowered.host.trained)
            raise LoweringError(
                f"{error}. Or use --host-part: then the host computes {layers} and all nodes ahead"
            ) from None
    host = lowered.host.only(author_names(kept.graph.node))
    if host.trained and not host_part:
        raise refusal(host)
    return replace(lowered, host=host, dropped=tuple(sorted(dropped)))


def _lowered(
    file: ModelWrapper, original: ModelWrapper, front: ModelWrapper | None, rest: ModelWrapper
) -> Lowered:
    graph, absorbing = with_decision(rest), AbsorbActivations()
    model = graph.transform(absorbing, cleanup=False)
    network = remove_unreached(read_network(model))
    activations = _activations(model, network)
    network = with_encoders(network)
    activations = tuple(each for each in activations if each.name in network.tables)
    host = host_part_of(original, front, model, input_tensor(model))
    return Lowered(network, file, original, model, activations, host, graph, front, absorbing.ends)


def _behind_front(
    file: ModelWrapper, original: ModelWrapper, graph: ModelWrapper, error: LoweringError
) -> Lowered:
    """Lower what is behind the products at the front that have no hardware; raise the given error if that fails too."""
    parts = split(graph)
    if parts is None:
        raise error
    try:
        return _lowered(file, original, *parts)
    except LoweringError:
        raise error from None


def _same_nodes(one: ModelWrapper, other: ModelWrapper) -> bool:
    return node_texts(one.graph.node) == node_texts(other.graph.node)


def _activations(model: ModelWrapper, network: IntegerNetwork) -> tuple[ActivationSummary, ...]:
    nodes = [node for node in model.graph.node if node.op_type == "Crossings"]
    found = []
    for node, (name, table) in zip(nodes, network.tables.items(), strict=True):
        op, counts = model.get_customop_wrapper(node), table.counts()
        bits = op.levels.bits
        found.append(
            ActivationSummary(
                name,
                tuple(op.get_nodeattr("operations")),
                table.channels // bits,
                2**bits,
                len(table.grid),
                int(counts.min()),
                float(counts.mean()),
                int(counts.max()),
            )
        )
    return tuple(found)
