"""Do the tests notice faults? Core files are changed in one small way at a time, and their tests must fail.

    pip install -e ".[mutation]"
    python benchmarks/mutation.py [FILE ...] [--count 12] [--seed 0] [--rows runs/mutation.csv]

Python files get `count` faults each, drawn from those that cosmic-ray knows: other operators, comparisons and numbers,
inverted conditions, loops without iterations. SystemVerilog files get the faults of `RTL`, written by hand. The tests run in
a copy of the repository. Every fault is a row of the CSV file; run the same command to resume. Faults that no test notices
are printed, each with its line.
"""

import argparse
import csv
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator, operator_names
from cosmic_ray.testing import run_tests
from cosmic_ray.work_item import TestOutcome

ROOT = Path(__file__).parents[1]
SECONDS = 600.0
"""Time for the tests of a fault; a fault that makes them hang is noticed."""

CORE: dict[str, str] = {
    "finn_flows/crossings.py": "tests/finn_flows/test_crossings.py",
    "finn_flows/integer.py": "tests/finn_flows/test_integer.py tests/finn_flows/test_network.py",
    "finn_flows/cost_model.py": "tests/finn_flows/test_cost_model.py tests/finn_flows/test_cost.py",
    "finn_flows/timing.py": "tests/finn_flows/test_timing.py tests/finn_flows/test_wired_designs.py",
    "finn_flows/wiring.py": "tests/finn_flows/test_wiring.py",
    "finn_flows/lowering/encoders.py": "tests/finn_flows/lowering/test_encoders.py",
    "finn_flows/lowering/graph/padding.py": "tests/finn_flows/lowering/graph/test_padding.py "
    "tests/finn_flows/lowering/test_refusals.py",
    "finn_flows/lowering/graph/levels.py": "tests/finn_flows/lowering/graph/test_levels.py",
    "finn_flows/lowering/absorbing/absorb.py": "tests/finn_flows/lowering/absorbing/test_absorb.py",
    "finn_flows/nodes/max_pool.py": "tests/finn_flows/nodes/test_max_pool.py",
    "finn_flows/nodes/padding.py": "tests/finn_flows/nodes/test_padding.py",
    "finn_flows/nodes/select.py": "tests/finn_flows/nodes/test_select.py",
    "finn_flows/nodes/symmetric.py": "tests/finn_flows/nodes/test_symmetric.py tests/finn_flows/nodes/test_wired.py",
    "finn_flows/nodes/thermometer.py": "tests/finn_flows/nodes/test_thermometer.py",
    "hw_search/execution/store.py": "tests/hw_search/execution/test_store.py",
    "hw_search/strategies/surrogate.py": "tests/hw_search/strategies/test_strategies.py",
    "models/canonical.py": "tests/models/test_canonical.py",
    "reports/pareto.py": "tests/reports/test_pareto.py",
}
"""Core files in Python, and the tests that must notice their faults."""

