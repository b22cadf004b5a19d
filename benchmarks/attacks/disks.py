"""Full disks: a search or a build on a disk that is too small ends with one message, and goes on when there is room."""

import contextlib
import random
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from attacks.attack import Wrong, check_output
from attacks.kills import compare
from attacks.product import BUILD, RUN, SEARCH, Place, build, expected, leftovers, reference, state

_SEARCH, _BUILD = 0.4e6, 1.5e6  # bytes that they need, roughly


class Disks:
    """Fills a small tmpfs, where the system lets us mount one (as root); elsewhere, limits the size of files."""

    unit, each, tries, cpu, patience = "full disks", 1, 1, 0.0, 1800.0

    def __init__(self, folder: Path) -> None:
        self.folder, self.reference = folder, reference(folder)

    def attempt(self, seed: int) -> str:
        """See `Attack`. Even seeds search, odd ones build."""
        draw, builds = random.Random(seed), seed % 2 == 1
        room = int(draw.uniform(0.02, 0.9) * (_BUILD if builds else _SEARCH))
        command = build(self.reference.folder / RUN, route=False) if builds else SEARCH
        base = self.folder / "full"
        shutil.rmtree(base, ignore_errors=True)
        base.mkdir()
        with _small_disk(base, room) as (limit, grow, way):
            place = Place(base / "disk", self.reference.cache)
            place.temporary = base / "temporary"  # has room: temporary files are the system's affair
            place.temporary.mkdir()
            code = place.finish(*command, preexec_fn=limit)
            said = place.said()
            check_output(said)
            messages = [line for line in said.splitlines() if line.startswith("error: ")]
            if code not in (0, 1) or (code == 1 and len(messages) != 1):
                raise Wrong(f"ended with {code}, and {len(messages)} messages: {said[-600:]}")
            grow()
            if rest := leftovers(place):
                raise Wrong(f"left behind: {', '.join(rest)}")
            if again := place.finish(*command):
                raise Wrong(f"with room it ended with {again}: {place.said()[-600:]}")
            check_output(place.said())
            compare(
                state(place.folder / (BUILD if builds else RUN)),
                expected(self.folder, "build" if builds else "run"),
            )
        survived = "one message, then the same bytes" if code else "it had room"
        return f"{'build' if builds else 'search'} ({way}): {survived}"


@contextlib.contextmanager
def _small_disk(base: Path, room: int) -> Iterator[tuple[Callable[[], None] | None, Callable[[], None], str]]:
    """Yield what limits a process, what ends the limit, and the way; the folder `disk` in the base has little room."""
    disk = base / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={room}", "zerocross_abuse", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        most = room // 8  # of one file

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        yield limit, lambda: None, "limit of a file's size"
        return
    try:
        grow = ["mount", "-o", "remount,size=512m", str(disk)]
        yield None, lambda: subprocess.run(grow, capture_output=True, check=True) and None, "tmpfs"
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
