"""Phase-locked loops: their settings, and what a family says of its primitive."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Pll:
    """Settings of a phase-locked loop.

    Attributes:
        family: the family whose primitive is set.
        input_mhz: the clock that comes in.
        output_mhz: the clock that comes out.
        vco_mhz: the oscillator's frequency.
        parameters: the primitive's, as its SystemVerilog wants them.
    """

    family: str
    input_mhz: float
    output_mhz: float
    vco_mhz: float
    parameters: dict[str, str]

    @property
    def given(self) -> str:
        """The parameters as an instance names them."""
        return ", ".join(f".{name}({value})" for name, value in self.parameters.items())


@dataclass(frozen=True)
class Limits:
    """What a PLL can do, all in MHz: its input, what reaches its phase detector, oscillator, output."""

    input: tuple[float, float]
    detector: tuple[float, float]
    oscillator: tuple[float, float]
    output: tuple[float, float]


def within(value: float, limits: tuple[float, float]) -> bool:
    """Return whether a frequency is between two limits."""
    return limits[0] <= value <= limits[1]


class PllPrimitive(ABC):
    """A family's PLL.

    Attributes:
        limits: what it can do, by its data sheet.
        declaration: its SystemVerilog declaration as a black box; synthesis has the definition.
    """

    limits: Limits
    declaration: tuple[str, ...]

    @abstractmethod
    def settings(self, input_mhz: float) -> Iterator[Pll]:
        """Yield all settings for an input clock that keep detector and oscillator within their limits."""

    def rank(self, settings: Pll) -> float:
        """Return a number that is least for the preferred of equally exact settings; the first wins a tie."""
        return 0.0

    @abstractmethod
    def instance(self, settings: Pll, at_pad: bool) -> list[str]:
        """Return SystemVerilog lines that make `design_clk` and `locked` of `clk`.

        Args:
            settings: what `settings` yielded.
            at_pad: whether the clock comes in at the pin that belongs to the PLL.
        """
