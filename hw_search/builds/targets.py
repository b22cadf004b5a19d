"""Targets: the board or part that a build is for, and the clock it runs at."""

from difflib import get_close_matches

from zerocross.finn_flows.boards import BOARDS, TARGETS, Board, NoTarget, get_target
from zerocross.finn_flows.chip.serial_line import design_clock
from zerocross.finn_flows.families import PARTS, get_family
from zerocross.finn_flows.parts import Part, UnknownPart, get_part
from zerocross.hw_search.errors import UserError

_ANY_CLOCK = 100.0  # MHz, where neither board nor person says
_VIVADO_BOARD = "Pynq-Z1"  # what the folder for Vivado is for, where the target is not Xilinx'


def find_target(name: str) -> Board | Part:
    """Return the board a bitstream is made for, or the part that only Vivado can place and route.

    Raises:
        UserError: if there is no such thing.
    """
    try:
        part = get_part(name)
    except UnknownPart:
        part = None
    if part is not None and get_family(part.family).router is None:
        return part
    by_finn = {entry.finn_part: entry for entry in PARTS.values() if entry.known_to_finn}
    if name in by_finn:
        return by_finn[name]
    try:
        return get_target(name)
    except NoTarget as error:
        text = str(error)
    known = list(dict.fromkeys([*TARGETS, *BOARDS, *PARTS]))
    if part is None and (near := get_close_matches(name.lower(), known, n=3, cutoff=0.5)):
        text = f"unknown board or part {name!r}: did you mean {' or '.join(near)}?"
    raise UserError(f"--target: {text}")


def clock_of(target: Board | Part, asked: float | None) -> float:
    """Return the design's clock in MHz: what the board's PLL makes of the one asked for, or the board's own.

    Raises:
        zerocross.finn_flows.errors.FlowError: if its PLL cannot make the clock.
    """
    if isinstance(target, Board) and (asked or target.clock_mhz):
        return design_clock(target, asked)[0]
    return asked or _ANY_CLOCK


def check_target(name: str, clock_mhz: float | None) -> str:
    """Make sure that there is such a target with such a clock, and return its own name.

    Raises:
        UserError: if there is not.
        zerocross.finn_flows.errors.FlowError: if its PLL cannot make the clock.
    """
    target = find_target(name)
    clock_of(target, clock_mhz)
    return target.name


def finn_target(name: str, part: Part) -> str:
    """Return the board or part that FINN is to build for: a board it knows, the part, or else a stand-in."""
    from finn.util.basic import alveo_part_map, pynq_part_map

    known = {board.lower(): board for board in (*pynq_part_map, *alveo_part_map)}
    if name.lower() in known:
        return known[name.lower()]
    return part.finn_part if part.known_to_finn else _VIVADO_BOARD
