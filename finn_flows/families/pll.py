"""Phase-locked loops: their settings, and the interface of a family's primitive."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Pll:
    """Settings of a phase-locked loop.

    Attributes:
        family: Family of the primitive.
        input_mhz: Input clock in MHz.
        output_mhz: Output clock in MHz.
        vco_mhz: Frequency of the oscillator in MHz.
        parameters: Parameters of the primitive in SystemVerilog's syntax.
    """

    family: str
    input_mhz: float
    output_mhz: float
    vco_mhz: float
    parameters: dict[str, str]

    @property
    def given(self) -> str:
        """The parameters as text of a SystemVerilog instance."""
        return ", ".join(f".{name}({value})" for name, value in self.parameters.items())


@dataclass(frozen=True)
class Limits:
    """Frequency ranges of a PLL in MHz: input, phase detector, oscillator, output."""

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
        limits: Frequency ranges from the data sheet.
        declaration: SystemVerilog declaration as a black box; synthesis has the definition.
    """

    limits: Limits
    declaration: tuple[str, ...]

    def limits_of(self, die: str) -> Limits:
        """Return the frequency ranges of a die; "" for the family's usual ones."""
        return self.limits

    @abstractmethod
    def settings(self, input_mhz: float, limits: Limits) -> Iterator[Pll]:
        """Yield all settings for an input clock in MHz that keep detector and oscillator within limits."""

    def rank(self, settings: Pll) -> float:
        """Return the rank of settings. The lowest of equally exact settings is preferred, and the first one among ties."""
        return 0.0

    @abstractmethod
    def instance(self, settings: Pll, at_pad: bool) -> list[str]:
        """Return SystemVerilog lines that derive `design_clk` and `locked` from `clk`.

        Args:
            settings: Settings from the method `settings`.
            at_pad: Whether the clock arrives at the PLL's own pin.
        """
