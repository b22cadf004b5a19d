"""Folders are programs: their files are read back and executed only as they were made, unless the user trusts them."""

from collections.abc import Iterable
from pathlib import Path

from zerocross.digests import Changed, check_digests
from zerocross.hw_search.errors import UserError
from zerocross.reports.build_storage import BUILD

_TRUST = "or add --trust to use the folder as it is"


def check_run(folder: Path, names: Iterable[str] | None = None) -> None:
    """Check that files of a run are as the search left them.

    Args:
        folder: Folder of the run.
        names: Files; None checks all that the run lists.

    Raises:
        UserError: If a file was changed.
    """
    _check(folder, f"run the search again, which finds finished trainings in its store; {_TRUST}", names)


def check_build(folder: Path, names: Iterable[str] | None = None) -> None:
    """Check that files of a build are as it left them.

    Args:
        folder: Folder of the build. If it holds no build, there is nothing to check.
        names: Files; None checks all that a build lists.

    Raises:
        UserError: If a file was changed.
    """
    if (folder / BUILD).is_file():
        _check(folder, f"build again, which repeats only what changed; {_TRUST}", names)


def _check(folder: Path, remedy: str, names: Iterable[str] | None = None) -> None:
    try:
        check_digests(folder, remedy, names)
    except Changed as error:
        raise UserError(str(error)) from None
