"""The host's end of a serial line: sends samples to a board or its simulation, and receives the outputs."""

import errno
import fcntl
import os
import secrets
import termios
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from zerocross.finn_flows.chip.serial_line import (
    ANSWER,
    ERROR,
    IDENTIFY,
    IDENTITY_BYTES,
    NUMBER_BYTES,
    PROTOCOL,
    REQUEST,
    RUN,
    SerialLink,
    checksum,
    frame,
    simulated_top,
)
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.nodes.stream import to_bits
from zerocross.finn_flows.rtl.simulation import Port, Simulator, compile_design


class BoardError(FlowError):
    """The host cannot communicate with a board; the message says what is wrong and what to try."""


class NoDevice(BoardError):
    """No serial device has the name, the user lacks the permission for it, or another program uses it."""


class NoAnswer(BoardError):
    """The board sends no answer, or no valid one."""


class WrongDesign(BoardError):
    """The board runs another design."""


class _Noise(Exception):
    """An exchange failed and can be repeated."""


class Wire(Protocol):
    """The interface of a serial port; pyserial's `Serial` has it."""

    def write(self, data: bytes, /) -> int | None:
        """Send bytes."""
        ...

    def read(self, size: int = 1, /) -> bytes:
        """Wait for bytes; return fewer after the time-out."""
        ...

    def reset_input_buffer(self) -> None:
        """Discard received bytes that were not read."""
        ...

    def close(self) -> None:
        """Close the port."""
        ...


_ERRORS = {
    1: "the board received a broken frame",
    2: "the board received a part of a frame",
    3: "the board received an unknown command",
    4: "the board was still computing",
}


