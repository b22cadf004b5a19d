"""The fronts of other runs as the beginning of a search."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zerocross.hw_search.choice import alternatives
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.space import Genome, Space
from zerocross.models.canonical import canonical_key
from zerocross.models.errors import ModelError
from zerocross.models.expressions import X, parse
from zerocross.reports.configurations import fields
from zerocross.reports.records import Run
from zerocross.reports.storage import UnreadableRun, load_run
from zerocross.reports.summary import search_front
from zerocross.reports.wording import count


@dataclass(frozen=True)
class _Start:
    """What a network of another front brings to a space.

    Attributes:
        genome: Its genome in the space; None if the space does not contain its activation.
        is_sign: Whether its activation is the plain sign's.
        choices: Choices of the space that it decides.
        topology: Name of its topology if the space lacks it; else None.
    """

    genome: Genome | None
    is_sign: bool
    choices: tuple[str, ...]
    topology: str | None


def starts(folders: Sequence[str], space: Space, say: Callable[[str], None]) -> list[Genome]:
    """Return the genomes of other runs' fronts that a space contains, each once.

    A network brings its activation, and its values of the space's choices. If the space lacks its topology, it brings only
    its activation.

    Args:
        folders: Folders of the runs.
        space: Space of the search.
        say: Receives for each run how many of its networks are in the space, and what they bring.

    Raises:
        UserError: If a folder holds no search, or none of its networks is in the space.
    """
    found: dict[Genome, None] = {}
    for folder in folders:
        try:
            networks = list(_networks(load_run(Path(folder)), space))
        except UnreadableRun as error:
            raise UserError(f"search.start_from: {error}") from None
        inside = [start for start in networks if start.genome is not None]
        if not inside:
            raise UserError(
                f"search.start_from: the space contains no activation of {folder}'s front: widen `activation`, or omit the "
                "folder"
            )
        say(_brought(folder, inside, len(networks)))
        found |= dict.fromkeys(start.genome for start in inside if start.genome is not None)
    return list(found)


def _brought(folder: str, inside: Sequence[_Start], networks: int) -> str:
    """Return how many networks of a front are in the space, and what they bring, in sentences."""
    choices = list(dict.fromkeys(name for start in inside for name in start.choices))
    lacking = sorted({start.topology for start in inside if start.topology is not None})
    lack = f" This space lacks the topology {' and '.join(lacking)}" if lacking else ""
    brings = ", ".join(
        [*(["their activations"] if not all(start.is_sign for start in inside) else []), *choices]
    )
    which = f"{len(inside)} of {count(networks, 'network')} of {folder}"
    if not brings:
        return f"The search takes nothing from {which} but the plain sign.{lack}{'.' if lack else ''}"
    only = f"{lack}, so such networks bring only their activations." if lack else ""
    return f"The search starts from {which}, and takes over {brings}.{only}"


def _networks(run: Run, space: Space) -> Iterator[_Start]:
    for net in run.front:
        sections = {"topology": net.topology, "training": net.training, "folding": net.folding}
        values = {**fields(sections), **net.choices}
        yield _start(space, net.expression, values, str(net.topology["name"]))
    trained = {net.id for net in run.front}
    for evaluation in search_front(run):
        if evaluation.id not in trained:  # the final trainings left it out
            name = evaluation.choices.get("topology.name", run.config.get("topology", {}).get("name"))
            yield _start(space, evaluation.expression, evaluation.choices, str(name))


def _start(space: Space, text: str, values: Mapping[str, Any], topology: str) -> _Start:
    is_known = topology in alternatives(space.config.topology["name"])
    values = values if is_known else {}
    try:
        expressions = [parse(part) for part in text.split(" | ")]
        genome = space.genome(expressions, values)
    except ModelError:  # an operation of a plugin that this search lacks
        expressions, genome = [], None
    is_sign = all(canonical_key(expression) == canonical_key(X) for expression in expressions)
    return _Start(genome, is_sign, tuple(space.places(values)), None if is_known else topology)
