"""A build as a dataflow diagram: its nodes in order, with the converters and FIFOs on the streams between them."""

from dataclasses import dataclass

from zerocross.reports.build_facts import bottleneck, interval
from zerocross.reports.build_records import STREAM_KINDS, Build, BuildNode


@dataclass(frozen=True)
class Edge:
    """A stream into a node, with the converters and FIFOs on it.

    Attributes:
        origin: Name of the node it comes from; "" for the design's input.
        bits: Widths of its word in bits; a new entry for each change of width.
        fifos: FIFOs on it.
    """

    origin: str
    bits: list[int]
    fifos: list[BuildNode]


@dataclass(frozen=True)
class Step:
    """A node of the diagram.

    Attributes:
        node: Node, or None for the design's output.
        edges: Streams it reads.
        joined: Whether it reads the step before it and nothing else.
        share: Cycles of the node divided by those of the slowest node, 0..1.
        slowest: Whether it is the slowest node.
    """

    node: BuildNode | None
    edges: list[Edge]
    joined: bool
    share: float
    slowest: bool


def steps(build: Build) -> list[Step]:
    """Return the nodes in the order of the stream, followed by the design's output.

    Converters and FIFOs are not steps: they are on the edges. A node without `reads` reads the node before it in the list.
    """
    slowest = bottleneck(build)
    longest = max((interval(node) or 0 for node in build.nodes if node.kind not in STREAM_KINDS), default=0)
    by_name = {node.name: node for node in build.nodes}
    before = dict(zip((node.name for node in build.nodes), ["", *by_name], strict=False))

    def edge(name: str, reader_bits: int) -> Edge:
        """Follow a stream back from its reader, past converters and FIFOs, to the node that feeds it or to the input."""
        bits, fifos = [reader_bits], []
        while name in by_name and by_name[name].kind in STREAM_KINDS:
            node = by_name[name]
            bits += [node.output_bits, node.input_bits]
            if node.kind == "fifo":
                fifos.append(node)
            name = (node.reads or [before[name]])[0]
        if name in by_name:
            bits.append(by_name[name].output_bits)
        widths = [width for width in reversed(bits) if width]
        changes = [width for i, width in enumerate(widths) if i == 0 or width != widths[i - 1]]
        return Edge(name, changes, fifos[::-1])

    result: list[Step] = []
    last = ""
    for node in build.nodes:
        if node.kind in STREAM_KINDS:
            continue
        edges = [edge(name, node.input_bits) for name in node.reads or [before[node.name]]]
        joined = [e.origin for e in edges] == [last]
        share = (interval(node) or 0) / longest if longest else 0.0
        result.append(Step(node, edges, joined, share, node is slowest))
        last = node.name
    if result:
        end = edge(build.nodes[-1].name, 0)
        result.append(Step(None, [end], end.origin == last, 0.0, False))
    return result
