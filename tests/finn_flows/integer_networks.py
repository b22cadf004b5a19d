"""Integer networks of random numbers, and what the tests compare with: products by loops, designs layer by layer."""

from dataclasses import replace

import numpy as np

from zerocross.finn_flows.crossings import CrossingTable, from_bits
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import Bias, Conv, Dense, Grid, LabelSelect, MaxPool, Network
from zerocross.finn_flows.nodes import GroupedProduct, Product
from zerocross.finn_flows.rtl.design import Design


def random_rows(grid: Grid, channels: int, rng: np.random.Generator, density: float) -> np.ndarray:
    flips = (rng.random((channels, len(grid))) < density).astype(np.uint8)
    flips[:, 0] = rng.random(channels) < 0.5
    return np.bitwise_xor.accumulate(flips, axis=1)


def random_network(
    network: Network, seed: int, constant: float = 0.4, density: float = 0.3, most: float = np.inf
) -> IntegerNetwork:
    """Give a network random weights, tables and biases, a share of its channels constant.

    A row has `density` crossings a point, and `most` on average where that is fewer.
    """
    rng = np.random.default_rng(seed)
    shapes, grids, producers = network.shapes(), network.grids(), network.producers()
    weights, tables = {}, {}
    for layer in network.layers:
        inputs = shapes[layer.inputs[0]]
        match layer.operation:
            case Dense(channels):
                size: tuple[int, ...] = (channels, inputs[0])
            case Conv(channels, kernel, _, groups):
                size = (channels, *kernel, inputs[-1] // groups)
            case _:
                continue
        bits = layer.operation.weight_bits
        if bits == 1:
            weights[layer.name] = rng.choice(np.array([-1, 1], np.int8), size)
        else:
            reach = 2 ** (bits - 1)
            weights[layer.name] = rng.integers(-reach, reach + 1, size, np.int16)
    for name, producer in producers.items():
        channels = shapes[name][-1] * (network.bits(name) or 1)
        grid = grids[producer]
        rows = random_rows(grid, channels, rng, min(density, most / len(grid)))
        still = rng.random(channels) < constant
        rows[still] = rows[still][:, :1]
        tables[name] = from_bits(grid, rows)
    biases = {
        layer.name: rng.integers(layer.operation.low, layer.operation.high + 1, shapes[layer.name][-1])
        for layer in network.layers
        if isinstance(layer.operation, Bias)
    }
    return counted(IntegerNetwork(network, weights, tables, biases))


def with_table(net: IntegerNetwork, name: str, table: CrossingTable) -> IntegerNetwork:
    return counted(replace(net, tables={**net.tables, name: table}))


def counted(net: IntegerNetwork) -> IntegerNetwork:
    """Bring the crossing counts of the layers in line with the tables."""
    counts = {name: tuple(int(count) for count in table.counts()) for name, table in net.tables.items()}
    return replace(net, network=net.network.with_crossings(counts))


def random_inputs(network: Network, samples: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (samples, *network.input.shape)
    return rng.choice([-1, 1], shape) if network.input.bits == 1 else rng.integers(0, 256, shape)


def convolution_by_loops(x: np.ndarray, weights: np.ndarray, conv: Conv) -> np.ndarray:
    """A convolution of one sample (height, width, channels), place by place and group by group."""
    (down, right), (kh, kw) = conv.stride, conv.kernel
    (by_rows, by_columns), (rows, columns) = conv.dilation, conv.reach
    height, width = (x.shape[0] - rows) // down + 1, (x.shape[1] - columns) // right + 1
    ins, outs = x.shape[2] // conv.groups, conv.channels // conv.groups
    result = np.zeros((height, width, conv.channels), np.int64)
    for row in range(height):
        for column in range(width):
            patch = x[row * down :, column * right :][:rows:by_rows, :columns:by_columns][:kh, :kw]
            for channel in range(conv.channels):
                group = channel // outs
                seen = patch[:, :, group * ins : (group + 1) * ins]
                result[row, column, channel] = (seen * weights[channel].astype(np.int64)).sum()
    return result


def as_streams(net: IntegerNetwork, inputs: np.ndarray) -> np.ndarray:
    """Inputs as the design's stream has them: bits as 0 and 1."""
    flat = inputs.reshape(len(inputs), -1)
    return (flat > 0).astype(np.int64) if net.network.input.bits == 1 else flat


def held_against(net: IntegerNetwork, design: Design, inputs: np.ndarray) -> int:
    """Compare the last element of every layer with the network's layer; return how many were compared."""
    expected, values = net.run(inputs), design.run(as_streams(net, inputs))
    last = {element.layer: element for element in design.elements if element.kind != "fork"}
    grids, producers = net.network.grids(), net.network.producers()
    for layer in net.network.layers:
        if layer.name not in last:
            continue
        element, wanted = last[layer.name], expected[layer.name].reshape(len(inputs), -1)
        found = values[element.name, "m"]
        if isinstance(element.node, Product | GroupedProduct):
            # Accumulators count from 0, unless nothing absorbs the offsets.
            if element.node.input_bits == element.node.weight_bits == 1:
                wanted = (wanted - grids[layer.name].low) // 2
            elif layer.name in producers.values():
                rows = wanted.reshape(len(inputs), -1, element.node.channels) + element.node.row_offsets
                wanted = rows.reshape(len(inputs), -1)
        elif isinstance(layer.operation, Bias):
            if not layer.operation.has_factors:
                wanted = wanted + _missing(net, layer.inputs[0], layer.operation.shift)
        elif net.network.is_binary(layer.name) and not isinstance(layer.operation, LabelSelect):
            wanted = (wanted + 1) // 2
        elif isinstance(layer.operation, MaxPool) and net.network.bits(layer.name) is None:
            continue  # accumulators: what follows says whether they were right
        assert (found == wanted).all(), layer.name
    return len(last)


def _missing(net: IntegerNetwork, name: str, shift: int) -> int:
    """What a biased stream exceeds the network's values by: of popcounts the fan-in, shifted."""
    layers = {layer.name: layer for layer in net.network.layers}
    while not isinstance(layers[name].operation, Dense | Conv):
        name = layers[name].inputs[0]
    popcount = net.network.is_binary(layers[name].inputs[0]) and net.network.weight_bits(name) == 1
    return net.network.fan_ins()[name] << shift if popcount else 0
