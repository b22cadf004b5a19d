"""Plans: streams, forks, sums and names, and the graph of stock FINN's nodes beside them."""

from collections import Counter
from itertools import pairwise

import pytest
from qonnx.custom_op.registry import getCustomOp

from benchmarks.timing import random_cases, with_numbers
from tests.finn_flows.finn_networks import (
    CLASSIFIERS,
    biased_images,
    chain,
    cnv,
    dynamic,
    grouped,
    levels,
    residual,
    signs,
)
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.network import (
    Activation,
    Add,
    Bias,
    Conv,
    Dense,
    Flatten,
    Input,
    LabelSelect,
    Layer,
    Network,
    NetworkError,
)
from zerocross.finn_flows.nodes import AddVector, CrossingSite, Duplicate, Fifo, Product, WidthConverter
from zerocross.finn_flows.nodes import Bias as BiasNode
from zerocross.finn_flows.planner import UnsupportedLayer, plan
from zerocross.finn_flows.rtl.design import INPUT
from zerocross.finn_flows.timing import waiting_words
from zerocross.finn_flows.vendor.stock_nodes import stock_model

NETWORKS = {
    "residual": residual(),
    "residual of bits": residual(1),
    "dilated": residual(dilation=2),
    "dynamic": dynamic(),
    "grouped": grouped(),
    "grouped bytes": grouped(8),
    "wide": residual(channels=12, stream=5),
    "biased": biased_images(8),
}
FOLDINGS = [Folding(), Folding(target_cycles=1000), Folding(target_cycles=5000)]


