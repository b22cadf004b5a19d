"""The host's end without a port: what it sends, when it waits, and what it takes for an answer."""

import errno
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import serial
from serial.tools import list_ports

from zerocross.finn_flows.chip import accelerator
from zerocross.finn_flows.chip.accelerator import Accelerator, NoAnswer, NoDevice, compile_line, open_board
from zerocross.finn_flows.chip.serial_line import (
    ANSWER,
    ERROR,
    IDENTIFY,
    RUN,
    SerialLink,
    frame,
)
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.simulation import Port, Simulator

LINK = SerialLink(Stream((4,), 2, 8), Stream((3,), 1, 8), design_id=0xCAFE)
SAMPLE, OUTPUT = np.array([[10, 20, 30, 40]]), b"\x05\x09\x07"
LONGEST = 1 + 1 + 10 + 2  # bytes of the longest answer, the identification: start, kind, identity, checksum
SILENCE = 0.1  # seconds after which a device forgets a frame


class Wire:
    """A serial port whose device is a function from a request to the bytes that it answers."""

    def __init__(self, device: Callable[[bytes], bytes]) -> None:
        self.device, self.heard, self.cleared = device, b"", 0
        self.sent: list[bytes] = []
        self.is_open = True

    def write(self, data: bytes, /) -> int:
        self.sent.append(data)
        self.heard += self.device(data)
        return len(data)

    def read(self, size: int = 1, /) -> bytes:
        taken, self.heard = self.heard[:size], self.heard[size:]
        return taken

    def reset_input_buffer(self) -> None:
        self.heard, self.cleared = b"", self.cleared + 1

    def close(self) -> None:
        self.is_open = False


def right(request: bytes) -> bytes:
    """What the board answers."""
    if request[1:2] == IDENTIFY:
        return frame(ANSWER, IDENTIFY, LINK.identity)
    return frame(ANSWER, RUN, request[2:6] + OUTPUT)


def kinds(wire: Wire) -> bytes:
    """The kinds of the requests that were sent."""
    return b"".join(request[1:2] for request in wire.sent)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the host paused; no time passes."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


def test_a_host_asks_once_where_the_board_answers(pauses: list[float]) -> None:
    wire = Wire(right)
    board = Accelerator(wire, LINK)
    assert board.run(np.repeat(SAMPLE, 2, axis=0)).tolist() == [list(OUTPUT)] * 2
    assert board.infer(SAMPLE).tolist() == [1]  # the place of the largest output
    assert kinds(wire) == IDENTIFY + RUN * 3 and not pauses and wire.cleared == 0
    assert wire.sent[1][6:-2] == bytes(SAMPLE[0].tolist())
    board.close()
    assert not wire.is_open


def test_a_host_gives_up_after_three_more_attempts_and_lets_the_board_forget_between_them(
    pauses: list[float],
) -> None:
    with pytest.raises(NoAnswer, match=r"no answer after 4 attempts at 115200 baud \(no answer in time\)"):
        Accelerator(Wire(lambda request: b""), LINK)
    assert len(pauses) == 3 and all(SILENCE < pause < 3 * SILENCE for pause in pauses)


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_after_a_failure_the_host_asks_who_is_there_before_it_asks_again(
    pauses: list[float], retries: int
) -> None:
    wire = Wire(right)
    board = Accelerator(wire, LINK, retries, pause=7.0)
    wire.device = lambda request: right(request) if request[1:2] == IDENTIFY else b""
    with pytest.raises(NoAnswer, match=f"after {retries + 1} attempts"):
        board.run(SAMPLE)
    assert kinds(wire) == IDENTIFY + RUN + (IDENTIFY + RUN) * retries
    assert pauses == [7.0] * retries and wire.cleared == retries
    wire.device, wire.sent = right, []
    for kinds_sent in (IDENTIFY + RUN, RUN):  # in step again
        wire.sent = []
        assert board.run(SAMPLE).tolist() == [list(OUTPUT)]
        assert kinds(wire) == kinds_sent


