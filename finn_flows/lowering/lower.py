"""Lowers a QONNX file to an integer network in three steps: tidy, absorb, read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.lowering.absorb import AbsorbActivations
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.execution import constants, execute
from zerocross.finn_flows.lowering.outputs import keep_output
from zerocross.finn_flows.lowering.reading import input_tensor, read_network
from zerocross.finn_flows.lowering.tidying import tidy

_BATCH = 256


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
        original: Tidied graph, with all of its nodes.
        model: Absorbed graph, which qonnx can still execute.
        activations: Summary of each activation, in the order of the layers.
        dropped: Names of the file's other outputs, which the network does not compute.
    """

    network: IntegerNetwork
    original: ModelWrapper
    model: ModelWrapper
    activations: tuple[ActivationSummary, ...]
    dropped: tuple[str, ...] = ()

    def quantize(self, samples: np.ndarray) -> np.ndarray:
        """Quantize samples for the integer network with the graph's own input quantizer.

        Args:
            samples: Inputs of the QONNX file, shape (N, ...).

        Returns:
            Integers, shape (N, features) or (N, height, width, channels).
        """
        model, tensor = self.model, input_tensor(self.model)
        nodes = _ancestors(model, tensor)
        known, parts = constants(model), []
        for start in range(0, len(samples), _BATCH):
            batch = samples[start : start + _BATCH].astype(np.float32)  # tidied graphs read floats
            tensors = {**known, model.graph.input[0].name: batch}
            execute(model, nodes, tensors)
            parts.append(np.rint(tensors[tensor]).astype(np.int64))
        return np.moveaxis(np.concatenate(parts), 1, -1)


def lower(source: Path | str | ModelWrapper, output: str | None = None) -> Lowered:
    """Lower a QONNX file.

    Args:
        source: A graph, or a file from any exporter; with Brevitas use `export_qonnx(..., dynamo=False)`.
        output: Name of the output that holds the logits or the class; a graph with a single output needs none. The nodes
            that only other outputs need are dropped.

    Raises:
        LoweringError: If the file is no ONNX file, or hardware cannot compute a node; the message names it.
    """
    graph = source if isinstance(source, ModelWrapper) else load_model(Path(source))
    original = tidy(graph if output is None else keep_output(graph, output))
    model = original.transform(AbsorbActivations(), cleanup=False)
    network = read_network(model)
    dropped = {each.name for each in graph.graph.output} - {each.name for each in original.graph.output}
    return Lowered(network, original, model, _activations(model, network), tuple(sorted(dropped)))


def load_model(path: Path) -> ModelWrapper:
    """Load an ONNX file.

    Raises:
        LoweringError: If the file cannot be read or is no ONNX file.
    """
    try:
        proto = ModelProto.FromString(path.read_bytes())
    except OSError as error:
        raise LoweringError(f"{path} cannot be read ({error.strerror or error})") from None
    except Exception:  # protobuf's DecodeError, wherever it lives
        raise LoweringError(f"{path} is not an ONNX file") from None
    if not proto.graph.node:
        raise LoweringError(f"{path} is not an ONNX file, or its graph is empty")
    return ModelWrapper(proto, fix_float64=True)


def _ancestors(model: ModelWrapper, tensor: str) -> list[NodeProto]:
    needed = {tensor}
    nodes: list[NodeProto] = []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed.update(node.input)
            nodes.insert(0, node)
    return nodes


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