@pytest.mark.parametrize("folding", FOLDINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_stream_has_one_writer_and_one_reader(name: str, folding: Folding) -> None:
    design = plan(NETWORKS[name], folding)
    assert len(design.by_name) == len(design.elements)
    read = Counter(source for element in design.elements for source in element.sources)
    last = (design.elements[-1].name, "m")
    assert read == Counter(source for source in design.streams if source != last)
    seen = {INPUT}
    for element in design.elements:
        for (writer, port), wanted in zip(element.sources, element.node.inputs.values(), strict=True):
            given = design.streams[writer, port]
            assert writer in seen
            assert (given.bits, given.signed, given.elements) == (wanted.bits, wanted.signed, wanted.elements)
            assert given.lanes == wanted.lanes and given.datatype == wanted.datatype
            assert given.stock_datatype == wanted.stock_datatype
        seen.add(element.name)


def test_words_between_nodes_fit_and_no_word_is_lost() -> None:
    for folding in (Folding(), Folding(target_cycles=700), Folding(pe=2, simd=2)):
        try:
            design = plan(cnv(8), folding)
        except FlowError:
            continue
        for before, after in pairwise(design.elements):
            (written,), (read,) = before.node.outputs.values(), after.node.inputs.values()
            assert (written.lanes, written.datatype) == (read.lanes, read.datatype)
            assert written.elements == read.elements


@pytest.mark.parametrize("folding", FOLDINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_converters_stand_where_words_differ_and_nowhere_else(name: str, folding: Folding) -> None:
    design = plan(NETWORKS[name], folding)
    for element in design.elements:
        assert not isinstance(element.node, Fifo)
        if isinstance(element.node, WidthConverter):
            assert element.node.to_lanes != element.node.stream.lanes
            (reader,) = (each for each in design.elements if (element.name, "m") in each.sources)
            assert element.name.startswith(f"{reader.name}_converter") and element.layer == reader.layer
            assert element.sources[0][0] != INPUT  # the input comes as its reader takes it


@pytest.mark.parametrize("name", NETWORKS)
def test_finn_takes_the_plan(name: str) -> None:
    design = plan(NETWORKS[name], FOLDINGS[1])
    planned = [
        (node, element)
        for element in design.elements
        if not isinstance(element.node, WidthConverter)
        for node in element.node.stock()
    ]
    model = stock_model(design)
    assert [node.op_type for node in model.graph.node] == [node.op_type for node, _ in planned]
    counts = Counter[str]()
    for node, (stock, element) in zip(model.graph.node, planned, strict=True):
        assert node.name == f"{stock.op_type}_{counts[stock.op_type]}"
        counts[stock.op_type] += 1
        # FINN's own operators agree on the words of every stream.
        operator = getCustomOp(node)
        if stock.op_type in ("ElementwiseAdd_hls", "DuplicateStreams_hls", "Pool_hls", "MVAU_hls"):
            assert operator.get_number_output_values() is not None
            assert _words(operator.get_folded_output_shape()) == stock.sink.words
            read = next(iter(element.node.inputs.values()))
            if len(element.node.stock()) == 1:
                assert _words(operator.get_folded_input_shape()) == read.words
    assert {name for node in model.graph.node for name in node.output} > {"out"}
    streams = Counter(name for node in model.graph.node for name in node.input)
    written = [name for node in model.graph.node for name in node.output]
    assert all(streams[name] == (name != "out") for name in written) and streams["in"] == 1


def _words(folded: tuple[int, ...]) -> int:
    words = 1
    for size in folded[:-1]:
        words *= size
    return words


@pytest.mark.parametrize("name", NETWORKS)
def test_costs(name: str) -> None:
    slow, fast = (estimate(NETWORKS[name], Folding(target_cycles=cycles)) for cycles in (5000, 1000))
    assert fast.ii <= 1000 < slow.ii <= 5000
    assert fast.latency <= slow.latency
    assert slow.zerocross.lut < fast.zerocross.lut
    for cost in (slow, fast):
        assert cost.ii <= cost.latency <= 5 * cost.ii


def test_an_image_waits_for_thresholds_that_it_decides() -> None:
    """The way round is a pool of all pixels, so that all must wait: words of a FIFO as deep as the image."""
    design = plan(dynamic(), Folding(target_cycles=1000))
    shifted = next(element for element in design.elements if isinstance(element.node, AddVector))
    assert isinstance(shifted.node, AddVector)
    image = shifted.node.image
    assert waiting_words(design)[shifted.name, "s"] >= image.words
    cost = estimate(dynamic(), Folding(target_cycles=1000))
    rows = {row.node: row for row in cost.nodes}
    assert rows[shifted.fifo_name("s")].zerocross.lut > rows[shifted.fifo_name("v")].zerocross.lut
    assert rows[shifted.fifo_name("s")].finn.lut > 2 * image.width  # FINN's is as deep


def test_weights_of_several_bits_cost_as_many_rows() -> None:
    def lut(bits: int) -> int:
        network = Network(
            Input((64,), 1),
            (
                Layer("dense", Dense(16, bits), (INPUT,)),
                Layer("levels", levels(16, 3), ("dense",)),
                Layer("classifier", Dense(4), ("levels",)),
                Layer("label", LabelSelect(), ("classifier",)),
            ),
        )
        return round(plan(network, Folding(pe=4, simd=8)).products["dense"].price().lut)

    assert 4 * lut(1) < lut(8) < 20 * lut(1)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifiers_offsets_come_off_where_nothing_absorbs_them(name: str) -> None:
    """The label select compares channels, so that all of them need to count from one point: a popcount's do."""
    design = plan(CLASSIFIERS[name], Folding())
    first, last = design.products.values()
    assert isinstance(first, Product) and isinstance(last, Product)
    assert not first.offsets  # the crossings absorb them
    assert last.offsets == (name.startswith("levels") or "4 bits" in name)
    kinds = [element.kind for element in design.elements if element.kind != "converter"]
    biased = ["bias"] * name.endswith("biased")
    assert kinds == ["product", "crossings", "product", *biased, "label"]
    if biased:
        node = design.of_layer("bias3", BiasNode).node
        assert isinstance(node, BiasNode)
        assert (node.shift, node.low, node.high) == (2 + last.is_popcount, -37, 90)
        assert node.biases is None


def test_more_readers_are_served_by_forks_of_two() -> None:
    """FINN has one node for all readers: the first of ours stands for it, those behind for none."""
    layers = (
        Layer("a", Dense(8), (INPUT,)),
        Layer("levels", levels(8, 2), ("a",)),
        *(Layer(f"sign{index}", signs(8), ("levels",)) for index in range(3)),
        *(Layer(f"dense{index}", Dense(8), (f"sign{index}",)) for index in range(3)),
        *(Layer(f"level{index}", levels(8, 2), (f"dense{index}",)) for index in range(3)),
        Layer("sum", Add(), ("level0", "level1", "level2")),
        Layer("classifier", Dense(4), ("sum",)),
    )
    design = plan(Network(Input((8,), 1), layers), Folding())
    forks = [element.node for element in design.elements if isinstance(element.node, Duplicate)]
    assert [fork.finn_readers for fork in forks] == [3, 0]
    assert [element.kind for element in design.elements].count("sum") == 2
    (duplicate,) = (node for node in stock_model(design).graph.node if node.op_type == "DuplicateStreams_hls")
    assert len(duplicate.output) == 3


def test_what_has_no_plan_is_named() -> None:
    source = Input((8,), 8)
    unread = Network(
        source,
        (
            Layer("a", Dense(8), (INPUT,)),
            Layer("levels", levels(8, 2), ("a",)),
            Layer("more", levels(8, 2), ("a",)),
            Layer("b", Dense(8), ("levels",)),
        ),
    )
    with pytest.raises(UnsupportedLayer, match="more: no layer reads its output"):
        plan(unread, Folding())


def test_what_has_no_hardware_is_named() -> None:
    unused = chain(Input((8,), 1), Activation((1,) * 8))
    with pytest.raises((UnsupportedLayer, NetworkError), match="activation0"):
        plan(unused, Folding())
    integers = chain(Input((8,), 1), Dense(8), Dense(8))
    with pytest.raises(NetworkError, match=r"dense1: .*accumulators"):
        plan(integers, Folding())
    twice = chain(Input((8,), 1), Dense(8), Bias(0, 0, 1), Bias(0, 0, 1), LabelSelect())
    with pytest.raises(NetworkError, match="bias2: reads bias1"):
        plan(twice, Folding())
    uneven = chain(Input((4, 4, 2), 8), Conv(4, groups=2), Flatten(), LabelSelect())
    with pytest.raises(UnsupportedLayer, match="conv0: .*grouped"):
        plan(uneven, Folding())


def test_crossings_are_planned_as_their_cheapest_implementation() -> None:
    network = chain(Input((64,), 1), Dense(8), Activation((0, 1, 4, 9) * 2), Dense(4), LabelSelect())
    node = plan(network, Folding(pe=4, simd=4)).of_layer("activation1", CrossingSite).node
    assert isinstance(node, CrossingSite)
    assert node == node.cheapest() and node.table is None


def test_the_plan_is_as_fast_as_the_design_and_as_was_asked() -> None:
    for case in random_cases(30, seed=2):
        cost = estimate(case.network, case.folding)
        net = with_numbers(case.network)
        design = assemble(plan(net.network, case.folding), net)
        assert cost.ii == max(design.intervals().values()), case.text
        if case.folding.target_cycles is not None:
            assert cost.ii <= case.folding.target_cycles, case.text
