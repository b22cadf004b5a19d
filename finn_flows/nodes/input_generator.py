"""The windows of an image, one behind the other: `zc_windows`, or `zc_windows_parallel`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.flow import Flow
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, NodeError, StockNode, check_folding
from zerocross.finn_flows.nodes.stream import Stream

Pair = tuple[int, int]


@dataclass(frozen=True)
class WindowSchedule:
    """What `zc_windows` does: an image's windows, word by word.

    Words are stored in a ring while windows are fetched, until it is full; a window that begins further on than the ring
    reaches waits for its words.

    Attributes:
        shape: (height, width) of the image.
        kernel: (height, width) of a window, not larger than the image.
        stride: (down, along).
        folds: words of a pixel.
        depthwise: whether the folds come first in a window, each with all pixels, as a pool wants them.
        dilation: (down, along) distance of the pixels under the kernel.
    """

    shape: Pair
    kernel: Pair
    stride: Pair
    folds: int
    depthwise: bool = False
    dilation: Pair = (1, 1)

    @property
    def reach(self) -> Pair:
        """Height and width of what the kernel covers."""
        (rows, columns), (down, along) = self.kernel, self.dilation
        return (rows - 1) * down + 1, (columns - 1) * along + 1

    @property
    def counts(self) -> Pair:
        """Rows of windows, and windows in a row."""
        (height, width), (down, along) = self.shape, self.stride
        return (height - self.reach[0]) // down + 1, (width - self.reach[1]) // along + 1

    @property
    def cycles(self) -> int:
        """Cycles that a window takes."""
        return self.kernel[0] * self.kernel[1] * self.folds

    @property
    def places(self) -> int:
        """Words of the image that the ring keeps: a window's reach and, as FINN, what a stride skips."""
        (height, columns), width = self.reach, self.shape[1]
        skipped = (self.stride[0] - 1) * width - math.prod(self.kernel)
        pixels = (height - 1) * width + columns + max(0, skipped)
        return 1 << (pixels * self.folds - 1).bit_length()

    @property
    def row_stall(self) -> int:
        """Cycles that the first window of a row waits, the ring having been full."""
        return self._stall(self._to_row, self.stride[0] > 1)

    @property
    def _to_row(self) -> int:
        """Words from the last window of a row to the next one."""
        skipped = (self.counts[1] - 1) * self.stride[1]
        return (self.stride[0] * self.shape[1] - skipped) * self.folds

    def _stall(self, jump: int, late: bool) -> int:
        """Return the cycles that a window waits.

        Args:
            jump: words from the window before to this one.
            late: whether the places of the former are freed at its end, and not after its first kernel row.
        """
        rows, columns = self.kernel
        last = (self.reach[0] - 1) * self.shape[1] + self.reach[1] - 1  # pixel of a window
        if self.depthwise:  # the first fold's last pixel is the first fetch that may have to wait
            lead = last * self.folds - (rows * columns - 1)
            rest = (rows - 1) * columns
        else:
            lead = (last - (rows * columns - 1)) * self.folds
            rest = (rows - 1) * columns * self.folds
        return max(0, jump + lead - self.places + 1 - (0 if late else rest))

    @property
    def interval(self) -> int:
        """Cycles from one image to the next."""
        if self.stride[0] > self.kernel[0] or self.stride[1] > self.kernel[1]:
            return followed_interval(self)  # the ring may be neither full nor empty
        rows, columns = self.counts
        line = self.shape[1] * self.folds
        row = columns * self.cycles + (columns - 1) * self._stall(self.stride[1] * self.folds, False)
        to_image = self._to_row + (self.shape[0] - rows * self.stride[0]) * line
        period = max(row + self.row_stall, self.stride[0] * line)
        return max(self.shape[0] * line, (rows - 1) * period + row + self._stall(to_image, True))


