"""What is asked of every family of FPGAs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from zerocross.finn_flows.families.cell import Cell
from zerocross.finn_flows.families.memory import BlockRam
from zerocross.finn_flows.families.part import Part
from zerocross.finn_flows.families.pll import PllPrimitive
from zerocross.finn_flows.families.router import Router


@dataclass(frozen=True)
class SynthesisFlow:
    """Yosys' flow for a family.

    Attributes:
        command: the flow; `{device}` stands for the device option.
        link_until: the flow's label up to which a linked netlist passes again, to get the cell library.
        devices: device options by the beginning of part names, the first that fits; "" fits all.
        no_pads: the option for netlists without pads, where the flow inserts pads.
    """

    command: str
    link_until: str = "coarse"
    devices: Mapping[str, str] = field(default_factory=dict)
    no_pads: str = ""

    def flow(self, part: str) -> str:
        """Return the flow for a part."""
        device = (option for start, option in self.devices.items() if part.lower().startswith(start))
        return self.command.format(device=next(device, ""))


@dataclass(frozen=True)
class Family:
    """A family of FPGAs.

    A price in 6-input LUTs becomes one in the family's own by `zerocross.finn_flows.cost_model.on_family`, which asks
    for `lut_inputs`, `lut_ram` and `block_ram`; the factors that were fitted are in `cost_model.Constants.lut4`.

    Attributes:
        name: by which records, options and tables know it.
        label: its name for a person.
        lut_inputs: inputs of a LUT.
        block_ram: its block RAM.
        lut_ram: LUTs of a RAM that is written too, by bits of a word and words; None if LUTs are no memories.
        synthesis: Yosys' flow.
        cells: what mapped cells take of a part.
        parts: its parts.
        library: Yosys' folder with the cells' behaviour; "" if netlists are not simulated.
        block_ram_models: returns the behaviour of block RAMs that the library leaves empty, by the cells' names.
        pll: its PLL, or None where no open tools place and route it.
        router: place and route with open tools, or None.
    """

    name: str
    label: str
    lut_inputs: int
    block_ram: BlockRam
    lut_ram: Callable[[int, int], int] | None
    synthesis: SynthesisFlow
    cells: tuple[Cell, ...]
    parts: tuple[Part, ...]
    library: str = ""
    block_ram_models: Callable[[], dict[str, str]] = dict
    pll: PllPrimitive | None = None
    router: Router | None = None

    @property
    def lut(self) -> str:
        """What reports call a LUT."""
        return f"LUT{self.lut_inputs}"
