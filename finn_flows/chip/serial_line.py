"""A design on a board: the top with clock, reset and serial line, and the protocol between host and device.

zc_serial.sv describes the frames. `accelerator.py` is the host.
"""

import binascii
from dataclasses import dataclass

import numpy as np

from zerocross.finn_flows.boards import Board
from zerocross.finn_flows.chip.clocks import pll, primitive
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.families import get_family
from zerocross.finn_flows.families.pll import Pll
from zerocross.finn_flows.nodes.stream import Stream, from_bits, to_bits

PROTOCOL = 2  # 1: requests had no number
REQUEST, ANSWER = b"\xa5", b"\x5a"
RUN, IDENTIFY, ERROR = b"R", b"I", b"E"
IDENTITY_BYTES, NUMBER_BYTES = 10, 4
FRAME_BYTES = 4 + NUMBER_BYTES  # of a request or its answer, besides sample and output
BITS_A_BYTE = 10  # with start and stop
_PATIENCE = 0.1  # seconds of silence after which the device forgets a frame
_BAUD_ERROR = 0.02  # receivers sample a byte's last bit 9.5 bits after its first edge


BAUD = 115_200
"""Usual bits per second of the line."""


class LineError(FlowError):
    """A serial line cannot be built, or samples do not fit it; the message says why."""


@dataclass(frozen=True)
class SerialLink:
    """The settings that host and device share.

    Attributes:
        source: Input of the design.
        sink: Output of the design.
        design_id: 32 bits with which the host checks that the board runs its design.
        baud: Bits per second.
    """

    source: Stream
    sink: Stream
    design_id: int
    baud: int = BAUD

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample."""
        return (self.source.elements * self.source.bits + 7) // 8

    @property
    def output_bytes(self) -> int:
        """Bytes of an output."""
        return (self.sink.elements * self.sink.bits + 7) // 8

    @property
    def identity(self) -> bytes:
        """Identity that the device reports: protocol, design, bytes of a sample and bytes of an output."""
        return (
            bytes([PROTOCOL])
            + (self.design_id & 0xFFFFFFFF).to_bytes(4, "little")
            + self.sample_bytes.to_bytes(3, "little")
            + self.output_bytes.to_bytes(2, "little")
        )

    def pack(self, samples: np.ndarray) -> list[bytes]:
        """Convert samples (N, elements) to the bytes that are sent, with elements in the order of the stream.

        Raises:
            LineError: If the samples have another shape, or values out of the input's range.
        """
        samples = np.asarray(samples)
        if samples.ndim != 2 or samples.shape[1] != self.source.elements:
            raise LineError(
                f"samples must have the shape (N, {self.source.elements}), not {tuple(samples.shape)}"
            )
        low, high = self.source.range
        if samples.size and not (low <= samples.min() and samples.max() <= high):
            raise LineError(
                f"inputs are {low} to {high}, but the samples have {samples.min()} to {samples.max()}"
            )
        bits = to_bits(samples, self.source.bits)
        return [row.tobytes() for row in np.packbits(bits, axis=1, bitorder="little")]

    def unpack(self, answers: list[bytes]) -> np.ndarray:
        """Convert the bytes received for each sample to outputs (N, elements)."""
        rows = np.frombuffer(b"".join(answers), np.uint8).reshape(len(answers), self.output_bytes)
        bits = np.unpackbits(rows, axis=1, bitorder="little")[:, : self.sink.elements * self.sink.bits]
        return from_bits(bits, self.sink.bits, self.sink.signed)


_LINE_CELLS = 450  # LUT4s of the line, the reset and the LED, measured for samples of 8 to 784 bytes
_LINE_FLOPS = 40  # flip-flops that share no logic cell with a LUT, besides the words


def line_cells(link: SerialLink, family: str) -> int:
    """Return what the serial line takes of a part's logic, with reset and LED: logic cells, or LUTs.

    Registers gather the words of the design, so a wide word needs many logic cells; they fit beside the LUTs of other parts.
    """
    if not get_family(family).logic_cells:
        return _LINE_CELLS
    return _LINE_CELLS + _LINE_FLOPS + link.source.width + link.sink.width


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def checksum(data: bytes) -> bytes:
    """CRC-16/MCRF4XX, which is the standard library's CRC-CCITT with the bits of each byte reversed."""
    return binascii.crc_hqx(data.translate(_REVERSED), 0xFFFF).to_bytes(2, "big").translate(_REVERSED)


