"""A build as it is asked for: of what, for what, how, and where."""

from dataclasses import dataclass
from pathlib import Path

from zerocross.finn_flows.boards import Board
from zerocross.finn_flows.cost import STAND_IN
from zerocross.finn_flows.families.part import Part
from zerocross.finn_flows.parts import get_part
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.builds.subject import Subject


@dataclass(frozen=True)
class Job:
    """What every step of a build goes by.

    Attributes:
        subject: the network.
        options: what is asked.
        folder: the build's.
        target: the board, or the part that Vivado alone places and routes.
        clock_mhz: the design's clock.
        cache: what all builds share; see `zerocross.hw_search.builds.layout.cache_folder`.
    """

    subject: Subject
    options: BuildOptions
    folder: Path
    target: Board | Part
    clock_mhz: float
    cache: Path

    @property
    def part(self) -> Part:
        """The target's part."""
        return self.target.part if isinstance(self.target, Board) else self.target

    @property
    def parts(self) -> dict[str, Part]:
        """The parts that nodes are priced and mapped for, by family: the one that models were fitted to, the target's."""
        fitted = get_part(STAND_IN)
        return {fitted.family: fitted, self.part.family: self.part}
