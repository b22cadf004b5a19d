"""Where the weights of products are kept: in block RAM or in LUTs, by what each costs on a part.

What a memory costs in LUTs was measured with Yosys 0.70 (`chip.synthesis`) on memories of random bits, 16 bits wide,
whose word goes to a register. LUTs for each bit of the word, by depth:

    depth                  8    16    32    64   128   256   512   1024
    7-series, UltraScale+  0.9   1     1     1     2     4    9.3   22.5
    ECP5                   1     1     4    9.2   19    36    66    120
    iCE40                  0.9   1    3.8   9.1   19    35    66    121
    Gowin                  1     1    4.1   9.6   19    36    67    121

That is a LUT6 for every 64 bits and multiplexers past 256 words, and a LUT4 for every 16 words or, deeper, 0.13 LUT4 a
bit: the multiplexers take as much as the bits. Trained weights are no less random than these.
"""

import math
from collections.abc import Mapping

from finn_flows.errors import FlowError
from finn_flows.parts import Part
from finn_flows.rtl.nodes import Product

_SHAPES_18 = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
_SHAPES_4 = ((16, 256), (8, 512), (4, 1024), (2, 2048))  # iCE40


class UnknownLayer(FlowError):
    """A choice for a layer that has no weights; the message names those that have."""


def choose_ram_styles(
    products: Mapping[str, Product],
    part: Part,
    overrides: Mapping[str, str] | None = None,
    taken_kbit: int = 0,
) -> dict[str, str]:
    """Choose where each product keeps its weights.

    Block RAM goes to the deepest memories first, while the part has it, and only where it saves LUTs: a block is
    worth as many LUTs as the part has for each block.

    Args:
        products: by layer.
        part: what is to be filled.
        overrides: "block" or "distributed" by layer, whatever it costs.
        taken_kbit: block RAM that others take.

    Returns:
        "block" or "distributed" for each product by layer; "constants" for those that have one word, which no
        memory holds.

    Raises:
        UnknownLayer: if a choice is made for a layer that is not there.
    """
    overrides = overrides or {}
    if unknown := sorted(set(overrides) - set(products)):
        raise UnknownLayer(
            f"no weights in {', '.join(unknown)}: layers with weights are {', '.join(products)}"
        )
    left = 18 * part.bram18 - taken_kbit
    lut_per_kbit = part.luts / max(1, 18 * part.bram18)
    styles = {}
    for name in sorted(products, key=lambda name: (name not in overrides, -products[name].interval)):
        width, depth = products[name].pe * products[name].simd, products[name].interval
        kbit = block_ram_kbit(width, depth, part.family)
        if depth == 1:
            styles[name] = "constants"
        elif name in overrides:
            styles[name] = overrides[name]
        else:
            saves = rom_luts(width, depth, part.lut_inputs) > kbit * lut_per_kbit
            styles[name] = "block" if saves and kbit <= left else "distributed"
        left -= kbit if styles[name] == "block" else 0
    return {name: styles[name] for name in products}


def block_ram_kbit(width: int, depth: int, family: str) -> int:
    """Return the capacity of the block RAMs that a memory takes, in the best of the shapes a family's RAMs have."""
    kbit, shapes = (4, _SHAPES_4) if family == "ice40" else (18, _SHAPES_18)
    return kbit * min(math.ceil(width / bits) * math.ceil(depth / words) for bits, words in shapes)


def rom_luts(width: int, depth: int, lut_inputs: int) -> float:
    """Return the LUTs that hold a memory which is only read; fitted to the table above, within 15%."""
    if lut_inputs == 6:
        return width * math.ceil(depth / 64) * (1 if depth <= 256 else 1.3)
    return width * (1 if depth <= 16 else 0.135 * depth)
