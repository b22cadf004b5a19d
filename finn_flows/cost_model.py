"""This project's cost model: the LUTs, block RAMs and DSPs of each hardware node, derived from its structure.

`cost.py` shows FINN's estimates beside these. FINN has no usable estimate for crossings, padding, pools and label
selection, and is far off for XNOR products. A formula counts the structures in the node's SystemVerilog (`nodes/`) and
multiplies them with constants, the fields of `Constants`. `benchmarks/calibration.py` fits the constants to elements that
Yosys mapped, and shows the error on networks that no constant was fitted to. The figures are in docs/benchmarks.md, the
data in docs/calibration/. All LUT figures are for 6-input LUTs; `on_family` converts them.

A *lane* is the hardware of one PE. It computes `channels / PE` channels in turn: channel c is on lane c mod PE.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from zerocross.finn_flows.families import get_family
from zerocross.finn_flows.families.memory import multiplexer, ram16x4_cost
from zerocross.finn_flows.families.series7 import lut_ram

Memory = tuple[int, int]
"""Bits of a word, and words."""


@dataclass(frozen=True)
class Constants:
    """Every fitted number of the models.

    Attributes:
        product_base: LUTs of a product's control.
        product_count: Factor on the counted LUTs of its popcounts and of the adders of input bit planes.
        product_power: Exponent of the counted LUTs of a popcount. Wide popcounts delay more of their terms.
        product_accumulator: LUTs per PE and accumulator bit, if a row has several words.
        product_buffer: Factor on the counted LUTs of the input's double buffer.
        product_address: LUTs per bit of the weights' address.
        product_recode: LUTs per triple of inputs. Memory stores the triple's parity instead of its first bit.
        product_rom: LUTs per bit of weights in LUTs.
        unrolled_count: Factor on the counted LUTs of a channel's popcount and adders, if weights are constants.
        unrolled_shared: LUTs per majority of three inputs, which all channels share.
        unrolled_channel: LUTs per channel and bit of its count.
        site_base: LUTs of a crossing site's control.
        compare: LUTs per bit of a comparison with a threshold.
        rom_few: Most LUTs of a ROM of up to 64 thresholds per bit of a word.
        rom_word: LUTs of a ROM of thresholds per bit of a word, times the number of words to the power `rom_power`.
        rom_power: Exponent of the number of words of such a ROM.
        compare_power: Exponent of the number of crossings of a lane's busiest channel, for comparators.
        table_row: LUTs of a lane's table per accumulator bit and row of one crossing.
        table_power: Exponent of a row's number of crossings.
        table_rows_power: Exponent of the sum of a table's rows.
        table_leaf: Most LUTs per 64 entries of a table.
        table_channel: Upper bound on additional LUTs per channel of a table. Channels share no entries.
        bram18_in_luts: Value of an 18 kbit block RAM in LUTs, for the choice of a crossing site's implementation.
        lutram_most: LUTs of memory above which Yosys uses block RAM.
        generator_base, generator_address: LUTs of an input generator, and per bit of its addresses.
        whole_base: LUTs of a generator of whole windows.
        padding_base, padding_counter: LUTs of padding, and per bit of its counters.
        line_base: LUTs of the counters of a pool's line buffer.
        pool_base, pool_bit: LUTs of a pool's control, and per bit of a value.
        label_base, label_compare, label_index: LUTs of a label select, per compared bit, and per index bit.
        label_tree_base, label_tree_bit, label_tree_index: LUTs of a label select's tree, per comparison and bit of a value,
            and per comparison and bit of the index.
        converter_base: LUTs of a width converter's control.
        converter_place: LUTs per place of its buffer, if neither width divides the other.
        converter_turn: LUTs per input bit and level of the multiplexers that turn an input word, in the same case.
        bias_base: LUTs of a bias' control.
        bias_tree: LUTs per bit of the adders that multiply with a factor.
        bias_rom: LUTs per bit of a word of biases and factors, and word, if they are more than 1.
        bias_fixed: Share of a lane's logic that remains if its bias and factor are constants.
        thermometer_base: LUTs of a thermometer's control; set by hand, like the next one, after six nodes in Yosys.
        thermometer_compare: LUTs per bit of a comparison with a threshold from block RAM.
        wired_base: LUTs of the control of a wired layer's registers; set by hand.
        wired_table: LUTs per table of six inputs, in channels of more inputs.
        tally_base: LUTs of the control of a wired layer's counts.
        tally_count: Factor on the counted LUTs of their popcounts.
        grouped_base: LUTs of a grouped product's control.
        fifo_base, fifo_address: LUTs of a deep FIFO's control, and per bit of its addresses.
        fifo_wrap: Further LUTs per address bit, if the number of words is no power of two.
        fifo_windows, fifo_image, fifo_vector: Expected share of a full FIFO's price before FIFOs are sized; see
            `fifo.expected_price`.
    """

    product_base: float = 8.9
    product_count: float = 1.0
    product_power: float = 1.01
    product_accumulator: float = 1.2
    product_buffer: float = 1.52
    product_address: float = 2.03
    product_recode: float = 1.11
    product_rom: float = 0.0754
    unrolled_count: float = 1.1
    unrolled_shared: float = 5.36
    unrolled_channel: float = 0.0891
    site_base: float = 5.0
    compare: float = 0.558
    rom_few: float = 1.09
    rom_word: float = 0.0352
    rom_power: float = 1.01
    compare_power: float = 0.956
    table_row: float = 0.194
    table_power: float = 1.18
    table_rows_power: float = 0.894
    table_leaf: float = 1.67
    table_channel: float = 0.316
    bram18_in_luts: float = 190.0
    lutram_most: int = 64
    generator_base: float = 39.0
    generator_address: float = 3.78
    whole_base: float = 22.7
    padding_base: float = 15.0
    padding_counter: float = 0.75
    line_base: float = 25.0
    pool_base: float = 4.86
    pool_bit: float = 1.25
    label_base: float = 10.5
    label_compare: float = 1.74
    label_index: float = 0.266
    label_tree_base: float = 0.0
    label_tree_bit: float = 1.58
    label_tree_index: float = 0.584
    converter_base: float = 9.43
    converter_place: float = 2.32
    converter_turn: float = 1.98
    bias_base: float = 5.59
    bias_tree: float = 1.14
    bias_rom: float = 0.0348
    bias_fixed: float = 0.333
    thermometer_base: float = 1.0
    thermometer_compare: float = 0.75
    wired_base: float = 2.0
    wired_table: float = 0.973
    tally_base: float = 0.942
    tally_count: float = 0.987
    grouped_base: float = 16.1
    fifo_base: float = 6.45
    fifo_address: float = 2.38
    fifo_wrap: float = 1.79
    fifo_windows: float = 1.4
    fifo_image: float = 0.331
    fifo_vector: float = 0.124


CONSTANTS = Constants()


@dataclass(frozen=True)
class Price:
    """Resources of a node on a part with 6-input LUTs.

    Attributes:
        lut: LUTs, a real number; round sums, not terms.
        bram18: Block RAMs of 18 kbit.
        dsp: DSPs.
        implementation: Implementation of the node.
        kind: "product", "unrolled", "crossings", "count" or "other": selects the factor for conversion to 4-input LUTs.
        blocks: Memories in block RAM, counted in `bram18`; the multiplexers between their banks are counted in `lut`.
        rams: Memories in LUTs, counted in `lut`.
        roms: Read-only memories in LUTs, counted in `lut`.
        tables: LUTs of wired channels, counted in `lut`.
        small_tables: What these are in LUTs of four inputs.
        instant: Those of `rams` that answer in the cycle of the address, as no block RAM does.
        free: Those of `rams` that become block RAM where Yosys finds it cheaper.
        thresholds: LUTs of deep ROMs of thresholds, counted in `lut`.
        small_thresholds: What these are in LUTs of four inputs.
    """

    lut: float
    bram18: int = 0
    dsp: int = 0
    implementation: str = ""
    kind: str = "other"
    blocks: tuple[Memory, ...] = ()
    rams: tuple[Memory, ...] = ()
    roms: tuple[Memory, ...] = ()
    tables: float = 0.0
    small_tables: float = 0.0
    instant: tuple[Memory, ...] = ()
    free: tuple[Memory, ...] = ()
    thresholds: float = 0.0
    small_thresholds: float = 0.0


def total(prices: Iterable[Price]) -> Price:
    """Add prices; the sum has the implementation and kind of the last one."""
    result = Price(0.0)
    for price in prices:
        result = Price(
            result.lut + price.lut,
            result.bram18 + price.bram18,
            result.dsp + price.dsp,
            price.implementation,
            price.kind,
            result.blocks + price.blocks,
            result.rams + price.rams,
            result.roms + price.roms,
            result.tables + price.tables,
            result.small_tables + price.small_tables,
            result.instant + price.instant,
            result.free + price.free,
            result.thresholds + price.thresholds,
            result.small_thresholds + price.small_thresholds,
        )
    return result


def in_block_ram(lut: float, memory: Memory, implementation: str, kind: str = "other") -> Price:
    """Price a node of `lut` LUTs and one memory in block RAM; a memory of one word needs no block RAM."""
    if memory[1] <= 1:
        return Price(lut, implementation=implementation, kind=kind)
    lut += bank_luts(*memory)
    return Price(lut, block_rams(*memory), implementation=implementation, kind=kind, blocks=(memory,))


@lru_cache(maxsize=65536)
def block_rams(width: int, depth: int, family: str = "7-series") -> int:
    """Return the number of a family's block RAMs that a memory uses.

    A RAMB18 (also DP16KD and BSRAM) holds 16384x1, 8192x2, 4096x4, 2048x9, 1024x18 or 512x36 bits. An iCE40 EBR holds
    2048x2, 1024x4, 512x8 or 256x16 bits.
    """
    return get_family(family).block_ram.layout(width, depth).block_rams


@lru_cache(maxsize=65536)
def bank_luts(width: int, depth: int, family: str = "7-series") -> int:
    """Return the LUTs that select a word among the banks of a memory in block RAM."""
    part = get_family(family)
    return width * multiplexer(part.block_ram.layout(width, depth).banks, part.lut_inputs)


def lutram(width: int, depth: int) -> int:
    """Return the LUTs of a writable memory: four LUTs hold 32 words of 6 bits, or 64 words of 3 bits."""
    return lut_ram(width, depth)


def small_memory(lut: float, width: int, depth: int, implementation: str) -> Price:
    """Price a node of `lut` LUTs and a memory that is in LUTs or, if it is large, in block RAM."""
    if lutram(width, depth) > CONSTANTS.lutram_most:
        return in_block_ram(lut, (width, depth), f"{implementation} in block RAM")
    price = in_lut_memory(lut, (width, depth), f"{implementation} in LUT memory")
    return replace(price, free=price.rams)


def in_lut_memory(lut: float, memory: Memory, implementation: str, instant: bool = False) -> Price:
    """Price a node of `lut` LUTs and one memory in LUTs; `instant` as in `Price`."""
    fast = (memory,) if instant else ()
    return Price(lut + lutram(*memory), implementation=implementation, rams=(memory,), instant=fast)


def weights_in_luts(width: int, depth: int, lut_inputs: int = 6) -> float:
    """Return the LUTs that hold a product's weights.

    - 6-input LUTs: a fitted constant. In a memory alone a LUT holds 64 bits. In a product it holds about 13 bits: the
      weights have timing slack there, so Yosys' mapper searches for shared logic, which random words lack.
    - 4-input LUTs: a LUT per 16 bits and, past 16 words, multiplexers that use as many again: 0.135 LUTs per bit, measured
      on memories alone and in products.
    """
    if lut_inputs == 6:
        return CONSTANTS.product_rom * width * depth
    return width * (1 if depth <= 16 else 0.135 * depth)


@lru_cache(maxsize=4096)
def adders(terms: int, bits: int, shift: int = 0) -> int:
    """Return the LUTs of the adder tree in `zc_sum`: one per bit of an adder's terms."""
    lut = 0
    while terms > 1:
        lut += terms // 2 * bits * (shift < bits)  # terms that do not overlap are only concatenated
        bits, shift, terms = bits + 1 + shift, 2 * shift, (terms + 1) // 2
    return lut


