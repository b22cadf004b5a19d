"""A folder from which FINN builds a bitstream with Vivado, on this or another machine.

The folder holds the graph, FINN's configuration, folding, FIFO depths, and a script. On a machine with Vivado, Vitis HLS
(for the DMAs around the accelerator) and this package, `python build.py` runs FINN's builder. Its result is:

- for a Zynq board, a bitstream with its PYNQ driver;
- for an Alveo card, an xclbin;
- for a bare part, synthesis out of context.
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from zerocross.finn_flows import children
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.finn_patches import prepare_finn

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

MODEL, CONFIGURATION, FOLDING, FIFOS = "model.onnx", "build.yaml", "folding_config.json", "fifo_config.json"
INPUTS, OUTPUTS = "input.npy", "expected_output.npy"
NODES, SCRIPT, OUTPUT, WORK = "nodes.json", "build.py", "output", "work"

_STEPS = (
    "zerocross.finn_flows.vendor.vivado.step_register_nodes",
    "step_create_dataflow_partition",
    "step_apply_folding_config",
    "step_generate_estimate_reports",
    "step_generate_hardware",
    "step_create_stitched_ip",
    "step_out_of_context_synthesis",
    "step_prepare_synthesis",
    "step_synthesize_bitfile",
    "step_make_driver",
    "step_deployment_package",
)
_WITHOUT_VIVADO = (
    "step_generate_hardware"  # the last step that does not need Vivado, because all nodes are RTL
)

_SCRIPT = '''"""Build this accelerator with FINN: source Vivado's and Vitis' settings64.sh, then run this."""

import sys
from pathlib import Path

from zerocross.finn_flows.vendor.vivado import VivadoError, run_vivado

try:
    run_vivado(Path(__file__).parent)
except VivadoError as error:
    sys.exit(str(error))
'''


class VivadoError(FlowError):
    """Vivado is missing, a board is unknown, or a build failed; the message says which and what to do."""


@dataclass(frozen=True)
class Target:
    """Target of a build.

    Attributes:
        part: FINN's full part name.
        board: FINN's name of the board; None for a bare part.
        shell: FINN's shell flow, "vivado_zynq" or "vitis_alveo"; None for a bare part.
    """

    part: str
    board: str | None = None
    shell: str | None = None


def target(name: str) -> Target:
    """Return the target of a board's name or a full part name; upper and lower case are equal.

    Raises:
        VivadoError: If FINN has no such board, and the name is not a full part name.
    """
    from finn.util.basic import alveo_part_map, pynq_part_map

    for boards, shell in ((pynq_part_map, "vivado_zynq"), (alveo_part_map, "vitis_alveo")):
        for board, part in boards.items():
            if board.lower() == name.lower():
                return Target(part, board, shell)
    if name.lower().startswith("xc") and "-" in name:
        return Target(name)
    known = ", ".join([*pynq_part_map, *alveo_part_map])
    raise VivadoError(
        f"FINN builds no bitstream for {name!r}: choose one of the boards {known}, "
        "or Vivado's full name of a part, such as xc7z020clg400-1"
    )


def write_vivado_folder(
    model: "ModelWrapper",
    folder: Path,
    board: str,
    clock_ns: float = 10.0,
    samples: np.ndarray | None = None,
) -> Path:
    """Write the folder.

    Args:
        model: Graph from `dataflow_model`, with its FIFO depths.
        folder: Output folder; created if missing. Files of an earlier build are overwritten.
        board: Board or full part name (see `target`).
        clock_ns: Requested clock period.
        samples: Samples of `execution.execute`. If given, the build simulates the stitched design with Vivado on them and
            compares the outputs with the graph's outputs in Python. This simulation is slow; one or two samples suffice.

    Returns:
        The folder.

    Raises:
        VivadoError: If there is no such board.
    """
    prepare_finn()
    to = target(board)
    folder.mkdir(parents=True, exist_ok=True)
    model.save(str(folder / MODEL))
    _write_json(folder / FOLDING, folding(model))
    _write_json(folder / FIFOS, fifo_depths(model, to.part))
    _write_json(folder / NODES, {node.name: node.doc_string for node in model.graph.node})
    if samples is not None:
        _write_samples(model, folder, samples)
    configuration = build_configuration(to, clock_ns, verify=samples is not None)
    (folder / CONFIGURATION).write_text(yaml.safe_dump(configuration, sort_keys=False))
    (folder / SCRIPT).write_text(_SCRIPT)
    return folder


def build_configuration(to: Target, clock_ns: float, verify: bool) -> dict[str, Any]:
    """Return the fields of FINN's `DataflowBuildConfig`, with paths relative to the folder."""
    outputs = ["estimate_reports", "stitched_ip", "out_of_context_synth"]
    if to.board:
        outputs += ["bitfile", "pynq_driver", "deployment_package"]
    steps = [
        step for step in _STEPS if to.board or step not in _STEPS[_STEPS.index("step_prepare_synthesis") :]
    ]
    configuration: dict[str, Any] = {
        "output_dir": OUTPUT,
        "synth_clk_period_ns": clock_ns,
        "fpga_part": to.part,
        "generate_outputs": outputs,
        "steps": steps,
        "folding_config_file": FOLDING,
        "auto_fifo_depths": False,
        "fifo_config_file": FIFOS,
    }
    if to.board:
        configuration |= {"board": to.board, "shell_flow_type": to.shell}
    if verify:
        configuration |= {
            "verify_steps": ["stitched_ip_rtlsim"],
            "verify_input_npy": INPUTS,
            "verify_expected_output_npy": OUTPUTS,
        }
    return configuration


