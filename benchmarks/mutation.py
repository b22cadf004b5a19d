"""Do the tests notice faults? Core files are changed in one small way at a time, and their tests must fail.

    pip install -e ".[mutation]"
    python benchmarks/mutation.py [MODULE ...] [--count 12] [--seed 0] [--rows runs/mutation.csv] [--again]

A module is a name of `MODULES` with its Python files, or "rtl". Python modules get `count` faults each, drawn from those
that cosmic-ray knows: other operators, comparisons and numbers, inverted conditions, loops without iterations. SystemVerilog
gets the faults of `RTL`, written by hand. The tests are the fast ones that mirror the file; they run in a copy of the
repository, on one core. Every fault is a row of the CSV file; run the same command to resume. Faults that no test notices
are printed, each with its line.

A person reads these. Write the reason into the column `why`, and `same` into `caught`, if the changed program does the same.
Otherwise write a test; `--again` then tries the faults that went unnoticed again.
"""

import argparse
import csv
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[1]

MODULES: dict[str, tuple[str, ...]] = {
    "crossings": ("finn_flows/crossings.py",),
    "integer": ("finn_flows/integer.py",),
    "lowering": ("finn_flows/lowering/*.py",),
    "lowering/graph": ("finn_flows/lowering/graph/*.py",),
    "lowering/canonical": ("finn_flows/lowering/canonical/*.py",),
    "lowering/absorbing": ("finn_flows/lowering/absorbing/*.py",),
    "structural": ("finn_flows/cost_model.py", "finn_flows/cost.py", "finn_flows/dead_lanes.py"),
    "latency": ("finn_flows/timing.py", "finn_flows/nodes/flow.py"),
    "serial": ("finn_flows/chip/serial_line.py", "finn_flows/chip/accelerator.py"),
    "store": ("hw_search/execution/store.py",),
    "surrogate": ("hw_search/strategies/surrogate.py",),
    "canonical": ("models/canonical.py",),
    "pareto": ("reports/pareto.py",),
    "nodes": ("finn_flows/nodes/*.py",),
}
"""Core modules: patterns of their Python files. A file belongs to the first module that lists it."""

_STRATEGIES = "tests/hw_search/strategies/test_strategies.py"
MORE_TESTS: dict[str, tuple[str, ...]] = {
    "finn_flows/integer.py": ("tests/finn_flows/test_network.py",),
    "finn_flows/cost_model.py": ("tests/finn_flows/test_cost.py",),
    "finn_flows/chip/accelerator.py": ("tests/finn_flows/chip/test_host.py",),
    "finn_flows/nodes/flow.py": ("tests/finn_flows/test_timing.py",),
    "finn_flows/nodes/sparse_weights.py": (
        "tests/finn_flows/nodes/test_symmetric.py",
        "tests/finn_flows/nodes/test_wired.py",
    ),
    "hw_search/strategies/surrogate.py": (
        f"{_STRATEGIES}::test_about_as_many_as_planned_are_asked_for_none_twice_in_a_batch[surrogate]",
        f"{_STRATEGIES}::test_a_surrogate_searches_any_space",
        f"{_STRATEGIES}::test_a_surrogate_goes_on_when_all_it_had_drawn_was_asked_for",
    ),
    "finn_flows/nodes/*": (
        "tests/finn_flows/nodes/test_prices.py",
        "tests/finn_flows/nodes/test_limits.py",
        "tests/finn_flows/nodes/test_stock.py",
    ),
    "finn_flows/lowering/graph/regions.py": ("tests/finn_flows/lowering/graph/test_monotone.py",),
    "finn_flows/lowering/canonical/writer.py": ("tests/finn_flows/lowering/canonical/test_signals.py",),
    "finn_flows/lowering/canonical/tidying.py": ("tests/finn_flows/lowering/canonical/test_signals.py",),
    "finn_flows/lowering/*": (
        "tests/finn_flows/lowering/test_refusals.py",
        "tests/finn_flows/lowering/test_joins.py",
    ),
}
"""Tests of a file besides those that mirror its path, and of every file in a folder and below (*)."""

