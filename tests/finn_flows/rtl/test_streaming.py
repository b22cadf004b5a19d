"""Whole designs in Verilator: sized FIFOs, intervals, stalls, and which node is the first to be wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.finn_flows.finn_networks import border, chain, signs
from tests.finn_flows.integer_networks import random_inputs, random_network
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import Conv, Dense, Flatten, Input, LabelSelect, MaxPool
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl import streaming
from zerocross.finn_flows.rtl.design import Design, Generated, with_fifos
from zerocross.finn_flows.rtl.streaming import (
    CompiledDesign,
    compile_streaming,
    elements,
    first_difference,
    size_fifos,
    words,
)

NETWORK = chain(
    Input((6, 7, 2), 1),
    border(1, 1, 1),
    Conv(4),
    signs(4),
    MaxPool((3, 2), (1, 2)),
    Conv(6, (2, 2)),
    signs(6),
    MaxPool(),
    Flatten(),
    Dense(5),
    LabelSelect(),
)

Sized = tuple[dict[str, int], float]


@pytest.fixture(scope="module")
def net() -> IntegerNetwork:
    return random_network(NETWORK, 4, constant=0.0)


@pytest.fixture(scope="module")
def bare(net: IntegerNetwork) -> Design:
    return assemble(plan(net.network, Folding(target_cycles=200)), net)


@pytest.fixture(scope="module")
def inputs(net: IntegerNetwork) -> np.ndarray:
    return (random_inputs(NETWORK, 30, 1).reshape(30, -1) > 0).astype(np.int64)


@pytest.fixture(scope="module")
def sized(bare: Design, tmp_path_factory: pytest.TempPathFactory, runtime: Path) -> Sized:
    return size_fifos(bare, tmp_path_factory.mktemp("sizing"), runtime)


@pytest.fixture(scope="module")
def compiled(
    bare: Design, sized: Sized, tmp_path_factory: pytest.TempPathFactory, runtime: Path
) -> CompiledDesign:
    """The design with FIFOs of the depths found, every stream looked on."""
    design = with_fifos(bare, {name: depth for name, depth in sized[0].items() if depth > 1})
    taps = [element.name for element in design.elements][:-1]
    return compile_streaming(design, tmp_path_factory.mktemp("sized"), taps, runtime)[0]


def test_every_inner_stream_is_sized(bare: Design, sized: Sized) -> None:
    depths, _ = sized
    deep = with_fifos(bare, 2)
    assert set(depths) == {element.name for element in deep.elements if element.kind == "fifo"}
    assert all(depth >= 1 for depth in depths.values()) and max(depths.values()) > 1


def test_with_the_depths_found_the_design_is_as_fast_as_with_deeper_fifos(
    bare: Design, sized: Sized, compiled: CompiledDesign, inputs: np.ndarray
) -> None:
    interval = compiled.stream(inputs).interval
    assert interval == sized[1]
    assert interval == max(bare.intervals().values())  # the slowest node's, as was planned


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.5, 0.5), (0.9, 0.0), (0.0, 0.9)])
def test_every_stream_is_what_the_nodes_say_whatever_the_stalls(
    compiled: CompiledDesign, inputs: np.ndarray, stalls: tuple[float, float]
) -> None:
    streamed, values = compiled.stream(inputs, stalls, seed=7), compiled.design.run(inputs)
    for name, found in streamed.taps.items():
        assert (found == values[name, "m"]).all(), name
    assert (streamed.outputs == values[compiled.design.elements[-1].name, "m"]).all()


def test_the_answers_are_the_networks(
    net: IntegerNetwork, compiled: CompiledDesign, inputs: np.ndarray
) -> None:
    expected = net.run(2 * inputs.reshape(-1, *NETWORK.input.shape) - 1)
    assert (compiled.stream(inputs).outputs == expected[NETWORK.layers[-1].name]).all()


def test_times_are_those_of_the_words(compiled: CompiledDesign, inputs: np.ndarray) -> None:
    alone, all_of_them = compiled.stream(inputs[:1]), compiled.stream(inputs)
    assert np.isnan(alone.interval) and alone.latency == alone.cycles
    assert all_of_them.latency == alone.latency  # the first sample meets no other
    assert all_of_them.cycles == alone.cycles + round(29 * all_of_them.interval)
    slow = compiled.stream(inputs, pace=3 * all_of_them.interval)
    assert slow.interval == pytest.approx(3 * all_of_them.interval, rel=0.01)


def test_progress_is_told(compiled: CompiledDesign, inputs: np.ndarray) -> None:
    shares: list[float] = []
    compiled.stream(inputs, progress=shares.append)
    assert shares == sorted(shares) and all(0 <= share <= 1 for share in shares)


def test_the_first_wrong_element_is_named_and_no_other(
    bare: Design, inputs: np.ndarray, tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = next(element for element in bare.elements if element.kind == "product")

    def generate(design: Design, folder: Path, *options: Any) -> Generated:
        generated = original(design, folder, *options)
        memory = folder / f"{broken.name}_weights.mem"
        lines = memory.read_text().splitlines()
        memory.write_text("\n".join(f"{int(line, 16) ^ 1:0{len(line)}x}" for line in lines) + "\n")
        return generated

    original = streaming.generate
    monkeypatch.setattr(streaming, "generate", generate)
    said = first_difference(bare, inputs[:4], tmp_path, runtime)
    assert said is not None and said.startswith(f"{broken.name}: element ") and " of sample 0 is " in said


@pytest.mark.slow
def test_where_nothing_is_wrong_no_element_is_named(
    bare: Design, inputs: np.ndarray, tmp_path: Path, runtime: Path
) -> None:
    assert first_difference(bare, inputs, tmp_path, runtime) is None


@pytest.mark.slow
def test_fifos_deeper_than_the_first_guess_are_found(
    bare: Design, sized: Sized, tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_FIRST_DEPTH", 2)
    assert size_fifos(bare, tmp_path, runtime) == sized


def test_words_and_elements_are_each_others_inverse() -> None:
    rng = np.random.default_rng(0)
    for stream in (Stream((12,), 3, 5), Stream((6,), 6, 1), Stream((2, 2, 2), 2, 7, signed=True)):
        low, high = stream.range
        samples = rng.integers(low, high + 1, (9, stream.elements))
        rows = words(samples, stream)
        assert rows.shape == (9 * stream.words, stream.width)
        assert (elements(rows, stream) == samples).all()
