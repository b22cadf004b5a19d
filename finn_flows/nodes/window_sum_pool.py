"""Sum pooling over windows that overlap, read from a depthwise `InputGenerator`, `zc_windowsum`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.max_pool import LATENCY, Pair, stock_pool
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, StockNode, check_folding
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.nodes.sum_pool import sum_bits
from zerocross.finn_flows.nodes.window_max_pool import by_fold, check_area


@dataclass(frozen=True)
class WindowSumPool(HardwareNode):
    """The sum of each channel over windows of levels.

    Attributes:
        windows: (rows, columns, pixels of a window * channels), each ordered by channel fold, pixel and channel.
        kernel: (height, width) of a window.
        high: Largest sum; None for the largest that the bits allow.
    """

    word: ClassVar[str] = "pool"
    module: ClassVar[str] = "zc_windowsum"

    windows: Stream
    kernel: Pair
    high: int | None = None

    def __post_init__(self) -> None:
        check_area(self.windows, self.area)
        check_folding("channels", self.channels, self.windows.lanes)

    @property
    def area(self) -> int:
        """Pixels of a window."""
        return self.kernel[0] * self.kernel[1]

    @property
    def channels(self) -> int:
        """Channels of a pixel."""
        return self.windows.shape[2] // self.area

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return self.windows.lanes, 1

    @property
    def inputs(self) -> dict[str, Stream]:
        """All windows of an image."""
        return {"s": self.windows}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One smaller image."""
        bits = sum_bits(self.high, self.area * self.windows.range[1])
        return {"m": Stream((*self.windows.shape[:2], self.channels), self.windows.lanes, bits)}

    @property
    def latency(self) -> int:
        """Cycles from a channel's last word in a window to its output word."""
        return LATENCY

    def price(self) -> Price:
        """Price the running sum."""
        return Price(self.outputs["m"].width + 9.0, implementation="adders")

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's pool."""
        return (stock_pool(self.windows, self.outputs["m"], self.kernel, "AccPool"),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute images (N, elements) from windows (N, elements)."""
        folds = by_fold(np.asarray(samples[0], np.int64), self.area, self.windows.lanes)
        return (folds.sum(axis=2).reshape(len(folds), -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Return the instance; the node has no memory files."""
        parameters: dict[str, int | str] = {"AREA": self.area, "PE": self.windows.lanes}
        widths = {"BITS": self.windows.bits, "OUT_BITS": self.outputs["m"].bits}
        return Instance(self.module, {**parameters, **widths})
