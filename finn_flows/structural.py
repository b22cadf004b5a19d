"""What each hardware unit costs in LUT, block RAM and DSP, from its structure: this project's own models.

FINN's estimates stand beside these (see `cost.py`). These exist where FINN's are blind (crossings, padding,
pools, label selection) or far off (XNOR products). A formula counts what the unit's SystemVerilog (`rtllib/`) asks
for; the constants by which counts are multiplied are fields of `Constants`. `benchmarks/calibration.py` fits them to
elements that Yosys mapped, and shows the error on networks that nothing was fitted to: docs/benchmarks.md has the
figures, docs/calibration/ the data. All LUT figures are for 6-input LUTs; `on_family` converts them.

A *lane* is what one PE computes: it serves `channels / PE` channels in turn, channel c on lane c mod PE.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
        way: how it is built.
        kind: "product", "unrolled", "crossings" or "other": what its LUTs become where they have 4 inputs.
        blocks: the memories in block RAM that `bram18` counts.
        rams: the memories in LUTs that are part of `lut`.
        roms: the read-only memories in LUTs that are part of `lut`.
    """

    lut: float
    bram18: int = 0
    dsp: int = 0
    way: str = ""
    kind: str = "other"
    blocks: tuple[Memory, ...] = ()
    rams: tuple[Memory, ...] = ()
    roms: tuple[Memory, ...] = ()


LINE_BUFFER = "line buffer"
WEIGHTS_IN_BLOCK_RAM = "weights in block RAM"
NO_FIFO = Price(0.0, way="joined to the product")


def total(prices: Iterable[Price]) -> Price:
    """Add prices up; the last one's way and kind are those of all."""
    result = Price(0.0)
    for price in prices:
        result = Price(
            result.lut + price.lut,
            result.bram18 + price.bram18,
            result.dsp + price.dsp,
            price.way,
            price.kind,
            result.blocks + price.blocks,
            result.rams + price.rams,
            result.roms + price.roms,
        )
    return result


def in_block_ram(lut: float, memory: Memory, way: str, kind: str = "other") -> Price:
    """Price a unit of so many LUTs and one memory in block RAM; a memory of one word is none."""
    if memory[1] <= 1:
        return Price(lut, way=way, kind=kind)
    return Price(lut, block_rams(*memory), way=way, kind=kind, blocks=(memory,))


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


def small_memory(lut: float, width: int, depth: int, way: str) -> Price:
    """Price a unit of so many LUTs and a memory that goes to LUTs or, where it is large, to block RAM."""
    if lutram(width, depth) > CONSTANTS.lutram_most:
        return in_block_ram(lut, (width, depth), f"{way} in block RAM")
    return in_lut_memory(lut, (width, depth), f"{way} in LUT memory")


def in_lut_memory(lut: float, memory: Memory, way: str) -> Price:
    """Price a unit of so many LUTs and one memory in LUTs."""
    return Price(lut + lutram(*memory), way=way, rams=(memory,))


def rom(words: int) -> float:
    """Return the LUTs for each bit of a ROM of thresholds, which is mapped as one with the comparison behind it."""
    return CONSTANTS.rom_word * words**CONSTANTS.rom_power if words > 1 else 0.0


# ---- products


