"""Yosys in child processes: an error in a script ends its process, and a child can be stopped at any time."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.rtl.simulation import ToolMissing

_RUN = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in open(sys.argv[1]):
    libyosys.run_pass(line.strip(), design)
"""
_COMPLAINT = re.compile(r"^(?:.*: )?ERROR: .*$", re.MULTILINE)


class SynthesisError(FlowError):
    """A design that does not synthesise; the message has the essential line and names the log."""


@dataclass(frozen=True)
class Script:
    """Commands for one child.

    Attributes:
        name: what it works on, for messages.
        commands: of Yosys, one a line; they run in the folder that `run_scripts` is told.
        file: where the script is kept; its log is beside it.
    """

    name: str
    commands: tuple[str, ...]
    file: Path

    @property
    def log(self) -> Path:
        """What Yosys said."""
        return self.file.with_suffix(".log")


def run_scripts(
    scripts: Iterable[Script],
    folder: Path,
    workers: int | None = None,
    done: Callable[[Script], None] = lambda script: None,
) -> None:
    """Run scripts side by side, in their order.

    Args:
        scripts: what to run.
        folder: where they run; memory files are found from there.
        workers: processes at once; left out, as many as there are processor cores.
        done: called with each script when it is done.

    Raises:
        ToolMissing: if pyosys is not there.
        SynthesisError: with the first script that fails; the others are stopped.
    """
    if importlib.util.find_spec("pyosys") is None:
        raise ToolMissing("synthesis needs Yosys: pip install pyosys")
    waiting = list(scripts)
    running: list[tuple[Script, subprocess.Popen[bytes]]] = []
    try:
        while waiting or running:
            while waiting and len(running) < (workers or len(os.sched_getaffinity(0))):
                script = waiting.pop(0)
                running.append((script, _start(script, folder)))
            for script, process in list(running):
                if process.poll() is not None:
                    running.remove((script, process))
                    if process.returncode:
                        raise SynthesisError(_complaint(script, process.returncode))
                    done(script)
            time.sleep(0.01)
    finally:  # after an error or Ctrl-C nothing is left behind, ABC below Yosys included
        for _, process in running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _start(script: Script, folder: Path) -> subprocess.Popen[bytes]:
    script.file.parent.mkdir(parents=True, exist_ok=True)
    script.file.write_text("\n".join(script.commands) + "\n")
    with script.log.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", _RUN, str(script.file.resolve())],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _complaint(script: Script, code: int) -> str:
    text = script.log.read_text(errors="replace")
    found = _COMPLAINT.search(text)
    line = found.group().strip() if found else f"Yosys ended with {code}: {text.strip()[-300:]}"
    if code == -signal.SIGKILL:
        line = "Yosys was killed, most likely because memory ran out"
    return f"{script.name} does not synthesise: {line}\n(all of it: {script.log})"


def quoted(path: Path | str) -> str:
    """Write a file's name so that Yosys takes it as one word."""
    return f'"{path}"' if re.search(r"\s", str(path)) else str(path)
