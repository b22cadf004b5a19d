"""The choice of memory for the weights of products: block RAM, as a search assumes, or LUTs.

`cost_model.weights_in_luts` estimates the cost in LUTs.
"""

from collections.abc import Mapping

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.nodes import GroupedProduct, Product
from zerocross.finn_flows.parts import Part

_WORTH = 16 / 18
"""LUTs that a kbit of block RAM must save: 16 for a block of 18 kbit. Weights of two words are hardly worth one."""


class UnknownLayer(FlowError):
    """A memory was chosen for a layer without weights; the message lists the layers with weights."""


def choose_ram_styles(
    products: Mapping[str, Product | GroupedProduct],
    part: Part,
    overrides: Mapping[str, str] | None = None,
    taken_kbit: float = 0,
) -> dict[str, str]:
    """Choose the memory of each product's weights.

    The deepest memories get block RAM first, as long as the part has any left. Block RAM that stays unused helps nobody, so
    a memory gets it if this saves more than a few LUTs.

    Args:
        products: Products by layer.
        part: Part of the design.
        overrides: "block" or "distributed" by layer, regardless of the cost.
        taken_kbit: Block RAM in kbit that other nodes use, or that is reserved.

    Returns:
        "block" or "distributed" for each product by layer; "constants" for weights of one word, which need no memory.

    Raises:
        UnknownLayer: If `overrides` names a layer without weights.
    """
    overrides = overrides or {}
    if unknown := sorted(set(overrides) - set(products)):
        layers = f"layers with weights are {', '.join(products)}" if products else "no layer has any"
        raise UnknownLayer(f"--weights {unknown[0]}: no weights in a memory: {layers}")
    left = part.bram_kbit - taken_kbit
    styles = {}
    for name in sorted(products, key=lambda name: (name not in overrides, -products[name].folds)):
        width, depth = products[name].memory
        kbit = part.block_kbit * cost_model.block_rams(width, depth, part.family)
        if depth == 1:
            styles[name] = "constants"
        elif name in overrides:
            styles[name] = overrides[name]
        else:
            saves = cost_model.weights_in_luts(width, depth, part.lut_inputs) > _WORTH * kbit
            styles[name] = "block" if saves and kbit <= left else "distributed"
        left -= kbit if styles[name] == "block" else 0
    return {name: styles[name] for name in products}
