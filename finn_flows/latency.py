"""When does the last output of the first image leave? The filling of a pipeline of streaming nodes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finn_flows import schedule
from finn_flows.accumulators import type_bits
from finn_flows.graph import Node
from finn_flows.schedule import Windows

Row = tuple[float, float]


@dataclass(frozen=True)
class _Flow:
    """When a stream's pixels are complete, a vector being an image of one pixel.

    Attributes:
        rows: for each row of pixels the cycles of the last words of its first and its last pixel; pixels between them
            come evenly.
        columns: pixels of a row.
        spread: cycles from a pixel's first word to its last.
    """

    rows: list[Row]
    columns: int
    spread: float


def pipeline_latency(nodes: Sequence[Node]) -> int:
    """Return the cycles from the first input word to the last output word, the pipeline being empty before.

    FINN's own figure is the sum of all nodes' cycles, as if each waited for the one before to end. Here a node starts
    as soon as it has the words its first output needs. Images are followed row by row, from one node to the next, by
    the schedules of the RTL; FIFOs never stop a node that could work.

    Args:
        nodes: in the order of the stream, converters included.
    """
    flow, depth = _input(nodes[0]), 0
    for node in nodes:
        match node.op_type:
            case "StreamingDataWidthConverter_rtl":
                depth += schedule.CONVERTER_DEPTH
                flow = _converted(flow, node)
            case "MVAU_hls":
                known = dict(node.attributes)
                words, passes = known["MW"] // known["SIMD"], known["MH"] // known["PE"]
                bits = type_bits(known["inputDataType"])
                depth += schedule.product_depth(known["SIMD"], bits, words, passes)
                if math.prod(node.source.shape[:-1]) == 1:
                    flow = _flat(flow)
                flow = _worked(flow, words * passes, words * (passes - 1), words * (passes - 1))
            case "Thresholding_rtl":
                depth += schedule.crossings_depth(node.price.way, dict(node.attributes)["numSteps"])
            case "FMPadding_rtl":
                depth += schedule.PADDING_DEPTH
                flow = _padded(flow, node, dict(node.attributes), node.source is nodes[0].source)
            case "ConvolutionInputGenerator_rtl":
                known = dict(node.attributes)
                depth += _generator_depth(known)
                flow = _windows(flow, known)
            case "Pool_hls":
                depth += schedule.POOL_DEPTH
            case "LabelSelect_hls":
                depth += schedule.LABEL_DEPTH
                flow = _flat(flow)
    return math.ceil(flow.rows[-1][1]) + depth + 1


def _input(node: Node) -> _Flow:
    """Return the input's pixels, a word a cycle."""
    _, rows, columns, _ = node.source.shape if len(node.source.shape) == 4 else (1, 1, 1, 1)
    words = node.source.words // (rows * columns)
    line = columns * words
    return _Flow([(row * line + words - 1, (row + 1) * line - 1) for row in range(rows)], columns, words - 1)


def _flat(flow: _Flow) -> _Flow:
    """Return an image as one vector."""
    begin, end = flow.rows[0][0] - flow.spread, flow.rows[-1][1]
    return _Flow([(end, end)], 1, end - begin)


def _worked(flow: _Flow, work: float, left: float, spread: float) -> _Flow:
    """Return what leaves a node that works so many cycles on each pixel.

    Args:
        flow: its input.
        work: cycles from a pixel to the next, where nothing makes it wait.
        left: cycles that it works after a pixel's last word at least.
        spread: of its output.
    """
    left, row = max(left, work - 1 - flow.spread), (flow.columns - 1) * work
    done, rows = -math.inf, []
    for first, last in flow.rows:
        begun = max(first + left, done + work)
        done = max(last + left, begun + row)
        rows.append((begun, done))
    return _Flow(rows, flow.columns, spread)


def _converted(flow: _Flow, node: Node) -> _Flow:
    """Return a stream in other words; each leaves with the last of what is in it."""
    pixels = len(flow.rows) * flow.columns
    words, given = node.source.words / pixels, node.sink.words / pixels
    work = schedule.converter_interval(node.source.words, node.sink.words) / pixels
    left = max(0.0, math.ceil(given / words) - 1)
    whole = max(left, work - 1 - flow.spread) + flow.spread  # from the first word in to the last word out
    needed = flow.spread * (math.ceil(words / given) - 1) / max(1.0, words - 1)
    return _worked(flow, work, left, max(given - 1, whole - needed))


def _padded(flow: _Flow, node: Node, known: dict[str, Any], is_first: bool) -> _Flow:
    """Return an image and the zeros around it: nothing leaves before the first word is there, then a word a cycle.

    A design's input is taken only when the zeros before it have left, and cycles are counted from there.
    """
    top, left, bottom, right = known["Padding"]
    words, columns = known["NumChannels"] // known["SIMD"], node.sink.shape[2]
    done, rows = flow.rows[0][0] - words, []
    if is_first:
        done -= (top * columns + left) * words
    for _ in range(top):
        rows.append((done + words, done + columns * words))
        done += columns * words
    for first, last in flow.rows:
        # Zeros on the left are placed as if they came evenly with the pixels that follow.
        begun = max(first - left * words, done + words)
        done = max(last, begun + (left + flow.columns - 1) * words) + right * words
        rows.append((begun, done))
    for _ in range(bottom):
        rows.append((done + words, done + columns * words))
        done += columns * words
    return _Flow(rows, columns, words - 1)


def _generator_depth(known: dict[str, Any]) -> int:
    if _is_pooled_directly(known):
        return 0
    return schedule.windows_depth(_is_at_once(known))


def _is_pooled_directly(known: dict[str, Any]) -> bool:
    """Tell whether windows do not overlap, so that the pool behind needs no generator."""
    return bool(known["depthwise"]) and known["ConvKernelDim"] == known["Stride"]


def _is_at_once(known: dict[str, Any]) -> bool:
    return bool(known["parallel_window"]) or known["ConvKernelDim"] == (1, 1)


def _windows(flow: _Flow, known: dict[str, Any]) -> _Flow:
    """Return the windows of an image, each as a pixel: complete with the word of its last pixel at the earliest."""
    (height, width), (down, along) = known["ConvKernelDim"], known["Stride"]
    rows, columns = known["OFMDim"]
    work = left = wait = 0
    if not (_is_pooled_directly(known) or _is_at_once(known)):
        folds, apart = known["IFMChannels"] // known["SIMD"], bool(known["depthwise"])
        windows = Windows(known["IFMDim"], (height, width), (down, along), folds, apart)
        work, wait = windows.cycles, windows.row_stall
        left = (folds - 1) * (height * width - 1) if apart else 0  # the folds that follow the first
    gaps = max(
        1, flow.columns - 1
    )  # the newest pixels of a row's first and last window are these parts of it away
    near, far = (width - 1) / gaps, ((columns - 1) * along + width - 1) / gaps
    done, result = -math.inf, []
    for first, last in flow.rows[height - 1 :: down][:rows]:
        begun = max(first + near * (last - first) + left, done + work + wait)
        done = max(first + far * (last - first) + left, begun + (columns - 1) * work)
        result.append((begun, done))
    return _Flow(result, columns, max(0, work - 1))
