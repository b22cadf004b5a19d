"""Yosys in child processes, because an error in a script ends its process, and a child can be stopped at any time."""

import importlib.util
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from zerocross.finn_flows.children import child, own_modules, python, scratch
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
    running: list[tuple[Script, subprocess.Popen[bytes], ExitStack]] = []
    with scratch() as temporary, ExitStack() as all_ended:
        while waiting or running:
            while waiting and len(running) < (workers or len(os.sched_getaffinity(0))):
                script = waiting.pop(0)
                ended = all_ended.enter_context(ExitStack())
                running.append((script, _start(script, folder, temporary, ended), ended))
            for entry in list(running):
                script, process, ended = entry
                if process.poll() is not None:
                    running.remove(entry)
                    ended.close()
                    if process.returncode:
                        raise SynthesisError(_complaint(script, process.returncode))
                    done(script)
            time.sleep(0.01)


def _start(script: Script, folder: Path, temporary: Path, ended: ExitStack) -> subprocess.Popen[bytes]:
    script.file.parent.mkdir(parents=True, exist_ok=True)
    script.file.write_text("\n".join(script.commands) + "\n")
    with script.log.open("wb") as log:
        return ended.enter_context(
            child(
                python(_RUN, str(script.file.resolve())),
                cwd=folder,
                env={**own_modules(), "TMPDIR": str(temporary)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
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
    return str(path) if re.fullmatch(r"[\w./+=@:,-]+", str(path), re.ASCII) else f'"{path}"'
