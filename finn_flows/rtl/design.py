"""A design: hardware nodes and the streams between them, as one SystemVerilog module.

Its top has `clk`, `rst_n` and two streams, `s` in and `m` out, with AXI-Stream's handshake.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.rtl.nodes import HardwareNode, Instance, Stream, instantiate, library
from zerocross.finn_flows.rtl.stream_nodes import Fifo

INPUT = "input"
TOP = "zerocross_top"

Source = tuple[str, str]
"""The element that writes a stream, and its port; (INPUT, "s") for the design's own input."""


class DesignError(FlowError):
    """Nodes that do not fit together; the message names them."""


@dataclass(frozen=True)
class Element:
    """A node in its place.

    Attributes:
        name: unique, an identifier.
        layer: the network's layer it belongs to; of what stands between nodes, the layer it feeds.
        kind: "product", "crossings", "generator", "padding", "pool", "label", "converter" or "fifo".
        node: what it is.
        sources: where each of the node's inputs comes from, in order.
        planned: names of the plan's nodes that it stands for (`plan.Node.name`).
    """

    name: str
    layer: str
    kind: str
    node: HardwareNode
    sources: tuple[Source, ...]
    planned: tuple[str, ...] = ()


@dataclass(frozen=True)
class Design:
    """Elements in the order of the streams; the last one's output `m` is the design's.

    Attributes:
        input: the stream into it.
        elements: what it is made of.
    """

    input: Stream
    elements: tuple[Element, ...]

    def __post_init__(self) -> None:
        unread = {(INPUT, "s")}
        names = [element.name for element in self.elements]
        for element in self.elements:
            if names.count(element.name) > 1:
                raise DesignError(f"two elements are called {element.name}")
            inputs = element.node.inputs
            if len(inputs) != len(element.sources):
                raise DesignError(f"{element.name} reads {len(inputs)} streams, not {len(element.sources)}")
            for wanted, source in zip(inputs.values(), element.sources, strict=True):
                if source not in unread:
                    raise DesignError(f"{element.name}: nothing writes {source}, or two nodes read it")
                given = self.streams[source]
                if replace(given, elements=wanted.elements) != wanted or given.words % wanted.words:
                    raise DesignError(f"{element.name} reads {wanted}, but {source[0]} writes {given}")
                unread.remove(source)
            unread |= {(element.name, port) for port in element.node.outputs}
        if unread != {(self.elements[-1].name, "m")}:
            raise DesignError(f"nothing reads {', '.join(sorted(name for name, _ in unread))}")

    @cached_property
    def repeats(self) -> dict[str, int]:
        """How often each element does its work for a sample: a product of a convolution once a pixel."""
        return {
            element.name: max(1, self.streams[element.sources[0]].words // _first(element.node.inputs).words)
            for element in self.elements
        }

    @cached_property
    def streams(self) -> dict[Source, Stream]:
        """Every stream by who writes it, as long as a sample makes it."""
        streams: dict[Source, Stream] = {(INPUT, "s"): self.input}
        for element in self.elements:
            given = streams.get(element.sources[0])
            if given is None:
                raise DesignError(f"{element.name}: nothing writes {element.sources[0]}")
            repeats = given.words // _first(element.node.inputs).words
            for port, stream in element.node.outputs.items():
                streams[element.name, port] = replace(stream, elements=stream.elements * repeats)
        return streams

    @property
    def output(self) -> Stream:
        """The stream out of it."""
        return self.streams[self.elements[-1].name, "m"]

    def run(self, samples: np.ndarray) -> dict[Source, np.ndarray]:
        """Compute every stream, (N, elements), from inputs (N, elements), by the nodes' references."""
        samples = np.asarray(samples, np.int64)
        values: dict[Source, np.ndarray] = {(INPUT, "s"): samples}
        for element in self.elements:
            inputs = [
                values[source].reshape(-1, stream.elements)
                for source, stream in zip(element.sources, element.node.inputs.values(), strict=True)
            ]
            results = element.node.reference(*inputs)
            for port, result in zip(element.node.outputs, results, strict=True):
                values[element.name, port] = result.reshape(len(samples), -1)
        return values

    def intervals(self) -> dict[str, int]:
        """Return the cycles each element is busy with a sample, where nothing makes it wait."""
        return {element.name: element.node.interval * self.repeats[element.name] for element in self.elements}


def _first(streams: dict[str, Stream]) -> Stream:
    return next(iter(streams.values()))


@dataclass(frozen=True)
class Generated:
    """A design's files.

    Attributes:
        folder: where they are, memory files too: simulate and synthesise there.
        top: the top module.
        sources: SystemVerilog files, the library's included.
        instances: how each element is built, by name.
    """

    folder: Path
    top: str
    sources: tuple[Path, ...]
    instances: dict[str, Instance]


def generate(design: Design, folder: Path, top: str = TOP, taps: Sequence[str] = ()) -> Generated:
    """Write a design's SystemVerilog and memory files.

    Args:
        design: what to write.
        folder: where to; made if missing.
        top: the module's name.
        taps: elements whose output `m` is to be seen on ports of the top, `<name>_tap`, as its words are taken;
            for simulation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    instances = {
        element.name: element.node.generate(folder, f"{element.name}_") for element in design.elements
    }
    sources = [source for instance in instances.values() for source in instance.sources]
    top_file = folder / f"{top}.sv"
    top_file.write_text(_top(design, instances, top, taps))
    return Generated(folder, top, tuple(dict.fromkeys([*library(), *sources, top_file])), instances)


def _top(design: Design, instances: dict[str, Instance], top: str, taps: Sequence[str]) -> str:
    ports = ["input logic clk", "input logic rst_n"]
    ports += _stream_ports("s", design.input.width, inward=True)
    ports += _stream_ports("m", design.output.width, inward=False)
    readers: dict[Source, str] = {}
    declarations, bodies, assignments = [], [], []
    for element in design.elements:
        for port, stream in (*element.node.inputs.items(), *element.node.outputs.items()):
            name = f"{element.name}_{port}"
            declarations.append(f"  logic [{stream.width - 1}:0] {name}_tdata;")
            declarations.append(f"  logic {name}_tvalid, {name}_tready;")
        bodies.append(instantiate(element.name, element.node, instances[element.name]))
        for port, source in zip(element.node.inputs, element.sources, strict=True):
            readers[source] = f"{element.name}_{port}"
    readers[design.elements[-1].name, "m"] = "m"
    for (writer, port), reader in readers.items():
        written = "s" if writer == INPUT else f"{writer}_{port}"
        assignments.append(f"  assign {reader}_tdata = {written}_tdata;")
        assignments.append(f"  assign {reader}_tvalid = {written}_tvalid;")
        assignments.append(f"  assign {written}_tready = {reader}_tready;")
    for name in taps:
        ports += _stream_ports(f"{name}_tap", design.streams[name, "m"].width, inward=False)
        assignments.append(f"  assign {name}_tap_tdata = {name}_m_tdata;")
        assignments.append(f"  assign {name}_tap_tvalid = {name}_m_tvalid && {name}_m_tready;")
    body = "\n".join([*declarations, *assignments, *bodies])
    return f"module {top} (\n    " + ",\n    ".join(ports) + f"\n);\n{body}\nendmodule\n"


def _stream_ports(name: str, width: int, inward: bool) -> Iterable[str]:
    forward, backward = ("input", "output") if inward else ("output", "input")
    yield f"{forward} logic [{width - 1}:0] {name}_tdata"
    yield f"{forward} logic {name}_tvalid"
    yield f"{backward} logic {name}_tready"


def with_fifos(design: Design, depths: dict[str, int] | int, probe: bool = False) -> Design:
    """Return a design with FIFOs on its inner streams.

    The two halves of a unit, a product and the crossings of its accumulators, have none between.

    Args:
        design: without FIFOs.
        depths: words by the name of the FIFO, `<reader>_fifo`, or for all; none where it is 0.
        probe: FIFOs that tell how full they were, for simulation.
    """
    kinds = {element.name: element.kind for element in design.elements}
    elements: list[Element] = []
    for element in design.elements:
        sources = []
        for port, source in zip(element.node.inputs, element.sources, strict=True):
            name = f"{element.name}_fifo" if port == "s" else f"{element.name}_{port}_fifo"
            depth = depths if isinstance(depths, int) else depths.get(name, 0)
            fused = element.kind == "crossings" and kinds.get(source[0]) == "product"
            if source[0] == INPUT or fused or depth == 0:
                sources.append(source)
                continue
            fifo = Fifo(design.streams[source], depth, probe=probe)
            elements.append(Element(name, element.layer, "fifo", fifo, (source,)))
            sources.append((name, "m"))
        elements.append(replace(element, sources=tuple(sources)))
    return Design(design.input, tuple(elements))