@pytest.mark.parametrize("first", [0, 1, 0x01020304, 2**32 - 1])
def test_numbers_count_up_and_go_round(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator.secrets, "randbits", {32: first}.__getitem__)
    wire = Wire(right)
    board = Accelerator(wire, LINK)
    board.run(np.repeat(SAMPLE, 2, axis=0))
    numbers = [int.from_bytes(request[2:6], "little") for request in wire.sent[1:]]
    assert numbers == [(first + 1) % 2**32, (first + 2) % 2**32]


OTHERS = frame(ANSWER, RUN, b"\xff\xff\xff\xff" + OUTPUT), frame(ANSWER, IDENTIFY, LINK.identity)


@pytest.mark.parametrize("other", [b"\x00", *OTHERS], ids=["noise", "late", "identity"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_what_comes_ahead_of_the_answer_is_skipped(other: bytes, count: int, pauses: list[float]) -> None:
    wire = Wire(
        lambda request: right(request) if request[1:2] == IDENTIFY else other * count + right(request)
    )
    assert Accelerator(wire, LINK, retries=0).run(SAMPLE).tolist() == [list(OUTPUT)]


@pytest.mark.parametrize("count", [1, 3])
def test_late_answers_are_no_identification(count: int, pauses: list[float]) -> None:
    """A host that begins where another one ended hears the answers to that one's samples first."""
    late = frame(ANSWER, RUN, b"\x01\x02\x03\x04" + OUTPUT)
    wire = Wire(lambda request: late * count + right(request) if request[1:2] == IDENTIFY else right(request))
    assert Accelerator(wire, LINK, retries=0).run(SAMPLE).tolist() == [list(OUTPUT)]


@pytest.mark.parametrize("late", [0, 1, 7])
@pytest.mark.parametrize("more", [0, 1])
def test_a_host_gives_up_where_eight_of_the_longest_answers_came(
    late: int, more: int, pauses: list[float]
) -> None:
    ahead = frame(ANSWER, IDENTIFY, LINK.identity) * late
    assert not late or len(ahead) == late * LONGEST
    noise = b"\x00" * (8 * LONGEST - len(ahead) - 1 + more)
    wire = Wire(right)
    board = Accelerator(wire, LINK, retries=0)
    wire.device = lambda request: ahead + noise + right(request)
    if more:
        with pytest.raises(NoAnswer, match="many bytes, none of them an answer"):
            board.run(SAMPLE)
    else:
        assert board.run(SAMPLE).tolist() == [list(OUTPUT)]


WRONG = {
    "the board received a broken frame": frame(ANSWER, ERROR, b"\x01"),
    "the board received a part of a frame": frame(ANSWER, ERROR, b"\x02"),
    "the board received an unknown command": frame(ANSWER, ERROR, b"\x03"),
    "the board was still computing": frame(ANSWER, ERROR, b"\x04"),
    "error 5": frame(ANSWER, ERROR, b"\x05"),
    "a broken answer": frame(ANSWER, b"?", OUTPUT),
    "no answer in time": frame(ANSWER, RUN, OUTPUT)[:-1],
}


@pytest.mark.parametrize(("trouble", "answer"), WRONG.items())
def test_what_went_wrong_is_said(trouble: str, answer: bytes, pauses: list[float]) -> None:
    with pytest.raises(NoAnswer, match=rf"\({trouble}\)"):
        Accelerator(Wire(lambda request: answer), LINK, retries=1)


@pytest.mark.parametrize("place", range(2, 11))
def test_an_answer_with_a_changed_bit_is_asked_for_again(place: int, pauses: list[float]) -> None:
    wire = Wire(right)
    board = Accelerator(wire, LINK, retries=1)
    flips = iter([8, 0, 0])
    wire.device = lambda request: changed(right(request), place, next(flips))
    assert board.run(SAMPLE).tolist() == [list(OUTPUT)]
    assert kinds(wire) == IDENTIFY + RUN + IDENTIFY + RUN


def changed(answer: bytes, place: int, flips: int) -> bytes:
    return answer[:place] + bytes([answer[place] ^ flips]) + answer[place + 1 :]


class Serial(Wire):
    """pyserial's port, which notes how it was opened."""

    link: SerialLink
    last: "Serial"

    def __init__(self, *given: object, **options: float) -> None:
        super().__init__(lambda request: frame(ANSWER, IDENTIFY, self.link.identity))
        self.given, self.options, self.fast = given, options, False
        Serial.last = self

    def fileno(self) -> int:
        return -1

    def set_low_latency_mode(self, fast: bool) -> None:
        self.fast = fast


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> type[Serial]:
    monkeypatch.setattr(serial, "Serial", Serial)
    monkeypatch.setattr(accelerator.fcntl, "ioctl", lambda *_: 0)
    return Serial


@pytest.mark.parametrize(("sample", "output"), [(3000, 8), (8, 3000), (8, 8)])
@pytest.mark.parametrize("baud", [9600, 115_200])
def test_a_host_waits_as_long_as_the_bytes_take(
    sample: int, output: int, baud: int, port: type[Serial]
) -> None:
    """A byte is ten bits; a request and its answer have eight bytes more than the sample and the output."""
    port.link = SerialLink(Stream((sample,), 1, 8), Stream((output,), 1, 8), 1, baud)
    for given, least in (({}, 2.0), ({"timeout": 0.5}, 0.5)):
        with open_board("/dev/ttyUSB7", port.link, **given):
            assert port.last.given == ("/dev/ttyUSB7", baud)
            assert port.last.options["exclusive"] is True
            waits = port.last.options["timeout"]
            assert waits == pytest.approx(least + 10 * (max(sample, output) + 2 * 8) / baud)
        assert port.last.fast is True and port.last.cleared == 1 and not port.last.is_open


def test_a_port_is_closed_where_the_board_does_not_answer(
    port: type[Serial], monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    port.link = LINK
    with pytest.raises(NoAnswer):
        monkeypatch.setattr(port, "read", lambda self, size=1: b"")
        open_board("/dev/ttyUSB7", LINK)
    assert not port.last.is_open


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EACCES, "no permission to use /dev/ttyUSB7.*usermod -aG dialout"),
        (errno.EBUSY, "another program uses /dev/ttyUSB7"),
        (errno.EAGAIN, "another program uses /dev/ttyUSB7"),
        (errno.ENOENT, "no serial device /dev/ttyUSB7; there are: /dev/ttyA, /dev/ttyB"),
        (errno.EIO, "/dev/ttyUSB7 cannot be opened: it is broken"),
        (None, "/dev/ttyUSB7 cannot be opened: it is broken"),
    ],
)
def test_why_a_port_does_not_open(code: int | None, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        error = serial.SerialException("it is broken")
        error.errno = code
        raise error

    monkeypatch.setattr(serial, "Serial", fail)
    there = [SimpleNamespace(device="/dev/ttyA"), SimpleNamespace(device="/dev/ttyB")]
    monkeypatch.setattr(list_ports, "comports", lambda: there)
    with pytest.raises(NoDevice, match=message):
        open_board("/dev/ttyUSB7", LINK)
    if code == errno.ENOENT:
        there.clear()
        with pytest.raises(NoDevice, match=r"there are: none: is the board plugged in\?"):
            open_board("/dev/ttyUSB7", LINK)


def test_a_simulation_has_the_ports_of_its_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top, ports = "", []

    def compiled(
        name: str, sources: list[Path], inputs: list[Port], outputs: list[Port], folder: Path, _: object
    ) -> Simulator:
        nonlocal top
        top = sources[-1].read_text()
        ports.extend([*inputs, *outputs])
        assert f"module {name} (" in top and folder != tmp_path
        return Simulator(folder / "program", folder, tuple(inputs), tuple(outputs))

    monkeypatch.setattr(accelerator, "compile_design", compiled)
    assert compile_line("design", [], tmp_path, LINK).folder == tmp_path  # of the design's memory files
    assert [port.name for port in ports] == ["host", "quiet"]
    for each in ports:
        assert f"[{each.width - 1}:0] {each.name}_tdata" in top
