"""When does the last output of the first image leave? The filling of a pipeline of streaming nodes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zerocross.finn_flows import schedule
from zerocross.finn_flows.accumulators import type_bits
from zerocross.finn_flows.plan import INPUT, Node
from zerocross.finn_flows.schedule import Windows

Row = tuple[float, float]


@dataclass(frozen=True)
class _Flow:
    """When a stream's pixels are complete, a vector being an image of one pixel.

    Attributes:
        rows: for each row of pixels the cycles of the last words of its first and its last pixel; pixels between them
            come evenly.
        columns: pixels of a row.
        spread: cycles from a pixel's first word to its last.
        depth: cycles that all this is later, for the registers on the way.
    """

    rows: list[Row]
    columns: int
    spread: float
    depth: int = 0

    @property
    def times(self) -> np.ndarray:
        """When each pixel is complete, shape (pixels,), registers included."""
        share = np.linspace(0, 1, self.columns) if self.columns > 1 else np.ones(1)
        first, last = np.array(self.rows, float).T[:, :, None]
        return (first + share * (last - first)).reshape(-1) + self.depth


def pipeline_latency(nodes: Sequence[Node]) -> int:
    """Return the cycles from the first input word to the last output word, the pipeline being empty before.

    FINN's own figure is the sum of all nodes' cycles, as if each waited for the one before to end. Here a node starts
    as soon as it has the words its first output needs. Images are followed row by row, from one node to the next, by
    the schedules of the RTL; FIFOs never stop a node that could work.

    Args:
        nodes: each behind those it reads, converters included.
    """
    flow = _flows(nodes)[nodes[-1].name]
    return math.ceil(flow.rows[-1][1]) + flow.depth + 1


def waiting_words(nodes: Sequence[Node]) -> dict[tuple[str, int], int]:
    """Return how many words wait ahead of each sum, by its name and the number of the stream it reads.

    The way through more layers is the longer one; what comes by the shorter one waits, and the next image comes meanwhile.

    Args:
        nodes: each behind those it reads, converters included.
    """
    if all(len(node.inputs) == 1 for node in nodes):
        return {}
    flows, interval = _flows(nodes), max(node.interval for node in nodes)
    waiting = {}
    for node in nodes:
        if len(node.inputs) == 1:
            continue
        taken = flows[node.name].times - schedule.SUM_DEPTH
        for port, (name, source) in enumerate(zip(node.inputs, node.sources, strict=True)):
            come = flows[name].times
            if len(come) < len(taken):  # a vector is taken once
                waiting[node.name, port] = source.words
                continue
            there = sum(
                np.searchsorted(come, taken - later, side="right")
                for later in np.arange(0, max(1, taken[-1] - come[0]), interval)
            )
            most = int((there - np.arange(len(taken))).max())
            waiting[node.name, port] = math.ceil(most * source.words / len(come))
    return waiting


def _flows(nodes: Sequence[Node]) -> dict[str, _Flow]:
    """Return what leaves each node."""
    flows: dict[str, _Flow] = {}
    raw = {INPUT}  # the input, as it comes
    for node in nodes:
        if node.op_type == "StreamingFIFO_rtl" and node.inputs[0] in raw:
            raw.add(node.name)
        reads = [_input(node) if name == INPUT else flows[name] for name in node.inputs]
        flows[node.name] = _through(node, reads, node.inputs[0] in raw)
    return flows


def _through(node: Node, reads: list[_Flow], is_first: bool) -> _Flow:
    """Return what leaves a node that reads these flows."""
    flow, depth, known = reads[0], 0, dict(node.attributes)
    match node.op_type:
        case "StreamingDataWidthConverter_rtl":
            depth = schedule.CONVERTER_DEPTH
            flow = _converted(flow, node)
        case "MVAU_hls":
            words, passes = known["MW"] // known["SIMD"], known["MH"] // known["PE"]
            bits = type_bits(known["inputDataType"])
            depth = schedule.product_depth(known["SIMD"], bits, words, passes)
            # Nothing but an activation takes accumulators with their offsets; the last product's are taken off.
            wide = type_bits(known["weightDataType"])
            depth += schedule.planes_depth(wide, offsets=False)
            if math.prod(node.source.shape[:-1]) == 1:
                flow = _flat(flow)
            flow = _worked(flow, words * passes, words * (passes - 1), words * (passes - 1))
        case "VVAU_hls":
            bits, wide = type_bits(known["inputDataType"]), type_bits(known["weightDataType"])
            depth = schedule.grouped_depth(known["SIMD"], bits) + schedule.planes_depth(wide, offsets=False)
            # It works as words come: the first of a pixel's outputs is there with the first group's last word.
            pixels = math.prod(node.source.shape[1:-1])
            flow = _worked(flow, node.source.words // pixels, 0, node.sink.words // pixels - 1)
        case "Thresholding_rtl":
            depth = schedule.crossings_depth(node.price.way, known["numSteps"])
        case "FMPadding_rtl":
            depth = schedule.PADDING_DEPTH
            flow = _padded(flow, node, known, is_first)
        case "ConvolutionInputGenerator_rtl":
            depth = 0 if node.is_line_buffer else schedule.windows_depth(_is_at_once(known))
            flow = _windows(flow, known, node.is_line_buffer)
        case "Pool_hls":
            depth = schedule.POOL_DEPTH
        case "LabelSelect_hls":
            depth = schedule.LABEL_DEPTH
            flow = _flat(flow)
        case "ElementwiseAdd_hls":
            depth = schedule.SUM_DEPTH
            flow = _joined(reads, node)
    return replace(flow, depth=flow.depth + depth)


def _input(node: Node) -> _Flow:
    """Return the input's pixels, a word a cycle."""
    _, rows, columns, _ = node.source.shape if len(node.source.shape) == 4 else (1, 1, 1, 1)
    words = node.source.words // (rows * columns)
    line = columns * words
    return _Flow([(row * line + words - 1, (row + 1) * line - 1) for row in range(rows)], columns, words - 1)


