"""What each element of a design is expected to cost: FINN's estimate and this project's, side by side."""

from collections.abc import Sequence

from finn_flows import graph
from finn_flows.cost import NodeCost, Resources, node_cost
from finn_flows.parts import Part
from finn_flows.rtl import nodes
from finn_flows.rtl.design import Design, Element
from finn_flows.rtl.stream_nodes import Fifo


def estimates(design: Design, plan: Sequence[graph.Node], part: Part) -> dict[str, NodeCost]:
    """Return each element's estimate by name, on a part.

    An element that stands for several nodes of the plan has their sum; converters and FIFOs are priced as they
    are in the design.
    """
    planned = {node.name: node for node in plan}
    return {element.name: _estimate(design, element, planned, part) for element in design.elements}


def _estimate(design: Design, element: Element, planned: dict[str, graph.Node], part: Part) -> NodeCost:
    parts = [planned[name] for name in element.planned] or [_between(design, element)]
    costs = [node_cost(node, part) for node in parts]
    main = costs[-1]
    return NodeCost(
        node=element.name,
        layer=element.layer,
        op_type=main.op_type,
        pe=main.pe,
        simd=main.simd,
        cycles=max(cost.cycles for cost in costs),
        finn=sum((cost.finn for cost in costs), Resources()),
        zerocross=sum((cost.zerocross for cost in costs), Resources()),
        way=main.way,
    )


def _between(design: Design, element: Element) -> graph.Node:
    """Describe a converter or FIFO as the plan would."""
    source = _stream(design.streams[element.sources[0]])
    if element.kind == "converter":
        return graph.converter(element.layer, source, _stream(design.streams[element.name, "m"]))
    assert isinstance(element.node, Fifo)
    return graph.fifo(element.layer, source, depth=max(graph.DEFAULT_FIFO_DEPTH, element.node.depth))


def _stream(stream: nodes.Stream) -> graph.Stream:
    datatype = "BINARY" if stream.bits == 1 else f"{'INT' if stream.signed else 'UINT'}{stream.bits}"
    return graph.Stream((1, stream.elements), stream.lanes, datatype)
