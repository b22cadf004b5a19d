"""Designs: what fits together, what it computes, and that the SystemVerilog is what was said."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.finn_flows.finn_networks import dynamic
from tests.finn_flows.finn_networks import residual as residual_network
from tests.finn_flows.nodes.bench import crossing_table, product
from tests.finn_flows.vendor.designs import answers, designs, residual, samples
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.nodes import (
    CrossingSite,
    Duplicate,
    Fifo,
    InputGenerator,
    LabelSelect,
    MaxPool,
    Product,
    WidthConverter,
)
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import INPUT, Design, DesignError, Element, generate, with_fifos
from zerocross.finn_flows.rtl.streaming import compile_streaming

START = (INPUT, "s")
SOURCE = Stream((12,), 3, 1)


def layer(table_levels: int = 13) -> tuple[Element, Element]:
    """A product of 12 inputs and its crossings."""
    site = CrossingSite.of(crossing_table(6, table_levels, 2), 2)
    return Element("p", "fc", product(12, 6, 3, 2), (START,)), Element("c", "act", site, (("p", "m"),))


def label(labels: int, lanes: int, bits: int) -> LabelSelect:
    return LabelSelect(Stream((labels,), lanes, bits))


def test_designs_compute_what_their_nodes_do_one_after_the_other() -> None:
    for design in designs().values():
        x = samples(design, 5, seed=2)
        values = design.run(x)
        assert (values[design.elements[-1].name, "m"] == answers(design, x)).all()
        assert set(values) == set(design.streams)
        for source, stream in design.streams.items():
            assert values[source].shape == (5, stream.elements)


def test_a_product_of_windows_works_once_a_pixel() -> None:
    windows = InputGenerator(Stream((5, 6, 4), 4, 1), (3, 2), (1, 2))
    node = Product.of(np.resize(np.array([1, -1, -1, 1, 1]), (8, 24)), 4, 6, vectors=(3, 3))
    convert = WidthConverter(windows.outputs["m"], 6)
    design = Design(
        windows.inputs["s"],
        (
            Element("w", "conv", windows, (START,)),
            Element("v", "conv", convert, (("w", "m"),)),
            Element("p", "conv", node, (("v", "m"),)),
        ),
    )
    assert design.output == Stream((3, 3, 8), 4, node.outputs["m"].bits)
    assert node.interval == 9 * node.folds == 9 * 8
    assert design.intervals() == {"w": windows.interval, "v": convert.interval, "p": node.interval}
    x = samples(design, 3)
    patches = np.stack(
        [x.reshape(-1, 5, 6, 4)[:, r : r + 3, 2 * c : 2 * c + 2] for r in range(3) for c in range(3)], 1
    )
    expected = (2 * patches.reshape(3, 9, 24) - 1) @ node.numbers.T
    assert (2 * design.run(x)["p", "m"].reshape(3, 9, 8) - 24 == expected).all()


def test_elements_are_found_by_layer_and_by_kind() -> None:
    first, then = layer()
    design = Design(SOURCE, (first, then))
    assert design.by_name == {"p": first, "c": then}
    assert design.of_layer("fc", Product) is first and design.of_layer("act", CrossingSite, Fifo) is then
    assert design.products == {"fc": first.node}
    assert (first.kind, then.kind) == ("product", "crossings")
    assert then.ports == {"s": ("p", "m")} and then.fifo_name("s") == "c_fifo"
    with pytest.raises(StopIteration):
        design.of_layer("act", Product)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, c: (p, Element("c", "act", c.node, (("q", "m"),))), "c: no node writes"),
        (lambda p, c: (Element("p", "fc", p.node, ()), c), "p reads 1 streams, not 0"),
        (lambda p, c: (p, Element("c", "act", c.node, (START,))), "two nodes read it"),
        (lambda p, c: (p, Element("c", "act", label(6, 3, 4), (("p", "m"),))), "c reads .*lanes=3"),
        (lambda p, c: (p, Element("c", "act", label(12, 2, 4), (("p", "m"),))), r"c reads .*\(12,\)"),
        (lambda p, c: (p, layer(30)[1]), "c reads .*bits=5.*but p writes .*bits=4"),
        (lambda p, c: (p, Element("c", "act", Duplicate(p.node.outputs["m"]), (("p", "m"),))), "no node reads c"),
        (lambda p, c: (p, Element("p", "act", c.node, (("p", "m"),))), "two elements are called p"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(
    change: Callable[[Element, Element], tuple[Element, ...]], message: str
) -> None:
    first, then = layer()
    assert Design(SOURCE, (first, then)).output == Stream((6,), 2, 1)
    with pytest.raises(DesignError, match=message):
        Design(SOURCE, change(first, then))


def test_words_of_as_many_bits_but_other_elements_are_refused() -> None:
    pool = MaxPool(Stream((2, 2, 4), 2, 2), (2, 2))
    best = label(2, 1, 4)  # one lane of four bits where the pool writes two of two
    with pytest.raises(DesignError, match="b reads .*but a writes"):
        Design(
            pool.inputs["s"],
            (Element("a", "a", pool, (START,)), Element("b", "b", best, (("a", "m"),))),
        )


def test_fifos_stand_on_inner_streams_but_not_inside_a_unit() -> None:
    first, then = layer()
    design = Design(SOURCE, (first, then, Element("b", "label", label(6, 2, 1), (("c", "m"),))))
    deep = with_fifos(design, 7)
    assert [element.name for element in deep.elements] == ["p", "c", "b_fifo", "b"]
    assert deep.elements[2].node == Fifo(Stream((6,), 2, 1), 7)
    assert deep.elements[2].layer == "label" and deep.elements[2].kind == "fifo"
    assert with_fifos(design, {"b_fifo": 0}) == with_fifos(design, {}) == design
    x = samples(design, 4)
    assert (deep.run(x)["b", "m"] == design.run(x)["b", "m"]).all()
    forked = with_fifos(residual(), {"total_a_fifo": 3, "total_b_fifo": 5})
    assert {e.name: e.node.depth for e in forked.elements if isinstance(e.node, Fifo)} == {
        "total_a_fifo": 3,
        "total_b_fifo": 5,
    }


def test_fifos_keep_the_elements_and_the_values_of_a_plan() -> None:
    for network in (residual_network(), dynamic()):
        bare = plan(network, Folding(target_cycles=1000))
        deep = with_fifos(bare, 3, probe=True)
        fifos = {each.name: each for each in deep.elements if each.kind == "fifo"}
        assert {each.node for each in fifos.values()} == {
            Fifo(stream, 3, probe=True)
            for stream in (deep.streams[each.sources[0]] for each in fifos.values())
        }
        for element in bare.elements:
            behind = deep.by_name[element.name]
            assert replace(behind, sources=element.sources) == element
            for port, source in element.ports.items():
                through = fifos.get(element.fifo_name(port))
                assert behind.ports[port] == (source if through is None else (through.name, "m"))
                assert through is None or through.sources == (source,)


def test_the_systemverilog_computes_what_the_design_does_on_every_stream(
    tmp_path: Path, runtime: Path
) -> None:
    design = with_fifos(residual(), 4)
    names = [name for name, port in design.streams if port == "m"][:-1]
    compiled, generated = compile_streaming(design, tmp_path, names, runtime, top="forked")
    assert generated.top == "forked" and set(generated.instances) == {e.name for e in design.elements}
    assert all(path.is_file() for path in generated.sources)
    assert len(set(generated.sources)) == len(generated.sources)
    x = samples(design, 40)
    values = design.run(x)
    for stalls in ((0.0, 0.0), (0.4, 0.6)):
        streamed = compiled.stream(x, stalls, seed=1)
        assert (streamed.outputs == values[design.elements[-1].name, "m"]).all()
        for name in names:
            assert (streamed.taps[name] == values[name, "m"]).all()


def test_generating_twice_writes_the_same(tmp_path: Path) -> None:
    texts = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        generate(residual(), folder)
        texts.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert texts[0] == texts[1] and any(name.endswith(".mem") for name in texts[0])
