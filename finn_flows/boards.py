"""Boards with their parts; for parts with open tools also pins, clock and load command.

Open tools can also make a bitstream for a bare part; they then choose the pins. The FPGA receives at pin `rx` and sends at
pin `tx`. Both are connected to the board's USB serial converter, or to an external one.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.families import PARTS
from zerocross.finn_flows.families.part import Device, Part

_SHORTEST = 3  # characters of a name that may lack its beginning
_HINTED = 6  # most names that contain another
SHORT_NAMES = {"ulx3s": "ulx3s-85f", "hx1k": "ice40hx1k", "hx8k": "ice40hx8k", "up5k": "ice40up5k"}


class NoTarget(FlowError):
    """No target with open tools has the name; the message lists known targets or names the tool to use."""


@dataclass(frozen=True)
class Board:
    """A board or bare part for which open tools make a bitstream.

    Attributes:
        name: Name in options.
        part: FPGA of the board.
        device: FPGA and its package, by nextpnr's names.
        clock_mhz: Frequency of the oscillator in MHz; 0 for a bare part, whose clock pin must receive the design's clock.
        clock, rx, tx: Pins; empty for a bare part.
        led: Pin of an LED, or empty.
        led_low: Whether the LED is on at 0.
        led_standard: IO standard of the LED's pin.
        io_standard: IO standard of the other pins.
        clock_at_pll: Whether an iCE40's clock arrives at the PLL's own pin.
        loader: Command that loads a bitstream, without the file.
    """

    name: str
    part: Part
    device: Device
    clock_mhz: float = 0
    clock: str = ""
    rx: str = ""
    tx: str = ""
    led: str = ""
    led_low: bool = False
    led_standard: str = "LVCMOS33"
    io_standard: str = "LVCMOS33"
    clock_at_pll: bool = False
    loader: str = "openFPGALoader --cable <your programmer>"

    @property
    def family(self) -> str:
        """Name of the part's family."""
        return self.part.family

    def load_command(self, bitstream: str) -> str:
        """Return the command with which a user loads a bitstream.

        On iCE40 boards, which start from flash, the command writes the flash. On other boards openFPGALoader loads the FPGA
        until power-off, or permanently with -f.
        """
        return f"{self.loader} {bitstream}"


def _bare(part: Part, device: Device) -> Board:
    return Board(part.name, part, device, **device.pins)  # type: ignore[arg-type]


def _on(
    name: str, part: str, clock_mhz: float, pins: str, package: str = "", speed: str = "", **settings: object
) -> Board:
    """Return a board.

    Args:
        name: Name of the board.
        part: Name of its part, which is in its most common package, unless another package is given.
        clock_mhz: Frequency of the oscillator.
        pins: Pins "clock rx tx", and that of an LED, with "!" ahead if the LED is on at 0.
        package: Package, by nextpnr's name.
        speed: Speed grade, by nextpnr's name.
        settings: Other attributes of the board.
    """
    device = PARTS[part].device
    assert device is not None, f"{part} of {name} has no open place and route"
    device = replace(device, package=package or device.package, speed=speed or device.speed)
    clock, rx, tx, *leds = pins.split()
    led = leds[0] if leds else ""
    where = {"clock": clock, "rx": rx, "tx": tx, "led": led.lstrip("!"), "led_low": led.startswith("!")}
    return Board(name, PARTS[part], device, float(clock_mhz), **where, **settings)  # type: ignore[arg-type]


_OPEN = "openFPGALoader -b"

