"""The serial line, in simulation, against numpy and against noise."""

import binascii

import numpy as np
import pytest

from tests.finn_flows.chip.shared_line import SharedLine
from tests.finn_flows.chip.small_designs import built, labels, small_design
from zerocross.finn_flows.boards import get_target
from zerocross.finn_flows.chip.accelerator import (
    Accelerator,
    NoAnswer,
    SimulatedLine,
    WrongDesign,
    compile_line,
)
from zerocross.finn_flows.chip.clocks import Unreachable
from zerocross.finn_flows.chip.serial_line import (
    ANSWER,
    ERROR,
    IDENTIFY,
    REQUEST,
    RUN,
    LineError,
    SerialLink,
    checksum,
    design_clock,
    frame,
    line_cells,
    serial_top,
    simulated_top,
)
from zerocross.finn_flows.nodes import MaxPool, Product
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.design import INPUT, Design, Element

SAMPLES = 5


@pytest.fixture(scope="module")
def small(tmp_path_factory, runtime):
    design = small_design()
    link = SerialLink(design.input, design.output, design_id=0x600D1D)
    files = built(design, tmp_path_factory.mktemp("line"))
    board = compile_line(files.top, files.sources, files.folder, link, runtime)
    samples = np.random.default_rng(1).integers(0, 2, (SAMPLES, 60))
    return board, link, samples, labels(design, samples)


def test_the_line_gives_what_numpy_computes(small):
    simulator, link, samples, right = small
    assert len(np.unique(right)) > 1
    seen = []
    with Accelerator(SimulatedLine(simulator), link) as board:
        assert (board.run(samples, lambda done, of: seen.append((done, of))) == right).all()
        assert (board.infer(samples) == right[:, 0]).all()
    assert seen == [(index + 1, SAMPLES) for index in range(SAMPLES)]


def test_a_lost_byte_is_noticed_and_the_sample_sent_again(small):
    simulator, link, samples, right = small
    # The identification is 4 bytes, a sample 16: lose a header, a command, one of a number, of a sample, of a checksum.
    for lost in (4, 5, 7, 13, 19):
        board = Accelerator(SimulatedLine(simulator, [lost]), link, pause=0)
        assert (board.infer(samples[:2]) == right[:2, 0]).all()
    with pytest.raises(NoAnswer, match=r"after 3 attempts.*a part of a frame"):
        Accelerator(SimulatedLine(simulator, range(6, 100, 4)), link, retries=2, pause=0).infer(samples[:1])


def test_one_board_survives_any_conversation(small):
    simulator, link, samples, right = small
    first, second = link.pack(samples[:2])
    numbers = b"\x01\x02\x03\x04", b"\xa5\x5a\xff\x00"
    good = frame(REQUEST, RUN, numbers[0] + first)
    flipped = bytearray(good)
    flipped[9] ^= 0x10
    late, broken, unknown = (frame(ANSWER, ERROR, bytes([code])) for code in (2, 1, 3))
    answers = [
        frame(ANSWER, RUN, number + bytes([label]))
        for number, label in zip(numbers, right[:2, 0], strict=True)
    ]
    identity = frame(ANSWER, IDENTIFY, link.identity)
    conversation = [
        (good, answers[0]),
        (b"\x00\xffnoise" + good, answers[0]),
        (good[:-1], late),
        (good[:3] + good[4:], late),
        (good[:8] + good[9:], late),
        (bytes(flipped), broken),
        (frame(REQUEST, b"?")[:2], unknown),
        (frame(REQUEST, RUN, numbers[1] + second), answers[1]),
        (frame(REQUEST, IDENTIFY), identity),
        # Nobody waits for the first answer: the identification comes while it is computed or sent.
        (good + frame(REQUEST, IDENTIFY), None),
        (frame(REQUEST, RUN, numbers[1] + second), answers[1]),
    ]
    heard = SimulatedLine(simulator).converse([message for message, _ in conversation])
    for (_, wanted), answer in zip(conversation, heard, strict=True):
        assert answer.endswith(identity) if wanted is None else answer == wanted


