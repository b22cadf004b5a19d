"""The pipeline-fill model against a reckoning word by word."""

import itertools
import math

import pytest

from finn_flows.cost import estimate
from finn_flows.folding import Folding
from finn_flows.graph import hardware_nodes
from finn_flows.latency import PIPELINE_DEPTH
from tests.finn_flows.finn_networks import cnv, mlp


def product(node, known, arrivals):
    words, passes = known["MW"] // known["SIMD"], known["MH"] // known["PE"]
    now, leaving = -1, []
    for vector in range(0, len(arrivals), words):
        for arrival in arrivals[vector : vector + words]:
            now = max(now + 1, arrival)
        leaving += [now + replay * words for replay in range(passes)]
        now = leaving[-1]
    return leaving


def padding(node, known, arrivals):
    (height, width), (top, left, _, _) = known["ImgDim"], known["Padding"]
    now, leaving, arriving = -1, [], iter(arrivals)
    for row in range(node.sink.shape[1]):
        for column in range(node.sink.shape[2]):
            inside = top <= row < top + height and left <= column < left + width
            for _ in range(known["NumChannels"] // known["SIMD"]):
                now = max(now + 1, next(arriving)) if inside else now + 1
                leaving.append(now)
    return leaving


def generator(node, known, arrivals):
    (rows, columns), (down, along) = known["ConvKernelDim"], known["Stride"]
    words, line = known["IFMChannels"] // known["SIMD"], known["IFMDim"][1]
    window = list(itertools.product(range(rows), range(columns)))
    if known["parallel_window"]:
        window = window[-1:]
    now, leaving = -1, []
    for y, x in itertools.product(range(known["OFMDim"][0]), range(known["OFMDim"][1])):
        for (i, j), word in itertools.product(window, range(words)):
            now = max(now + 1, arrivals[((y * down + i) * line + x * along + j) * words + word])
            leaving.append(now)
    return leaving


def pool(node, known, arrivals):
    window = math.prod(known["KernelSize"])
    return arrivals[window - 1 :: window]


def label_select(node, known, arrivals):
    return arrivals[-1:]


def converter(node, known, arrivals):
    ratio = node.sink.lanes / node.source.lanes
    now, leaving = -1, []
    for word in range(node.sink.words):
        now = max(now + 1, arrivals[math.ceil((word + 1) * ratio) - 1])
        leaving.append(now)
    return leaving


UNITS = {
    "MVAU_hls": product,
    "FMPadding_rtl": padding,
    "ConvolutionInputGenerator_rtl": generator,
    "Pool_hls": pool,
    "LabelSelect_hls": label_select,
}


def words_out(node, arrivals):
    """When each output word leaves a node, given when each input word arrives; FIFOs never fill."""
    leaving = UNITS.get(node.op_type, converter)(node, dict(node.attributes), arrivals)
    return [time + PIPELINE_DEPTH.get(node.op_type, 1) for time in leaving]


@pytest.mark.parametrize("target", [300, 2_500, 20_000, 1_000_000])
@pytest.mark.parametrize(
    ("network", "tolerance"), [(mlp(1), 0.0), (mlp(8, (36, 30, 24, 10)), 0.0), (cnv(1), 0.06), (cnv(8), 0.06)]
)
def test_latency_is_that_of_word_by_word_reckoning(network, tolerance, target):
    folding = Folding(target_cycles=target)
    nodes = hardware_nodes(network, folding)
    times = list(range(nodes[0].source.words))
    for node in nodes:
        times = words_out(node, times)
    assert times[-1] + 1 == pytest.approx(estimate(network, folding).latency, rel=tolerance, abs=2)
