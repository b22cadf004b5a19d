"""Abuses zerocross in every way that a bad day knows, and counts what it survives.

    python benchmarks/abuse.py [--seconds 3600] [--slices 1] [--only KIND [--seed N]] [--folder FOLDER]

Kinds: kills, disks, bits, yaml, onnx, records, line, hosts (see `benchmarks/attacks/`). One slice is a few attempts of each
kind. Seeds count up from slice to slice, so that a campaign repeats exactly. It ends after `--slices`, or after the slice in
which `--seconds` are over. The status is 1 if anything wrong goes unsaid, a traceback is printed, a process dies, or nothing
happens for long. Every failure is printed with its kind and seed; `--only KIND --seed N` repeats it.

The attacks damage a search and a build of a small network. They are made in the folder once; a folder may be kept between
campaigns. Each kind works in a process of its own, one kind at a time.
"""

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

KINDS = {
    "yaml": ("attacks.yaml_files", "YamlFiles"),
    "onnx": ("attacks.onnx_files", "OnnxFiles"),
    "records": ("attacks.records", "Records"),
    "bits": ("attacks.bits", "Bits"),
    "line": ("attacks.line", "Line"),
    "hosts": ("attacks.hosts", "Hosts"),
    "disks": ("attacks.disks", "Disks"),
    "kills": ("attacks.kills", "Kills"),
}
_START = 3600.0  # most seconds to make the search and the build, and to start


class Hang(BaseException):
    """An attempt took too much processor time."""


def serve(kind: str, folder: Path) -> None:
    """Attempt the seeds that standard input names, and answer each with a line of JSON."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from attacks.attack import Wrong

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang("".join(traceback.format_stack(frame, 4)))

    signal.signal(signal.SIGPROF, stop)
    module, name = KINDS[kind]
    attack = getattr(import_module(module), name)(folder)
    facts = {"unit": attack.unit, "each": attack.each, "tries": attack.tries, "patience": attack.patience}
    answers.write(json.dumps(facts) + "\n")
    for line in sys.stdin:
        wrong = how = ""
        try:
            try:
                signal.setitimer(signal.ITIMER_PROF, attack.cpu)
                how = attack.attempt(int(line))
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        except Wrong as error:
            wrong = str(error)
        except Hang as error:
            wrong = f"{attack.cpu:g} s of processor time, and no message: {error}"
        except Exception:
            wrong = traceback.format_exc()
        answers.write(json.dumps({"how": how, "wrong": wrong}) + "\n")


@dataclass
class Served:
    """A kind of attack in a process of its own, which starts anew if it dies or hangs."""

    kind: str
    folder: Path
    facts: dict[str, Any] = field(default_factory=dict)
    survived: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)
    process: "subprocess.Popen[bytes] | None" = None
    next_seed: int = 0

    def attempt(self, seed: int) -> None:
        """Attempt one seed, and record how it went."""
        if self.process is None:
            self._start()
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.write(b"%d\n" % seed)
        self.process.stdin.flush()
        answer = self._line(self.facts["patience"])
        if answer is None:
            code = self.process.poll()
            wrong = "no answer, and no message" if code is None else f"the process died with {code}"
            self.stop()
        else:
            wrong = answer["wrong"]
            self.survived[answer["how"]] += not wrong
        if wrong:
            self.failures.append((seed, wrong))
            again = f"python benchmarks/abuse.py --only {self.kind} --seed {seed}"
            print(f"WRONG: {self.kind}, seed {seed}: {wrong.strip()}\n  again: {again}", flush=True)

    def _start(self) -> None:
        command = [sys.executable, "-u", __file__, "--serve", self.kind, "--folder", str(self.folder)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(self.folder / "cache")}
        with (self.folder / f"{self.kind}.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        facts = self._line(_START)
        if facts is None:
            raise SystemExit(f"{self.kind} does not start: see {log.name}")
        self.facts = facts

    def _line(self, patience: float) -> dict[str, Any] | None:
        assert self.process is not None and self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], patience)
        line = self.process.stdout.readline() if ready else b""
        return json.loads(line) if line.endswith(b"\n") else None

    def stop(self) -> None:
        """End the process and all that it started."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def table(kinds: list[Served]) -> str:
    """Return the attempts and what became of them, as a Markdown table."""
    lines = ["| attack | tried | survived | how |", "| --- | ---: | ---: | --- |"]
    for kind in kinds:
        if not kind.facts:
            continue
        each, good = kind.facts["each"], sum(kind.survived.values())
        tried = good + len(kind.failures)
        how = "; ".join(f"{text} ({count * each:,})" for text, count in kind.survived.most_common())
        lines.append(f"| {kind.facts['unit']} | {tried * each:,} | {good * each:,} | {how} |")
    return "\n".join(lines)


def campaign(kinds: list[Served], slices: int, seconds: float) -> None:
    """Run slices of all kinds until their number or the time is reached."""
    began = time.monotonic()
    for number in range(1, slices + 1):
        for kind in kinds:
            if kind.process is None:
                kind._start()
            for _ in range(kind.facts["tries"]):
                kind.attempt(kind.next_seed)
                kind.next_seed += 1
            if len(kinds) > 1:  # one at a time
                kind.stop()
        spent = time.monotonic() - began
        if spent > seconds:
            break
        if number < slices:
            until = seconds - spent if seconds < float("inf") else spent / number * (slices - number)
            print(f"slice {number}: {spent:.0f} s, about {until:.0f} s left", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="end after the slice that exceeds them"
    )
    parser.add_argument(
        "--slices", type=int, help="number of slices; by default one, or as many as --seconds allow"
    )
    parser.add_argument("--only", choices=KINDS, action="append", help="this kind alone; repeatable")
    parser.add_argument(
        "--seed", type=int, help="with --only: this attempt alone; with --slices, too: the first one"
    )
    parser.add_argument("--folder", type=Path, help="folder for all files; kept")
    parser.add_argument("--serve", choices=KINDS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.folder)
        return
    with tempfile.TemporaryDirectory(prefix="zerocross_abuse_") as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        kinds = [Served(kind, folder, next_seed=given.seed or 0) for kind in given.only or KINDS]
        try:
            endless = given.seconds < float("inf")  # the time ends it
            if given.only and given.seed is not None and given.slices is None:
                for kind in kinds:
                    kind.attempt(given.seed)
            else:
                campaign(kinds, given.slices or (sys.maxsize if endless else 1), given.seconds)
        except KeyboardInterrupt:
            print("Stopped. The table has what was tried so far.", file=sys.stderr)
            raise SystemExit(130) from None
        finally:
            for kind in kinds:
                kind.stop()
            print(table(kinds))
    sys.exit(any(kind.failures for kind in kinds))


if __name__ == "__main__":
    main()