def product(
    fan_in: int,
    channels: int,
    pe: int,
    simd: int,
    input_bits: int = 1,
    style: str = "block",
    weight_bits: int = 1,
) -> Price:
    """Price a product, accumulators out; thresholds are priced apart.

    PE lanes each count the equal pairs of SIMD inputs and weights, once for each bit of an input, add the planes'
    counts up, and their sum to an accumulator. With `popcount` LUTs a plane,

        LUT = base + a PE (planes popcount + planes' adders) + b PE accumulator bits + c buffer + d address bits
            + e planes triples.

    The buffer holds two vectors in LUT memory, unless a vector is used once. Weights are in block RAM, or with style
    "distributed" in LUTs (`weights_in_luts`). Fully unrolled (PE = channels, SIMD = fan-in)
    they are constants: majorities of three inputs are shared by all channels, and each only counts its own.

    Weights of W bits are W + 1 rows of binary weights, whose accumulators are added up: an adder's LUT a bit.
    """
    if weight_bits > 1:
        planes = weight_bits + 1
        rows = product(fan_in, planes * channels, planes * pe, simd, input_bits, style)
        bits = (fan_in * ((1 << input_bits) - 1)).bit_length()
        return replace(rows, lut=rows.lut + pe * (bits + adders(weight_bits, bits + 1, 1)))
    k = CONSTANTS
    reach = (fan_in * ((1 << input_bits) - 1)).bit_length()
    planes_sum = adders(input_bits, simd.bit_length(), 1)
    words, passes = fan_in // simd, channels // pe
    if words * passes == 1:
        own = input_bits * unrolled_popcount(simd) + planes_sum
        lut = k.unrolled_count * own + k.unrolled_channel * input_bits * simd.bit_length()
        shared = k.unrolled_shared * input_bits * majorities(simd)
        return Price(channels * lut + shared, way="constant weights", kind="unrolled")
    lut = k.product_base + k.product_count * pe * (input_bits * popcount(simd) + planes_sum)
    lut += k.product_address * math.log2(words * passes)
    lut += k.product_recode * input_bits * (math.ceil(simd / 3) - (simd % 3 == 1))
    if words > 1:
        lut += k.product_accumulator * pe * reach
    buffers: tuple[Memory, ...] = ()
    if passes > 1:
        buffers = ((simd * input_bits, 2 << max(1, (words - 1).bit_length())),)
        lut += k.product_buffer * lutram(*buffers[0])
    memory = (pe * simd, words * passes)
    if style == "block":
        return replace(in_block_ram(lut, memory, WEIGHTS_IN_BLOCK_RAM, "product"), rams=buffers)
    lut += weights_in_luts(*memory)
    return Price(lut, way="weights in LUTs", kind="product", rams=buffers, roms=(memory,))


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
def popcount(inputs: int) -> int:
    """Return the LUTs that count the equal pairs of bits, as `zc_xnor_popcount` does: by triples, and by six."""
    triples = math.ceil(inputs / 3)
    groups = math.ceil(triples / 3)
    # A triple or group of one has no majority.
    twos = triples - (inputs % 3 == 1) + groups - (triples % 3 == 1)
    lut = twos + groups + _counted(groups) + _counted(twos)
    if groups > 1:
        lut += inputs.bit_length() - 1
        waits = math.ceil((triples + groups) / 6).bit_length() - math.ceil(groups / 6).bit_length()
        lut += groups.bit_length() if waits > 1 else 0  # shift registers
    return lut


@lru_cache(maxsize=4096)
def unrolled_popcount(inputs: int) -> int:
    """Return the LUTs that count a channel's majorities, as `zc_constant_popcount` does."""
    return _counted(majorities(inputs))


@lru_cache(maxsize=4096)
def majorities(inputs: int) -> int:
    """Return how many there are of three inputs, of three parities of these, and so on."""
    return 0 if inputs == 1 else math.ceil(inputs / 3) - (inputs % 3 == 1) + majorities(math.ceil(inputs / 3))


def _counted(bits: int) -> int:
    """Return the LUTs that count bits six by six, three LUTs each, and add the numbers up."""
    sixes, rest = divmod(bits, 6)
    return 3 * sixes + (0, 0, 2, 2, 3, 3)[rest] + adders(math.ceil(bits / 6), 3)


@lru_cache(maxsize=4096)
def adders(terms: int, bits: int, shift: int = 0) -> int:
    """Return the LUTs of `zc_sum`'s tree: one for each bit of the terms of an adder."""
    lut = 0
    while terms > 1:
        lut += terms // 2 * bits * (shift < bits)  # shifted past each other they are only joined
        bits, shift, terms = bits + 1 + shift, 2 * shift, (terms + 1) // 2
    return lut


