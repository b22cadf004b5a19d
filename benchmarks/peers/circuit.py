"""Circuits of all peers, measured alike: one simulator, one synthesis, the same blocks for encoder, counts and argmax.

A circuit is a chain of blocks with streams between them. Its input is one sample in one word, its output the class.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np

from zerocross.finn_flows.chip.synthesis import synthesise
from zerocross.finn_flows.nodes.node import HardwareNode, Instance
from zerocross.finn_flows.nodes.stream import Stream, from_bits, to_bits
from zerocross.finn_flows.rtl.library import library, parameter_texts, stream_ports
from zerocross.finn_flows.rtl.simulation import Port, compile_design

FAMILY = "7-series"
TOP = "peer_top"


class Mismatch(Exception):
    """A circuit has other classes than its software, or uses block RAMs or DSP slices."""


@dataclass(frozen=True)
class Block:
    """A module with an input stream `s` and an output stream `m`."""

    instance: Instance
    source: Stream
    sink: Stream


@dataclass(frozen=True)
class Circuit:
    """A peer in SystemVerilog.

    Attributes:
        top: Top module.
        sources: SystemVerilog files.
        folder: Folder of the memory files.
        source: Stream of samples.
        sink: Stream of classes.
    """

    top: str
    sources: tuple[Path, ...]
    folder: Path
    source: Stream
    sink: Stream


@dataclass(frozen=True)
class Trained:
    """A trained peer: what its software answers, and its circuit.

    Attributes:
        classes: Classes of all test samples by the software, (N,).
        inputs: Elements of the circuit's input stream for all test samples, (N, elements).
        circuit: The circuit.
    """

    classes: np.ndarray
    inputs: np.ndarray
    circuit: Circuit


@dataclass(frozen=True)
class Size:
    """What a circuit needs.

    Attributes:
        lut: LUT6 by Yosys, encoder and argmax included.
        ff: Flip-flops.
        interval: Cycles from one sample to the next.
        latency: Cycles from a sample to its class, both included.
        levels: Most LUTs in a row between registers, or from the input. Carry chains and multiplexers are not counted.
    """

    lut: int
    ff: int
    interval: float
    latency: int
    levels: int


def node_block(node: HardwareNode, folder: Path, prefix: str = "") -> Block:
    """Return one of the product's nodes as a block."""
    return Block(node.generate(folder, prefix), node.inputs["s"], node.outputs["m"])


def logic_block(
    name: str, lines: Sequence[str], source: Stream, sink: Stream, latency: int, folder: Path
) -> Block:
    """Write a module around lines of SystemVerilog.

    Args:
        name: Name of the module.
        lines: Lines that assign `y` from the input word `x`, `latency` cycles of `clk` later. All registers hold their
            values while `en` is 0.
        source: Stream that the block reads.
        sink: Stream that the block writes.
        latency: Number of registers from `x` to `y`, 1 or more.
        folder: Folder of the circuit.
    """
    ports = ["input logic clk", "input logic rst_n", *stream_ports("s", source.width, True)]
    ports += stream_ports("m", sink.width, False)
    text = [
        f"module {name} (\n    " + ",\n    ".join(ports) + "\n);",
        f"  wire [{source.width - 1}:0] x = s_tdata;",
        f"  logic [{sink.width - 1}:0] y;",
        f"  logic [{latency - 1}:0] valid;",
        "  wire en = m_tready || !m_tvalid;",
        "  assign s_tready = en;",
        f"  assign m_tvalid = valid[{latency - 1}];",
        "  assign m_tdata = y;",
        "  always_ff @(posedge clk) begin",
        "    if (!rst_n) valid <= '0;",
        f"    else if (en) valid <= {latency}'({{valid, s_tvalid}});",
        "  end",
        *lines,
        "endmodule",
    ]
    file = folder / f"{name}.sv"
    file.write_text("\n".join(text) + "\n")
    return Block(Instance(name, {}, (file,)), source, sink)


def register(value: str) -> str:
    """Return the line that registers a value as `y`."""
    return f"  always_ff @(posedge clk) if (en) y <= {value};"