def test_an_identification_ends_a_computation(tmp_path, runtime):
    """It comes in the middle of 640 cycles; nothing of the first sample is in the answer to the second."""
    rng = np.random.default_rng(0)
    product = Product.of(rng.choice([-1, 1], (16, 40)), 1, 1)
    design = Design(product.inputs["s"], (Element("slow", "0", product, ((INPUT, "s"),)),))
    files, link = built(design, tmp_path), SerialLink(design.input, design.output, 7)
    board = compile_line(files.top, files.sources, tmp_path, link, runtime)
    samples = rng.integers(0, 2, (2, 40))
    first, second = (frame(REQUEST, RUN, b"1234" + sample) for sample in link.pack(samples))
    identify, identity = frame(REQUEST, IDENTIFY), frame(ANSWER, IDENTIFY, link.identity)
    heard = SimulatedLine(board).converse([first + identify, second])
    assert heard[0].endswith(identity)
    assert len(heard[1]) == 4 + 4 + link.output_bytes
    assert np.array_equal(link.unpack([heard[1][6:-2]]), labels(design, samples[1:]))


def test_two_hosts_never_get_each_others_answers(small):
    simulator, link, samples, right = small
    board, rng, answered, lost = SimulatedLine(simulator), np.random.default_rng(2), 0, 0
    line = SharedLine(lambda data: board.converse([data])[0], 2, lambda most: int(rng.integers(0, most)))
    hosts = [Accelerator(port, link, retries=20, pause=0) for port in line.ports]
    for host in hosts:
        host._retries = 0
    for index in range(20):
        for host, own in zip(hosts, (index % SAMPLES, (index + 1) % SAMPLES), strict=True):
            try:
                assert host.infer(samples[own : own + 1])[0] == right[own, 0]
                answered += 1
            except NoAnswer:
                lost += 1
    assert answered > 5 and lost > 5


def test_frames_of_two_hosts_that_mix_are_answered_by_their_numbers(small):
    simulator, link, samples, right = small
    packed, rng = link.pack(samples), np.random.default_rng(3)
    frames = [frame(REQUEST, RUN, bytes([index] * 4) + sample) for index, sample in enumerate(packed)]
    mixed = []
    for _ in range(20):
        one, other = (list(frames[index]) for index in rng.integers(0, SAMPLES, 2))
        cut = int(rng.integers(0, len(one) + 1))
        mixed.append(bytes(one[:cut] + other + one[cut:]))
    for heard in SimulatedLine(simulator).converse(mixed):
        for index in range(SAMPLES):
            for label in range(10):
                if frame(ANSWER, RUN, bytes([index] * 4 + [label])) in heard:
                    assert label == right[index, 0]


class Late(SimulatedLine):
    """A line that delivers the answers of some writes with the next write."""

    late: tuple[int, ...] = ()
    writes = 0
    kept = b""

    def write(self, data: bytes) -> int:
        before, self._received = self._received, b""
        count = super().write(data)
        self._received, self.kept = self.kept + self._received, b""
        if self.writes in self.late:
            self._received, self.kept = b"", self._received
        self._received = before + self._received
        self.writes += 1
        return count


def test_a_late_answer_is_not_taken_for_the_next_samples(small):
    simulator, link, samples, right = small
    line = Late(simulator)
    board = Accelerator(line, link, retries=0, pause=0)
    line.late = (1,)
    with pytest.raises(NoAnswer, match="no answer in time"):
        board.infer(samples[:1])
    assert (board.infer(samples[1:]) == right[1:, 0]).all()
    line.late = tuple(range(line.writes, line.writes + 3))  # also the answer to the identification
    with pytest.raises(NoAnswer):
        board.infer(samples[:1])
    with pytest.raises(NoAnswer):
        board.infer(samples[1:2])
    with pytest.raises(NoAnswer):
        board.infer(samples[2:3])
    assert (board.infer(samples) == right[:, 0]).all()


