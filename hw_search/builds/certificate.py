"""The certificate of a build: comparisons of all forms of the network on the same images.

- The QONNX file and the integer network are compared by class. A class that only float32's rounding decides is a tie, which
  is counted and is no difference.
- The integer network, the FINN graph and the RTL are compared by logit.
- The RTL's own classes, the RTL under random stalls (24 images) and the mapped netlist are compared by class.

The certificate also records how much of the network the images exercised (`zerocross.finn_flows.coverage`). No comparison
shows a fault in what they did not exercise.

Any difference stops the build, except between torch and the QONNX file: torch may round differently, so differences of class
are only counted.
"""

import numpy as np

from zerocross.finn_flows.chip.netlist import netlist_sources
from zerocross.finn_flows.chip.synthesis import Synthesis
from zerocross.finn_flows.coverage import Coverage, Watch
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.lowering.lower import Lowered
from zerocross.finn_flows.rtl.design import TOP, Design
from zerocross.finn_flows.rtl.logits import design_logits
from zerocross.finn_flows.rtl.simulation import Port, compile_design
from zerocross.finn_flows.rtl.streaming import CompiledDesign, compile_streaming, first_difference
from zerocross.finn_flows.vendor.dataflow import dataflow_model
from zerocross.finn_flows.vendor.execution import execute
from zerocross.hw_search.builds.design import BuiltDesign
from zerocross.hw_search.builds.forms import (
    classes,
    compare,
    compare_with_file,
    integer_classes,
    integer_logits,
    stream_classes,
    stream_elements,
)
from zerocross.hw_search.builds.job import Job
from zerocross.hw_search.builds.layout import DIFFERENCE, NETLIST, RTL
from zerocross.hw_search.builds.results import Simulated
from zerocross.hw_search.builds.stages import Report
from zerocross.hw_search.builds.subject import Images
from zerocross.hw_search.builds.vectors import save_vectors
from zerocross.hw_search.errors import UserError
from zerocross.reports.build_records import Check, Exercise, LayerExercise

_STALLED = 24  # images that also run under random stalls
_STALLS = (0.3, 0.3)


def certify(
    job: Job, lowered: Lowered, net: IntegerNetwork, design: BuiltDesign, images: Images, report: Report
) -> Simulated:
    """Run every form of a network on the same images and compare their answers.

    Args:
        job: The build.
        lowered: The network as QONNX, with the quantization of its input.
        net: The integer network that the design implements.
        design: The hardware.
        images: Images to compare on.
        report: Receives the progress.

    Raises:
        UserError: If the integer network differs from the QONNX file, or the hardware from the integer network. For RTL
            mismatches the message names the first node that differs.
    """
    x = images.x.numpy().astype(np.float32)
    inputs = lowered.quantize(x)
    report(0.0, "the trained network")
    trained = job.subject.logits(job.folder, images.x)
    report(0.1, "QONNX")
    exported = lowered.scores(x)
    report(0.2, "integers")
    watch = Watch(net)
    integer = integer_logits(net, inputs, watch)
    expected = integer_classes(net, integer)
    report(0.3, "FINN graph")
    graph = dataflow_model(design.bare, net.network.input.shape)
    finn = execute(graph, inputs).logits.reshape(len(x), -1)
    report(0.5, "compiling the RTL")
    hardware = design.complete
    taps = [] if job.options.scores else [logits_element(hardware)]
    tapped = f"{TOP}_tapped"
    compiled, _ = compile_streaming(hardware, job.folder / RTL, taps, job.cache, top=tapped)
    (job.folder / RTL / f"{tapped}.sv").unlink(missing_ok=True)  # no part of the design
    flat = stream_elements(net, inputs)
    streamed = compiled.stream(
        flat, progress=lambda share: report(0.6 + 0.4 * share, "RTL, image after image")
    )
    logits = design_logits(hardware, streamed.taps[taps[0]] if taps else streamed.outputs)
    answered = stream_classes(streamed.outputs)

    checks = [
        compare_with_file(lowered, x, exported, expected),
        compare("integers", "FINN graph", "logits", integer, finn),
        compare("FINN graph", "RTL", "logits", finn, logits, "simulated cycle by cycle"),
    ]
    if taps:  # hardware that answers scores has no classes of its own
        # Logits that differ need not be on the grid of the crossings.
        chosen = integer_classes(net, logits if logits.shape[1] > 1 else integer)
        checks.append(compare("RTL's logits", "RTL's classes", "classes", chosen, answered))
    checks.append(_stalled(compiled, flat, streamed.outputs))
    lowering, *of_hardware = checks
    if lowering.differences:
        raise UserError(f"the integer network does not match the QONNX file: {_worst([lowering])}")
    if any(check.differences for check in of_hardware):
        wrong = np.flatnonzero((logits != integer).any(axis=1) | (answered != expected))
        samples = flat[wrong[:_STALLED]]
        where = (
            first_difference(hardware, samples, job.folder / DIFFERENCE, job.cache) if len(wrong) else None
        )
        raise UserError(
            f"the hardware does not match the integer network: {_worst(of_hardware)}"
            + (f"; {where}" if where else "")
        )
    if trained is not None:  # torch may round a tie differently from QONNX, so a difference here is no error
        checks.insert(0, compare("torch", "QONNX", "classes", classes(trained), exported.classes))
    right = None if images.y is None else float(np.mean(answered == images.y.numpy()))
    save_vectors(job.folder, flat, streamed.outputs)
    return Simulated(
        test_set=images.name,
        images=len(x),
        checks=tuple(checks),
        interval=None if np.isnan(streamed.interval) else streamed.interval,
        latency=streamed.latency,
        cycles=streamed.cycles,
        accuracy=right,
        exercise=_exercise(watch.coverage()),
    )


def certify_netlist(
    job: Job, mapped: Synthesis, net: IntegerNetwork, design: BuiltDesign, inputs: np.ndarray
) -> Check:
    """Compare the classes from a mapped netlist with those from the integer network.

    Raises:
        UserError: If they differ.
    """
    hardware = design.complete
    ports = [Port("s", hardware.input.width)], [Port("m", hardware.output.width)]
    folder = job.folder / RTL / NETLIST
    simulator = compile_design(mapped.top, netlist_sources(mapped), *ports, folder, job.cache)
    streamed = CompiledDesign(hardware, simulator).stream(stream_elements(net, inputs))
    expected = integer_classes(net, integer_logits(net, inputs))
    check = compare(
        "integers",
        "netlist",
        "classes",
        expected,
        stream_classes(streamed.outputs),
        f"mapped to {mapped.family}",
    )
    if check.differences:
        raise UserError(f"the mapped netlist does not match the integer network: {_worst([check])}")
    return check


def _stalled(compiled: CompiledDesign, flat: np.ndarray, outputs: np.ndarray) -> Check:
    few = flat[:_STALLED]
    found = compiled.stream(few, stalls=_STALLS).outputs
    what = "classes" if outputs.shape[1] == 1 else "logits"
    note = "input and output stall at random"
    return compare("RTL", "RTL, stalled", what, outputs[: len(few)], found, note)


def _exercise(found: Coverage) -> Exercise:
    layers = [LayerExercise(**vars(layer)) for layer in found.layers]
    return Exercise(**{**vars(found), "layers": layers})


def _worst(checks: list[Check]) -> str:
    check = max(checks, key=lambda entry: entry.differences)
    return f"{check.left} and {check.right} differ in {check.differences} of {check.images} images"


def logits_element(design: Design) -> str:
    """Return the name of the element that makes the logits: it feeds the last element."""
    (source, _) = design.elements[-1].sources[0]
    return source