def chain(blocks: Sequence[Block], folder: Path) -> Circuit:
    """Write the top module that joins blocks."""
    first, last = blocks[0].source, blocks[-1].sink
    ports = ["input logic clk", "input logic rst_n"]
    ports += [*stream_ports("s", first.width, True), *stream_ports("m", last.width, False)]
    lines = [f"module {TOP} (\n    " + ",\n    ".join(ports) + "\n);"]
    names = ["s", *(f"w{index}" for index in range(1, len(blocks))), "m"]
    for index, block in enumerate(blocks):
        if index and blocks[index - 1].sink.width != block.source.width:
            raise ValueError(f"block {index} reads {block.source}, but gets {blocks[index - 1].sink}")
        before, after = names[index], names[index + 1]
        if after != "m":
            lines += [f"  logic [{block.sink.width - 1}:0] {after}_tdata;"]
            lines += [f"  logic {after}_tvalid, {after}_tready;"]
        wires = [".clk", ".rst_n"]
        for port, name in (("s", before), ("m", after)):
            wires += [f".{port}_{signal}({name}_{signal})" for signal in ("tdata", "tvalid", "tready")]
        module, given = block.instance.module, ", ".join(parameter_texts(block.instance))
        lines.append(f"  {module} #({given}) block{index} ({', '.join(wires)});")
    top = folder / f"{TOP}.sv"
    top.write_text("\n".join([*lines, "endmodule"]) + "\n")
    own = dict.fromkeys(source for block in blocks for source in block.instance.sources)
    return Circuit(TOP, (*library(), *own, top), folder, first, last)


def measure(trained: Trained, samples: int, cache: Path) -> Size:
    """Simulate a circuit on test samples, compare it with its software, and map it to LUTs as a whole.

    Args:
        trained: The peer.
        samples: Number of test samples, the first ones.
        cache: Folder that keeps what all simulations share.

    Raises:
        Mismatch: If a class differs, or the circuit uses block RAMs or DSP slices.
    """
    circuit = trained.circuit
    ports = [Port("s", circuit.source.width)], [Port("m", circuit.sink.width)]
    simulator = compile_design(circuit.top, circuit.sources, *ports, circuit.folder, cache)
    words = to_bits(trained.inputs[:samples], circuit.source.bits)
    trace = simulator.run({"s": words}, {"m": len(words)})
    found, wanted = from_bits(trace.words["m"], circuit.sink.bits)[:, 0], trained.classes[: len(words)]
    if (found != wanted).any():
        raise Mismatch(f"{int((found != wanted).sum())} of {len(words)} classes differ from the software's")
    ends = trace.given["m"]
    mapped = synthesise(circuit.top, circuit.sources, circuit.folder, FAMILY, workers=1)
    cells = mapped.total
    if cells.bram or cells.dsp:
        raise Mismatch(f"the circuit uses {cells.bram} block RAMs and {cells.dsp} DSP slices")
    interval = float(ends[-1] - ends[0]) / (len(ends) - 1)
    latency = int(ends[0] - trace.taken["s"][0]) + 1
    return Size(cells.lut, cells.ff, interval, latency, levels_of(mapped.netlist, circuit.top))


def levels_of(netlist: Path, top: str) -> int:
    """Return the most LUTs in a row between registers of a mapped netlist."""
    cells = json.loads(netlist.read_text())["modules"][top]["cells"]
    logic = {name: cell for name, cell in cells.items() if not re.match("FD|SRL", cell["type"])}
    driver: dict[int, str] = {}
    for name, cell in logic.items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "output":
                driver |= dict.fromkeys(bits, name)
    reads = {
        name: {
            driver[bit]
            for port, bits in cell["connections"].items()
            for bit in bits
            if cell["port_directions"][port] == "input" and bit in driver
        }
        for name, cell in logic.items()
    }
    levels: dict[str, int] = {}
    for name in TopologicalSorter(reads).static_order():
        own = bool(re.match("LUT|INV", logic[name]["type"]))
        levels[name] = own + max((levels[each] for each in reads[name]), default=0)
    return max(levels.values(), default=0)
