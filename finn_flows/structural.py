"""What each hardware unit costs in LUT, block RAM and DSP, from its structure: this project's own models.

FINN's estimates stand beside these (see `cost.py`). These exist where FINN's are blind (crossings, padding,
pools, label selection) or far off (XNOR products). All numbers that were fitted or measured are fields of
`Constants`, so that they can be fitted again to more designs in one place. "Measured" means mapped by Yosys
0.70 without placement, LUTs and carries counted as the part has them, one design a figure unless said
otherwise. All LUT figures are for 6-input LUTs; `on_family` converts them.

A *lane* is what one PE computes: it serves `channels / PE` channels in turn, channel c on lane c mod PE.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache


@dataclass(frozen=True)
class Constants:
    """Every fitted or measured number of the models.

    Attributes:
        product_base: LUTs of an XNOR product's control and handshakes.
        product_per_synapse: LUTs of XNOR and popcount for each PE * SIMD.
        product_per_accumulator_bit: LUTs of the accumulator for each PE and bit, beyond what the tree
            absorbs.
        constant_synapse: LUTs a synapse where a product is fully unrolled and its weights are constants.
        constant_input: LUTs an input there, the negations shared by all channels.
        adder_per_input: LUTs for each PE * SIMD of a sum of +-8-bit inputs.
        compare_per_bit: LUTs of one comparator, for each bit.
        small_rom_per_bit: LUTs for each bit of a threshold memory of at most `small_rom_depth` words.
        small_rom_depth: depth up to which Yosys merges the memory with the comparator behind it.
        bank_fixed: LUTs a bit for the first comparator of a lane with one channel (its threshold is a
            constant).
        bank_shallow: the same where up to 8 channels share the lane.
        bank_deep: the same where more do.
        bank_fixed_power: how a lane's comparators grow with crossings: LUT ~ crossings ** power, one channel
            a lane.
        bank_shallow_power: the same where up to 8 channels share the lane (more: power 1).
        table_per_bit: LUTs for each accumulator bit of a table's first crossing.
        table_power: how a channel's table grows with its crossings.
        table_leaf: LUTs for each 64 entries of a table, its multiplexers included.
        bram18_in_luts: how many LUTs one would give for a block RAM of 18 kbit, where a site may choose.
        generator_control: LUTs of an input generator's counters and addresses.
        lutram_depth: words of one bit that a LUT of the input generator's buffer holds.
        counter_per_bit: LUTs for each bit of a counter with its comparison.
        lut4_product, lut4_adder, lut4_crossing: 4-input LUTs for each 6-input LUT, by family.
        lut4_other: the same for everything else.
    """

    product_base: float = 84.4
    product_per_synapse: float = 2.28
    product_per_accumulator_bit: float = 0.18
    constant_synapse: float = 0.753
    constant_input: float = 2.87
    adder_per_input: float = 20.6
    compare_per_bit: float = 0.5
    small_rom_per_bit: float = 0.36
    small_rom_depth: int = 8
    bank_fixed: float = 0.49
    bank_shallow: float = 1.42
    bank_deep: float = 1.6
    bank_fixed_power: float = 0.7
    bank_shallow_power: float = 0.84
    table_per_bit: float = 0.27
    table_power: float = 0.68
    table_leaf: float = 1.5
    bram18_in_luts: float = 190.0
    generator_control: float = 300.0
    lutram_depth: int = 38
    counter_per_bit: float = 2.0
    lut4_product: dict[str, float] = field(default_factory=lambda: {"ecp5": 1.5, "ice40": 1.3, "gowin": 1.5})
    lut4_adder: dict[str, float] = field(default_factory=lambda: {"ecp5": 1.75, "ice40": 1.95, "gowin": 1.75})
    lut4_crossing: dict[str, float] = field(default_factory=lambda: {"ecp5": 2.4, "ice40": 2.6, "gowin": 2.4})
    lut4_other: float = 1.75


CONSTANTS = Constants()


@dataclass(frozen=True)
class Price:
    """LUTs (a real number; round sums, not terms), block RAMs of 18 kbit, DSPs, and how it is built."""

    lut: float
    bram18: int = 0
    dsp: int = 0
    way: str = ""


NO_FIFO = Price(0.0, way="joined to the product")


def xnor_product(fan_in: int, channels: int, pe: int, simd: int) -> Price:
    """Price a product of bits with bits: XNOR, popcount, accumulate; thresholds are priced apart.

    PE lanes each take SIMD XNORs into a popcount tree and add its sum to an accumulator of ceil(log2(fan_in +
    1)) bits:

        LUT = 84 + 2.28 PE SIMD + 0.18 PE bits, weights in block RAM.

    Fitted to seven units of (fan-in, channels, SIMD/PE) = (64, 64, 16/8 and 32/16), (256, 10, 32/1), (256,
    256, 16/8, 32/16 and 64/32), (784, 256, 16/64): 426, 1266, 167, 465, 1458, 5307, 3060 LUT measured, their
    one threshold a channel included (0.86 LUT a bit, taken off here). Error: at most 8%, five of seven within
    4%. A single PE alone measured 43, 88, 161 LUT for SIMD 16, 32, 64. Block RAMs agreed with FINN's formula
    on all seven.

    Fully unrolled (PE = channels, SIMD = fan_in) the weights are constants: LUT = 0.753 fan_in channels +
    2.87 fan_in, fitted to 643, 3129, 13291, 2785 LUT for 64x10, 64x64, 128x128, 256x10; error at most 5%,
    thresholds included.
    """
    k = CONSTANTS
    if pe == channels and simd == fan_in:
        return Price(
            k.constant_synapse * fan_in * channels + k.constant_input * fan_in, way="constant weights"
        )
    lut = k.product_base + pe * (
        k.product_per_synapse * simd + k.product_per_accumulator_bit * fan_in.bit_length()
    )
    return Price(lut, weight_bram18(fan_in, channels, pe, simd), way="weights in block RAM")


def byte_product(fan_in: int, channels: int, pe: int, simd: int, input_bits: int = 8) -> Price:
    """Price a product of unsigned bytes with bipolar weights: a tree of adders and subtractors.

    Measured for one PE with 8-bit inputs and a 16-bit accumulator: 86, 165, 332 LUT for SIMD 4, 8, 16, that
    is 20.6 LUT an input within 5% (two LUTs an input bit and the tree's growth), control as in
    `xnor_product`. Other input widths in proportion, which is derived and not measured.
    """
    lut = CONSTANTS.product_base + CONSTANTS.adder_per_input * pe * simd * input_bits / 8
    return Price(lut, weight_bram18(fan_in, channels, pe, simd), way="adder tree")


@lru_cache(maxsize=65536)
def weight_bram18(fan_in: int, channels: int, pe: int, simd: int) -> int:
    """Return the block RAMs that hold a product's weights: PE * SIMD bits wide, as deep as a pass is long.

    A RAMB18 holds 16384x1, 8192x2, 4096x4, 2048x9, 1024x18 or 512x36 bits; each is tried alone. No memory of
    one word.
    """
    width, depth = pe * simd, fan_in * channels // (pe * simd)
    if depth <= 1:
        return 0
    shapes = ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512))
    return min(math.ceil(width / bits) * math.ceil(depth / words) for bits, words in shapes)


def crossing_site(crossings: Sequence[int], pe: int, levels: int) -> Price:
    """Price a layer's crossings, built in the cheapest of four ways; the same way for all lanes.

    Args:
        crossings: how many each channel has. 0 (constant) costs nothing.
        pe: lanes; a divisor of the number of channels.
        levels: how many values the accumulator takes: fan_in + 1 for a popcount.

    Returns:
        The price, with `way` one of "constant", "comparators", "search", "table", "table in block RAM". A
        table's price is bounded by `levels` alone, and so is the site's.
    """
    if not any(crossings):
        return Price(0.0, way="constant")
    lanes = [tuple(crossings[lane::pe]) for lane in range(pe)]
    bits = (levels - 1).bit_length()
    ways: list[tuple[str, Callable[[tuple[int, ...]], float]]] = [
        ("comparators", lambda lane: comparators(lane, bits)),
        ("search", lambda lane: binary_search(lane, bits)),
        ("table", lambda lane: table(lane, bits, levels)),
    ]
    prices = [Price(sum(price(lane) for lane in lanes), way=way) for way, price in ways]
    prices.append(table_in_bram(lanes, bits))
    return min(prices, key=lambda price: price.lut + CONSTANTS.bram18_in_luts * price.bram18)


@lru_cache(maxsize=65536)
def comparators(lane: tuple[int, ...], bits: int) -> float:
    """Return the LUTs of one comparator for each crossing, and the parity of their outcomes.

    The lane has as many comparators as its busiest channel has crossings, k; each compares `bits` bits with a
    threshold that the channel selects. Measured with random crossings, LUT a lane for k = 1, 2, 4, 8, 16:
    one channel a lane, 7 bits: 3.3, 8.2, 12, 18, 21 and 10 bits: 5, 11, 19, 29, 39 (constant thresholds);
    8 channels, 7 bits: 10, 20, 34, 59, 103 and 10 bits: 14, 27, 47, 82, 142; 16 channels, 9 bits: 14, 30, 59,
    125, 238. The powers below meet these within 10%, but for the first row (up to 35% at k = 2). Past 64
    channels each threshold bit takes a LUT for every 64 channels; that part is derived.
    """
    k, most, channels = CONSTANTS, max(lane), len(lane)
    if most == 0:
        return 0.0
    if channels == 1:
        return k.bank_fixed * bits * most**k.bank_fixed_power
    if channels <= k.small_rom_depth:
        return k.bank_shallow * bits * most**k.bank_shallow_power
    return bits * most * (k.bank_deep + math.ceil(channels / 64) - 1)


@lru_cache(maxsize=65536)
def binary_search(lane: tuple[int, ...], bits: int) -> float:
    """Return the LUTs of a pipelined binary search among each channel's sorted crossings; the count's last
    bit decides.

    ceil(log2(k + 1)) stages for k crossings in the lane's busiest channel. Stage j compares `bits` bits with
    one of channels * 2**j stored thresholds: 0.5 LUT a bit for the comparator, and for the memory none if it
    has one word, 0.36 LUT a bit up to 8 words, else one a bit for every 64. Measured for (bits, channels,
    stages) = (7, 8, 1), (7, 8, 3), (7, 8, 4), (10, 8, 4), (9, 16, 4), (7, 1, 4): 6, 29, 42, 59, 63, 22 LUT;
    the formula is within 11% of each.
    """
    k, most, channels = CONSTANTS, max(lane), len(lane)
    total = 0.0
    for stage in range(most.bit_length()):
        words = channels << stage
        if words == 1:
            memory = 0.0
        elif words <= k.small_rom_depth:
            memory = k.small_rom_per_bit
        else:
            memory = math.ceil(words / 64)
        total += bits * (k.compare_per_bit + memory)
    return total


@lru_cache(maxsize=65536)
def table(lane: tuple[int, ...], bits: int, levels: int) -> float:
    """Return the LUTs of the table of the lane's bits, addressed by channel and accumulator.

    Left to the synthesiser, a row of k random crossings takes about 0.27 bits k**0.68 LUT, rows summed.
    Measured, LUT a lane for k = 1, 2, 4, 8, 16: 8 channels, 65 levels: 13, 22, 32, 42, 53; 16 channels, 257
    levels: 35, 68, 117, 194, 288; 8 channels, 785 levels: 23, 37, 66, 99, 146; one channel, 577 levels: 2.1,
    3.4, 6, 10, 14. The formula is within 30% of these, but for the first row past k = 4, where the bound
    below is lower. Written as 64-bit leaves and multiplexers it takes at most 1.5 LUT a leaf whatever the
    crossings: measured with k = 16: 9, 147, 126, 13 LUT in the order above against 12, 96, 147, 14. The
        cheaper of the two is the price.
    """
    k = CONSTANTS
    rows = k.table_per_bit * bits * sum(count**k.table_power for count in lane)
    return min(rows, table_bound(sum(count > 0 for count in lane), levels))


def table_bound(channels: int, levels: int) -> float:
    """Return the most LUTs that the tables of so many channels can take: 1.5 for every 64 entries."""
    return CONSTANTS.table_leaf * math.ceil(channels * levels / 64)


def table_in_bram(lanes: Sequence[tuple[int, ...]], bits: int) -> Price:
    """Price the tables in block RAM, one bit wide, a lane's channels side by side.

    Derived: two lanes share a RAM by its two ports; entries are padded to 2**bits a channel; one LUT a lane
        for the output's handshake.
    """
    entries = len(lanes[0]) << bits
    ports = math.ceil(entries * 2 / 16384) if entries * 2 > 16384 else 1
    busy = sum(any(lane) for lane in lanes)
    return Price(float(busy), math.ceil(busy / 2) * ports, way="table in block RAM")


def input_generator(width: int, depth: int) -> Price:
    """Price a sliding window's buffer of `depth` words of `width` bits in LUT memory, and its control.

    FINN's own figures for its generator: 300 LUT for counters and addresses, and a LUT for each bit of 38
    words.
    """
    k = CONSTANTS
    return Price(k.generator_control + width * math.ceil(depth / k.lutram_depth), way="LUT memory")


def parallel_generator(width: int, buffer_depth: int, rows: int) -> Price:
    """Price a generator that shows the whole window at once: registers and `rows - 1` line buffers.

    Derived: as `input_generator`; the window's registers are flip-flops and cost no LUT.
    """
    lines = max(0, rows - 1)
    per_line = math.ceil(buffer_depth / max(1, lines))
    lut = CONSTANTS.generator_control + lines * width * math.ceil(per_line / CONSTANTS.lutram_depth)
    return Price(lut, way="LUT memory, whole window")


def line_buffer(width: int, depth: int) -> Price:
    """Price the buffer of a max-pool: one line of results so far, `depth` words of `width` bits.

    Derived: with windows that do not overlap, an OR is taken as the bits arrive, so a line of the *output* is
    all there is to keep, where FINN's pool keeps whole input lines. One LUT a bit of 38 words, and counters
    for row, column and word.
    """
    k = CONSTANTS
    counters = 3 * k.counter_per_bit * math.ceil(math.log2(depth + 1))
    return Price(width * math.ceil(depth / k.lutram_depth) + counters, way="line buffer")


def max_pool(lanes: int, bits: int = 1) -> Price:
    """Price the running maximum of a max-pool, for each lane. Derived.

    Over bits it is an OR: one LUT (bit, running value, first of a window). Over wider values a comparison and
    a multiplexer: 1.5 LUT a bit.
    """
    return Price(float(lanes) if bits == 1 else 1.5 * bits * lanes, way="OR" if bits == 1 else "maximum")


def padding(width: int, height: int, columns: int, words: int) -> Price:
    """Price padding with bit 0: counters of rows, columns and words, and a gate a bit. Derived."""
    bits = sum(math.ceil(math.log2(size + 1)) for size in (height, columns, words))
    return Price(CONSTANTS.counter_per_bit * bits + width, way="counters")


def label_select(labels: int, pe: int, bits: int) -> Price:
    """Price the index of the largest of `labels` values of `bits` bits, PE at a time.

    Derived: a lane compares (half a LUT a bit), keeps the larger value (a LUT a bit) and its index (a LUT a
        bit).
    """
    index = math.ceil(math.log2(max(2, labels)))
    return Price(pe * (1.5 * bits + index) + CONSTANTS.counter_per_bit * index, way="running maximum")


def width_converter(width_in: int, width_out: int) -> Price:
    """Price a change of stream width, by way of the least common multiple where neither divides the other.

    Derived: growing words need only enabled flip-flops and a counter, shrinking ones a 2:1 multiplexer (a
        LUT) a bit.
    """
    common = math.lcm(width_in, width_out)
    ratios = (common // width_in, common // width_out)
    counters = sum(math.ceil(math.log2(ratio)) for ratio in ratios)
    shifted = common if common > width_out else 0
    return Price(shifted + CONSTANTS.counter_per_bit * counters, way="shift register")


def fifo(depth: int, width: int) -> Price:
    """Price a FIFO. Two deep: a skid buffer, a multiplexer a bit and four LUTs of control. Derived.

    Deeper: a LUT a bit for every 32 words (shift registers) or, past 256 words, block RAM; control as FINN
    fitted it for its own FIFO: 5 LUT for each counter bit, less 7.
    """
    if depth <= 2:
        return Price(width + 4.0, way="skid buffer")
    control = 5.0 * (depth.bit_length() + 1) - 7
    if depth <= 256:
        return Price(width * math.ceil(depth / 32) + control, way="shift register")
    return Price(54.0, math.ceil(width / 36) * math.ceil(depth / 512), way="block RAM")


def on_family(lut: float, family: str, kind: str = "other") -> float:
    """Convert 6-input LUTs to the LUTs of a family: as they are on Xilinx parts, more where LUTs have 4
    inputs.

    Measured by mapping the same source with synth_xilinx and with synth_ecp5, synth_gowin (both with
    -nowidelut) and synth_ice40; a carry cell counts as the LUTs it occupies (ECP5: two).
    "product", one PE, SIMD 16 and 64: 43, 161 LUT6 became 73, 209 on ECP5, 62, 201 on iCE40, 76, 216 on
    Gowin. "adder", SIMD 4, 8, 16: 86, 165, 332 became 145, 285, 603 on ECP5 and 161, 321, 665 on iCE40.
    "crossing": a search of four stages and a table of 785 levels, 42 and 126, became 141 and 176 on ECP5, 143
    and 174 on Gowin; iCE40's factor is the median of four searches. Gowin's adders are taken from ECP5, and
    "other" from the adders; neither was measured. Without -nowidelut the same products take 99 and 395 LUT on
    ECP5, 104 and 630 on Gowin: wide multiplexers made of LUT pairs do not suit a popcount.
    """
    if family in ("7-series", "ultrascale+"):
        return lut
    factors = {
        "product": CONSTANTS.lut4_product,
        "adder": CONSTANTS.lut4_adder,
        "crossing": CONSTANTS.lut4_crossing,
    }
    return lut * (factors[kind][family] if kind in factors else CONSTANTS.lut4_other)
