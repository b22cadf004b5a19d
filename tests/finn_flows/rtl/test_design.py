"""Designs: what fits together, what it computes, and that the SystemVerilog is what was said."""

import numpy as np
import pytest

from tests.finn_flows.rtl.test_nodes import crossing_table, product
from tests.finn_flows.vendor.designs import answers, designs, residual, samples
from zerocross.finn_flows.rtl.design import INPUT, Design, DesignError, Element, generate, with_fifos
from zerocross.finn_flows.rtl.nodes import Crossings, LabelSelect, MaxPool, Product, Stream
from zerocross.finn_flows.rtl.stream_nodes import Fifo, InputGenerator, WidthConverter
from zerocross.finn_flows.rtl.streaming import compile_streaming
from zerocross.finn_flows.rtl.sum_nodes import Duplicate

START = (INPUT, "s")


def layer(table_levels: int = 13) -> tuple[Element, Element]:
    """A product of 12 inputs and its crossings."""
    first = Element("p", "fc", "product", product(12, 6, 3, 2), (START,))
    then = Element("c", "act", "crossings", Crossings(crossing_table(6, table_levels, 2), 2), (("p", "m"),))
    return first, then


def test_designs_compute_what_their_nodes_do_one_after_the_other():
    for design, _ in designs().values():
        x = samples(design, 5, seed=2)
        values = design.run(x)
        assert (values[design.elements[-1].name, "m"] == answers(design, x)).all()
        assert set(values) == set(design.streams)
        for source, stream in design.streams.items():
            assert values[source].shape == (5, stream.elements)


def test_a_product_of_windows_works_once_a_pixel():
    windows = InputGenerator((5, 6, 4), (3, 2), (1, 2), 4)
    node = Product(np.resize([1, -1, -1, 1, 1], (8, 24)), 4, 6)
    convert = WidthConverter(windows.outputs["m"], 6)
    design = Design(
        windows.inputs["s"],
        (
            Element("w", "conv", "generator", windows, (START,)),
            Element("v", "conv", "converter", convert, (("w", "m"),)),
            Element("p", "conv", "product", node, (("v", "m"),)),
        ),
    )
    assert design.repeats == {"w": 1, "v": 1, "p": 9}
    assert design.output == Stream(9 * 8, 4, node.outputs["m"].bits)
    assert design.intervals() == {"w": windows.interval, "v": convert.interval, "p": 9 * node.interval}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, c: (p, Element("c", "act", "any", c.node, (("q", "m"),))), "c: nothing writes"),
        (lambda p, c: (Element("p", "fc", "any", p.node, ()), c), "p reads 1 streams, not 0"),
        (lambda p, c: (p, Element("c", "act", "any", c.node, (START,))), "two nodes read it"),
        (lambda p, c: (p, Element("c", "act", "any", LabelSelect(6, 3, 4), (("p", "m"),))), "c reads .*lanes=3"),
        (lambda p, c: (p, Element("c", "act", "any", LabelSelect(12, 2, 4), (("p", "m"),))), "c reads .*=12"),
        (lambda p, c: (p, layer(30)[1]), "c reads .*bits=5.*but p writes .*bits=4"),
        (lambda p, c: (p, Element("c", "act", "any", Duplicate(p.node.outputs["m"]), (("p", "m"),))), "nothing reads c"),
        (lambda p, c: (p, Element("p", "act", "any", c.node, (("p", "m"),))), "two elements are called p"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(change, message):
    first, then = layer()
    assert Design(Stream(12, 3, 1), (first, then)).output == Stream(6, 2, 1)
    with pytest.raises(DesignError, match=message):
        Design(Stream(12, 3, 1), change(first, then))


def test_words_of_as_many_bits_but_other_elements_are_refused():
    pool = MaxPool((2, 2, 4), (2, 2), 2, bits=2)
    best = LabelSelect(2, 1, 4)  # one lane of four bits where the pool writes two of two
    with pytest.raises(DesignError, match="b reads .*but a writes"):
        Design(
            pool.inputs["s"],
            (Element("a", "a", "pool", pool, (START,)), Element("b", "b", "label", best, (("a", "m"),))),
        )


def test_fifos_stand_on_inner_streams_but_not_inside_a_unit():
    first, then = layer()
    best = LabelSelect(6, 2, 1)
    design = Design(Stream(12, 3, 1), (first, then, Element("b", "label", "label", best, (("c", "m"),))))
    deep = with_fifos(design, 7)
    assert [element.name for element in deep.elements] == ["p", "c", "b_fifo", "b"]
    assert deep.elements[2].node == Fifo(Stream(6, 2, 1), 7)
    assert deep.elements[2].layer == "label" and deep.elements[2].kind == "fifo"
    assert with_fifos(design, {"b_fifo": 0}) == with_fifos(design, {}) == design
    x = samples(design, 4)
    assert (deep.run(x)["b", "m"] == design.run(x)["b", "m"]).all()
    forked = with_fifos(residual(), {"total_a_fifo": 3, "total_b_fifo": 5})
    assert {e.name: e.node.depth for e in forked.elements if e.kind == "fifo"} == {
        "total_a_fifo": 3,
        "total_b_fifo": 5,
    }


def test_the_systemverilog_computes_what_the_design_does_on_every_stream(tmp_path, runtime):
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


def test_generating_twice_writes_the_same(tmp_path):
    texts = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        generate(residual(), folder)
        texts.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert texts[0] == texts[1] and any(name.endswith(".mem") for name in texts[0])
