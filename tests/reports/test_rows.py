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


def test_a_column_has_one_meaning(make_run: Callable[..., Run]) -> None:
    run = make_run(60)
    trained = [replace(net, metrics={**net.metrics, "error": 0.5, "lut": 7.0}) for net in run.front]
    searched = {row["id"]: row for row in rows.evaluations(run)}
    for row, net in zip(rows.networks(replace(run, front=trained)), trained, strict=True):
        shared = row.keys() & searched[net.id].keys()
        assert {"error", "lut", "topology.hidden"} <= shared
        assert {name: row[name] for name in shared} == {name: searched[net.id][name] for name in shared}
        assert row["error"] == net.search_error and row["final_error"] == 0.5 and row["final_lut"] == 7.0


def test_records_have_a_short_text(make_run: Callable[..., Run]) -> None:
    run = make_run(60)
    assert len(repr(run.front)) < 200 * len(run.front) and len(repr(run)) < 200
    net = replace(run.front[0], id="1a2b3c4d", expression="sin(x)", test=[0.5, 0.5], metrics={"lut": 1234.0})
    assert repr(net) == "<Finalist 1a2b3c4d: sin(x), test accuracy 50.00 ± 0.00% (2 seeds), 1,234 LUT>"


def test_a_line_and_a_table(make_run: Callable[..., Run]) -> None:
    run = make_run(60)
    assert rows.summary(run).startswith(f"front of {len(run.front)} from 54 candidates, test accuracy up to ")
    assert rows.summary(replace(run, front=[])) == "54 candidates, no front yet"
    table = rows.html_table(replace(run, name="<b>"))
    assert "&lt;b&gt;" in table and table.count("<tr>") == len(run.front) + 1
