"""The AXI streams of a core: words of all widths against numpy, packets, and packets of a wrong length."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from zerocross.finn_flows.chip.serial_line import SerialLink
from zerocross.finn_flows.cores.core import Core
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.library import library_of
from zerocross.finn_flows.rtl.simulation import Port, Simulator, compile_design

CORES = Path(__file__).parents[3] / "finn_flows" / "cores"

STREAMS = {  # with the bytes of a word
    "bytes": (Stream((12,), 1, 8), 1),
    "words": (Stream((4, 2), 2, 16, signed=True), 4),
    "odd": (Stream((21,), 7, 3, signed=True), 1),
    "wide": (Stream((52,), 52, 2), 3),
    "one": (Stream((1,), 1, 5), 1),
}


@dataclass(frozen=True)
class Bench:
    """Cores around wires: the answer to a sample is the sample."""

    cores: dict[str, Core]
    simulator: Simulator

    def run(
        self, packets: dict[str, list[np.ndarray]], stalls: tuple[float, float]
    ) -> dict[str, list[np.ndarray]]:
        """Send packets, (words, bytes) each, through each core; return the packets of its answers."""
        rows, counts = {}, {}
        for name, core in self.cores.items():
            last = [np.arange(len(packet)) == len(packet) - 1 for packet in packets[name]]
            bits = np.unpackbits(np.concatenate(packets[name]), axis=1, bitorder="little")
            rows[f"{name}_s"] = np.column_stack([bits, np.concatenate(last)])
            samples = sum(-(-len(packet) // core.sample_words) for packet in packets[name])
            counts[f"{name}_m"] = samples * core.answer_words
        trace = self.simulator.run(rows, counts, stalls)
        return {name: _cut(trace.words[f"{name}_m"]) for name in self.cores}


def _cut(words: np.ndarray) -> list[np.ndarray]:
    ends = np.flatnonzero(words[:, -1]) + 1
    bytes_ = np.packbits(words[:, :-1], axis=1, bitorder="little")
    assert ends[-1] == len(words), "every packet ends"
    return np.split(bytes_, ends[:-1])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, runtime: Path) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    cores, texts, ports, instances = {}, [], [], []
    for name, (stream, size) in STREAMS.items():
        core = cores[name] = Core(f"core_{name}", f"wires_{name}", SerialLink(stream, stream, 0), size)
        width = stream.width - 1
        texts.append(
            f"module {core.design}(input clk, input rst_n, input [{width}:0] s_tdata, input s_tvalid, output s_tready, "
            f"output [{width}:0] m_tdata, output m_tvalid, input m_tready);\n"
            "assign {m_tdata, m_tvalid, s_tready} = {s_tdata, s_tvalid, m_tready};\nendmodule\n" + core.top()
        )
        for side, inward in (("s", True), ("m", False)):
            to, back = ("input", "output") if inward else ("output", "input")
            ports += [f"{to} [{8 * size}:0] {name}_{side}_tdata", f"{to} {name}_{side}_tvalid"]
            ports += [f"{back} {name}_{side}_tready"]
        wires = [
            f".{side}_axis_{signal}({name}_{side}_{signal})"
            for side in "sm"
            for signal in ("tvalid", "tready")
        ]
        wires += [f".{side}_axis_tdata({name}_{side}_tdata[{8 * size - 1}:0])" for side in "sm"]
        wires += [f".{side}_axis_tlast({name}_{side}_tdata[{8 * size}])" for side in "sm"]
        instances.append(f"{core.name} i_{name} (.aclk(clk), .aresetn(rst_n), {', '.join(wires)});")
    top = folder / "bench.sv"
    texts += [f"module bench (input clk, input rst_n, {', '.join(ports)});", *instances, "endmodule"]
    top.write_text("\n".join(texts))
    sources = [*library_of("zc_fifo"), *CORES.glob("*.sv"), top]
    inputs = [Port(f"{name}_s", core.width + 1) for name, core in cores.items()]
    outputs = [Port(f"{name}_m", core.width + 1) for name, core in cores.items()]
    return Bench(cores, compile_design("bench", sources, inputs, outputs, folder, runtime))


def values(core: Core, count: int) -> np.ndarray:
    low, high = core.source.range
    return np.random.default_rng(count).integers(low, high + 1, (count, core.source.elements))


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.4, 0.4), (0.0, 0.8)])
def test_every_word_size_carries_every_stream(bench: Bench, stalls: tuple[float, float]) -> None:
    sizes = (1, 3, 2)
    sent, expected = {}, {}
    for name, core in bench.cores.items():
        samples = values(core, sum(sizes))
        parts = np.split(samples, np.cumsum(sizes)[:-1])
        sent[name] = [np.concatenate(core.samples(part)) for part in parts]
        # numpy's own conversion: elements as little-endian integers of whole bytes, and zeros up to whole words
        kind = f"<{'i' if core.sink.signed else 'u'}{core.element_bytes}"
        rows = [np.frombuffer(part.astype(kind).tobytes(), np.uint8).reshape(len(part), -1) for part in parts]
        size = core.answer_words * core.word_bytes
        expected[name] = [
            np.pad(row, [(0, 0), (0, size - row.shape[1])]).reshape(-1, core.word_bytes) for row in rows
        ]
    found = bench.run(sent, stalls)
    for name in bench.cores:
        assert [len(packet) for packet in found[name]] == [len(packet) for packet in expected[name]]
        for one, other in zip(found[name], expected[name], strict=True):
            np.testing.assert_array_equal(one, other, name)


def test_samples_are_bits_in_order(bench: Bench) -> None:
    core = bench.cores["odd"]
    sample = values(core, 1)
    text = "".join(f"{value & 7:03b}"[::-1] for value in sample[0])
    number = int(text[::-1], 2)
    assert bytes(core.samples(sample).ravel()) == number.to_bytes(core.sample_words, "little")


def test_a_packet_that_ends_too_early_is_completed(bench: Bench) -> None:
    sent, expected = {}, {}
    for name, core in bench.cores.items():
        first, second = core.samples(values(core, 2))
        kept = max(1, core.sample_words - 2)
        cut = first[:kept]
        completed = np.zeros_like(first)
        completed[:kept] = cut
        sent[name], expected[name] = [cut, second], [completed, second]
    found = bench.run(sent, (0.2, 0.2))
    whole = bench.run(expected, (0.0, 0.0))
    for name in bench.cores:
        assert all((one == other).all() for one, other in zip(found[name], whole[name], strict=True))
        assert len(found[name]) == 2
