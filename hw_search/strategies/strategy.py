"""The interface of a search strategy, which selects the candidates to evaluate next.

`ask` returns a batch of genomes and `tell` receives their scores, until `ask` returns none. A strategy depends only on its
seed and the scores. A replayed search therefore repeats the original one, which is how an interrupted search resumes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from zerocross.hw_search.space import Genome

Key = Callable[[Genome], str]
"""Function from a genome to its candidate's key. Equal keys mean the same candidate."""

_ATTEMPTS = 200


@dataclass(frozen=True)
class Score:
    """The score of a candidate.

    Attributes:
        objectives: Objectives to be minimised; None if the candidate failed.
        violation: Sum of constraint violations; 0 if the candidate is feasible.
    """

    objectives: tuple[float, ...] | None
    violation: float = 0.0

    @property
    def feasible(self) -> bool:
        """Whether the candidate may be on the front."""
        return self.objectives is not None and self.violation <= 0


class Strategy(Protocol):
    """See the module's docstring."""

    planned: int
    """Approximate number of candidates that the strategy will request."""

    def ask(self) -> list[Genome]:
        """Return the next candidates; an empty list at the end of the search."""

    def tell(self, genomes: Sequence[Genome], scores: Sequence[Score]) -> None:
        """Receive the scores of the candidates from the last `ask`, in their order."""


def _draw(sizes: Sequence[int], rng: np.random.Generator) -> Genome:
    return tuple(int(rng.integers(size)) for size in sizes)


def distinct(
    count: int, sizes: Sequence[int], key: Key, rng: np.random.Generator, seen: set[str]
) -> list[Genome]:
    """Draw genomes of candidates that are not in `seen`, and add them to it. Few remaining candidates give fewer genomes."""
    found: list[Genome] = []
    for _ in range(_ATTEMPTS * count):
        if len(found) == count:
            break
        genome = _draw(sizes, rng)
        name = key(genome)
        if name not in seen:
            seen.add(name)
            found.append(genome)
    return found
