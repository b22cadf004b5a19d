"""A table: the results of all activations of a space, on one network and data set, in one file (a tabular benchmark).

The file is a gzipped CSV with one row per function. Its first line starts with # and contains the table's origin as JSON. A
search on a table takes seconds (`zerocross.hw_search.tables.comparison`).
"""

import csv
import gzip
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.files import replacing
from zerocross.hw_search.space import Genome
from zerocross.models.expressions import X
from zerocross.reading import Unreadable, parse_json, read_gzip
from zerocross.reports.metrics import COSTS

_TEXT = ("expression", "genomes", "status", "reason")
_NUMBERS = ("channel_crossings", "most_crossings", *COSTS, "finn_lut")
"""Columns of numbers, means over the seeds. A file from an earlier version may lack a metric."""


@dataclass(frozen=True)
class Row:
    """One function.

    Attributes:
        expression: First expression of this function; x for the plain sign.
        genomes: All genomes that encode the function.
        status: "ok"; "dead" (its sign never changes, so it was not trained); "infeasible" (it learned nothing, or violates
            a constraint); or "failed" (its training failed).
        reason: Reason for a status other than "ok".
        validation: Validation accuracy for each seed, 0..1.
        test: Test accuracy for each seed, 0..1.
        numbers: Numbers by name: "channel_crossings" (mean over channels and seeds), "most_crossings" (maximum over
            channels), the costs of `zerocross.reports.metrics`, and "finn_lut" (FINN's LUTs). Empty if it was not trained.
        early: Validation accuracy of the first seed after the rung (`search.rungs`), or None.
    """

    expression: str
    genomes: tuple[Genome, ...]
    status: str
    reason: str = ""
    validation: tuple[float, ...] = ()
    test: tuple[float, ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)
    early: float | None = None

    def objective(self, name: str) -> float:
        """Return an objective's value; NaN if it is unknown."""
        if self.status != "ok":
            return math.nan
        return 1 - fmean(self.validation) if name == "error" else self.numbers.get(name, math.nan)


@dataclass(frozen=True)
class Table:
    """All functions of a space.

    Attributes:
        about: Origin of the table: "config", "input_shape", "classes", "versions", "seconds", "made" (a date), "machine".
        rows: Functions, in the order of their first genomes.
    """

    about: dict[str, Any]
    rows: list[Row]

    @cached_property
    def places(self) -> dict[Genome, int]:
        """Index of the row of every genome."""
        return {genome: index for index, row in enumerate(self.rows) for genome in row.genomes}

    @cached_property
    def plain(self) -> Row | None:
        """Row of the plain sign."""
        return next((row for row in self.rows if row.expression == str(X)), None)

    @property
    def good(self) -> list[Row]:
        """Rows with status "ok"."""
        return [row for row in self.rows if row.status == "ok"]

    def save(self, path: Path) -> None:
        """Write the table to a file.

        Raises:
            UserError: If the file cannot be written.
        """
        text = io.StringIO()
        text.write(f"# {json.dumps(self.about, sort_keys=True)}\n")
        seeds = max((len(row.validation) for row in self.rows), default=0)
        scores = [f"{split}_{index}" for split in ("validation", "test") for index in range(seeds)]
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*_TEXT, *_NUMBERS, "early", *scores])
        for row in self.rows:
            genomes = " ".join("-".join(map(str, genome)) for genome in row.genomes)
            numbers = [f"{row.numbers[name]:.6g}" if name in row.numbers else "" for name in _NUMBERS]
            values = [f"{value:.5g}" for value in (*row.validation, *row.test)] or [""] * len(scores)
            early = "" if row.early is None else f"{row.early:.5g}"
            writer.writerow([row.expression, genomes, row.status, row.reason, *numbers, early, *values])
        with replacing(path) as temporary:
            temporary.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))

    @classmethod
    def load(cls, path: Path) -> "Table":
        """Read a table from a file.

        Raises:
            UserError: If the file does not exist, or is not a table.
        """
        try:
            text = read_gzip(path)
        except FileNotFoundError:
            raise UserError(f"{path} does not exist: make a table with `zerocross tabulate`") from None
        except (OSError, Unreadable) as error:
            raise UserError(
                f"{path} cannot be read as a table ({error}): run `zerocross tabulate` again"
            ) from None
        head, _, body = text.partition("\n")
        try:
            if not head.startswith("# "):
                raise ValueError("its first line does not contain its origin")
            reader = csv.DictReader(io.StringIO(body))
            table = cls(parse_json(head[2:]), [_row(line, reader.fieldnames or []) for line in reader])
            if not table.rows or not {"config", "input_shape", "classes"} <= table.about.keys():
                raise ValueError("it has no rows, or its origin is incomplete")
            return table
        except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
            raise UserError(f"{path} is not a table ({error!r}): run `zerocross tabulate` again") from None


def _row(line: dict[str, str], columns: Sequence[str]) -> Row:
    scores = {
        split: tuple(float(line[name]) for name in columns if name.startswith(f"{split}_") and line[name])
        for split in ("validation", "test")
    }
    numbers = {name: float(line[name]) for name in _NUMBERS if line.get(name)}
    genomes = tuple(tuple(map(int, genome.split("-"))) for genome in line["genomes"].split())
    if line["status"] == "ok" and not (numbers and scores["validation"]):
        raise ValueError(f"the row of {line['expression']} has no numbers")
    early = float(line["early"]) if line.get("early") else None
    return Row(
        line["expression"], genomes, line["status"], line["reason"], **scores, numbers=numbers, early=early
    )
