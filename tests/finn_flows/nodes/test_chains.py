"""Nodes one behind the other, and beside each other in forks: what they compute, and their intervals."""

from dataclasses import replace

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, chain, crossing_table, product
from zerocross.finn_flows.chip.yosys import Script, run_scripts
from zerocross.finn_flows.network import Grid
from zerocross.finn_flows.nodes import (
    Add,
    AddVector,
    CrossingSite,
    Duplicate,
    Fifo,
    InputGenerator,
    LabelSelect,
    Padding,
    SumPool,
    WidthConverter,
)
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.design import INPUT, Design, Element, generate, with_fifos
from zerocross.finn_flows.rtl.streaming import compile_streaming, size_fifos


def answers(design: Design, samples: np.ndarray) -> np.ndarray:
    return design.run(samples)[design.elements[-1].name, "m"]


def test_a_chain_runs_at_the_interval_of_its_slowest_layer(tmp_path, runtime):
    # Bytes, whose offsets the crossings behind absorb; then bits; then the classifier. Intervals 30, 40, 20.
    first = product(24, 20, 4, 5, bits=8)
    reach = 24 * 255
    table = crossing_table(20, 2 * reach + 1, 30, -reach).moved(Grid(0, reach), -first.row_offsets)
    second = product(20, 30, 5, 3)
    third = product(30, 10, 3, 5)
    design = chain(
        first,
        CrossingSite.of(table, 5, "search"),
        second,
        CrossingSite.of(crossing_table(30, 21, 3), 3, "comparators"),
        third,
        LabelSelect(third.outputs["m"]),
    )
    compiled, _ = compile_streaming(design, tmp_path, cache=runtime)
    images = np.random.default_rng(1).integers(0, 256, (60, 24))
    right = answers(design, images)
    assert len(set(right[:, 0])) > 3
    for stalls in ((0.0, 0.0), (0.3, 0.3)):
        streamed = compiled.stream(images, stalls)
        assert (streamed.outputs == right).all()
        assert any(stalls) or streamed.interval == max(design.intervals().values()) == second.interval == 40


def test_a_convolution_behind_padding_and_before_a_fifo(tmp_path, runtime):
    pad = Padding(Stream((6, 5, 4), 2, 1), (1, 1, 1, 1))
    windows = InputGenerator(pad.outputs["m"], (3, 3), (2, 1))
    wider = WidthConverter(windows.outputs["m"], 6)
    layer = product(36, 12, 6, 4, vectors=windows.schedule.counts)
    behind = WidthConverter(layer.outputs["m"], 6)
    design = chain(pad, windows, wider, layer, behind, Fifo(behind.outputs["m"], 9))
    compiled, _ = compile_streaming(design, tmp_path, cache=runtime)
    images = np.random.default_rng(0).integers(0, 2, (20, 6 * 5 * 4))
    right = answers(design, images)
    for stalls in ((0.0, 0.0), (0.4, 0.4)):
        assert (compiled.stream(images, stalls).outputs == right).all()
    # And it is the convolution: the first output of the first image, by hand.
    padded = np.zeros((8, 7, 4), int)
    padded[1:7, 1:6] = images[0].reshape(6, 5, 4)
    assert right[0, 0] == (padded[:3, :3].ravel() == (layer.numbers[0] > 0)).sum()


def residual_image() -> Design:
    """An image of levels; what its mean comes to, and twice itself, is added to it.

    The image forks twice: to the sum of all its pixels, and through that to a vector; and to both sides of a sum.
    """
    image = Stream((4, 5, 6), 2, 3)
    fork = Duplicate(image)
    pool = SumPool(image, (4, 5))
    levels = CrossingSite.of(crossing_table(12, 141, 9), 2, "search", bits=2, vectors=(1, 1))
    both = Add(image, image)
    total = AddVector(both.outputs["m"], replace(levels.outputs["m"], shape=(6,)))
    return Design(
        image,
        (
            Element("first", "fork", fork, ((INPUT, "s"),)),
            Element("second", "fork", fork, (("first", "b"),)),
            Element("pool", "pool", pool, (("first", "a"),)),
            Element("levels", "levels", levels, (("pool", "m"),)),
            Element("both", "join", both, (("second", "a"), ("second", "b"))),
            Element("total", "total", total, (("both", "m"), ("levels", "m"))),
        ),
    )


def test_forks_and_sums_agree_with_their_references_and_keep_the_interval(tmp_path, runtime):
    design = residual_image()
    images = np.random.default_rng(0).integers(0, 8, (12, design.input.elements))
    right = answers(design, images)
    depths, interval = size_fifos(design, tmp_path / "sizing", cache=runtime)
    assert interval == max(design.intervals().values()) == 60
    assert depths["total_fifo"] > 60  # the image waits for the sum of all of it
    streaming, _ = compile_streaming(with_fifos(design, depths), tmp_path, cache=runtime)
    for stalls in STALLS:
        streamed = streaming.stream(images, stalls)
        assert (streamed.outputs == right).all()
        assert any(stalls) or streamed.interval == interval


@pytest.mark.parametrize("depths", [0, {"both_b_fifo": 8}])
def test_forks_and_sums_make_no_combinational_loops(depths, tmp_path):
    generated = generate(with_fifos(residual_image(), depths), tmp_path)
    files = " ".join(f'"{file.resolve()}"' for file in generated.sources)
    (tmp_path / "sources.f").write_text(f"--ignore-assertions --top {generated.top} {files}\n")
    commands = ("read_slang -f sources.f", "proc", "flatten", "opt_clean", "check -assert")
    run_scripts([Script("check", commands, tmp_path / "check.ys")], tmp_path)
