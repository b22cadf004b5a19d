"""Thermometer inputs: thresholds against numpy, bits against comparisons, and state."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from zerocross.models.data import Data, Split
from zerocross.models.thermometer import (
    Thermometer,
    ThermometerEncoder,
    quantile_thresholds,
    set_thresholds,
    uniform_thresholds,
)
from zerocross.models.topologies import build
from zerocross.models.training import train
from zerocross.models.training_settings import TrainingSettings

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (60, 2, 8, 8), np.uint8))


def encoder(bits: int, channels: int, thresholds: Tensor) -> ThermometerEncoder:
    made = ThermometerEncoder(channels, Thermometer(bits))
    made.set(thresholds)
    return made


@given(st.data())
def test_a_bit_is_set_where_the_byte_reaches_its_threshold(data):
    bits, channels = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    side = data.draw(st.sampled_from([(), (3, 2)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    thresholds = rng.integers(1, 256, (channels, bits))
    samples = rng.integers(0, 256, (4, channels, *side))
    made = encoder(bits, channels, torch.from_numpy(thresholds).float())
    found = made(torch.from_numpy(samples).float()).numpy()
    for channel in range(channels):
        for bit in range(bits):
            expected = np.where(samples[:, channel] >= thresholds[channel, bit], 1.0, -1.0)
            assert np.array_equal(found[:, channel * bits + bit], expected)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60), st.integers(1, 6))
def test_thresholds_of_any_values_rise_and_lie_in_bytes(values, bits):
    (found,) = quantile_thresholds(torch.tensor([values], dtype=torch.uint8), bits).numpy()
    assert ((found >= 1) & (found <= 255)).all() and (np.diff(found) >= 0).all()
    if len(set(values)) > 1:  # the first threshold tells values apart
        assert min(values) < found[0] <= max(values)
    elif values[0] < 255:  # bits of a constant feature are constant
        assert (np.array(values)[:, None] < found).all()


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60), st.integers(1, 6), st.sampled_from([2, 4, 16]))
def test_a_step_keeps_the_classes_of_values_where_it_can(values, bits, step):
    row = np.array(values)
    free, found = (
        quantile_thresholds(torch.tensor([values], dtype=torch.uint8), bits, each)[0].int().numpy()
        for each in (1, step)
    )
    assert ((row[:, None] >= free) == (row[:, None] >= found)).all()
    for before, after in zip(free, found, strict=True):
        alike = [t for t in range(step, before + 1, step) if ((row >= t) == (row >= before)).all()]
        assert after == max(alike, default=before)


def test_a_step_keeps_the_thresholds_of_values_that_are_far_apart():
    values = torch.arange(0, 256, 17, dtype=torch.uint8)[None]
    made = ThermometerEncoder(1, Thermometer(15, step=4))
    made.set(quantile_thresholds(values, 15, 4))
    assert len(set(made.integers()[0].tolist())) == 15


def test_quantiles_divide_different_values_evenly():
    values = torch.from_numpy(np.random.default_rng(1).permutation(200).astype(np.uint8))[None]
    assert quantile_thresholds(values, 3).tolist() == [[50, 100, 150]]


def test_frequent_least_values_are_a_class_of_their_own():
    values = torch.tensor([[0] * 70 + list(range(100, 130))], dtype=torch.uint8)
    assert quantile_thresholds(values, 3).tolist() == [[100, 110, 120]]


def test_uniform_thresholds():
    assert uniform_thresholds(3).tolist() == [64, 128, 192]
    model = build("cnv", (2, 8, 8), 3, _parameters({"thermometer": 3, "thresholds": "uniform"}), IMAGES)
    assert model.thermometer.thresholds.tolist() == [[64, 128, 192]] * 2


def _parameters(encoding: dict) -> dict:
    return {"blocks": [[4]], "dense": [8], "input_bits": encoding}


def test_flat_networks_have_thresholds_for_each_feature_and_others_for_each_channel():
    flat = build("mlp", (2, 8, 8), 3, {"hidden": [4], "input_bits": {"thermometer": 2}}, IMAGES)
    image = build("cnv", (2, 8, 8), 3, _parameters({"thermometer": 2}), IMAGES)
    assert torch.equal(flat.thermometer.thresholds, quantile_thresholds(IMAGES.flatten(1).T, 2))
    assert torch.equal(
        image.thermometer.thresholds, quantile_thresholds(IMAGES.transpose(0, 1).flatten(1), 2)
    )


def test_thresholds_are_part_of_the_state():
    parameters = {"hidden": [4], "input_bits": {"thermometer": 2}}
    trained = build("mlp", (2, 8, 8), 3, parameters, IMAGES).eval()
    restored = build("mlp", (2, 8, 8), 3, parameters).eval()
    restored.load_state_dict(trained.state_dict())
    assert torch.equal(trained(IMAGES.float()), restored(IMAGES.float()))


def test_a_training_leaves_the_thresholds_as_they_are():
    data = Data(Split(IMAGES, torch.arange(60) % 3), Split(IMAGES, torch.arange(60) % 3), (2, 8, 8), 3, "")
    model = build("mlp", (2, 8, 8), 3, {"hidden": [4], "input_bits": {"thermometer": 2}}, IMAGES)
    before = model.thermometer.thresholds.clone()
    train(model, data, TrainingSettings(1, batch_size=20), 0)
    assert torch.equal(model.thermometer.thresholds, before)


def test_set_thresholds_leaves_other_networks_as_they_are():
    model = build("mlp", (2, 8, 8), 3, {"hidden": [4]})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    set_thresholds(model, IMAGES)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@given(st.data())
def test_a_learned_threshold_moves_towards_fewer_errors(data):
    """The gradient of a sum of bits is that of a line of slope 1 / 64 around each threshold."""
    side = data.draw(st.sampled_from([(), (2, 3)]))
    made = ThermometerEncoder(3, Thermometer(2, "learned"))
    made.set(torch.from_numpy(np.random.default_rng(data.draw(st.integers(0, 99))).integers(1, 256, (3, 2))))
    samples = torch.randint(0, 256, (7, 3, *side)).float()
    made(samples).sum().backward()
    for channel in range(3):
        for bit in range(2):
            near = (samples[:, channel] - made.integers()[channel, bit]).abs() < 64
            assert made.latent.grad[channel, bit] == pytest.approx(-256 / 64 * float(near.sum()))


def test_learned_thresholds_begin_at_quantiles_and_move_in_a_training():
    data = Data(Split(IMAGES, torch.arange(60) % 3), Split(IMAGES, torch.arange(60) % 3), (2, 8, 8), 3, "")
    encoding = {"thermometer": 2, "thresholds": "learned"}
    model = build("mlp", (2, 8, 8), 3, {"hidden": [4], "input_bits": encoding}, IMAGES)
    before = model.thermometer.integers().clone()
    assert torch.equal(before, quantile_thresholds(IMAGES.flatten(1).T, 2))
    train(model, data, TrainingSettings(3, batch_size=20, learning_rate=0.05), 0)
    after = model.thermometer.integers()
    assert not torch.equal(after, before) and ((after >= 1) & (after <= 255)).all()
    restored = build("mlp", (2, 8, 8), 3, {"hidden": [4], "input_bits": encoding}).eval()
    restored.load_state_dict(model.state_dict())
    assert torch.equal(model.eval()(IMAGES.float()), restored(IMAGES.float()))


@given(st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128]), st.integers(1, 5))
def test_thresholds_are_multiples_of_the_step(step, bits):
    for kind in ("quantiles", "uniform", "learned"):
        encoding = {"thermometer": bits, "thresholds": kind, "step": step}
        model = build("mlp", (2, 8, 8), 3, {"hidden": [4], "input_bits": encoding}, IMAGES)
        found = model.thermometer.integers()
        assert (found % step == 0).all() and ((found >= step) & (found <= 256 - step)).all()
