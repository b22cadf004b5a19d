"""Kills at random moments of a search, and of every stage of a build; the same command then ends with the same bytes."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from attacks.attack import Wrong, check_output
from attacks.product import (
    BUILD,
    RUN,
    SEARCH,
    STEPS,
    Place,
    build,
    expected,
    leftovers,
    processes,
    reference,
    state,
)

_GRACE = 15.0  # seconds in which everything that a killed process started must end


class Kills:
    """Kills one command, by SIGKILL, or SIGTERM every fourth time, and resumes it."""

    unit, each, tries, cpu, patience = "kills", 1, 1, 0.0, 1800.0

    def __init__(self, folder: Path) -> None:
        self.folder, self.reference = folder, reference(folder)

    def attempt(self, seed: int) -> str:
        """See `Attack`. Even seeds kill a search, odd ones a build, whose stage the seed chooses."""
        draw = random.Random(seed)
        by = signal.SIGTERM if seed % 8 >= 6 else signal.SIGKILL
        shutil.rmtree(self.folder / "killed", ignore_errors=True)
        builds = seed % 2 == 1
        place = Place(self.folder / "killed", self.reference.cache)
        stage = STEPS[seed // 2 % len(STEPS)]
        command = build(self.reference.folder / RUN, stage == "place and route") if builds else SEARCH
        what = expected(self.folder, "build" if builds else "run")
        process = place.start(*command)
        if builds:
            _await(place, process, stage)
            time.sleep(draw.random() * 3)
        else:
            time.sleep(draw.random() * 12)
        was_done = process.poll() is not None
        if not was_done:
            os.kill(process.pid, by)
        code = process.wait()
        check_output(place.said())
        if by == signal.SIGTERM and not was_done and code not in (143, 0, -15):
            raise Wrong(f"SIGTERM ended it with {code}: {place.said()[-300:]}")
        deadline = time.monotonic() + _GRACE
        while left := processes(place.folder):
            if time.monotonic() > deadline:
                raise Wrong(f"processes {left} go on after it was killed")
            time.sleep(0.1)
        if code := place.finish(*command):
            raise Wrong(f"to resume ended with {code}: {place.said()[-600:]}")
        check_output(place.said())
        found = state(place.folder / (BUILD if builds else RUN))
        compare(found, what)
        if rest := leftovers(place):
            raise Wrong(f"left behind: {', '.join(rest)}")
        ended = "had ended before the kill" if was_done else "resumed to the same bytes"
        return f"{'build, ' + stage if builds else 'search'}: {ended}"


def _await(place: Place, process: subprocess.Popen[str], stage: str) -> None:
    """Wait until the step ahead of a stage has ended."""
    index = STEPS.index(stage)
    while index and f"done: {STEPS[index - 1]}" not in place.said() and "skipped: " not in place.said():
        if process.poll() is not None:
            return
        time.sleep(0.02)


def compare(found: dict[str, str], wanted: dict[str, str]) -> None:
    """Compare the files of a run or build with those of the reference.

    A build without routing has no bitstream, no top for a board and no list of its files.

    Raises:
        Wrong: If they differ.
    """
    routed = {name for name in wanted if name.startswith("route/") or name.endswith(("_board.sv", "board.f"))}
    names = (found.keys() | wanted.keys()) - (routed - found.keys())
    differ = sorted(name for name in names if found.get(name) != wanted.get(name))
    if differ:
        raise Wrong(f"other bytes than undisturbed: {', '.join(differ)}")
