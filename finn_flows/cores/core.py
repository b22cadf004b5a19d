"""A core: a design behind a pair of AXI4-Streams (`zc_axi_stream.sv`), and the bytes of its samples and answers."""

from dataclasses import dataclass

import numpy as np

from zerocross.finn_flows.chip.serial_line import SerialLink
from zerocross.finn_flows.cores.filling import filled
from zerocross.finn_flows.nodes.stream import Stream, to_bits


@dataclass(frozen=True)
class Core:
    """A design behind AXI4-Stream.

    Attributes:
        name: Name of the top module, an identifier.
        design: Top module of the design.
        link: Streams of the design, and the settings of its serial line.
        word_bytes: Bytes of a word of both AXI streams.
    """

    name: str
    design: str
    link: SerialLink
    word_bytes: int = 1

    @property
    def source(self) -> Stream:
        """Input of the design."""
        return self.link.source

    @property
    def sink(self) -> Stream:
        """Output of the design."""
        return self.link.sink

    @property
    def width(self) -> int:
        """Bits of a word."""
        return 8 * self.word_bytes

    @property
    def element_bytes(self) -> int:
        """Bytes of an element of an answer: 1, 2, 4 or 8."""
        return 1 << max(0, (-(-self.sink.bits // 8) - 1).bit_length())

    @property
    def sample_words(self) -> int:
        """Words of a sample."""
        return -(-self.source.elements * self.source.bits // self.width)

    @property
    def answer_words(self) -> int:
        """Words of an answer."""
        return -(-self.sink.elements * self.element_bytes // self.word_bytes)

    def samples(self, elements: np.ndarray) -> np.ndarray:
        """Convert samples (N, elements) to words, (N, sample_words, word_bytes) bytes, the lowest first."""
        packed = np.packbits(to_bits(elements, self.source.bits), axis=1, bitorder="little")
        return self._words(packed, self.sample_words)

    def answers(self, elements: np.ndarray) -> np.ndarray:
        """Convert outputs (N, elements) to words, (N, answer_words, word_bytes) bytes, the lowest first."""
        bits = to_bits(elements, 8 * self.element_bytes)
        return self._words(np.packbits(bits, axis=1, bitorder="little"), self.answer_words)

    def _words(self, rows: np.ndarray, words: int) -> np.ndarray:
        padded = np.zeros((len(rows), words * self.word_bytes), np.uint8)
        padded[:, : rows.shape[1]] = rows
        return padded.reshape(len(rows), words, self.word_bytes)

    def top(self) -> str:
        """Return the SystemVerilog of the top module: the design and `zc_axi_stream`."""
        source, sink = self.source, self.sink
        values = {
            "name": self.name,
            "design": self.design,
            "msb": self.width - 1,
            "bytes": self.word_bytes,
            "sample_words": self.sample_words,
            "answer_words": self.answer_words,
            "in_width": source.width,
            "in_words": source.words,
            "out_width": sink.width,
            "out_lanes": sink.lanes,
            "out_bits": sink.bits,
            "out_signed": int(sink.signed),
            "out_words": sink.words,
            "out_bytes": self.element_bytes,
        }
        return filled("top.sv", values)