class Accelerator:
    """A design at the other end of a serial line.

    Every request for an output has a number, and its answer repeats it. Late answers and answers to other hosts are skipped.
    The first numbers are random, so that hosts differ.

    Args:
        wire: Serial port.
        link: Settings that host and device share.
        retries: How often a failed exchange is repeated.
        pause: Seconds of silence after which the device has dropped a broken frame.

    Raises:
        NoAnswer: If no device with this protocol answers.
        WrongDesign: If the device runs another design.
    """

    def __init__(self, wire: Wire, link: SerialLink, retries: int = 3, pause: float = 0.15):
        self._wire, self._link, self._retries, self._pause = wire, link, retries, pause
        self._sizes = {
            RUN: NUMBER_BYTES + link.output_bytes,
            IDENTIFY: IDENTITY_BYTES,
            ERROR: 1,
        }
        self._number = secrets.randbits(8 * NUMBER_BYTES)
        self._in_step = True  # whether no request is open
        self._check_identity()

    def run(
        self, samples: np.ndarray, progress: Callable[[int, int], None] = lambda done, of: None
    ) -> np.ndarray:
        """Compute the design's outputs (N, elements) for samples (N, elements).

        Args:
            samples: Integers of the design's input, in the order of its stream.
            progress: Called with the number of completed samples and the number of all samples.

        Raises:
            LineError: If the samples do not fit.
            NoAnswer: If an exchange fails in all attempts.
        """
        packed = self._link.pack(samples)
        answers = []
        for sample in packed:
            answers.append(self._exchange(RUN, sample))
            progress(len(answers), len(packed))
        return self._link.unpack(answers)

    def infer(
        self, samples: np.ndarray, progress: Callable[[int, int], None] = lambda done, of: None
    ) -> np.ndarray:
        """Return the classes (N,) of samples (N, elements): the label, or the lowest index of the largest outputs."""
        outputs = self.run(samples, progress)
        return outputs[:, 0] if self._link.sink.elements == 1 else outputs.argmax(axis=1)

    def close(self) -> None:
        """Close the port."""
        self._wire.close()

    def __enter__(self) -> "Accelerator":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_identity(self) -> None:
        says = self._exchange(IDENTIFY)
        if says[0] != PROTOCOL:
            raise WrongDesign(
                f"the board's bitstream uses protocol {says[0]} of the serial line, this version of zerocross protocol "
                f"{PROTOCOL}: build the bitstream again and load it"
            )
        if says != self._link.identity:
            here, there = (
                int.from_bytes(identity[1:5], "little") for identity in (self._link.identity, says)
            )
            raise WrongDesign(
                f"the board runs design {there:08x}, not {here:08x}: load this design's bitstream first"
            )

    def _exchange(self, kind: bytes, payload: bytes = b"") -> bytes:
        """Send a request until its answer arrives."""
        for attempt in range(self._retries + 1):
            try:
                if attempt or not self._in_step:
                    self._start_again(kind)
                self._in_step = False
                answer = self._request(kind, payload)
                self._in_step = True
                return answer
            except _Noise as noise:
                trouble = str(noise)
            except (OSError, termios.error) as error:  # the converter was unplugged, for example
                raise NoAnswer(f"the serial port failed ({error}): check the cable, and try again") from None
        raise NoAnswer(
            f"no answer after {self._retries + 1} attempts at {self._link.baud} baud ({trouble}): check that the "
            "bitstream is loaded, that this is the right serial port (boards often have two), and the cable and its ground"
        )

    def _start_again(self, kind: bytes) -> None:
        time.sleep(self._pause)
        self._wire.reset_input_buffer()
        if kind != IDENTIFY:  # resets the design, in case it is still computing
            self._request(IDENTIFY)

    def _request(self, kind: bytes, payload: bytes = b"") -> bytes:
        number = b""
        if kind == RUN:
            self._number = (self._number + 1) % (1 << 8 * NUMBER_BYTES)
            number = self._number.to_bytes(NUMBER_BYTES, "little")
        self._wire.write(frame(REQUEST, kind, number + payload))
        return self._answer(kind, number)

    def _answer(self, kind: bytes, number: bytes) -> bytes:
        """Return the body of a request's answer, without its number; skip other answers."""
        left = 8 * (max(self._sizes.values()) + 4)  # bytes to read before giving up
        while left > 0:
            start = self._read(1)
            left -= 1
            if start != ANSWER:  # rest of another answer
                continue
            got = self._read(1)
            size = self._sizes.get(got)
            if size is None:
                raise _Noise("a broken answer")
            body = self._read(size)
            if self._read(2) != checksum(got + body):
                raise _Noise("a broken answer")
            if got == ERROR:
                raise _Noise(_ERRORS.get(body[0], f"error {body[0]}"))
            if got == kind and body.startswith(number):
                return body[len(number) :]
            left -= size + 3
        raise _Noise("many bytes, none of them an answer")

    def _read(self, size: int) -> bytes:
        data = self._wire.read(size)
        if len(data) < size:
            raise _Noise("no answer in time")
        return data


def open_board(device: str, link: SerialLink, timeout: float = 2.0) -> Accelerator:
    """Open a board on a serial device, such as /dev/ttyUSB0. No other program can use the device until it is closed.

    Args:
        device: Serial device.
        link: Settings that host and device share.
        timeout: Most seconds per sample.

    Raises:
        NoDevice: If the device does not exist, the user lacks the permission for it, or another program uses it.
        NoAnswer: If no device with this protocol answers.
        WrongDesign: If the device runs another design.
    """
    import serial

    longest = 10 * (max(link.sample_bytes, link.output_bytes) + 16) / link.baud
    try:
        port = serial.Serial(device, link.baud, timeout=timeout + longest, exclusive=True)
    except serial.SerialException as error:
        raise NoDevice(_why_not(device, error.errno, str(error))) from None
    try:
        if _holders(device):  # programs that open ports without a lock
            raise NoDevice(_why_not(device, errno.EBUSY, ""))
        with suppress(OSError):
            fcntl.ioctl(port.fileno(), termios.TIOCEXCL)  # nor can they open it from now on
        with suppress(AttributeError, NotImplementedError, OSError, ValueError):
            port.set_low_latency_mode(True)  # USB converters otherwise delay an answer by up to 16 ms
        port.reset_input_buffer()
        return Accelerator(port, link)
    except BaseException:
        port.close()
        raise


