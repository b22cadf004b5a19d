"""Plans of networks that are no chains: edges, forks, sums, and the FINN model of them."""

import math

import pytest

from tests.finn_flows.finn_networks import dynamic, grouped, levels, residual
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.graph import UnsupportedLayer, hardware_nodes
from zerocross.finn_flows.network import Add, Dense, Input, LabelSelect, Layer, Network
from zerocross.finn_flows.plan import INPUT, Node, finn_graph

NETWORKS = {
    "residual": residual(),
    "residual of bits": residual(1),
    "dilated": residual(apart=2),
    "dynamic": dynamic(),
    "grouped": grouped(),
    "grouped bytes": grouped(8),
    "wide": residual(channels=12, stream=5),
}
FOLDINGS = [Folding(), Folding(target_cycles=1000), Folding(target_cycles=5000)]


def readers(nodes: tuple[Node, ...], name: str) -> list[Node]:
    return [node for node in nodes for each in node.inputs if each == name]


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("folding", FOLDINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_stream_has_one_writer_and_one_reader(name: str, folding: Folding, streams: bool) -> None:
    nodes = hardware_nodes(NETWORKS[name], folding, streams=streams)
    written = {node.name: node for node in nodes}
    assert len(written) == len(nodes)
    for index, node in enumerate(nodes):
        assert len(node.inputs) == len(node.sources)
        for source, reads in zip(node.inputs, node.sources, strict=True):
            if source == INPUT:
                continue
            before = written[source]
            assert source in {each.name for each in nodes[:index]}
            assert before.sink.datatype == reads.datatype
            assert math.prod(before.sink.shape) == math.prod(reads.shape)
            assert not streams or before.sink.lanes == reads.lanes
        count = dict(node.attributes).get("NumOutputStreams", 1)
        assert len(readers(nodes, node.name)) == (0 if node is nodes[-1] else count)


@pytest.mark.parametrize("name", NETWORKS)
def test_finn_takes_the_plan(name: str) -> None:
    nodes = hardware_nodes(NETWORKS[name], FOLDINGS[1])
    model = finn_graph(nodes)
    assert [node.name for node in model.graph.node] == [node.name for node in nodes]
    for node, planned in zip(model.graph.node, nodes, strict=True):
        # FINN's own operators agree on the words of every stream.
        op = model.get_customop_wrapper(node)
        if planned.op_type in ("ElementwiseAdd_hls", "DuplicateStreams_hls", "Pool_hls", "MVAU_hls"):
            assert op.get_number_output_values() is not None
            assert math.prod(op.get_folded_output_shape()[:-1]) == planned.sink.words
            assert math.prod(op.get_folded_input_shape()[:-1]) == planned.source.words


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
    nodes = hardware_nodes(dynamic(), Folding(target_cycles=1000))
    shifted = next(node for node in nodes if node.op_type == "ElementwiseAdd_hls")
    waiting = next(node for node in nodes if node.name == shifted.inputs[0])
    assert waiting.op_type == "StreamingFIFO_rtl"
    assert dict(waiting.attributes)["depth"] >= shifted.source.words


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
        nodes = hardware_nodes(network, Folding(pe=4, simd=8))
        return round(
            next(node.price.lut for node in nodes if node.layer == "dense" and node.op_type == "MVAU_hls")
        )

    assert 4 * lut(1) < lut(8) < 20 * lut(1)


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
    with pytest.raises(UnsupportedLayer, match="more: nothing reads it"):
        hardware_nodes(unread, Folding())
    forked = Network(
        source,
        (Layer("a", Dense(8), (INPUT,)), Layer("b", levels(8, 2), ("a",)), Layer("c", Add(), ("b", INPUT))),
    )
    with pytest.raises(UnsupportedLayer, match="a and c: read the network's input"):
        hardware_nodes(forked, Folding())