def _flat(flow: _Flow) -> _Flow:
    """Return an image as one vector."""
    begin, end = flow.rows[0][0] - flow.spread, flow.rows[-1][1]
    return _Flow([(end, end)], 1, end - begin, flow.depth)


def _joined(reads: list[_Flow], node: Node) -> _Flow:
    """Return the sum of two flows; a vector must be there before the first pixel."""
    depth, columns = max(flow.depth for flow in reads), max(flow.columns for flow in reads)
    count = max(len(flow.rows) for flow in reads)
    work = node.sink.words / (count * columns)
    late = []
    for flow in reads:
        behind = depth - flow.depth
        rows = [(first - behind, last - behind) for first, last in flow.rows]
        late.append(rows if len(rows) * flow.columns == count * columns else [rows[-1][-1:] * 2] * count)
    done, result = -math.inf, []
    for row in zip(*late, strict=True):
        begun = max(*(first for first, _ in row), done + work)
        done = max(*(last for _, last in row), begun + (columns - 1) * work)
        result.append((begun, done))
    return _Flow(result, columns, max(work - 1, *(flow.spread for flow in reads)), depth)


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
    return _Flow(rows, flow.columns, spread, flow.depth)


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
    return _Flow(rows, columns, words - 1, flow.depth)


def _is_at_once(known: dict[str, Any]) -> bool:
    return bool(known["parallel_window"]) or known["ConvKernelDim"] == (1, 1)


def _windows(flow: _Flow, known: dict[str, Any], pooled: bool) -> _Flow:
    """Return the windows of an image, each as a pixel: complete with the word of its last pixel at the earliest."""
    (height, width), (down, along) = known["ConvKernelDim"], known["Stride"]
    rows, columns = known["OFMDim"]
    work = left = wait = 0
    if not (pooled or _is_at_once(known)):
        folds, apart = known["IFMChannels"] // known["SIMD"], bool(known["depthwise"])
        windows = Windows(known["IFMDim"], (height, width), (down, along), folds, apart, known["Dilation"])
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
    return _Flow(result, columns, max(0, work - 1), flow.depth)
