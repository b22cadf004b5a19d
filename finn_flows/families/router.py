"""Place and route of a family: nextpnr's arguments, the format of its pin file, and the packer of its bitstream."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from zerocross.finn_flows.families.part import Device


@dataclass(frozen=True)
class Pin:
    """The pin of a port.

    Attributes:
        port: Name of the port.
        site: Name of the pin, or "" if nextpnr chooses one.
        standard: IO standard.
        pull_up: Whether the pin is pulled up.
    """

    port: str
    site: str
    standard: str
    pull_up: bool


@dataclass(frozen=True)
class Tool:
    """A program in a Python wheel.

    Attributes:
        module: Module that runs the program.
        function: Function of the module.
        wheel: Name of the wheel for pip.
        arguments: Arguments of the program.
    """

    module: str
    function: str
    wheel: str
    arguments: tuple[str, ...]


class Router(ABC):
    """A family's place and route.

    Attributes:
        name: nextpnr's name of the family, such as "ecp5" in nextpnr-ecp5.
        constraints: Name of the pin file.
        routed: Name of nextpnr's output file, from which the bitstream is packed.
        netlist: Name of the file with the routed netlist, in Yosys' JSON.
        bitstream: Name of the bitstream file.
        resources: This project's names of resources, by nextpnr's names.
        cell: Cells that nextpnr counts in place of LUTs, or "".
        types: This project's names of resources, by patterns of the types of cells in the routed netlist; by default,
            `resources`, because most families' cells have the names that nextpnr counts.
        carry: Ports by which nextpnr's cells of a carry chain are connected.
    """

    name: str
    constraints: str
    routed: str
    bitstream: str
    resources: Mapping[str, str]
    cell: str = ""
    types: Mapping[str, str] = MappingProxyType({})
    carry: tuple[str, ...] = ()
    netlist: str = "routed.json"

    @property
    def wheel(self) -> str:
        """Name of the wheel with nextpnr, for pip."""
        return f"yowasp-nextpnr-{self.name}"

    @property
    def module(self) -> str:
        """The wheel's module."""
        return self.wheel.replace("-", "_")

    def wheels(self, device: Device) -> tuple[str, ...]:
        """Return the names of all wheels that take part in a bitstream."""
        return tuple(dict.fromkeys((self.wheel, self.packer(device, "").wheel)))

    def nextpnr(self, device: Device, arguments: Sequence[str]) -> Tool:
        """Return nextpnr with the arguments for a device and its files, followed by the given arguments."""
        function = f"run_nextpnr_{self.name.replace('-', '_')}"
        return Tool(self.module, function, self.wheel, (*self.arguments(device), *arguments))

    @abstractmethod
    def pins(self, pins: Sequence[Pin], clock_mhz: float | None) -> list[str]:
        """Return the lines of the pin file.

        Args:
            pins: Pins of all ports.
            clock_mhz: Frequency in MHz at the port `clk`, or None if there is no such port.
        """

    @abstractmethod
    def arguments(self, device: Device) -> tuple[str, ...]:
        """Return nextpnr's arguments for a device, its pin file and its output."""

    @abstractmethod
    def packer(self, device: Device, target: str) -> Tool:
        """Return the program that writes the bitstream to `target`."""
