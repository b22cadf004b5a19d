"""When does the last output of the first image leave? The filling of a pipeline of streaming nodes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from finn_flows import schedule
from finn_flows.accumulators import type_bits
from finn_flows.graph import Node

Row = tuple[float, float]


@dataclass(frozen=True)
class _Flow:
    """When a stream's pixels are complete, a vector being an image of one pixel.

    Attributes:
        rows: for each row of pixels the cycles of the last words of its first and its last pixel; pixels between them
            come evenly.
        columns: pixels of a row.
    """

    rows: list[Row]
    columns: int

    def at(self, row: int, column: int) -> float:
        """Return when a pixel is complete."""
        first, last = self.rows[row]
        return last if self.columns == 1 else first + (last - first) * column / (self.columns - 1)


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
        known = dict(node.attributes)
        match node.op_type:
            case "MVAU_hls":
                words, passes = known["MW"] // known["SIMD"], known["MH"] // known["PE"]
                bits = type_bits(known["inputDataType"])
                depth += schedule.product_depth(known["SIMD"], bits, words, passes)
                if math.prod(node.source.shape[:-1]) == 1:
                    flow = _flat(flow)
                flow = _worked(flow, words * passes, words * (passes - 1))
            case "Thresholding_rtl":
                depth += schedule.crossings_depth(node.price.way, known["numSteps"])
            case "FMPadding_rtl":
                depth += schedule.PADDING_DEPTH
                flow = _padded(flow, node, known)
            case "ConvolutionInputGenerator_rtl":
                depth += _generator_depth(known)
                flow = _windows(flow, known)
            case "Pool_hls":
                depth += schedule.POOL_DEPTH
            case "LabelSelect_hls":
                depth += schedule.LABEL_DEPTH
                flow = _flat(flow)
            case "StreamingDataWidthConverter_rtl":
                depth += schedule.CONVERTER_DEPTH
                pixels = len(flow.rows) * flow.columns
                work = schedule.converter_interval(node.source.words, node.sink.words)
                flow = _worked(flow, work / pixels, math.ceil(node.sink.words / node.source.words) - 1)
    return math.ceil(flow.rows[-1][1]) + depth + 1


def _input(node: Node) -> _Flow:
    """Return the input's pixels, a word a cycle."""
    _, rows, columns, _ = node.source.shape if len(node.source.shape) == 4 else (1, 1, 1, 1)
    words = node.source.words // (rows * columns)
    line = columns * words
    return _Flow([(row * line + words - 1, (row + 1) * line - 1) for row in range(rows)], columns)


def _flat(flow: _Flow) -> _Flow:
    """Return an image as one vector."""
    return _Flow([(flow.rows[-1][1],) * 2], 1)


def _worked(flow: _Flow, work: float, left: float) -> _Flow:
    """Return what leaves a node that works so many cycles on each pixel, and so many after its last word."""
    done, rows = -math.inf, []
    for first, last in flow.rows:
        begun = max(first + left, done + work)
        done = max(last + left, begun + (flow.columns - 1) * work)
        rows.append((begun, done))
    return replace(flow, rows=rows)


def _padded(flow: _Flow, node: Node, known: dict[str, Any]) -> _Flow:
    """Return an image and the zeros around it: nothing leaves before the first word is there, then a word a cycle."""
    top, left, bottom, right = known["Padding"]
    words, columns = known["NumChannels"] // known["SIMD"], node.sink.shape[2]
    done, rows = flow.rows[0][0] - words, []
    for _ in range(top):
        rows.append((done + words, done + columns * words))
        done += columns * words
    for first, last in flow.rows:
        # Zeros on the left are placed as if they came evenly with the pixels that follow.
        first = max(first, done + (left + 1) * words)
        last = max(last, first + (flow.columns - 1) * words)
        done = last + right * words
        rows.append((first - left * words, done))
    for _ in range(bottom):
        rows.append((done + words, done + columns * words))
        done += columns * words
    return _Flow(rows, columns)


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
    kernel, stride, shape = known["ConvKernelDim"], known["Stride"], known["IFMDim"]
    (height, width), (down, along), (rows, columns) = kernel, stride, known["OFMDim"]
    folds, apart = known["IFMChannels"] // known["SIMD"], bool(known["depthwise"])
    work = left = wait = 0
    if not (_is_pooled_directly(known) or _is_at_once(known)):
        work = height * width * folds
        left = (folds - 1) * (height * width - 1) if apart else 0  # the folds that follow the first
        jump = (down * shape[1] - (columns - 1) * along) * folds
        wait = schedule.window_stall(jump, down > 1, shape, kernel, stride, folds, apart)
    done, result = -math.inf, []
    for row in range(rows):
        newest = row * down + height - 1
        first = max(flow.at(newest, width - 1) + left, done + work + wait)
        last = flow.at(newest, (columns - 1) * along + width - 1) + left
        done = max(last, first + (columns - 1) * work)
        result.append((first, done))
    return _Flow(result, columns)
