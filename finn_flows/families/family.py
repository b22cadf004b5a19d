"""The interface of a family of FPGAs."""

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
        command: Command of the flow; `{device}` is replaced with the device option.
        link_until: Label of the flow up to which a linked netlist runs again, to load the cell library.
        devices: Device options by the beginning of part names; the first match applies, and "" matches all.
        no_pads: Option for netlists without pads, if the flow inserts pads.
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
class LogicCells:
    """Logic cells of a node, on parts where a flip-flop shares a cell only with the LUT that feeds it.

    A flip-flop that another flip-flop, a memory or a port feeds needs a cell of its own, and so does a carry without a LUT.
    Most of them are in buffers and at a node's streams: cells = `lut` LUTs + `bit` bits of its streams + `each`. A LUT that
    holds weights has no flip-flop, and counts as one cell. `benchmarks/logic_cells.py` fits the numbers.

    Attributes:
        lut: Cells per LUT of the estimate.
        bit: Cells per bit of the node's inputs and outputs.
        each: Cells of each node.
    """

    lut: float
    bit: float
    each: float


@dataclass(frozen=True)
class Family:
    """A family of FPGAs.

    `zerocross.finn_flows.cost_model.on_family` converts prices in 6-input LUTs to the family's own LUTs. It uses
    `lut_inputs`, `lut_ram`, `block_ram`, and `lut4`.

    Attributes:
        name: Name in records, options and tables.
        label: Name in reports.
        lut_inputs: Inputs of a LUT.
        block_ram: Block RAM of the family.
        lut_ram: Function from bits of a word and number of words to the LUTs of a writable memory; None if LUTs cannot be
            memories.
        synthesis: Yosys' flow.
        cells: Resources of mapped cells.
        parts: Parts of the family.
        library: Yosys' folder with the cells' models; "" if netlists are not simulated.
        block_ram_models: Function that returns the models of block RAMs that the library leaves empty, by cell name.
        pll: PLL of the family, or None if open tools do not support it.
        router: Place and route with open tools, or None.
        lut4: 4-input LUTs per 6-input LUT of a price, by `Price.kind`: "product", "unrolled", "crossings", "count"
            and "other", which also stands for kinds without an entry. Fitted by `benchmarks/calibration.py`; empty for
            6-input LUTs.
        logic_cells: Logic cells of a node by `Price.kind`, "other" for kinds without an entry; empty if the part's LUTs are
            what it is short of.
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
    lut4: Mapping[str, float] = field(default_factory=dict)
    logic_cells: Mapping[str, LogicCells] = field(default_factory=dict)

    @property
    def cell(self) -> str:
        """Name of what a part's logic is counted in: logic cells, or LUTs."""
        return "logic cells" if self.logic_cells else self.lut

    @property
    def lut(self) -> str:
        """Name of a LUT in reports."""
        return f"LUT{self.lut_inputs}"