def frame(start: bytes, kind: bytes, payload: bytes = b"") -> bytes:
    """Frame a request or an answer."""
    return start + kind + payload + checksum(kind + payload)


def design_clock(board: Board, clock_mhz: float | None) -> tuple[float, Pll | None]:
    """Return a design's clock on a board in MHz, and the PLL that generates it; None for the board's own clock.

    Args:
        board: Board or bare part.
        clock_mhz: Requested clock in MHz; by default, the board's own.

    Raises:
        Unreachable: If the PLL cannot generate the clock.
        LineError: If no clock is given for a bare part.
    """
    wanted = clock_mhz or board.clock_mhz
    if not wanted:
        raise LineError(f"{board.name} has no clock of its own: give the clock at its pin, in MHz")
    if not board.clock_mhz:
        return wanted, None
    if abs(wanted - board.clock_mhz) < 1e-3 * wanted:
        return board.clock_mhz, None
    settings = pll(board.family, board.clock_mhz, wanted, board.device.die)
    return settings.output_mhz, settings


def serial_top(name: str, design: str, link: SerialLink, board: Board, clock_mhz: float | None = None) -> str:
    """Return the SystemVerilog top of a board: clock, reset, serial line, and the design as instance `accelerator`.

    Args:
        name: Name of the top module. Its ports are clk, rx, tx and, if the board has an LED, led. The LED blinks once in one
            or two seconds while the design is idle.
        design: Top module of the design, with `clk`, `rst_n` and the streams `s` and `m`.
        link: Settings shared with the host.
        board: Board or bare part.
        clock_mhz: Clock of the design in MHz; by default, the board's own.

    Raises:
        Unreachable: If the board cannot generate the clock.
        LineError: If the link's baud rate cannot be derived from the clock.
    """
    clock, settings = design_clock(board, clock_mhz)
    ports = ["input logic clk", "input logic rx", "output logic tx"] + ["output logic led"] * bool(board.led)
    lines = [f"module {name} (\n    " + ",\n    ".join(ports) + "\n);"]
    if settings is None:
        lines += ["  wire design_clk = clk;", "  wire locked = 1'b1;"]
    else:
        kind = primitive(board.family)
        lines = [*kind.declaration, *lines, "  logic design_clk, locked;"]
        lines += kind.instance(settings, board.clock_at_pll)
    lines += ["  logic rst_n, active;"]
    lines += ["  zc_serial_reset power_on (.clk(design_clk), .locked(locked), .rst_n(rst_n));"]
    lines += _line_and_design(design, link, cycles_per_bit(clock, link.baud), round(_PATIENCE * clock * 1e6))
    if board.led:
        beat = round(clock * 1e6).bit_length()
        lines += [
            f"  logic [{beat - 1}:0] beat;",
            "  always_ff @(posedge design_clk) beat <= rst_n ? beat + 1'b1 : '0;",
            f"  assign led = {'!' if board.led_low else ''}(beat[{beat - 1}] || active);",
        ]
    return "\n".join([*lines, "endmodule", ""])