def folding(model: "ModelWrapper") -> dict[str, dict[str, Any]]:
    """Return the folding and the memory style of each node in the form of FINN's `ApplyConfig`."""
    from qonnx.custom_op.registry import getCustomOp

    found: dict[str, dict[str, Any]] = {"Defaults": {}}
    for node in model.graph.node:
        operator = getCustomOp(node)
        known = operator.get_nodeattr_types()
        names = [name for name in ("PE", "SIMD", "parallel_window", "ram_style") if name in known]
        found[node.name] = {name: operator.get_nodeattr(name) for name in names}
    return found


def fifo_depths(model: "ModelWrapper", part: str) -> dict[str, Any]:
    """Return the depths of the FIFOs that FINN will insert, in the form of its builder.

    The depths are the nodes' inFIFODepths and outFIFODepths, because FINN's own sizing needs Vivado's simulator.
    """
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
    from qonnx.custom_op.registry import getCustomOp

    for transformation in (InsertDWC(), InsertFIFO(create_shallow_fifos=True), SpecializeLayers(part)):
        model = model.transform(transformation)
    fifos = [getCustomOp(node) for node in model.get_nodes_by_op_type("StreamingFIFO_rtl")]
    names = [fifo.onnx_node.name for fifo in fifos]
    return {
        "fifo_depths": {name: fifo.get_nodeattr("depth") for name, fifo in zip(names, fifos, strict=True)},
        "impl_style": {
            name: fifo.get_nodeattr("impl_style") for name, fifo in zip(names, fifos, strict=True)
        },
        "ram_style": dict.fromkeys(names, "auto"),
    }


def step_register_nodes(model: "ModelWrapper", cfg: Any) -> "ModelWrapper":
    """Register this project's nodes with FINN; the configuration names this as the first step of a build."""
    from zerocross.finn_flows.vendor.operators import register

    register()
    return model


def vivado_found() -> Path | None:
    """Return the folder of Vivado, or None unless its settings script has been sourced, which FINN requires."""
    root = os.environ.get("XILINX_VIVADO")
    return Path(root) if root and shutil.which("vivado") else None


def run_vivado(folder: Path) -> Path:
    """Run all steps of FINN's builder on a folder, which takes hours.

    Returns:
        The folder of its outputs.

    Raises:
        VivadoError: If Vivado is missing, or the build fails.
    """
    if vivado_found() is None:
        raise VivadoError(
            "Vivado is not found: source its settings script (source .../Vivado/<version>/settings64.sh) and "
            f"that of Vitis, then run python {SCRIPT} in {folder}; or copy that folder to a machine that has "
            "both tools and this package"
        )
    # FINN's own command: it fetches board files and HLS libraries, and prepares Vivado's simulator.
    command = ["-m", "finn.interface.run_finn", "build", "--accept-defaults", "--batch", CONFIGURATION, MODEL]
    return _run(folder, command)


def generate_code(folder: Path) -> Path:
    """Run the steps of FINN's builder that do not need Vivado: estimates, and the Verilog of all nodes.

    Returns:
        The folder of its outputs.

    Raises:
        VivadoError: If a step fails.
    """
    return _run(folder, ["-c", f"from {__name__} import _build; _build({_WITHOUT_VIVADO!r})"])


def _build(last_step: str) -> None:
    """Run FINN's builder in the current folder up to a step. This needs a separate process, as FINN redirects its output."""
    prepare_finn()
    from finn.builder.build_dataflow import build_dataflow_cfg
    from finn.builder.build_dataflow_config import DataflowBuildConfig

    configuration = DataflowBuildConfig.construct_from(Path(CONFIGURATION).absolute())
    configuration.stop_step = last_step
    configuration.verify_steps = None
    sys.exit(build_dataflow_cfg(MODEL, configuration) != 0)


def _run(folder: Path, arguments: Sequence[str]) -> Path:
    output, work = folder / OUTPUT, (folder / WORK).absolute()
    work.mkdir(exist_ok=True)
    environment = {**os.environ, "FINN_BUILD_DIR": str(work)}
    (done,) = children.run([[sys.executable, *arguments]], cwd=folder, env=environment)
    status = output / "report" / "metadata_builder.json"
    failed = done.code or not status.exists() or json.loads(status.read_text())["status"] != "ok"
    if failed:
        tail = "\n".join((done.output + done.errors).strip().splitlines()[-20:])
        raise VivadoError(f"FINN's build failed; its log is {output / 'build_dataflow.log'}:\n{tail}")
    return output


def _write_samples(model: "ModelWrapper", folder: Path, samples: np.ndarray) -> None:
    from zerocross.finn_flows.vendor.execution import tensors

    values = tensors(model, samples)
    np.save(folder / INPUTS, values[model.graph.input[0].name])
    np.save(folder / OUTPUTS, values[model.graph.output[0].name])


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
