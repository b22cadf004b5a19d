"""Choose how many lanes (PE) and inputs at a time (SIMD) each layer gets."""

import math
from dataclasses import dataclass
from functools import lru_cache

from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.nodes import GroupedProduct, Product
from zerocross.finn_flows.nodes.crossing_site import comparators
from zerocross.finn_flows.nodes.node import divisors
from zerocross.finn_flows.nodes.width_converter import converter_interval

AnyProduct = Product | GroupedProduct


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


def fold_product(
    layer: str, product: AnyProduct, folding: Folding, clock_mhz: float, arriving: int | None = None
) -> AnyProduct:
    """Fold one product: the cheapest pair of PE and SIMD that meets the request.

    Args:
        layer: its name, for messages.
        product: the node, folded in any way.
        folding: what is asked for.
        clock_mhz: the clock, for `target_fps`.
        arriving: words of an image as they come; the width converter that makes the product's own of them meets
            the target too.

    Returns:
        The node, folded.

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
        return product.folded(*product.foldings[0])
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


def _explicit(layer: str, product: AnyProduct, pe: int, simd: int) -> AnyProduct:
    """Return the product with PE and SIMD as asked, if they divide the layer."""
    for asked, name, size, what in (
        (pe, "pe", product.channels, "channels"),
        (simd, "simd", product.fan_in, "inputs"),
    ):
        if asked < 1 or size % asked:
            known = ", ".join(str(d) for d in divisors(size))
            raise FoldingError(
                f"{layer}: {name} {asked} does not divide its {size} {what}; choose one of {known}"
            )
    if (pe, simd) not in product.foldings:
        assert isinstance(product, GroupedProduct)
        known = ", ".join(f"{a} and {b}" for a, b in product.foldings)
        raise FoldingError(
            f"{layer}: in {product.groups} groups, pe and simd may be {known}; not {pe} and {simd}"
        )
    return product.folded(pe, simd)


@lru_cache(maxsize=65536)
def _cheapest(
    product: AnyProduct, target: int, max_pe: int, max_simd: int, arriving: int | None
) -> AnyProduct | None:
    """Return the folding with the fewest LUTs, then the fewest block RAMs, then the fewest lanes."""
    best = None
    for pe, simd in product.foldings:
        if pe > max_pe or simd > max_simd:
            continue
        folded = product.folded(pe, simd)
        if folded.interval > target:
            continue
        if arriving is not None and converter_interval(arriving, folded.inputs["s"].words) > target:
            continue
        price = folded.price()
        # A plain threshold a channel stands for the activation, so that lanes are not taken to be free.
        lane = comparators((1,) * (product.channels // pe), (product.points - 1).bit_length())
        rank = (round(price.lut + pe * lane, 6), price.bram18, pe)
        if best is None or rank < best[0]:
            best = rank, folded
    return None if best is None else best[1]


def _out_of_reach(layer: str, product: AnyProduct, target: int, folding: Folding) -> str:
    """Say why a target cannot be met, and what would help."""
    pairs = product.foldings
    within = [(pe, simd) for pe, simd in pairs if pe <= folding.max_pe and simd <= folding.max_simd]
    pe, simd = min(within or pairs, key=lambda pair: product.folded(*pair).interval)
    best = product.folded(pe, simd).interval
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
        f"{layer}: {product.channels} channels of {product.fan_in} inputs, {math.prod(product.vectors)} times an image, "
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
