"""Entries of the zoo: what is stored is the trained network."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.networks import build_topology
from zerocross.hw_search.zoo import entry as entry_module
from zerocross.hw_search.zoo.collection import find
from zerocross.hw_search.zoo.entry import Entry, Measured, Training, load_entry, save_entry
from zerocross.hw_search.zoo.listing import COLUMNS, details, markdown, row
from zerocross.hw_search.zoo.packing import pack, unpack
from zerocross.models.expressions import parse
from zerocross.models.layers import BatchNorm, BinaryConv2d, BinaryLinear, install

IMAGE = (1, 8, 8)
CELL = [["conv3"]]
TOPOLOGIES: list[dict[str, Any]] = [
    {"name": "mlp", "hidden": [9, 7]},
    {"name": "mlp", "hidden": [5], "input_bits": 1},
    {"name": "mlp", "hidden": [5, 6], "weight_bits": 2},
    {"name": "cnv", "blocks": [[3]], "dense": [7], "weight_bits": 5},
    {"name": "cnv", "blocks": [[3, 5]], "dense": [7]},
    {"name": "hardwired", "widths": [23, 19], "inputs": [6, 3]},
    {"name": "hardwired", "widths": [23, 19], "inputs": [6, 3], "neurons": "tables"},
    {"name": "resnete", "widths": [4, 8], "blocks": [1, 1]},
    {
        "name": "resnete",
        "widths": [4, 6],
        "blocks": [1, 1],
        "shortcut_bits": 4,
        "dynamic": "threshold",
        "reduction": 2,
    },
    {"name": "reactnet_resnet", "widths": [4, 8], "blocks": [1, 1], "weight_bits": 1},
    {"name": "nasb", "operations": CELL, "widths": [4, 8]},
]
EXPRESSIONS = ["x", "sin(scale(x))", "sub(learned, square(x))", "shift(prelu(shift(x)))"]


def trained(topology: dict[str, Any], expression: str, seed: int = 0) -> nn.Module:
    """Return a network whose parameters and statistics are those of no new network."""
    torch.manual_seed(seed)
    model = build_topology(topology, IMAGE, 3)
    install(model, [parse(expression)])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, BatchNorm):
                module.running_mean.normal_(0, 5)
                module.running_var.uniform_(5, 60)
    return model.eval()


def binary_layers(model: nn.Module) -> dict[str, BinaryLinear | BinaryConv2d]:
    """Return the layers of a network that use only the signs of their weights."""
    named = model.named_modules()
    return {name: module for name, module in named if isinstance(module, BinaryLinear | BinaryConv2d)}


def an_entry(model: nn.Module, topology: dict[str, Any], expression: str = "x", **change: Any) -> Entry:
    fields: dict[str, Any] = {
        "name": "mine",
        "config": {"plugins": []},
        "expressions": [str(parse(expression))],
        "topology": topology,
        "folding": {"target_cycles": 64},
        "input_shape": list(IMAGE),
        "classes": 3,
        "data": "digits",
        "data_digest": "0",
        "test_samples": 359,
        "scaling": None,
        "trainings": [Training(0, 2, 0.9, 0.8, 1.0, "cpu", {}), Training(1, 2, 0.8, 0.9, 1.0, "cpu", {})],
        "log": [{"epoch": 1, "loss": 0.5, "seconds": 0.1, "validation": None}],
        "versions": {"zerocross": "0"},
        "weights": pack(model),
    }
    return Entry(**(fields | change))


@given(st.sampled_from(TOPOLOGIES), st.sampled_from(EXPRESSIONS), st.integers(0, 9))
@settings(max_examples=15)
def test_a_restored_network_has_the_logits_of_the_trained_one(
    topology: dict[str, Any], expression: str, seed: int
) -> None:
    model = trained(topology, expression, seed)
    before = torch.get_rng_state()
    restored = an_entry(model, topology, expression).module()
    assert torch.equal(torch.get_rng_state(), before)
    x = torch.randint(0, 256, (16, *IMAGE)).float()
    with torch.no_grad():
        assert torch.equal(restored(x), model(x))
    for layer in binary_layers(restored).values():
        assert set(layer.weight.unique().tolist()) <= {-1.0, 1.0}


def test_a_file_keeps_every_field_and_holds_no_pickles(tmp_path: Path) -> None:
    model = trained(TOPOLOGIES[0], "sin(x)")
    build = Measured(
        "b", "ecp5", 25.0, {"7-series": {"lut": 9.0}}, {"lut": 8.0}, 99.5, 64, 70, "digits", 5, 0, 0, {}
    )
    made = an_entry(model, TOPOLOGIES[0], "sin(x)", builds=[build])
    save_entry(made, tmp_path / "mine.npz")
    found = load_entry(tmp_path / "mine.npz")
    assert {name: value for name, value in vars(found).items() if name != "weights"} == {
        name: value for name, value in vars(made).items() if name != "weights"
    }
    assert all(
        torch.equal(value, unpack(made.weights)[name]) for name, value in unpack(found.weights).items()
    )
    assert found.identity == made.identity
    with np.load(tmp_path / "mine.npz", allow_pickle=False) as file:
        weights = sum(layer.weight.numel() for layer in binary_layers(model).values())
        assert file["bits"].nbytes == -(-weights // 8)
        assert file["numbers"].dtype == np.float32
    save_entry(found, tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "mine.npz").read_bytes()


def rewritten(path: Path, **change: np.ndarray) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files} | change
    np.savez(path, **arrays)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path, made = tmp_path / "mine.npz", an_entry(trained(TOPOLOGIES[0], "x"), TOPOLOGIES[0])
    with pytest.raises(UserError, match=r"mine\.npz does not exist"):
        load_entry(path)
    save_entry(made, path)
    bits = made.weights.bits.copy()
    bits[3] ^= 4
    rewritten(path, bits=bits)
    with pytest.raises(UserError, match=r"mine\.npz is damaged .*: add the network again"):
        load_entry(path)
    save_entry(made, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"mine\.npz is not a readable entry of the zoo \("):
        find(path)
    rewritten_text = {"layout": 1, "tensors": 3}
    save_entry(made, path)
    rewritten(path, entry=np.frombuffer(json.dumps(rewritten_text).encode(), np.uint8))
    with pytest.raises(UserError, match="is not a readable entry"):
        load_entry(path)


def test_a_later_layout_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_module, "LAYOUT", 9)
    save_entry(an_entry(trained(TOPOLOGIES[0], "x"), TOPOLOGIES[0]), tmp_path / "mine.npz")
    monkeypatch.undo()
    with pytest.raises(
        UserError, match=r"mine\.npz has layout 9, .* reads layout 1: install a newer zerocross"
    ):
        load_entry(tmp_path / "mine.npz")


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    save_entry(an_entry(trained(TOPOLOGIES[0], "x"), TOPOLOGIES[0]), tmp_path / "my-network.npz")
    assert find("zoo:my-network", tmp_path).name == "my-network"  # the name of the file
    with pytest.raises(UserError, match="the zoo has no entry 'my-netwrk': did you mean my-network"):
        find("my-netwrk", tmp_path)


def test_a_network_of_another_version_is_no_crash() -> None:
    other = an_entry(trained(TOPOLOGIES[0], "x"), {"name": "mlp", "hidden": [9, 8]})
    with pytest.raises(
        UserError, match=r"zoo:mine does not fit its topology .*dense2.weight has the shape \(7, 9\)"
    ):
        other.module()


def test_the_list_marks_estimates() -> None:
    model = trained(TOPOLOGIES[0], "x")
    estimate = entry_module.Estimate(
        "xc7z020", 100.0, {"lut": 1234, "bram": 0, "ii": 64, "latency": 80}, {"lut": 9}
    )
    build = Measured(
        "b", "ecp5", 25.0, {"7-series": {"lut": 999, "bram": 2}}, {"lut": 8}, 99.5, 64, 70, "d", 5, 0, 0, {}
    )
    alone = dict(zip(COLUMNS, row(an_entry(model, TOPOLOGIES[0], estimate=estimate)), strict=True))
    assert (alone["LUT6"], alone["BRAM18"], alone["II"], alone["ECP5 max MHz"]) == ("~1,234", "~0", "~64", "")
    assert alone["test %"] == "85.00 ± 7.07" and alone["activation"] == "plain sign"
    built = an_entry(model, TOPOLOGIES[0], estimate=estimate, builds=[build])
    found = dict(zip(COLUMNS, row(built), strict=True))
    assert (found["LUT6"], found["BRAM18"], found["II"]) == ("~1,234", "~0", "~64")
    assert (found["ECP5 LUT4"], found["ECP5 max MHz"]) == ("8", "99.5")
    fitted = replace(build, target="a", family="7-series", ii=65, routed=None, fmax_mhz=None)
    both = an_entry(model, TOPOLOGIES[0], estimate=estimate, builds=[build, fitted])
    found = dict(zip(COLUMNS, row(both), strict=True))
    assert (found["LUT6"], found["BRAM18"], found["II"]) == ("999 (~1,234)", "2 (~0)", "65 (~64)")
    assert (found["ECP5 LUT4"], found["ECP5 max MHz"]) == ("8", "99.5")
    small = replace(estimate, part="ice40up5k")
    assert row(an_entry(model, TOPOLOGIES[0], estimate=small))[3] == ""  # an estimate of LUT4
    assert markdown([built]).splitlines()[2].startswith("| `mine` | plain sign | 85.00 ± 7.07 |")
    text = dict(details(built, built.name))
    assert text["command"] == "zerocross train zoo:mine" and text["estimate (FINN)"].startswith("9 LUT")
