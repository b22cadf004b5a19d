"""The Verilog wrapper of a node, with the ports that FINN expects.

FINN's streams are `in0_V`, `in1_V`, `out0_V`, ..., with words padded to whole bytes. Vivado's block designs accept only
modules in plain Verilog, so the wrapper is plain Verilog around SystemVerilog.
"""

from collections.abc import Iterable

from zerocross.finn_flows.nodes.node import HardwareNode, Instance
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.library import parameter_texts


def wrapper(top: str, node: HardwareNode, instance: Instance) -> str:
    """Return the Verilog of a node's wrapper.

    Args:
        top: Name of the wrapper module.
        node: Node inside, for its streams.
        instance: SystemVerilog instance of the node.
    """
    ins = {f"in{index}_V": (key, stream) for index, (key, stream) in enumerate(node.inputs.items())}
    outs = {f"out{index}_V": (key, stream) for index, (key, stream) in enumerate(node.outputs.items())}
    ports = [
        f'(* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF {":".join((*ins, *outs))}, ASSOCIATED_RESET ap_rst_n" *)\n'
        '  (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 ap_clk CLK" *)\n'
        "  input ap_clk",
        '(* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)\n  input ap_rst_n',
    ]
    connections = [".clk(ap_clk)", ".rst_n(ap_rst_n)"]
    body = []
    for name, (key, stream) in ins.items():
        ports += _ports(name, stream, "input", "output")
        connections += _connections(key, name, f"{name}_TDATA[{stream.width - 1}:0]")
    for name, (key, stream) in outs.items():
        ports += _ports(name, stream, "output", "input")
        connections += _connections(key, name, f"{name}_word")
        spare = padded(stream.width) - stream.width
        value = f"{{{spare}'b0, {name}_word}}" if spare else f"{name}_word"
        body += [f"wire [{stream.width - 1}:0] {name}_word;", f"assign {name}_TDATA = {value};"]
    body.append(
        f"{instance.module} #(\n    {_list(parameter_texts(instance))}\n  ) node (\n    {_list(connections)}\n  );"
    )
    lines = "\n".join(f"  {line}" for line in body)
    return f"module {top} (\n  {_list(ports, '  ')}\n);\n{lines}\nendmodule\n"


def padded(width: int) -> int:
    """Return a width in bits, rounded up to whole bytes."""
    return -(-width // 8) * 8


def _ports(name: str, stream: Stream, forward: str, backward: str) -> Iterable[str]:
    yield f"{forward} [{padded(stream.width) - 1}:0] {name}_TDATA"
    yield f"{forward} {name}_TVALID"
    yield f"{backward} {name}_TREADY"


def _connections(key: str, name: str, data: str) -> Iterable[str]:
    yield f".{key}_tdata({data})"
    yield f".{key}_tvalid({name}_TVALID)"
    yield f".{key}_tready({name}_TREADY)"


def _list(items: list[str], indent: str = "    ") -> str:
    return f",\n{indent}".join(items)