@lru_cache(maxsize=1024)
def followed_interval(windows: WindowSchedule) -> int:
    """Return the interval of `zc_windows` by following its steps, which takes milliseconds.

    A word is fetched the cycle after it was stored at the earliest, and stored the cycle after a place was freed.
    """
    (height, width), kernel, stride, folds = windows.shape, windows.kernel, windows.stride, windows.folds
    (rows, columns), places = windows.counts, windows.places
    total, images = height * width * folds, 4
    down, along = windows.dilation
    pixels = (np.arange(kernel[0])[:, None] * down * width + np.arange(kernel[1]) * along).ravel() * folds
    every = np.arange(folds)
    order = (every[:, None] + pixels if windows.depthwise else pixels[:, None] + every).ravel()
    steps = np.arange(len(order))
    early = kernel[1] * (1 if windows.depthwise else folds) - 1  # the first kernel row's last fetch
    early += (len(order) - len(order) // folds) if windows.depthwise else 0  # of the last fold

    stored = np.empty(images * total + places, np.int64)  # the cycle of each word
    stored[:places] = np.arange(places)
    count, last, ends = places, -1, list[int]()
    corners = [
        (image * height + row * stride[0]) * width * folds + column * stride[1] * folds
        for image in range(images)
        for row in range(rows)
        for column in range(columns)
    ]
    for index, (corner, following) in enumerate(pairwise([*corners, images * total])):
        fetched = stored[corner + order] + 1 - steps
        fetched[0] = max(fetched[0], last + 1)
        fetched = np.maximum.accumulate(fetched) + steps
        last = int(fetched[-1])
        late = (index + 1) % columns == 0 and (stride[0] > 1 or (index + 1) % (rows * columns) == 0)
        freed = last if late else int(fetched[early])
        bound = following + places
        start = max(int(stored[count - 1]), freed) + 1
        stored[count:bound] = np.arange(start, start + bound - count)
        count = bound
        if (index + 1) % (rows * columns) == 0:
            ends.append(last)
    return ends[-1] - ends[-2]


@dataclass(frozen=True)
class InputGenerator(HardwareNode):
    """The windows of an image.

    A window's elements flow by kernel row, kernel column and channel. `depthwise` moves the channel folds (groups of
    `lanes` channels) in front of the kernel's rows and columns, which is what a pool wants. The streams are those of
    FINN's ConvolutionInputGenerator_rtl, which refuses some strides, gets stuck at others, and is twice the size.

    Attributes:
        image: (height, width, channels), in words of channels (SIMD).
        kernel: (height, width) of a window.
        stride: (down, along), in pixels.
        dilation: (down, along) distance of the pixels under the kernel.
        depthwise: whether the channel folds come first.
        parallel: whether a word holds a whole window (of `lanes` channels); dense windows then need all channels.
        ram_style: "auto", "block" or "distributed", where the image's rows are kept.
    """

    word: ClassVar[str] = "generator"
    module: ClassVar[str] = "zc_windows"

    image: Stream
    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    depthwise: bool = False
    parallel: bool = False
    ram_style: str = "auto"

    def __post_init__(self) -> None:
        check_folding("channels", self.image.shape[2], self.image.lanes)
        shape = self.image.shape
        for size, wide, by, reach in zip(shape, self.kernel, self.stride, self.schedule.reach, strict=False):
            if not 1 <= wide <= reach <= size or by < 1:
                dilated = "" if self.schedule.reach == self.kernel else f" dilated by {self.dilation}"
                raise NodeError(
                    f"no windows of {self.kernel}{dilated} by {self.stride} in an image of {self.image.shape}"
                )
        if self.parallel and not self.depthwise and self.area > 1 and self.folds > 1:
            raise NodeError(
                f"a whole window at once needs all {self.image.shape[2]} channels in a word, not {self.image.lanes}"
            )

    @property
    def area(self) -> int:
        """Pixels of a window."""
        return math.prod(self.kernel)

    @property
    def folds(self) -> int:
        """Words of a pixel."""
        return self.image.shape[2] // self.image.lanes

    @property
    def at_once(self) -> bool:
        """Whether a word holds all of a window's pixels."""
        return self.parallel or self.area == 1

    @property
    def schedule(self) -> WindowSchedule:
        """How windows follow each other."""
        height, width, _ = self.image.shape
        sizes = (height, width), self.kernel, self.stride, self.folds, self.depthwise
        return WindowSchedule(*sizes, self.dilation)

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return 1, self.image.lanes

    @property
    def inputs(self) -> dict[str, Stream]:
        """One image."""
        return {"s": self.image}

    @property
    def outputs(self) -> dict[str, Stream]:
        """All windows of an image: (rows of windows, windows in a row, elements of a window)."""
        image = self.image
        lanes = image.lanes * (self.area if self.parallel else 1)
        shape = (*self.schedule.counts, self.area * image.shape[2])
        return {"m": Stream(shape, lanes, image.bits, image.signed, image.finn_range)}

    @property
    def interval(self) -> int:
        """Cycles from one image to the next."""
        height, width, _ = self.image.shape
        sizes = (height, width), self.kernel, self.stride, self.folds, self.depthwise
        return generator_interval(*sizes, self.parallel, self.dilation)

    @property
    def latency(self) -> int:
        """Cycles from the last word that the first window's first word needs to that word.

        A word is kept first, and fetched later, unless windows come whole.
        """
        return 1 if self.at_once else 2

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """See `window_flow`."""
        counts, schedule = self.schedule.counts, None if self.at_once else self.schedule
        return window_flow(reads[0], self.kernel, self.stride, counts, schedule).later(self.latency)

    def price(self) -> Price:
        """Price counters and addresses, and a ring of words; of whole windows registers, and lines in one memory.

        LUT = base + a address bits, and the memory. A whole window's registers are flip-flops and cost no LUT.
        """
        k, width = cost_model.CONSTANTS, self.image.width
        if not self.at_once:
            bits = max(1, (self.schedule.places - 1).bit_length())
            lut = k.generator_base + k.generator_address * bits
            return cost_model.small_memory(lut, width, 1 << bits, "rows")
        reach, rows = self.schedule.reach, self.kernel[0]
        if rows <= 1:
            return Price(k.whole_base, implementation="whole window")
        depth = ((reach[0] - 1) * self.image.shape[1] + reach[1]) * self.folds
        line = math.ceil(depth / (rows - 1))
        return cost_model.small_memory(k.whole_base, (rows - 1) * width, line, "whole window, rows")

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's input generator."""
        node = stock_generator(
            *(self.image, self.kernel, self.stride, self.dilation, self.depthwise, self.parallel)
        )
        return (node,)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute windows (N, elements) from images (N, elements)."""
        images = np.asarray(samples[0]).reshape(-1, *self.image.shape)
        windows = np.lib.stride_tricks.sliding_window_view(images, self.schedule.reach, axis=(1, 2))
        windows = windows[:, :: self.stride[0], :: self.stride[1]]  # image, row, column, channel, kernel
        windows = windows[..., :: self.dilation[0], :: self.dilation[1]]
        count, rows, columns = windows.shape[:3]
        split = windows.reshape(count, rows, columns, self.folds, self.image.lanes, *self.kernel)
        order = (0, 1, 2, 3, 5, 6, 4) if self.depthwise else (0, 1, 2, 5, 6, 3, 4)
        return (split.transpose(order).reshape(count, -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Name the module; there is nothing to write."""
        height, width, _ = self.image.shape
        parameters: dict[str, int | str] = {
            "HEIGHT": height,
            "WIDTH": width,
            "FOLDS": self.folds,
            "KERNEL_H": self.kernel[0],
            "KERNEL_W": self.kernel[1],
            "STRIDE_H": self.stride[0],
            "STRIDE_W": self.stride[1],
            "DILATION_H": self.dilation[0],
            "DILATION_W": self.dilation[1],
            "BITS": self.image.width,
            "RAM_STYLE": self.ram_style,
        }
        if self.at_once:
            return Instance("zc_windows_parallel", parameters)
        parameters |= {"APART": int(self.depthwise), "PLACES": self.schedule.places}
        return Instance(self.module, parameters)


@lru_cache(maxsize=65536)
def generator_interval(
    shape: Pair,
    kernel: Pair,
    stride: Pair,
    folds: int,
    depthwise: bool,
    parallel: bool = False,
    dilation: Pair = (1, 1),
) -> int:
    """Return an input generator's cycles an image; arguments as of `WindowSchedule`."""
    if parallel or kernel == (1, 1):
        return math.prod(shape) * folds
    return WindowSchedule(shape, kernel, stride, folds, depthwise, dilation).interval


def window_flow(
    flow: Flow, kernel: Pair, stride: Pair, counts: Pair, schedule: WindowSchedule | None
) -> Flow:
    """Return the windows of an image, each as a pixel: complete with the word of its last pixel at the earliest.

    Args:
        flow: the image's.
        kernel: (height, width) of a window.
        stride: (down, along).
        counts: rows of windows, and windows in a row.
        schedule: of windows that are fetched word by word; None where they come whole.
    """
    (height, width), (down, along), (rows, columns) = kernel, stride, counts
    work = left = wait = 0
    if schedule is not None:
        work, wait = schedule.cycles, schedule.row_stall
        # the folds that follow the first
        left = (schedule.folds - 1) * (height * width - 1) if schedule.depthwise else 0
    # The newest pixels of a row's first and last window are these parts of it away.
    gaps = max(1, flow.columns - 1)
    near, far = (width - 1) / gaps, ((columns - 1) * along + width - 1) / gaps
    done, result = -math.inf, []
    for first, last in flow.rows[height - 1 :: down][:rows]:
        begun = max(first + near * (last - first) + left, done + work + wait)
        done = max(first + far * (last - first) + left, begun + (columns - 1) * work)
        result.append((begun, done))
    return Flow(result, columns, max(0, work - 1), flow.depth)


def stock_generator(
    image: Stream, kernel: Pair, stride: Pair, dilation: Pair, depthwise: bool, parallel: bool
) -> StockNode:
    """Return FINN's input generator, of a convolution or of a pool."""
    height, width, channels = image.shape
    counts = WindowSchedule((height, width), kernel, stride, 1, depthwise, dilation).counts
    area = math.prod(kernel)
    attributes = (
        ("ConvKernelDim", kernel),
        ("IFMChannels", channels),
        ("IFMDim", (height, width)),
        ("OFMDim", counts),
        ("SIMD", image.lanes),
        ("Stride", stride),
        ("Dilation", dilation),
        ("inputDataType", image.stock_datatype),
        ("outputDataType", image.stock_datatype),
        ("depthwise", int(depthwise)),
        ("parallel_window", int(parallel)),
        ("is1D", int(1 in (height, width))),
    )
    lanes = image.lanes * (area if parallel else 1)
    sink = Stream((*counts, area * channels), lanes, image.bits, image.signed, image.finn_range)
    return StockNode("ConvolutionInputGenerator_rtl", attributes, sink)
