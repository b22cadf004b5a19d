"""Clocks that a board does not have: settings of the parts' phase-locked loops.

Each family's search is that of its open tool (ecppll of Project Trellis, icepll of Project IceStorm, gowin_pll of Project
Apicula), with the limits of the data sheets that these state, and finds the same settings.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from zerocross.finn_flows.errors import FlowError


class Unreachable(FlowError):
    """A clock that no setting of the part's PLL comes near to; the message gives the range or the nearest."""


@dataclass(frozen=True)
class Pll:
    """Settings of a phase-locked loop.

    Attributes:
        family: `ecp5`, `ice40` or `gowin`.
        input_mhz: the clock that comes in.
        output_mhz: the clock that comes out.
        vco_mhz: the oscillator's frequency.
        parameters: of the primitive, as its SystemVerilog wants them.
    """

    family: str
    input_mhz: float
    output_mhz: float
    vco_mhz: float
    parameters: dict[str, str]


@dataclass(frozen=True)
class _Limits:
    """What a PLL can do, all in MHz: its input, what reaches its phase detector, oscillator, output."""

    input: tuple[float, float]
    detector: tuple[float, float]
    oscillator: tuple[float, float]
    output: tuple[float, float]


_LIMITS = {
    "ecp5": _Limits((8, 400), (3.125, 400), (400, 800), (10, 400)),
    "ice40": _Limits((10, 133), (10, 133), (533, 1066), (16, 275)),
    "gowin": _Limits((3, 400), (3, 400), (400, 1200), (3.125, 600)),
}
_TOLERANCE = 0.05


def pll(family: str, input_mhz: float, wanted_mhz: float) -> Pll:
    """Find the PLL settings that come nearest to a clock.

    Args:
        family: `ecp5`, `ice40` or `gowin`.
        input_mhz: the board's clock.
        wanted_mhz: the clock wanted.

    Raises:
        Unreachable: if a clock is out of the PLL's range, or nothing comes within 5% of the clock wanted.
    """
    limits = _LIMITS[family]
    for what, value, (low, high) in (
        ("takes clocks of", input_mhz, limits.input),
        ("gives clocks of", wanted_mhz, limits.output),
    ):
        if not low <= value <= high:
            raise Unreachable(f"the PLL of {family} parts {what} {low:g} to {high:g} MHz, not {value:g}")
    search = {"ecp5": _ecp5, "ice40": _ice40, "gowin": _gowin}[family]
    candidates = (found for found in search(input_mhz, limits) if _within(found.output_mhz, limits.output))
    # Of equally good settings the first, but on ECP5 the one whose oscillator is nearest its middle.
    best = min(
        candidates,
        key=lambda found: (
            round(abs(found.output_mhz - wanted_mhz), 9),
            round(abs(found.vco_mhz - 600), 9) if family == "ecp5" else 0,
        ),
        default=None,
    )
    if best is None or abs(best.output_mhz - wanted_mhz) > _TOLERANCE * wanted_mhz:
        nearest = f"; the nearest is {best.output_mhz:.4g} MHz" if best else ""
        raise Unreachable(f"no PLL setting makes {wanted_mhz:g} MHz of {input_mhz:g} MHz{nearest}")
    return best


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


def _ecp5(input_mhz: float, limits: _Limits) -> Iterator[Pll]:
    """Output = input / CLKI * CLKFB, oscillator = output * CLKOP: the feedback comes from the output."""
    for input_divider in range(1, 129):
        detector = input_mhz / input_divider
        if not _within(detector, limits.detector):
            continue
        for feedback in range(1, 81):
            for divider in range(1, 129):
                oscillator = detector * feedback * divider
                if _within(oscillator, limits.oscillator):
                    parameters = {
                        "CLKI_DIV": f"{input_divider}",
                        "CLKFB_DIV": f"{feedback}",
                        "CLKOP_DIV": f"{divider}",
                        "CLKOP_CPHASE": f"{divider // 2}",
                    }
                    yield Pll("ecp5", input_mhz, detector * feedback, oscillator, parameters)


def _ice40(input_mhz: float, limits: _Limits) -> Iterator[Pll]:
    """Oscillator = input / (DIVR + 1) * (DIVF + 1), output = oscillator / 2**DIVQ."""
    for divr in range(16):
        detector = input_mhz / (divr + 1)
        if not _within(detector, limits.detector):
            continue
        for divf in range(128):
            oscillator = detector * (divf + 1)
            if not _within(oscillator, limits.oscillator):
                continue
            for divq in range(1, 7):
                parameters = {
                    "DIVR": f"4'd{divr}",
                    "DIVF": f"7'd{divf}",
                    "DIVQ": f"3'd{divq}",
                    "FILTER_RANGE": f"3'd{_filter_range(detector)}",
                }
                yield Pll("ice40", input_mhz, oscillator / 2**divq, oscillator, parameters)


def _filter_range(detector_mhz: float) -> int:
    return 1 + sum(detector_mhz >= bound for bound in (17, 26, 44, 66, 101))


def _gowin(input_mhz: float, limits: _Limits) -> Iterator[Pll]:
    """Output = input / (IDIV + 1) * (FBDIV + 1), oscillator = output * ODIV."""
    for idiv in range(64):
        if not _within(input_mhz / (idiv + 1), limits.detector):
            continue
        for fbdiv in range(64):
            output = input_mhz * (fbdiv + 1) / (idiv + 1)
            for odiv in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128):
                if _within(output * odiv, limits.oscillator):
                    parameters = {
                        "FCLKIN": f'"{input_mhz:g}"',
                        "IDIV_SEL": f"{idiv}",
                        "FBDIV_SEL": f"{fbdiv}",
                        "ODIV_SEL": f"{odiv}",
                    }
                    yield Pll("gowin", input_mhz, output, output * odiv, parameters)
