"""The nodes between the nodes: padding, windows of an image, other word sizes, FIFOs.

They do what FINN's nodes of these names do. Images flow by row, column and channel; the records are those of
`nodes.py`.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zerocross.finn_flows import schedule
from zerocross.finn_flows.rtl.finn_library import copy_source, write_source
from zerocross.finn_flows.rtl.nodes import Instance, NodeError, Stream, check_folding

Pair = tuple[int, int]
_BLOCK_FIFO = (32, 2048)  # words and bits past which a FIFO is worth a block RAM


@dataclass(frozen=True)
class Padding:
    """Zeros around an image, `zc_padding`; of bits, a 0 is a -1.

    FINN's own core runs ahead: it gives the zeros of an image that has not come.

    Attributes:
        shape: (height, width, channels) of the image.
        amounts: rows above, columns left, rows below, columns right.
        simd: channels in a word.
        bits: of an element.
        signed: whether elements are two's complement.
    """

    shape: tuple[int, int, int]
    amounts: tuple[int, int, int, int]
    simd: int
    bits: int = 1
    signed: bool = False

    def __post_init__(self) -> None:
        check_folding("channels", self.shape[2], self.simd)
        if min(self.amounts) < 0:
            raise NodeError(f"padding by {self.amounts} would cut the image")

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the padded image."""
        top, left, bottom, right = self.amounts
        return (self.shape[0] + top + bottom, self.shape[1] + left + right, self.shape[2])

    @property
    def inputs(self) -> dict[str, Stream]:
        """One image."""
        return {"s": Stream(math.prod(self.shape), self.simd, self.bits, self.signed)}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One larger image."""
        return {"m": Stream(math.prod(self.output_shape), self.simd, self.bits, self.signed)}

    @property
    def interval(self) -> int:
        """Cycles from one image to the next."""
        return self.outputs["m"].words

    @property
    def latency(self) -> int:
        """Cycles from a word of the image to its own place in the output."""
        return schedule.PADDING_DEPTH

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute images (N, elements) from images (N, elements)."""
        top, left, bottom, right = self.amounts
        images = np.asarray(samples[0]).reshape(-1, *self.shape)
        padded = np.pad(images, ((0, 0), (top, bottom), (left, right), (0, 0)))
        return (padded.reshape(len(images), -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Name the module; there is nothing to write."""
        top, left, bottom, right = self.amounts
        return Instance(
            "zc_padding",
            {
                "HEIGHT": self.shape[0],
                "WIDTH": self.shape[1],
                "TOP": top,
                "LEFT": left,
                "BOTTOM": bottom,
                "RIGHT": right,
                "FOLDS": self.shape[2] // self.simd,
                "BITS": self.inputs["s"].width,
            },
        )


@dataclass(frozen=True)
class InputGenerator:
    """The windows of an image, one behind the other: `zc_windows`, or `zc_windows_parallel`; `..._dilated`.

    A window's elements flow by kernel row, kernel column and channel. `depthwise` moves the channel folds (groups of
    `simd` channels) in front of the kernel's rows and columns, which is what a pool wants. The streams are those of
    FINN's ConvolutionInputGenerator_rtl, which refuses some strides, gets stuck at others, and is twice the size.

    Attributes:
        shape: (height, width, channels) of the image.
        kernel: (height, width) of a window.
        stride: (down, along), in pixels.
        simd: channels in a word.
        bits: of an element.
        parallel: whether a word holds a whole window (of `simd` channels); dense windows then need all channels.
        depthwise: whether the channel folds come first.
        signed: whether elements are two's complement.
        ram_style: "auto", "block" or "distributed", where the image's rows are kept.
        dilation: (down, along) distance of the pixels under the kernel.
    """

    shape: tuple[int, int, int]
    kernel: Pair
    stride: Pair
    simd: int
    bits: int = 1
    parallel: bool = False
    depthwise: bool = False
    signed: bool = False
    ram_style: str = "auto"
    dilation: Pair = (1, 1)

    def __post_init__(self) -> None:
        check_folding("channels", self.shape[2], self.simd)
        for size, wide, by, reach in zip(self.shape, self.kernel, self.stride, self.reach, strict=False):
            if not 1 <= wide <= reach <= size or by < 1:
                apart = "" if self.reach == self.kernel else f", {self.dilation} apart,"
                raise NodeError(
                    f"no windows of {self.kernel}{apart} by {self.stride} in an image of {self.shape}"
                )
        if self.parallel and not self.depthwise and self.area > 1 and self.folds > 1:
            raise NodeError(
                f"a whole window at once needs all {self.shape[2]} channels in a word, not {self.simd}"
            )

    @property
    def area(self) -> int:
        """Pixels of a window."""
        return math.prod(self.kernel)

    @property
    def reach(self) -> Pair:
        """Height and width of what the kernel covers."""
        return self.windows.reach

    @property
    def folds(self) -> int:
        """Words of a pixel."""
        return self.shape[2] // self.simd

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(rows of windows, windows in a row, elements of a window)."""
        return (*self.windows.counts, self.area * self.shape[2])

    @property
    def inputs(self) -> dict[str, Stream]:
        """One image."""
        return {"s": Stream(math.prod(self.shape), self.simd, self.bits, self.signed)}

    @property
    def outputs(self) -> dict[str, Stream]:
        """All windows of an image."""
        lanes = self.simd * (self.area if self.parallel else 1)
        return {"m": Stream(math.prod(self.output_shape), lanes, self.bits, self.signed)}

    @property
    def interval(self) -> int:
        """Cycles from one image to the next."""
        return self.inputs["s"].words if self.at_once else self.windows.interval

    @property
    def latency(self) -> int:
        """Cycles from the last word that the first window's first word needs to that word."""
        return schedule.windows_depth(self.at_once)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute windows (N, elements) from images (N, elements)."""
        images = np.asarray(samples[0]).reshape(-1, *self.shape)
        windows = np.lib.stride_tricks.sliding_window_view(images, self.reach, axis=(1, 2))
        windows = windows[:, :: self.stride[0], :: self.stride[1]]  # image, row, column, channel, kernel
        windows = windows[..., :: self.dilation[0], :: self.dilation[1]]
        count, rows, columns = windows.shape[:3]
        split = windows.reshape(count, rows, columns, self.folds, self.simd, *self.kernel)
        order = (0, 1, 2, 3, 5, 6, 4) if self.depthwise else (0, 1, 2, 5, 6, 3, 4)
        return (split.transpose(order).reshape(count, -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Name the module; there is nothing to write."""
        parameters: dict[str, int | str] = {
            "HEIGHT": self.shape[0],
            "WIDTH": self.shape[1],
            "FOLDS": self.folds,
            "KERNEL_H": self.kernel[0],
            "KERNEL_W": self.kernel[1],
            "STRIDE_H": self.stride[0],
            "STRIDE_W": self.stride[1],
            "BITS": self.inputs["s"].width,
            "RAM_STYLE": self.ram_style,
        }
        dilated = self.reach != self.kernel
        if dilated:
            parameters |= {"DILATION_H": self.dilation[0], "DILATION_W": self.dilation[1]}
        module = "zc_windows_parallel" if self.at_once else "zc_windows"
        if not self.at_once:
            parameters |= {"APART": int(self.depthwise), "PLACES": self.windows.places}
        return Instance(f"{module}_dilated" if dilated else module, parameters)

    @property
    def at_once(self) -> bool:
        """Whether a word holds all of a window's pixels."""
        return self.parallel or self.area == 1

    @property
    def windows(self) -> schedule.Windows:
        """How windows follow each other."""
        sizes = self.shape[:2], self.kernel, self.stride, self.folds, self.depthwise
        return schedule.Windows(*sizes, self.dilation)


@dataclass(frozen=True)
class WidthConverter:
    """A stream in words of another size, FINN's vector pack converter `vpc`; any two sizes.

    Attributes:
        stream: the stream.
        lanes: elements in a word behind it; divides the stream's elements.
    """

    stream: Stream
    lanes: int

    def __post_init__(self) -> None:
        check_folding("elements", self.stream.elements, self.lanes)

    @property
    def inputs(self) -> dict[str, Stream]:
        """The stream."""
        return {"s": self.stream}

    @property
    def outputs(self) -> dict[str, Stream]:
        """The stream in its new words."""
        stream = self.stream
        return {"m": Stream(stream.elements, self.lanes, stream.bits, stream.signed)}

    @property
    def interval(self) -> int:
        """Cycles from one sample to the next."""
        return schedule.converter_interval(self.stream.words, self.outputs["m"].words)

    @property
    def latency(self) -> int:
        """Cycles from the last word that the first output word needs to that word."""
        return 0 if self.lanes == self.stream.lanes else schedule.CONVERTER_DEPTH

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the samples (N, elements) as they are."""
        return (np.asarray(samples[0]),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Copy FINN's core and write the module around it."""
        return Instance(
            "zc_converter",
            {
                "BITS": self.stream.bits,
                "LANES_IN": self.stream.lanes,
                "LANES_OUT": self.lanes,
                "COMMON": math.lcm(self.stream.lanes, self.lanes),
            },
            (copy_source(folder, "dwc/hdl/vpc.sv"), write_source(folder / "zc_converter.sv", _CONVERTER)),
        )


_CONVERTER = """// FINN's vector pack converter with this project's ports.
module zc_converter #(
    parameter int BITS = 1,
    parameter int LANES_IN = 2,
    parameter int LANES_OUT = 4,
    parameter int COMMON = 4  // the least common multiple of the two: elements after which both begin a word
) (
    input  logic                      clk,
    input  logic                      rst_n,
    input  logic [LANES_IN*BITS-1:0]  s_tdata,
    input  logic                      s_tvalid,
    output logic                      s_tready,
    output logic [LANES_OUT*BITS-1:0] m_tdata,
    output logic                      m_tvalid,
    input  logic                      m_tready
);
  vpc #(
      .W (BITS),
      .N (COMMON),
      .PI(LANES_IN),
      .PO(LANES_OUT)
  ) core (
      .clk (clk),
      .rst (!rst_n),
      .idat(s_tdata),
      .ivld(s_tvalid),
      .irdy(s_tready),
      .odat(m_tdata),
      .ovld(m_tvalid),
      .ordy(m_tready)
  );
endmodule
"""


@dataclass(frozen=True)
class Fifo:
    """A FIFO, `zc_fifo`: a word is offered the cycle after it was taken, whatever the style.

    Two words are the least, and keep full rate. With `probe` a simulation prints "FIFO <instance> <high water>" at
    its end: the most words that any word found in the FIFO as it was taken, itself included. A FIFO of that depth is
    ready whenever a word comes, so that (nodes being deaf to ready while they offer nothing, as all here are) every
    word flows in the same cycle as with a deeper one.

    Attributes:
        stream: the stream.
        depth: words it holds; 0 and 1 mean 2.
        style: "registers" (two words), "distributed" (LUT memory), "block", or "auto".
        probe: whether a simulation prints the high-water mark.
    """

    stream: Stream
    depth: int
    style: str = "auto"
    probe: bool = False

    def __post_init__(self) -> None:
        if self.style not in ("auto", "registers", "distributed", "block"):
            raise NodeError(f"no style of FIFO is called {self.style!r}")
        if self.style == "registers" and self.depth > 2:
            raise NodeError(f"a FIFO of registers holds 2 words, not {self.depth}")

    @property
    def inputs(self) -> dict[str, Stream]:
        """The stream."""
        return {"s": self.stream}

    @property
    def outputs(self) -> dict[str, Stream]:
        """The stream, later."""
        return {"m": self.stream}

    @property
    def interval(self) -> int:
        """Cycles from one sample to the next."""
        return self.stream.words

    @property
    def latency(self) -> int:
        """Cycles from a word to the same word."""
        return schedule.FIFO_DEPTH

    @property
    def way(self) -> str:
        """The style, "auto" resolved."""
        if self.style != "auto":
            return self.style
        if self.depth <= 2:
            return "registers"
        words, bits = _BLOCK_FIFO
        deep = self.depth > words and self.depth * self.stream.width > bits
        return "block" if deep and not self.probe else "distributed"

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the samples (N, elements) as they are."""
        return (np.asarray(samples[0]),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Name the module; there is nothing to write."""
        return Instance(
            "zc_fifo",
            {
                "WIDTH": self.stream.width,
                "DEPTH": max(2, self.depth),
                "STYLE": self.way,
                "PROBE": int(self.probe),
            },
        )


@dataclass(frozen=True)
class WindowMaxPool:
    """The maximum of each channel over windows that a depthwise `InputGenerator` gives, `zc_windowpool`.

    Attributes:
        windows: of an image.
        area: pixels of a window.
        channels: of a pixel.
        pe: channels in a word, the generator's `simd`.
        bits: of an element.
        signed: whether elements are two's complement.
    """

    windows: int
    area: int
    channels: int
    pe: int
    bits: int = 1
    signed: bool = False

    def __post_init__(self) -> None:
        check_folding("channels", self.channels, self.pe)

    @property
    def inputs(self) -> dict[str, Stream]:
        """All windows of an image: by channel fold, pixel and channel."""
        return {"s": Stream(self.windows * self.area * self.channels, self.pe, self.bits, self.signed)}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One smaller image."""
        return {"m": Stream(self.windows * self.channels, self.pe, self.bits, self.signed)}

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
        windows = np.asarray(samples[0])
        folds = windows.reshape(len(windows), self.windows * self.channels // self.pe, self.area, self.pe)
        return (folds.max(axis=2).reshape(len(windows), -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Name the module; there is nothing to write."""
        return Instance(
            "zc_windowpool",
            {"AREA": self.area, "PE": self.pe, "BITS": self.bits, "SIGNED": int(self.signed)},
        )
