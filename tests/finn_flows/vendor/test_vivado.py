"""The folder for Vivado: FINN's builder takes it here as far as Vivado, and Verilator the rest of the way."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import yaml
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from tests.finn_flows.finn_networks import border, chain, signs
from tests.finn_flows.integer_networks import random_inputs
from tests.finn_flows.vendor import block_design
from tests.finn_flows.vendor.test_dataflow import design_of, numbers
from zerocross.finn_flows.network import Conv, Dense, Flatten, Input, MaxPool
from zerocross.finn_flows.vendor import vivado
from zerocross.finn_flows.vendor.dataflow import dataflow_model
from zerocross.finn_flows.vendor.execution import execute
from zerocross.finn_flows.vendor.vivado import (
    VivadoError,
    generate_code,
    run_vivado,
    target,
    write_vivado_folder,
)

# Vivado stands in for itself as far as FINN looks: it leaves the wrapper of a block design.
FAKE_VIVADO = """#!/bin/sh
wrapper=$(grep -o '[^ ]*/hdl/finn_design_wrapper.v' make_project.tcl | head -1)
mkdir -p "$(dirname "$wrapper")" && touch "$wrapper"
"""


@pytest.fixture(scope="module")
def net():
    network = chain(
        Input((6, 5, 2), 8),
        border(1, 1, 8),
        Conv(4),
        MaxPool((3, 3), (1, 2)),
        signs(4),
        Flatten(),
        Dense(12),
        signs(12),
        Dense(5),
    )
    return numbers(network)


@pytest.fixture(scope="module")
def model(net):
    return dataflow_model(design_of(net), net.network.input.shape, {"dense4_product_fifo": 21})


@pytest.fixture(scope="module")
def folder(tmp_path_factory, net, model):
    samples = random_inputs(net.network, 2, 0)
    return write_vivado_folder(model, tmp_path_factory.mktemp("vivado"), "pynq-z2", 8.0, samples)


@pytest.fixture(scope="module")
def output(folder):
    return generate_code(folder)


def test_the_folder_holds_all_that_a_build_needs(folder, net, model):
    assert {path.name for path in folder.iterdir()} >= {
        "model.onnx",
        "build.yaml",
        "folding_config.json",
        "fifo_config.json",
        "nodes.json",
        "build.py",
        "input.npy",
        "expected_output.npy",
    }
    configuration = yaml.safe_load((folder / "build.yaml").read_text())
    assert configuration["board"] == "Pynq-Z2"
    assert configuration["shell_flow_type"] == "vivado_zynq"
    assert configuration["synth_clk_period_ns"] == 8.0
    assert configuration["steps"][0] == "zerocross.finn_flows.vendor.vivado.step_register_nodes"
    assert not [value for value in configuration.values() if str(folder) in str(value)]  # it may move
    right = net.run(random_inputs(net.network, 2, 0))["dense6"]
    assert (2 * np.load(folder / "expected_output.npy") - 12 == right).all()  # FINN's streams are popcounts
    assert json.loads((folder / "nodes.json").read_text())["ZcProduct_rtl_1"] == "dense4"


def test_finns_configuration_has_every_field(folder):
    from finn.builder.build_dataflow_config import DataflowBuildConfig

    made = DataflowBuildConfig.construct_from(folder / "build.yaml")
    assert made._resolve_fpga_part() == "xc7z020clg400-1"
    assert made._resolve_driver_platform() == "zynq-iodma"


@pytest.mark.parametrize(
    ("name", "board", "part", "shell"),
    [
        ("PYNQ-Z1", "Pynq-Z1", "xc7z020clg400-1", "vivado_zynq"),
        ("u250", "U250", "xcu250-figd2104-2L-e", "vitis_alveo"),
        ("xc7a35tcpg236-1", None, "xc7a35tcpg236-1", None),
    ],
)
def test_boards_and_parts(name, board, part, shell):
    found = target(name)
    assert (found.board, found.part, found.shell) == (board, part, shell)


def test_a_part_alone_is_synthesised_out_of_context():
    configuration = vivado.build_configuration(target("xc7a35tcpg236-1"), 10.0, verify=False)
    assert "bitfile" not in configuration["generate_outputs"]
    assert configuration["steps"][-1] == "step_out_of_context_synthesis"
    assert "board" not in configuration


@pytest.mark.parametrize("name", ["tangnano9k", "xc7z020", "pynq-z9"])
def test_what_finn_builds_nothing_for_is_refused(name):
    with pytest.raises(VivadoError, match=f"no bitstream for '{name}'.*Pynq-Z1"):
        target(name)


@pytest.mark.slow
def test_finns_builder_runs_on_the_folder_as_far_as_vivado(output, model):
    report = output / "report"
    assert json.loads((report / "metadata_builder.json").read_text())["status"] == "ok"
    resources = json.loads((report / "estimate_layer_resources.json").read_text())
    assert set(resources) >= {node.name for node in model.graph.node}
    depths = json.loads((report / "fifo_sizing.json").read_text())["fifo_depths"]
    assert sorted(set(depths.values())) == [2, 21]
    assert "estimated_throughput_fps" in json.loads(
        (report / "estimate_network_performance.json").read_text()
    )
    folding = json.loads((report / "applied_folding_config.json").read_text())
    product = getCustomOp(model.get_node_from_name("ZcProduct_rtl_0"))
    assert folding["ZcProduct_rtl_0"]["SIMD"] == product.get_nodeattr("SIMD")


def stitched(output, monkeypatch, tmp_path) -> tuple[ModelWrapper, block_design.BlockDesign]:
    from finn.transformation.fpgadataflow.create_stitched_ip import CreateStitchedIP

    fake = tmp_path / "bin" / "vivado"
    fake.parent.mkdir()
    fake.write_text(FAKE_VIVADO)
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    built = ModelWrapper(str(output / "intermediate_models" / "step_generate_hardware.onnx"))
    built = built.transform(CreateStitchedIP("xc7z020clg400-1", 8.0))
    tcl = os.path.join(built.get_metadata_prop("vivado_stitch_proj"), "make_project.tcl")
    with open(tcl) as file:
        design = block_design.read_tcl(file.read().splitlines())
    # FINN's hook for its own simulation; it stands apart from the streams.
    cells = {name: module for name, module in design.cells.items() if module != "sim_ctrl"}
    return built, replace(design, cells=cells, files=tuple(f for f in design.files if not f.startswith("$")))


@pytest.mark.slow
def test_what_vivado_is_told_to_stitch_is_bit_exact_in_verilator(
    output, net, model, monkeypatch, tmp_path, runtime
):
    built, design = stitched(output, monkeypatch, tmp_path)
    assert set(design.cells) == {node.name for node in built.graph.node}
    assert len(design.nets) == len(design.cells) - 1
    assert all(os.path.exists(file) for file in design.files)
    simulator = block_design.compile_blocks([(built, design)], tmp_path, runtime)
    x = random_inputs(net.network, 20, 7)
    right = (execute(model, x).logits + 12) // 2
    first, last = (getCustomOp(built.graph.node[index]) for index in (0, -1))
    source, sink = (pin.replace("/", "_") for pin in sorted(design.external, key=lambda pin: "/out" in pin))
    for stalls in ((0.0, 0.0), (0.3, 0.3)):
        words = right.size // last.get_folded_output_shape()[-1]
        trace = simulator.run({source: block_design.words(x, first)}, {sink: words}, stalls)
        assert (block_design.elements(trace.words[sink], last).reshape(right.shape) == right).all()
    assert len(np.unique(right, axis=0)) > 3


def test_without_vivado_the_message_says_what_to_do(folder, monkeypatch):
    monkeypatch.delenv("XILINX_VIVADO", raising=False)
    with pytest.raises(VivadoError, match="source .*settings64.sh"):
        run_vivado(folder)
    environment = {key: value for key, value in os.environ.items() if key != "XILINX_VIVADO"}
    done = subprocess.run(
        [sys.executable, str(folder / "build.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Vivado is not found" in done.stderr
    assert "Traceback" not in done.stderr


def test_vivado_is_run_by_finns_own_command(folder, monkeypatch):
    monkeypatch.setenv("XILINX_VIVADO", "/tools/Vivado/2022.2")
    monkeypatch.setattr(vivado.shutil, "which", lambda name: f"/tools/Vivado/2022.2/bin/{name}")
    called = []
    monkeypatch.setattr(vivado, "_run", lambda where, arguments: called.append((where, arguments)))
    run_vivado(folder)
    ((where, arguments),) = called
    assert where == folder
    assert arguments[:3] == ["-m", "finn.interface.run_finn", "build"]
    assert arguments[-2:] == ["build.yaml", "model.onnx"]


def test_a_failed_build_says_why(tmp_path):
    with pytest.raises(VivadoError, match=r"build_dataflow\.log:\nno wood left"):
        vivado._run(tmp_path, ["-c", "raise SystemExit('no wood left')"])
