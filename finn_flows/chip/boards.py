"""Boards, and bare parts, for which a bitstream can be made with open tools: pins, clock, and how to load one.

`finn_flows/parts.py` says which part a board carries. Pins come from the makers' constraint files.
`rx` is where the FPGA listens, `tx` where it speaks: the board's USB serial converter is on their other ends.
"""

import difflib
from dataclasses import dataclass, replace

from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.parts import BOARDS, PARTS, SHORT_NAMES, Part, get_part


class NoTarget(FlowError):
    """Nothing to make a bitstream for has the name; the message says what there is, or what else to use."""


@dataclass(frozen=True)
class Board:
    """A board, or a bare part whose pins are left to the tool.

    Attributes:
        name: by which it is asked for.
        part_name: its FPGA, a name of `zerocross.finn_flows.parts`.
        device: the FPGA by nextpnr's name.
        package: its package, where nextpnr asks.
        speed: its speed grade, where nextpnr asks.
        clock_mhz: of its oscillator; 0 for a bare part, whose clock pin is given the design's clock.
        clock, rx, tx: pins; empty for a bare part.
        led: a pin with a light on it, or empty.
        led_low: whether the light is on at 0.
        led_standard: the light's IO standard.
        io_standard: the other pins'.
        clock_at_pll: whether an iCE40's clock comes in at the pin that belongs to its PLL.
        loader: the name by which openFPGALoader knows the board.
    """

    name: str
    part_name: str
    device: str
    package: str = ""
    speed: str = ""
    clock_mhz: float = 0
    clock: str = ""
    rx: str = ""
    tx: str = ""
    led: str = ""
    led_low: bool = False
    led_standard: str = "LVCMOS33"
    io_standard: str = "LVCMOS33"
    clock_at_pll: bool = False
    loader: str = ""

    @property
    def part(self) -> Part:
        """The FPGA and what it holds."""
        return get_part(self.part_name)

    @property
    def family(self) -> str:
        """`ecp5`, `ice40` or `gowin`."""
        return self.part.family

    def load_command(self, bitstream: str) -> str:
        """How to load a bitstream, for a person to type; it needs openFPGALoader.

        iCE40 boards start from their flash and are loaded by writing it; the others are loaded until power-off,
        or for good with -f.
        """
        if not self.loader:
            return f"openFPGALoader --cable <your programmer> {bitstream}"
        return f"openFPGALoader -b {self.loader} {bitstream}"


def _bare(part: str, device: str, package: str = "", speed: str = "", **pins: str) -> Board:
    return Board(part, part, device, package, speed, **pins)  # type: ignore[arg-type]


# Bare parts: the package most boards have. Gowin's place and route wants pins: those of a Tang Nano.
_BARE = (
    _bare("lfe5u-12f", "12k", "CABGA381", "6"),
    _bare("lfe5u-25f", "25k", "CABGA381", "6"),
    _bare("lfe5u-45f", "45k", "CABGA381", "6"),
    _bare("lfe5u-85f", "85k", "CABGA381", "6"),
    _bare("ice40hx1k", "hx1k", "tq144"),
    _bare("ice40hx8k", "hx8k", "ct256"),
    _bare("ice40up5k", "up5k", "sg48"),
    _bare("gw1nr-9", "GW1NR-LV9QN88PC6/I5", clock="52", rx="18", tx="17"),
    _bare("gw2ar-18", "GW2AR-LV18QN88C8/I7", clock="4", rx="70", tx="69"),
)


def _on(name: str, **settings: object) -> Board:
    bare = next(board for board in _BARE if board.name == BOARDS[name])
    return replace(bare, name=name, **settings)  # type: ignore[arg-type]


def _ulx3s(size: str) -> Board:
    pins = {"clock": "G2", "rx": "M1", "tx": "L4", "led": "B2"}
    return _on(f"ulx3s-{size}", clock_mhz=25.0, loader="ulx3s", **pins)


_BOARDS = (
    *(_ulx3s(size) for size in ("12f", "25f", "45f", "85f")),
    _on(
        "icebreaker",
        clock_mhz=12.0,
        clock="35",
        clock_at_pll=True,
        rx="6",
        tx="9",
        led="11",
        led_low=True,
        loader="ice40_generic",
    ),
    _on(
        "ice40hx8k-b-evn",
        clock_mhz=12.0,
        clock="J3",
        rx="B10",
        tx="B12",
        led="B5",
        loader="ice40_generic",
    ),
    _on(
        "icestick",
        clock_mhz=12.0,
        clock="21",
        rx="9",
        tx="8",
        led="99",
        loader="ice40_generic",
    ),
    _on(
        "tangnano9k",
        clock_mhz=27.0,
        led="10",
        led_low=True,
        led_standard="LVCMOS18",
        loader="tangnano9k",
    ),
    _on(
        "tangnano20k",
        clock_mhz=27.0,
        led="15",
        led_low=True,
        loader="tangnano20k",
    ),
)

TARGETS: dict[str, Board] = {board.name: board for board in (*_BOARDS, *_BARE)}


def get_target(name: str) -> Board:
    """Return what to make a bitstream for: a board by its name, a bare part by its own or as generic-<part>.

    Raises:
        NoTarget: if there is no such thing, or no open place and route for its part.
    """
    key = name.strip().lower()
    bare = key.removeprefix("generic-")
    key = SHORT_NAMES.get(bare, bare)
    if key in TARGETS:
        return TARGETS[key]
    part_name = BOARDS.get(key, key)
    if any(part.name == part_name for part in PARTS):
        part = get_part(part_name)
        if part.lut_inputs == 6:
            raise NoTarget(
                f"{name} has a {part.family} part ({part.name}), for which there is no open place and route: its "
                "design is simulated and synthesised here, a bitstream needs Vivado"
            )
        raise NoTarget(
            f"the pins of {name} are not known here: build for its part, {part.name}, "
            f"or for one of {', '.join(board.name for board in _BOARDS)}"
        )
    near = difflib.get_close_matches(key, [*TARGETS, *SHORT_NAMES], n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are: {', '.join(sorted(TARGETS))}"
    raise NoTarget(f"nothing to make a bitstream for is called {name!r}: {hint}")
