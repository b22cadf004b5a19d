"""Targets: the board or part to build for, and the clock of the design."""

from zerocross.finn_flows.boards import Board, NoTarget, get_target
from zerocross.finn_flows.chip.serial_line import BAUD, cycles_per_bit, design_clock
from zerocross.finn_flows.families import PARTS, get_family
from zerocross.finn_flows.parts import Part, UnknownPart, get_part
from zerocross.hw_search.errors import UserError

_ANY_CLOCK = 100.0  # MHz, default for a target without a clock
_VIVADO_BOARD = "Pynq-Z1"  # stand-in in the folder for Vivado if the target is not an AMD part


def find_target(name: str) -> Board | Part:
    """Return the board or part of a name. A `Part` means that only Vivado can place and route it.

    Raises:
        UserError: If the name is unknown.
    """
    unknown = ""
    try:
        part: Part | None = get_part(name)
    except UnknownPart as error:
        part, unknown = None, str(error)
    if part is not None and get_family(part.family).router is None:
        return part
    by_finn = {entry.finn_part: entry for entry in PARTS.values() if entry.known_to_finn}
    if name in by_finn:
        return by_finn[name]
    try:
        return get_target(name)
    except NoTarget as error:
        # The hint of `get_part` knows all boards and parts, that of `get_target` only those with open tools.
        raise UserError(f"--target: {unknown if part is None else error}") from None


def clock_of(target: Board | Part, asked: float | None) -> float:
    """Return the design's clock in MHz: the board's own, or the clock that its PLL generates for the requested one.

    Raises:
        zerocross.finn_flows.errors.FlowError: If the board's PLL cannot generate the clock.
    """
    if isinstance(target, Board) and (asked or target.clock_mhz):
        return design_clock(target, asked)[0]
    return asked or _ANY_CLOCK


def check_target(name: str, clock_mhz: float | None, baud: int | None = None) -> str:
    """Check a target, a clock and the rate of the serial line, and return the target's full name.

    Raises:
        UserError: If the target is unknown.
        zerocross.finn_flows.errors.FlowError: If the board's PLL cannot generate the clock, or the baud rate cannot be
            derived from it.
    """
    target = find_target(name)
    clock = clock_of(target, clock_mhz)
    if isinstance(target, Board):
        cycles_per_bit(clock, baud or BAUD)
    return target.name


def finn_target(name: str, part: Part) -> str:
    """Return the board or part that FINN builds for: a board that FINN knows, else the part, else a stand-in."""
    from finn.util.basic import alveo_part_map, pynq_part_map

    known = {board.lower(): board for board in (*pynq_part_map, *alveo_part_map)}
    if name.lower() in known:
        return known[name.lower()]
    return part.finn_part if part.known_to_finn else _VIVADO_BOARD