RTL: list[tuple[str, str, str, str]] = [
    ("nodes/zc_label_tree.sv", "high > low", "high >= low", "test_label_select"),
    ("nodes/zc_label_tree.sv", "1) << LEVEL", "1) << (LEVEL + 1)", "test_label_select"),
    ("nodes/zc_labelselect.sv", "word_best_q > best", "word_best_q >= best", "test_label_select"),
    ("nodes/zc_maxpool.sv", "SIGNED ?", "!SIGNED ?", "test_max_pool"),
    ("nodes/zc_maxpool.sv", "|| row_last ? '0 : y", "? '0 : y", "test_max_pool"),
    ("nodes/zc_sumpool.sv", "first_x && first_y ? '0", "first_x ? '0", "test_sum_pool"),
    ("nodes/zc_thermometer.sv", "value >= threshold;", "value > threshold;", "test_synthesis_branches"),
    ("nodes/zc_thermometer.sv", ">= COMPARED'(threshold", "> COMPARED'(threshold", "test_thermometer"),
    (
        "nodes/zc_crossings.sv",
        "passed[i] <= value >= here",
        "passed[i] <= value > here",
        "test_crossing_site",
    ),
    (
        "nodes/zc_crossings.sv",
        "held[stage] >= thresholds[place]",
        "held[stage] > thresholds[place]",
        "test_crossing_site",
    ),
    ("nodes/zc_bit_planes.sv", "planes[i*8+:", "planes[(BITS-1-i)*8+:", "test_bit_planes"),
    ("nodes/zc_select.sv", "m_tready || !keep", "m_tready", "test_select"),
    ("nodes/zc_stage.sv", "m_tready || !m_tvalid", "1'b1", "test_wired"),
    ("nodes/zc_windows.sv", "STRIDE_H > 1 || row_last", "row_last", "test_input_generator"),
    ("nodes/zc_concat.sv", "take_b && b_last", "take_b", "test_concat"),
    ("nodes/zc_add.sv", "A_SIGNED ?", "!A_SIGNED ?", "test_add"),
    ("nodes/zc_bias.sv", "negative ? bias - shifted", "negative ? bias + shifted", "test_bias"),
    ("nodes/zc_padding.sv", "begun && !on_image", "!on_image", "test_padding"),
    (
        "nodes/zc_fifo.sv",
        "address == ADDRESS_BITS'(WORDS - 1)",
        "address == ADDRESS_BITS'(WORDS)",
        "test_fifo",
    ),
    ("nodes/zc_fifo.sv", "held + 1 > high_water", "held > high_water", "test_fifo"),
    ("nodes/zc_duplicate.sv", "!s_tready && (a_taken || a_tready)", "a_taken || a_tready", "test_duplicate"),
    ("chip/zc_serial.sv", "late ? TOO_LATE", "late ? BUSY", "test_serial_line"),
    ("chip/zc_serial.sv", "byte_in == RUN && active", "active", "test_serial_line"),
    ("chip/zc_serial.sv", "wire right = crc_in == 0", "wire right = 1", "test_serial_line"),
    ("chip/zc_serial.sv", "16'h8408", "16'h8409", "test_serial_line"),
    ("chip/zc_serial.sv", "if (!rst_n || identify) hold", "if (!rst_n) hold", "test_serial_line"),
    ("chip/zc_serial.sv", "silent <= byte_valid ||", "silent <=", "test_serial_line"),
    ("chip/zc_serial.sv", "!rst_n || identify || answered", "!rst_n || answered", "test_serial_line"),
]
"""Faults in SystemVerilog: file in finn_flows, text, the text in its place, tests in the folder that mirrors the file's."""

SWAPS = (
    *("Add_Sub", "Sub_Add", "Mul_FloorDiv", "FloorDiv_Mul", "Div_Mul", "Mod_FloorDiv", "Mul_Add", "Pow_Mul"),
    *("LShift_RShift", "RShift_LShift", "BitAnd_BitOr", "BitOr_BitAnd", "BitXor_BitOr"),
)
"""Exchanges of binary operators that a person might make: + for -, but not + for ^."""

