"""A folder of files named by a digest of everything that determines them. Processes share it; its size is bounded."""

import hashlib
import os
import shutil
from collections.abc import Iterable
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
        file, partial = self.folder / name, _partial(target)
        try:
            shutil.copyfile(file, partial)
            shutil.copymode(file, partial)
            os.utime(file)
        except FileNotFoundError:  # never put there, or removed by another process
            partial.unlink(missing_ok=True)
            return False
        partial.replace(target)
        return True

    def put(self, name: str, file: Path) -> None:
        """Copy a complete file into the cache, and remove the least recently used ones if the cache grows too large."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = _partial(self.folder / name)
        shutil.copyfile(file, partial)
        shutil.copymode(file, partial)
        partial.replace(self.folder / name)
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


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")
