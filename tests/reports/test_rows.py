"""A run as rows, as a line and as a table."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from zerocross.reports import rows
from zerocross.reports.records import Run


def test_rows_hold_choices_and_metrics(make_run: Callable[..., Run]) -> None:
    run = make_run(60)
    found = rows.evaluations(run)
    assert len(found) == 60 and [row["number"] for row in found] == list(range(60))
    for row, e in zip(found, run.evaluations, strict=True):
        assert row["id"] == e.id and row["plain_sign"] == e.reference
        assert row["topology.hidden"] == e.choices["topology.hidden"]
        assert row.get("lut") == e.metrics.get("lut")
    front = rows.networks(run)
    assert [row["id"] for row in front] == [net.id for net in run.front]
    assert front[0]["test"] == pytest.approx(sum(run.front[0].test) / 5)


def test_a_line_and_a_table(make_run: Callable[..., Run]) -> None:
    run = make_run(60)
    assert rows.summary(run).startswith(f"front of {len(run.front)} from 54 candidates, test accuracy up to ")
    assert rows.summary(replace(run, front=[])) == "54 candidates, no front yet"
    table = rows.html_table(replace(run, name="<b>"))
    assert "&lt;b&gt;" in table and table.count("<tr>") == len(run.front) + 1
