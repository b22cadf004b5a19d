"""The definition of a build: network, target, options and folder."""

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
    """The input of every step of a build.

    Attributes:
        subject: Network to build.
        options: Options of the build.
        folder: Folder of the build.
        target: Board, or a part that only Vivado places and routes.
        clock_mhz: Clock of the design in MHz.
        cache: Folder that all builds share; see `zerocross.hw_search.builds.layout.cache_folder`.
    """

    subject: Subject
    options: BuildOptions
    folder: Path
    target: Board | Part
    clock_mhz: float
    cache: Path

    @property
    def part(self) -> Part:
        """Part of the target."""
        return self.target.part if isinstance(self.target, Board) else self.target

    @property
    def parts(self) -> dict[str, Part]:
        """Parts to estimate and synthesise for, by family: the part that the cost models were fitted to and the target."""
        fitted = get_part(STAND_IN)
        return {fitted.family: fitted, self.part.family: self.part}
