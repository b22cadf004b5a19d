"""The nodes that streams of levels are split and added up by: forks, sums, and sums of windows.

Levels are integers from 0, of a known highest value that need not be one less than a power of two: `high` of a node
is the largest sum that can come, where that is less than its streams' bits allow. Records are those of `nodes.py`.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zerocross.finn_flows import schedule
from zerocross.finn_flows.rtl.nodes import Instance, NodeError, Stream, check_folding

Pair = tuple[int, int]


@dataclass(frozen=True)
class Duplicate:
    """A stream to two readers, `zc_duplicate`; to more, by several of them.

    Attributes:
        stream: the stream.
    """

    stream: Stream

    @property
    def inputs(self) -> dict[str, Stream]:
        """The stream."""
        return {"s": self.stream}

    @property
    def outputs(self) -> dict[str, Stream]:
        """The stream, twice."""
        return {"a": self.stream, "b": self.stream}

    @property
    def interval(self) -> int:
        """Cycles from one sample to the next."""
        return self.stream.words

    @property
    def latency(self) -> int:
        """A word is there for both readers as soon as it comes."""
        return 0

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the samples twice."""
        return (samples[0], samples[0])

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Name the module; there is nothing to write."""
        return Instance("zc_duplicate", {"WIDTH": self.stream.width})


@dataclass(frozen=True)
class Add:
    """The sum of two streams, element by element, `zc_add`; of more, by several of them.

    Attributes:
        a: one stream.
        b: the other, with the same elements and lanes.
        high: the largest sum of unsigned streams; None for what their bits allow.
    """

    a: Stream
    b: Stream
    high: int | None = None

    def __post_init__(self) -> None:
        if (self.a.elements, self.a.lanes) != (self.b.elements, self.b.lanes):
            raise NodeError(f"streams of different shapes cannot be added: {self.a} and {self.b}")
        _check_unsigned(self.high, self.a, self.b)

    @property
    def inputs(self) -> dict[str, Stream]:
        """Both streams."""
        return {"a": self.a, "b": self.b}

    @property
    def outputs(self) -> dict[str, Stream]:
        """The sums, wide enough for any."""
        (a_low, a_high), (b_low, b_high) = self.a.range, self.b.range
        low, high = a_low + b_low, _least(self.high, a_high + b_high)
        signed = low < 0
        bits = max(high.bit_length(), (-low - 1).bit_length() if signed else 0, 1)
        return {"m": Stream(self.a.elements, self.a.lanes, bits + signed, signed)}

    @property
    def interval(self) -> int:
        """Cycles from one sample to the next."""
        return self.a.words

    @property
    def latency(self) -> int:
        """Cycles from two words to their sums."""
        return schedule.SUM_DEPTH

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute the sums (N, elements)."""
        return (np.asarray(samples[0], np.int64) + np.asarray(samples[1], np.int64),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Name the module; there is nothing to write."""
        return Instance(
            "zc_add",
            {
                "PE": self.a.lanes,
                "A_BITS": self.a.bits,
                "B_BITS": self.b.bits,
                "A_SIGNED": int(self.a.signed),
                "B_SIGNED": int(self.b.signed),
                "OUT_BITS": self.outputs["m"].bits,
            },
        )


@dataclass(frozen=True)
class AddVector:
    """A vector of levels added to every pixel of an image of levels, `zc_add_vector`.

    The next image's vector is taken while this one's is in use; an image waits for the whole of its vector.

    Attributes:
        image: height * width pixels, by channel, in words of `lanes` channels.
        vector: a pixel's channels, in words of as many.
        high: the largest sum; None for what the streams' bits allow.
    """

    image: Stream
    vector: Stream
    high: int | None = None

    def __post_init__(self) -> None:
        if self.image.lanes != self.vector.lanes or self.image.elements % self.vector.elements:
            raise NodeError(f"{self.vector} is no pixel of {self.image}, to be added to each")
        _check_unsigned(0, self.image, self.vector)

    @property
    def inputs(self) -> dict[str, Stream]:
        """The image, and the vector once for each."""
        return {"s": self.image, "v": self.vector}

    @property
    def outputs(self) -> dict[str, Stream]:
        """The sums."""
        high = _least(self.high, self.image.range[1] + self.vector.range[1])
        return {"m": replace(self.image, bits=_bits(high))}

    @property
    def interval(self) -> int:
        """Cycles from one image to the next."""
        return self.image.words

    @property
    def latency(self) -> int:
        """Cycles from a word of the image to its sums, the vector being there: since the cycle before at least."""
        return schedule.SUM_DEPTH

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute images (N, elements) from images (N, elements) and vectors (N, channels)."""
        images, vectors = (np.asarray(sample, np.int64) for sample in samples)
        pixels = images.reshape(len(images), -1, self.vector.elements)
        return ((pixels + vectors[:, None]).reshape(len(images), -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Name the module; there is nothing to write."""
        return Instance(
            "zc_add_vector",
            {
                "PE": self.image.lanes,
                "FOLDS": self.vector.words,
                "PIXELS": self.image.elements // self.vector.elements,
                "S_BITS": self.image.bits,
                "V_BITS": self.vector.bits,
                "OUT_BITS": self.outputs["m"].bits,
            },
        )


@dataclass(frozen=True)
class SumPool:
    """The sum over windows of levels that do not overlap, `zc_sumpool`; a window may be the whole image.

    Attributes:
        shape: (height, width, channels) of its input.
        kernel: (height, width) of a window, and the stride.
        pe: channels in a word.
        bits: of an input.
        high: the largest sum; None for what the bits allow.
    """

    shape: tuple[int, int, int]
    kernel: Pair
    pe: int
    bits: int
    high: int | None = None

    def __post_init__(self) -> None:
        check_folding("channels", self.shape[2], self.pe)
        if self.kernel[0] > self.shape[0] or self.kernel[1] > self.shape[1]:
            raise NodeError(f"a window of {self.kernel} is larger than its image {self.shape}")

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(height, width, channels): whole windows only."""
        return (self.shape[0] // self.kernel[0], self.shape[1] // self.kernel[1], self.shape[2])

    @property
    def slots(self) -> int:
        """Words of sums so far that are kept: a row of them."""
        return self.output_shape[1] * self.shape[2] // self.pe

    @property
    def inputs(self) -> dict[str, Stream]:
        """One image."""
        return {"s": Stream(math.prod(self.shape), self.pe, self.bits)}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One smaller image."""
        high = _least(self.high, math.prod(self.kernel) * self.inputs["s"].range[1])
        return {"m": Stream(math.prod(self.output_shape), self.pe, _bits(high))}

    @property
    def interval(self) -> int:
        """Cycles from one image to the next."""
        return self.inputs["s"].words

    @property
    def latency(self) -> int:
        """Cycles from a window's last word of a channel to that channel's output word."""
        return schedule.POOL_DEPTH

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute images (N, elements) from images (N, elements)."""
        rows, columns, channels = self.output_shape
        images = np.asarray(samples[0], np.int64).reshape(-1, *self.shape)
        whole = images[:, : rows * self.kernel[0], : columns * self.kernel[1]]
        windows = whole.reshape(-1, rows, self.kernel[0], columns, self.kernel[1], channels)
        return (windows.sum(axis=(2, 4)).reshape(len(images), -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Name the module; there is nothing to write."""
        return Instance(
            "zc_sumpool",
            {
                "HEIGHT": self.shape[0],
                "WIDTH": self.shape[1],
                "FOLDS": self.shape[2] // self.pe,
                "PE": self.pe,
                "BITS": self.bits,
                "OUT_BITS": self.outputs["m"].bits,
                "KERNEL_H": self.kernel[0],
                "KERNEL_W": self.kernel[1],
            },
        )


@dataclass(frozen=True)
class WindowSumPool:
    """The sum of each channel over windows that a depthwise `InputGenerator` gives, `zc_windowsum`.

    Attributes:
        windows: of an image.
        area: pixels of a window.
        channels: of a pixel.
        pe: channels in a word, the generator's `simd`.
        bits: of an input.
        high: the largest sum; None for what the bits allow.
    """

    windows: int
    area: int
    channels: int
    pe: int
    bits: int
    high: int | None = None

    def __post_init__(self) -> None:
        check_folding("channels", self.channels, self.pe)

    @property
    def inputs(self) -> dict[str, Stream]:
        """All windows of an image: by channel fold, pixel and channel."""
        return {"s": Stream(self.windows * self.area * self.channels, self.pe, self.bits)}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One smaller image."""
        high = _least(self.high, self.area * self.inputs["s"].range[1])
        return {"m": Stream(self.windows * self.channels, self.pe, _bits(high))}

    @property
    def interval(self) -> int:
        """Cycles from one image to the next."""
        return self.inputs["s"].words

    @property
    def latency(self) -> int:
        """Cycles from a window's last word of a channel to that channel's output word."""
        return schedule.POOL_DEPTH

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute images (N, windows * channels) from windows (N, elements)."""
        windows = np.asarray(samples[0], np.int64)
        folds = windows.reshape(len(windows), self.windows * self.channels // self.pe, self.area, self.pe)
        return (folds.sum(axis=2).reshape(len(windows), -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Name the module; there is nothing to write."""
        out_bits = self.outputs["m"].bits
        return Instance(
            "zc_windowsum", {"AREA": self.area, "PE": self.pe, "BITS": self.bits, "OUT_BITS": out_bits}
        )


def _least(high: int | None, most: int) -> int:
    return most if high is None else min(high, most)


def _bits(high: int) -> int:
    return max(1, high.bit_length())


def _check_unsigned(high: int | None, *streams: Stream) -> None:
    if high is not None and any(stream.signed for stream in streams):
        raise NodeError(f"levels count from 0, and one of these is signed: {streams}")
