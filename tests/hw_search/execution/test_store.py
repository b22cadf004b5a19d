import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.store import Store


def test_what_is_put_is_there_again_and_never_changes(tmp_path: Path) -> None:
    with Store(tmp_path / "run") as store:
        store.put("a", {"accuracy": 0.5})
        store.put("a", {"accuracy": 0.9})
        store.add_sitting(0.0, 2.5)
    with Store(tmp_path / "run") as store:
        assert store.get("a") == {"accuracy": 0.5} and store.get("b") is None
        assert len(store) == 1 and store.seconds() == 2.5


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from zerocross.hw_search.execution.store import Store; Store(Path(sys.argv[1]))"
    )
    with Store(tmp_path):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
        )
    assert f"in use by another zerocross (process {os.getpid()})" in done.stderr
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for number in range(200):
            store.put(str(number), {"text": "x" * 200})
    path = tmp_path / "store.sqlite"
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 3] = b"\x5a" * 8192
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"(?s)store.sqlite is damaged .*move it away"):
        Store(tmp_path)
    path.write_bytes(b"no database at all, but long enough to look at" * 40)
    with pytest.raises(UserError, match="is damaged"):
        Store(tmp_path)


def test_a_truncated_file_is_damaged(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for number in range(200):
            store.put(str(number), {"text": "x" * 200})
    path = tmp_path / "store.sqlite"
    path.write_bytes(path.read_bytes()[: 4096 * 2])
    with pytest.raises(UserError, match="is damaged"):
        Store(tmp_path)


def test_another_layout_is_named(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put("a", {"status": "ok"})
    for layout, made in ((1, "an earlier"), (99, "a later")):
        base = sqlite3.connect(tmp_path / "store.sqlite")
        base.execute(f"PRAGMA user_version = {layout}")
        base.close()
        message = rf"store.sqlite was made by {made} version .*layout {layout}, .* move the file away"
        with pytest.raises(UserError, match=message):
            Store(tmp_path)


def test_a_full_disk_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put("kept", {"accuracy": 1})
        pages = store._base.execute("PRAGMA page_count").fetchone()[0]
        store._base.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(UserError, match="disk is full"):
            for number in range(1000):
                store.put(str(number), {"text": "x" * 500})
    with Store(tmp_path) as store:
        assert store.get("kept") == {"accuracy": 1}


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Store(tmp_path / "file" / "run")