def grouped_product(
    fan_in: int,
    lanes: int,
    words: int,
    simd: int,
    input_bits: int = 1,
    weight_bits: int = 1,
    style: str = "distributed",
) -> Price:
    """Price the product of a convolution in groups, whose rows of a group are all computed at once.

    Of each lane a term for each input bit, their sum and an accumulator; derived, not fitted.

    Args:
        fan_in: inputs of one output.
        lanes: outputs computed at once.
        words: of the memory of weights: one for each word of a window.
        simd: inputs of an output taken at once.
        input_bits: 1, or more for unsigned integers.
        weight_bits: 1 for -1 and +1, or more for integers.
        style: "block" or "distributed", where the weights are kept.
    """
    planes = 1 if weight_bits == 1 else weight_bits + 1
    reach = (fan_in * (2**input_bits - 1)).bit_length()
    lut = float(planes * lanes * (simd * input_bits + adders(simd, input_bits) + reach))
    if weight_bits > 1:
        lut += lanes * (reach + adders(weight_bits, reach + 1, 1))
    memory = (planes * lanes * simd, words)
    if words == 1:
        return Price(lut, way="constant weights")
    if style == "block":
        return in_block_ram(lut, memory, WEIGHTS_IN_BLOCK_RAM)
    return Price(lut + weights_in_luts(*memory), way="weights in LUTs", roms=(memory,))


# ---- crossings


def crossing_site(crossings: Sequence[int], pe: int, levels: int) -> Price:
    """Price a layer's crossings, built in the cheapest of four ways; the same way for all lanes.

    Args:
        crossings: how many each channel has. 0 (constant) costs nothing.
        pe: lanes; a divisor of the number of channels.
        levels: how many values the accumulator takes: fan_in + 1 for a popcount.

    Returns:
        The price, with `way` one of "constant", "comparators", "search", "table", "table in block RAM". Where a
        table may be built it is no higher than `table_bound`, whatever the crossings.
    """
    prices = [crossing_way(crossings, pe, levels, way) for way in ways(levels)]
    return min(prices, key=lambda price: price.lut + CONSTANTS.bram18_in_luts * price.bram18)


def ways(levels: int) -> tuple[str, ...]:
    """Return the ways to build crossings; tables of more than 4,096 entries a channel take hours to synthesise."""
    tables = ("table", "table in block RAM") if levels <= 4096 else ()
    return ("comparators", "search", *tables)


def crossing_way(counts: Sequence[int], pe: int, levels: int, way: str) -> Price:
    """Price a layer's crossings as built in a way; arguments as for `crossing_site`."""
    if not any(counts):
        return Price(0.0, way="constant", kind="crossings")
    lanes, bits = [tuple(counts[lane::pe]) for lane in range(pe)], (levels - 1).bit_length()
    if way == "table in block RAM":
        return table_in_bram(lanes, bits)
    if way == "table":
        lut = sum(table(lane, bits, levels) for lane in lanes)
    elif way == "search":
        lut = sum(binary_search(lane, bits) for lane in lanes)
    else:
        lut = sum(comparators(lane, bits) for lane in lanes)
    return Price(CONSTANTS.site_base + lut, way=way, kind="crossings")


@lru_cache(maxsize=65536)
def comparators(lane: tuple[int, ...], bits: int) -> float:
    """Return the LUTs of one comparator for each crossing, and the parity of their outcomes.

    The lane has as many comparators as its busiest channel has crossings, k; each compares `bits` bits with a
    threshold that the channel selects: LUT = bits k**power (compare + rom(channels)).
    """
    k = CONSTANTS
    return bits * max(lane) ** k.compare_power * (k.compare + rom(len(lane)))


@lru_cache(maxsize=65536)
def binary_search(lane: tuple[int, ...], bits: int) -> float:
    """Return the LUTs of a pipelined binary search among each channel's sorted crossings; the count's last
    bit decides.

    ceil(log2(k + 1)) stages for k crossings in the lane's busiest channel; stage j compares `bits` bits with one of
    channels * 2**j thresholds: LUT = bits * sum of (compare + rom(words)).
    """
    stages = range(max(lane).bit_length())
    return bits * sum(CONSTANTS.compare + rom(len(lane) << stage) for stage in stages)


