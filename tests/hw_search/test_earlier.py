"""Results of earlier configurations, beside those of the present one."""

from pathlib import Path
from typing import Any

import pytest

from tests.hw_search.conftest import CONTENT, InProcess, merged
from zerocross import rebuild, search
from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.earlier import (
    differences,
    digest,
    earlier_results,
    keep_other_front,
    remark,
    set_aside,
)
from zerocross.hw_search.execution.code_version import plugin_digests
from zerocross.hw_search.watcher import Silent
from zerocross.reports.storage import REPORT, UnreadableRun, contents, load_run


def changed(change: dict[str, Any]) -> Config:
    return make_config(merged(CONTENT, change))


class Notes(Silent):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def test_places_and_execution_do_not_name_a_configuration() -> None:
    own = digest(changed({}))
    for same in ({"output": "elsewhere"}, {"search": {"workers": 7}}, {"build": {"targets": ["icebreaker"]}}):
        assert digest(changed(same)) == own
    for other in ({"search": {"generations": 3}}, {"topology": {"hidden": {"choose": [[8], [24]]}}}):
        assert digest(changed(other)) != own


def test_what_changed_is_named_by_field() -> None:
    found = differences(changed({}), changed({"search": {"generations": 3}, "training": {"epochs": 4}}))
    assert found == ["training.epochs 2, now 4", "search.generations 2, now 3"]
    (choice,) = differences(changed({}), changed({"topology": {"hidden": {"choose": [[8], [24]]}}}))
    assert choice == "topology.hidden {choose: [[8], [16]]}, now {choose: [[8], [24]]}"


def test_a_changed_configuration_keeps_the_former_front(tmp_path: Path) -> None:
    base = merged(CONTENT, {"output": str(tmp_path), "search": {"generations": 1}, "final": {"seeds": 1}})
    first = search(make_config(base), executor=InProcess())
    notes = Notes()
    second = search(make_config(merged(base, {"final": {"seeds": 2}})), notes, InProcess())
    assert "final.seeds 1, now 2" in notes.texts[0] and second.replayed > 0
    (place,) = earlier_results(first.folder)
    assert str(place) in notes.texts[0] and place.name == digest(make_config(base))
    former = load_run(place)
    assert former == first.run
    page = (place / REPORT).read_text()
    for net in former.front:
        rebuild(place, net.id)
        assert f"zerocross build {place} --pick {net.id} " in page
    assert f"zerocross build {first.folder} --pick" not in page
    assert "final.seeds 1, now 2" in second.run.remarks[-1]

    third = search(make_config(base))  # back again: everything is in the store
    assert third.trained == 0 and third.front == first.front
    assert len(earlier_results(first.folder)) == 2
    fourth = search(make_config(merged(base, {"final": {"seeds": 2}})))
    assert fourth.trained == 0 and len(earlier_results(first.folder)) == 2  # the same results are kept once


def test_a_changed_plugin_is_named(tiny_run: Path, tmp_path: Path) -> None:
    import shutil
    from dataclasses import replace

    plugin, folder = tmp_path / "my_ops.py", tmp_path / "run"
    plugin.write_text("scale = 2  # a comment\n")
    now = plugin_digests((str(plugin),))
    plugin_digests.cache_clear()
    plugin.write_text("scale = 2\n")
    assert plugin_digests((str(plugin),)) == now  # comments are no code
    shutil.copytree(tiny_run, folder)
    tiny = load_run(folder)
    config = {**tiny.config, "plugins": [str(plugin)]}
    former = replace(tiny, config=config, plugins={str(plugin): "another"})
    for name, content in contents(former).items():
        (folder / name).write_text(content)
    checked = make_config(config)
    note = str(set_aside(folder, checked))
    assert note == f"Since {folder} was made, the code of my_ops.py changed: networks train again."
    assert not earlier_results(folder)
    changed_too = make_config(merged(config, {"final": {"seeds": 3}}))
    assert "final.seeds" in str(differences(checked, changed_too, former.plugins, now))
    assert differences(checked, changed_too, former.plugins, now)[-1] == "the code of my_ops.py"
    assert differences(checked, checked, {}, now) == []  # an earlier version recorded none
    assert differences(make_config(tiny.config), checked, {}, now) == ["now with the plugin my_ops.py"]
    other = replace(former, plugins=now, front=[replace(net, test=[0.5]) for net in former.front])
    assert "(the code of my_ops.py changed)" in str(keep_other_front(folder, other))
    assert "the code of my_ops.py" in remark(folder, checked)[0]


def test_another_front_of_the_same_configuration_is_kept_too(tiny_run: Path, tmp_path: Path) -> None:
    import shutil
    from dataclasses import replace

    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    run = load_run(folder)
    assert keep_other_front(folder, run) is None and set_aside(folder, make_config(run.config)) is None
    other = replace(run, front=[replace(net, test=[0.5]) for net in run.front])
    assert "differs from the former one" in str(keep_other_front(folder, other))
    (place,) = earlier_results(folder)
    assert load_run(place) == run
    with pytest.raises(UnreadableRun, match=f"earlier configurations are in {place}"):
        load_run(folder)
    (folder / "x").mkdir()
    with pytest.raises(UnreadableRun, match="does not exist"):
        load_run(folder / "nowhere")
