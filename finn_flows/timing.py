"""When the last output of the first image leaves, and how many words wait ahead of a sum: a plan's pipeline, followed."""

import math

import numpy as np

from zerocross.finn_flows.nodes.add import LATENCY as SUM_LATENCY
from zerocross.finn_flows.nodes.flow import Flow, input_flow
from zerocross.finn_flows.rtl.design import INPUT, Design, Source


def pipeline_latency(design: Design) -> int:
    """Return the cycles from the first input word to the last output word, the pipeline being empty before.

    FINN's own figure is the sum of all nodes' cycles, as if each waited for the one before to end. Here a node starts
    as soon as it has the words its first output needs. Images are followed row by row, from one node to the next, by
    the schedules of the RTL; FIFOs never stop a node that could work.
    """
    return _flows(design)[design.elements[-1].name, "m"].end


def waiting_words(design: Design) -> dict[Source, int]:
    """Return how many words wait ahead of each sum, by its name and the port that it reads.

    The way through more layers is the longer one; what comes by the shorter one waits, and the next image comes meanwhile.
    """
    joins = [element for element in design.elements if len(element.sources) > 1]
    if not joins:
        return {}
    flows, interval = _flows(design), max(design.intervals().values())
    waiting = {}
    for element in joins:
        taken = flows[element.name, "m"].times - SUM_LATENCY
        for port, source in element.ports.items():
            come, words = flows[source].times, element.node.inputs[port].words
            if len(come) < len(taken):  # a vector is taken once
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
    """Return what leaves each element, by every port."""
    flows: dict[Source, Flow] = {(INPUT, "s"): input_flow(design.input)}
    for element in design.elements:
        flow = element.node.flow([flows[source] for source in element.sources])
        flows |= {(element.name, port): flow for port in element.node.outputs}
    return flows
