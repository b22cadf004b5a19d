"""Whether a design fits its part, from estimates (known in seconds, before simulation and synthesis), and what would fit."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from zerocross.finn_flows.boards import TARGETS, Board
from zerocross.finn_flows.chip.place_route import DoesNotFit
from zerocross.finn_flows.chip.serial_line import SerialLink, line_cells
from zerocross.finn_flows.cost import Resources, element_costs
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.families import get_family
from zerocross.finn_flows.families.part import Part
from zerocross.finn_flows.rtl.design import Design

_DOUBT = 1.1  # estimates beyond the part by less may fit
_SLOWER = 6  # how often the remedy doubles the cycles
_ROUTABLE = 0.9  # share of a part that a design may need if nextpnr failed to place or route a design that nearly fills it


class TooLarge(FlowError):
    """A design is estimated to be too large for its part; the message names the resource, its amount and the remedies."""


@dataclass(frozen=True)
class Need:
    """What a design needs of a resource of a part, and what the part has."""

    resource: str
    amount: int
    available: int

    def __str__(self) -> str:
        """Return the amount in two digits."""
        return f"about {_about(self.amount):,} {self.resource}"

    @property
    def share(self) -> float:
        """Amount relative to what the part has."""
        return self.amount / max(1, self.available)


def needs(design: Design, target: Board | Part) -> list[Need]:
    """Return what a design without FIFOs needs of its part: logic (logic cells or LUTs), and block RAMs.

    A board's serial line is included.
    """
    part = _part(target)
    family = get_family(part.family)
    used = sum((cost.zerocross for cost in element_costs(design, part).values()), Resources())
    line = 0
    if isinstance(target, Board):
        line = line_cells(SerialLink(design.input, design.output, 0), part.family)
    blocks = math.ceil(used.bram_kbit / part.block_kbit)
    return [
        Need(family.cell, used.cells + line, part.luts),
        Need(family.block_ram.name, blocks, part.brams),
    ]


Redesign = Callable[[int | None, Part, Mapping[str, str]], Design]
"""Function that designs the network for a number of cycles per image (None: the same), a part, and memories of weights
("block", "distributed") by layer, instead of what the options request."""


def check_fit(design: Design, target: Board | Part, redesign: Redesign) -> None:
    """Check the estimate of a design.

    Args:
        design: Design without FIFOs.
        target: Board or part.
        redesign: Designs the same network for the remedies.

    Raises:
        TooLarge: If it needs over 10% more of a resource than the part has.
    """
    over = [need for need in needs(design, target) if need.share > _DOUBT]
    if not over:
        return
    found = " and ".join(f"about {_about(n.amount):,} of {n.available:,} {n.resource}" for n in over)
    remedies = _remedies(design, target, redesign)
    raise TooLarge(
        f"the design needs {found} of {target.name} (estimate): choose {remedies}; --anyway builds it all the same"
    )


def with_remedies(error: DoesNotFit, design: Design, target: Board | Part, redesign: Redesign) -> DoesNotFit:
    """Return nextpnr's complaint about logic or block RAMs with numbers that would fit.

    They are estimates, each multiplied by what this design needed relative to its own estimate.
    """
    place = {"lut": 0, "bram": 1}.get(error.resource)
    if place is None or not (expected := needs(design, target)[place].amount):
        return error
    factors = [1.0, 1.0]
    factors[place] = error.used / expected
    limit = 1.0 if error.used > error.available else _ROUTABLE
    remedies = _remedies(design, target, redesign, _Correction((factors[0], factors[1]), limit))
    return DoesNotFit(error.found, error.resource, error.used, error.available, f"choose {remedies}")


@dataclass(frozen=True)
class _Correction:
    """What corrects the estimates of logic and block RAMs, and the share of the part that a design may need."""

    factors: tuple[float, float] = (1.0, 1.0)
    limit: float = 1.0

    def worst(self, design: Design, target: Board | Part) -> Need:
        """Return what the design needs most of, relative to the part."""
        corrected = (
            replace(need, amount=round(need.amount * factor))
            for need, factor in zip(needs(design, target), self.factors, strict=True)
        )
        return max(corrected, key=lambda need: need.share)


def _remedies(
    design: Design, target: Board | Part, redesign: Redesign, correction: _Correction | None = None
) -> str:
    """Return what to choose instead, in words."""
    correction = correction or _Correction()
    remedies = [
        *_slower(design, target, redesign, correction),
        *_in_luts(design, target, redesign, correction),
        *_larger(target, redesign, correction),
        "a smaller network",
    ]
    return " or ".join(text for text in (", ".join(remedies[:-1]), remedies[-1]) if text)


def _slower(design: Design, target: Board | Part, redesign: Redesign, correction: _Correction) -> list[str]:
    """Return the first number of cycles, of repeated doubling, for which the design fits, and what it then needs."""
    if not design.products:  # wired layers have only one pace
        return []
    cycles, least = max(design.intervals().values()), math.inf
    for _ in range(_SLOWER):
        cycles *= 2
        worst = correction.worst(redesign(cycles, _part(target), {}), target)
        if worst.share <= correction.limit:
            return [f"--cycles {cycles} ({worst})"]
        if worst.share > least - 0.01:
            break
        least = worst.share
    return []


def _in_luts(design: Design, target: Board | Part, redesign: Redesign, correction: _Correction) -> list[str]:
    """Return the options that move the shallowest weights from block RAM to LUTs, if the design then fits."""
    block_ram = get_family(_part(target).family).block_ram.name
    if correction.worst(design, target).resource != block_ram:
        return []
    products = {name: node for name, node in design.products.items() if node.ram_style == "block"}
    moved = dict[str, str]()
    for name in sorted(products, key=lambda name: products[name].folds):
        moved[name] = "distributed"
        worst = correction.worst(redesign(None, _part(target), moved), target)
        if worst.share <= correction.limit:
            return [f"{' '.join(f'--weights {layer}=distributed' for layer in moved)} ({worst})"]
        if worst.resource != block_ram:
            break
    return []


def _larger(target: Board | Part, redesign: Redesign, correction: _Correction) -> list[str]:
    """Return the smallest board that holds the design, as a remedy."""
    if not isinstance(target, Board):
        return ["a larger --target"]
    boards = sorted(
        (board for board in TARGETS.values() if board.clock_mhz), key=lambda board: board.part.luts
    )
    for board in boards:
        if correction.worst(redesign(None, board.part, {}), board).share <= correction.limit:
            return [f"--target {board.name} ({board.part.luts:,} {get_family(board.family).cell})"]
    return []


def _part(target: Board | Part) -> Part:
    return target.part if isinstance(target, Board) else target


def _about(number: float) -> int:
    """Return a number in two digits."""
    scale = 10 ** max(0, len(str(int(number))) - 2)
    return round(number / scale) * scale
