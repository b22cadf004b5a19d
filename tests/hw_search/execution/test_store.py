import hashlib
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.store import LAYOUT, Store


def test_what_is_put_is_there_again_and_never_changes(tmp_path: Path) -> None:
    with Store(tmp_path / "run") as store:
        assert store.damaged == 0 and len(store) == 0
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
    with pytest.raises(UserError, match=r"(?s)store.sqlite is damaged .*move it away") as raised:
        Store(tmp_path)
    assert "database main" not in str(raised.value)  # which SQLite says ahead of the damage itself
    path.write_bytes(b"no database at all, but long enough to look at" * 40)
    with pytest.raises(UserError, match="is damaged"):
        Store(tmp_path)


def small_store(folder: Path) -> Path:
    with Store(folder) as store:
        for number in range(50):
            store.put(f"{number:02}", {"status": "ok", "accuracy": 0.125, "crossings": {"a": [number]}})
        store.add_sitting(0.0, 2.5)
    return folder / "store.sqlite"


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        ("UPDATE evaluations SET result = replace(result, '0.125', '0.925') WHERE key < '03'", 3),
        ("UPDATE evaluations SET key = '99' WHERE key = '07'", 1),
        ("UPDATE evaluations SET key = CAST(key AS BLOB) WHERE key = '07'", 1),
        ("UPDATE evaluations SET result = CAST(x'c3287b' AS TEXT) WHERE key = '07'", 1),
        ("UPDATE evaluations SET result = 3, made = 'x' WHERE key = '07'", 1),
        ("UPDATE evaluations SET made = made + 1", 50),
        (
            "UPDATE evaluations SET digest = (SELECT digest FROM evaluations WHERE key = '01') WHERE key = '02'",
            1,
        ),
    ],
)
def test_a_row_that_does_not_match_its_digest_is_dropped(damage: str, lost: int, tmp_path: Path) -> None:
    path = small_store(tmp_path)
    with sqlite3.connect(path) as base:
        base.execute(damage)
    base.close()
    with Store(tmp_path) as store:
        assert store.damaged == lost and len(store) == 50 - lost and store.seconds() == 2.5
        found = {number: store.get(f"{number:02}") for number in range(50)}
        assert sum(result is None for result in found.values()) == lost
        assert all(result is None or result["crossings"]["a"] == [number] for number, result in found.items())
    with Store(tmp_path) as store:
        assert store.damaged == 0 and len(store) == 50 - lost


def test_rows_out_of_order_are_found_again(tmp_path: Path) -> None:
    path = small_store(tmp_path)
    content = path.read_bytes()
    rows = [content.index(b"%02d{" % number) for number in (20, 30)]
    end = content.index(b"}}", rows[0]) - rows[0] + 2 + 8 + 32  # the result, the time and the digest
    first, second = (content[row : row + end] for row in rows)
    swapped = content.replace(first, b"?" * end).replace(second, first).replace(b"?" * end, second)
    path.write_bytes(swapped)
    with Store(tmp_path) as store:
        assert store.damaged == 0
        assert all(store.get(f"{number:02}") is not None for number in range(50))


def test_a_damaged_time_is_dropped(tmp_path: Path) -> None:
    path = small_store(tmp_path)
    with sqlite3.connect(path) as base:
        base.execute("UPDATE sittings SET seconds = -82770")
    base.close()
    with Store(tmp_path) as store:
        assert store.seconds() == 0 and store.damaged == 0


def test_flipped_bits_give_the_same_results_or_one_message(tmp_path: Path) -> None:
    path, rng = small_store(tmp_path), random.Random(0)
    sound = path.read_bytes()
    with Store(tmp_path) as store:
        results = {f"{number:02}": store.get(f"{number:02}") for number in range(50)}
    kept = 0
    for _ in range(60):
        content = bytearray(sound)
        for _ in range(rng.choice([1, 1, 5])):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        try:
            with Store(tmp_path) as store:
                found = {key: store.get(key) for key in results}
                lost = sum(result is None for result in found.values())
                assert lost <= store.damaged
                assert all(found[key] in (None, results[key]) for key in results)
                kept += 1
        except UserError as error:
            assert str(error).startswith(str(path)) and "move" in str(error) and str(error).isprintable()
    assert kept > 20


