"""The node that writes an image's windows: `zc_windows` word by word, `zc_windows_parallel` a whole window per word."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """The schedule of `zc_windows`, which writes an image's windows word by word.

    The node stores input words in a ring buffer until it is full, and fetches windows at the same time. A window that
    begins beyond the ring's content waits for its words.

    Attributes:
        shape: (height, width) of the image.
        kernel: (height, width) of a window, not larger than the image.
        stride: (down, along).
        folds: Words of a pixel.
        depthwise: Whether a window is ordered by channel fold, then kernel row and column; pools need this.
        dilation: (down, along) distance between the pixels under the kernel.
    """

    shape: Pair
    kernel: Pair
    stride: Pair
    folds: int
    depthwise: bool = False
    dilation: Pair = (1, 1)

    @property
    def reach(self) -> Pair:
        """Height and width that the dilated kernel spans."""
        (rows, columns), (down, along) = self.kernel, self.dilation
        return (rows - 1) * down + 1, (columns - 1) * along + 1

    @property
    def counts(self) -> Pair:
        """Rows of windows, and windows per row."""
        (height, width), (down, along) = self.shape, self.stride
        return (height - self.reach[0]) // down + 1, (width - self.reach[1]) // along + 1

    @property
    def cycles(self) -> int:
        """Cycles per window, without stalls."""
        return self.kernel[0] * self.kernel[1] * self.folds

    @property
    def places(self) -> int:
        """Buffer entries (words) of the ring: the reach of a window and, as in FINN, the words that a stride skips."""
        (height, columns), width = self.reach, self.shape[1]
        skipped = (self.stride[0] - 1) * width - math.prod(self.kernel)
        pixels = (height - 1) * width + columns + max(0, skipped)
        return 1 << (pixels * self.folds - 1).bit_length()

    @property
    def row_stall(self) -> int:
        """Cycles that the first window of a row waits because the ring was full."""
        return self._stall(self._to_row, self.stride[0] > 1)

    @property
    def _to_row(self) -> int:
        """Words from the last window of a row to the next one."""
        skipped = (self.counts[1] - 1) * self.stride[1]
        return (self.stride[0] * self.shape[1] - skipped) * self.folds

    def _stall(self, jump: int, late: bool) -> int:
        """Return the cycles that a window waits.

        Args:
            jump: Words from the previous window to this one.
            late: Whether the previous window's buffer entries are freed at its end instead of after its first kernel row.
        """
        rows, columns = self.kernel
        last = (self.reach[0] - 1) * self.shape[1] + self.reach[1] - 1  # last pixel of a window
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
    """Return the interval of `zc_windows` by simulating its steps, which takes milliseconds.

    A word is fetched at the earliest one cycle after it was stored, and stored one cycle after a buffer entry became free.
    """
    (height, width), kernel, stride, folds = windows.shape, windows.kernel, windows.stride, windows.folds
    (rows, columns), places = windows.counts, windows.places
    total, images = height * width * folds, 4
    down, along = windows.dilation
    pixels = (np.arange(kernel[0])[:, None] * down * width + np.arange(kernel[1]) * along).ravel() * folds
    every = np.arange(folds)
    order = (every[:, None] + pixels if windows.depthwise else pixels[:, None] + every).ravel()
    steps = np.arange(len(order))
    early = kernel[1] * (1 if windows.depthwise else folds) - 1  # last fetch of the first kernel row
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

    The elements of a window are ordered by kernel row, kernel column and channel. With `depthwise`, the channel fold (a
    group of `lanes` channels) comes before kernel row and column, which pools and grouped convolutions need. The streams
    equal those of FINN's ConvolutionInputGenerator_rtl, which rejects some strides, hangs at others, and is twice as large.

    Attributes:
        image: (height, width, channels), in words of channels (SIMD).
        kernel: (height, width) of a window.
        stride: (down, along), in pixels.
        dilation: (down, along) distance between the pixels under the kernel.
        depthwise: Whether windows are ordered by channel fold first.
        parallel: Whether a word holds a whole window (of `lanes` channels). Without `depthwise`, `lanes` must then be all
            channels.
        ram_style: Memory of the image's rows, "auto", "block" or "distributed".
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
                    f"windows of {self.kernel}{dilated} with stride {self.stride} do not fit an image of "
                    f"{self.image.shape}: sizes and strides must be 1 or more, and windows no larger than the image"
                )
        if self.parallel and not self.depthwise and self.area > 1 and self.folds > 1:
            raise NodeError(
                f"a parallel window needs all {self.image.shape[2]} channels in a word, not {self.image.lanes}"
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
        """The schedule of windows that are fetched word by word."""
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
        """All windows of an image: (rows of windows, windows per row, elements of a window)."""
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
        """Cycles from the last input word that the first output word needs to that output word.

        A word is first stored and then fetched, except for whole windows.
        """
        return 1 if self.at_once else 2

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """See `window_flow`."""
        counts, schedule = self.schedule.counts, None if self.at_once else self.schedule
        return window_flow(reads[0], self.kernel, self.stride, counts, schedule).later(self.latency)

    def price(self) -> Price:
        """Price the generator: LUT = base + a address bits, and its memory.

        The memory is a ring of words or, for whole windows, one memory for all lines. The registers of whole windows are
        flip-flops and use no LUTs.
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

    def slim(self) -> "InputGenerator":
        """See `HardwareNode`."""
        return replace(self, image=self.image.slim())

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Return the instance; the node has no memory files."""
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
    """Return an input generator's cycles per image; for the arguments see `WindowSchedule` and `InputGenerator`."""
    if parallel or kernel == (1, 1):
        return math.prod(shape) * folds
    return WindowSchedule(shape, kernel, stride, folds, depthwise, dilation).interval


def window_flow(
    flow: Flow, kernel: Pair, stride: Pair, counts: Pair, schedule: WindowSchedule | None
) -> Flow:
    """Return the flow of an image's windows as pixels. A window is not complete before its last pixel arrives.

    Args:
        flow: Flow of the image.
        kernel: (height, width) of a window.
        stride: (down, along).
        counts: Rows of windows, and windows per row.
        schedule: Schedule of windows that are fetched word by word; None for whole windows.
    """
    (height, width), (down, along), (rows, columns) = kernel, stride, counts
    work = left = wait = 0
    if schedule is not None:
        work, wait = schedule.cycles, schedule.row_stall
        # fetches of the folds after the first
        left = (schedule.folds - 1) * (height * width - 1) if schedule.depthwise else 0
    # Positions within a row, from 0 to 1, of the last pixels of its first and last window.
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
    """Return FINN's input generator for a convolution or pool."""
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