def simulated_top(name: str, design: str, link: SerialLink, divider: int = 8, drift: float = 1.0) -> str:
    """Return the SystemVerilog top for simulation: line and design of a board, and the host's UART at the other end.

    A word on the stream `host` is a byte to send. A word with bit 8 set waits until the line has been quiet for twice the
    device's time-out, and then a word appears on the stream `quiet`. Received bytes are printed as "heard 5a".

    Args:
        name: Name of the top module.
        design: Top module of the design.
        link: Settings shared with the host.
        divider: Clock cycles per bit. The device drops a frame that pauses for the time of twelve bytes.
        drift: Length of the host's bits relative to the device's.
    """
    patience, host_divider = 120 * divider, round(divider * drift)
    lines = [
        f"module {name} (",
        "    input logic clk, input logic rst_n,",
        "    input logic [8:0] host_tdata, input logic host_tvalid, output logic host_tready,",
        "    output logic [0:0] quiet_tdata, output logic quiet_tvalid, input logic quiet_tready",
        ");",
        "  wire design_clk = clk;",
        "  logic rx, tx, active, sent, heard_valid;",
        "  logic [7:0] heard;",
        *_line_and_design(design, link, divider, patience),
        f"  zc_uart_tx #(.DIVIDER({host_divider})) mouth (.clk, .rst_n, .s_tdata(host_tdata[7:0]),",
        "    .s_tvalid(host_tvalid && !host_tdata[8]), .s_tready(sent), .tx(rx));",
        f"  zc_uart_rx #(.DIVIDER({host_divider})) ear (.clk, .rst_n, .rx(tx), .data(heard), .valid(heard_valid));",
        "  int silent;",
        "  always_ff @(posedge clk) begin",
        '    if (heard_valid) $display("heard %02x", heard);',
        '    if (quiet_tvalid && quiet_tready) $display("quiet");',
        "    if (!rst_n || active || !sent || !tx || heard_valid || (host_tvalid && host_tready)) silent <= 0;",
        f"    else if (silent < {2 * patience}) silent <= silent + 1;",
        "  end",
        "  assign quiet_tdata = 1'b0;",
        f"  assign quiet_tvalid = host_tvalid && host_tdata[8] && silent == {2 * patience};",
        "  assign host_tready = host_tdata[8] ? quiet_tvalid && quiet_tready : sent;",
        "endmodule",
        "",
    ]
    return "\n".join(lines)


def _line_and_design(design: str, link: SerialLink, divider: int, timeout: int) -> list[str]:
    identity = int.from_bytes(link.identity, "little")
    parameters = {
        "DIVIDER": str(divider),
        "TIMEOUT": str(timeout),
        "IN_WIDTH": str(link.source.width),
        "IN_WORDS": str(link.source.words),
        "OUT_WIDTH": str(link.sink.width),
        "OUT_WORDS": str(link.sink.words),
        "IDENTITY": f"80'h{identity:020x}",
    }
    given = ", ".join(f".{key}({value})" for key, value in parameters.items())
    return [
        "  logic design_rst_n;",
        f"  logic [{link.source.width - 1}:0] s_tdata;",
        "  logic s_tvalid, s_tready;",
        f"  logic [{link.sink.width - 1}:0] m_tdata;",
        "  logic m_tvalid, m_tready;",
        f"  zc_serial #({given}) serial_line (",
        "    .clk(design_clk), .rst_n(rst_n), .rx(rx), .tx(tx), .active(active), .design_rst_n(design_rst_n),",
        "    .m_tdata(s_tdata), .m_tvalid(s_tvalid), .m_tready(s_tready),",
        "    .s_tdata(m_tdata), .s_tvalid(m_tvalid), .s_tready(m_tready));",
        f"  {design} accelerator (",
        "    .clk(design_clk), .rst_n(design_rst_n),",
        "    .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),",
        "    .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready));",
    ]


def cycles_per_bit(clock_mhz: float, baud: int) -> int:
    """Return the cycles of a bit on the line.

    Raises:
        LineError: If the baud rate cannot be derived from the clock.
    """
    exact = clock_mhz * 1e6 / baud
    if exact < 8:
        raise LineError(
            f"{baud} baud is too fast for a clock of {clock_mhz:g} MHz: use at most {clock_mhz * 1e6 / 8:.0f} baud, or a "
            "faster clock"
        )
    if abs(round(exact) / exact - 1) > _BAUD_ERROR:
        raise LineError(
            f"{baud} baud cannot be derived from {clock_mhz:g} MHz: use {clock_mhz * 1e6 / round(exact):.0f}, the "
            "nearest possible rate"
        )
    return round(exact)
