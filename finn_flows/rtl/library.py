"""The SystemVerilog files of the library, and the SystemVerilog that instantiates nodes."""

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from zerocross.finn_flows.nodes.node import HardwareNode, Instance

NODES = Path(__file__).parents[1] / "nodes"
SERIAL = Path(__file__).parents[1] / "chip"
_WITH_FINNS = ("zc_converter",)  # needs a module of finn-rtllib too, so its node lists both files


@lru_cache(maxsize=1)
def library() -> tuple[Path, ...]:
    """Return the SystemVerilog files of all nodes and of the serial line."""
    files = [*NODES.glob("zc_*.sv"), *SERIAL.glob("zc_*.sv")]
    return tuple(sorted((path for path in files if path.stem not in _WITH_FINNS), key=lambda path: path.name))


def library_of(*modules: str, generated: Path | None = None) -> tuple[Path, ...]:
    """Return the files of given library modules and of all modules that they instantiate.

    Args:
        modules: Names of the modules.
        generated: Folder with further modules, whose files are named like them.
    """
    known = {path.stem: path for path in library()}
    if generated is not None:
        known |= {path.stem: path for path in generated.glob("zc_*.sv")}
    found, wanted = set[str](), set(modules)
    while wanted:
        found |= wanted
        text = " ".join(known[name].read_text() for name in wanted)
        wanted = set(re.findall(r"\bzc_\w+", text)) & set(known) - found
    return tuple(known[name] for name in sorted(found))


def instantiate(name: str, node: HardwareNode, instance: Instance) -> str:
    """Return the SystemVerilog of an instance whose streams are connected to signals <name>_<stream>_tdata and so on."""
    connections = [".clk(clk)", ".rst_n(rst_n)"]
    for stream in (*node.inputs, *node.outputs):
        for signal in ("tdata", "tvalid", "tready"):
            connections.append(f".{stream}_{signal}({name}_{stream}_{signal})")
    return f"  {instance.module} #({', '.join(parameter_texts(instance))}) {name} ({', '.join(connections)});"


def parameter_texts(instance: Instance) -> list[str]:
    """Return an instance's parameters in SystemVerilog's syntax."""
    return [
        f'.{key}("{value}")' if isinstance(value, str) else f".{key}({value})"
        for key, value in instance.parameters.items()
    ]


def side_by_side(nodes: dict[str, tuple[HardwareNode, Instance]], top: str = "zc_side_by_side") -> str:
    """Return the SystemVerilog of a module with unconnected nodes, for tests and measurements.

    Args:
        nodes: Nodes by name. The names of a node's ports begin with this name.
        top: Name of the module.
    """
    ports, bodies = ["input logic clk", "input logic rst_n"], []
    for name, (node, instance) in nodes.items():
        for prefix, stream in node.inputs.items():
            ports.extend(stream_ports(f"{name}_{prefix}", stream.width, inward=True))
        for prefix, stream in node.outputs.items():
            ports.extend(stream_ports(f"{name}_{prefix}", stream.width, inward=False))
        bodies.append(instantiate(name, node, instance))
    return f"module {top} (\n    " + ",\n    ".join(ports) + "\n);\n" + "\n".join(bodies) + "\nendmodule\n"


def stream_ports(name: str, width: int, inward: bool) -> Iterable[str]:
    """Yield the port declarations of a stream."""
    forward, backward = ("input", "output") if inward else ("output", "input")
    yield f"{forward} logic [{width - 1}:0] {name}_tdata"
    yield f"{forward} logic {name}_tvalid"
    yield f"{backward} logic {name}_tready"
