"""Choose how many lanes (PE) and inputs at a time (SIMD) each layer gets."""

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

from zerocross.finn_flows import structural
from zerocross.finn_flows.accumulators import accumulator_range
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.schedule import converter_interval


class FoldingError(FlowError):
    """A layer cannot be folded as asked; the message names the layer, the best there is, and the remedy."""


@dataclass(frozen=True)
class Folding:
    """What is asked of the folding: a rate, or explicit numbers of lanes.

    One of `target_cycles` and `target_fps`, or both of `pe` and `simd`; neither means fully folded (PE = SIMD
    = 1).

    Attributes:
        target_cycles: the most clock cycles that any node may take for an image.
        target_fps: the least images a second; the clock is the estimate's.
        pe: lanes of every product.
        simd: inputs at a time of every product.
        layers: (layer name, PE, SIMD) for layers that differ from the rest.
        max_pe: the most lanes a product gets when a target is given, 1 or more.
        max_simd: the most inputs at a time it gets, 1 or more.
    """

    target_cycles: int | None = None
    target_fps: float | None = None
    pe: int | None = None
    simd: int | None = None
    layers: tuple[tuple[str, int, int], ...] = ()
    max_pe: int = 64
    max_simd: int = 64

    def __post_init__(self) -> None:
        """Refuse requests that contradict themselves."""
        rates = [rate for rate in (self.target_cycles, self.target_fps) if rate is not None]
        if len(rates) + (self.pe is not None or self.simd is not None) > 1:
            raise FoldingError("give one of target_cycles, target_fps, or pe with simd; not several")
        if (self.pe is None) != (self.simd is None):
            raise FoldingError("pe and simd are given together, or neither is")
        numbers = (*rates, self.max_pe, self.max_simd, *(x for x in (self.pe, self.simd) if x is not None))
        if any(number <= 0 for number in numbers):
            raise FoldingError("targets, pe, simd, max_pe and max_simd are all greater than 0")

    def cycles(self, clock_mhz: float) -> int | None:
        """Return the most cycles an image may take at a clock, or None if no rate is asked for."""
        if self.target_fps is not None:
            return max(1, math.floor(clock_mhz * 1e6 / self.target_fps))
        return self.target_cycles


