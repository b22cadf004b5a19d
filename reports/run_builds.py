"""The builds in a run's folder, as the run's page links them."""

from dataclasses import dataclass
from pathlib import Path

from zerocross.reports import build_facts
from zerocross.reports.build_storage import BUILD, UnreadableBuild, load_build
from zerocross.reports.storage import REPORT

BUILDS = "builds"
"""Folder of the builds of a run, in the run's folder."""


@dataclass(frozen=True)
class BuildLink:
    """A build that a run's page links.

    Attributes:
        name: Name of the build.
        page: Path of its page, relative to the run's folder.
        state: Its verdicts, in a line.
    """

    name: str
    page: str
    state: str


def builds_of(folder: Path) -> list[BuildLink]:
    """Return the builds in a run's folder that have a page, by name; those that cannot be read are left out."""
    found = []
    for record in sorted((folder / BUILDS).glob(f"*/{BUILD}")):
        if not (record.parent / REPORT).exists():
            continue
        try:
            build = load_build(record)
        except UnreadableBuild:
            continue
        verdicts = (verdict.text.rstrip(".") for verdict in build_facts.verdicts(build))
        page = (Path(BUILDS) / record.parent.name / REPORT).as_posix()
        found.append(BuildLink(build.name, page, "; ".join(verdicts)))
    return found