@lru_cache(maxsize=65536)
def table(lane: tuple[int, ...], bits: int, levels: int) -> float:
    """Return the LUTs of the table of the lane's bits, addressed by channel and accumulator.

    Few crossings make small logic: a row of k takes r = row bits k**power LUT; rows together less than their sum,
    R = (sum of r)**rows_power. Many make it a memory, of B LUTs (`table_bound`). Between the two,

        LUT = B (1 - exp(-R / B)).
    """
    k = CONSTANTS
    rows = sum(count**k.table_power for count in lane)
    bound = table_bound(sum(count > 0 for count in lane), levels)
    return bound * -math.expm1(-k.table_row * bits * rows**k.table_rows_power / bound) if bound else 0.0


def table_bound(channels: int, levels: int) -> float:
    """Return the most LUTs that the table of so many channels of a lane can take."""
    k = CONSTANTS
    return channels * (k.table_leaf * levels / 64 + k.table_channel)


def table_in_bram(lanes: Sequence[tuple[int, ...]], bits: int) -> Price:
    """Price the tables in block RAM, one bit wide, a lane's channels side by side.

    Two lanes share a RAM by its two ports; entries are padded to 2**bits a channel; one LUT a lane for the output's
    handshake, which is derived.
    """
    memories = ((1, 2 * len(lanes[0]) << bits),) * math.ceil(sum(any(lane) for lane in lanes) / 2)
    blocks = sum(block_rams(*memory) for memory in memories)
    return Price(float(len(lanes)), blocks, way="table in block RAM", kind="crossings", blocks=memories)


# ---- images


def input_generator(width: int, depth: int) -> Price:
    """Price a generator of windows, word by word: counters and addresses, and a ring of at least `depth` words.

    LUT = base + a address bits, and the memory.
    """
    k, bits = CONSTANTS, max(1, (depth - 1).bit_length())
    return small_memory(k.generator_base + k.generator_address * bits, width, 1 << bits, "rows")


def parallel_generator(width: int, buffer_depth: int, rows: int) -> Price:
    """Price a generator that shows the whole window at once: registers, and `rows - 1` lines in one memory.

    The window's registers are flip-flops and cost no LUT.
    """
    if rows <= 1:
        return Price(CONSTANTS.whole_base, way="whole window")
    line = math.ceil(buffer_depth / (rows - 1))
    return small_memory(CONSTANTS.whole_base, (rows - 1) * width, line, "whole window, rows")


def line_buffer(width: int, depth: int) -> Price:
    """Price the buffer of a max-pool: one line of results so far, `depth` words of `width` bits.

    With windows that do not overlap, a maximum is taken as values arrive, so a line of the *output* is all there is to
    keep, where FINN's pool keeps whole input lines.
    """
    return in_lut_memory(CONSTANTS.line_base, (width, depth), LINE_BUFFER)


def max_pool(lanes: int, bits: int = 1) -> Price:
    """Price the running maximum of a max-pool: base + a lanes bits; over bits it is an OR."""
    k = CONSTANTS
    return Price(k.pool_base + k.pool_bit * bits * lanes, way="OR" if bits == 1 else "maximum")


def padding(width: int, height: int, columns: int, words: int) -> Price:
    """Price padding with bit 0: counters of rows, columns and words. The zeros are the registers' reset."""
    bits = sum(math.ceil(math.log2(size + 1)) for size in (height, columns, words))
    return Price(CONSTANTS.padding_base + CONSTANTS.padding_counter * bits, way="counters")


# ---- the rest


def label_select(labels: int, pe: int, bits: int) -> Price:
    """Price the index of the largest of `labels` values of `bits` bits, PE at a time.

    Each value but the first of a word is compared and chosen, and its index: base + (PE - 1) (a bits + index bits) +
    bits / 2 + b index bits.
    """
    k, index = CONSTANTS, math.ceil(math.log2(max(2, labels)))
    lut = k.label_base + (pe - 1) * (k.label_compare * bits + index) + bits / 2 + k.label_index * index
    return Price(lut, way="running maximum")