_NODES = "tests/finn_flows/nodes"
RTL: list[tuple[str, str, str, str]] = [
    ("finn_flows/nodes/zc_label_tree.sv", "high > low", "high >= low", f"{_NODES}/test_label_select.py"),
    (
        "finn_flows/nodes/zc_label_tree.sv",
        "1) << LEVEL",
        "1) << (LEVEL + 1)",
        f"{_NODES}/test_label_select.py",
    ),
    ("finn_flows/nodes/zc_maxpool.sv", "SIGNED ?", "!SIGNED ?", f"{_NODES}/test_max_pool.py"),
    ("finn_flows/nodes/zc_maxpool.sv", "|| row_last ? '0 : y", "? '0 : y", f"{_NODES}/test_max_pool.py"),
    (
        "finn_flows/nodes/zc_thermometer.sv",
        "value >= threshold;",
        "value > threshold;",
        f"{_NODES}/test_thermometer.py",
    ),
    (
        "finn_flows/nodes/zc_thermometer.sv",
        ">= COMPARED'(threshold",
        "> COMPARED'(threshold",
        f"{_NODES}/test_thermometer.py",
    ),
    (
        "finn_flows/nodes/zc_bit_planes.sv",
        "planes[i*8+:",
        "planes[(BITS-1-i)*8+:",
        f"{_NODES}/test_bit_planes.py",
    ),
    ("finn_flows/nodes/zc_select.sv", "m_tready || !keep", "m_tready", f"{_NODES}/test_select.py"),
    ("finn_flows/nodes/zc_stage.sv", "m_tready || !m_tvalid", "1'b1", f"{_NODES}/test_wired.py"),
    (
        "finn_flows/chip/zc_serial.sv",
        "late ? TOO_LATE",
        "late ? BUSY",
        "tests/finn_flows/chip/test_serial_line.py",
    ),
    (
        "finn_flows/chip/zc_serial.sv",
        "byte_in == RUN && active",
        "active",
        "tests/finn_flows/chip/test_serial_line.py",
    ),
    (
        "finn_flows/chip/zc_serial.sv",
        "wire right = crc_in == 0",
        "wire right = 1",
        "tests/finn_flows/chip/test_serial_line.py",
    ),
    ("finn_flows/chip/zc_serial.sv", "16'h8408", "16'h8409", "tests/finn_flows/chip/test_serial_line.py"),
]
"""Faults in SystemVerilog: file, text, the text in its place, tests."""


_SWAPS = (
    "Add_Sub",
    "Sub_Add",
    "Mul_FloorDiv",
    "FloorDiv_Mul",
    "Div_Mul",
    "Mod_FloorDiv",
    "Mul_Add",
    "Pow_Mul",
)
_BITS = ("LShift_RShift", "RShift_LShift", "BitAnd_BitOr", "BitOr_BitAnd", "BitXor_BitOr")


def _is_plausible(operator: str) -> bool:
    """Return whether a person might make the mistake: + for -, but not + for ^."""
    kind = operator.removeprefix("core/")
    if kind.startswith("ReplaceBinaryOperator_"):
        return kind.removeprefix("ReplaceBinaryOperator_") in (*_SWAPS, *_BITS)
    return not kind.endswith(("_Is", "_IsNot"))


@dataclass(frozen=True)
class Fault:
    """A fault that was tried.

    Attributes:
        file: The file.
        line: Its line.
        what: The operator of cosmic-ray, or the text in SystemVerilog.
        occurrence: Which of the operator's places in the file; 0 in SystemVerilog.
        caught: "yes", "no", or "time" if the tests hung.
        change: The line with the fault.
        seconds: Time of the tests.
    """

    file: str
    line: int
    what: str
    occurrence: int
    caught: str
    change: str
    seconds: float


def python_faults(file: str, count: int, seed: int) -> list[tuple[str, int, int]]:
    """Draw (operator, occurrence, line) for a file. Annotations and docstrings are left alone."""
    tree = get_ast_from_path(ROOT / file)
    places = []
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments() or not _is_plausible(name):
            continue
        found = (
            (node, start[0]) for node in ast_nodes(tree) for start, _ in operator().mutation_positions(node)
        )
        places += [
            (name, number, line) for number, (node, line) in enumerate(found) if not _is_annotation(node)
        ]
    return random.Random(f"{file} {seed}").sample(sorted(places), min(count, len(places)))


def _is_annotation(node: object) -> bool:
    while (parent := getattr(node, "parent", None)) is not None:
        if parent.type in ("tfpdef", "annassign") and node is not parent.children[0]:
            return True
        if parent.type == "funcdef" and node is parent.children[-3] and parent.children[-4] == "->":
            return True
        node = parent
    return False


def tested(tests: str, folder: Path) -> tuple[str, float]:
    """Run tests in a copy of the repository. Return whether they noticed the fault, and the time."""
    started = time.monotonic()
    os.environ["PYTHONPATH"] = str(folder)
    outcome, output = run_tests(
        f"{sys.executable} -m pytest -x -q -n0 -p no:cacheprovider -W ignore {tests}", SECONDS
    )
    caught = "no" if outcome == TestOutcome.SURVIVED else "time" if output == "timeout" else "yes"
    return caught, round(time.monotonic() - started, 1)


