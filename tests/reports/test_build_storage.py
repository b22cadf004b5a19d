import json
from dataclasses import replace

import pytest

from tests.reports.builds import make_build, make_long_build
from zerocross.reports.build_records import Build
from zerocross.reports.build_storage import BUILD, LAYOUT, UnreadableBuild, load_build, save_build
from zerocross.reports.storage import PARETO, UnreadableRun, load_run


@pytest.mark.parametrize("build", [make_build(), make_long_build(), Build("bare", "x")], ids=lambda b: b.name)
def test_a_build_comes_back_as_it_was_saved(build, tmp_path):
    path = save_build(build, tmp_path)
    assert path == tmp_path / BUILD
    assert load_build(tmp_path) == build
    assert load_build(path) == build
    assert [file.name for file in tmp_path.iterdir()] == [BUILD]  # nothing half-written is left


def test_the_file_is_plain_json_with_its_layout_first(tmp_path):
    record = json.loads(save_build(make_build(), tmp_path).read_text())
    assert next(iter(record)) == "layout"
    assert record["nodes"][1]["synthesis"]["7-series"]["lut"] == 300
    assert record["certificate"]["checks"][0]["differences"] == 0


def test_a_folder_without_a_build_is_named(tmp_path):
    with pytest.raises(UnreadableBuild, match="holds no build.*zerocross build"):
        load_build(tmp_path)


def test_another_layout_is_refused_with_both_numbers(tmp_path):
    path = save_build(make_build(), tmp_path)
    path.write_text(path.read_text().replace(f'"layout": {LAYOUT}', f'"layout": {LAYOUT + 6}'))
    with pytest.raises(UnreadableBuild, match=f"layout {LAYOUT + 6}.*reads layout {LAYOUT}.*Build again"):
        load_build(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:200], "cannot be read"),
        (lambda text: "[1, 2]", "no layout number"),
        (lambda text: '{"name": "x"}', "no layout number"),
        (lambda text: text.replace('"ii_estimate": 32', '"ii_estimate": "many"'), r"nodes\.1\.ii_estimate"),
        (lambda text: text.replace('"done"', '"perhaps"', 1), r"stages\.0\.state"),
        (lambda text: "\udcff", "cannot be read"),
    ],
)
def test_damage_is_reported_in_one_line(damage, message, tmp_path):
    path = save_build(make_build(), tmp_path)
    path.write_text(damage(path.read_text()), encoding="utf-8", errors="surrogateescape")
    with pytest.raises(UnreadableBuild, match=message) as caught:
        load_build(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_number_that_is_none_is_not_written(tmp_path):
    save_build(make_build(), tmp_path)
    before = (tmp_path / BUILD).read_text()
    with pytest.raises(ValueError, match="JSON"):
        save_build(replace(make_build(), clock_mhz=float("nan")), tmp_path)
    assert (tmp_path / BUILD).read_text() == before


def test_a_record_that_is_nested_too_deeply_is_refused(tmp_path):
    save_build(make_build(), tmp_path).write_text("[" * 100_000)
    with pytest.raises(
        UnreadableBuild, match=r"build.json cannot be read: it is nested too deeply. Build again"
    ):
        load_build(tmp_path)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"layout": 3, "front": 5}', b"[]", b"\xff"])
def test_a_runs_record_is_read_the_same_way(content, tmp_path):
    (tmp_path / PARETO).write_bytes(content)
    with pytest.raises(UnreadableRun, match=r"pareto.json cannot be read: \w+") as raised:
        load_run(tmp_path)
    assert "\n" not in str(raised.value)
