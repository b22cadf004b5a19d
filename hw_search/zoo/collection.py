"""The entries of the zoo by name: those that come with the package, and the user's own."""

import os
from pathlib import Path

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.zoo import PREFIX
from zerocross.hw_search.zoo.entry import SUFFIX, Entry, load_entry
from zerocross.models.errors import nearest

PACKAGED = Path(__file__).parent / "entries"


def user_folder() -> Path:
    """Return the folder of the user's own entries."""
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "zerocross" / "zoo"


def files(folder: Path | None = None) -> dict[str, Path]:
    """Return the files of all entries by name, in the order of their names.

    Args:
        folder: Folder of the user's own entries; None for the usual one.
    """
    found: dict[str, Path] = {}
    for place in (folder or user_folder(), PACKAGED):  # a packaged entry keeps its name
        found.update({path.stem: path for path in place.glob(f"*{SUFFIX}") if not path.name.startswith(".")})
    return dict(sorted(found.items()))


def find(name: str | Path, folder: Path | None = None) -> Entry:
    """Return an entry.

    Args:
        name: Its name, with or without `zoo:`, or the path of its file, which ends in .npz.
        folder: As for `files`.

    Raises:
        UserError: If there is no such entry, or its file cannot be used.
    """
    name = str(name).removeprefix(PREFIX)
    if name.endswith(SUFFIX):
        return load_entry(Path(name))
    known = files(folder)
    if name not in known:
        hint = nearest(name, known) if known else "it has no entries"
        raise UserError(f"the zoo has no entry {name!r}: {hint}")
    path = known[name]
    return load_entry(path, "install zerocross again" if path.parent == PACKAGED else "add the network again")