_IMPORTS = (
    *("torch", "torch._dynamo", "torchvision", "brevitas.nn", "brevitas.export", "scipy.stats"),
    *("sklearn.ensemble", "onnx", "onnxruntime", "qonnx.core.modelwrapper", "pymoo.core.problem"),
    *("pydantic", "hypothesis.extra.numpy", "pytest", "xdist.plugin", "rich.console", "typer", "serial"),
)
"""Libraries that are imported once, ahead of all tests."""

_MEMORY = 16 << 30
"""Bytes of address space that tests may take. A fault may ask for any amount."""


@dataclass(frozen=True)
class Fault:
    """A fault that was tried.

    Attributes:
        module: The module.
        file: The file.
        line: Its line.
        what: The operator of cosmic-ray, or the text in SystemVerilog.
        occurrence: Which of the operator's places in the file; 0 in SystemVerilog.
        caught: "yes", "no", "time" if the tests hung, or "same" if the changed program does the same.
        change: The line with the fault.
        seconds: Time of the tests.
        by: The test that failed.
        why: Why the changed program does the same.
    """

    module: str
    file: str
    line: int
    what: str
    occurrence: int
    caught: str = "no"
    change: str = ""
    seconds: float = 0.0
    by: str = ""
    why: str = ""

    @property
    def place(self) -> tuple[str, str, int]:
        """What tells faults apart."""
        return self.file, self.what, self.occurrence


def files_of(module: str) -> list[str]:
    """Return the Python files of a module; a file belongs to the first module that lists it."""
    owner: dict[str, str] = {}
    for name, patterns in MODULES.items():
        for pattern in patterns:
            for path in sorted(ROOT.glob(pattern)):
                if path.stem != "__init__":
                    owner.setdefault(str(path.relative_to(ROOT)), name)
    return [file for file, name in owner.items() if name == module]


def tests_of(file: str) -> list[str]:
    """Return the tests of a Python file; those that mirror its path come first."""
    path = Path(file)
    mirrored = Path("tests", path.parent, f"test_{path.stem}.py")
    keys = [file, *(f"{parent}/*" for parent in path.parents)]
    more = [test for key in keys for test in MORE_TESTS.get(key, ())]
    return [str(mirrored), *more] if (ROOT / mirrored).exists() else more


def python_faults(module: str, count: int, seed: int) -> list[Fault]:
    """Draw faults of a module, each place in its files as likely as another. Annotations and docstrings are left alone."""
    places = [place for file in files_of(module) if tests_of(file) for place in _places(module, file)]
    drawn = random.Random(f"{module} {seed}").sample(places, min(count, len(places)))
    return sorted(drawn, key=lambda fault: fault.file)


def _places(module: str, file: str) -> Iterator[Fault]:
    tree = get_ast_from_path(ROOT / file)
    for name in sorted(operator_names()):
        operator = get_operator(name)
        if operator.arguments() or not _is_plausible(name):
            continue
        found = (
            (node, start[0]) for node in ast_nodes(tree) for start, _ in operator().mutation_positions(node)
        )
        for number, (node, line) in enumerate(found):
            if not _is_annotation(node):
                yield Fault(module, file, line, name, number)


def _is_plausible(operator: str) -> bool:
    kind = operator.removeprefix("core/")
    if kind.startswith("ReplaceBinaryOperator_"):
        return kind.removeprefix("ReplaceBinaryOperator_") in SWAPS
    return not kind.endswith(("_Is", "_IsNot"))


def _is_annotation(node: object) -> bool:
    while (parent := getattr(node, "parent", None)) is not None:
        if parent.type in ("tfpdef", "annassign") and node is not parent.children[0]:
            return True
        if parent.type == "funcdef" and node is parent.children[-3] and parent.children[-4] == "->":
            return True
        node = parent
    return False


