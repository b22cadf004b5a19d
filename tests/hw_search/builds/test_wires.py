"""What a report says of wired layers: read as a person would, it gives the answers of the integer network."""

from dataclasses import replace

import numpy as np
import pytest

from tests.finn_flows.wired_networks import random_inputs, wired_network
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import BitPlanes, Flatten, Input, Layer
from zerocross.finn_flows.wiring import simplified
from zerocross.hw_search.builds.wires import wired_layers
from zerocross.reports.build_records import WiredLayer


def planes() -> IntegerNetwork:
    """A wired network that reads the bits of an image's pixels."""
    net = wired_network(5, features=12, bits=2)
    first, *rest = net.network.layers
    encoder = Layer(first.name, BitPlanes((7, 2)), ("input",))
    flat = Layer("flat", Flatten(), (encoder.name,))
    rest[0] = replace(rest[0], inputs=(flat.name,))
    return replace(net, network=replace(net.network, input=Input((2, 3, 2)), layers=(encoder, flat, *rest)))


NETWORKS = {
    "thermometer": wired_network(0),
    "bits": wired_network(1, bits=0),
    "several fan-ins": wired_network(2, widths=(21, 19), reads=((6, 1, 3), (9, 12)), density=0.2),
    "planes": planes(),
    "tables": wired_network(6, reads=((6,), (5, 2, 6)), indexed=(1, 2)),
    "simplified tables": simplified(
        wired_network(7, features=4, widths=(40, 9), reads=((4,), (3,)), indexed=(1, 2))
    )[0],
    "simplified": simplified(wired_network(3, widths=(40, 9), reads=((2,), (3,))))[0],
}


def answers(layer: WiredLayer, element: np.ndarray) -> dict[int, np.ndarray]:
    """Compute the bits of a layer's neurons from the record alone; `element`: what the layer reads, (N, elements)."""
    found = {}
    for neuron in layer.neurons:
        counted = np.zeros(len(element), int)
        inputs = zip(neuron.elements, neuron.conditions, neuron.signs, strict=True)
        for power, (place, condition, sign) in enumerate(inputs):
            value = element[:, place]
            match condition.split():
                case ["\u2265", threshold]:
                    bit = value >= int(threshold)
                case ["bit", number]:
                    bit = value >> int(number) & 1 == 1
                case _:
                    bit = value > 0
            counted += (bit == (sign == "+")) * (1 << power if layer.of_tables else 1)
        found[neuron.number] = np.array([int(bit) for bit in neuron.row])[counted]
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_the_record_gives_the_answers_of_the_network(name: str) -> None:
    net = NETWORKS[name]
    inputs = random_inputs(net, 300)
    values = net.run(inputs)
    readers = {layer.inputs[0]: layer.name for layer in net.network.layers}
    layers = wired_layers(net)
    assert [layer.name for layer in layers] == ["sparse1", "sparse2"]
    for layer in layers:
        read = values[layer.source].reshape(len(inputs), -1)
        assert read.shape[1] == np.prod(layer.shape)
        expected = values[readers[layer.name]]
        for number, bits in answers(layer, read).items():
            assert np.array_equal(2 * bits - 1, expected[:, number])


def test_neurons_that_are_left_out_are_not_listed() -> None:
    net = NETWORKS["simplified"]
    (first, second) = wired_layers(net)
    for layer in (first, second):
        connected = np.flatnonzero((net.weights[layer.name] != 0).any(axis=1))
        assert [neuron.number for neuron in layer.neurons] == connected.tolist()
    assert len(first.neurons) < 40


def test_pixels_that_the_host_puts_in_a_row_are_shown_as_pixels() -> None:
    net = NETWORKS["thermometer"]  # of 12 features
    for sample, shape in (((1, 3, 4), [3, 4, 1]), ((3, 2, 2), [12]), ((12,), [12]), ((1, 5, 5), [12])):
        first, second = wired_layers(net, sample)
        assert first.shape == shape and first.neurons == wired_layers(net)[0].neurons
        assert second.shape == [20]
