"""Atomic writing of files, and locks on folders."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zerocross import digests, writing
from zerocross.hw_search.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to. It is renamed to the final path only if no error occurs.

    Raises:
        UserError: If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing.replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error})") from None


def write_digests(folder: Path, names: Iterable[str]) -> None:
    """List the digests of a folder's files; see `zerocross.digests.write_digests`.

    Raises:
        UserError: If the list cannot be written.
    """
    try:
        digests.write_digests(folder, names)
    except OSError as error:
        raise UserError(f"{folder / digests.DIGESTS} cannot be written ({error.strerror or error})") from None


@contextmanager
def holding(folder: Path, remedy: str) -> Iterator[None]:
    """Lock a folder for this process. The folder is created if it does not exist.

    Temporary files that killed processes left in it, or in a folder directly in it, are removed.

    Args:
        folder: Folder to lock. The file `lock` in it holds the process number of the owner.
        remedy: Imperative for the error message: what the user can do instead of waiting.

    Raises:
        UserError: If another process holds the lock, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): {remedy}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            raise UserError(
                f"{folder} is in use by another zerocross (process {holder}): wait until it ends, or {remedy}"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        for place in (folder, *(each for each in folder.iterdir() if each.is_dir())):
            writing.remove_leftovers(place)
        yield
    finally:
        os.close(lock)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
