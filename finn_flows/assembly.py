"""Assembly of a plan and an integer network to a design: attaches the numbers and chooses memories and implementations."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from zerocross.finn_flows import network
from zerocross.finn_flows.integer import IntegerNetwork, each_row
from zerocross.finn_flows.network import Grid
from zerocross.finn_flows.nodes import Bias, CrossingSite, GroupedProduct, Product, Wired, WiredCount
from zerocross.finn_flows.nodes.node import HardwareNode
from zerocross.finn_flows.rtl.design import Design


@dataclass(frozen=True)
class Styles:
    """Choices of memories and implementations that differ from the plan.

    Attributes:
        weights: Memory of a product's weights, "block" or "distributed", by layer.
        implementations: Implementation of an activation, one of `crossing_site.IMPLEMENTATIONS`, by layer.
        table_inputs: Inputs of the part's lookup tables, for sparse layers.
    """

    weights: Mapping[str, str] = field(default_factory=dict)
    implementations: Mapping[str, str] = field(default_factory=dict)
    table_inputs: int = 6


def assemble(plan: Design, net: IntegerNetwork, styles: Styles | None = None) -> Design:
    """Attach a network's numbers to its plan.

    Args:
        plan: Plan of the network's layers, from `planner.plan`.
        net: Network with its numbers.
        styles: Memories and implementations that differ from the plan.
    """
    styles = styles or Styles()
    products: dict[str, Product | GroupedProduct] = {}
    elements = []
    for element in plan.elements:
        node: HardwareNode = element.node
        match node:
            case Product() | GroupedProduct():
                node = products[element.layer] = _product(element.layer, node, net, styles)
            case CrossingSite():
                node = _crossings(element.layer, node, net, products, styles)
            case Bias():
                node = _bias(element.layer, node, net)
            case Wired():
                weights = net.weights[net.network.producers()[element.layer]]
                node = replace(node, table_inputs=styles.table_inputs).with_numbers(
                    weights, net.tables[element.layer]
                )
            case WiredCount():
                node = replace(node, weights=net.weights[element.layer])
        elements.append(replace(element, node=node))
    return Design(plan.input, tuple(elements))


def _product(
    layer: str, node: Product | GroupedProduct, net: IntegerNetwork, styles: Styles
) -> Product | GroupedProduct:
    weights, style = net.weights[layer], styles.weights.get(layer, node.ram_style)
    if isinstance(node, Product):
        return replace(node, weights=weights.reshape(len(weights), -1), ram_style=style)
    return replace(node, weights=weights.reshape(len(weights), node.area, -1), ram_style=style)


def _bias(layer: str, node: Bias, net: IntegerNetwork) -> Bias:
    biases, factors = net.biases[layer], net.factors.get(layer)
    (found,) = (each for each in net.network.layers if each.name == layer)
    assert isinstance(found.operation, network.Bias)
    source = net.network.inputs()[found.inputs[0]]
    is_sparse = isinstance(source, network.Layer) and isinstance(source.operation, network.Sparse)
    if node.has_factors and factors is not None and (is_sparse or node.shift > found.operation.shift):
        # The node reads popcounts p of accumulators a = 2 p + low, and doubles them by its shift, or it reads a - low.
        low = net.network.grids()[found.inputs[0]].low
        biases = biases + (factors * low << found.operation.shift)
    return replace(node, biases=biases, factors=factors)


def _crossings(
    layer: str,
    node: CrossingSite,
    net: IntegerNetwork,
    products: Mapping[str, Product | GroupedProduct],
    styles: Styles,
) -> CrossingSite:
    table, product = net.tables[layer], products.get(net.network.producers()[layer])
    if product is not None and (product.input_bits > 1 or product.weight_bits > 1):
        # The product's accumulators count from 0 in every channel; the crossings absorb the offset.
        offsets = each_row(product.row_offsets, net.network, layer, table.channels)
        table = table.moved(Grid(0, product.reach), -offsets)
    implementation = styles.implementations.get(layer, node.implementation)
    return replace(node.with_table(table), implementation=implementation)
