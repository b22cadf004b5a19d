"""The cache of files by content: what it gives back, what it drops, and that names tell contents apart."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from zerocross.finn_flows.content_cache import ContentCache, digest


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_what_was_put_is_taken(tmp_path: Path) -> None:
    cache, target = ContentCache(tmp_path / "cache"), tmp_path / "target"
    assert not cache.take("a", target) and not target.exists()
    file = _write(tmp_path / "file", "content")
    file.chmod(0o755)
    cache.put("a", file)
    file.unlink()
    assert cache.take("a", target)
    assert target.read_text() == "content" and os.access(target, os.X_OK)
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_least_recently_used_files_go(tmp_path: Path) -> None:
    cache, file = ContentCache(tmp_path / "cache", most=55), _write(tmp_path / "file", "x" * 10)
    for age, name in ((30, "old"), (20, "used")):
        cache.put(name, file)
        os.utime(cache.folder / name, (age, age))
    assert cache.take("old", tmp_path / "target")  # now the newest
    cache.put("new", file)
    assert {path.name for path in cache.folder.iterdir()} == {"old", "new"}


def test_parts_are_told_apart() -> None:
    assert digest(["ab", "c"]) != digest(["a", "bc"]) != digest(["abc"])
    assert digest(["a", b"b"]) == digest([b"a", "b"])


@pytest.mark.parametrize("change", [lambda text: b"", lambda text: text[:-1], lambda text: b"C" + text[1:]])
def test_a_damaged_file_is_not_taken(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    cache, file = ContentCache(tmp_path / "cache"), _write(tmp_path / "file", "content")
    cache.put("a", file)
    stored = cache.folder / "a"
    stored.write_bytes(change(stored.read_bytes()))
    assert not cache.take("a", tmp_path / "target") and not (tmp_path / "target").exists()
    cache.put("a", file)
    assert cache.take("a", tmp_path / "target")
