"""Lanes that nothing reads, which synthesis removes.

A crossing site reads a lane only if one of the lane's channels can change. If all channels of a lane are constant,
synthesis removes the lane of the product in front, with its popcounts and its accumulator. A constant channel beside
others on its lane saves only its own crossings.
"""

from dataclasses import replace

from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes import CrossingSite, Fifo, Product
from zerocross.finn_flows.nodes.node import HardwareNode
from zerocross.finn_flows.rtl.design import Design


def unread_lanes(design: Design) -> dict[str, int]:
    """Return the number of lanes that nothing reads, by the name of the product, for a design or a plan."""
    nodes = {element.name: element.node for element in design.elements}
    readers: dict[str, list[str]] = {}
    for element in design.elements:
        for name, _ in element.sources:
            readers.setdefault(name, []).append(element.name)

    def reader(name: str) -> HardwareNode | None:
        found = readers.get(name, [])
        if len(found) != 1:
            return None
        node = nodes[found[0]]
        return reader(found[0]) if isinstance(node, Fifo) else node

    unread = {}
    for name, node in nodes.items():
        site = reader(name) if isinstance(node, Product) else None
        if isinstance(site, CrossingSite):
            unread[name] = site.source.lanes - len(read_lanes(site))
    return {name: count for name, count in unread.items() if count}


def read_lanes(site: CrossingSite) -> list[int]:
    """Return the lanes of accumulators that have a channel with crossings."""
    rows, lanes = site.crossings, site.source.lanes
    live = [any(rows[row : row + site.bits]) for row in range(0, len(rows), site.bits)]
    return [lane for lane in range(lanes) if any(live[lane::lanes])]


def remaining_price(node: HardwareNode, unread: int) -> Price:
    """Price a node without lanes that nothing reads.

    At least one lane is priced. The block RAMs are those of all lanes: most of them also hold weights of lanes that remain.
    """
    price = node.price()
    if not unread or not isinstance(node, Product):
        return price
    left = max(1, node.pe - unread)
    smaller = replace(node, pe=left, channels=node.channels // node.pe * left, weights=None).price()
    return replace(smaller, bram18=price.bram18, blocks=price.blocks)
