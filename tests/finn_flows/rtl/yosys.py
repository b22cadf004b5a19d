"""Synthesis for tests: Yosys in a process of its own, since its errors end the process."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from finn_flows.rtl.nodes import Instance, library

_LUT_RAM = {
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1D": 4,
    "RAM128X1S": 2,
    "RAM256X1S": 4,
}


@dataclass(frozen=True)
class Cells:
    """LUTs (those used as memory or shift registers included), flip-flops, block RAMs of 18 kbit."""

    lut: int
    ff: int
    bram18: int


def synthesise(instance: Instance, folder: Path) -> Cells:
    """Map an instance to 7-series cells; its memory files are in the folder."""
    parameters = " ".join(
        f'-G {key}="{value}"' if isinstance(value, str) else f"-G {key}={value}"
        for key, value in instance.parameters.items()
    )
    files = " ".join(map(str, library()))
    passes = [
        f"read_slang --ignore-assertions --top {instance.module} {parameters} {files}",
        f"synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top {instance.module}",
        "tee -q -o cells.json stat -json",
    ]
    script = "\n".join(
        ["from pyosys import libyosys", "design = libyosys.Design()"]
        + [f"libyosys.run_pass({'tee -q -o yosys.log ' + text!r}, design)" for text in passes]
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    counts: dict[str, int] = json.loads((folder / "cells.json").read_text())["design"]["num_cells_by_type"]
    return Cells(
        lut=sum(
            count * _LUT_RAM.get(name, 1)
            for name, count in counts.items()
            if name.startswith(("LUT", "SRL", "RAM")) and not name.startswith("RAMB")
        ),
        ff=sum(count for name, count in counts.items() if name.startswith("FD")),
        bram18=counts.get("RAMB18E1", 0) + 2 * counts.get("RAMB36E1", 0),
    )
