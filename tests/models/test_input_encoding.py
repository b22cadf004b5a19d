"""Encodings of the input: every topology takes every one, networks with them stack, and mistakes are named."""

import numpy as np
import pytest
import torch

from zerocross.models.errors import ModelError
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.models.stacking import Unstackable, check_stack, stack
from zerocross.models.topologies import build, check_parameters

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (60, 2, 8, 8), np.uint8))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("mlp", {"hidden": [4]}),
        ("tfc", {}),
        ("cnv", {"blocks": [[4]], "dense": [8], "padding": 1}),
        ("resnete", {"widths": [4], "blocks": [1]}),
        ("reactnet_mobilenet", {"widths": [4], "blocks": [1]}),
        ("nasb", {"operations": [["conv3"]], "widths": [4]}),
    ],
)
@pytest.mark.parametrize(
    "encoding",
    [8, 1, {"thermometer": 3}, {"thermometer": 2, "thresholds": "learned", "step": 4}, {"planes": 2}],
)
def test_every_topology_takes_every_encoding(name, parameters, encoding):
    model = build(name, (2, 8, 8), 3, {**parameters, "input_bits": encoding}, IMAGES)
    assert model(IMAGES.float()).shape == (60, 3)


@pytest.mark.parametrize("encoding", [{"thermometer": 2}, {"planes": 2}])
@pytest.mark.parametrize(
    ("name", "parameters"), [("mlp", {"hidden": [4]}), ("cnv", {"blocks": [[4]], "dense": []})]
)
def test_networks_with_encoders_stack(name, parameters, encoding):
    models = []
    for seed, text in enumerate(["x", "sin(x)", "abs(x)"]):
        torch.manual_seed(seed)
        model = build(name, (2, 8, 8), 3, {**parameters, "input_bits": encoding}, IMAGES)
        install(model, [parse(text)])
        models.append(model)
    check_stack(stack(models), models, IMAGES.float())


def test_networks_with_learned_thresholds_do_not_stack():
    encoding = {"thermometer": 2, "thresholds": "learned"}
    models = [build("mlp", (2, 8, 8), 3, {"hidden": [4], "input_bits": encoding}, IMAGES) for _ in range(2)]
    with pytest.raises(Unstackable, match=r"thermometer \(ThermometerEncoder\) cannot be stacked"):
        stack(models)


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ({"thermometer": 0}, "thermometer must be 1..16 bits, not 0"),
        ({"thermometer": 17}, "thermometer must be 1..16 bits, not 17"),
        ({"thermometer": 3, "thresholds": "median"}, "thresholds: .*'quantiles', 'uniform' or 'learned'"),
        ({"thermometer": 3, "step": 3}, "step: Input should be 1, 2, 4"),
        ({"bits": 3}, "a thermometer has no 'bits'"),
        ({"thermometer": 3, "bits": 2}, "a thermometer has no 'bits': known: thermometer, thresholds, step"),
        ({"planes": 1}, "planes must be 2 or more: for one bit at 128, set input_bits to 1"),
        ({"planes": 9}, "planes must be 2..8 bits, not 9"),
        ({"planes": "two"}, "planes: Input should be a valid integer"),
        ({"planes": 3, "thresholds": "uniform"}, "an input of bit planes has no 'thresholds'"),
        ("thermometer", "give 8, 1, {planes: BITS}, or {thermometer: BITS"),
    ],
)
def test_a_wrong_encoding_is_named(encoding, message):
    with pytest.raises(ModelError, match=f"topology 'mlp', input_bits: .*{message}"):
        check_parameters("mlp", {"hidden": [4], "input_bits": encoding})
