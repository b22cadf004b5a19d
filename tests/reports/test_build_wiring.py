"""The wired layers of a build: words and figures."""

from dataclasses import replace

from tests.reports.builds import make_build
from tests.reports.test_build_page import Page
from zerocross.reports.build_page import render_build
from zerocross.reports.build_records import WiredLayer, WiredNeuron
from zerocross.reports.build_wiring import answers, blocks, looked_at, reads, rows_of, sizes_of

IMAGE = WiredLayer(
    "sparse1",
    "input",
    [2, 3, 1],
    [
        WiredNeuron(0, [0, 5, 5], ["\u2265 64", "\u2265 64", "\u2265 128"], "+-+", "0110"),
        WiredNeuron(2, [5, 1, 2], ["\u2265 128"] * 3, "+++", "1001"),
        WiredNeuron(3, [4], ["\u2265 128"], "-", "01"),
    ],
)
SECOND = WiredLayer("sparse2", "sparse1_sign", [4], [WiredNeuron(1, [0, 3], ["", ""], "+-", "001")])


def test_inputs_in_words():
    assert (
        reads(IMAGE, IMAGE.neurons[0]) == "+ (0, 0) \u2265 64, \u2212 (1, 2) \u2265 64, + (1, 2) \u2265 128"
    )
    assert reads(SECOND, SECOND.neurons[0]) == "+ 0, \u2212 3"
    colours = replace(IMAGE, shape=[2, 3, 2])
    assert reads(colours, WiredNeuron(0, [7], ["bit 6"], "+", "01")) == "+ (1, 0, 1) bit 6"


def test_pixels_are_counted_and_layers_behind_the_first_have_no_picture():
    figure = looked_at(IMAGE)
    assert [list(row) for row in figure.data[0].z] == [[1, 1, 1], [0, 1, 3]]
    assert looked_at(SECOND) is None
    assert list(looked_at(replace(IMAGE, shape=[6])).data[0].y) == [1, 1, 1, 0, 1, 3]


def test_rows_that_differ_in_signs_alone_are_one():
    bars = rows_of(IMAGE).data[0]
    assert list(bars.x) == [2, 1]
    assert list(rows_of(IMAGE).layout.yaxis.ticktext) == [blocks("0110"), blocks("01")]
    assert list(bars.customdata) == ["3 inputs, 2 crossings", "1 input, 1 crossing"]


def test_a_table_is_a_number_whose_bits_are_its_answers():
    layer = replace(SECOND, neurons=[WiredNeuron(1, [0, 3, 2], [""] * 3, "+++", "00010011")], of_tables=True)
    assert answers(layer, layer.neurons[0]) == "c8"
    assert answers(SECOND, SECOND.neurons[0]) == blocks("001")
    bars = sizes_of(replace(layer, neurons=[*layer.neurons, WiredNeuron(2, [1], [""], "+", "01")])).data[0]
    assert (list(bars.x), list(bars.y)) == ([1, 2, 3], [1, 0, 1])
    assert list(sizes_of(replace(layer, neurons=[])).data[0].y) == [0]
    text = Page(render_build(replace(make_build(), wired=[layer]))).text
    assert "c8" in text and "any function of its inputs" in text and "Most frequent" not in text


def test_the_page_lists_the_neurons():
    page = Page(render_build(replace(make_build(), wired=[IMAGE, SECOND])))
    assert "sparse1: 3 neurons" in page.text and "sparse2: 1 neuron" in page.text
    assert reads(IMAGE, IMAGE.neurons[1]) in page.text
    assert "FINN has no node for wired layers" in page.text
    assert "FINN has no node for wired layers" not in Page(render_build(make_build())).text
