"""How many cycles the hardware that is built takes: what a plan's estimate and the RTL's own records agree on.

An interval is the cycles from one sample to the next where nothing makes a node wait; a depth is the cycles from a
word that is taken to the word it completes. All were found by reading the RTL, and hold in simulation.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

Pair = tuple[int, int]

FIFO_DEPTH = CONVERTER_DEPTH = PADDING_DEPTH = POOL_DEPTH = SUM_DEPTH = 1
LABEL_DEPTH = 2


def product_depth(simd: int, input_bits: int, words: int, passes: int, block_ram: bool = True) -> int:
    """Return the depth of a product: reading, popcounts, sums of popcounts and of bit planes, accumulators.

    Args:
        simd: inputs at a time.
        input_bits: bits of an input.
        words: words of an input vector.
        passes: times that a vector is read; where that is once, it is not buffered.
        block_ram: whether its weights are in block RAM, which answers a cycle later than LUTs. Weights of one word and
            one pass are constants.
    """
    constant = words * passes == 1
    left, majorities, level = simd, 0, 0
    while left > 1 if constant else level < 2:  # triples, triples of their parities, and so on
        left, level = math.ceil(left / 3), level + 1
        majorities += left
    sixes = math.ceil(majorities / 6)
    sums = max(0, sixes - 1).bit_length() + (input_bits - 1).bit_length()
    return 4 + sums + (0 if constant else 1 + block_ram) + (passes > 1)


def planes_depth(weight_bits: int, offsets: bool) -> int:
    """Return the cycles that a product takes longer for weights of several bits: sums of planes, offsets taken off."""
    return 0 if weight_bits == 1 else 1 + (weight_bits - 1).bit_length() + offsets


def grouped_depth(simd: int, input_bits: int) -> int:
    """Return the depth of a grouped product: reading, terms, their sum or popcount, accumulators."""
    if input_bits > 1 or simd == 1:
        return 3 + (simd - 1).bit_length()
    return 4 + (math.ceil(simd / 6) - 1).bit_length()


def crossings_depth(way: str, most: int) -> int:
    """Return the depth of a crossing site built in a way, with so many crossings in a row at most."""
    return most.bit_length() if way == "search" else 1 if way.startswith("table") else 2


def converter_interval(words_in: int, words_out: int) -> int:
    """Return the interval of a width converter.

    Where the one number divides the other that is the larger. Else FINN's `vpc`, which has room for one word of
    either size and decides before it knows what the other side does, takes and gives in the same cycle only when
    words of both sizes end together.
    """
    return words_in + words_out - math.gcd(words_in, words_out)


def windows_depth(at_once: bool) -> int:
    """Return the depth of an input generator: a word is kept first, and fetched later, unless windows come whole."""
    return 1 if at_once else 2


@dataclass(frozen=True)
class Windows:
    """What `zc_windows` does: an image's windows, word by word.

    Words are stored in a ring while windows are fetched, until it is full; a window that begins further on than the ring
    reaches waits for its words.

    Attributes:
        shape: (height, width) of the image.
        kernel: (height, width) of a window, not larger than the image.
        stride: (down, along).
        folds: words of a pixel.
        apart: whether the folds come first in a window, each with all pixels, as a pool wants them.
        dilation: (down, along) distance of the pixels under the kernel.
    """

    shape: Pair
    kernel: Pair
    stride: Pair
    folds: int
    apart: bool = False
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
        if self.apart:  # the first fold's last pixel is the first fetch that may have to wait
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
def followed_interval(windows: Windows) -> int:
    """Return the interval of `zc_windows` by following its steps, which takes milliseconds.

    A word is fetched the cycle after it was stored at the earliest, and stored the cycle after a place was freed.
    """
    (height, width), kernel, stride, folds = windows.shape, windows.kernel, windows.stride, windows.folds
    (rows, columns), places = windows.counts, windows.places
    total, images = height * width * folds, 4
    down, along = windows.dilation
    pixels = (np.arange(kernel[0])[:, None] * down * width + np.arange(kernel[1]) * along).ravel() * folds
    every = np.arange(folds)
    order = (every[:, None] + pixels if windows.apart else pixels[:, None] + every).ravel()
    steps = np.arange(len(order))
    early = kernel[1] * (1 if windows.apart else folds) - 1  # the first kernel row's last fetch
    early += (len(order) - len(order) // folds) if windows.apart else 0  # of the last fold

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