def _why_not(device: str, code: int | None, said: str) -> str:
    from serial.tools import list_ports

    if code == errno.EACCES:
        return (
            f"you have no permission to use {device}: join the group that owns it, "
            "usually with sudo usermod -aG dialout $USER, and log in again"
        )
    if code in (errno.EBUSY, errno.EAGAIN):
        holders = " and ".join(_holders(device)) or "another program"
        return f"{holders} uses {device}, and a board answers one program at a time: wait until it ends, or close it"
    if code == errno.ENOENT:
        there = ", ".join(port.device for port in list_ports.comports()) or "none: is the board plugged in?"
        return f"there is no serial device {device}; there are: {there}"
    return f"{device} cannot be opened: {said}"


def _holders(device: str) -> list[str]:
    """Return the other processes that have a device open, as far as this user may see them: "minicom (process 81)"."""
    found, wanted = [], os.path.realpath(device)
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        with suppress(OSError):  # it ended, or belongs to another user
            if any(os.path.realpath(descriptor) == wanted for descriptor in (process / "fd").iterdir()):
                found.append(f"{(process / 'comm').read_text().strip()} (process {process.name})")
    return sorted(found)


def compile_line(
    design: str,
    sources: Sequence[Path],
    folder: Path,
    link: SerialLink,
    cache: Path | None = None,
    divider: int = 8,
    drift: float = 1.0,
) -> Simulator:
    """Compile a board for `SimulatedLine`: everything except its clock generator, UARTs included.

    Args:
        design: Top module of the design.
        sources: SystemVerilog files, those of the library included.
        folder: Folder of the design's memory files. The program is written to its subfolder "serial".
        link: Settings that host and device share.
        cache: See `compile_design`.
        divider: Clock cycles per bit.
        drift: Length of the host's bits relative to the device's.
    """
    work = folder / "serial"
    work.mkdir(parents=True, exist_ok=True)
    top = work / "simulated_line.sv"
    top.write_text(simulated_top("simulated_line", design, link, divider, drift))
    compiled = compile_design(
        "simulated_line", [*sources, top], [Port("host", 9)], [Port("quiet", 1)], work, cache
    )
    return replace(compiled, folder=folder)


class SimulatedLine:
    """A serial port of a simulated board.

    Every write runs a separate simulation of a board after power-on. It sends the written bytes, and all bytes that the
    board returns until it is quiet can be read.

    Args:
        simulator: Simulator from `compile_line`.
        lose: Numbers of the bytes that are lost on the way to the board, counted from 0 over all writes.
    """

    def __init__(self, simulator: Simulator, lose: Iterable[int] = ()):
        self._simulator, self._lose = simulator, set(lose)
        self._sent, self._received = 0, b""

    def write(self, data: bytes) -> int:
        """Send bytes and receive the answer."""
        arriving = [byte for index, byte in enumerate(data) if self._sent + index not in self._lose]
        self._sent += len(data)
        self._received += self.converse([bytes(arriving)])[0]
        return len(data)

    def converse(self, messages: Sequence[bytes]) -> list[bytes]:
        """Send messages to one board, each after the answer to the one before; return the answers."""
        words = [word for message in messages for word in (*message, 0x100)]
        trace = self._simulator.run({"host": to_bits(np.array(words)[:, None], 9)}, {"quiet": len(messages)})
        answers = [bytearray()]
        for line in trace.printed:
            if line.startswith("heard "):
                answers[-1].append(int(line.removeprefix("heard "), 16))
            elif line == "quiet":
                answers.append(bytearray())
        return [bytes(answer) for answer in answers[: len(messages)]]

    def read(self, size: int = 1) -> bytes:
        """Return received bytes, or fewer if there are not enough."""
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def reset_input_buffer(self) -> None:
        """Discard received bytes that were not read."""
        self._received = b""

    def close(self) -> None:
        """Do nothing; there is no resource to release."""
