"""Latency of a plan's pipeline, and the words that wait in front of a sum or a concat."""

import math

import numpy as np

from zerocross.finn_flows.nodes.flow import Flow, input_flow
from zerocross.finn_flows.rtl.design import INPUT, Design, Source


def pipeline_latency(design: Design) -> int:
    """Return the cycles from the first input word to the last output word of an image in an empty pipeline.

    FINN's own figure is the sum of all nodes' cycles, as if each node waited for the previous one to finish. In this
    model a node starts as soon as it has the words that its first output needs. The model follows images row by row from
    node to node with the schedules of the RTL. FIFOs never stall a node that could run.
    """
    return _flows(design)[design.elements[-1].name, "m"].end


def waiting_words(design: Design) -> dict[Source, int]:
    """Return the number of words that wait in front of each sum and concat, by the node's name and input port.

    The branch through more layers is slower. Words of the faster branch wait for it, and words of the next image join them.
    """
    joins = [element for element in design.elements if len(element.sources) > 1]
    if not joins:
        return {}
    flows, interval = _flows(design), max(design.intervals().values())
    waiting = {}
    for element in joins:
        taken = flows[element.name, "m"].times - element.node.latency
        for port, source in element.ports.items():
            come, words = flows[source].times, element.node.inputs[port].words
            if len(come) < len(taken):  # a vector is read once per image
                waiting[element.name, port] = words
                continue
            there = sum(
                np.searchsorted(come, taken - later, side="right")
                for later in np.arange(0, max(1, taken[-1] - come[0]), interval)
            )
            most = int((there - np.arange(len(taken))).max())
            waiting[element.name, port] = math.ceil(most * words / len(come))
    return waiting


def _flows(design: Design) -> dict[Source, Flow]:
    """Return the output flow of every element's ports."""
    flows: dict[Source, Flow] = {(INPUT, "s"): input_flow(design.input)}
    for element in design.elements:
        flow = element.node.flow([flows[source] for source in element.sources])
        flows |= {(element.name, port): flow for port in element.node.outputs}
    return flows
