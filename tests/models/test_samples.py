"""Labels as the classes of a given network, and samples in the form of its input."""

from typing import Any

import numpy as np
import pytest

from zerocross.models.samples import DataError, fitted, in_classes, listed, read_labels


@pytest.mark.parametrize(
    ("labels", "classes", "expected", "note"),
    [
        ([0, 1, 2, 3, 0], 4, [0, 1, 2, 3, 0], ""),
        ([0, 1, 3], 4, [0, 1, 3], "no sample has the label 2"),
        ([1, 2, 3, 4], 4, [0, 1, 2, 3], "the labels 1..4 are the classes 0..3, in this order"),
        ([1, 4, 4], 4, [0, 3, 3], "the labels 1..4 are the classes 0..3"),
        ([7, 5, 9], 3, [1, 0, 2], "the labels 5, 7, 9 are the classes 0..2, in this order"),
        ([-1, 1, 1], 2, [0, 1, 1], "the labels -1, 1 are the classes 0..1, in this order"),
        (["dog", "cat"], 2, [1, 0], "the labels cat, dog are the classes 0..1, in this order"),
    ],
)
def test_labels_become_the_classes_of_a_network(
    labels: list[Any], classes: int, expected: list[int], note: str
) -> None:
    found, said = in_classes(np.array(labels), classes)
    assert found.tolist() == expected and said == note


def test_the_labels_of_the_training_samples_come_first() -> None:
    known, labels = np.array([1, 2, 3]), np.array([2, 1, 2])
    found, said = in_classes(labels, 3, known)
    assert found.tolist() == [1, 0, 1]
    assert said == "the labels 1..3 are the classes 0..2, in this order; no sample has the label 3"
    assert in_classes(labels, 4, known)[0].tolist() == [
        2,
        1,
        2,
    ]  # a file of another network's training samples
    assert in_classes(np.array([0, 1]), 3, known)[0].tolist() == [0, 1]


@pytest.mark.parametrize(("labels", "classes"), [([9, 9], 5), ([-1, 0, 1], 2), ([0, 5], 5), (["a"], 3)])
def test_labels_that_do_not_fit_are_refused(labels: list[Any], classes: int) -> None:
    with pytest.raises(DataError, match=rf"network has {classes} classes: give labels 0\.\.{classes - 1}"):
        in_classes(np.array(labels), classes)


def test_samples_are_brought_into_the_form_of_an_input() -> None:
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    for given in (x, np.moveaxis(x, 1, 3)):
        found = fitted("x", given, (3, 4, 5))
        assert found is not None and np.array_equal(found[0], x) and not found[1]
    assert (
        fitted("x", x, (3, 5, 4)) is None
        and fitted("x", x, (61,)) is None
        and fitted("x", x, (3, 20)) is None
    )
    gray = fitted("x", x[:, 0], (1, 4, 5))
    assert gray is not None and np.array_equal(gray[0], x[:, :1])
    both = fitted("x", np.zeros((7, 3, 3, 3)), (3, 3, 3))
    assert both is not None and "is read as (N, channels, height, width)" in both[1]


def test_signals_and_rows_of_numbers_are_brought_into_the_form_of_an_input() -> None:
    x = np.arange(2 * 3 * 7).reshape(2, 3, 7)
    for given, said in ((x, ""), (np.moveaxis(x, 1, 2), ""), (x.reshape(2, 21), "(N, channels, length)")):
        found = fitted("x", given, (3, 7))
        assert (
            found is not None
            and np.array_equal(found[0], x)
            and said in found[1]
            and bool(said) == bool(found[1])
        )
    mono = fitted("x", x[:, 0], (1, 7))
    assert mono is not None and np.array_equal(mono[0], x[:, :1]) and not mono[1]
    both = fitted("x", np.zeros((5, 3, 3)), (3, 3))
    assert both is not None and "is read as (N, channels, length): transpose it" in both[1]
    images = np.arange(2 * 28 * 28).reshape(2, 28, 28)
    flat = fitted("x", images, (784,))
    assert (
        flat is not None and np.array_equal(flat[0], images.reshape(2, 784)) and "read as (N, 784)" in flat[1]
    )


def test_few_values_are_listed_whole() -> None:
    assert listed(np.arange(3, 9)) == "3..8"
    assert listed(np.array([0, 2])) == "0, 2"
    assert listed(np.array([1, 3, 5, 7, 9, 11, 13])) == "1, 3, 5, 7, ... 13"


@pytest.mark.parametrize(
    "labels",
    [np.array([0, np.inf]), np.array([1e300, 0]), np.array([2**63 + 5, 1], np.uint64)],
    ids=["infinity", "1e300", "64 bits"],
)
def test_labels_beyond_64_bits_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"y_test holds .* in row \d: give labels of less than 64 bits"):
        read_labels("test", labels, 2)


def test_large_labels_are_read_exactly() -> None:
    labels = np.array([2**40, 2**40 + 1, -(2**62)])
    assert read_labels("test", labels, 3).tolist() == labels.tolist()
    assert in_classes(labels, 3)[0].tolist() == [1, 2, 0]
