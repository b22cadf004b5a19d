"""Maximum pooling over windows that overlap, read from a depthwise `InputGenerator`, `zc_windowpool`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.max_pool import LATENCY, Pair, maximum, stock_pool
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, NodeError, StockNode, check_folding
from zerocross.finn_flows.nodes.stream import Stream


@dataclass(frozen=True)
class WindowMaxPool(HardwareNode):
    """The maximum of each channel over windows.

    Attributes:
        windows: (rows, columns, pixels of a window * channels), each ordered by channel fold, pixel and channel.
        kernel: (height, width) of a window.
    """

    word: ClassVar[str] = "pool"
    module: ClassVar[str] = "zc_windowpool"

    windows: Stream
    kernel: Pair

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
        windows = self.windows
        shape = (*windows.shape[:2], self.channels)
        return {"m": Stream(shape, windows.lanes, windows.bits, windows.signed, windows.finn_range)}

    @property
    def latency(self) -> int:
        """Cycles from a channel's last word in a window to its output word."""
        return LATENCY

    def price(self) -> Price:
        """Price the running maximum."""
        return maximum(self.windows)

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's pool."""
        return (stock_pool(self.windows, self.outputs["m"], self.kernel, "MaxPool"),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute images (N, elements) from windows (N, elements)."""
        folds = by_fold(np.asarray(samples[0]), self.area, self.windows.lanes)
        return (folds.max(axis=2).reshape(len(folds), -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Return the instance; the node has no memory files."""
        windows = self.windows
        parameters: dict[str, int | str] = {"AREA": self.area, "PE": windows.lanes, "BITS": windows.bits}
        return Instance(self.module, {**parameters, "SIGNED": int(windows.signed)})


def check_area(windows: Stream, area: int) -> None:
    """Raise a `NodeError` unless the windows consist of `area` pixels."""
    if windows.shape[2] % area:
        raise NodeError(f"windows of {windows.shape[2]} elements do not consist of {area} equal pixels")


def by_fold(windows: np.ndarray, area: int, lanes: int) -> np.ndarray:
    """View depthwise windows (N, elements) as (N, folds of all windows, pixels of a window, lanes)."""
    return windows.reshape(len(windows), -1, area, lanes)