@dataclass(frozen=True)
class Product:
    """A matrix product, as folding sees it.

    Attributes:
        fan_in: inputs of one output; SIMD divides it.
        channels: outputs; PE divides it.
        vectors: input vectors of an image: 1, or the pixels of a convolution's output.
        input_bits: 1, or more for unsigned integers.
        weight_bits: 1 for -1 and +1, or more for integers.
        groups: of the channels. All outputs of a group are computed at once, of several groups where SIMD takes all
            inputs of a pixel.
        area: pixels of a window.
    """

    fan_in: int
    channels: int
    vectors: int
    input_bits: int
    weight_bits: int = 1
    groups: int = 1
    area: int = 1

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """All there are of PE and SIMD, smallest PE first."""
        if self.groups == 1:
            return tuple(itertools.product(divisors(self.channels), divisors(self.fan_in)))
        outs, ins = self.channels // self.groups, self.fan_in // self.area
        slow = [(outs, simd) for simd in divisors(ins)]
        return (*slow, *((outs * groups, ins) for groups in divisors(self.groups)[1:]))

    def cycles(self, pe: int, simd: int) -> int:
        """Return the cycles an image takes with so many lanes and inputs at a time."""
        return self.vectors * (self.channels // pe) * (self.fan_in // simd)

    def words(self, pe: int, simd: int) -> int:
        """Return the words of an image that it reads, so many inputs at a time."""
        return self.vectors * self.fan_in // simd * (1 if self.groups == 1 else self.channels // pe)

    def price(self, pe: int, simd: int) -> structural.Price:
        """Return this project's price of the product, without its activation."""
        if self.groups > 1:
            words = self.words(pe, simd) // self.vectors
            return structural.grouped_product(self.fan_in, pe, words, simd, self.input_bits, self.weight_bits)
        return structural.product(
            self.fan_in, self.channels, pe, simd, self.input_bits, weight_bits=self.weight_bits
        )

    @property
    def levels(self) -> int:
        """How many values the accumulators that leave it may take, which count from 0."""
        low, high = accumulator_range(self.fan_in, self.input_bits, self.weight_bits)
        return (high if self.weight_bits == 1 else high - low if self.input_bits == 1 else high) + 1


@lru_cache(maxsize=4096)
def divisors(number: int) -> tuple[int, ...]:
    """Return the divisors of a number, smallest first."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return tuple(small + [number // d for d in reversed(small) if d * d != number])


def fold_product(
    layer: str, product: Product, folding: Folding, clock_mhz: float, arriving: int | None = None
) -> tuple[int, int]:
    """Choose PE and SIMD of one product: the cheapest pair that meets the request.

    Args:
        layer: its name, for messages.
        product: its sizes.
        folding: what is asked for.
        clock_mhz: the clock, for `target_fps`.
        arriving: words of an image as they come; the width converter that makes the product's own of them meets
            the target too.

    Returns:
        (PE, SIMD).

    Raises:
        FoldingError: if an explicit number does not divide, or no pair within the limits meets the target.
    """
    explicit = {name: (pe, simd) for name, pe, simd in folding.layers}.get(layer)
    if explicit is None and folding.pe is not None and folding.simd is not None:
        explicit = folding.pe, folding.simd
    if explicit is not None:
        return _explicit(layer, product, *explicit)
    target = folding.cycles(clock_mhz)
    if target is None:
        return product.pairs[0]
    chosen = _cheapest(product, target, folding.max_pe, folding.max_simd, arriving)
    if chosen is None and arriving is not None:
        raise FoldingError(
            f"{layer}: its inputs come in {arriving} words, and within max_pe {folding.max_pe} and max_simd "
            f"{folding.max_simd} no simd takes them in {target} cycles; raise these, allow more cycles, or choose "
            "sizes with more divisors in common"
        )
    if chosen is None:
        raise FoldingError(_out_of_reach(layer, product, target, folding))
    return chosen


def _explicit(layer: str, product: Product, pe: int, simd: int) -> tuple[int, int]:
    """Return PE and SIMD as asked, if they divide the layer."""
    for asked, name, size, what in (
        (pe, "pe", product.channels, "channels"),
        (simd, "simd", product.fan_in, "inputs"),
    ):
        if asked < 1 or size % asked:
            known = ", ".join(str(d) for d in divisors(size))
            raise FoldingError(
                f"{layer}: {name} {asked} does not divide its {size} {what}; choose one of {known}"
            )
    if (pe, simd) not in product.pairs:
        known = ", ".join(f"{a} and {b}" for a, b in product.pairs)
        raise FoldingError(
            f"{layer}: in {product.groups} groups, pe and simd may be {known}; not {pe} and {simd}"
        )
    return pe, simd


@lru_cache(maxsize=65536)
def _cheapest(
    product: Product, target: int, max_pe: int, max_simd: int, arriving: int | None
) -> tuple[int, int] | None:
    """Return the pair with the fewest LUTs, then the fewest block RAMs, then the fewest lanes."""
    best = None
    for pe, simd in product.pairs:
        if pe > max_pe or simd > max_simd or product.cycles(pe, simd) > target:
            continue
        if arriving is not None and converter_interval(arriving, product.words(pe, simd)) > target:
            continue
        price = product.price(pe, simd)
        # A plain threshold a channel stands for the activation, so that lanes are not taken to be free.
        lane = structural.comparators((1,) * (product.channels // pe), (product.levels - 1).bit_length())
        rank = (round(price.lut + pe * lane, 6), price.bram18, pe)
        if best is None or rank < best[0]:
            best = rank, (pe, simd)
    return None if best is None else best[1]


def _out_of_reach(layer: str, product: Product, target: int, folding: Folding) -> str:
    """Say why a target cannot be met, and what would help."""
    within = [(pe, simd) for pe, simd in product.pairs if pe <= folding.max_pe and simd <= folding.max_simd]
    pe, simd = min(within or product.pairs, key=lambda pair: product.cycles(*pair))
    best = product.cycles(pe, simd)
    reasons = [
        f"{what} {size} has no divisor up to {limit} but {'1' if most == 1 else f'those up to {most}'}"
        for what, size, limit, most in (
            ("width", product.channels, folding.max_pe, pe),
            ("fan-in", product.fan_in, folding.max_simd, simd),
        )
        if most < min(size, limit)
    ]
    limits = f"the limits are max_pe {folding.max_pe} and max_simd {folding.max_simd}"
    return (
        f"{layer}: {product.channels} channels of {product.fan_in} inputs, {product.vectors} times an image, "
        f"need at least {best} cycles (pe {pe}, simd {simd}), and {target} were asked for; "
        f"{'; '.join(reasons) or limits}. "
        f"Allow {best} cycles, raise max_pe or max_simd, or choose sizes with more divisors"
    )


def fold_stream(channels: int, cycles_at: dict[int, int], target: int) -> int:
    """Return the fewest channels at a time with which a node other than a product keeps up.

    Args:
        channels: a pixel's channels.
        cycles_at: the node's cycles an image, for each divisor of `channels`.
        target: cycles that the node may take.

    Returns:
        The smallest divisor that meets the target; all channels at once if none does.
    """
    return min((lanes for lanes, cycles in cycles_at.items() if cycles <= target), default=channels)
