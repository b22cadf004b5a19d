"""When does the last output of the first image leave? The filling of a pipeline of streaming nodes."""

import math
from collections.abc import Sequence

from finn_flows.graph import Node

# Registers between a node's input and output. Estimates: a product adds up a tree, a crossing site compares
# or looks up.
PIPELINE_DEPTH = {"MVAU_hls": 5, "Thresholding_rtl": 3}


def pipeline_latency(nodes: Sequence[Node], cycles: Sequence[int]) -> int:
    """Return the cycles from the first input word to the last output word, the pipeline being empty before.

    FINN's own figure is the sum of all nodes' cycles, as if each waited for the one before to end. Here a
    node starts as soon as it has the words its first output needs, words arrive evenly between a stream's
    first and last one, and a node ends when it has worked for all its cycles, and not before it has done what
    is left to do after its last input. Assumes that FIFOs are deep enough never to stop a node that could
    work.

    Against reckoning word by word: equal for dense networks, 1 to 8% above for convolutional ones. The depths
    of the pipelines are estimates; nothing here has been simulated as hardware yet.

    Args:
        nodes: in the order of the stream.
        cycles: of each node, an image.
    """
    first, last = 0.0, nodes[0].source.words - 1.0
    for node, busy in zip(nodes, cycles, strict=True):
        needed, left = _needs(node)
        words = node.source.words
        ready = first + (last - first) * (needed - 1) / max(1, words - 1)
        depth = PIPELINE_DEPTH.get(node.op_type, 1)
        work = max(busy, words, node.sink.words)
        start, first = first, ready + depth
        last = max(start + work - 1 + depth, last + left + depth, first + node.sink.words - 1)
    return math.ceil(last) + 1


def _needs(node: Node) -> tuple[int, int]:
    """Return the input words a node needs for its first output, and its cycles after its last input."""
    known = dict(node.attributes)
    match node.op_type:
        case "MVAU_hls":  # the whole vector is needed; all passes over it but the first are replays
            words = known["MW"] // known["SIMD"]
            return words, (known["MH"] // known["PE"] - 1) * words
        case "ConvolutionInputGenerator_rtl":
            (rows, columns), words = known["ConvKernelDim"], known["IFMChannels"] // known["SIMD"]
            window = rows * columns * words
            filled = ((rows - 1) * known["IFMDim"][1] + columns) * words
            return filled, 1 if known["parallel_window"] else window
        case "FMPadding_rtl":  # rows at the top need no input; those at the bottom follow the last
            (_, columns), padding = known["ImgDim"], known["Padding"]
            line = (columns + padding[1] + padding[3]) * known["NumChannels"] // known["SIMD"]
            return 1, padding[2] * line + padding[3] * known["NumChannels"] // known["SIMD"]
        case "Pool_hls":
            return math.prod(known["KernelSize"]), 0
        case "LabelSelect_hls":
            return node.source.words, 0
        case _:  # converters gather or part words; the rest pass them on
            ratio = node.sink.lanes / node.source.lanes
            return math.ceil(ratio), math.ceil(1 / ratio) - 1