def on_family(price: Price, family: str, lut4: Mapping[str, float] | None = None) -> tuple[int, int]:
    """Convert a price to a family's own LUTs and block RAMs.

    - Xilinx parts: the price is unchanged.
    - 4-input LUTs: logic is multiplied with the factors of the family's `lut4`, which were fitted to elements that
      were mapped to both kinds of LUT. A carry cell counts as the LUTs that it occupies. Wired channels are divided into
      tables of four inputs instead.
    - Memory on ECP5 and Gowin: six LUTs per 16 words of 4 bits, and multiplexers between them. If Yosys is free to choose,
      larger ones are in block RAM.
    - Memory on iCE40: block RAM of 4 kbit (18 kbit in other families), because its LUTs cannot be memory. The
      memories that become flip-flops are in `logic_cells`.
    - Multiplexers between the banks of block RAMs: those of the family's own layout.
    - ROMs of more than 16 thresholds, which fill 4-input LUTs: their own LUTs.

    Args:
        price: Price in 6-input LUTs.
        family: Name of the family.
        lut4: Factors in place of the family's.

    Returns:
        LUTs and block RAMs.
    """
    part = get_family(family)
    if part.lut_inputs == 6:
        return round(price.lut), price.bram18
    logic = price.lut - sum(lutram(*memory) for memory in price.rams)
    logic -= sum(weights_in_luts(*memory) for memory in price.roms) + price.tables
    logic -= sum(bank_luts(*memory) for memory in price.blocks) + price.thresholds
    factors = lut4 or part.lut4
    lut = logic * factors.get(price.kind, factors["other"]) + price.small_tables + price.small_thresholds
    lut += sum(weights_in_luts(*memory, lut_inputs=part.lut_inputs) for memory in price.roms)
    if part.lut_ram is None:
        moved = [memory for memory in price.rams if not _in_flip_flops(memory, price, family)]
    else:
        moved = [memory for memory in price.free if _block_ram_is_cheaper(*memory, family)]
        lut += sum(part.lut_ram(*memory) for memory in (Counter(price.rams) - Counter(moved)).elements())
    blocks = (*price.blocks, *moved)
    lut += sum(bank_luts(*memory, family) for memory in blocks)
    return round(lut), sum(block_rams(*memory, family) for memory in blocks)


