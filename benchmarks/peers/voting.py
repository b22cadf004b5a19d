"""What networks of bits share: an encoded input, layers of lookup tables, and a vote of each class's neurons."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from circuit import Circuit, chain, logic_block, node_block, register
from task import Task
from torch import nn

from zerocross.finn_flows.nodes import LabelSelect, Thermometer, WiredCount
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.models.sparse import GroupSum
from zerocross.models.topologies import Neurons, build

INPUTS = 6


@dataclass(frozen=True)
class Tables:
    """A layer of lookup tables.

    Attributes:
        inputs: Inputs of each neuron, the lowest bit of the address first, (neurons, K).
        entries: Bits by address, (neurons, 2**K).
    """

    inputs: np.ndarray
    entries: np.ndarray


def input_bits(task: Task, bits: float, step: int = 1) -> dict[str, Any]:
    """Return the encoding of a feature by so many bits: at uniform thresholds for pixels, else at quantiles."""
    thresholds = "uniform" if task.is_images else "quantiles"
    return {"thermometer": int(bits), "thresholds": thresholds, "step": step}


def network(task: Task, neurons: int, bits: float, kind: Neurons = "sums", step: int = 1) -> nn.Module:
    """Return the product's hard-wired network of one layer, untrained. Peers replace its layer `sparse1`."""
    torch.manual_seed(task.seed)
    parameters = {
        "widths": [neurons],
        "inputs": INPUTS,
        "input_bits": input_bits(task, bits, step),
        "neurons": kind,
        "norm": False,
    }
    data = task.data
    return build("hardwired", data.input_shape, data.classes, parameters, data.train.x)


def voting_circuit(model: nn.Module, layers: Sequence[Tables], classes: int, folder: Path) -> Circuit:
    """Return the circuit of a network.

    Args:
        model: The network, for its thresholds.
        layers: Its layers.
        classes: Number of classes; the last layer's neurons vote for them in equal groups.
        folder: Folder of the circuit.
    """
    thresholds = model.thermometer.thresholds.int().numpy()
    features, bits = thresholds.shape
    bytes_ = Stream((features,), features, 8)
    encoder = Thermometer(bytes_, tuple(thresholds.flatten().tolist()), bits)
    lines, before = list[str](), "x"
    for index, layer in enumerate(layers, start=1):
        count, size = layer.entries.shape
        # As in the product: else Yosys moves an input of a table of six to the register's reset.
        keep = "(* keep *) " * (size == 1 << INPUTS)
        lines.append(f"  {keep}wire [{count - 1}:0] l{index};")
        for neuron, (places, entries) in enumerate(zip(layer.inputs.tolist(), layer.entries, strict=True)):
            digits = sum(int(bit) << place for place, bit in enumerate(entries))
            address = ", ".join(f"{before}[{place}]" for place in reversed(places))
            lines.append(f"  assign l{index}[{neuron}] = 1'({size}'h{digits:x} >> {{{address}}});")
        before = f"l{index}"
    lines.append(register(before))
    neurons = len(layers[-1].entries)
    encoded, voted = encoder.outputs["m"], Stream((neurons,), neurons, 1)
    count = WiredCount.of(GroupSum(neurons, classes).weight.numpy().astype(np.int8))
    blocks = [
        node_block(encoder, folder, "encoder_"),
        logic_block("peer_tables", lines, encoded, voted, 1, folder),
        node_block(count, folder),
        node_block(LabelSelect(count.outputs["m"]), folder),
    ]
    return chain(blocks, folder)
