"""Atomic writing: a file or folder appears under its name only when it is complete."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TEMPORARY = re.compile(r"\..+\.(\d+)\.tmp", re.DOTALL)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, `.NAME.PID.tmp`. It is renamed to the final path only if no error occurs.

    Raises:
        OSError: If the file cannot be written.
    """
    temporary = _temporary(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with suppress(OSError):  # in a read-only place there is nothing to remove
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary path for a folder, `.NAME.PID.tmp`. It takes the place of the final one only if no error occurs.

    Raises:
        OSError: If the folder cannot be written.
    """
    temporary = _temporary(path)
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path, age: float = 0) -> None:
    """Remove the temporary files and folders that killed processes left directly in a folder.

    Args:
        folder: The folder.
        age: Least age of such a file, seconds. A folder that several machines write to needs one, because the processes of
            another machine look as if they had ended.
    """
    with suppress(OSError):
        for entry in os.scandir(folder):
            found = _TEMPORARY.fullmatch(entry.name)
            if not found or _runs(int(found[1])):
                continue
            with suppress(OSError):  # what cannot be removed disturbs nobody
                if time.time() - entry.stat(follow_symlinks=False).st_mtime < age:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True