# Unless stated otherwise, pins are those of the maker's constraint file.
_BOARDS = (
    *(
        _on(f"ulx3s-{size}", f"lfe5u-{size}", 25, "G2 M1 L4 B2", loader=f"{_OPEN} ulx3s")
        for size in ("12f", "25f", "45f", "85f")
    ),
    # Revision 0.2: orangecrab_r0.2.pcf of orangecrab-fpga/orangecrab-examples. The board has no serial converter. rx and tx
    # are the header pins of these names, 0 and 1, as in litex_boards/platforms/gsd_orangecrab.py.
    *(
        _on(
            *(f"orangecrab-{size}", f"lfe5u-{size}", 48, "A9 N17 M18 !K4", "CSFBGA285", "8"),
            loader="dfu-util -d 1209:5af0 -a 0 -D",
        )
        for size in ("25f", "85f")
    ),
    # Revision 7.0: amaranth_boards/colorlight_5a75b_r7_0.py, litex_boards/platforms/colorlight_5a_75b.py. The serial line
    # uses the pins of LED and button at J19, so there is no LED. Programmer and serial converter are external.
    _on("colorlight-5a-75b", "lfe5u-25f", 25, "P6 M13 P11", "CABGA256"),
    # Revision 7.0 on its extension board: litex_boards/platforms/colorlight_i5.py
    _on("colorlight-i5", "lfe5u-25f", 25, "P3 H18 J17 !U16", loader=f"{_OPEN} colorlight-i5"),
    # The same extension board with a larger module, revision 7.2: litex_boards/platforms/colorlight_i5.py
    _on("colorlight-i9", "lfe5u-45f", 25, "P3 H18 J17 !L2", loader=f"{_OPEN} colorlight-i9"),
    # litex_boards/platforms/muselab_icesugar_pro.py. The serial line is that of the programmer on the carrier, iCELink.
    _on("icesugar-pro", "lfe5u-25f", 25, "P6 A9 B9 !B11", "CABGA256", loader="icesprog"),
    # litex_boards/platforms/icepi_zero.py
    _on("icepi-zero", "lfe5u-25f", 50, "M1 K16 K15 E13", "CABGA256", loader=f"{_OPEN} icepi-zero"),
    # Revision 2: amaranth_boards/ecpix5.py, litex_boards/platforms/lambdaconcept_ecpix5.py
    *(
        _on(
            *(f"ecpix5-{size}", f"lfe5um5g-{size}", 100, "K23 R26 R24 !R21", "CABGA554"),
            loader=f"{_OPEN} ecpix5",
        )
        for size in ("45f", "85f")
    ),
    # amaranth_boards/ecp5_5g_evn.py, litex_boards/platforms/lattice_ecp5_evn.py. Bank 1 (LEDs) has 2.5 V, bank 6 (serial
    # line) 3.3 V, as delivered.
    _on(
        *("ecp5-evn", "lfe5um5g-85f", 12, "A10 P2 P3 !A13"),
        led_standard="LVCMOS25",
        loader=f"{_OPEN} ecp5_evn",
    ),
    _on("icebreaker", "ice40up5k", 12, "35 6 9 !11", clock_at_pll=True, loader=f"{_OPEN} ice40_generic"),
    # src/common/io.pcf of wuxx/icesugar, amaranth_boards/icesugar.py
    _on("icesugar", "ice40up5k", 12, "35 4 6 !41", clock_at_pll=True, loader="icesprog"),
    # Version 3: amaranth_boards/upduino_v3.py, upduino_v3.pcf of XarkLabs/upduino-example. The jumper OSC must be closed; it
    # connects the oscillator to pin 20. The serial line shares its pins with the flash.
    _on("upduino", "ice40up5k", 12, "20 15 14 !39", loader="iceprog"),
    _on("ice40hx8k-b-evn", "ice40hx8k", 12, "J3 B10 B12 B5", loader=f"{_OPEN} ice40_generic"),
    # amaranth_boards/tinyfpga_bx.py, litex_boards/platforms/tinyfpga_bx.py. The board has no serial converter; the serial
    # line is at pins 1 and 2 of the header.
    _on("tinyfpga-bx", "ice40lp8k", 16, "B2 A1 A2 B3", loader="tinyprog -p"),
    # litex_boards/platforms/alchitry_cu.py
    _on("alchitry-cu", "ice40hx8k", 100, "P7 P14 M9 J11", "cb132", loader="iceprog"),
    # litex_boards/platforms/fpgawars_alhambra2.py. The part is sold as an HX4K; its silicon is that of an HX8K, and open
    # tools use all of it.
    _on("alhambra-ii", "ice40hx8k", 12, "49 62 61 45", "tq144:4k", loader="iceprog"),
    _on("icestick", "ice40hx1k", 12, "21 9 8 99", loader=f"{_OPEN} ice40_generic"),
    _on(
        *("tangnano9k", "gw1nr-9", 27, "52 18 17 !10"),
        led_standard="LVCMOS18",
        loader=f"{_OPEN} tangnano9k",
    ),
    _on("tangnano20k", "gw2ar-18", 27, "4 70 69 !15", loader=f"{_OPEN} tangnano20k"),
    # amaranth_boards/tang_primer_20k.py, litex_boards/platforms/sipeed_tang_primer_20k.py. LEDs are on the dock.
    _on("tangprimer20k", "gw2a-18", 27, "H11 T13 M11", loader=f"{_OPEN} tangprimer20k"),
)

