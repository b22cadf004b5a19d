"""What a search strategy is: who is evaluated next.

`ask` returns a batch of genomes and `tell` takes their scores, until `ask` returns none. All
randomness comes from its seed, and nothing else enters: that is what makes replaying a search the same as resuming it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from zerocross.hw_search.space import Genome

Key = Callable[[Genome], str]
"""Names what a genome stands for: equal keys are the same candidate."""

_ATTEMPTS = 200


@dataclass(frozen=True)
class Score:
    """What a strategy learns of a candidate.

    Attributes:
        objectives: to be minimised; None where it failed.
        violation: 0 if it is feasible, else how much it is not.
    """

    objectives: tuple[float, ...] | None
    violation: float = 0.0

    @property
    def feasible(self) -> bool:
        """Whether it may stand on the front."""
        return self.objectives is not None and self.violation <= 0


class Strategy(Protocol):
    """See the module's text."""

    planned: int
    """About how many candidates will be asked for."""

    def ask(self) -> list[Genome]:
        """Return the next candidates; none when the search is over."""

    def tell(self, genomes: Sequence[Genome], scores: Sequence[Score]) -> None:
        """Take the scores of the candidates of the last `ask`, in their order."""


def _draw(sizes: Sequence[int], rng: np.random.Generator) -> Genome:
    return tuple(int(rng.integers(size)) for size in sizes)


def distinct(
    count: int, sizes: Sequence[int], key: Key, rng: np.random.Generator, seen: set[str]
) -> list[Genome]:
    """Draw genomes that stand for candidates not seen yet; fewer where hardly any are left. What is drawn is seen."""
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