def test_an_old_bitstream_is_said_to_be_old(small):
    simulator, link, *_ = small

    class Old(SimulatedLine):
        def converse(self, messages):
            return [frame(ANSWER, IDENTIFY, b"\x01" + link.identity[1:]) for _ in messages]

    with pytest.raises(
        WrongDesign,
        match=r"uses protocol 1 .*, this version of zerocross protocol 2: build the bitstream again",
    ):
        Accelerator(Old(simulator), link)


def test_a_line_that_talks_without_end_is_no_board(small):
    simulator, link, *_ = small

    class Chatter(SimulatedLine):
        def read(self, size: int = 1) -> bytes:
            return b"boot: ok\n"[:size]

    with pytest.raises(NoAnswer, match="many bytes, none of them an answer"):
        Accelerator(Chatter(simulator), link, pause=0)


def test_another_design_is_not_asked(small):
    simulator, link, *_ = small
    with pytest.raises(WrongDesign, match=r"runs design 00600d1d, not 0badc0de"):
        Accelerator(SimulatedLine(simulator), SerialLink(link.source, link.sink, 0x0BADC0DE))


def test_the_checksum_is_the_one_of_its_name():
    assert checksum(b"123456789") == (0x6F91).to_bytes(2, "little")  # CRC-16/MCRF4XX's check value
    assert binascii.crc_hqx(b"123456789", 0xFFFF) == 0x29B1


@pytest.mark.parametrize(
    "stream", [Stream((12,), 4, 8), Stream((13,), 1, 1), Stream((10,), 5, 3), Stream((6,), 3, 5, signed=True)]
)
def test_packing_is_the_streams_bits_in_order(stream):
    link = SerialLink(stream, stream, 0)
    values = np.random.default_rng(0).integers(stream.range[0], stream.range[1] + 1, (4, stream.elements))
    packed = link.pack(values)
    assert (link.unpack(packed) == values).all()
    number = sum(
        (int(value) % (1 << stream.bits)) << (index * stream.bits) for index, value in enumerate(values[0])
    )
    assert packed[0] == number.to_bytes(link.sample_bytes, "little")
    assert link.pack(values[:0]) == [] and link.unpack([]).shape == (0, stream.elements)
    shapes = (
        values[:, :-1],
        np.hstack([values, values]),
        values[0],
        values[None],
        values[..., None],
        values[0, 0],
    )
    for wrong in shapes:
        with pytest.raises(LineError, match=r"shape \(N, "):
            link.pack(wrong)
    low, high = stream.range
    for value, fits in ((low, True), (high, True), (low - 1, False), (high + 1, False)):
        edge = np.where(np.arange(stream.elements) == 1, value, 0)[None]
        if fits:
            assert (link.unpack(link.pack(edge)) == edge).all()
        else:
            with pytest.raises(LineError, match=f"inputs are {low} to {high}, but the samples have"):
                link.pack(edge)


def test_tops_have_the_clock_that_is_asked_for():
    link = SerialLink(Stream((8,), 8, 1), Stream((1,), 1, 4), 7)
    assert design_clock(get_target("ulx3s-85f"), None) == (25.0, None)
    assert design_clock(get_target("ice40hx8k"), 33.0) == (33.0, None)
    text = serial_top("board", "small_design", link, get_target("ulx3s-85f"), 50)
    assert "EHXPLLL" in text and ".DIVIDER(434)" in text and ".TIMEOUT(5000000)" in text
    # The highest bit of the counter that blinks: about once a second.
    assert "logic [25:0] beat;" in text and "(beat[25] || active);" in text
    assert "SB_PLL40_PAD" in serial_top("board", "small_design", link, get_target("icebreaker"), 24)
    assert "SB_PLL40_CORE" in serial_top("board", "small_design", link, get_target("ice40hx8k-b-evn"), 24)
    assert "rPLL" in serial_top("board", "small_design", link, get_target("tangnano9k"), 54)
    with pytest.raises(LineError, match="has no clock of its own"):
        serial_top("board", "small_design", link, get_target("lfe5u-45f"))
    with pytest.raises(Unreachable, match="10 to 400 MHz, not 5"):
        serial_top("board", "small_design", link, get_target("ulx3s-85f"), 5)


