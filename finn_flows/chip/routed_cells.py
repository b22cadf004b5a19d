"""Resources of each node after place and route, from the cells of nextpnr's routed netlist.

A cell's name begins with its node's, because synthesis maps node by node. Cells that nextpnr inserts have other names:

- Where a carry chain begins or ends in logic, nextpnr adds a cell of the chain. A chain lies within a node, so the cell
  belongs to the node whose cells it is chained to.
- Constants, clock buffers and pins belong to no node.

A logic cell of an iCE40 holds a LUT and a flip-flop. It counts for the node that it is named after, the LUT's.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping

DESIGN = "accelerator"
"""Name of the design's instance in a board's top."""


def node_of(cell: str) -> str:
    """Return the node of a cell by the cell's name, or "" for cells of the top and cells that nextpnr inserted."""
    node, dot, _ = cell.removeprefix("$flatten\\").removeprefix(f"{DESIGN}.").partition(".")
    return node if dot and not node.startswith("$") else ""


def count_by_node(
    netlist: dict, types: Mapping[str, str], carry: tuple[str, ...]
) -> dict[str, dict[str, int]]:
    """Return the resources that each node uses; "" is what belongs to no node.

    Args:
        netlist: Netlist that nextpnr wrote after routing (its option --write).
        types: This project's names of resources, by patterns of cells' types; other cells are not counted.
        carry: Ports by which the cells of a carry chain are connected.
    """
    cells = max((module["cells"] for module in netlist["modules"].values()), key=len)
    nodes = {name: node_of(name) for name in cells}
    _follow_chains(cells, nodes, carry)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, cell in cells.items():
        for pattern, resource in types.items():
            if re.fullmatch(pattern, cell["type"]):
                counts[nodes[name]][resource] += 1
    return {node: dict(counted) for node, counted in counts.items()}


def _follow_chains(cells: dict, nodes: dict[str, str], carry: tuple[str, ...]) -> None:
    """Give cells without a node that of the carry chain which they are part of."""
    chained: dict[int, list[str]] = defaultdict(list)
    for name, cell in cells.items():
        for port in carry:
            for net in cell["connections"].get(port, ()):
                if isinstance(net, int):  # no constant
                    chained[net].append(name)
    neighbours: dict[str, set[str]] = defaultdict(set)
    for names in chained.values():
        for name in names:
            neighbours[name].update(names)
    reached = [name for name in neighbours if nodes[name]]
    while reached:
        name = reached.pop()
        for other in neighbours[name]:
            if not nodes[other]:
                nodes[other] = nodes[name]
                reached.append(other)