def width_converter(width_in: int, width_out: int) -> Price:
    """Price a change of stream width, FINN's `vpc`.

    Where the one divides the other: a LUT for each bit of a word in, and when words shrink for each bit of one out.
    Else each word in, of so many parts as both widths are multiples of, is turned to its place in a buffer that has a
    place for each part of both words: base + a places + b bits in log2(parts in).
    """
    k, common = CONSTANTS, math.gcd(width_in, width_out)
    if width_in == width_out:
        return Price(0.0, way="none")
    if common == width_in:
        return Price(k.converter_base + width_in, way="shift register")
    if common == width_out:
        return Price(k.converter_base + width_in + width_out, way="shift register")
    turned = k.converter_turn * width_in * math.log2(width_in / common)
    places = k.converter_place * (width_in + width_out) / common
    return Price(k.converter_base + places + turned, way="barrel shifter")


def fifo(depth: int, width: int) -> Price:
    """Price a FIFO of `depth` words.

    Two deep: registers, a multiplexer a bit and three LUTs of control. Deeper: LUT memory or, past 32 words and 2,048
    bits, block RAM; base + a address bits, more where words are no power of two.
    """
    k = CONSTANTS
    if depth <= 2:
        return Price(width + 3.0, way="registers")
    block = depth > 32 and depth * width > 2048
    words = depth - block  # one is in a register
    bits = (words - 1).bit_length()
    control = k.fifo_base + (k.fifo_address + k.fifo_wrap * (words != 1 << bits)) * bits
    if block:
        return in_block_ram(control + width, (width, words), "block RAM")
    return in_lut_memory(control, (width, depth), "LUT memory")


# ---- sums of levels: adders and handshakes as counted, within a few LUTs of what Yosys made of some sixty


def add(lanes: int, bits: int) -> Price:
    """Price the sum of two streams, whose sums have so many bits: an adder's LUT for each but the carry."""
    return Price(lanes * (bits - 1) + 3.0, way="adders")


def add_vector(lanes: int, bits: int, vector_bits: int, words: int) -> Price:
    """Price a vector of `words` words that is kept, twice, and added to every pixel.

    The memory is read in the cycle of its address, so that it is in LUTs however large.
    """
    width, depth = lanes * vector_bits, 2 << (words - 1).bit_length()
    banked = 0.7 * width * max(0, math.ceil(depth / 64) - 1)
    return in_lut_memory(lanes * (bits - 1) + 21.0 + banked, (width, depth), "adders, vector")


def sum_pool(lanes: int, bits: int, words: int) -> Price:
    """Price running sums of windows that do not overlap: a line of `words` words of sums so far, in LUTs."""
    logic, width = lanes * bits + 25.0, lanes * bits
    if words == 1:
        return Price(logic, way="adders")
    banked = 0.7 * width * max(0, math.ceil(words / 64) - 1)
    return in_lut_memory(logic + banked, (width, words), "adders, line buffer")


def window_sum(lanes: int, bits: int) -> Price:
    """Price the running sum of windows that come word by word."""
    return Price(lanes * bits + 9.0, way="adders")


def duplicate(readers: int) -> Price:
    """Price a fork: each further reader's handshake."""
    return Price(5.0 * (readers - 1), way="handshakes")


def planned_fifo(width: int, between: str) -> Price:
    """Price what a stream's FIFO is expected to take before FIFOs are sized.

    Args:
        width: bits of a word.
        between: "windows" (ahead of a convolution's product), "image" or "vector". Windows come in bursts and images
            with gaps, which takes deep FIFOs: shares of one of 32 words. Vectors hardly need any: a share of one of 2.
    """
    k = CONSTANTS
    share = {"windows": k.fifo_windows, "image": k.fifo_image, "vector": k.fifo_vector}[between]
    depth = 2 if between == "vector" else 32
    return Price(share * fifo(depth, width).lut, way="registers or LUT memory, where the schedule needs them")


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
