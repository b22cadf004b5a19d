"""Two hosts on one port: the second is refused; if both hold it all the same, neither gets the other's answers."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np

from attacks.attack import Wrong
from tests.finn_flows.chip.shared_line import SharedLine
from tests.finn_flows.chip.test_accelerator import LINK, Device
from zerocross.finn_flows.chip.accelerator import Accelerator, NoAnswer, NoDevice, open_board
from zerocross.finn_flows.chip.serial_line import ANSWER, IDENTIFY, checksum, frame

_ROUNDS = 50
_HOLDER = (
    "import sys; port = open(sys.argv[1], 'rb+', buffering=0); print('open', flush=True); sys.stdin.read()"
)


def answered(data: bytes) -> bytes:
    """Answer a request as a board in Python."""
    kind, body = data[1:2], data[2:-2]
    assert data[-2:] == checksum(kind + body)
    answer = LINK.identity if kind == IDENTIFY else body[:4] + bytes([int(np.argmax(list(body[4:])))])
    return frame(ANSWER, kind, answer)


class Hosts:
    """Opens one port twice, or lets two or three hosts ask at once on a line that has no lock."""

    unit, each, tries, cpu, patience = "pairs of hosts", 1, 4, 0.0, 120.0

    def __init__(self, folder: Path) -> None:
        pass

    def attempt(self, seed: int) -> str:
        """See `Attack`."""
        draw = random.Random(seed)
        if seed % 4 == 0:
            return self._second()
        if seed % 4 == 1:
            return self._foreign()
        return self._mixed(draw)

    def _second(self) -> str:
        device = Device()
        with open_board(device.name, LINK):
            try:
                open_board(device.name, LINK).close()
            except NoDevice as refusal:
                if "a board answers one program at a time" not in str(refusal):
                    raise Wrong(f"the second host is told: {refusal}") from None
                return "the second is refused and told why"
        raise Wrong("the port is opened twice")

    def _foreign(self) -> str:
        device = Device()
        command = [sys.executable, "-c", _HOLDER, device.name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None and holder.stdout.readline() == b"open\n"
            try:
                open_board(device.name, LINK).close()
            except NoDevice as refusal:
                if str(holder.pid) not in str(refusal):
                    raise Wrong(f"the program that holds the port is not named: {refusal}") from None
                return "the program that holds the port is named"
            finally:
                holder.communicate()
        raise Wrong("a port is opened that another program holds")

    def _mixed(self, draw: random.Random) -> str:
        line = SharedLine(answered, draw.choice([2, 2, 3]), draw.randrange, forgetful=False)
        hosts = [Accelerator(port, LINK, retries=50, pause=0) for port in line.ports]
        for host in hosts:
            host._retries = 0
        right = lost = 0
        for _ in range(_ROUNDS):
            for host in hosts:
                sample = np.array([draw.sample(range(256), 4)])
                try:
                    if host.infer(sample)[0] != sample.argmax():
                        raise Wrong("a host gets another host's answer")
                    right += 1
                except NoAnswer:
                    lost += 1
        if not right or not lost:
            raise Wrong(f"no test: {right} answers, {lost} lost")
        return "right answers, or answers reported as lost"
