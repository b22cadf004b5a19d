"""Where the weights of products are kept: in block RAM or in LUTs, by what each costs on a part.

What weights cost in LUTs is `cost_model.weights_in_luts`.
"""

from collections.abc import Mapping

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.nodes import GroupedProduct, Product
from zerocross.finn_flows.parts import Part


class UnknownLayer(FlowError):
    """A choice for a layer that has no weights; the message names those that have."""


def choose_ram_styles(
    products: Mapping[str, Product | GroupedProduct],
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
    left = part.bram_kbit - taken_kbit
    lut_per_kbit = part.luts / max(1, part.bram_kbit)
    styles = {}
    for name in sorted(products, key=lambda name: (name not in overrides, -products[name].folds)):
        width, depth = products[name].memory
        kbit = part.block_kbit * cost_model.block_rams(width, depth, part.family)
        if depth == 1:
            styles[name] = "constants"
        elif name in overrides:
            styles[name] = overrides[name]
        else:
            saves = cost_model.weights_in_luts(width, depth, part.lut_inputs) > kbit * lut_per_kbit
            styles[name] = "block" if saves and kbit <= left else "distributed"
        left -= kbit if styles[name] == "block" else 0
    return {name: styles[name] for name in products}
