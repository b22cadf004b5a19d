"""Sum pooling of levels over windows that do not overlap, `zc_sumpool`. A window may be the whole image."""

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
from zerocross.finn_flows.nodes.max_pool import LATENCY, Pair, stock_pool, whole_windows
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, StockNode, check_folding, check_window
from zerocross.finn_flows.nodes.stream import Stream


@dataclass(frozen=True)
class SumPool(HardwareNode):
    """Sum pooling of levels with a stride equal to the kernel.

    Attributes:
        image: (height, width, channels), in words of channels (PE).
        kernel: (height, width) of a window, which is also the stride.
        high: Largest sum; None for the largest that the bits allow.
    """

    word: ClassVar[str] = "pool"
    module: ClassVar[str] = "zc_sumpool"

    image: Stream
    kernel: Pair
    high: int | None = None

    def __post_init__(self) -> None:
        check_folding("channels", self.image.shape[2], self.image.lanes)
        check_window(self.image.shape, self.kernel)

    @property
    def counts(self) -> Pair:
        """Rows of windows and windows per row; only complete windows count."""
        return self.image.shape[0] // self.kernel[0], self.image.shape[1] // self.kernel[1]

    @property
    def slots(self) -> int:
        """Words of partial sums that are buffered: one output row."""
        return self.counts[1] * self.image.shape[2] // self.image.lanes

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
        bits = sum_bits(self.high, math.prod(self.kernel) * self.image.range[1])
        return {"m": Stream((*self.counts, self.image.shape[2]), self.image.lanes, bits)}

    @property
    def latency(self) -> int:
        """Cycles from a channel's last word in a window to its output word."""
        return LATENCY

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """See `HardwareNode`."""
        return window_flow(reads[0], self.kernel, self.kernel, self.counts, None).later(self.latency)

    def price(self) -> Price:
        """Price running sums and a line of partial sums in LUTs; counted by hand, within a few LUTs of Yosys' results."""
        width, words = self.outputs["m"].width, self.slots
        logic = width + 25.0
        if words == 1:
            return Price(logic, implementation="adders")
        banked = 0.7 * width * max(0, math.ceil(words / 64) - 1)
        return cost_model.in_lut_memory(logic + banked, (width, words), "adders, line buffer")

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's input generator and pool."""
        windows = stock_generator(self.image, self.kernel, self.kernel, (1, 1), True, False)
        return windows, stock_pool(windows.sink, self.outputs["m"], self.kernel, "AccPool")

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute images (N, elements) from images (N, elements)."""
        windows = whole_windows(np.asarray(samples[0], np.int64), self.image.shape, self.kernel)
        return (windows.sum(axis=(2, 4)).reshape(len(windows), -1),)

    def slim(self) -> "SumPool":
        """See `HardwareNode`."""
        return replace(self, image=self.image.slim(), high=None)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Return the instance; the node has no memory files."""
        height, width, channels = self.image.shape
        return Instance(
            self.module,
            {
                "HEIGHT": height,
                "WIDTH": width,
                "FOLDS": channels // self.image.lanes,
                "PE": self.image.lanes,
                "BITS": self.image.bits,
                "OUT_BITS": self.outputs["m"].bits,
                "KERNEL_H": self.kernel[0],
                "KERNEL_W": self.kernel[1],
            },
        )


def sum_bits(high: int | None, most: int) -> int:
    """Return the bits of the largest sum of levels: of `most`, or of `high` if that is known and less."""
    return max(1, (most if high is None else min(high, most)).bit_length())
