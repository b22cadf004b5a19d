"""What Vivado makes of FINN's Tcl: cells and the streams between them, as one module for Verilator."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from zerocross.finn_flows.nodes.stream import from_bits, to_bits
from zerocross.finn_flows.rtl.library import library_of
from zerocross.finn_flows.rtl.simulation import Port, Simulator, compile_design

# FINN's FIFO has a constant of a structure type, which Verilator does not evaluate; ours has its ports here.
FIFO = """
module fifo #(int unsigned DEPTH, int unsigned DATA_WIDTH, parameter RAM_STYLE = "auto") (
    input logic clk, input logic rst,
    input logic [DATA_WIDTH-1:0] idat, input logic ivld, output logic irdy,
    output logic [DATA_WIDTH-1:0] odat, output logic ovld, input logic ordy,
    output logic [$clog2(DEPTH+1):0] count, output logic [$clog2(DEPTH+1):0] maxcount
);
  zc_fifo #(.WIDTH(DATA_WIDTH), .DEPTH(DEPTH), .STYLE("distributed")) held (
      .clk, .rst_n(!rst), .s_tdata(idat), .s_tvalid(ivld), .s_tready(irdy),
      .m_tdata(odat), .m_tvalid(ovld), .m_tready(ordy)
  );
  assign {count, maxcount} = '0;
endmodule
"""


@dataclass(frozen=True)
class BlockDesign:
    """Cells by name with their module; pins are "cell/in0_V" and the like."""

    files: tuple[str, ...]
    cells: dict[str, str]
    nets: tuple[tuple[str, str], ...]
    external: tuple[str, ...]


def read_tcl(commands: list[str]) -> BlockDesign:
    def all_of(pattern: str) -> list[tuple[str, ...]]:
        found = [re.fullmatch(pattern, command.strip()) for command in commands]
        return [match.groups() for match in found if match]

    pin = r"\[get_bd_intf_pins (\S+)\]"
    return BlockDesign(
        tuple(dict.fromkeys(path for (path,) in all_of(r"add_files -norecurse (\S+)"))),
        {name: module for module, name in all_of(r"create_bd_cell -type module -reference (\S+) (\S+)")},
        tuple(all_of(rf"connect_bd_intf_net {pin} {pin}")),
        tuple(name for (name,) in all_of(rf"make_bd_intf_pins_external {pin}")),
    )


def of_model(model: ModelWrapper) -> BlockDesign:
    """The block design of a model whose code has been generated, as FINN's stitching connects it."""
    files, cells, nets, external = {}, {}, [], []
    for node in model.graph.node:
        for command in getCustomOp(node).code_generation_ipi():
            made = read_tcl([command])
            files |= dict.fromkeys(made.files)
            cells |= made.cells
        for index, name in enumerate(node.input):
            producer = model.find_producer(name)
            if producer is not None:
                port = list(producer.output).index(name)
                nets.append((f"{producer.name}/out{port}_V", f"{node.name}/in{index}_V"))
            elif model.get_initializer(name) is None:
                external.append(f"{node.name}/in{index}_V")
        for index, name in enumerate(node.output):
            if not model.find_consumers(name):
                external.append(f"{node.name}/out{index}_V")
    return BlockDesign(tuple(files), cells, tuple(nets), tuple(external))


def widths(model: ModelWrapper) -> dict[str, int]:
    """The width of every pin, by FINN's operators."""
    found = {}
    for node in model.graph.node:
        names = getCustomOp(node).get_verilog_top_module_intf_names()
        for name, width in (*names["s_axis"], *names["m_axis"]):
            found[f"{node.name}/{name}"] = width
    return found


def compile_blocks(designs: list[tuple[ModelWrapper, BlockDesign]], folder: Path, runtime: Path) -> Simulator:
    """Compile block designs beside each other; external pins become ports, named cell_in0_V and the like."""
    ports, body, files = ["input logic clk", "input logic rst_n"], [], {}
    inputs, outputs = [], []
    for model, design in designs:
        width = widths(model)
        files |= dict.fromkeys(design.files)
        pins = {name: [pin for pin in width if pin.split("/")[0] == name] for name in design.cells}
        for pin in (pin for cell in pins.values() for pin in cell):
            wire = pin.replace("/", "_")
            inward = "/in" in pin
            if pin in design.external:
                forward, backward = ("input", "output") if inward else ("output", "input")
                ports += [
                    f"{forward} logic [{width[pin] - 1}:0] {wire}_tdata",
                    f"{forward} logic {wire}_tvalid",
                ]
                ports.append(f"{backward} logic {wire}_tready")
                (inputs if inward else outputs).append(Port(wire, width[pin]))
            else:
                body += [f"wire [{width[pin] - 1}:0] {wire}_tdata;", f"wire {wire}_tvalid, {wire}_tready;"]
        for source, sink in design.nets:
            a, b = source.replace("/", "_"), sink.replace("/", "_")
            body.append(f"assign {b}_tdata = {a}_tdata, {b}_tvalid = {a}_tvalid, {a}_tready = {b}_tready;")
        for name, module in design.cells.items():
            signals = [".ap_clk(clk)", ".ap_rst_n(rst_n)"]
            for pin in pins[name]:
                wire, port = pin.replace("/", "_"), pin.split("/")[1]
                signals += [f".{port}_{s.upper()}({wire}_{s})" for s in ("tdata", "tvalid", "tready")]
            body.append(f"{module} {name} ({', '.join(signals)});")
    text = "module blocks (" + ",\n".join(ports) + ");\n" + "\n".join(body) + "\nendmodule\n"
    (folder / "blocks.sv").write_text(text)
    own = [Path(file) for file in files if Path(file).name not in ("fifo.sv", "fifo_gauge.sv")]
    (folder / "fifo.sv").write_text(FIFO)
    sources = [*dict.fromkeys([*own, *library_of("zc_fifo"), folder / "fifo.sv"])]
    sources.sort(key=lambda path: not path.stem.endswith("_pkg"))
    return compile_design("blocks", [*sources, folder / "blocks.sv"], inputs, outputs, folder, runtime)


def words(values: np.ndarray, operator, index: int = 0) -> np.ndarray:
    """Lay images (N, ...) out as words of an operator's input, padded to bytes."""
    datatype, lanes = operator.get_input_datatype(index), operator.get_folded_input_shape(index)[-1]
    rows = to_bits(values.astype(np.int64).reshape(-1, lanes), datatype.bitwidth())
    return np.pad(rows, ((0, 0), (0, operator.get_instream_width_padded(index) - rows.shape[1])))


def elements(rows: np.ndarray, operator, index: int = 0) -> np.ndarray:
    """Read words of an operator's output back, (words, lanes)."""
    datatype = operator.get_output_datatype(index)
    rows = rows[:, : operator.get_outstream_width(index)]
    return from_bits(rows, datatype.bitwidth(), signed=datatype.min() < 0)