def rtl_faults() -> list[Fault]:
    """Return the faults of `RTL`."""
    faults = []
    for name, text, change, _ in RTL:
        file = f"finn_flows/{name}"
        before = (ROOT / file).read_text()
        if before.count(text) != 1:
            raise SystemExit(f"{file} has {text!r} {before.count(text)} times: correct RTL in {__file__}")
        line = before[: before.index(text)].count("\n") + 1
        faults.append(Fault("rtl", file, line, text, 0, change=change))
    return faults


class Tests:
    """Runs tests in a copy of the repository. Libraries are imported once; every run is a fork of this process.

    Args:
        folder: Folder of the copy.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seconds: dict[str, float] = {}
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        for name in listed.decode().split("\0"):
            if name and (ROOT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        os.environ |= {
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "ZEROCROSS_SIMULATIONS": str(folder.with_name("simulations")),
        }
        os.chdir(folder)
        sys.dont_write_bytecode = True
        sys.path[:] = [str(folder), *(path for path in sys.path if not path.startswith(str(ROOT)))]
        for library in _IMPORTS:
            import_module(library)

    def fail(self, tests: list[str]) -> tuple[str, str, float]:
        """Return "yes", "no", or "time" if the tests hang; the test that failed; and the time.

        Raises:
            SystemExit: If the tests of the unchanged files fail. They run before the first fault.
        """
        if not self._seconds.keys() >= set(tests):
            raise RuntimeError("time the tests without a fault first")
        return self._run(tests, 30 + 5 * sum(self._seconds[test] for test in tests))

    def time(self, tests: list[str]) -> None:
        """Run each of the tests of unchanged files, unless that was done.

        Raises:
            SystemExit: If they fail.
        """
        for test in tests:
            if test not in self._seconds:
                failed, by, seconds = self._run([test], 900)
                if failed != "no":
                    raise SystemExit(f"{test}: {by or 'the tests'} fail without a fault")
                print(f"     {seconds:6.1f} s  {test}", flush=True)
                self._seconds[test] = seconds

    def _run(self, tests: list[str], limit: float) -> tuple[str, str, float]:
        started = time.monotonic()
        with tempfile.TemporaryFile("w+") as output:
            child = os.fork()
            if not child:
                _be_tests(tests, output.fileno())
            code = None
            while code is None and time.monotonic() - started < limit:
                time.sleep(0.05)
                done, status = os.waitpid(child, os.WNOHANG)
                code = os.waitstatus_to_exitcode(status) if done else None
            _end(child, waited=code is not None)
            output.seek(0)
            lines = output.read().splitlines()
        by = next((line for line in lines if line.startswith(("FAILED ", "ERROR "))), "")
        name = by.partition(" ")[2].partition(" - ")[0]
        caught = "time" if code is None else "no" if code == 0 else "yes"
        return caught, name, round(time.monotonic() - started, 1)


def _be_tests(tests: list[str], output: int) -> None:
    """Become the process of tests; it never returns."""
    code = 70
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        import hypothesis
        import pytest

        # No shorter examples, and none of former faults.
        phases = [phase for phase in hypothesis.Phase if phase.name in ("explicit", "generate")]
        hypothesis.settings.register_profile("faults", deadline=None, phases=phases, database=None)
        options = ["-x", "-q", "-n0", "-p", "no:cacheprovider", "-W", "ignore"]
        options += ["--hypothesis-seed=0", "--hypothesis-profile=faults"]
        passed = int(pytest.main([*options, *tests]))
        import zerocross

        if Path(zerocross.__file__).is_relative_to(Path.cwd()):
            code = passed
        else:
            print(f"ERROR {zerocross.__file__} was tested, which is not the copy")
        sys.stdout.flush()
    finally:
        os._exit(code)


def _end(child: int, waited: bool) -> None:
    """End the group of a process of tests."""
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not waited:
        os.waitpid(child, 0)


def tried(fault: Fault, tests: Tests) -> Fault | None:
    """Try a fault; None if cosmic-ray leaves the file as it is."""
    path = tests.folder / fault.file
    if fault.module == "rtl":
        (name,) = (
            test for file, text, _, test in RTL if (f"finn_flows/{file}", text) == (fault.file, fault.what)
        )
        listed, before = [str(Path("tests", fault.file).with_name(f"{name}.py"))], path.read_text()
        tests.time(listed)
        path.write_text(before.replace(fault.what, fault.change))
        try:
            caught, by, seconds = tests.fail(listed)
        finally:
            path.write_text(before)
        return replace(fault, caught=caught, by=by, seconds=seconds)
    listed = tests_of(fault.file)
    tests.time(listed)
    with use_mutation(path, get_operator(fault.what)(), fault.occurrence) as (old, new):
        if new is None:
            return None
        pairs = zip(old.splitlines(), new.splitlines(), strict=False)
        change = next((after for before, after in pairs if before != after), "").strip()
        caught, by, seconds = tests.fail(listed)
    return replace(fault, caught=caught, change=change, by=by, seconds=seconds)


def read(file: Path) -> list[Fault]:
    """Return the rows of the CSV file; none if it does not exist."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        rows: list[dict[str, Any]] = list(csv.DictReader(stream))
    numbers: dict[str, Callable[[str], float]] = {"line": int, "occurrence": int, "seconds": float}
    return [Fault(**row | {name: number(row[name]) for name, number in numbers.items()}) for row in rows]


