"""Controls: how they train, that they are cached, and what a report says of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.hw_search.strategies.test_halving import Instant, configured
from zerocross.hw_search.commands.output import print_run
from zerocross.hw_search.controls import SHIFTED, controls
from zerocross.hw_search.evaluator import plain_sign
from zerocross.hw_search.pipeline import search
from zerocross.hw_search.space import Candidate, Space
from zerocross.reports.page import render
from zerocross.reports.storage import load_run

ALL = ("shifted", "polynomial", "tanh")
WINDOW = {"surrogate": "window"}


def sign(**training: object) -> Candidate:
    config = configured(Path("runs"), training={**WINDOW, **training})
    return plain_sign(Space(config, (1, 8, 8), 10).candidate((1, 1, 0)))


def test_each_control_changes_one_thing() -> None:
    plain = sign(surrogate_width=1.5)
    found = controls(plain, ALL)
    assert [*found] == [*ALL]
    assert found["shifted"] == replace(plain, expressions=(SHIFTED,))
    for name in ("polynomial", "tanh"):
        assert found[name].expressions == plain.expressions and found[name].topology == plain.topology
        assert found[name].training == {**plain.training, "surrogate": name, "surrogate_width": None}
    assert len({candidate.network_key for candidate in [plain, *found.values()]}) == 4


@pytest.mark.parametrize(
    ("training", "left"),
    [
        ({"surrogate": "polynomial"}, ["shifted", "tanh"]),
        ({"method": "self_binarizing"}, ["shifted"]),
    ],
)
def test_a_surrogate_that_changes_nothing_is_no_control(training: dict[str, str], left: list[str]) -> None:
    assert [*controls(sign(**training), ALL)] == left


def test_a_network_without_activations_has_no_controls() -> None:
    wired = {"name": "hardwired", "widths": [20], "input_bits": 1}
    assert controls(replace(sign(), topology={**wired, "neurons": "tables"}), ALL) == {}
    assert [*controls(replace(sign(), topology=wired), ALL)] == [*ALL]


def test_controls_stand_beside_the_plain_signs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    executor = Instant()
    config = configured(tmp_path, search={"generations": 1, "rungs": []}, training=WINDOW)
    result = search(config, executor=executor)
    run = result.run
    assert {(c.sign, c.name) for c in run.controls} == {(s.id, name) for s in run.references for name in ALL}
    for control in run.controls:
        works = [work for work in executor.works if work.final and work.expressions == tuple(control.trained)]
        works = [work for work in works if work.settings.surrogate == control.surrogate]
        assert sorted(work.seed for work in works) == control.seeds == run.references[0].seeds
        assert control.surrogate == ("window" if control.name == "shifted" else control.name)
        assert control.trained == (["sub(x, 0.65)"] if control.name == "shifted" else ["x"])
        assert not any(work.weights for work in works)
    again = Instant()
    assert search(config, executor=again).run.controls == run.controls
    # This executor writes no weights, so the networks themselves train again.
    assert all(work.weights for work in again.works)
    assert load_run(result.folder).controls == run.controls
    page = render(run)
    assert all(f"<th>With {text}</th>" in page for text in ("a shifted start", "the surrogate gradient tanh"))
    table = page.partition('<details id="controls">')[2].partition("</details>")[0]
    assert table.count("<tr>") == 1 + len(run.references)  # a row for each plain sign
    assert "against its best <" in page and "best control: " in page
    print_run(run)
    printed = capsys.readouterr().out
    assert printed.count("a shifted start") == 1 and "above their plain signs" in printed


def test_without_controls_nothing_more_is_trained(tmp_path: Path) -> None:
    few, many = Instant(), Instant()
    change = {"search": {"generations": 1, "rungs": []}}
    result = search(configured(tmp_path / "few", **change, final={"controls": []}), executor=few)
    search(configured(tmp_path / "many", **change, final={"controls": ["tanh"]}), executor=many)
    assert not result.run.controls
    assert len(many.works) - len(few.works) == len(result.run.references) * len(
        result.run.references[0].seeds
    )
