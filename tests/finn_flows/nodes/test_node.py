"""What holds for every kind of node, and the names of its module, its test file and FINN's nodes."""

import importlib
import inspect
import math
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.finn_flows.nodes.bench import random_samples
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes import NODES
from zerocross.finn_flows.nodes.node import HardwareNode, NodeError, divisors, write_memory
from zerocross.finn_flows.rtl.library import library_of

SOURCES = Path(inspect.getfile(HardwareNode)).parent
NUMBERED = ("Bias", "CrossingSite", "GroupedProduct", "Product", "Wired", "WiredCount")
seeds = st.integers(0, 2**32 - 1)


def made_by(kind: type[HardwareNode]) -> Callable[[np.random.Generator], HardwareNode]:
    """What makes a kind's random nodes in its own test file."""
    file = Path(inspect.getfile(kind)).stem
    return importlib.import_module(f"tests.finn_flows.nodes.test_{file}").random_node


MAKERS = {kind: made_by(kind) for kind in NODES.values()}


def random_node(kind: type[HardwareNode], seed: int) -> HardwareNode:
    node = MAKERS[kind](np.random.default_rng(seed))
    assert type(node) is kind
    return node


def bare(node: HardwareNode) -> HardwareNode:
    """The node as a plan has it, without its numbers."""
    return replace(node, **{field.name: None for field in fields(node) if not field.compare})


@pytest.mark.parametrize("kind", NODES.values(), ids=NODES)
def test_every_kind_has_a_file_a_word_and_a_module(kind):
    file = Path(inspect.getfile(kind))
    assert file.parent == SOURCES
    assert kind.word.isidentifier()
    source = SOURCES / f"{kind.module}.sv"
    assert f"module {kind.module} " in source.read_text()


def test_every_file_of_systemverilog_is_part_of_a_node(tmp_path):
    modules = {  # those of wired layers are generated
        random_node(kind, seed).generate(tmp_path).module
        for name, kind in NODES.items()
        for seed in range(40 if name in ("Product", "InputGenerator", "LabelSelect") else 1)
    }
    apart = {"zc_converter"}  # is copied beside FINN's core
    files = library_of(*(modules - apart), generated=tmp_path)
    used = {path.stem for path in files if path.parent == SOURCES} | apart
    assert used == {path.stem for path in SOURCES.glob("zc_*.sv")}


@pytest.mark.parametrize("kind", NODES.values(), ids=NODES)
@given(seed=seeds)
@settings(max_examples=25)
def test_every_kind_tells_its_streams_price_timing_and_finns_nodes(kind, seed):
    node = random_node(kind, seed)
    streams = [*node.inputs.values(), *node.outputs.values()]
    assert all(stream.elements % stream.lanes == 0 and stream.bits >= 1 for stream in streams)
    assert node.interval >= max(stream.words for stream in node.outputs.values())
    assert node.latency >= 0 and all(lanes >= 1 for lanes in node.lanes)
    price = node.price()
    assert isinstance(price, Price) and math.isfinite(price.lut)
    assert min(price.lut, price.bram18, price.dsp) >= 0
    assert price.implementation
    stock = node.stock()
    assert stock and hash(stock)  # answers about them are kept
    assert all(each.op_type.endswith(("_rtl", "_hls")) for each in stock)
    assert stock[-1].sink.stock_shape == next(iter(node.outputs.values())).stock_shape
    assert all(count > 0 for count in node.operation_counts().values() if node.price().lut)


@pytest.mark.parametrize("kind", NODES.values(), ids=NODES)
@given(seed=seeds)
@settings(max_examples=25)
def test_a_reference_gives_what_the_streams_hold(kind, seed):
    node = random_node(kind, seed)
    samples = random_samples(node, np.random.default_rng(seed), 4)
    for values, stream in zip(node.reference(*samples), node.outputs.values(), strict=True):
        assert values.shape == (4, stream.elements)
        assert stream.range[0] <= values.min() and values.max() <= stream.range[1]


@pytest.mark.parametrize("kind", NODES.values(), ids=NODES)
def test_a_record_is_hashable_and_its_numbers_do_not_count(kind):
    node, same, other = random_node(kind, 5), random_node(kind, 5), random_node(kind, 6)
    assert node == same and hash(node) == hash(same) == hash(bare(node))
    assert node == bare(node) != other
    assert len({node, same, bare(node), other}) == 2


@pytest.mark.parametrize("kind", NODES.values(), ids=NODES)
def test_numbers_are_attached_and_come_back_as_finn_keeps_them(kind, tmp_path):
    node = random_node(kind, 5)
    parameters = node.parameters()
    assert tuple(parameters) == kind.parameter_names
    assert bool(parameters) == (kind.__name__ in NUMBERED)
    assert all(values.dtype == np.float32 for values, _ in parameters.values())
    attached = bare(node).with_parameters({name: values for name, (values, _) in parameters.items()})
    samples = random_samples(node, np.random.default_rng(0))
    for one, other in zip(node.reference(*samples), attached.reference(*samples), strict=True):
        assert (one == other).all()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert node.generate(tmp_path / "a").parameters == attached.generate(tmp_path / "b").parameters
    memories = [{path.name: path.read_text() for path in (tmp_path / each).glob("*.mem")} for each in "ab"]
    assert memories[0] == memories[1]


@pytest.mark.parametrize("name", NUMBERED)
def test_a_plans_node_says_that_it_has_no_numbers(name, tmp_path):
    node = bare(random_node(NODES[name], 5))
    samples = [np.zeros((4, stream.elements), int) for stream in node.inputs.values()]
    for use in (lambda: node.reference(*samples), lambda: node.generate(tmp_path), node.parameters):
        with pytest.raises(
            NodeError, match=r"has no (weights|crossings|biases) yet: assemble the plan first"
        ):
            use()
    assert node.price() and node.stock()  # which need none
    assert not list(tmp_path.iterdir())


def test_divisors_rise():
    assert divisors(12) == (1, 2, 3, 4, 6, 12)
    assert divisors(16) == (1, 2, 4, 8, 16)
    assert divisors(1) == (1,)


def test_memories_are_written_lowest_bit_first(tmp_path):
    write_memory(tmp_path / "a.mem", np.array([[1, 0, 0, 0, 1], [0, 1, 1, 1, 0]]))
    assert (tmp_path / "a.mem").read_text().split() == ["11", "0e"]