def test_a_byte_needs_a_rate_that_the_clock_can_give():
    """At least eight cycles a bit, and a whole number of them within two per cent."""

    def top(baud: int) -> str:
        link = SerialLink(Stream((8,), 8, 1), Stream((1,), 1, 4), 7, baud)
        return serial_top("board", "small_design", link, get_target("icebreaker"))  # 12 MHz

    assert ".DIVIDER(8)" in top(1_500_000) and ".DIVIDER(9)" in top(1_310_000)
    for baud in (1_500_001, 3_000_000):
        with pytest.raises(LineError, match=f"{baud} baud is too fast .* 12 MHz: use at most 1500000"):
            top(baud)
    with pytest.raises(
        LineError, match="1400000 baud cannot be derived from 12 MHz: use 1333333, the nearest"
    ):
        top(1_400_000)


def test_logic_cells_hold_the_words_beside_the_luts() -> None:
    """Only where a cell's flip-flop has no room beside another's LUT do registers count."""
    narrow, wide = (SerialLink(Stream((64,), lanes, 4), Stream((8,), lanes // 8, 5), 7) for lanes in (8, 64))
    assert line_cells(narrow, "ecp5") == line_cells(wide, "ecp5") == line_cells(wide, "7-series") == 450
    assert line_cells(narrow, "ice40") == 450 + 40 + 8 * 4 + 5
    assert line_cells(wide, "ice40") == 450 + 40 + 64 * 4 + 8 * 5


def test_an_identity_is_ten_bytes() -> None:
    """Protocol, design, bytes of a sample and of an output, each with its lowest byte first."""
    link = SerialLink(Stream((70_001,), 1, 8), Stream((301,), 1, 8), 0xF_12345678)
    assert link.identity == bytes([2, 0x78, 0x56, 0x34, 0x12, 0x71, 0x11, 0x01, 0x2D, 0x01])


def test_the_simulations_device_waits_for_twelve_bytes_and_the_host_for_twice_as_long() -> None:
    """A byte is ten bits."""
    link = SerialLink(Stream((8,), 8, 1), Stream((1,), 1, 4), 7)
    for divider in (8, 100):
        text = simulated_top("line", "design", link, divider, 1.03)
        assert f".DIVIDER({divider})" in text and f".TIMEOUT({12 * 10 * divider})" in text
        assert text.count(f"#(.DIVIDER({round(1.03 * divider)}))") == 2
        assert f"silent < {2 * 12 * 10 * divider})" in text and f"silent == {2 * 12 * 10 * divider};" in text


@pytest.mark.parametrize(("mhz", "is_own"), [(25.02, True), (24.98, True), (25.1, False), (24.9, False)])
def test_a_clock_within_a_thousandth_is_the_boards_own(mhz: float, is_own: bool) -> None:
    clock, settings = design_clock(get_target("ulx3s-85f"), mhz)
    assert (settings is None) == is_own
    assert clock == (25.0 if is_own else pytest.approx(mhz, rel=0.02))


@pytest.mark.slow
@pytest.mark.parametrize("drift", [0.97, 1.0, 1.03])
def test_bytes_signs_several_words_and_a_clock_that_drifts(tmp_path, runtime, drift):
    """Words of 3 elements of 5 signed bits in, of 3 maxima out, that fill no whole bytes."""
    a = Stream((1, 5, 3), 3, 5, signed=True)
    rng = np.random.default_rng(5)
    pool = MaxPool(a, (1, 2))
    design = Design(a, (Element("pool", "0", pool, ((INPUT, "s"),)),))
    files = built(design, tmp_path)
    link = SerialLink(a, design.output, 1)
    board = compile_line(files.top, files.sources, tmp_path, link, runtime, divider=100, drift=drift)
    samples = rng.integers(-16, 16, (4, 15))
    accelerator = Accelerator(SimulatedLine(board), link)
    outputs = accelerator.run(samples)
    assert (outputs == labels(design, samples)).all()
    assert (accelerator.infer(samples) == outputs.argmax(axis=1)).all()
