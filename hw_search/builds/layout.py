"""Names of files and folders in a build's folder, and the cache folder that all builds share."""

import os
from pathlib import Path

MODEL = "model.onnx"  # the network as QONNX
WEIGHTS = "weights.safetensors"  # weights of the trained module
NETWORK = "network.npz"  # the integer network
HOST = "host.onnx"  # the part of the network that the host computes
VECTORS = "vectors.npz"  # some samples of the certificate, and the hardware's answers
ACCELERATOR = "accelerator.json"  # facts about the design that a host needs
RTL = "rtl"  # the design: SystemVerilog and memory files
LIBRARY = "library"  # in RTL: the library's modules that the design uses
SOURCES = "sources.f"  # in RTL: list of the design's files, in the format of simulators
BOARD_SOURCES = "board.f"  # in RTL: the same for the top of a board
NETLIST = "netlist"  # in RTL: simulation of the mapped netlist
VIVADO = "vivado"  # files for a machine with Vivado
CORES = "cores"  # cores for other projects, by their form
STAGES = "stages"  # results of the steps
SIZING = "sizing"  # simulation that sizes FIFOs; removed afterwards
DIFFERENCE = "difference"  # simulation that finds the first node that differs
MAPPED = "mapped"  # in the cache folder of all builds: synthesised nodes


def cache_folder() -> Path:
    """Return the cache folder of all builds: compiled simulations and synthesised nodes, by their content."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "zerocross"
