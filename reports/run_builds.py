"""The builds in a run's folder, as the run's page links them."""

from dataclasses import dataclass
from pathlib import Path

from zerocross.digests import digest_of
from zerocross.reports import build_facts
from zerocross.reports.build_storage import BUILD, UnreadableBuild, load_build
from zerocross.reports.records import Run
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


def builds_of(folder: Path, run: Run) -> list[BuildLink]:
    """Return the builds in a run's folder that have a page, by name; those that cannot be read are left out.

    Args:
        folder: The folder.
        run: Its run. A build with other weights, such as those of an earlier configuration, says so.
    """
    found, own = list[BuildLink](), dict[str, set[str]]()
    for net in (*run.front, *run.references, *run.retrained):
        own.setdefault(net.id, set()).update(_digest(folder / net.weights))
    for record in sorted((folder / BUILDS).glob(f"*/{BUILD}")):
        if not (record.parent / REPORT).exists():
            continue
        try:
            build = load_build(record)
        except UnreadableBuild:
            continue
        verdicts = [verdict.text.rstrip(".") for verdict in build_facts.verdicts(build)]
        weights = {digest for file in record.parent.glob("*.safetensors") for digest in _digest(file)}
        if weights and not weights & own.get(build.network, set()):
            verdicts.insert(0, "Of other weights than those of this page")
        page = (Path(BUILDS) / record.parent.name / REPORT).as_posix()
        found.append(BuildLink(build.name, page, "; ".join(verdicts)))
    return found


def _digest(file: Path) -> list[str]:
    """Return the digest of a file, in a list; none if it cannot be read."""
    try:
        return [digest_of(file)]
    except OSError:
        return []
