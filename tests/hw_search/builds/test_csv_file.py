"""Tables in text files: with and without headings, labels and a numbering of the rows, against csv writers."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zerocross.hw_search.builds.csv_file import read_csv
from zerocross.hw_search.builds.samples import labels_in_classes, read_samples, read_test_set
from zerocross.hw_search.errors import UserError

X = np.random.default_rng(0).normal(size=(5, 3))
NAMES = ["b", "a", "c", "a", "b"]


def written(path: Path, rows: Any, headings: list[str] | None = None, **form: Any) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, **form)
        writer.writerows([*([headings] if headings else []), *rows])
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
@pytest.mark.parametrize("headings", [None, ["one", "two", "three"]])
def test_numbers_are_read_exactly(delimiter: str, headings: list[str] | None, tmp_path: Path) -> None:
    table = read_csv(written(tmp_path / "x.csv", X.tolist(), headings, delimiter=delimiter), 3)
    assert np.array_equal(table.samples, X) and table.labels is None and not table.notes


def test_numpys_own_tables_are_read(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "x.csv", X.astype(np.float32), delimiter=",")
    assert np.array_equal(read_csv(tmp_path / "x.csv", 3).samples.astype(np.float32), X.astype(np.float32))


def test_labels_are_a_further_column(tmp_path: Path) -> None:
    rows = [[*row, name] for row, name in zip(X.tolist(), NAMES, strict=True)]
    for headings in (None, ["one", "two", "three", "kind"]):
        table = read_csv(written(tmp_path / "x.csv", rows, headings), 3)
        assert (
            np.array_equal(table.samples, X) and table.labels is not None and table.labels.tolist() == NAMES
        )
        assert table.notes == (f"column {'kind' if headings else 4} holds the labels",)
    first = [[float(index), *row] for index, row in enumerate(X.tolist())]
    table = read_csv(written(tmp_path / "x.csv", first, ["Class", "one", "two", "three"]), 3)
    assert np.array_equal(table.samples, X) and table.labels is not None
    assert table.labels.dtype == np.int64 and table.labels.tolist() == [0, 1, 2, 3, 4]


def test_a_numbering_of_the_rows_is_no_sample(tmp_path: Path) -> None:
    rows = [[index, *row] for index, row in enumerate(X.tolist())]
    table = read_csv(written(tmp_path / "x.csv", rows, ["", "0", "1", "2"]), 3)  # as pandas writes it
    assert np.array_equal(table.samples, X) and table.labels is None


@pytest.mark.parametrize("headings", [["0", "1", "2"]])
def test_numbers_of_columns_are_headings(headings: list[str], tmp_path: Path) -> None:
    table = read_csv(
        written(tmp_path / "x.csv", X.tolist(), headings), 3
    )  # as pandas writes it without an index
    assert np.array_equal(table.samples, X) and table.notes == ("the first row holds headings",)
    rows = [[*row, 1] for row in X.tolist()]
    table = read_csv(written(tmp_path / "y.csv", rows, [*headings, "label"]), 3)
    assert (
        np.array_equal(table.samples, X)
        and table.labels is not None
        and table.labels.tolist() == [1] * len(X)
    )


def test_a_label_is_no_heading(tmp_path: Path) -> None:
    rows = [[*row, name] for row, name in zip(X.tolist(), "ynnny", strict=True)]
    assert len(read_csv(written(tmp_path / "x.csv", rows), 3).samples) == len(X)


def test_text_labels_must_be_all_of_them(tmp_path: Path) -> None:
    rows = [[*row, name] for row, name in zip(X.tolist(), "acaca", strict=True)]
    found = read_test_set(written(tmp_path / "x.csv", rows, ["one", "two", "three", "kind"]), (3,))
    assert found.y is not None
    with pytest.raises(
        UserError, match=r"there are 2 different labels as text, but the network has 3 classes"
    ):
        labels_in_classes(found.y, 3, found.labels, found.known)
    assert labels_in_classes(found.y, 2, found.labels, found.known)[0].tolist() == [0, 1, 0, 1, 0]


def test_a_test_set_may_be_a_table(tmp_path: Path) -> None:
    rows = [[*row, name] for row, name in zip(X.tolist(), NAMES, strict=True)]
    path = written(tmp_path / "x.csv", rows, ["one", "two", "three", "kind"])
    found = read_test_set(path, (3,))
    assert (
        found.y is not None and found.y.tolist() == [1, 0, 2, 0, 1] and found.labels == "x.csv, column kind"
    )
    assert found.notes == (
        "x.csv: column kind holds the labels",
        "x.csv: the labels a, b, c are the classes 0..2, in this order",
    )
    samples, notes = read_samples(path, (3,))
    assert np.array_equal(samples, X) and notes == [
        "column kind holds labels, which are ignored: --data takes them"
    ]
    signals, _ = read_samples(written(tmp_path / "s.csv", X.reshape(1, 15).tolist()), (3, 5))
    assert np.array_equal(signals, X.reshape(1, 3, 5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.csv holds no samples"),
        ("one,two,three\n", "x.csv holds no samples"),
        (
            "1,2\n",
            "x.csv has 2 columns: give 3, one for each number of a sample, and optionally one with labels",
        ),
        ("1,2,3\n1,2\n", "x.csv, line 2: the row has 2 cells, but the first one has 3"),
        ("one,two,three\n1,x,3\n", "x.csv, line 2, column 2 holds 'x': give a number"),
        ("1,2,3\n\n1,,3\n", "x.csv, line 3, column 2 holds '': give a number"),
        ("1,2,3\n4,nan,6\n", "the table holds NaN in row 1, column 1"),
    ],
)
def test_what_is_no_table_of_samples_is_said(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_test_set(tmp_path / "x.csv", (3,))
