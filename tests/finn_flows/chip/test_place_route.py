"""Constraint files, what is read back from nextpnr, and, slow, bitstreams."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.finn_flows.chip.small_designs import built, small_design
from zerocross.finn_flows import children
from zerocross.finn_flows.boards import get_target
from zerocross.finn_flows.chip import place_route
from zerocross.finn_flows.chip.place_route import (
    Clock,
    DoesNotFit,
    Routed,
    RouteError,
    constraints,
    place_and_route,
    read_clocks,
    read_critical_path,
    read_use,
)
from zerocross.finn_flows.chip.serial_line import SerialLink, serial_top
from zerocross.finn_flows.chip.synthesis import synthesise
from zerocross.finn_flows.families.router import Tool
from zerocross.finn_flows.rtl.simulation import ToolMissing

PORTS = ("clk", "rx", "tx", "led")


def step(kind, delay, start, end):
    return {"type": kind, "delay": delay, "from": {"cell": start}, "to": {"cell": end}}


REPORT = {
    "fmax": {
        "usb_clk": {"achieved": 90.0, "constraint": 48.0},
        "$glbnet$design_clk": {"achieved": 40.0, "constraint": 50.0},
    },
    "utilization": {
        "TRELLIS_COMB": {"used": 837, "available": 83640},
        "DP16KD": {"used": 2, "available": 208},
        "DCCA": {"used": 1, "available": 56},
    },
    "critical_paths": [
        {"from": "<async>", "to": "posedge $glbnet$design_clk", "path": [step("source", 99.0, "rx", "rx")]},
        {
            "from": "posedge $glbnet$design_clk",
            "to": "posedge $glbnet$design_clk",
            "path": [
                step("clk-to-q", 5.5, "accelerator.conv1.rom.0", "accelerator.conv1.rom.0"),
                step("routing", 9.0, "accelerator.conv1.rom.0", "$nextpnr_LC_7"),
                step("logic", 0.5, "$nextpnr_LC_7", "$nextpnr_LC_7"),
                step("routing", 9.5, "$nextpnr_LC_7", "accelerator.pool1.best"),
                step("setup", 0.5, "accelerator.pool1.best", "accelerator.pool1.best"),
            ],
        },
    ],
}


def test_constraints_are_in_the_language_of_each_family():
    lpf = constraints(get_target("ulx3s-85f"), 50, PORTS)
    assert 'LOCATE COMP "rx" SITE "M1";' in lpf and 'FREQUENCY PORT "clk" 25 MHZ;' in lpf
    assert 'IOBUF PORT "rx" IO_TYPE=LVCMOS33 PULLMODE=UP;' in lpf
    pcf = constraints(get_target("icebreaker"), 24, PORTS)
    assert pcf.splitlines() == [
        "set_io clk 35",
        "set_io -pullup yes rx 6",
        "set_io tx 9",
        "set_io led 11",
        "set_frequency clk 12",
    ]
    cst = constraints(get_target("tangnano9k"), 54, PORTS)
    assert 'IO_LOC "tx" 17;' in cst and 'IO_PORT "led" IO_TYPE=LVCMOS18;' in cst
    bare = constraints(get_target("lfe5u-45f"), 70, PORTS[:3])
    assert "LOCATE" not in bare and 'FREQUENCY PORT "clk" 70 MHZ;' in bare


def test_a_report_is_read_back():
    clocks = read_clocks(REPORT)
    assert [clock.name for clock in clocks] == ["$glbnet$design_clk", "usb_clk"]
    assert clocks[0].slack_ns == pytest.approx(20 - 25)
    used = read_use(REPORT["utilization"], "ecp5")
    assert {name: (use.used, use.available) for name, use in used.items()} == {
        "lut": (837, 83640),
        "bram": (2, 208),
    }
    path = read_critical_path(REPORT, clocks[0].name)
    assert path.nodes == ("conv1", "pool1") and path.levels == 1
    assert (path.start, path.end) == ("accelerator.conv1.rom.0", "accelerator.pool1.best")
    assert (path.delay_ns, path.routing_ns) == (25.0, 18.5)


def test_timing_says_what_to_do():
    path = read_critical_path(REPORT, "$glbnet$design_clk")

    def routed(*clocks):
        return Routed("icebreaker", Path("design.bin"), clocks, {}, path, 0, 1.0, Path("log"))

    missed = routed(Clock("clk", 40.0, 50.0))
    assert not missed.met and missed.fmax_mhz == 40.0
    for words in (
        "only 40.0 MHz, and its clock is 50.0 MHz",
        "5.00 ns too slow",
        "conv1 -> pool1",
        "--clock 40 or less",
    ):
        assert words in missed.timing()
    met = routed(Clock("clk", 60.0, 50.0))
    early = replace(met, hold_violations=3)
    assert not early.met and "violates the hold time of flip-flops 3 times" in early.timing()
    assert met.met and "reaches 60.0 MHz; its clock is 50.0 MHz" in met.timing()
    assert routed().met and routed().fmax_mhz == 0.0


@pytest.mark.parametrize(
    ("log", "code", "kind", "said"),
    [
        (
            "Info: \t         ICESTORM_LC:    1862/   1280   145%\nERROR: Unable to place cell 'a'",
            125,
            DoesNotFit,
            r"needs 1,862 logic cells, ice40up5k has 1,280 \(45% too many\): build with more --cycles, or for a larger",
        ),
        (
            "Info: \t        ICESTORM_RAM:      61/     30   203%\nERROR: no BELs",
            125,
            DoesNotFit,
            "needs 61 block RAMs.*put the weights of small layers into LUTs",
        ),
        (
            "Info: \t         ICESTORM_LC:    5230/   5280    99%\n"
            "Info: \t        ICESTORM_PLL:       1/      1   100%\nERROR: Unable to find legal placement for all cells",
            125,
            DoesNotFit,
            "uses 5,230 of 5,280 logic cells.*too many to be placed",
        ),
        ("ERROR: IO 'clk' is unconstrained", 125, RouteError, "IO 'clk' is unconstrained"),
        (
            "Traceback (most recent call last):\nOSError: bad wheel",
            1,
            ToolMissing,
            "bad wheel.*force-reinstall",
        ),
        ("Info: Packing", -9, ToolMissing, "memory ran out"),
    ],
)
def test_a_failure_says_why(tmp_path, log, code, kind, said):
    file = tmp_path / "nextpnr.log"
    file.write_text(log)
    error = place_route._complaint(log, code, get_target("icebreaker"), file)
    assert type(error) is kind
    with pytest.raises(kind, match=said):
        raise error


def test_a_missing_wheel_is_named(tmp_path):
    tool = Tool("no_such_module", "run", "some-wheel", ())
    with pytest.raises(ToolMissing, match="pip install some-wheel"):
        place_route._run(tool, tmp_path, tmp_path / "log", print)


def test_progress_is_read_from_the_log():
    told = []
    heard = place_route._follow(lambda phase, share: told.append((phase, share)))
    for line in (
        "Info: Packing IOs..",
        "Info: Packing LUTs...",
        "Info: Creating initial analytic placement for 608 cells",
        "Info: Routing globals...",
        "Info: Routing..",
        "Info: Routing 3000 arcs.",
        "Info:    IterCnt |  w/ripup   wo/ripup |  w/r  wo/r |      arcs| batch(sec) total(sec)|",
        "Info:       1000 |      269        730 |  269   730 |      2250|       0.70       0.70|",
    ):
        heard(line)
    assert told == [("packing", None), ("placing", None), ("routing", None), ("routing", 0.25)]


def netlist(name: str, folder: Path, clock_mhz: float | None = None, bits: int = 1) -> Path:
    """Synthesise a small design for a target."""
    board, design = get_target(name), small_design(bits)
    files = built(design, folder)
    top = folder / "board.sv"
    link = SerialLink(design.input, design.output, 1)
    top.write_text(serial_top("board", files.top, link, board, clock_mhz))
    nodes = [f"accelerator.{element.name}" for element in design.elements]
    synthesis = synthesise(
        "board",
        [*files.sources, top],
        folder,
        board.family,
        nodes,
        part=board.part.name,
        pads=True,
    )
    return synthesis.netlist


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "clock_mhz", "first"),
    [
        ("ulx3s-85f", 50, b"\xff\x00"),
        ("lfe5u-25f", 40, b"\xff\x00"),
        ("orangecrab-25f", 60, b"\xff\x00"),
        ("colorlight-5a-75b", 50, b"\xff\x00"),
        ("icebreaker", 24, b"\xff\x00"),
        ("upduino", 24, b"\xff\x00"),
        ("ice40hx8k-b-evn", 48, b"\xff\x00"),
        ("tangnano9k", 54, b"1111"),
    ],
)
def test_a_small_design_becomes_a_bitstream(tmp_path, name, clock_mhz, first):
    told = []
    routed = place_and_route(
        netlist(name, tmp_path, clock_mhz),
        get_target(name),
        tmp_path,
        clock_mhz,
        progress=lambda phase, share: told.append(phase),
    )
    assert routed.met and routed.fmax_mhz > clock_mhz
    assert routed.clocks[0].wanted_mhz == pytest.approx(clock_mhz, rel=1e-3)
    assert 400 < routed.used["lut"].used < 1500 and routed.used["bram"].used >= 2
    around = {"serial_line", "power_on"}
    assert set(routed.critical.nodes) <= {"hidden", "hidden_activation", "classes", "label"} | around
    assert {"placing", "routing", "packing the bitstream"} <= set(told)
    assert routed.bitstream.read_bytes().startswith(first) and routed.bitstream.stat().st_size > 50_000


@pytest.mark.slow
def test_a_design_too_large_says_by_how_much(tmp_path):
    with pytest.raises(DoesNotFit, match=r"logic cells, ice40hx1k has 1,280") as error:
        place_and_route(netlist("icestick", tmp_path, bits=8), get_target("icestick"), tmp_path)
    assert error.value.resource == "lut" and error.value.used > error.value.available == 1280


@pytest.mark.slow
def test_an_interruption_leaves_nothing_behind(tmp_path):
    import psutil

    def interrupt(phase, share):
        if phase == "placing":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place_and_route(
            netlist("icebreaker", tmp_path), get_target("icebreaker"), tmp_path, progress=interrupt
        )
    left = psutil.Process().children(recursive=True)
    assert all(children._GUARDIAN in process.cmdline() for process in left) and len(left) <= 1
    assert not list(tmp_path.rglob("design.bin*"))
