"""Integer networks of random numbers, and products by loops for the tests to compare with."""

from dataclasses import replace

import numpy as np

from zerocross.finn_flows.crossings import CrossingTable, from_bits
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import Conv, Dense, Grid, Network


def random_rows(grid: Grid, channels: int, rng: np.random.Generator, density: float) -> np.ndarray:
    flips = (rng.random((channels, len(grid))) < density).astype(np.uint8)
    flips[:, 0] = rng.random(channels) < 0.5
    return np.bitwise_xor.accumulate(flips, axis=1)


def random_network(
    network: Network, seed: int, constant: float = 0.4, density: float = 0.3, most: float = np.inf
) -> IntegerNetwork:
    """Give a network random weights and tables, a share of its channels constant.

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
            case Conv(channels, kernel, _, _, groups):
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
    return counted(IntegerNetwork(network, weights, tables))


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


def convolution_by_loops(x: np.ndarray, weights: np.ndarray, conv: Conv, pad: int) -> np.ndarray:
    """A convolution of one sample (height, width, channels), place by place and group by group."""
    (top, left), (down, right), (kh, kw) = conv.padding, conv.stride, conv.kernel
    x = np.pad(x, ((top, top), (left, left), (0, 0)), constant_values=pad)
    (apart, aside), (rows, columns) = conv.dilation, conv.reach
    height, width = (x.shape[0] - rows) // down + 1, (x.shape[1] - columns) // right + 1
    ins, outs = x.shape[2] // conv.groups, conv.channels // conv.groups
    result = np.zeros((height, width, conv.channels), np.int64)
    for row in range(height):
        for column in range(width):
            patch = x[row * down :, column * right :][:rows:apart, :columns:aside][:kh, :kw]
            for channel in range(conv.channels):
                group = channel // outs
                seen = patch[:, :, group * ins : (group + 1) * ins]
                result[row, column, channel] = (seen * weights[channel].astype(np.int64)).sum()
    return result
