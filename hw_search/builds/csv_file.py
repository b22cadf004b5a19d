"""Samples and labels from a table in a text file (.csv): one sample in each row."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zerocross.hw_search.errors import UserError

_LABELS = frozenset({"class", "label", "labels", "target", "y", "y_test"})
"""Headings of a column of labels that need not be the last one."""


@dataclass(frozen=True)
class CsvTable:
    """The content of a table.

    Attributes:
        samples: Numbers, (N, numbers).
        labels: Labels, (N,), int64 or text; None if the table has no column for them.
        column: Description of the column of labels, for messages; "" if there is none.
        notes: How the table was read, where that is not obvious.
    """

    samples: np.ndarray
    labels: np.ndarray | None
    column: str
    notes: tuple[str, ...]


def read_csv(path: Path, numbers: int) -> CsvTable:
    """Read a table whose cells are separated by commas, semicolons, tabs or spaces.

    - The first row may hold headings, which may be the columns' numbers from 0. A first column with an empty heading
      numbers the rows and is ignored.
    - A further column holds labels: the one with the heading label, class, target or y, else the last one.

    Args:
        path: File, UTF-8.
        numbers: Numbers of a sample.

    Raises:
        UserError: If a row has another number of cells, or a cell holds no number.
        OSError: If the file cannot be read.
        ValueError: If it is no text.
    """
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    first = next((line for line in lines if line.strip()), "")
    separator = next((mark for mark in "\t;, " if mark in first.strip()), ",")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    headings, notes = list[str](), tuple[str, ...]()
    if rows and _is_headings(rows[0][1]):
        headings = rows.pop(0)[1]
        if any(_number(cell) is not None for cell in headings):
            notes = ("the first row holds headings",)
    if not rows:
        raise UserError(f"{path} holds no samples: give a row of numbers for each sample")
    width = len(headings or rows[0][1])
    columns = list(range(width))
    if headings and not headings[0]:
        columns = columns[1:]
    if len(columns) not in (numbers, numbers + 1):
        raise UserError(
            f"{path} has {len(columns)} columns: give {numbers}, one for each number of a sample, and optionally one "
            "with labels"
        )
    for line, row in rows:
        if len(row) != width:
            raise UserError(
                f"{path}, line {line}: the row has {len(row)} cells, but the first one has {width}"
            )
    labels, described = None, ""
    if len(columns) > numbers:
        named = [column for column in columns if headings and headings[column].lower() in _LABELS]
        place = named[0] if len(named) == 1 else columns[-1]
        columns.remove(place)
        described = f"column {headings[place] if headings else place + 1}"
        labels = _labels([row[place] for _, row in rows])
        notes = (*notes, f"{described} holds the labels")
    samples = np.array([[_cell(path, line, row, column) for column in columns] for line, row in rows])
    return CsvTable(samples, labels, described, notes)


def _is_headings(row: list[str]) -> bool:
    """Return whether a file's first row holds headings.

    Headings are text, or the columns' numbers from 0, as pandas writes them, perhaps beside a name of labels.
    """
    numbers = [cell for cell in row if _number(cell) is not None]
    if not row[0] or not numbers:
        return True
    is_named = any(cell.lower() in _LABELS for cell in row)
    return numbers == [str(place) for place in range(len(numbers))] and (is_named or len(numbers) > 2)


def _cell(path: Path, line: int, row: list[str], column: int) -> float:
    found = _number(row[column])
    if found is None:
        raise UserError(f"{path}, line {line}, column {column + 1} holds {row[column]!r}: give a number")
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _labels(cells: list[str]) -> np.ndarray:
    """Return labels as integers if all are whole numbers, else as text."""
    values = [_number(cell) for cell in cells]
    if all(value is not None and value.is_integer() for value in values):
        return np.array(values, np.int64)
    return np.array(cells)
