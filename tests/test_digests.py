"""Digests of a folder's files: what was changed is named, and what was not is accepted."""

from pathlib import Path

import pytest

from zerocross.digests import DIGESTS, Changed, check_digests, write_digests


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    (made / "sub").mkdir(parents=True)
    (made / "one").write_text("1")
    (made / "sub" / "two").write_text("2")
    (tmp_path / "plugin.py").write_text("x = 1")
    write_digests(made, ["one", "sub/two", "absent", str(tmp_path / "plugin.py")])
    return made


def test_what_was_not_changed_is_accepted(folder: Path) -> None:
    check_digests(folder, "make it again")
    check_digests(folder, "make it again", ["one", "absent"])
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("name", ["one", "sub/two", "../plugin.py"])
def test_what_was_changed_is_named(name: str, folder: Path) -> None:
    file = (folder / name).resolve()
    file.write_text("3")
    with pytest.raises(Changed, match=rf"{file.name} was changed since .*: make it again"):
        check_digests(folder, "make it again")


def test_only_the_files_in_question_count(folder: Path) -> None:
    (folder / "one").write_text("3")
    check_digests(folder, "make it again", ["sub/two"])
    (folder / "new").write_text("unlisted")
    with pytest.raises(Changed, match="new was changed"):
        check_digests(folder, "make it again", ["new"])


def test_a_file_that_is_gone_is_named(folder: Path) -> None:
    (folder / "one").unlink()
    with pytest.raises(Changed, match="one cannot be read"):
        check_digests(folder, "make it again")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"files": 3}', '{"files": {"one": 1}}', "[" * 100_000, "{}"]
)
def test_a_damaged_list_is_named(text: str, folder: Path) -> None:
    (folder / DIGESTS).write_text(text)
    with pytest.raises(Changed, match="digests.json cannot be read|one was changed"):
        check_digests(folder, "make it again", ["one"])
    (folder / DIGESTS).unlink()
    with pytest.raises(Changed, match="has no digests.json"):
        check_digests(folder, "make it again")
