"""Ours, sums: the topology `hardwired` with a sine ahead of the sign, lowered and built by the product."""

from pathlib import Path

import numpy as np
from circuit import Circuit, Trained
from task import Task
from voting import network

from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.integer import remove_first_bits
from zerocross.finn_flows.lowering.lower import lower
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import generate
from zerocross.finn_flows.wiring import simplified
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.builds.forms import classes, stream_elements, torch_logits
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.models.topologies import Neurons
from zerocross.models.training import train

ACTIVATION = "sin(shift(scale(x)))"
EPOCHS = 30


def sizes(images: bool) -> tuple[tuple[float, ...], ...]:
    """Return the sizes to train, the smallest first."""
    if images:
        return (100, 1), (200, 1), (300, 1), (300, 3), (600, 1), (600, 3), (1000, 1), (1000, 3), (2000, 3)
    return (50, 7, 4), (100, 7, 4), (200, 15, 4), (400, 15, 4), (800, 15, 4), (1600, 15, 4)


def run(task: Task, folder: Path) -> Trained:
    """Train a network and build it."""
    return trained_and_built(task, folder, "sums")


def trained_and_built(task: Task, folder: Path, kind: Neurons) -> Trained:
    """Train a network of neurons of a kind and build it."""
    data, test = task.data, task.test
    neurons, bits, *step = (int(each) for each in task.size)
    model = network(task, neurons, bits, kind, *step)
    install(model, [parse(ACTIVATION)])
    train(model, data, task.settings, task.seed)
    found = classes(torch_logits(model, test.x))

    export(model, data.input_shape, folder / "model.onnx")
    lowered = lower(folder / "model.onnx")
    net, _ = remove_first_bits(simplified(lowered.network)[0])
    design = assemble(plan(net.network, Folding()), net)
    made = generate(design, folder)
    inputs = stream_elements(net, lowered.quantize(test.x.numpy().astype(np.float32)))
    return Trained(found, inputs, Circuit(made.top, made.sources, folder, design.input, design.output))
