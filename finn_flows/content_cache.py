"""A folder of files named by a digest of everything that determines them. Processes share it; its size is bounded."""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zerocross.writing import remove_leftovers, replacing

_SEAL = 16  # bytes of the digest at the end of a file
OLD = 3600.0
"""Least age in seconds of what killed processes left in a cache; machines may share a home folder."""


@dataclass(frozen=True)
class ContentCache:
    """A cache of files by content.

    A file appears in the cache only when it is complete. Files that were used last are kept. Each file ends with a digest of
    its content, so that a damaged one is not taken.

    Attributes:
        folder: Folder of the cache, which holds nothing else.
        most: Largest size of all files together, bytes.
    """

    folder: Path
    most: int = 1 << 30

    def take(self, name: str, target: Path) -> bool:
        """Copy a file to a target, atomically. Return False if the cache does not hold it whole."""
        file = self.folder / name
        try:
            stored, mode = file.read_bytes(), file.stat().st_mode
        except FileNotFoundError:  # never put there, or removed by another process
            return False
        content, seal = stored[:-_SEAL], stored[-_SEAL:]
        if seal != _seal(content):  # damaged; `put` will replace it
            return False
        _write(content, mode, target)
        with suppress(FileNotFoundError):
            os.utime(file)
        return True

    def put(self, name: str, file: Path) -> None:
        """Copy a complete file into the cache, and remove the least recently used ones if the cache grows too large."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = file.read_bytes()
        _write(content + _seal(content), file.stat().st_mode, self.folder / name)
        self._trim()

    def _trim(self) -> None:
        remove_leftovers(self.folder, OLD)
        found = []
        for file in self.folder.iterdir():
            try:
                found.append((file.stat().st_mtime_ns, file.stat().st_size, file))
            except FileNotFoundError:
                continue
        total = sum(size for _, size, _ in found)
        for _, size, file in sorted(found):
            if total <= self.most:
                break
            file.unlink(missing_ok=True)
            total -= size


def digest(parts: Iterable[str | bytes]) -> str:
    """Return a name for what the parts determine. Different sequences of parts have different names."""
    found = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        found.update(b"%d:" % len(data) + data)
    return found.hexdigest()[:32]


def _seal(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_SEAL).digest()


def _write(content: bytes, mode: int, target: Path) -> None:
    """Write a file atomically. An error, such as a full disk, leaves nothing."""
    with replacing(target) as partial:
        partial.write_bytes(content)
        partial.chmod(mode & 0o777)
