import math
from dataclasses import dataclass

import pytest

from zerocross.reports import wording


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "not measured (0 seeds)"),
        ([0.9], "90.00% (1 seed, no spread)"),
        ([0.9, 0.92], "91.00 ± 1.41% (2 seeds)"),
    ],
)
def test_accuracy_names_its_seeds_and_its_spread(values, text):
    assert wording.accuracy(values) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (math.nan, "–"), (0.0, "0"), (2.5, "2.5"), (430.6, "431"), (1234567, "1,234,567")],  # noqa: RUF001
)
def test_number(value, text):
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(12, "12 s"), (59.7, "60 s"), (151.4, "2 min 31 s"), (7325, "2 h 2 min")]
)
def test_duration(seconds, text):
    assert wording.duration(seconds) == text


def test_signed_uses_a_true_minus():
    assert [wording.signed(v) for v in (3, 0, -1200)] == ["+3", "±0", "\u22121,200"]


def test_choices_and_counts():
    assert wording.choices({"a.b": [1, 2], "c": "x"}) == "a.b = [1, 2], c = x"
    assert wording.choices({}) == "no other choices"
    genes = {"topology.hidden": [8], "topology.input_bits": {"thermometer": 3, "thresholds": "uniform"}}
    assert wording.short_choices(genes) == "hidden [8], input_bits thermometer: 3, thresholds: uniform"
    assert [wording.count(n, "seed") for n in (0, 1, 1200)] == ["0 seeds", "1 seed", "1,200 seeds"]


def test_choices_are_written_as_in_a_configuration() -> None:
    genes = {"topology.hidden": [64, 32], "topology.input_bits": {"thermometer": 3, "thresholds": "uniform"}}
    assert wording.choices(genes) == (
        "topology.hidden = [64, 32], topology.input_bits = thermometer: 3, thresholds: uniform"
    )
    assert wording.choices({}) == "no other choices"


def test_a_network_of_tables_has_no_activation():
    @dataclass
    class Named:
        expression: str
        reference: bool

    assert wording.activation(Named("x", False)) == "tables"
    assert wording.activation(Named("x", True)) == "plain sign"
    assert wording.activation(Named("sin(x)", False)) == "sin(x)"
