"""Networks with an encoder at the input, from torch to simulated RTL: the same logits in every form."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.integer import remove_first_bits
from zerocross.finn_flows.lowering.lower import lower
from zerocross.finn_flows.lowering.storage import load, save
from zerocross.finn_flows.nodes import BitPlanes, Thermometer
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import with_fifos
from zerocross.finn_flows.rtl.logits import design_logits
from zerocross.finn_flows.rtl.streaming import compile_streaming, size_fifos
from zerocross.finn_flows.vendor.dataflow import dataflow_model
from zerocross.finn_flows.vendor.execution import execute
from zerocross.hw_search.builds.certificate import logits_element
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.builds.forms import integer_logits, stream_elements, torch_logits
from zerocross.hw_search.extraction.integers import hardware_input, to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.models.topologies import build

NETWORKS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "mlp": ("mlp", (1, 6, 6), {"hidden": [16, 8]}),
    "mlp of colours": ("mlp", (3, 4, 5), {"hidden": [8]}),
    "mlp of a table": ("mlp", (9,), {"hidden": [8]}),
    "cnv": ("cnv", (1, 8, 8), {"blocks": [[4, 4], [8]], "dense": [8], "padding": 1}),
    "cnv of colours": ("cnv", (3, 8, 8), {"blocks": [[4]], "dense": []}),
    "resnete": ("resnete", (3, 8, 8), {"widths": [4], "blocks": [1]}),
}


def network(name: str, bits: int, kind: str = "thermometer") -> tuple[nn.Module, torch.Tensor]:
    """Return an untrained network whose batch norms know the data, and samples, with a constant feature."""
    topology, shape, parameters = NETWORKS[name]
    rng = np.random.default_rng(bits)
    x = torch.from_numpy(rng.integers(0, 256, (80, *shape), np.uint8))
    x[(slice(None), *(0,) * len(shape))] = 0
    torch.manual_seed(0)
    encoding = {kind: bits} if kind != "learned" else {"thermometer": bits, "thresholds": kind, "step": 4}
    model = build(topology, shape, 4, {**parameters, "input_bits": encoding}, x)
    install(model, [parse("sin(mul(2, x))")])
    for _ in range(30):
        model.train()(x.float())
    return model.eval(), x


@pytest.mark.parametrize(
    ("kind", "bits"), [("thermometer", 1), ("thermometer", 3), ("learned", 2), ("planes", 3)]
)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_file_the_module_and_the_integers_agree(name: str, kind: str, bits: int, tmp_path: Path) -> None:
    model, x = network(name, bits, kind)
    described = to_integer(model, describe(model, tuple(x.shape[1:])))
    export(model, tuple(x.shape[1:]), tmp_path / "model.onnx")
    lowered = lower(tmp_path / "model.onnx")
    assert lowered.network.network == described.network
    logits, samples = torch_logits(model, x), x.numpy().astype(np.float32)
    inputs = lowered.quantize(samples)
    assert np.array_equal(inputs, hardware_input(x, described.network))  # bytes
    assert np.abs(lowered.scores(samples).values - logits).max() < 1e-4
    scale = logits / integer_logits(lowered.network, inputs)
    assert np.nanmax(scale) == pytest.approx(np.nanmin(scale), rel=1e-4)
    for layer, values in described.run(inputs).items():
        assert np.array_equal(values, lowered.network.run(inputs)[layer]), layer
    save(lowered.network, tmp_path / "network.npz")
    assert load(tmp_path / "network.npz").network == lowered.network.network


@pytest.mark.parametrize("kind", ["thermometer", "planes"])
def test_the_encoder_keeps_up_with_the_design(kind: str) -> None:
    model, _ = network("mlp", 3, kind)
    described = to_integer(model, describe(model, (1, 6, 6))).network
    for target, lanes in ((100, 1), (20, 2), (12, 3), (4, 9)):
        design = plan(described, Folding(target_cycles=target))
        (encoder,) = (each.node for each in design.elements if isinstance(each.node, Thermometer | BitPlanes))
        assert encoder.lanes[0] == lanes
        assert max(design.intervals().values()) <= target


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "bits", "target"),
    [
        ("mlp", "thermometer", 3, 36),
        ("mlp of colours", "thermometer", 2, 12),
        ("cnv", "thermometer", 3, 300),
        ("resnete", "thermometer", 2, 600),
        ("mlp of colours", "planes", 2, 12),
        ("cnv", "planes", 3, 300),
    ],
)
def test_every_form_gives_the_same_logits(
    name: str, kind: str, bits: int, target: int, tmp_path: Path, runtime: Path
) -> None:
    model, x = network(name, bits, kind)
    trained = torch_logits(model, x)
    export(model, tuple(x.shape[1:]), tmp_path / "model.onnx")
    lowered = lower(tmp_path / "model.onnx")
    inputs = lowered.quantize(x.numpy().astype(np.float32))
    net, _ = remove_first_bits(lowered.network)
    expected = integer_logits(net, inputs)
    scale = np.abs(trained).max() / np.abs(expected).max()
    assert np.abs(trained / scale - expected).max() < 0.01

    folding = Folding(target_cycles=target)
    bare = assemble(plan(net.network, folding), net)
    finn = execute(dataflow_model(bare, net.network.input.shape), inputs)
    assert (finn.logits.reshape(len(x), -1) == expected).all()

    depths, interval = size_fifos(bare, tmp_path / "sizing", runtime)
    design = with_fifos(bare, {key: depth for key, depth in depths.items() if depth > 1})
    logits = logits_element(design)
    compiled, _ = compile_streaming(design, tmp_path / "rtl", [logits], runtime)
    flat = stream_elements(net, inputs)
    for stalls in ((0.0, 0.0), (0.3, 0.3), (0.1, 0.8), (0.8, 0.1)):
        streamed = compiled.stream(flat, stalls, seed=1)
        assert (design_logits(design, streamed.taps[logits]) == expected).all()
        assert (streamed.outputs[:, 0] == expected.argmax(axis=1)).all()
        if stalls == (0.0, 0.0):
            cost = estimate(net.network, folding)
            assert streamed.interval == interval == cost.ii
            assert streamed.latency == pytest.approx(cost.latency, abs=3, rel=0.02)
