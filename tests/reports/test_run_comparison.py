"""Runs side by side."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from zerocross.digests import write_digests
from zerocross.hw_search.cli import app
from zerocross.reports.configurations import differing, fields, text
from zerocross.reports.records import Run
from zerocross.reports.run_comparison import IncomparableRuns, compare_runs, names_of, render_runs
from zerocross.reports.storage import contents

MakeRun = Callable[..., Run]


def with_points(run: Run, points: list[tuple[float, float]]) -> Run:
    """Return a run whose front has these errors and LUTs."""
    net = run.front[0]
    front = [
        replace(net, id=f"{index:08x}", metrics={**net.metrics, "error": error, "lut": lut})
        for index, (error, lut) in enumerate(points)
    ]
    return replace(run, objectives=["error", "lut"], front=front)


def volume_by_counting(points: list[tuple[float, float]], low: np.ndarray, high: np.ndarray) -> float:
    """Return the dominated share of a box, counted on a fine grid."""
    ticks = (np.arange(400) + 0.5) / 400
    x, y = np.meshgrid(low[0] + ticks * (high - low)[0], low[1] + ticks * (high - low)[1])
    covered = np.zeros_like(x, bool)
    for error, lut in points:
        covered |= (x >= error) & (y >= lut)
    return float(covered.mean())


def test_hypervolumes_and_the_joint_front(make_run: MakeRun) -> None:
    run = make_run(60)
    one, other = [(0.1, 300.0), (0.05, 900.0)], [(0.2, 200.0), (0.06, 800.0), (0.05, 950.0)]
    found = compare_runs({"a": with_points(run, one), "b": with_points(run, other)})
    low, worst = np.array([0.05, 200.0]), np.array([0.2, 950.0])
    high = low + 1.1 * (worst - low)
    for points, volume in zip((one, other), found.volumes, strict=True):
        assert volume == pytest.approx(volume_by_counting(points, low, high), abs=0.01)
    assert [[point.joint for point in points] for points in found.points] == [
        [True, True],
        [True, True, False],
    ]
    assert "4 networks: 2 of a, 2 of b" in found.verdict and not found.differences


def test_only_common_objectives_count(make_run: MakeRun) -> None:
    run = make_run(60)
    found = compare_runs({"a": run, "b": replace(run, objectives=["lut", "error", "ii"])})
    assert found.objectives == ["error", "lut"]
    with pytest.raises(IncomparableRuns, match=r"no objective in common \(a: error, lut, latency; b: bram\)"):
        compare_runs({"a": run, "b": replace(run, objectives=["bram"])})
    with pytest.raises(IncomparableRuns, match="b has no front yet"):
        compare_runs({"a": run, "b": replace(run, front=[], evaluations=[])})


def test_fields_that_differ() -> None:
    one = {"name": "a", "search": {"seed": 0, "rungs": []}, "topology": {"hidden": {"choose": [[8], [16]]}}}
    other = {"name": "b", "search": {"seed": 1, "rungs": []}, "topology": {"hidden": [8]}}
    tiny = {"training": {"learning_rate": 0.001}}, {"training": {"learning_rate": 0.0010000001}}
    assert differing(tiny) == {"training.learning_rate": ["0.001", "0.0010000001"]}
    assert differing([one, other]) == {
        "search.seed": ["0", "1"],
        "topology.hidden": ["{choose: [[8], [16]]}", "[8]"],
    }
    assert fields(one)["search.rungs"] == [] and text(None) == "not given" and text(True) == "true"


def test_the_page_shows_all_of_it(make_run: MakeRun) -> None:
    run = make_run(60)
    other = replace(run, config={**run.config, "data": {"set": "<mnist>"}})
    found = compare_runs({"a": run, "b": other})
    page = render_runs(found)
    assert "2 runs side by side" in page and "data.set" in page and "&lt;mnist&gt;" in page
    assert "The runs have other data" in found.verdict
    figure = found.figure()
    assert len(figure.data) == 4 and len(figure.layout.updatemenus[0].buttons) == 3
    assert names_of([Path("x/a"), Path("y/a")], [run, run]) == ["x/a", "y/a"]
    assert names_of([Path("x/a"), Path("y/b")], [run, run]) == ["a", "b"]


def write(run: Run, folder: Path) -> Path:
    folder.mkdir()
    for name, content in contents(run).items():
        (folder / name).write_text(content)
    write_digests(folder, contents(run))
    return folder


def test_the_command(make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    a, b = write(make_run(60), tmp_path / "a"), write(make_run(80), tmp_path / "b")
    done = CliRunner().invoke(app, ["report", str(a), str(b)])
    assert done.exit_code == 0, done.output
    assert "hypervolume" in done.output and "joint" in done.output
    assert "side by side" in (tmp_path / "comparison.html").read_text()
    for folders, message in (
        ([a, tmp_path / "none"], f"{tmp_path / 'none'} does not exist"),
        ([a, a], "the same run is given twice"),
        ([a, tmp_path], "compare runs with runs, and builds with builds"),
    ):
        done = CliRunner().invoke(app, ["report", *map(str, folders)])
        assert message in str(done.exception)
