"""The nodes between the nodes: padding, windows of an image, other word sizes, FIFOs.

FINN's own RTL (`finn_library.py`) where it has it and it maps well; this project's FIFO and pool. Images flow by
row, column and channel; the records are those of `nodes.py`.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from finn_flows.rtl.finn_library import copy_sources, generate_implementation, write_source
from finn_flows.rtl.nodes import Instance, NodeError, Stream

Pair = tuple[int, int]
_BLOCK_FIFO = (64, 4096)  # words and bits past which a FIFO is worth a block RAM


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
        _check_lanes("channels", self.shape[2], self.simd)
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
    """The windows of an image, one behind the other: FINN's ConvolutionInputGenerator_rtl.

    A window's elements flow by kernel row, kernel column and channel. `depthwise` moves the channel folds (groups of
    `simd` channels) in front of the kernel's rows and columns, which is what a pool wants.

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

    def __post_init__(self) -> None:
        _check_lanes("channels", self.shape[2], self.simd)
        for size, wide, by in zip(self.shape, self.kernel, self.stride, strict=False):
            if not 1 <= wide <= size or by < 1:
                raise NodeError(f"no windows of {self.kernel} by {self.stride} in an image of {self.shape}")
        if self.parallel and not self.depthwise and self.area > 1 and self.folds > 1:
            raise NodeError(
                f"a whole window at once needs all {self.shape[2]} channels in a word, not {self.simd}"
            )

    @property
    def area(self) -> int:
        """Pixels of a window."""
        return math.prod(self.kernel)

    @property
    def folds(self) -> int:
        """Words of a pixel."""
        return self.shape[2] // self.simd

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(rows of windows, windows in a row, elements of a window)."""
        rows, columns = (
            (size - wide) // by + 1
            for size, wide, by in zip(self.shape, self.kernel, self.stride, strict=False)
        )
        return (rows, columns, self.area * self.shape[2])

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
        """Cycles from one image to the next: the module takes the next image only after the last window."""
        if self._whole_words:
            return max(self.inputs["s"].words, self._last_needed + 2)
        return _sequential_interval(self)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute windows (N, elements) from images (N, elements)."""
        images = np.asarray(samples[0]).reshape(-1, *self.shape)
        windows = np.lib.stride_tricks.sliding_window_view(images, self.kernel, axis=(1, 2))
        windows = windows[:, :: self.stride[0], :: self.stride[1]]  # image, row, column, channel, kernel
        count, rows, columns = windows.shape[:3]
        split = windows.reshape(count, rows, columns, self.folds, self.simd, *self.kernel)
        order = (0, 1, 2, 3, 5, 6, 4) if self.depthwise else (0, 1, 2, 5, 6, 3, 4)
        return (split.transpose(order).reshape(count, -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Have FINN write its module, named by its configuration: equal generators share one."""
        module = self._module
        attributes = (
            ("ConvKernelDim", self.kernel),
            ("IFMChannels", self.shape[2]),
            ("IFMDim", self.shape[:2]),
            ("OFMDim", self.output_shape[:2]),
            ("SIMD", self.simd),
            ("Stride", self.stride),
            ("Dilation", (1, 1)),
            ("inputDataType", f"UINT{self.bits}"),
            ("outputDataType", f"UINT{self.bits}"),
            ("depthwise", int(self.depthwise)),
            ("parallel_window", int(self.parallel)),
            ("is1D", int(1 in self.shape[:2])),
            ("ram_style", self.ram_style),
        )
        written = generate_implementation("ConvolutionInputGenerator_rtl", attributes, module, folder)
        wrapper = _GENERATOR.format(
            module=module,
            bits=self.bits,
            simd=self.simd,
            area=self.area if self.parallel else 1,
            width_in=self.inputs["s"].width,
            width_out=self.outputs["m"].width,
        )
        library = copy_sources(folder, "swg/swg_pkg.sv", "swg/swg_common.sv")
        return Instance(module, {}, (*library, written, write_source(folder / f"{module}.sv", wrapper)))

    @property
    def _module(self) -> str:
        sizes = "_".join("x".join(map(str, size)) for size in (self.shape, self.kernel, self.stride))
        kind = ("_depthwise" if self.depthwise else "") + ("_parallel" if self.parallel else "")
        return f"zc_windows_{sizes}_{self.simd}_{self.bits}{kind}_{self.ram_style}"

    @property
    def _whole_words(self) -> bool:
        """Whether FINN builds registers and line buffers rather than one memory."""
        return self.parallel or self.area == 1

    @property
    def _last_needed(self) -> int:
        """The last word of the image that any window needs."""
        (rows, columns, _), width = self.output_shape, self.shape[1]
        row = (rows - 1) * self.stride[0] + self.kernel[0] - 1
        column = (columns - 1) * self.stride[1] + self.kernel[1] - 1
        return (row * width + column + 1) * self.folds - 1


_GENERATOR = """// FINN's generator with this project's ports: words without padding to bytes.
module {module} (
    input  logic clk,
    input  logic rst_n,
    input  logic [{width_in}-1:0] s_tdata,
    input  logic s_tvalid,
    output logic s_tready,
    output logic [{width_out}-1:0] m_tdata,
    output logic m_tvalid,
    input  logic m_tready
);
  {module}_impl #(.BIT_WIDTH({bits}), .SIMD({simd}), .MMV_IN(1), .MMV_OUT({area})) core (
      .ap_clk(clk),
      .ap_rst_n(rst_n),
      .in0_V_V_TDATA(s_tdata),
      .in0_V_V_TVALID(s_tvalid),
      .in0_V_V_TREADY(s_tready),
      .out_V_V_TDATA(m_tdata),
      .out_V_V_TVALID(m_tvalid),
      .out_V_V_TREADY(m_tready)
  );
endmodule
"""


@lru_cache(maxsize=256)
def _sequential_interval(generator: InputGenerator) -> int:
    """Return the cycles an image takes in FINN's module with one memory, whose steps this follows.

    A word is fetched the cycle after it was stored at the earliest. A word is stored once the one whose place it
    takes lies before the next fetch and before the run of fetches after the one that has begun.
    """
    total, places = generator.inputs["s"].words, _memory_words(generator)
    stored: list[int] = []  # the cycle of each word

    def store(bound: int, cycle: int) -> None:
        for _ in range(len(stored), min(bound, total)):
            stored.append(max(stored[-1] + 1 if stored else 0, cycle))

    store(places, 0)
    fetched = -1  # the cycle of the last fetch
    runs: list[list[int]] = [*_runs(generator), [total]]
    for run, following in pairwise(runs):
        for word, next_word in zip(run, [*run[1:], following[0]], strict=True):
            fetched = max(fetched, stored[word]) + 1
            store(places + min(following[0], next_word), fetched + 1)
    store(total, fetched + 1)
    return max(fetched + 1, stored[-1]) + 1  # the last word leaves the cycle after it was fetched


def _memory_words(generator: InputGenerator) -> int:
    """Return the size of FINN's memory: a window's rows, and what a stride lets it take ahead."""
    (rows, columns), (down, along), width = generator.kernel, generator.stride, generator.shape[1]
    pixels = (rows - 1) * width + columns
    pixels += max(0, along - 1 - generator.area) + max(0, (down - 1) * width - generator.area)
    return pixels * generator.folds


def _runs(generator: InputGenerator) -> list[list[int]]:
    """Return the image's words in the order they are fetched: a run a window, or a window and channel fold."""
    (rows, columns, _), (down, along), folds = generator.output_shape, generator.stride, generator.folds
    width = generator.shape[1]
    apart = generator.depthwise and folds > 1
    pixels = [
        row * width + column for row in range(generator.kernel[0]) for column in range(generator.kernel[1])
    ]
    runs = []
    for row in range(rows):
        for column in range(columns):
            corner = row * down * width + column * along
            words = [[(corner + pixel) * folds + fold for pixel in pixels] for fold in range(folds)]
            runs += words if apart else [[word for pixel in zip(*words, strict=True) for word in pixel]]
    return runs


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
        _check_lanes("elements", self.stream.elements, self.lanes)

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
        return _converter_interval(self.stream.words, self.outputs["m"].words)

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
            (*copy_sources(folder, "dwc/hdl/vpc.sv"), write_source(folder / "zc_converter.sv", _CONVERTER)),
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


@lru_cache(maxsize=1024)
def _converter_interval(words_in: int, words_out: int) -> int:
    """Return the cycles between samples that become so many words of so many.

    The rate of the side with more words where the one number divides the other. Where not, `vpc` has room for one
    word of either size, and decides before it knows what the other side does: sometimes it waits.
    """
    if words_in % words_out == 0 or words_out % words_in == 0:
        return max(words_in, words_out)
    common = math.gcd(words_in, words_out)
    give, take = words_in // common, words_out // common  # parts in a word, out and in
    room, given, cycle = give, 0, 0
    ends: list[int] = []  # cycles of the samples' last words
    while len(ends) < 4:
        takes, gives = room >= 0, room <= 0
        room += give * gives - take * takes
        given += gives
        if gives and given % words_out == 0:
            ends.append(cycle)
        cycle += 1
    return ends[-1] - ends[-2]


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
        _check_lanes("channels", self.channels, self.pe)

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


def _check_lanes(what: str, size: int, lanes: int) -> None:
    if lanes < 1 or size % lanes:
        raise NodeError(f"{lanes} at once do not divide {size} {what}")
