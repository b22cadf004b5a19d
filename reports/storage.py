"""A run's records as files: `pareto.json`, `evaluations.jsonl` and `pareto.csv`."""

import csv
import io
import json
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pydantic import TypeAdapter

from zerocross.reading import as_record, parse_json, read_json
from zerocross.reports import sections
from zerocross.reports.metrics import COSTS
from zerocross.reports.records import Evaluation, Finalist, Run

LAYOUT = 3  # raise it whenever a record gains a required field or changes its meaning

PARETO, EVALUATIONS, TABLE = "pareto.json", "evaluations.jsonl", "pareto.csv"
REPORT = "report.html"  # a run's or a build's page, in its folder
EARLIER = "earlier"  # folder of a run's results by other configurations
RETRAINED = "retrained.json"  # networks of the front that `zerocross retrain` trained again
FUNCTIONS = "table.csv.gz"  # in the folder of a run that made a table (`zerocross.hw_search.tables.table`)
RECORDS = PARETO, EVALUATIONS, RETRAINED
"""The records of a run, which are read back."""

_RUN = TypeAdapter(Run)
_EVALUATION = TypeAdapter(Evaluation)
_FINALISTS = TypeAdapter(list[Finalist])


class UnreadableRun(ValueError):
    """A run's records that are missing or damaged; the message names the file."""


def contents(run: Run) -> dict[str, str]:
    """Return the files of a run by name, as text.

    * `pareto.json` holds everything except the evaluations and the networks trained again; it is enough to rebuild each
      network of the front.
    * `evaluations.jsonl` holds one evaluation per line.
    * `pareto.csv` holds one network per line: the front and the plain signs beside it.
    """
    return {
        PARETO: json.dumps({"layout": LAYOUT, **_front_record(run)}, indent=1) + "\n",
        EVALUATIONS: "".join(json.dumps(asdict(evaluation)) + "\n" for evaluation in run.evaluations),
        TABLE: _table(run),
    }


def _front_record(run: Run) -> dict[str, Any]:
    record = asdict(replace(run, evaluations=[], retrained=[]))
    del record["retrained"]  # in a file of its own
    return record


def load_run(folder: Path) -> Run:
    """Read a run's records.

    Raises:
        UnreadableRun: If a file is missing or damaged, or another version wrote it.
    """
    if not folder.is_dir():
        raise UnreadableRun(f"{folder} does not exist")
    name = PARETO
    try:
        record = read_json(folder / PARETO)
        _check_layout(record, folder / PARETO)
        as_record(sections.RUN, record)
        run = as_record(_RUN, record)
        name = EVALUATIONS
        with (folder / EVALUATIONS).open("rb") as file:
            evaluations = [as_record(_EVALUATION, parse_json(line)) for line in file]
    except FileNotFoundError:
        former = sorted(path.parent for path in folder.glob(f"earlier/[!.]*/{PARETO}"))
        raise UnreadableRun(
            f"{folder} holds no finished or interrupted search: it has no {name}. A search writes it when it ends, or when "
            "it is interrupted after the first generation"
            + (f". Results of earlier configurations are in {', '.join(map(str, former))}" if former else "")
        ) from None
    except (OSError, ValueError) as error:
        if isinstance(error, UnreadableRun):
            raise
        raise UnreadableRun(f"{folder / name} cannot be read: {str(error).splitlines()[0]}") from None
    return replace(run, evaluations=evaluations, retrained=load_retrained(folder))


def retrained_text(networks: list[Finalist]) -> str:
    """Return the content of `retrained.json`."""
    return json.dumps({"layout": LAYOUT, "networks": [asdict(net) for net in networks]}, indent=1) + "\n"


def load_retrained(folder: Path) -> list[Finalist]:
    """Read the networks of a run that were trained again; none if there is no such file.

    Raises:
        UnreadableRun: If the file is damaged, or another version wrote it.
    """
    path = folder / RETRAINED
    try:
        record = read_json(path)
        _check_layout(record, path)
        networks = record.get("networks") if isinstance(record, dict) else record
        as_record(sections.NETWORKS, networks)
        return as_record(_FINALISTS, networks)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        if isinstance(error, UnreadableRun):
            raise
        raise UnreadableRun(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def _check_layout(record: Any, path: Path) -> None:
    layout = record.pop("layout", 1) if isinstance(record, dict) else LAYOUT
    if layout != LAYOUT:
        raise UnreadableRun(
            f"{path} was written by another version of zerocross (layout {layout}, this one reads {LAYOUT}). "
            "Run the search again"
        )


def _table(run: Run) -> str:
    front = {finalist.id for finalist in run.front}
    beside = [finalist for finalist in run.references if finalist.id not in front]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "id",
            "expression",
            "plain_sign",
            "on_front",
            "choices",
            "seeds",
            "validation_mean",
            "validation_std",
            "test_mean",
            "test_std",
        ]
        + [f"{name}_estimate" for name in COSTS]
        + ["fps_estimate", "lut_finn", "bram_finn", "weights"]
    )
    for finalist in [*run.front, *beside]:
        writer.writerow(
            [
                finalist.id,
                finalist.expression,
                finalist.reference,
                finalist.id in front,
                json.dumps(finalist.choices),
                len(finalist.seeds),
            ]
            + [*_spread(finalist.validation), *_spread(finalist.test)]
            + [finalist.metrics.get(name) for name in COSTS]
            + [round(finalist.fps, 1), finalist.finn.get("lut"), finalist.finn.get("bram"), finalist.weights]
        )
    return text.getvalue()


def _spread(values: list[float]) -> tuple[float | str, float | str]:
    if not values:
        return "", ""
    return round(fmean(values), 5), round(stdev(values), 5) if len(values) > 1 else ""
