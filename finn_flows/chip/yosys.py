"""Yosys in child processes, because an error in a script ends its process, and a child can be stopped at any time."""

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
    """A design cannot be synthesised; the message has Yosys' essential line and names the log."""


@dataclass(frozen=True)
class Script:
    """Commands for one child process.

    Attributes:
        name: Design or node that the script works on, for messages.
        commands: Commands of Yosys, one per line. They run in the folder given to `run_scripts`.
        file: File of the script; the log is in the same folder.
    """

    name: str
    commands: tuple[str, ...]
    file: Path

    @property
    def log(self) -> Path:
        """Yosys' log file."""
        return self.file.with_suffix(".log")


def run_scripts(
    scripts: Iterable[Script],
    folder: Path,
    workers: int | None = None,
    done: Callable[[Script], None] = lambda script: None,
) -> None:
    """Run scripts in parallel, started in their order.

    Args:
        scripts: Scripts to run.
        folder: Folder in which they run, with the memory files.
        workers: Parallel processes; by default, the number of processor cores.
        done: Called with each script when it is complete.

    Raises:
        ToolMissing: If pyosys is not installed.
        SynthesisError: If a script fails. The other scripts are stopped.
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
    finally:  # after an error or Ctrl-C no process remains, including ABC below Yosys
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
    line = found.group().strip() if found else f"Yosys ended with exit code {code}: {text.strip()[-300:]}"
    if code == -signal.SIGKILL:
        line = "Yosys was killed, probably because memory ran out"
    return f"{script.name} cannot be synthesised: {line}\n(see {script.log})"


def quoted(path: Path | str) -> str:
    """Return a file's name so that Yosys reads it as one word."""
    return f'"{path}"' if re.search(r"\s", str(path)) else str(path)