def write(fault: Fault, file: Path) -> None:
    """Add a row to the CSV file, or replace the row of the same fault."""
    rows = {each.place: each for each in read(file)} | {fault.place: fault}
    file.parent.mkdir(parents=True, exist_ok=True)
    copy = file.with_suffix(".part")
    with copy.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([each.name for each in fields(Fault)])
        writer.writerows(astuple(row) for row in rows.values())
    copy.replace(file)


def tell(faults: list[Fault]) -> None:
    """Print how many faults of each module were noticed, and those that were not."""
    print("| module | tried | noticed | the same | left |\n| --- | --- | --- | --- | --- |")
    for module in [*dict.fromkeys(fault.module for fault in faults), "all"]:
        mine = [fault.caught for fault in faults if module in (fault.module, "all")]
        caught, same, left = mine.count("yes") + mine.count("time"), mine.count("same"), mine.count("no")
        share = f"{caught} ({caught / max(1, caught + left):.0%})"
        print(f"| {module} | {len(mine)} | {share} | {same} | {left} |")
    for fault in faults:
        if fault.caught == "no":
            print(f"{fault.file}:{fault.line}: {fault.change}    ({fault.what})")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    modules = [*MODULES, "rtl"]
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"default: {', '.join(modules)}")
    parser.add_argument("--count", type=int, default=12, help="faults of a module in Python")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=Path, default=Path("runs/mutation.csv"))
    parser.add_argument("--again", action="store_true", help="try the faults that went unnoticed again")
    options = parser.parse_args()
    if unknown := set(options.modules) - set(modules):
        parser.error(f"there is no module {', '.join(sorted(unknown))}; there are {', '.join(modules)}")
    chosen, rows = options.modules or modules, options.rows.resolve()
    if options.again:
        faults = [fault for fault in read(rows) if fault.caught == "no" and fault.module in chosen]
    else:
        drawn = (
            rtl_faults() if name == "rtl" else python_faults(name, options.count, options.seed)
            for name in chosen
        )
        known = {fault.place for fault in read(rows)}
        faults = [fault for each in drawn for fault in each if fault.place not in known]
    with tempfile.TemporaryDirectory() as name:
        tests = Tests(Path(name, "repository"))
        for fault in faults:
            if (row := tried(fault, tests)) is not None:
                write(row, rows)
                print(f"{row.caught:4} {row.seconds:6.1f} s  {row.file}:{row.line}  {row.change}", flush=True)
    tell(read(rows))


if __name__ == "__main__":
    main()
