"""A quantized MLP by hgq2 (Keras on torch; bits of each weight learned) and alkaid (shifts and adders, no multipliers).

alkaid's registers have no enable, so this circuit must not be stalled. Without registers, Yosys did not finish in eight
minutes: ABC verifies its own result, which is hard for adders in a row.
"""

import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from alkaid.codegen import RTLModel
from alkaid.converter import trace_model
from alkaid.trace import trace
from circuit import Block, Trained, chain, logic_block, node_block
from hgq.config import LayerConfigScope, QuantizerConfigScope
from hgq.layers import QDense
from hgq.utils import trace_minmax
from task import Task

from zerocross.finn_flows.nodes import LabelSelect
from zerocross.finn_flows.nodes.node import Instance
from zerocross.finn_flows.nodes.stream import Stream

EPOCHS = 60
BATCH = 256
CUTOFF = 3.0
"""Delay between registers, in alkaid's unit: about an addition."""


def sizes(images: bool) -> tuple[tuple[float, ...], ...]:
    """Return the sizes to train, the smallest first."""
    if images:
        return (16, 3e-5), (16, 1e-5), (32, 1e-5), (32, 3e-6)
    return (8, 1e-4), (16, 1e-4), (16, 3e-5), (32, 3e-5), (32, 1e-5)


def run(task: Task, folder: Path) -> Trained:
    """Train a network and write its circuit."""
    width, beta = int(task.size[0]), task.size[1]
    keras.utils.set_random_seed(task.seed)
    x, test = (split.x.flatten(1).numpy() for split in (task.data.train, task.test))
    with (
        QuantizerConfigScope(place="all", default_q_type="kbi", overflow_mode="SAT_SYM"),
        QuantizerConfigScope(place="datalane", default_q_type="kif", overflow_mode="WRAP"),
        LayerConfigScope(enable_ebops=True, beta0=beta),
    ):
        layers = [
            QDense(width, activation="relu"),
            QDense(width, activation="relu"),
            QDense(task.data.classes),
        ]
        model = keras.Sequential([keras.layers.Input(x.shape[1:]), *layers])
    steps = -(-len(x) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(5e-3, steps * task.epochs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    model.fit(x / 256, task.data.train.y.numpy(), BATCH, task.epochs, verbose=0)
    trace_minmax(model, x / 256)  # the integer bits that the training samples need
    found = model.predict(test / 256, 1000, verbose=0).argmax(axis=1)

    logic = trace(*trace_model(model, solver_options={"hard_dc": 2}, inputs_kif=(0, 0, 8)))
    rtl = RTLModel(logic, folder / "alkaid", "peer_mlp", latency_cutoff=CUTOFF)
    rtl.write()
    sources = tuple(sorted((folder / "alkaid" / "src").rglob("*.v")))
    block = _block(logic.inp_kifs, logic.out_kifs, int(rtl.latency) + 1, folder)
    instance = Instance(block.instance.module, {}, (*sources, *block.instance.sources))
    blocks = [Block(instance, block.source, block.sink), node_block(LabelSelect(block.sink), folder)]
    return Trained(found, test.astype(np.int64), chain(blocks, folder))


def _block(read: np.ndarray, formats: np.ndarray, latency: int, folder: Path) -> Block:
    """Return the block around alkaid's module, whose outputs it brings to one format.

    Args:
        read: Sign bits, integer bits and fractional bits of each input, (3, features). Those without bits are not read.
        formats: The same of each output, (3, classes).
        latency: Registers of alkaid's module.
        folder: Folder of the circuit.
    """
    signs, integers, fractions = formats.astype(int)
    widths = signs + integers + fractions
    most = int(fractions.max())
    width = 1 + int(integers.max()) + most
    lines = [
        f"  wire [{widths.sum() - 1}:0] outputs;",
        f"  wire [{read.astype(int).sum() - 1}:0] inputs = {{{', '.join(reversed(_inputs(read)))}}};",
        "  peer_mlp mlp (.clk, .model_inp(inputs), .model_out(outputs));",
    ]
    parts, place = list[str](), 0
    for index, (bits, sign, fraction) in enumerate(zip(widths.tolist(), signs, fractions, strict=True)):
        lines.append(f"  logic signed [{width - 1}:0] score{index};")
        if bits:
            value = f"outputs[{place}+:{bits}]"
            value = f"$signed({value})" if sign else f"$signed({{1'b0, {value}}})"
            lines.append(f"  assign score{index} = {width}'({value}) <<< {most - fraction};")
        else:
            lines.append(f"  assign score{index} = '0;")
        parts.insert(0, f"score{index}")
        place += bits
    lines.append(f"  assign y = {{{', '.join(parts)}}};")
    features = read.shape[1]
    source = Stream((features,), features, 8)
    sink = Stream((len(widths),), len(widths), width, signed=True)
    return logic_block("peer_network", lines, source, sink, latency, folder)


def _inputs(read: np.ndarray) -> list[str]:
    """Return the bits of each byte, a fraction of 256, that alkaid reads."""
    signs, integers, fractions = read.astype(int)
    assert not signs.any() and not integers.any(), "bytes are fractions"
    return [f"x[{8 * index + 8 - bits}+:{bits}]" for index, bits in enumerate(fractions.tolist()) if bits]