def test_a_truncated_file_is_damaged(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for number in range(200):
            store.put(str(number), {"text": "x" * 200})
    path = tmp_path / "store.sqlite"
    path.write_bytes(path.read_bytes()[: 4096 * 2])
    with pytest.raises(UserError, match="is damaged"):
        Store(tmp_path)


def test_a_file_without_tables_is_damaged_unless_it_is_new(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.touch()
    with Store(tmp_path) as store:
        store.put("a", {"status": "ok"})
    base = sqlite3.connect(path)
    base.execute("DROP TABLE evaluations")
    base.execute("DROP TABLE sittings")
    base.close()
    with pytest.raises(UserError, match="is damaged .*its tables are not those of a store"):
        Store(tmp_path)


def test_another_layout_is_named(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put("a", {"status": "ok"})
    for layout, made in ((2, "an earlier"), (99, "a later")):
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
        with pytest.raises(UserError, match="disk is full or failing .*free some space"):
            for number in range(1000):
                store.put(str(number), {"text": "x" * 500})
    with Store(tmp_path) as store:
        assert store.get("kept") == {"accuracy": 1}


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store._base.execute("PRAGMA query_only = ON")
        with pytest.raises(UserError, match="cannot be opened for writing .*check its permissions"):
            store.put("a", {"accuracy": 1})


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Store(tmp_path / "file" / "run")


def test_a_result_is_replaced_only_where_that_is_asked_for(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put("a", {"accuracy": 1})
        store.put("a", {"accuracy": 2}, replace=True)
        store.put("b", {"accuracy": 3}, replace=True)
        store.put("a", {"accuracy": 4}, replace=False)
        assert [store.get(key) for key in "ab"] == [{"accuracy": 2}, {"accuracy": 3}] and len(store) == 2


def test_times_add_up(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert store.seconds() == 0
        for started, seconds in ((10.0, 1.5), (20.0, 0.25), (10.0, 1.5)):
            store.add_sitting(started, seconds)
    with Store(tmp_path) as store:
        assert store.seconds() == 3.25 and store.damaged == 0


@pytest.mark.parametrize("layout", [LAYOUT - 1, LAYOUT + 1, 0, -1])
def test_the_next_layouts_are_refused_and_left_alone(layout: int, tmp_path: Path) -> None:
    path = small_store(tmp_path)
    base = sqlite3.connect(path)
    base.execute(f"PRAGMA user_version = {layout}")
    base.close()
    before, made = path.read_bytes(), "an earlier" if layout < LAYOUT else "a later"
    with pytest.raises(UserError, match=rf"by {made} version .*layout {layout}, this one reads {LAYOUT}\)"):
        Store(tmp_path)
    assert path.read_bytes() == before


def test_a_file_of_other_tables_is_no_store(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "store.sqlite")
    base.execute("CREATE TABLE evaluations (key TEXT)")
    base.execute(f"PRAGMA user_version = {LAYOUT}")
    base.close()
    with pytest.raises(UserError, match="its tables are not those of a store"):
        Store(tmp_path)


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (
            "database or disk is full",
            "the disk is full or failing (database or disk is full): free some space",
        ),
        ("disk I/O error", "the disk is full or failing (disk I/O error): free some space"),
        ("attempt to write a readonly database", "cannot be opened for writing (attempt to write a readonly"),
        (
            "unable to open database file",
            "cannot be opened for writing (unable to open database file): check",
        ),
        ("malformed \x1b[31m\n\0", "is damaged (malformed ?[31m??): move it away"),
        ("x" * 101, f"is damaged ({'x' * 100}): move it away"),
    ],
)
def test_what_sqlite_says_is_told_in_one_message(says: str, message: str, tmp_path: Path) -> None:
    class Failing:
        """A base that fails."""

        def execute(self, *_: object) -> None:
            raise sqlite3.OperationalError(says)

        def __enter__(self) -> None:
            return None

        def __exit__(self, *_: object) -> None:
            return None

    store = Store(tmp_path)
    calls = (
        lambda: store.get("a"),
        lambda: len(store),
        lambda: store.put("a", {"accuracy": 1}),
        lambda: store.add_sitting(0.0, 1.0),
        store.seconds,
    )
    store._base = Failing()  # type: ignore[assignment]
    for call in calls:
        with pytest.raises(UserError) as raised:
            call()
        assert str(raised.value).startswith(f"{tmp_path / 'store.sqlite'} ")
        assert message in str(raised.value)
    store.close()


def test_every_row_has_its_digest(tmp_path: Path) -> None:
    """128 bits of the other columns."""
    path = small_store(tmp_path)
    base = sqlite3.connect(path)
    for table, columns in (("evaluations", "key, result, made"), ("sittings", "started, seconds")):
        for *content, digest in base.execute(f"SELECT {columns}, digest FROM {table}"):
            right = hashlib.blake2b(repr(tuple(content)).encode(), digest_size=16).hexdigest()
            assert digest == right
    base.close()
