"""The choice of each layer's folding: its lanes (PE) and inputs read at once (SIMD)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.nodes import GroupedProduct, Product
from zerocross.finn_flows.nodes.crossing_site import comparators
from zerocross.finn_flows.nodes.node import divisors
from zerocross.finn_flows.nodes.width_converter import converter_interval

AnyProduct = Product | GroupedProduct


class FoldingError(FlowError):
    """A layer cannot be folded as requested; the message names the layer, the best possible folding and the remedy.

    Attributes:
        problem: The message without its remedy, for callers that name options of their own.
        cycles: Least target in cycles per image that the layer can meet; None if no target was missed.
    """

    def __init__(self, problem: str, remedy: str = "", cycles: int | None = None) -> None:
        super().__init__(f"{problem}. {remedy}" if remedy else problem)
        self.problem, self.cycles = problem, cycles


@dataclass(frozen=True)
class Folding:
    """A request for a folding: a rate, or explicit PE and SIMD.

    Give one of `target_cycles` and `target_fps`, or both `pe` and `simd`. Without any of them, layers are fully folded
    (PE = SIMD = 1).

    Attributes:
        target_cycles: Most clock cycles per image of any node.
        target_fps: Least number of images per second at the clock of the estimate.
        pe: Lanes of every product.
        simd: Inputs read at once by every product.
        layers: (layer name, PE, SIMD) of layers that differ from the rest.
        max_pe: Most lanes of a product if a target is given, 1 or more.
        max_simd: Most inputs read at once by a product if a target is given, 1 or more.
        registers: Registers of sparse layers in a row: behind every n-th one; 0 for none. Fewer registers shorten the
            latency and lower the clock.
    """

    target_cycles: int | None = None
    target_fps: float | None = None
    pe: int | None = None
    simd: int | None = None
    layers: tuple[tuple[str, int, int], ...] = ()
    max_pe: int = 64
    max_simd: int = 64
    registers: int = 1

    def __post_init__(self) -> None:
        """Raise a `FoldingError` for contradictory requests."""
        rates = [rate for rate in (self.target_cycles, self.target_fps) if rate is not None]
        if len(rates) + (self.pe is not None or self.simd is not None) > 1:
            raise FoldingError("give only one of target_cycles, target_fps, or pe with simd")
        if (self.pe is None) != (self.simd is None):
            raise FoldingError("give both of pe and simd, or neither")
        numbers = (*rates, self.max_pe, self.max_simd, *(x for x in (self.pe, self.simd) if x is not None))
        if any(number <= 0 for number in numbers):
            raise FoldingError("targets, pe, simd, max_pe and max_simd must be greater than 0")
        if self.registers < 0:
            raise FoldingError(
                "registers must be 0 (none) or more: a register behind every n-th sparse layer"
            )

    def cycles(self, clock_mhz: float) -> int | None:
        """Return the most cycles per image at a clock, or None if no rate is requested."""
        if self.target_fps is not None:
            return max(1, math.floor(clock_mhz * 1e6 / self.target_fps))
        return self.target_cycles


def fold_product(
    layer: str, product: AnyProduct, folding: Folding, clock_mhz: float, arriving: int | None = None
) -> AnyProduct:
    """Fold one product with the cheapest pair of PE and SIMD that meets the request.

    Args:
        layer: Name of the layer, for messages.
        product: Node with any folding.
        folding: Requested folding.
        clock_mhz: Clock in MHz, for `target_fps`.
        arriving: Words per image of the stream that the product reads. If given, the width converter between the stream
            and the product must meet the target too.

    Returns:
        The folded node.

    Raises:
        FoldingError: If an explicit number does not divide the layer, or no pair within the limits meets the target.
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
        least = min(max(interval, words) for interval, words in _intervals(product, folding, arriving))
        raise FoldingError(
            f"{layer}: its inputs arrive in {arriving} words, and no simd within max_pe {folding.max_pe} and max_simd "
            f"{folding.max_simd} reads them in {target} cycles; the fastest needs {least}",
            f"Allow {least} cycles, raise max_pe or max_simd, or choose sizes with more common divisors",
            least,
        )
    if chosen is None:
        raise _out_of_reach(layer, product, target, folding)
    return chosen


def _within(product: AnyProduct, folding: Folding) -> list[tuple[int, int]]:
    """Return the foldings within the limits; all of them if there is none."""
    pairs = list(product.foldings)
    return [(pe, simd) for pe, simd in pairs if pe <= folding.max_pe and simd <= folding.max_simd] or pairs


def _intervals(product: AnyProduct, folding: Folding, arriving: int) -> Iterator[tuple[int, int]]:
    """Yield each folding's cycles per image, and those of the width converter ahead of it."""
    for pair in _within(product, folding):
        folded = product.folded(*pair)
        yield folded.interval, converter_interval(arriving, folded.inputs["s"].words)


def _explicit(layer: str, product: AnyProduct, pe: int, simd: int) -> AnyProduct:
    """Return the product with given PE and SIMD, if they divide the layer."""
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
            f"{layer}: pe {pe} and simd {simd} do not fit {product.groups} groups; choose pe and simd {known}"
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
        # One threshold per channel represents the activation, so that lanes have a cost beyond the product's.
        lane = comparators((product.points - 1).bit_length(), product.channels // pe)
        rank = (round(price.lut + pe * lane, 6), price.bram18, pe)
        if best is None or rank < best[0]:
            best = rank, folded
    return None if best is None else best[1]


def _out_of_reach(layer: str, product: AnyProduct, target: int, folding: Folding) -> FoldingError:
    """Return the error that a target cannot be met, with the reasons and remedies."""
    pe, simd = min(_within(product, folding), key=lambda pair: product.folded(*pair).interval)
    best = product.folded(pe, simd).interval
    reasons = [
        f"the largest divisor of {size} {what} up to {limit} is {most}"
        for what, size, limit, most in (
            ("channels", product.channels, folding.max_pe, pe),
            ("inputs", product.fan_in, folding.max_simd, simd),
        )
        if most < min(size, limit)
    ]
    limits = f"max_pe is {folding.max_pe} and max_simd is {folding.max_simd}"
    return FoldingError(
        f"{layer}: {product.channels} channels of {product.fan_in} inputs, {math.prod(product.vectors)} times per image, "
        f"need at least {best} cycles (pe {pe}, simd {simd}), but the target is {target}; "
        f"{'; '.join(reasons) or limits}",
        f"Allow {best} cycles, raise max_pe or max_simd, or choose sizes with more divisors",
        best,
    )


def fold_stream(channels: int, cycles_at: dict[int, int], target: int) -> int:
    """Return the fewest lanes with which a node other than a product meets the target.

    Args:
        channels: Channels of a pixel.
        cycles_at: Cycles per image of the node for each divisor of `channels`.
        target: Most cycles per image.

    Returns:
        The smallest divisor that meets the target, or all channels if none does.
    """
    return min((lanes for lanes, cycles in cycles_at.items() if cycles <= target), default=channels)
