"""Maximum pooling over windows that do not overlap, `zc_maxpool`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.flow import Flow
from zerocross.finn_flows.nodes.input_generator import stock_generator, window_flow
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, StockNode, check_folding, check_window
from zerocross.finn_flows.nodes.stream import Stream

Pair = tuple[int, int]
LATENCY = 1


@dataclass(frozen=True)
class MaxPool(HardwareNode):
    """Maximum pooling with a stride equal to the kernel. For bits the maximum is an OR.

    The node buffers one line of partial results. FINN's pool buffers complete input lines.

    Attributes:
        image: (height, width, channels), in words of channels (PE).
        kernel: (height, width) of a window, which is also the stride.
    """

    word: ClassVar[str] = "pool"
    module: ClassVar[str] = "zc_maxpool"

    image: Stream
    kernel: Pair

    def __post_init__(self) -> None:
        check_folding("channels", self.image.shape[2], self.image.lanes)
        check_window(self.image.shape, self.kernel)

    @property
    def counts(self) -> Pair:
        """Rows of windows and windows per row; only complete windows count."""
        return self.image.shape[0] // self.kernel[0], self.image.shape[1] // self.kernel[1]

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return self.image.lanes, 1

    @property
    def inputs(self) -> dict[str, Stream]:
        """One image."""
        return {"s": self.image}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One smaller image."""
        return {"m": replace(self.image, shape=(*self.counts, self.image.shape[2]))}

    @property
    def latency(self) -> int:
        """Cycles from a channel's last word in a window to its output word."""
        return LATENCY

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """See `HardwareNode`."""
        return window_flow(reads[0], self.kernel, self.kernel, self.counts, None).later(self.latency)

    def price(self) -> Price:
        """Price the running maximum and the buffer of one output line."""
        line = line_buffer(self.image.width, self.counts[1] * self.image.shape[2] // self.image.lanes)
        return cost_model.total([line, maximum(self.image)])

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's input generator and pool."""
        windows = stock_generator(self.image, self.kernel, self.kernel, (1, 1), True, False)
        return windows, stock_pool(windows.sink, self.outputs["m"], self.kernel, "MaxPool")

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute images (N, elements) from images (N, elements)."""
        windows = whole_windows(np.asarray(samples[0]), self.image.shape, self.kernel)
        return (windows.max(axis=(2, 4)).reshape(len(windows), -1),)

    def slim(self) -> "MaxPool":
        """See `HardwareNode`."""
        return replace(self, image=self.image.slim())

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Return the instance; the node has no memory files."""
        height, width, channels = self.image.shape
        return Instance(
            self.module,
            {
                "HEIGHT": height,
                "WIDTH": width,
                "CHANNELS": channels,
                "PE": self.image.lanes,
                "BITS": self.image.bits,
                "SIGNED": int(self.image.signed),
                "KERNEL_H": self.kernel[0],
                "KERNEL_W": self.kernel[1],
            },
        )


def whole_windows(images: np.ndarray, shape: tuple[int, ...], kernel: Pair) -> np.ndarray:
    """View images (N, elements) as windows that do not overlap.

    Returns:
        (N, rows, kernel height, columns, kernel width, channels).
    """
    rows, columns = shape[0] // kernel[0], shape[1] // kernel[1]
    whole = images.reshape(-1, *shape)[:, : rows * kernel[0], : columns * kernel[1]]
    return whole.reshape(-1, rows, kernel[0], columns, kernel[1], shape[2])


def maximum(stream: Stream) -> Price:
    """Price a running maximum: base + a lanes bits. For 1-bit elements it is an OR."""
    k, bits = cost_model.CONSTANTS, stream.bits
    return Price(k.pool_base + k.pool_bit * stream.width, implementation="OR" if bits == 1 else "maximum")


def line_buffer(width: int, depth: int) -> Price:
    """Price a buffer for one line of partial results, `depth` words of `width` bits.

    Windows do not overlap, so the pool updates maxima as values arrive and buffers only one line of its *output*.
    """
    return cost_model.in_lut_memory(
        cost_model.CONSTANTS.line_base, (width, depth), "line buffer", instant=True
    )


def stock_pool(windows: Stream, sink: Stream, kernel: Pair, function: str) -> StockNode:
    """Return FINN's pool over windows; `function` is "MaxPool" or "AccPool"."""
    sums = (("AccumBits", sink.bits),) if function == "AccPool" else ()
    attributes = (
        ("Channels", sink.shape[2]),
        ("PE", sink.lanes),
        ("KernelSize", kernel),
        ("Function", function),
        ("OutImgDims", sink.shape[:2]),
        ("InputDataType", windows.stock_datatype),
        ("OutputDataType", sink.stock_datatype),
        *sums,
    )
    assert math.prod(windows.shape[:2]) == math.prod(sink.shape[:2])
    return StockNode("Pool_hls", attributes, sink)
