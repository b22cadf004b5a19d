"""The rows of a benchmark that resumes: each result is a row of a CSV file, written as soon as it is known."""

import csv
from collections.abc import Sequence
from pathlib import Path


def read(file: Path) -> list[dict[str, str]]:
    """Return the rows of the CSV file; none if it does not exist."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def append(file: Path, columns: Sequence[str], row: Sequence[object]) -> None:
    """Append a row; a new file begins with the names of the columns."""
    new = not file.exists()
    with file.open("a", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([columns, row] if new else [row])
