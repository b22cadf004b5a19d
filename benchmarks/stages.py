"""Times of the stages of builds, for the scripts that build whole networks."""

import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zerocross.hw_search.builds.stages import SilentBuild
from zerocross.reports.build_records import Stage

Times = dict[str, tuple[float, float]]
"""Seconds and seconds of processor time of each stage."""


@dataclass
class Watch(SilentBuild):
    """Takes the times of the stages of a build."""

    rows: Times = field(default_factory=dict)
    begun: tuple[float, float] = (0.0, 0.0)

    def stage(self, name: str, note: str = "") -> None:
        """See `BuildWatcher`."""
        self.begun = time.monotonic(), processor_time()

    def finished(self, stage: Stage) -> None:
        """See `BuildWatcher`."""
        if stage.state == "done":
            self.rows[stage.name] = time.monotonic() - self.begun[0], processor_time() - self.begun[1]


def processor_time() -> float:
    """Return the user time of this process and of its children in seconds."""
    return sum(resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def peak_memory() -> tuple[float, float]:
    """Return the most memory, in GB, that this process and any one of its finished children used."""
    both = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    own, child = (resource.getrusage(who).ru_maxrss * 1024 / 1e9 for who in both)
    return own, child


def print_times(names: Sequence[str], columns: Sequence[Mapping[str, tuple[float, float]]]) -> None:
    """Print a table of seconds, with the processor time in brackets; a row for each stage, and one for the sums."""
    print(f"\n{'stage':18}" + "".join(f"{name:>24}" for name in names))
    for stage in columns[0]:
        print(f"{stage:18}" + "".join(_cell(column.get(stage)) for column in columns))
    sums = [tuple(map(sum, zip(*column.values(), strict=True))) for column in columns]
    print(f"{'sum':18}" + "".join(map(_cell, sums)))


def _cell(pair: tuple[float, ...] | None) -> str:
    return f"{pair[0]:14.1f} ({pair[1]:6.1f})" if pair else " " * 24
