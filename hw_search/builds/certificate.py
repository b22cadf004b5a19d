"""The certificate of a build: every form of the network on the same images, and no difference between them."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from zerocross.finn_flows.chip.netlist import netlist_sources
from zerocross.finn_flows.chip.synthesis import Synthesis
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.lowering.lower import Lowered
from zerocross.finn_flows.rtl.design import TOP, Design
from zerocross.finn_flows.rtl.nodes import Product
from zerocross.finn_flows.rtl.simulation import Port, compile_design
from zerocross.finn_flows.rtl.streaming import CompiledDesign, compile_streaming, first_difference
from zerocross.finn_flows.vendor.dataflow import dataflow_model
from zerocross.finn_flows.vendor.execution import execute
from zerocross.hw_search.builds.forms import classes, compare, integer_logits, qonnx_logits
from zerocross.hw_search.builds.layout import DIFFERENCE, NETLIST, RTL
from zerocross.hw_search.builds.stages import Facts, Report
from zerocross.hw_search.builds.subject import Images, Subject
from zerocross.hw_search.errors import UserError
from zerocross.reports.build_records import Link

_STALLED = 24  # images that also run under random stalls
_STALLS = (0.3, 0.3)


def certify(
    subject: Subject,
    lowered: Lowered,
    net: IntegerNetwork,
    design: Design,
    graph_of: Design,
    folder: Path,
    images: Images,
    cache: Path,
    report: Report,
) -> Facts:
    """Run every form of a network on the same images and compare their answers.

    Args:
        subject: the trained network.
        lowered: the network as QONNX, which knows how its input is quantized.
        net: its integers, as they are built.
        design: the hardware, FIFOs included.
        graph_of: the same without FIFOs, of which the FINN graph is made.
        folder: the build's.
        images: what to compare on.
        cache: see `zerocross.finn_flows.rtl.simulation.compile_design`.
        report: told of the progress.

    Returns:
        {"test_set", "images", "links", "interval", "latency", "cycles", "accuracy"}.

    Raises:
        UserError: if the integer network's answers are not the QONNX file's, or the hardware's not the integer
            network's; of hardware the message names the node.
    """
    x = images.x.numpy().astype(np.float32)
    inputs = lowered.quantize(x)
    report(0.0, "the trained network")
    trained = subject.logits(folder, images.x)
    report(0.1, "QONNX")
    exported = qonnx_logits(lowered, x)
    report(0.2, "integers")
    integer = integer_logits(net, inputs)
    report(0.3, "FINN graph")
    finn = execute(dataflow_model(graph_of, net.network.input.shape), inputs).logits.reshape(len(x), -1)
    report(0.5, "compiling the RTL")
    last = logits_element(design)
    compiled, _ = compile_streaming(design, folder / RTL, [last], cache, top=f"{TOP}_tapped")
    flat = stream_elements(net, inputs)
    streamed = compiled.stream(
        flat, progress=lambda share: report(0.6 + 0.4 * share, "RTL, image after image")
    )
    logits = network_logits(design, streamed.taps[last])

    links = (
        [] if trained is None else [compare("torch", "QONNX", "classes", classes(trained), classes(exported))]
    )
    links += [
        compare("QONNX", "integers", "classes", classes(exported), classes(integer)),
        compare("integers", "FINN graph", "logits", integer, finn),
        compare("FINN graph", "RTL", "logits", finn, logits, "simulated cycle by cycle"),
        _labels(design, classes(logits), streamed.outputs),
        _stalled(compiled, flat, streamed.outputs),
    ]
    lowering, *hardware = links[-5:]  # torch may round a tie otherwise than QONNX, and nothing else may
    if lowering.differences:
        raise UserError(f"the integers are not the network: {_worst([lowering])}")
    if any(link.differences for link in hardware):
        wrong = np.flatnonzero((logits != integer).any(axis=1) | (streamed.outputs[:, 0] != classes(integer)))
        where = (
            first_difference(design, flat[wrong[:_STALLED]], folder / DIFFERENCE, cache)
            if len(wrong)
            else None
        )
        raise UserError(
            f"the hardware is not the network: {_worst(hardware)}" + (f"; {where}" if where else "")
        )
    right = None if images.y is None else float(np.mean(streamed.outputs[:, 0] == images.y.numpy()))
    return {
        "test_set": images.name,
        "images": len(x),
        "links": [asdict(link) for link in links],
        "interval": None if np.isnan(streamed.interval) else streamed.interval,
        "latency": streamed.latency,
        "cycles": streamed.cycles,
        "accuracy": right,
    }


def certify_netlist(
    mapped: Synthesis, net: IntegerNetwork, design: Design, folder: Path, inputs: np.ndarray, cache: Path
) -> Link:
    """Compare a mapped netlist's classes with the integer network's.

    Raises:
        UserError: if they differ.
    """
    ports = [Port("s", design.input.width)], [Port("m", design.output.width)]
    simulator = compile_design(mapped.top, netlist_sources(mapped), *ports, folder / RTL / NETLIST, cache)
    streamed = CompiledDesign(design, simulator).stream(stream_elements(net, inputs))
    expected = classes(integer_logits(net, inputs))
    link = compare(
        "integers", "netlist", "classes", expected, streamed.outputs[:, 0], f"mapped to {mapped.family}"
    )
    if link.differences:
        raise UserError(f"the mapped netlist is not the network: {_worst([link])}")
    return link


def _labels(design: Design, expected: np.ndarray, outputs: np.ndarray) -> Link:
    return compare("RTL's logits", "RTL's classes", "classes", expected, outputs[:, 0])


def _stalled(compiled: CompiledDesign, flat: np.ndarray, outputs: np.ndarray) -> Link:
    few = flat[:_STALLED]
    found = compiled.stream(few, stalls=_STALLS).outputs[:, 0]
    note = "input and output stall at random"
    return compare("RTL", "RTL, stalled", "classes", outputs[: len(few), 0], found, note)


def _worst(links: list[Link]) -> str:
    link = max(links, key=lambda entry: entry.differences)
    return f"{link.left} and {link.right} differ in {link.differences} of {link.images} images"


def logits_element(design: Design) -> str:
    """Return the element that the label select reads."""
    (source, _) = design.elements[-1].sources[0]
    return source


def network_logits(design: Design, stream: np.ndarray) -> np.ndarray:
    """Return logits as the integer network has them, from the stream (N, elements) that the label select reads."""
    product = next(e.node for e in reversed(design.elements) if isinstance(e.node, Product))
    return 2 * stream - product.fan_in if product.input_bits == 1 else stream


def stream_elements(net: IntegerNetwork, inputs: np.ndarray) -> np.ndarray:
    """Lay inputs out as the design's stream has them: (N, elements), bits as 0 and 1."""
    flat = inputs.reshape(len(inputs), -1)
    return (flat > 0).astype(np.int64) if net.network.input.bits == 1 else flat
