"""A build's record as a file: `build.json` in the build's folder."""

import json
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter

from zerocross.reading import Unreadable, as_record, read_json
from zerocross.reports.build_records import Build
from zerocross.writing import replacing

BUILD = "build.json"
LAYOUT = 2  # raise it whenever a record changes its meaning or loses a field

_BUILD = TypeAdapter(Build)


class UnreadableBuild(ValueError):
    """A build's record that is missing, damaged or of another version; the message says which."""


def save_build(build: Build, folder: Path) -> Path:
    """Write a build's record into its folder atomically, and return its path."""
    path = folder / BUILD
    text = json.dumps({"layout": LAYOUT, **asdict(build)}, indent=1, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def load_build(folder: Path) -> Build:
    """Read a build's record, given its folder or the file itself.

    Raises:
        UnreadableBuild: If there is no record, it is damaged, or another version of zerocross wrote it.
    """
    path = folder if folder.is_file() else folder / BUILD
    try:
        record = read_json(path)
    except FileNotFoundError:
        raise UnreadableBuild(
            f"{folder} holds no build: it has no {BUILD}. Run `zerocross build`, or name the folder of a build"
        ) from None
    except (OSError, ValueError) as error:
        raise UnreadableBuild(f"{path} cannot be read: {error}. Build again") from None
    layout = record.pop("layout", None) if isinstance(record, dict) else None
    if layout is None:
        raise UnreadableBuild(f"{path} is not a build's record: it has no layout number")
    if layout != LAYOUT:
        raise UnreadableBuild(
            f"{path} has layout {layout}, but this version of zerocross reads layout {LAYOUT}. "
            "Build again, or report with the version that built it"
        )
    try:
        return as_record(_BUILD, record)
    except Unreadable as error:
        raise UnreadableBuild(f"{path} cannot be read: {error}. Build again") from None
