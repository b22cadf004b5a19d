"""Reads records and arrays from files: one way for all files that are read back.

A damaged or hostile file raises `Unreadable` with one line, whatever it holds: no traceback, and no memory beyond a limit.
"""

import gzip
import json
import math
import os
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar

import numpy as np
from numpy.lib import format as npy
from pydantic import AfterValidator, TypeAdapter, ValidationError

MOST_TEXT = 1 << 28
"""Most bytes of a record's text."""

MOST_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
"""Most bytes of all arrays of a file: the memory of this machine."""

_MOST_DIGITS = 20

Record = TypeVar("Record")


class Unreadable(ValueError):
    """A file's content is damaged or too large; the message is one line that gives the reason, without the file."""


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        Unreadable: If it holds no JSON, is too large, or is nested too deeply.
        OSError: If it cannot be read.
    """
    if (size := path.stat().st_size) > MOST_TEXT:
        raise Unreadable(f"it has {size:,} bytes; at most {MOST_TEXT:,} are read")
    return parse_json(path.read_bytes())


def parse_json(text: bytes | str) -> Any:
    """Parse JSON.

    Raises:
        Unreadable: If it is no JSON, is nested too deeply, or has a whole number beyond 64 bits.
    """
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except Unreadable:
        raise
    except ValueError as error:  # also text that is not UTF-8
        raise Unreadable(f"it is no JSON: {reason(error)}") from None


def _whole(digits: str) -> int:
    if len(digits) <= _MOST_DIGITS and -(2**63) <= (number := int(digits)) < 2**64:
        return number
    raise Unreadable(f"it has the number {digits[:_MOST_DIGITS]}..., which is beyond 64 bits")


def read_gzip(path: Path) -> str:
    """Read a gzipped text.

    Raises:
        Unreadable: If it is damaged, or too large.
        OSError: If it cannot be read.
    """
    try:
        with gzip.open(path) as file:
            text = file.read(MOST_TEXT + 1)
            if len(text) > MOST_TEXT:
                raise Unreadable(f"it has more than {MOST_TEXT:,} bytes, which are not read")
            return text.decode()
    except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise Unreadable(reason(error)) from None


def _named(section: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(section.get("name"), str):
        raise ValueError("name: it must be a text")
    return section


NamedSection = Annotated[dict[str, Any], AfterValidator(_named)]
"""A section of a configuration that a record holds, such as a topology: its field `name` is a text."""


def as_record(adapter: TypeAdapter[Record], content: Any) -> Record:
    """Return content as a record.

    Raises:
        Unreadable: If a field is missing, or has another type; the message names the first one.
    """
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Unreadable(f"{place}: {first['msg']}" if place else first["msg"]) from None
    except (RecursionError, OverflowError) as error:
        raise Unreadable(reason(error)) from None


def read_arrays(
    path: Path, names: Iterable[str] | None = None, most: int = MOST_BYTES
) -> dict[str, np.ndarray]:
    """Read arrays of an .npz file, whose sizes are looked at first.

    Args:
        path: The file.
        names: Names of the arrays; None reads all. Names that the file lacks are left out.
        most: Most bytes of all of them in memory.

    Raises:
        Unreadable: If the file is damaged, holds pickled objects, or its arrays are too large.
        OSError: If it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            held = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            wanted = held if names is None else [name for name in names if name in held]
            total = 0
            for name in wanted:
                with archive.open(f"{name}.npy") as file:
                    total += _bytes(file, name)
                    _check_bytes(total, most)
            found = {}
            for name in wanted:
                with archive.open(f"{name}.npy") as file:
                    found[name] = npy.read_array(file, allow_pickle=False)
            return found
    except (Unreadable, OSError):
        raise
    except Exception as error:  # zipfile, zlib and numpy raise many kinds for a damaged file
        raise Unreadable(reason(error)) from None


def names_of_arrays(path: Path) -> list[str]:
    """Return the names of the arrays of an .npz file.

    Raises:
        Unreadable: If the file is damaged.
        OSError: If it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except zipfile.BadZipFile as error:
        raise Unreadable(reason(error)) from None


def read_array(path: Path, most: int = MOST_BYTES) -> np.ndarray:
    """Read an .npy file, whose size is looked at first.

    Raises:
        Unreadable: If the file is damaged, holds pickled objects, or its array is too large.
        OSError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            _check_bytes(_bytes(file, "the array"), most)
            file.seek(0)
            return npy.read_array(file, allow_pickle=False)
    except (Unreadable, OSError):
        raise
    except Exception as error:  # numpy raises many kinds for a damaged file
        raise Unreadable(reason(error)) from None


def reason(error: BaseException) -> str:
    """Return an error's message in one line of at most 300 characters."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _bytes(file: BinaryIO | Any, name: str) -> int:
    """Return the bytes that an array has in memory by its header."""
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise Unreadable(f"{name} holds pickled objects, which are not read")
    if any(size < 0 for size in shape):
        raise Unreadable(f"{name} has the shape {shape}")
    return math.prod(shape) * dtype.itemsize


def _check_bytes(total: int, most: int) -> None:
    if total > most:
        raise Unreadable(f"its arrays have {total:,} bytes; at most {most:,} are read")
