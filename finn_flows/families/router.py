"""Place and route of a family: nextpnr's arguments, the language of its pin file, and the packer of its bitstream."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zerocross.finn_flows.families.part import Device


@dataclass(frozen=True)
class Pin:
    """Where a port of the design goes.

    Attributes:
        port: its name.
        site: the pin's name, or "" where the choice is nextpnr's.
        standard: its IO standard.
        pull_up: whether the pin is pulled up.
    """

    port: str
    site: str
    standard: str
    pull_up: bool


@dataclass(frozen=True)
class Tool:
    """A program that a Python wheel holds.

    Attributes:
        module: the module that runs it.
        function: the function in it.
        wheel: for pip.
        arguments: of the program.
    """

    module: str
    function: str
    wheel: str
    arguments: tuple[str, ...]


class Router(ABC):
    """A family's place and route.

    Attributes:
        name: nextpnr's name for the family: "ecp5" of nextpnr-ecp5.
        constraints: name of the pin file.
        routed: name of nextpnr's output.
        bitstream: name of the bitstream.
        resources: our names of what nextpnr counts, by its names.
        cell: what nextpnr counts in place of LUTs, or "".
    """

    name: str
    constraints: str
    routed: str
    bitstream: str
    resources: Mapping[str, str]
    cell: str = ""

    @property
    def wheel(self) -> str:
        """The wheel that holds nextpnr, for pip."""
        return f"yowasp-nextpnr-{self.name}"

    @property
    def module(self) -> str:
        """The wheel's module."""
        return self.wheel.replace("-", "_")

    def nextpnr(self, device: Device, arguments: Sequence[str]) -> Tool:
        """Return nextpnr for a device; to the arguments given, those for the device and its files are added."""
        function = f"run_nextpnr_{self.name.replace('-', '_')}"
        return Tool(self.module, function, self.wheel, (*self.arguments(device), *arguments))

    @abstractmethod
    def pins(self, pins: Sequence[Pin], clock_mhz: float | None) -> list[str]:
        """Return the lines of the pin file.

        Args:
            pins: where ports go.
            clock_mhz: frequency at the port `clk`, or None if there is no such port.
        """

    @abstractmethod
    def arguments(self, device: Device) -> tuple[str, ...]:
        """Return nextpnr's arguments for a device, pin file and output."""

    @abstractmethod
    def packer(self, device: Device, target: str) -> Tool:
        """Return the program that makes the bitstream, written to `target`."""
