"""Atomic writing of files: a file appears under its name only when it is complete."""

import os
import re
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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with suppress(OSError):  # in a read-only place there is nothing to remove
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, age: float = 0) -> None:
    """Remove the temporary files that killed processes left directly in a folder.

    Args:
        folder: The folder.
        age: Least age of such a file, seconds. A folder that several machines write to needs one, because the processes of
            another machine look as if they had ended.
    """
    with suppress(OSError):  # what cannot be removed disturbs nobody
        for entry in os.scandir(folder):
            found = _TEMPORARY.fullmatch(entry.name)
            if found and not _runs(int(found[1])) and time.time() - entry.stat().st_mtime >= age:
                os.unlink(entry.path)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True
