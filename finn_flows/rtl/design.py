"""A design: hardware nodes and the streams between them, as one SystemVerilog module.

A plan (`planner.py`) is a design whose nodes have no numbers yet. The top module has `clk`, `rst_n`, an input stream `s` and
an output stream `m`, with the handshake of AXI stream.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.nodes import Bias, Fifo, GroupedProduct, LabelSelect, Product, Wired, WiredCount
from zerocross.finn_flows.nodes.node import HardwareNode, Instance
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.library import instantiate, library, stream_ports

INPUT = "input"
TOP = "zerocross_top"

Source = tuple[str, str]
"""The element that writes a stream, and its port; (INPUT, "s") for the design's input."""


class DesignError(FlowError):
    """The nodes of a design do not fit together; the message names them."""


@dataclass(frozen=True)
class Element:
    """A node and its connections.

    Attributes:
        name: Unique name, an identifier.
        layer: Layer of the network that the node belongs to; for converters and FIFOs, the layer that they feed.
        node: Hardware node.
        sources: Source of each of the node's inputs, in order.
    """

    name: str
    layer: str
    node: HardwareNode
    sources: tuple[Source, ...]

    @property
    def kind(self) -> str:
        """Kind of the node in reports."""
        return self.node.word

    @property
    def ports(self) -> dict[str, Source]:
        """Source of each input, by port."""
        return dict(zip(self.node.inputs, self.sources, strict=True))

    def fifo_name(self, port: str) -> str:
        """Return the name of the FIFO on an input, if the input gets one."""
        return f"{self.name}_fifo" if port == "s" else f"{self.name}_{port}_fifo"


@dataclass(frozen=True)
class Design:
    """Elements in the order of the streams. The output `m` of the last one is the design's output.

    Attributes:
        input: Input stream of the design.
        elements: Nodes and their connections.
    """

    input: Stream
    elements: tuple[Element, ...]

    def __post_init__(self) -> None:
        unread, names = {(INPUT, "s")}, set[str]()
        for element in self.elements:
            if element.name in names:
                raise DesignError(f"two elements are called {element.name}")
            names.add(element.name)
            inputs = element.node.inputs
            if len(inputs) != len(element.sources):
                raise DesignError(f"{element.name} reads {len(inputs)} streams, not {len(element.sources)}")
            for wanted, source in zip(inputs.values(), element.sources, strict=True):
                if source not in unread:
                    raise DesignError(f"{element.name}: no node writes {source}, or two nodes read it")
                given = self.streams[source]
                if not given.carries(wanted):
                    raise DesignError(f"{element.name} reads {wanted}, but {source[0]} writes {given}")
                unread.remove(source)
            unread |= {(element.name, port) for port in element.node.outputs}
        if unread != {(self.elements[-1].name, "m")}:
            raise DesignError(f"no node reads {', '.join(sorted(name for name, _ in unread))}")

    @cached_property
    def streams(self) -> dict[Source, Stream]:
        """Every stream, by its source."""
        written = {
            (element.name, port): stream
            for element in self.elements
            for port, stream in element.node.outputs.items()
        }
        return {(INPUT, "s"): self.input, **written}

    @cached_property
    def by_name(self) -> dict[str, Element]:
        """Every element by its name."""
        return {element.name: element for element in self.elements}

    @property
    def output(self) -> Stream:
        """Output stream of the design."""
        return self.streams[self.elements[-1].name, "m"]

    def of_layer(self, layer: str, *kinds: type[HardwareNode]) -> Element:
        """Return the element of a layer whose node is of one of the given kinds."""
        return next(
            element for element in self.elements if element.layer == layer and isinstance(element.node, kinds)
        )

    @property
    def products(self) -> dict[str, Product | GroupedProduct]:
        """The products by layer."""
        return {
            element.layer: element.node
            for element in self.elements
            if isinstance(element.node, Product | GroupedProduct)
        }

    def run(self, samples: np.ndarray) -> dict[Source, np.ndarray]:
        """Compute every stream, (N, elements), from inputs (N, elements) with the nodes' references."""
        samples = np.asarray(samples, np.int64)
        values: dict[Source, np.ndarray] = {(INPUT, "s"): samples}
        for element in self.elements:
            results = element.node.reference(*(values[source] for source in element.sources))
            for port, result in zip(element.node.outputs, results, strict=True):
                values[element.name, port] = result
        return values

    def intervals(self) -> dict[str, int]:
        """Return the cycles per sample of each element, without stalls."""
        return {element.name: element.node.interval for element in self.elements}


@dataclass(frozen=True)
class Generated:
    """The files of a design.

    Attributes:
        folder: Folder of the files, memory files included. Simulation and synthesis must run there.
        top: Top module.
        sources: SystemVerilog files, those of the library included.
        instances: SystemVerilog instance of each element, by name.
    """

    folder: Path
    top: str
    sources: tuple[Path, ...]
    instances: dict[str, Instance]