def _block_ram_is_cheaper(width: int, depth: int, family: str) -> bool:
    """Return whether Yosys makes block RAM of a memory that it may put in LUTs of four inputs."""
    return ram16x4_cost(width, depth) > get_family(family).block_ram.layout(width, depth).cost


_LEAST_FILL = 0.02  # share of a block RAM's bits below which Yosys makes flip-flops of a memory, if LUTs cannot be memories
_CELLS_A_BIT = 1.8  # logic cells per bit of such a memory, its multiplexers included


def logic_cells(price: Price, family: str, bits: int) -> int:
    """Return what a node takes of the resource that holds a part's logic: logic cells, or LUTs.

    Args:
        price: Price of the node.
        family: Name of the family; see `families.family.LogicCells`.
        bits: Width of the node's streams together.
    """
    part = get_family(family)
    lut, _ = on_family(price, family)
    # A table of a wired layer shares its cell with its register.
    if not part.logic_cells or not lut or price.tables:
        return lut
    share = part.logic_cells.get(price.kind, part.logic_cells["other"])
    weights = weight_luts(price, family)
    logic = share.lut * (lut - weights) + share.bit * bits + share.each
    return round(logic + weights + memory_cells(price, family))


def weight_luts(price: Price, family: str) -> float:
    """Return the LUTs of a price that hold weights."""
    lut_inputs = get_family(family).lut_inputs
    return sum(weights_in_luts(*memory, lut_inputs=lut_inputs) for memory in price.roms)


def memory_cells(price: Price, family: str) -> float:
    """Return the logic cells of memories that become flip-flops, because LUTs cannot be memories."""
    return _CELLS_A_BIT * sum(
        width * depth for width, depth in price.rams if _in_flip_flops((width, depth), price, family)
    )


def _in_flip_flops(memory: Memory, price: Price, family: str) -> bool:
    """Return whether one of a price's `rams` becomes flip-flops on a family.

    Where LUTs cannot be memories, these are memories that answer at once, and those that would leave a block RAM almost
    empty.
    """
    part, (width, depth) = get_family(family), memory
    if part.lut_ram is not None:
        return False
    capacity = 1024 * part.block_ram.kbit * block_rams(width, depth, family)
    return memory in price.instant or width * depth < _LEAST_FILL * capacity
