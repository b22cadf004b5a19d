"""The host's end of a serial line: send samples to a board, or to its simulation, and take the answers."""

import errno
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
    """A board that cannot be talked to; the message says what is wrong and what to try."""


class NoDevice(BoardError):
    """No serial device has the name, or it may not be used."""


class NoAnswer(BoardError):
    """Nothing, or nothing sensible, comes back."""


class WrongDesign(BoardError):
    """The board runs another design."""


class _Noise(Exception):
    """An exchange that failed, and may work the next time."""


class Wire(Protocol):
    """What is asked of a serial port; pyserial's `Serial` has it."""

    def write(self, data: bytes, /) -> int | None:
        """Send bytes."""
        ...

    def read(self, size: int = 1, /) -> bytes:
        """Wait for bytes; fewer when time is up."""
        ...

    def reset_input_buffer(self) -> None:
        """Forget what came and was not read."""
        ...

    def close(self) -> None:
        """Give the port back."""
        ...


_ERRORS = {
    1: "the board received a broken frame",
    2: "the board received a part of a frame",
    3: "the board received an unknown command",
    4: "the board was still computing",
}


class Accelerator:
    """A design on the other end of a serial line.

    Args:
        wire: the port.
        link: what host and device agree on.
        retries: how often an exchange that noise has broken is tried again.
        pause: seconds of silence after which the device has forgotten a broken frame.

    Raises:
        NoAnswer: if nothing on the other end speaks the protocol.
        WrongDesign: if another design does.
    """

    def __init__(self, wire: Wire, link: SerialLink, retries: int = 3, pause: float = 0.15):
        self._wire, self._link, self._retries, self._pause = wire, link, retries, pause
        self._check_identity()

    def run(
        self, samples: np.ndarray, progress: Callable[[int, int], None] = lambda done, of: None
    ) -> np.ndarray:
        """Compute the design's outputs (N, elements) of samples (N, elements).

        Args:
            samples: integers as the design's input takes them, in the order of its stream.
            progress: called with how many samples are done, of how many.

        Raises:
            LineError: if the samples do not fit.
            NoAnswer: if an exchange fails however often it is tried.
        """
        packed = self._link.pack(samples)
        answers = []
        for sample in packed:
            answers.append(self._exchange(RUN, sample, self._link.output_bytes))
            progress(len(answers), len(packed))
        return self._link.unpack(answers)

    def infer(
        self, samples: np.ndarray, progress: Callable[[int, int], None] = lambda done, of: None
    ) -> np.ndarray:
        """Return the classes (N,) of samples (N, elements): the label, or the lowest index of the largest output."""
        outputs = self.run(samples, progress)
        return outputs[:, 0] if self._link.sink.elements == 1 else outputs.argmax(axis=1)

    def close(self) -> None:
        """Give the port back."""
        self._wire.close()

    def __enter__(self) -> "Accelerator":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_identity(self) -> None:
        says = self._exchange(IDENTIFY, b"", IDENTITY_BYTES)
        if says[0] != PROTOCOL:
            raise WrongDesign(f"the board speaks protocol {says[0]}, not {PROTOCOL}: build and load it anew")
        if says != self._link.identity:
            here, there = (
                int.from_bytes(identity[1:5], "little") for identity in (self._link.identity, says)
            )
            raise WrongDesign(
                f"the board runs design {there:08x}, not {here:08x}: load this design's bitstream first"
            )

    def _exchange(self, kind: bytes, payload: bytes, size: int) -> bytes:
        """Send a request until it is answered."""
        for attempt in range(self._retries + 1):
            try:
                if attempt:
                    self._start_again(kind)
                self._wire.write(frame(REQUEST, kind, payload))
                return self._answer(kind, size)
            except _Noise as noise:
                trouble = str(noise)
        raise NoAnswer(
            f"no answer after {self._retries + 1} attempts at {self._link.baud} baud ({trouble}): is the bitstream "
            "loaded, is this the board's serial port (boards often have two), are the cable and its ground good?"
        )

    def _start_again(self, kind: bytes) -> None:
        time.sleep(self._pause)
        self._wire.reset_input_buffer()
        if kind != IDENTIFY:  # resets the design, if it was that
            self._wire.write(frame(REQUEST, IDENTIFY))
            self._answer(IDENTIFY, IDENTITY_BYTES)

    def _answer(self, kind: bytes, size: int) -> bytes:
        start = self._wire.read(1)
        while start and start != ANSWER:  # what is left of something older
            start = self._wire.read(1)
        got = self._read(1)
        payload = self._read(1 if got == ERROR else size if got == kind else 0)
        if got not in (ERROR, kind) or self._read(2) != checksum(got + payload):
            raise _Noise("a broken answer")
        if got == ERROR:
            raise _Noise(_ERRORS.get(payload[0], f"error {payload[0]}"))
        return payload

    def _read(self, size: int) -> bytes:
        data = self._wire.read(size) if size else b""
        if len(data) < size:
            raise _Noise("no answer in time")
        return data


