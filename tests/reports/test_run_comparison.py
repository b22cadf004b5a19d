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
from zerocross.reports.summary import search_front

MakeRun = Callable[..., Run]


def with_points(run: Run, points: list[tuple[float, float]], first: int = 0) -> Run:
    """Return a run whose front has these errors and LUTs. Its ids count from `first`."""
    net = run.front[0]
    front = [
        replace(net, id=f"{first + index:08x}", metrics={**net.metrics, "error": error, "lut": lut})
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
    found = compare_runs({"a": with_points(run, one), "b": with_points(run, other, 16)})
    low, worst = np.array([0.05, 200.0]), np.array([0.2, 950.0])
    high = low + 1.1 * (worst - low)
    for points, volume in zip((one, other), found.volumes, strict=True):
        assert volume == pytest.approx(volume_by_counting(points, low, high), abs=0.01)
    assert [[point.joint for point in points] for points in found.points] == [
        [True, True],
        [True, True, False],
    ]
    assert "4 networks: 2 of a, 2 of b" in found.verdict and not found.differences


def test_other_seeds_of_one_network_are_no_gain(make_run: MakeRun) -> None:
    run = with_points(make_run(60), [(0.40, 300.0)])
    net = run.front[0]
    small = replace(net, id="other", metrics={**net.metrics, "error": 0.55, "lut": 200.0})
    three = replace(run, references=[], front=[replace(net, validation=[0.58, 0.60, 0.62]), small])
    two = replace(net, metrics={**net.metrics, "error": 0.39}, validation=[0.62, 0.60])
    fewer = replace(run, references=[], front=[two])
    found = compare_runs({"a": three, "b": fewer})
    assert "2 networks: 1 of a, 1 shared by a and b." in found.verdict
    assert found.points[1][0].metrics["error"] == 0.40 and found.points[1][0].joint
    assert "within the noise" in found.verdict or "more than the noise" in found.verdict
    # Other data are another training of the same network.
    changed = replace(fewer, config={**fewer.config, "data": {"set": "digits", "limit": 500}})
    alone = compare_runs({"a": three, "b": changed})
    assert alone.points[1][0].metrics["error"] == 0.39 and "1 of b" in alone.verdict


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (
            {"device": {"part": "lfe5u-25f"}},
            "The runs are for different parts, so their costs are not of one kind.",
        ),
        ({"cost_model": "finn"}, "The runs minimised costs of different models"),
    ],
)
def test_costs_of_other_hardware_are_not_shared(
    make_run: MakeRun, field: dict[str, object], said: str
) -> None:
    one = with_points(make_run(60), [(0.40, 300.0)])
    other = with_points(replace(one, config={**one.config, **field}), [(0.40, 600.0)])
    found = compare_runs({"a": one, "b": other})
    assert [points[0].metrics["lut"] for points in found.points] == [300.0, 600.0]
    assert said in found.verdict and said not in compare_runs({"a": one, "b": one}).verdict


def test_hypervolumes_have_their_noise(make_run: MakeRun) -> None:
    run = replace(make_run(60), references=[])
    one, other = with_points(run, [(0.10, 300.0)]), with_points(run, [(0.11, 300.0), (0.3, 200.0)], 16)

    def spread(run: Run, deviation: float) -> Run:
        own = [0.9 - deviation, 0.9, 0.9 + deviation]
        return replace(run, front=[replace(net, validation=own) for net in run.front])

    quiet = compare_runs({"a": spread(one, 0.0001), "b": spread(other, 0.0001)})
    assert "more than the noise between training seeds" in quiet.verdict
    loud = compare_runs({"a": spread(one, 0.1), "b": spread(other, 0.1)})
    assert "within the noise between training seeds" in loud.verdict
    # The one network of a dominates (1 - y) of the box, whose height is 1.1 * 0.2; the corner in x is 1 / 11 away.
    assert loud.noise[0] == pytest.approx(0.1 / 3**0.5 / 0.22 / 11, rel=0.2)
    unknown = compare_runs(
        {name: replace(run, front=[replace(net, validation=[0.9, 0.8]) for net in run.front])
         for name, run in (("a", one), ("b", other))}
    )  # fmt: skip
    assert unknown.noise == [None, None] and "noise is unknown" in unknown.verdict
    assert unknown.volume(0) == f"{100 * unknown.volumes[0]:.1f}%" and "±" in loud.volume(0)
    assert loud.volume(0) in render_runs(loud)


def test_plugins_differ_by_their_code(make_run: MakeRun) -> None:
    run = make_run(60)
    config = {**run.config, "plugins": ["/a/my_ops.py"]}
    one = replace(run, config=config, plugins={"/a/my_ops.py": "0123456789abcdef"})
    elsewhere = replace(
        one, config={**config, "plugins": ["/b/my_ops.py"]}, plugins={"/b/my_ops.py": "0123456789abcdef"}
    )
    assert not compare_runs({"a": one, "b": elsewhere}).differences
    edited = replace(one, plugins={"/a/my_ops.py": "fedcba9876543210"})
    found = compare_runs({"a": one, "b": edited})
    assert found.differences == {"plugins.my_ops.py": ["0123456789abcdef", "fedcba9876543210"]}
    assert all(
        len(point.shared) == 1 for points in found.points for point in points
    )  # the function is another
    older = compare_runs({"a": one, "b": replace(one, plugins={})})
    assert older.differences == {"plugins.my_ops.py": ["0123456789abcdef", "not recorded"]}
    assert "The code of plugins of b is not recorded" in older.verdict and "not recorded" not in found.verdict


def test_fronts_that_were_cut_are_named(make_run: MakeRun) -> None:
    run = make_run(60)
    whole = {e.id for e in search_front(run)}
    front = [net for net in run.front if net.id in whole]
    run = replace(run, front=front, evaluations=[e for e in run.evaluations if e.id in {n.id for n in front}])
    found = compare_runs({"a": run, "b": replace(run, front=front[:1])})
    assert found.cuts == [
        f"The final trainings of b cover only 1 of the {len(front)} networks of the front, so its hypervolume is that of a "
        "part of its front."
    ]
    assert found.cuts[0] in found.verdict
    asked = replace(run, config={**run.config, "final": {"seeds": len(front[0].seeds) + 1}})
    (cut,) = compare_runs({"a": run, "b": asked}).cuts
    assert cut == f"The final trainings of b cover only 5 seeds instead of {len(front[0].seeds) + 1}."
    limited = replace(run, front=front[:1], config={**run.config, "final": {"networks": 1}})
    assert not compare_runs({"a": run, "b": limited}).cuts


def test_equal_networks_of_several_runs_are_all_on_the_joint_front(make_run: MakeRun) -> None:
    run = make_run(60)
    one = replace(run, config={**run.config, "plugins": ["my_ops.py"]}, plugins={"my_ops.py": "0" * 16})
    edited = replace(one, plugins={"my_ops.py": "f" * 16})
    found = compare_runs({"a": one, "b": edited})
    first, second = ([point.joint for point in points] for points in found.points)
    assert first == second and any(first)


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
