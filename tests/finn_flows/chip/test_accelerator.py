"""The host's end: a serial port of the system, with a small device in Python on its other end."""

import errno
import os
import subprocess
import sys
import threading
import tty

import numpy as np
import pytest

from zerocross.finn_flows.chip import accelerator
from zerocross.finn_flows.chip.accelerator import NoAnswer, NoDevice, WrongDesign, open_board
from zerocross.finn_flows.chip.serial_line import (
    ANSWER,
    ERROR,
    IDENTIFY,
    RUN,
    LineError,
    SerialLink,
    checksum,
    frame,
)
from zerocross.finn_flows.nodes.stream import Stream

LINK = SerialLink(Stream((4,), 2, 8), Stream((1,), 1, 8), design_id=0xCAFE)


class Device:
    """Answers with the place of the largest byte; garbles or refuses the answers whose numbers it is given."""

    def __init__(self, garble=(), refuse=(), identity=LINK.identity, silent=False):
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.name = os.ttyname(slave)
        self.garble, self.refuse, self.identity, self.silent = garble, refuse, identity, silent
        self.requests = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def take(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += os.read(self.master, size - len(data))
        return data

    def serve(self):
        while True:
            _, kind = self.take(1), self.take(1)
            number = self.take(4 if kind == RUN else 0)
            payload = self.take(4 if kind == RUN else 0)
            assert self.take(2) == checksum(kind + number + payload)
            answer = self.identity if kind == IDENTIFY else bytes([max(range(4), key=payload.__getitem__)])
            data = frame(ANSWER, kind, number + answer)
            if self.requests in self.garble:
                data = data[:3] + bytes([data[3] ^ 1]) + data[4:]
            if self.requests in self.refuse:
                data = frame(ANSWER, ERROR, b"\x02")
            self.requests += 1
            if not self.silent:
                os.write(self.master, data)


def test_a_board_is_asked_over_a_real_port():
    samples = np.random.default_rng(0).permuted(np.tile(np.arange(250, 254), (20, 1)), axis=1)
    with open_board(Device().name, LINK) as board:
        assert (board.infer(samples) == samples.argmax(axis=1)).all()
        with pytest.raises(LineError, match="inputs are 0 to 255, but the samples have 1 to 256"):
            board.run(np.array([[1, 2, 3, 256]]))


def test_noise_is_asked_about_again():
    device = Device(garble=(1, 5), refuse=(8,))
    with open_board(device.name, LINK, timeout=0.3) as board:
        assert (board.infer(np.eye(4, dtype=int)) == np.arange(4)).all()
    assert device.requests == 1 + 4 + 3 * 2  # identity, samples; an identity and a sample for each noise


def test_what_does_not_answer_is_said_to():
    with pytest.raises(NoAnswer, match=r"no answer after 4 attempts at 115200 baud \(no answer in time\)"):
        open_board(Device(silent=True).name, LINK, timeout=0.02)
    other = SerialLink(LINK.source, LINK.sink, 0xBEEF).identity
    with pytest.raises(WrongDesign, match="runs design 0000beef, not 0000cafe"):
        open_board(Device(identity=other).name, LINK)
    with pytest.raises(WrongDesign, match="uses protocol 9"):
        open_board(Device(identity=b"\x09" + other[1:]).name, LINK)


def test_a_port_that_does_not_open_says_why():
    with pytest.raises(NoDevice, match=r"no serial device /dev/no-such-tty; there are: "):
        open_board("/dev/no-such-tty", LINK)
    assert "usermod -aG" in accelerator._why_not("/dev/ttyUSB0", errno.EACCES, "")
    assert "another program uses /dev/ttyUSB0" in accelerator._why_not("/dev/ttyUSB0", errno.EBUSY, "")
    assert "cannot be opened: bad" in accelerator._why_not("/dev/ttyUSB0", None, "bad")


def test_a_port_is_opened_once():
    device = Device()
    with open_board(device.name, LINK) as board:
        with pytest.raises(NoDevice, match=f"uses {device.name}, and a board answers one program at a time"):
            open_board(device.name, LINK)
        assert board.infer(np.eye(4, dtype=int)).tolist() == [0, 1, 2, 3]
    with open_board(device.name, LINK) as board:
        assert board.infer(np.eye(4, dtype=int)).tolist() == [0, 1, 2, 3]


def test_a_program_that_holds_the_port_without_a_lock_is_named():
    device = Device()
    program = (
        "import sys; port = open(sys.argv[1], 'rb', buffering=0); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, device.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"open\n"
        with pytest.raises(NoDevice, match=rf"\(process {holder.pid}\) uses {device.name}"):
            open_board(device.name, LINK)
        holder.communicate()
    open_board(device.name, LINK).close()


def test_a_port_that_fails_is_said_to():
    device = Device()
    with open_board(device.name, LINK, timeout=0.1) as board:
        os.close(device.master)
        with pytest.raises(NoAnswer, match="the serial port failed"):
            board.infer(np.eye(4, dtype=int))
