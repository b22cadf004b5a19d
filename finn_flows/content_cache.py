"""A folder of files named by a digest of everything that determines them. Processes share it; its size is bounded."""

import hashlib
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ContentCache:
    """A cache of files by content.

    A file appears in the cache only when it is complete. Files that were used last are kept.

    Attributes:
        folder: Folder of the cache, which holds nothing else.
        most: Largest size of all files together, bytes.
    """

    folder: Path
    most: int = 1 << 30

    def take(self, name: str, target: Path) -> bool:
        """Copy a file to a target, atomically. Return False if the cache does not hold it."""
        file = self.folder / name
        try:
            _copy(file, target)
        except FileNotFoundError:  # never put there, or removed by another process
            return False
        with suppress(FileNotFoundError):
            os.utime(file)
        return True

    def put(self, name: str, file: Path) -> None:
        """Copy a complete file into the cache, and remove the least recently used ones if the cache grows too large."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _copy(file, self.folder / name)
        self._trim()

    def _trim(self) -> None:
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


def _copy(file: Path, target: Path) -> None:
    """Copy a file atomically. An error, such as a full disk, leaves nothing."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        shutil.copyfile(file, partial)
        shutil.copymode(file, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
