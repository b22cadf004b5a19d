"""The interval of each node of a design, measured: a simulation of all nodes side by side, each of them alone.

In a running design every node takes as long as the slowest one, because it waits for it. Here no node waits: its inputs
always offer a word, and its outputs are always taken. One simulation measures all nodes. Schedules do not depend on values,
so most logic that computes values is left out (`HardwareNode.slim`).
"""

from pathlib import Path

from zerocross.finn_flows.nodes.node import HardwareNode, Instance
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.design import Design
from zerocross.finn_flows.rtl.library import instantiate, library
from zerocross.finn_flows.rtl.simulation import Port, SimulationError, compile_design

_TOP = "zerocross_nodes_alone"
_FILLING, _MEASURED = 3, 4  # samples that fill a node's pipeline, and samples after them


def node_intervals(design: Design, folder: Path, cache: Path | None = None) -> dict[str, int]:
    """Return the cycles from one sample to the next of each node alone, by name.

    They are the cycles between the first words of two samples at the node's first output, when the node is full.

    Args:
        design: Design without FIFOs.
        folder: Folder for the simulation.
        cache: See `zerocross.finn_flows.rtl.simulation.compile_design`.

    Raises:
        SimulationError: If a node hangs, or does not keep a constant pace.
    """
    folder.mkdir(parents=True, exist_ok=True)
    slim = {element.name: element.node.slim() for element in design.elements}
    nodes = {name: (node, node.generate(folder, f"{name}_")) for name, node in slim.items()}
    sources = [source for _, instance in nodes.values() for source in instance.sources]
    top = folder / f"{_TOP}.sv"
    top.write_text(_top(nodes))
    files = list(dict.fromkeys([*library(), *sources, top]))
    simulator = compile_design(_TOP, files, [], [Port("m", 1)], folder, cache)
    samples = _FILLING + _MEASURED + 1
    quiet = 10_000 + 8 * samples * max(design.intervals().values())
    trace = simulator.run({}, {"m": 1}, quiet=quiet)
    starts: dict[str, list[int]] = {name: [] for name in nodes}
    for line in trace.printed:
        kind, name, cycle = line.split()
        if kind == "SAMPLE":
            starts[name].append(int(cycle))
    return {name: _interval(name, cycles[_FILLING:samples]) for name, cycles in starts.items()}


def _interval(name: str, starts: list[int]) -> int:
    """Return the interval of samples that start in given cycles."""
    cycles, rest = divmod(starts[-1] - starts[0], len(starts) - 1)
    if rest:
        raise SimulationError(f"{name} does not keep a constant pace: its samples start in cycles {starts}")
    return cycles


def _top(nodes: dict[str, tuple[HardwareNode, Instance]]) -> str:
    """Return a top that prints "SAMPLE <name> <cycle>" for each sample that a node begins to write."""
    samples = _FILLING + _MEASURED + 1
    lines = [f"module {_TOP} ("]
    lines += ["    input logic clk, input logic rst_n,"]
    lines += ["    output logic [0:0] m_tdata, output logic m_tvalid, input logic m_tready", ");"]
    lines += ["  integer cycle = 0;", "  logic told = 0;"]
    lines += ["  always_ff @(posedge clk) cycle <= cycle + 1;"]
    for name, (node, instance) in nodes.items():
        for port, stream in node.inputs.items():
            lines += _declared(name, port, stream)
            lines += [f"  assign {name}_{port}_tdata = '0;", f"  assign {name}_{port}_tvalid = rst_n;"]
        for port, stream in node.outputs.items():
            lines += _declared(name, port, stream)
            lines += [f"  assign {name}_{port}_tready = 1'b1;"]
        lines += [instantiate(name, node, instance)]
        port, stream = next(iter(node.outputs.items()))
        lines += [
            f"  integer {name}_word = 0, {name}_sample = 0;",
            f"  always_ff @(posedge clk) if (rst_n && {name}_{port}_tvalid && {name}_sample < {samples}) begin",
            f"    if ({name}_word == 0) begin",
            f'      $display("SAMPLE {name} %0d", cycle);',
            f"      {name}_sample <= {name}_sample + 1;",
            "    end",
            f"    {name}_word <= {name}_word == {stream.words - 1} ? 0 : {name}_word + 1;",
            "  end",
        ]
    done = " && ".join(f"{name}_sample == {samples}" for name in nodes)
    lines += [
        f"  wire done = {done};",
        "  assign m_tdata = 1'b0;",
        "  assign m_tvalid = done && !told;",
        "  always_ff @(posedge clk) if (m_tvalid && m_tready) told <= 1;",
        "endmodule",
    ]
    return "\n".join(lines) + "\n"


def _declared(name: str, port: str, stream: Stream) -> list[str]:
    return [
        f"  logic [{stream.width - 1}:0] {name}_{port}_tdata;",
        f"  logic {name}_{port}_tvalid, {name}_{port}_tready;",
    ]
