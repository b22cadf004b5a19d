"""What each element of a design is expected to cost: FINN's estimate and this project's, side by side."""

import math
from collections.abc import Sequence
from typing import Any

from zerocross.finn_flows import structural
from zerocross.finn_flows.cost import NodeCost, Resources, node_cost, on_part
from zerocross.finn_flows.parts import Part
from zerocross.finn_flows.plan import DEFAULT_FIFO_DEPTH, Node, Stream, converter, fifo
from zerocross.finn_flows.rtl import nodes, stream_nodes, sum_nodes
from zerocross.finn_flows.rtl.design import Design, Element
from zerocross.finn_flows.rtl.grouped_nodes import GroupedProduct
from zerocross.finn_flows.structural import Price

Unit = tuple[str, dict[str, Any]]
"""A function of `structural`, by name, and its arguments."""


def estimates(design: Design, plan: Sequence[Node], part: Part) -> dict[str, NodeCost]:
    """Return each element's estimate by name, on a part.

    This project's prices are of what is built: weights where the design keeps them, FIFOs as deep as they are.
    FINN's are of the planned nodes that an element stands for, added up.
    """
    planned = {node.name: node for node in plan}
    return {element.name: _estimate(design, element, planned, part) for element in design.elements}


def _estimate(design: Design, element: Element, planned: dict[str, Node], part: Part) -> NodeCost:
    parts = [planned[name] for name in element.planned] or [_between(design, element)]
    costs = [node_cost(node, part) for node in parts]
    main, built = costs[-1], price(element.node)
    return NodeCost(
        node=element.name,
        layer=element.layer,
        op_type=main.op_type,
        pe=main.pe,
        simd=main.simd,
        cycles=max(cost.cycles for cost in costs),
        finn=sum((cost.finn for cost in costs), Resources()),
        zerocross=on_part(built, part),
        way=built.way,
    )


def price(node: nodes.HardwareNode) -> Price:
    """Return a node's price, as it is built."""
    return structural.total([getattr(structural, name)(**arguments) for name, arguments in units(node)])


def units(node: nodes.HardwareNode) -> list[Unit]:
    """Return what a node is made of, as `structural` prices it; nothing for nodes that it has no price for."""
    match node:
        case nodes.Product():
            sizes = {"fan_in": node.fan_in, "channels": node.channels, "pe": node.pe, "simd": node.simd}
            style: dict[str, Any] = {"input_bits": node.input_bits, "style": node.ram_style}
            if node.weight_bits > 1:
                style["weight_bits"] = node.weight_bits
            return [("product", sizes | style)]
        case GroupedProduct():
            sizes = {"fan_in": math.prod(node.weights.shape[1:]), "lanes": node.outputs["m"].lanes}
            style = {"input_bits": node.input_bits, "weight_bits": node.weight_bits, "style": node.ram_style}
            return [("grouped_product", sizes | {"words": node.interval, "simd": node.simd} | style)]
        case nodes.Crossings():
            way = "table in block RAM" if node.ram_style == "block" and node.way == "table" else node.way
            counts = tuple(int(count) for count in node.table.counts())
            lanes = {"pe": node.pe * node.bits, "levels": len(node.table.grid)}
            return [("crossing_way", {"counts": counts, "way": way} | lanes)]
        case nodes.MaxPool():
            slots = math.prod(node.output_shape[1:]) // node.pe
            lanes = {"lanes": node.pe, "bits": node.bits}
            return [("line_buffer", {"width": node.pe * node.bits, "depth": slots}), ("max_pool", lanes)]
        case nodes.LabelSelect():
            return [("label_select", {"labels": node.labels, "pe": node.pe, "bits": node.bits})]
        case stream_nodes.Padding():
            height, width, channels = node.output_shape
            size = {"width": node.inputs["s"].width, "height": height, "columns": width}
            return [("padding", size | {"words": channels // node.simd})]
        case stream_nodes.InputGenerator():
            width = node.inputs["s"].width
            if node.at_once:
                (rows, columns), line = node.kernel, node.shape[1]
                depth = ((rows - 1) * line + columns) * node.folds
                return [("parallel_generator", {"width": width, "buffer_depth": depth, "rows": rows})]
            return [("input_generator", {"width": width, "depth": node.windows.places})]
        case sum_nodes.Duplicate():
            return [("duplicate", {"readers": 2})]
        case sum_nodes.Add():
            return [("add", {"lanes": node.a.lanes, "bits": node.outputs["m"].bits})]
        case sum_nodes.AddVector():
            widths = {"bits": node.outputs["m"].bits, "vector_bits": node.vector.bits}
            return [("add_vector", {"lanes": node.vector.lanes, "words": node.vector.words} | widths)]
        case sum_nodes.SumPool():
            return [
                ("sum_pool", {"lanes": node.pe, "bits": node.outputs["m"].bits, "words": node.slots}),
            ]
        case sum_nodes.WindowSumPool():
            return [("window_sum", {"lanes": node.pe, "bits": node.outputs["m"].bits})]
        case stream_nodes.WindowMaxPool():
            return [("max_pool", {"lanes": node.pe, "bits": node.bits})]
        case stream_nodes.WidthConverter():
            widths = {"width_in": node.stream.width, "width_out": node.outputs["m"].width}
            return [("width_converter", widths)]
        case stream_nodes.Fifo():
            return [("fifo", {"depth": max(2, node.depth), "width": node.stream.width})]
    return []


def _between(design: Design, element: Element) -> Node:
    """Describe a converter or FIFO as the plan would."""
    source = _stream(design.streams[element.sources[0]])
    if element.kind == "converter":
        return converter(element.layer, source, _stream(design.streams[element.name, "m"]))
    assert isinstance(element.node, stream_nodes.Fifo)
    return fifo(element.layer, source, depth=max(DEFAULT_FIFO_DEPTH, element.node.depth))


def _stream(stream: nodes.Stream) -> Stream:
    datatype = "BINARY" if stream.bits == 1 else f"{'INT' if stream.signed else 'UINT'}{stream.bits}"
    return Stream((1, stream.elements), stream.lanes, datatype)
