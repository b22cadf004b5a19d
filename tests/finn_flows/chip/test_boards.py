"""Boards and clocks. Settings of PLLs are held against what the families' open tools print."""

import pytest

from zerocross.finn_flows.boards import BOARDS, TARGETS, NoTarget, get_target
from zerocross.finn_flows.chip.clocks import Unreachable, pll
from zerocross.finn_flows.chip.serial_line import SerialLink, serial_top
from zerocross.finn_flows.nodes.stream import Stream


def test_names_find_boards_and_bare_parts():
    board = get_target(" ULX3S-85F ")
    assert (board.part.name, board.clock, board.rx, board.tx) == ("lfe5u-85f", "G2", "M1", "L4")
    assert get_target("generic-lfe5u-45f") is get_target("LFE5U-45F")
    assert get_target("lfe5u-45f").rx == "" and get_target("hx8k").device.package == "ct256"
    assert get_target("tangnano9k").load_command("a.fs") == "openFPGALoader -b tangnano9k a.fs"
    assert "<your programmer>" in get_target("ice40hx1k").load_command("a.bin")


def test_every_target_has_what_a_bitstream_needs():
    for name, board in TARGETS.items():
        assert board.name == name and board.family in ("ecp5", "ice40", "gowin")
        assert board.part.name in (name, BOARDS.get(name))
        if board.clock_mhz:  # a board, not a bare part
            pins = [board.clock, board.rx, board.tx, *([board.led] if board.led else [])]
            assert all(pins) and len(set(pins)) == len(pins)
        serial_top("board", "some_design", SerialLink(Stream((8,), 8, 1), Stream((1,), 1, 4), 7), board, 25)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("pynq-z1", r"7-series part \(xc7z020\).*needs Vivado"),
        ("u250", r"ultrascale\+.*needs Vivado"),
        ("icebraker", "did you mean icebreaker"),
        ("?", "known are: .*ulx3s-85f"),
    ],
)
def test_what_cannot_be_built_for_says_why(asked, said):
    with pytest.raises(NoTarget, match=said):
        get_target(asked)


# ecppll -i 25 -o ...: reference, feedback and output divisors
@pytest.mark.parametrize(
    ("wanted", "dividers"),
    [
        (20, (5, 4, 30)),
        (33, (3, 4, 18)),
        (50, (1, 2, 12)),
        (62.5, (2, 5, 10)),
        (80, (5, 16, 7)),
        (125, (1, 5, 5)),
    ],
)
def test_ecp5_clocks_are_those_of_ecppll(wanted, dividers):
    found = pll("ecp5", 25, wanted)
    given = tuple(int(found.parameters[name]) for name in ("CLKI_DIV", "CLKFB_DIV", "CLKOP_DIV"))
    assert given == dividers
    assert found.output_mhz == pytest.approx(25 / given[0] * given[1])
    assert found.vco_mhz == pytest.approx(found.output_mhz * given[2])


# icepll -i 12 -o ...: DIVR, DIVF, DIVQ, FILTER_RANGE
@pytest.mark.parametrize(
    ("wanted", "settings"),
    [
        (20, (0, 52, 5, 1)),
        (24, (0, 63, 5, 1)),
        (33, (0, 87, 5, 1)),
        (48, (0, 63, 4, 1)),
        (100, (0, 66, 3, 1)),
    ],
)
def test_ice40_clocks_are_those_of_icepll(wanted, settings):
    found = pll("ice40", 12, wanted)
    given = tuple(int(value.split("d")[1]) for value in found.parameters.values())
    assert given == settings
    assert found.output_mhz == 12 / (given[0] + 1) * (given[1] + 1) / 2 ** given[2]


# gowin_pll -d GW1NR-LV9QN88PC6/I5 -i 27 -o ...: IDIV_SEL, FBDIV_SEL, ODIV_SEL
@pytest.mark.parametrize(
    ("wanted", "settings"),
    [(20, (3, 2, 32)), (33, (8, 10, 16)), (50, (6, 12, 8)), (60, (8, 19, 8)), (100, (6, 25, 4))],
)
def test_gowin_clocks_are_those_of_gowin_pll(wanted, settings):
    found = pll("gowin", 27, wanted)
    given = tuple(int(found.parameters[name]) for name in ("IDIV_SEL", "FBDIV_SEL", "ODIV_SEL"))
    assert given == settings
    assert found.output_mhz == 27 * (given[1] + 1) / (given[0] + 1)


# gowin_pll -d "GW2AR-18 C8/I7" -i 27 -o ...: the oscillator of a GW2A is faster
@pytest.mark.parametrize(
    ("wanted", "settings"),
    [(20, (3, 2, 32)), (50, (6, 12, 16)), (54, (0, 1, 16)), (60, (8, 19, 16)), (100, (6, 25, 8))],
)
def test_gowin_clocks_of_a_gw2a(wanted, settings):
    found = pll("gowin", 27, wanted, "GW2A-18C")
    assert tuple(int(found.parameters[name]) for name in ("IDIV_SEL", "FBDIV_SEL", "ODIV_SEL")) == settings
    assert 500 <= found.vco_mhz <= 1250


def test_a_clock_out_of_reach_says_what_is_in_reach():
    with pytest.raises(Unreachable, match="generates clocks of 16 to 275 MHz, not 8"):
        pll("ice40", 12, 8)
    with pytest.raises(Unreachable, match="accepts clocks of 8 to 400 MHz, not 1"):
        pll("ecp5", 1, 50)
