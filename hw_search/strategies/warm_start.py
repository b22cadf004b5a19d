"""The fronts of other runs as the beginning of a search."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.space import Genome, Space
from zerocross.models.errors import ModelError
from zerocross.models.expressions import parse
from zerocross.reports.configurations import fields
from zerocross.reports.records import Run
from zerocross.reports.storage import UnreadableRun, load_run
from zerocross.reports.summary import front_evaluations
from zerocross.reports.wording import count


def starts(folders: Sequence[str], space: Space, say: Callable[[str], None]) -> list[Genome]:
    """Return the genomes of other runs' fronts that a space contains, each once.

    Args:
        folders: Folders of the runs.
        space: Space of the search.
        say: Receives how many networks of each run are in the space.

    Raises:
        UserError: If a folder holds no search, or none of its networks is in the space.
    """
    found: dict[Genome, None] = {}
    for folder in folders:
        try:
            networks = list(_networks(load_run(Path(folder)), space))
        except UnreadableRun as error:
            raise UserError(f"search.start_from: {error}") from None
        inside = [genome for genome in networks if genome is not None]
        if not inside:
            raise UserError(
                f"search.start_from: the space contains no activation of {folder}'s front: widen `activation`, or omit the "
                "folder"
            )
        say(f"The search starts from {len(inside)} of {count(len(networks), 'network')} of {folder}.")
        found |= dict.fromkeys(inside)
    return list(found)


def _networks(run: Run, space: Space) -> Iterator[Genome | None]:
    if run.front:
        for net in run.front:
            sections = {"topology": net.topology, "training": net.training, "folding": net.folding}
            yield _genome(space, net.expression, {**fields(sections), **net.choices})
    else:
        for evaluation in front_evaluations(run):
            yield _genome(space, evaluation.expression, evaluation.choices)


def _genome(space: Space, text: str, values: dict[str, Any]) -> Genome | None:
    try:
        return space.genome([parse(part) for part in text.split(" | ")], values)
    except ModelError:  # an operation of a plugin that this search lacks
        return None
