import os
from pathlib import Path

import pytest

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.files import holding, replacing, write_digests, write_text


def test_a_list_of_digests_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "digests.json" / "inside").mkdir(parents=True)
    with pytest.raises(UserError, match=r"digests\.json cannot be written"):
        write_digests(tmp_path, [])


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    write_text(path, "old")
    write_text(path, "new")
    assert path.read_text() == "new" and os.listdir(path.parent) == ["page.html"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match=r"page.html cannot be written \(No space left on device\)"):
        write_text(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["page.html"]


def test_an_interruption_leaves_nothing_half_written(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "weights") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        write_text(tmp_path / "page.html", "new")


def test_what_killed_processes_left_is_removed_from_a_folder_in_use(tmp_path: Path) -> None:
    ended = 2**22 + 1  # more than Linux numbers processes
    left = [tmp_path / f".a.json.{ended}.tmp", tmp_path / "stages" / f".b.json.{ended}.tmp"]
    kept = [tmp_path / "a.json", tmp_path / f".a.json.{os.getpid()}.tmp"]
    (tmp_path / "stages").mkdir()
    for path in [*left, *kept]:
        path.touch()
    with holding(tmp_path, "wait"):
        assert not any(path.exists() for path in left) and all(path.exists() for path in kept)
