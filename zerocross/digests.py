"""Digests of a folder's files, as they were made. A file that was changed is noticed before it is read back or executed.

The folder of a run or build is a program: plugins are imported, SystemVerilog is compiled, and records say what to do with
which file. `digests.json` in the folder lists the digests of these files. It shows damage and edits, and which file has
them. It is no signature: whoever changes the folder can change the list, too.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter

from zerocross.reading import Unreadable, as_record, read_json
from zerocross.writing import replacing

DIGESTS = "digests.json"
"""The list, in the folder: `{"files": {name: digest}}`. Names are relative to the folder, or absolute outside it."""

_CONTENT = TypeAdapter(dict[str, dict[str, str]])


class Changed(ValueError):
    """A file of a folder was changed since it was made; the message names it and the remedy."""


def digest_of(file: Path) -> str:
    """Return a digest of a file's content.

    Raises:
        OSError: If it cannot be read.
    """
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def write_digests(folder: Path, names: Iterable[str]) -> None:
    """List the digests of files that were just made. Names of files that do not exist are left out.

    Args:
        folder: The folder.
        names: Files to list, relative to the folder, or absolute.

    Raises:
        OSError: If the list cannot be written.
    """
    files = {name: digest_of(folder / name) for name in sorted(set(names)) if (folder / name).is_file()}
    with replacing(folder / DIGESTS) as temporary:
        temporary.write_text(json.dumps({"files": files}, indent=1) + "\n", encoding="utf-8")


def check_digests(folder: Path, remedy: str, names: Iterable[str] | None = None) -> None:
    """Check that files are as they were made.

    Args:
        folder: The folder.
        remedy: Imperative for the message: how to make the files again, or to use them as they are.
        names: Files to check, as in `write_digests`; None checks all that are listed. A file that does not exist is left to
            its reader, unless all are checked.

    Raises:
        Changed: If a file differs, or its digest is not listed.
    """
    path = folder / DIGESTS
    try:
        listed = as_record(_CONTENT, read_json(path)).get("files", {})
    except FileNotFoundError:
        raise Changed(
            f"{folder} has no {DIGESTS}, the list of its files as they were made (an earlier version wrote none, and an "
            f"interrupted command may leave none): {remedy}"
        ) from None
    except (OSError, Unreadable) as error:
        raise Changed(f"{path} cannot be read ({error}): {remedy}") from None
    for name in listed if names is None else names:
        file = folder / name
        if names is not None and not file.exists():
            continue
        try:
            if digest_of(file) == listed.get(name):
                continue
            what = f"was changed since {folder} was made, or the command that made it was interrupted"
        except OSError as error:
            what = f"cannot be read ({error.strerror})"
        raise Changed(f"{file} {what}: {remedy}")