def in_python(
    file: str, count: int, seed: int, known: set[tuple[str, str, int]], folder: Path
) -> Iterator[Fault]:
    """Try the faults of a Python file that are not known yet."""
    for name, occurrence, line in python_faults(file, count, seed):
        if (file, name, occurrence) in known:
            continue
        with use_mutation(folder / file, get_operator(name)(), occurrence) as (before, after):
            if after is None:
                continue
            pairs = zip(before.splitlines(), after.splitlines(), strict=False)
            change = next((new for old, new in pairs if old != new), "")
            caught, seconds = tested(CORE[file], folder)
            yield Fault(file, line, name, occurrence, caught, change.strip(), seconds)


def in_rtl(file: str, known: set[tuple[str, str, int]], folder: Path) -> Iterator[Fault]:
    """Try the faults of a SystemVerilog file that are not known yet."""
    for name, text, fault, tests in RTL:
        if name != file or (file, text, 0) in known:
            continue
        path = folder / file
        before = path.read_text()
        if before.count(text) != 1:
            raise SystemExit(f"{file} has {text!r} {before.count(text)} times: correct RTL in {__file__}")
        path.write_text(before.replace(text, fault))
        try:
            line = before[: before.index(text)].count("\n") + 1
            caught, seconds = tested(tests, folder)
            yield Fault(file, line, text, 0, caught, fault, seconds)
        finally:
            path.write_text(before)


def copy_of_repository(folder: Path) -> None:
    """Copy the tracked files."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)


def read(file: Path) -> list[Fault]:
    """Return the rows of the CSV file; none if it does not exist."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        rows = [
            Fault(
                **{
                    **row,
                    "line": int(row["line"]),
                    "occurrence": int(row["occurrence"]),
                    "seconds": float(row["seconds"]),
                }
            )
            for row in csv.DictReader(stream)
        ]
    return rows


def append(fault: Fault, file: Path) -> None:
    """Add a row to the CSV file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = not file.exists()
    with file.open("a", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if new:
            writer.writerow([each.name for each in fields(Fault)])
        writer.writerow(astuple(fault))


def tell(faults: list[Fault]) -> None:
    """Print how many faults of each file were noticed, and those that were not."""
    print("| file | faults | noticed |\n| --- | --- | --- |")
    for file in [*dict.fromkeys(fault.file for fault in faults), "all"]:
        mine = [fault for fault in faults if file in (fault.file, "all")]
        caught = sum(fault.caught != "no" for fault in mine)
        print(f"| {file} | {len(mine)} | {caught} ({caught / max(1, len(mine)):.0%}) |")
    for fault in faults:
        if fault.caught == "no":
            print(f"{fault.file}:{fault.line}: {fault.change}    ({fault.what})")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    files = [*CORE, *dict.fromkeys(file for file, *_ in RTL)]
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"default: {', '.join(files)}")
    parser.add_argument("--count", type=int, default=12, help="faults of a Python file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=Path, default=Path("runs/mutation.csv"))
    options = parser.parse_args()
    if unknown := set(options.files) - set(files):
        parser.error(f"no tests are listed for {', '.join(sorted(unknown))}")
    rows = options.rows.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of_repository(folder)
        os.chdir(folder)
        for file in options.files or files:
            known = {(fault.file, fault.what, fault.occurrence) for fault in read(rows)}
            tried = (
                in_rtl(file, known, folder)
                if file.endswith(".sv")
                else in_python(file, options.count, options.seed, known, folder)
            )
            for fault in tried:
                append(fault, rows)
                print(
                    f"{fault.caught:4} {fault.seconds:6.1f} s  {file}:{fault.line}  {fault.change}",
                    flush=True,
                )
    tell(read(rows))


if __name__ == "__main__":
    main()