def open_board(device: str, link: SerialLink, timeout: float = 2.0) -> Accelerator:
    """Open a board on a serial device, such as /dev/ttyUSB0.

    Args:
        device: the serial device.
        link: what host and device agree on.
        timeout: seconds a design may take for a sample.

    Raises:
        NoDevice: if the device is not there, or may not be used.
        NoAnswer: if nothing on the other end speaks the protocol.
        WrongDesign: if another design does.
    """
    import serial

    longest = 10 * (max(link.sample_bytes, link.output_bytes) + 16) / link.baud
    try:
        port = serial.Serial(device, link.baud, timeout=timeout + longest)
    except serial.SerialException as error:
        raise NoDevice(_why_not(device, error.errno, str(error))) from None
    with suppress(AttributeError, NotImplementedError, OSError, ValueError):
        port.set_low_latency_mode(True)  # USB converters otherwise keep an answer for up to 16 ms
    port.reset_input_buffer()
    try:
        return Accelerator(port, link)
    except BaseException:
        port.close()
        raise


def _why_not(device: str, code: int | None, said: str) -> str:
    from serial.tools import list_ports

    if code == errno.EACCES:
        return (
            f"{device} may not be used by you: join the group that owns it, "
            "usually with sudo usermod -aG dialout $USER, and log in again"
        )
    if code == errno.EBUSY:
        return f"{device} is in use: close the other program"
    if code == errno.ENOENT:
        there = ", ".join(port.device for port in list_ports.comports()) or "none: is the board plugged in?"
        return f"there is no serial device {device}; there are: {there}"
    return f"{device} does not open: {said}"


def compile_line(
    design: str,
    sources: Sequence[Path],
    folder: Path,
    link: SerialLink,
    cache: Path | None = None,
    divider: int = 8,
    drift: float = 1.0,
) -> Simulator:
    """Compile a board for `SimulatedLine`: everything but its clock generator, UARTs included.

    Args:
        design: the design's top module.
        sources: SystemVerilog files, the library's included.
        folder: where the design's memory files are; the program goes to its subfolder "serial".
        link: what the device is to agree on with the host.
        cache: see `compile_design`.
        divider: clock cycles a bit.
        drift: of the host's clock: a bit of its takes so many times as long.
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
    """A wire to a simulated board.

    Every write is a simulation of its own, of a board just switched on: what is written is sent, and all that comes
    back until the board rests can be read.

    Args:
        simulator: of `compile_line`.
        lose: numbers of bytes that get lost on their way to the board, counted from 0 over all writes.
    """

    def __init__(self, simulator: Simulator, lose: Iterable[int] = ()):
        self._simulator, self._lose = simulator, set(lose)
        self._sent, self._received = 0, b""

    def write(self, data: bytes) -> int:
        """Send bytes and hear what comes back."""
        arriving = [byte for index, byte in enumerate(data) if self._sent + index not in self._lose]
        self._sent += len(data)
        self._received += self.converse([bytes(arriving)])[0]
        return len(data)

    def converse(self, messages: Sequence[bytes]) -> list[bytes]:
        """Send messages to one board, each when the one before has been answered; return the answers."""
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
        """Take bytes that came back, as far as there are any."""
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def reset_input_buffer(self) -> None:
        """Forget what came back and was not read."""
        self._received = b""

    def close(self) -> None:
        """Nothing is held."""
