"""What each hardware unit costs in LUT, block RAM and DSP, from its structure: this project's own models.

FINN's estimates stand beside these (see `cost.py`). These exist where FINN's are blind (crossings, padding,
pools, label selection) or far off (XNOR products). A formula counts what the unit's SystemVerilog (`nodes/`) asks
for; the constants by which counts are multiplied are fields of `Constants`. `benchmarks/calibration.py` fits them to
elements that Yosys mapped, and shows the error on networks that nothing was fitted to: docs/benchmarks.md has the
figures, docs/calibration/ the data. All LUT figures are for 6-input LUTs; `on_family` converts them.

A *lane* is what one PE computes: it serves `channels / PE` channels in turn, channel c on lane c mod PE.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from zerocross.finn_flows.families import get_family
from zerocross.finn_flows.families.series7 import lut_ram

Memory = tuple[int, int]
"""Bits of a word, and words."""


@dataclass(frozen=True)
class Constants:
    """Every fitted or measured number of the models.

    Attributes:
        product_base: LUTs of a product's control.
        product_count: LUTs for each LUT that its popcounts are counted to take.
        product_accumulator: LUTs for each PE and bit of the accumulator, where a row takes several words.
        product_buffer: LUTs for each LUT of memory of the input's double buffer.
        product_address: LUTs for each bit of the address of the weights.
        product_recode: LUTs for each triple of inputs, whose first becomes their parity.
        product_rom: LUTs for each bit of weights kept in LUTs.
        unrolled_count: LUTs for each LUT that a channel's own popcount is counted to take, weights being constants.
        unrolled_shared: LUTs for each majority of three inputs, shared by all channels.
        unrolled_channel: LUTs for each channel and bit of its count.
        site_base: LUTs of a crossing site's control.
        compare: LUTs for each bit of a comparison with a threshold.
        rom_word: LUTs for each bit of a ROM of thresholds, of its words to this power:
        rom_power: how it grows with its words.
        compare_power: how a lane's comparators grow with its busiest channel's crossings.
        table_row: LUTs of a lane's table for each accumulator bit and row of one crossing.
        table_power: how a row grows with its crossings.
        table_rows_power: how a table grows with the sum of its rows.
        table_leaf: the most LUTs for each 64 entries.
        table_channel: the same for each channel, whose entries begin anew.
        bram18_in_luts: how many LUTs one would give for a block RAM of 18 kbit, where a site may choose.
        lutram_most: LUTs of memory past which Yosys takes block RAM.
        generator_base, generator_address: LUTs of an input generator, and for each bit of its addresses.
        whole_base: LUTs of a generator of whole windows.
        padding_base, padding_counter: LUTs of padding, and for each bit of its counters.
        line_base: LUTs of the counters of a pool's line buffer.
        pool_base, pool_bit: LUTs of a pool's control, and for each bit of a value.
        label_base, label_compare, label_index: LUTs of a label select, for each bit compared, and of an index.
        converter_base: LUTs of a width converter's control.
        converter_place: LUTs for each place of its buffer, where neither width divides the other.
        converter_turn: LUTs for each bit of a word in and each level of multiplexers that turn it, there.
        fifo_base, fifo_address: LUTs of a deep FIFO's control, and for each bit of its addresses.
        fifo_wrap: the same where the number of words is no power of two.
        fifo_windows, fifo_image, fifo_vector: what sizing makes of a planned FIFO, as a share of a plain one; see
            `planned_fifo`.
        lut4: LUTs of 4 inputs for each of 6, by family and by what is built; see `on_family`.
    """

    product_base: float = 9.87
    product_count: float = 0.986
    product_accumulator: float = 1.2
    product_buffer: float = 1.54
    product_address: float = 1.88
    product_recode: float = 1.29
    product_rom: float = 0.0752
    unrolled_count: float = 1.07
    unrolled_shared: float = 5.34
    unrolled_channel: float = 0.205
    site_base: float = 5.0
    compare: float = 0.558
    rom_word: float = 0.0422
    rom_power: float = 0.926
    compare_power: float = 0.949
    table_row: float = 0.197
    table_power: float = 1.16
    table_rows_power: float = 0.91
    table_leaf: float = 1.62
    table_channel: float = 0.354
    bram18_in_luts: float = 190.0
    lutram_most: int = 48
    generator_base: float = 31.3
    generator_address: float = 5.05
    whole_base: float = 22.7
    padding_base: float = 17.0
    padding_counter: float = 0.611
    line_base: float = 25.0
    pool_base: float = 4.86
    pool_bit: float = 1.25
    label_base: float = 10.6
    label_compare: float = 1.65
    label_index: float = 0.238
    converter_base: float = 9.43
    converter_place: float = 2.32
    converter_turn: float = 1.98
    fifo_base: float = 6.45
    fifo_address: float = 2.38
    fifo_wrap: float = 1.79
    fifo_windows: float = 1.4
    fifo_image: float = 0.331
    fifo_vector: float = 0.124
    lut4: Mapping[str, Mapping[str, float]] = field(
        default_factory=lambda: {
            "ecp5": {"product": 1.52, "unrolled": 1.43, "crossings": 1.9, "other": 1.35},
            "ice40": {"product": 1.77, "unrolled": 1.75, "crossings": 2.14, "other": 1.68},
            "gowin": {"product": 1.39, "unrolled": 1.75, "crossings": 2.0, "other": 1.43},
        }
    )


CONSTANTS = Constants()


@dataclass(frozen=True)
class Price:
    """What a unit takes of a part with 6-input LUTs.

    Attributes:
        lut: LUTs, a real number; round sums, not terms.
        bram18: block RAMs of 18 kbit.
        dsp: DSPs.
        implementation: how it is built.
        kind: "product", "unrolled", "crossings" or "other": what its LUTs become where they have 4 inputs.
        blocks: the memories in block RAM that `bram18` counts.
        rams: the memories in LUTs that are part of `lut`.
        roms: the read-only memories in LUTs that are part of `lut`.
    """

    lut: float
    bram18: int = 0
    dsp: int = 0
    implementation: str = ""
    kind: str = "other"
    blocks: tuple[Memory, ...] = ()
    rams: tuple[Memory, ...] = ()
    roms: tuple[Memory, ...] = ()


def total(prices: Iterable[Price]) -> Price:
    """Add prices up; the implementation and kind of the last one are those of all."""
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
        )
    return result


def in_block_ram(lut: float, memory: Memory, implementation: str, kind: str = "other") -> Price:
    """Price a unit of so many LUTs and one memory in block RAM; a memory of one word is none."""
    if memory[1] <= 1:
        return Price(lut, implementation=implementation, kind=kind)
    return Price(lut, block_rams(*memory), implementation=implementation, kind=kind, blocks=(memory,))


@lru_cache(maxsize=65536)
def block_rams(width: int, depth: int, family: str = "7-series") -> int:
    """Return the block RAMs, of the family's own size, that a memory takes in the best of the shapes they have.

    A RAMB18 (DP16KD, BSRAM) holds 16384x1, 8192x2, 4096x4, 2048x9, 1024x18 or 512x36 bits, an iCE40 EBR 2048x2,
    1024x4, 512x8 or 256x16.
    """
    return get_family(family).block_ram.count(width, depth)


def lutram(width: int, depth: int) -> int:
    """Return the LUTs of a memory that is written too: 6 bits of 32 words, or 3 bits of 64, take four."""
    return lut_ram(width, depth)


def small_memory(lut: float, width: int, depth: int, implementation: str) -> Price:
    """Price a unit of so many LUTs and a memory that goes to LUTs or, where it is large, to block RAM."""
    if lutram(width, depth) > CONSTANTS.lutram_most:
        return in_block_ram(lut, (width, depth), f"{implementation} in block RAM")
    return in_lut_memory(lut, (width, depth), f"{implementation} in LUT memory")


def in_lut_memory(lut: float, memory: Memory, implementation: str) -> Price:
    """Price a unit of so many LUTs and one memory in LUTs."""
    return Price(lut + lutram(*memory), implementation=implementation, rams=(memory,))


def weights_in_luts(width: int, depth: int, lut_inputs: int = 6) -> float:
    """Return the LUTs that hold a product's weights.

    Of six inputs, fitted; alone a LUT holds 64 bits, but a product has slack for them, and Yosys' mapper then looks for
    shared logic that random words lack. Of four, a LUT for every 16 bits and, past 16 words, multiplexers that take as
    much: 0.135 a bit was measured on memories alone, and in products.
    """
    if lut_inputs == 6:
        return CONSTANTS.product_rom * width * depth
    return width * (1 if depth <= 16 else 0.135 * depth)


@lru_cache(maxsize=4096)
def adders(terms: int, bits: int, shift: int = 0) -> int:
    """Return the LUTs of `zc_sum`'s tree: one for each bit of the terms of an adder."""
    lut = 0
    while terms > 1:
        lut += terms // 2 * bits * (shift < bits)  # shifted past each other they are only joined
        bits, shift, terms = bits + 1 + shift, 2 * shift, (terms + 1) // 2
    return lut


def on_family(price: Price, family: str) -> tuple[int, int]:
    """Return a price in a family's own LUTs and block RAMs.

    Xilinx parts take a price as it is. Where LUTs have 4 inputs there are more of them: the factors of
    `Constants.lut4`, fitted to elements that were mapped to both, a carry cell counting as the LUTs it occupies. Memory
    is counted anew: 16 words of 4 bits take six LUTs of ECP5 and Gowin, and multiplexers between; iCE40 has none and
    takes block RAM, whose blocks are of 4 kbit where other families' are of 18.
    """
    part = get_family(family)
    if part.lut_inputs == 6:
        return round(price.lut), price.bram18
    logic = price.lut - sum(lutram(*memory) for memory in price.rams)
    logic -= sum(weights_in_luts(*memory) for memory in price.roms)
    factors = CONSTANTS.lut4[family]
    lut = logic * factors.get(price.kind, factors["other"])
    lut += sum(weights_in_luts(*memory, lut_inputs=part.lut_inputs) for memory in price.roms)
    blocks = price.blocks
    if part.lut_ram is None:
        blocks += price.rams
    else:
        lut += sum(part.lut_ram(*memory) for memory in price.rams)
    return round(lut), sum(block_rams(*memory, family) for memory in blocks)
