"""Atomic writing: files are whole or absent, and what killed processes left is removed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zerocross.writing import remove_leftovers, replacing, replacing_folder

_KILLED = """
import os, signal, sys
from pathlib import Path
from zerocross.writing import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_file_is_whole_or_as_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as temporary:
        temporary.write_text("one")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("two")
        raise KeyError
    assert path.read_text() == "one" and os.listdir(tmp_path) == ["file"]


def test_a_folder_is_whole_or_as_before(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for content in ("one", "two"):
        with replacing_folder(path) as temporary:
            temporary.mkdir()
            (temporary / content).touch()
        assert os.listdir(path) == [content]
    with pytest.raises(KeyError), replacing_folder(path) as temporary:
        temporary.mkdir()
        raise KeyError
    assert os.listdir(path) == ["two"] and os.listdir(tmp_path) == ["folder"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _KILLED, tmp_path / "file"], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".file.") and left.suffix == ".tmp"
    own = tmp_path / f".file.{os.getpid()}.tmp"  # of a process that runs
    (tmp_path / left.name.replace(".file.", ".folder.")).mkdir()
    others = [own, tmp_path / ".file.tmp", tmp_path / "file.1.tmp"]
    for path in others:
        path.touch()
    remove_leftovers(tmp_path, age=60)
    assert left.exists()
    os.utime(left, (time.time() - 100,) * 2)
    remove_leftovers(tmp_path, age=60)
    assert len(list(tmp_path.iterdir())) == len(others) + 1  # the folder is young
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(others)
    remove_leftovers(tmp_path / "absent")