# Boards whose parts only Vivado places and routes. Vivado knows their pins.
_VIVADO_BOARDS = {
    "pynq-z1": "xc7z020",
    "pynq-z2": "xc7z020",
    "zedboard": "xc7z020",
    "cora-z7-07s": "xc7z007s",
    "zybo-z7-10": "xc7z010",
    "zybo-z7-20": "xc7z020",
    "zc706": "xc7z045",
    "arty-a7-35": "xc7a35t",
    "arty-a7-100": "xc7a100t",
    "basys3": "xc7a35t",
    "nexys-video": "xc7a200t",
    "kc705": "xc7k325t",
    "genesys2": "xc7k325t",
    "ultra96": "xczu3eg",
    "ultra96-v2": "xczu3eg",
    "aup-zu3_8gb": "xczu3eg",
    "zcu102": "xczu9eg",
    "zcu104": "xczu7ev",
    "zcu111": "xczu28dr",
    "rfsoc2x2": "xczu28dr",
    "rfsoc4x2": "xczu48dr",
    "kv260_som": "xck26",
    "u50": "xcu50",
    "u200": "xcu200",
    "u250": "xcu250",
    "u280": "xcu280",
    "u55c": "xcu55c",
}

BOARDS: dict[str, str] = _VIVADO_BOARDS | {board.name: board.part.name for board in _BOARDS}
"""Names of parts, by board name."""

TARGETS: dict[str, Board] = {
    board.name: board
    for board in (*_BOARDS, *(_bare(part, part.device) for part in PARTS.values() if part.device is not None))
}
"""Targets of open tools: boards and bare parts."""


def get_target(name: str) -> Board:
    """Return the target of a name: a board, or a bare part as <part> or generic-<part>.

    Raises:
        NoTarget: If there is no such target, or no open place and route for its part.
    """
    key = full_name(name.strip().lower().removeprefix("generic-"))
    if key in TARGETS:
        return TARGETS[key]
    if part := PARTS.get(BOARDS.get(key, key)):
        raise NoTarget(
            f"open tools cannot place and route {name}, a {part.family} part ({part.name}): they simulate and "
            "synthesise the design, but a bitstream needs Vivado"
        )
    raise NoTarget(f"unknown board or part {name!r}: {similar(key, [*TARGETS, *SHORT_NAMES])}")


def full_name(name: str) -> str:
    """Return the full name of a part or board.

    A part's name may lack its beginning, as in 7z020, if no other part or board ends in the same way.

    Args:
        name: Name or short name, in any case. An unknown name is returned in lower case.
    """
    key = name.strip().lower()
    key = SHORT_NAMES.get(key, key)
    if not key or key in BOARDS or key in PARTS:
        return key
    fitting = [known for known in (*BOARDS, *PARTS) if known.endswith(key)]
    return fitting[0] if len(fitting) == 1 and len(key) >= _SHORTEST and fitting[0] in PARTS else key


def similar(name: str, known: Iterable[str]) -> str:
    """Return a hint with the known names that contain a name or are similar to it; all of them if there are none."""
    names = sorted(set(known))
    within = [each for each in names if len(name) >= _SHORTEST and name in each]
    near = within[:_HINTED] or difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"known are: {', '.join(names)}"
