"""A build's record as a file: `build.json` in the build's folder."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from zerocross.reports.build_records import Build

BUILD = "build.json"
LAYOUT = 2  # to be raised whenever a record changes its meaning or loses a field

_BUILD = TypeAdapter(Build)


class UnreadableBuild(ValueError):
    """A folder without a build's record, or with one that is damaged or of another version; the message says which."""


def save_build(build: Build, folder: Path) -> Path:
    """Write a build's record into its folder, whole or not at all, and return its path."""
    path = folder / BUILD
    unfinished = path.with_suffix(".part")
    text = json.dumps({"layout": LAYOUT, **asdict(build)}, indent=1, allow_nan=False) + "\n"
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)
    return path


def load_build(folder: Path) -> Build:
    """Read a build's record back, from its folder or from the file itself.

    Raises:
        UnreadableBuild: if there is none, or it is damaged, or another version of zerocross wrote it.
    """
    path = folder if folder.is_file() else folder / BUILD
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UnreadableBuild(
            f"{folder} holds no build (there is no {BUILD} in it): `zerocross build` leaves one"
        ) from None
    except (OSError, ValueError) as error:
        raise UnreadableBuild(f"{path} cannot be read: {error}; build again") from None
    layout = record.pop("layout", None) if isinstance(record, dict) else None
    if layout is None:
        raise UnreadableBuild(f"{path} is not the record of a build: it has no layout number")
    if layout != LAYOUT:
        raise UnreadableBuild(
            f"{path} is of layout {layout}, and this version of zerocross reads layout {LAYOUT}: "
            "build again, or report with the version that built it"
        )
    try:
        return _BUILD.validate_python(record)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UnreadableBuild(f"{path} cannot be read: {place}: {first['msg']}; build again") from None
