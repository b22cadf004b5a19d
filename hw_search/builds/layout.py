"""What lies where: in a build's folder, and in the one that all builds share."""

import os
from pathlib import Path

MODEL = "model.onnx"  # the network as QONNX
WEIGHTS = "weights.safetensors"  # of the trained module
NETWORK = "network.npz"  # the integer network
ACCELERATOR = "accelerator.json"  # what a host needs to know
RTL = "rtl"  # the design: SystemVerilog and memory files
LIBRARY = "library"  # in RTL: the library's modules that the design uses
SOURCES = "sources.f"  # in RTL: the design's files, as tools read such lists
NETLIST = "netlist"  # in RTL: the mapped netlist's simulation
VIVADO = "vivado"  # for a machine with Vivado
STAGES = "stages"  # what each step found out
MAPPED = "mapped"  # synthesised nodes, kept for the next time
SIZING = "sizing"  # the simulation that sizes FIFOs; gone after it
DIFFERENCE = "difference"  # the simulation that looks for the first node that differs


def cache_folder() -> Path:
    """Return the folder of what every build can use: Verilator's own runtime, compiled."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "zerocross"
