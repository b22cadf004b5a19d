"""Some channels of a stream, in any order, `zc_select`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.flow import Flow
from zerocross.finn_flows.nodes.node import (
    HardwareNode,
    Instance,
    NodeError,
    StockNode,
    check_folding,
    divisors,
    write_memory,
)
from zerocross.finn_flows.nodes.stream import Stream, to_bits


@dataclass(frozen=True)
class Select(HardwareNode):
    """Some channels of every pixel.

    A word holds either all channels, of which any may be chosen in any order, or some of them; then whole words are kept or
    dropped. `possible_lanes` lists the words that fit.

    Attributes:
        image: (features,) or (height, width, channels).
        channels: Channels of the output, by their numbers in the input.
    """

    word: ClassVar[str] = "select"
    module: ClassVar[str] = "zc_select"

    image: Stream
    channels: tuple[int, ...]

    def __post_init__(self) -> None:
        count = self.image.shape[-1]
        check_folding("channels", count, self.image.lanes)
        if not self.channels or min(self.channels) < 0 or max(self.channels) >= count:
            raise NodeError(f"channels {self.channels} cannot be selected from {count} channels")
        if self.image.lanes not in possible_lanes(count, self.channels):
            raise NodeError(
                f"words of {self.image.lanes} channels do not hold only selected, or only other, channels"
            )

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return self.image.lanes, 1

    @property
    def folds(self) -> int:
        """Words of a pixel of the input."""
        return self.image.shape[-1] // self.image.lanes

    @property
    def inputs(self) -> dict[str, Stream]:
        """All channels."""
        return {"s": self.image}

    @property
    def outputs(self) -> dict[str, Stream]:
        """The selected channels."""
        count = len(self.channels)
        lanes = count if self.folds == 1 else self.image.lanes
        return {"m": replace(self.image, shape=(*self.image.shape[:-1], count), lanes=lanes)}

    @property
    def latency(self) -> int:
        """0: a word leaves in the cycle in which it arrives."""
        return 0

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """A pixel is complete with its last selected word, which may arrive before the pixel's last word."""
        flow = reads[0]
        if self.folds == 1:
            return flow.later(self.latency)
        first, last = (self.channels[place] // self.image.lanes for place in (0, -1))
        gap = flow.spread / (self.folds - 1)
        early = (self.folds - 1 - last) * gap
        rows = [(begin - early, end - early) for begin, end in flow.rows]
        return replace(flow, rows=rows, spread=(last - first) * gap).later(self.latency)

    def price(self) -> Price:
        """Price a counter of words and a table of the kept ones; counted by hand. Whole pixels need only wires."""
        if self.folds == 1:
            return Price(0.0, implementation="wires")
        counter = (self.folds - 1).bit_length()
        return Price(counter + -(-self.folds // 64) + 1.0, implementation="counter")

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's StreamingSplit into as many channels, which also writes the other channels."""
        count, rest = len(self.channels), max(1, self.image.shape[-1] - len(self.channels))
        sink = self.outputs["m"]
        attributes = (
            ("SIMD", 1 if self.folds == 1 else self.image.lanes),
            ("ChannelsPerStream", (count, rest)),
            ("inputDataType", self.image.stock_datatype),
            ("numInputVectors", self.image.stock_shape[:-1]),
        )
        return (StockNode("StreamingSplit_hls", attributes, sink),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the selected channels of samples (N, elements)."""
        pixels = np.asarray(samples[0]).reshape(len(samples[0]), -1, self.image.shape[-1])
        return (pixels[..., list(self.channels)].reshape(len(pixels), -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write which words are kept, and which lane of the input each lane of the output reads."""
        lanes, out_lanes = self.image.lanes, self.outputs["m"].lanes
        keep = np.isin(np.arange(self.folds), np.array(self.channels) // lanes)
        write_memory(folder / f"{prefix}keep.mem", keep[None])
        order = np.array(self.channels if self.folds == 1 else range(lanes))
        write_memory(folder / f"{prefix}order.mem", to_bits(order[None], max(1, (lanes - 1).bit_length())))
        return Instance(
            self.module,
            {
                "FOLDS": self.folds,
                "PE": lanes,
                "OUT_PE": out_lanes,
                "BITS": self.image.bits,
                "KEEP": f"{prefix}keep.mem",
                "ORDER": f"{prefix}order.mem",
            },
        )


def possible_lanes(count: int, channels: Sequence[int]) -> tuple[int, ...]:
    """Return the lanes with which a node can select channels, smallest first.

    Args:
        count: Channels of the input.
        channels: Selected channels, in order.
    """
    chosen = np.array(channels)

    def fits(lanes: int) -> bool:
        if len(chosen) % lanes:
            return False
        words = chosen.reshape(-1, lanes)
        whole = (words == words[:, :1] + np.arange(lanes)).all() and (words[:, 0] % lanes == 0).all()
        return bool(whole and (np.diff(words[:, 0]) > 0).all())

    return tuple(lanes for lanes in divisors(count) if lanes == count or fits(lanes))