def generate(
    design: Design, folder: Path, top: str = TOP, taps: Sequence[str] = (), slim: bool = False
) -> Generated:
    """Write a design's SystemVerilog and memory files.

    Args:
        design: Design whose nodes have their numbers.
        folder: Output folder; created if missing.
        top: Name of the top module.
        taps: Elements whose output `m` is shown on ports `<name>_tap` of the top, for simulation. A tap shows a word
            when it is accepted.
        slim: Whether the design only has to move its words in the right cycles; their values are arbitrary.
    """
    folder.mkdir(parents=True, exist_ok=True)
    instances = {}
    for element in design.elements:
        node = element.node.slim() if slim else element.node
        instances[element.name] = node.generate(folder, f"{element.name}_")
    sources = [source for instance in instances.values() for source in instance.sources]
    top_file = folder / f"{top}.sv"
    top_file.write_text(_top(design, instances, top, taps))
    return Generated(folder, top, tuple(dict.fromkeys([*library(), *sources, top_file])), instances)


def _top(design: Design, instances: dict[str, Instance], top: str, taps: Sequence[str]) -> str:
    ports = ["input logic clk", "input logic rst_n"]
    ports += stream_ports("s", design.input.width, inward=True)
    ports += stream_ports("m", design.output.width, inward=False)
    readers: dict[Source, str] = {}
    declarations, bodies, assignments = [], [], []
    for element in design.elements:
        for port, stream in (*element.node.inputs.items(), *element.node.outputs.items()):
            name = f"{element.name}_{port}"
            declarations.append(f"  logic [{stream.width - 1}:0] {name}_tdata;")
            declarations.append(f"  logic {name}_tvalid, {name}_tready;")
        bodies.append(instantiate(element.name, element.node, instances[element.name]))
        for port, source in element.ports.items():
            readers[source] = f"{element.name}_{port}"
    readers[design.elements[-1].name, "m"] = "m"
    for (writer, port), reader in readers.items():
        written = "s" if writer == INPUT else f"{writer}_{port}"
        assignments.append(f"  assign {reader}_tdata = {written}_tdata;")
        assignments.append(f"  assign {reader}_tvalid = {written}_tvalid;")
        assignments.append(f"  assign {written}_tready = {reader}_tready;")
    for name in taps:
        ports += stream_ports(f"{name}_tap", design.streams[name, "m"].width, inward=False)
        assignments.append(f"  assign {name}_tap_tdata = {name}_m_tdata;")
        assignments.append(f"  assign {name}_tap_tvalid = {name}_m_tvalid && {name}_m_tready;")
    body = "\n".join([*declarations, *assignments, *bodies])
    return f"module {top} (\n    " + ",\n    ".join(ports) + f"\n);\n{body}\nendmodule\n"


def is_joined(design: Design, source: Source) -> bool:
    """Return whether a product, or the counts of a sparse layer, writes a stream."""
    kinds = Product | GroupedProduct | WiredCount
    return source[0] != INPUT and isinstance(design.by_name[source[0]].node, kinds)


def is_wired(design: Design, element: Element) -> bool:
    """Return whether an element belongs to a sparse layer, or to the classes that its counts decide.

    It takes a word in every cycle, so no FIFO precedes it.
    """
    node = element.node
    if isinstance(node, Bias | LabelSelect) and element.sources[0][0] != INPUT:
        writer = design.by_name[element.sources[0][0]]
        return isinstance(writer.node, Bias | WiredCount) and is_wired(design, writer)
    return isinstance(node, Wired | WiredCount)


def without_label(design: Design) -> Design:
    """Return a design whose output is what its last node compares: the scores of all classes instead of the class.

    Raises:
        DesignError: If the network decides by one score, and its last node is no label select.
    """
    *others, last = design.elements
    if not isinstance(last.node, LabelSelect) or last.node.labels == 1:
        raise DesignError("the network decides by the sign of one sum, so there are no scores of classes")
    return Design(design.input, tuple(others))


def with_fifos(design: Design, depths: Mapping[str, int] | int, probe: bool = False) -> Design:
    """Return a design with FIFOs on its inner streams.

    There are none between a product and the crossings of its accumulators, and ahead of `is_wired` elements.

    Args:
        design: Design without FIFOs.
        depths: Words by FIFO name (`Element.fifo_name`), or for all FIFOs. With 0 words there is no FIFO.
        probe: Whether FIFOs report their high-water marks, for simulation.
    """
    elements: list[Element] = []
    for element in design.elements:
        sources = []
        for port, source in element.ports.items():
            name = element.fifo_name(port)
            depth = depths if isinstance(depths, int) else depths.get(name, 0)
            fused = is_wired(design, element) or (element.kind == "crossings" and is_joined(design, source))
            if source[0] == INPUT or fused or depth == 0:
                sources.append(source)
                continue
            fifo = Fifo(design.streams[source], depth, probe=probe)
            elements.append(Element(name, element.layer, fifo, (source,)))
            sources.append((name, "m"))
        elements.append(replace(element, sources=tuple(sources)))
    return Design(design.input, tuple(elements))
