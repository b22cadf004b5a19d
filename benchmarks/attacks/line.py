"""Noise on the serial line of a simulated board: lost, changed, doubled and foreign bytes, in both directions."""

import random
from pathlib import Path

import numpy as np

from attacks.attack import Wrong
from tests.finn_flows.chip.small_designs import built, labels, small_design
from zerocross.finn_flows.chip.accelerator import Accelerator, NoAnswer, SimulatedLine, compile_line
from zerocross.finn_flows.chip.serial_line import ANSWER, REQUEST, RUN, SerialLink, frame

_SAMPLES = 64
_FRAMES = 100


def compiled(folder: Path) -> tuple[SimulatedLine, SerialLink, np.ndarray, np.ndarray]:
    """Return a simulated board with a small design, its link, samples, and their right labels."""
    work = folder / "line"
    work.mkdir(exist_ok=True)
    design = small_design()
    link = SerialLink(design.input, design.output, design_id=0x600D1D)
    files = built(design, work)
    simulator = compile_line(files.top, files.sources, files.folder, link, folder / "cache")
    samples = np.random.default_rng(1).integers(0, 2, (_SAMPLES, 60))
    return SimulatedLine(simulator), link, samples, labels(design, samples)[:, 0]


def noisy(data: bytes, draw: random.Random, rate: float) -> bytes:
    """Return bytes after a noisy line."""
    out = bytearray()
    for byte in data:
        if draw.random() >= rate:
            out.append(byte)
            continue
        way = draw.randrange(4)
        if way == 0:
            continue
        out.append(byte ^ (1 << draw.randrange(8)) if way == 1 else byte)
        if way == 2:
            out.append(byte)
        if way == 3:
            out += draw.randbytes(draw.randint(1, 12))
    return bytes(out)


class Noisy(SimulatedLine):
    """A line with noise in both directions, at a rate that may change."""

    def __init__(self, line: SimulatedLine, draw: random.Random) -> None:
        super().__init__(line._simulator)
        self.draw, self.rate = draw, 0.0

    def write(self, data: bytes) -> int:
        """Send bytes through the noise, and receive an answer through it."""
        (answer,) = self.converse([noisy(data, self.draw, self.rate)])
        self._received += noisy(answer, self.draw, self.rate)
        return len(data)


class Line:
    """Sends frames to one board through noise. Every third attempt a host sends them, who repeats what fails."""

    unit, each, tries, cpu, patience = "frames", _FRAMES, 4, 0.0, 300.0

    def __init__(self, folder: Path) -> None:
        self.line, self.link, self.samples, self.right = compiled(folder)

    def attempt(self, seed: int) -> str:
        """See `Attack`."""
        draw = random.Random(seed)
        return self._host(draw) if seed % 3 == 2 else self._board(draw)

    def _board(self, draw: random.Random) -> str:
        """Hold a conversation of many frames with one board; an answer that is one must be right."""
        packed = self.link.pack(self.samples)
        asked, messages = [], []
        for number in range(_FRAMES):
            index = draw.randrange(_SAMPLES)
            asked.append(index)
            request = frame(REQUEST, RUN, number.to_bytes(4, "little") + packed[index])
            messages.append(noisy(request, draw, draw.choice([0.0, 0.01, 0.05, 0.2])) or b"\x00")
        answered = 0
        for heard in self.line.converse(messages):
            for number, index in enumerate(asked):
                start = ANSWER + RUN + number.to_bytes(4, "little")
                at = heard.find(start)
                while at >= 0:
                    whole = heard[at : at + len(start) + 1 + 2]
                    if len(whole) == len(start) + 3 and whole == frame(ANSWER, RUN, whole[2:-2]):
                        answered += 1
                        if whole[len(start)] != self.right[index]:
                            raise Wrong(
                                f"frame {number} is answered by {whole[len(start)]}, not {self.right[index]}"
                            )
                    at = heard.find(start, at + 1)
        return "right answers, others none" if answered else "no answers"

    def _host(self, draw: random.Random) -> str:
        line = Noisy(self.line, draw)
        board = Accelerator(line, self.link, retries=3, pause=0)
        failed = 0
        for _ in range(_FRAMES):
            line.rate = draw.choice([0.0, 0.0, 0.01, 0.05])
            index = draw.randrange(_SAMPLES)
            try:
                if board.infer(self.samples[index : index + 1])[0] != self.right[index]:
                    raise Wrong("a host takes a wrong answer")
            except NoAnswer:
                failed += 1
        return "right answers, others said" if failed < _FRAMES else "no answers"
