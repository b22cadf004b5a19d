"""A small search and a build of its front, as files: what the attacks damage and interrupt."""

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from zerocross.hw_search.code_digest import code_digest

CONFIG: dict[str, Any] = {
    "name": "tiny",
    "data": {"name": "digits"},
    "activation": {"encoding": "pair", "unary": ["x", "sin"], "binary": ["add"]},
    "topology": {"name": "mlp", "hidden": {"choose": [[8], [12]]}, "input_bits": 1},
    "folding": {"target_cycles": 256},
    "training": {"epochs": 2, "batch_size": 32},
    "search": {"population": 4, "generations": 2, "workers": 1},
    "final": {"seeds": 1, "controls": []},
}
STEPS = ("model", "lowering", "samples", "design", "simulation", "synthesis", "place and route", "Vivado")
_CODE = "zerocross.hw_search.pipeline", "zerocross.hw_search.builds.builder"
RUN = Path("runs") / "tiny"
BUILD = Path("build")

_UNLIKE = re.compile(r'"(created|seconds|build|run|started)": .*')
_RECORDS = ("pareto.json", "evaluations.jsonl", "build.json")


class Place:
    """A folder in which the commands of a small search and its build run, with a cache and temporary files of its own.

    Args:
        folder: The folder. It is created if it does not exist.
        cache: Cache of builds; by default, one in the folder.
    """

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        self.folder, self.cache, self.temporary = folder, cache or folder / "cache", folder / "temporary"
        self.temporary.mkdir(parents=True, exist_ok=True)
        (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        """Start a command of zerocross in the folder. Standard error is kept in a file."""
        with self.errors.open("w") as errors:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "zerocross", *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                text=True,
                start_new_session=True,
                env={
                    **os.environ,
                    "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
                    "XDG_CACHE_HOME": str(self.cache),
                    "TMPDIR": str(self.temporary),
                    "OMP_NUM_THREADS": "1",
                },
                **options,
            )

    @property
    def errors(self) -> Path:
        """The last command's standard error."""
        return self.temporary.parent / "errors.txt"

    def said(self) -> str:
        """Return the last command's standard error."""
        return self.errors.read_text(errors="replace")

    def finish(self, *arguments: str, **options: Any) -> int:
        """Run a command to its end, and return its exit status."""
        return self.start(*arguments, **options).wait()


SEARCH = ("search", "tiny.yaml")


def build(run: Path, route: bool) -> tuple[str, ...]:
    """Return the command of a build."""
    options = ("--target", "icebreaker", "--cycles", "512", "--images", "10", "--output", str(BUILD))
    return ("build", str(run), *options, *(() if route else ("--no-route",)))


def state(folder: Path) -> dict[str, str]:
    """Return digests of what a run or build consists of, by name, without times and paths of the records."""
    found = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if not file.is_file() or not _counts(name):
            continue
        content = file.read_bytes()
        if file.name in _RECORDS:
            content = _timeless(content.decode()).encode()
        found[name] = hashlib.blake2b(content, digest_size=16).hexdigest()
    return found


def _counts(name: str) -> bool:
    """Return whether a file is part of the result, rather than of the way there."""
    top = name.split("/", maxsplit=1)[0]
    if top == "rtl":
        return name.count("/") == 1 or name.startswith("rtl/library/")
    kept = ("pareto.json", "evaluations.jsonl", "pareto.csv", "model.onnx", "network.npz", "host.onnx")
    return top in ("front", *kept, "accelerator.json", "weights.safetensors") or name.endswith("/design.bin")


def _timeless(text: str) -> str:
    return _UNLIKE.sub("", re.sub(r'"(seconds|build)": ("[^"]*"|[\d.e-]+)', "", text))


def leftovers(place: Place) -> list[str]:
    """Return the temporary files and folders that a command left behind."""
    found = [path for path in place.folder.rglob(".*.tmp") if path.is_file()]
    return [str(path.relative_to(place.folder)) for path in [*found, *place.temporary.glob("zerocross_*")]]


def processes(folder: Path) -> list[int]:
    """Return the processes whose command line or working folder names a folder."""
    found, wanted = [], str(folder)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            text = (process / "cmdline").read_bytes().decode(errors="replace")
            if int(process.name) != os.getpid() and (
                (wanted in text.replace("\0", " ") and "abuse" not in text)
                or os.readlink(process / "cwd").startswith(wanted)
            ):
                found.append(int(process.name))
    return found


def reference(folder: Path) -> Place:
    """Return a place with a finished search and build, made once for all attacks of the same code and configuration."""
    place = Place(folder / f"reference-{code_digest(*_CODE, data=[Path(__file__)])[:8]}", folder / "cache")
    done = place.folder / "done.json"
    if not done.exists():
        for command in (SEARCH, build(RUN, route=True)):
            if code := place.finish(*command):
                raise RuntimeError(f"{' '.join(command)} ended with {code}: {place.said()}")
        done.write_text(json.dumps({"run": state(place.folder / RUN), "build": state(place.folder / BUILD)}))
    return place


def expected(folder: Path, what: str) -> dict[str, str]:
    """Return the state of the reference's "run" or "build"."""
    found: dict[str, str] = json.loads((reference(folder).folder / "done.json").read_text())[what]
    return found
