"""A core: a design behind a pair of AXI4-Streams (`zc_axi_stream.sv`), and the bytes of its samples and answers."""

from dataclasses import dataclass

import numpy as np

from zerocross.finn_flows.chip.serial_line import SerialLink
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
        top, source, sink = self.width - 1, self.source, self.sink
        parameters = {
            "BYTES": self.word_bytes,
            "SAMPLE_WORDS": self.sample_words,
            "ANSWER_WORDS": self.answer_words,
            "IN_WIDTH": source.width,
            "IN_WORDS": source.words,
            "OUT_LANES": sink.lanes,
            "OUT_BITS": sink.bits,
            "OUT_SIGNED": int(sink.signed),
            "OUT_WORDS": sink.words,
            "OUT_BYTES": self.element_bytes,
        }
        ports = [
            f"{side}_axis_{signal}" for side in "sm" for signal in ("tdata", "tlast", "tvalid", "tready")
        ]
        inner = [f"{side}_{signal}" for side in "sm" for signal in ("tdata", "tvalid", "tready")]
        return "\n".join(
            [
                "// SPDX-License-Identifier: BSD-3-Clause",
                f"module {self.name} (",
                "    input  logic aclk,",
                "    input  logic aresetn,",
                f"    input  logic [{top}:0] s_axis_tdata,",
                "    input  logic s_axis_tlast,",
                "    input  logic s_axis_tvalid,",
                "    output logic s_axis_tready,",
                f"    output logic [{top}:0] m_axis_tdata,",
                "    output logic m_axis_tlast,",
                "    output logic m_axis_tvalid,",
                "    input  logic m_axis_tready",
                ");",
                f"  logic [{source.width - 1}:0] s_tdata;",
                f"  logic [{sink.width - 1}:0] m_tdata;",
                "  logic s_tvalid, s_tready, m_tvalid, m_tready;",
                f"  zc_axi_stream #({', '.join(f'.{key}({value})' for key, value in parameters.items())}) streams (",
                "    .aclk(aclk), .aresetn(aresetn),",
                *(f"    .{port}({port})," for port in ports),
                ",\n".join(f"    .core_{port}({port})" for port in inner) + ");",
                f"  {self.design} accelerator (",
                "    .clk(aclk), .rst_n(aresetn),",
                ",\n".join(f"    .{port}({port})" for port in inner) + ");",
                "endmodule",
                "",
            ]
        )
