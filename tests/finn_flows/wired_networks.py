"""Random hard-wired networks: thermometer or bits, sparse layers, sums of classes."""

import numpy as np

from zerocross.finn_flows.crossings import CrossingTable, from_bits
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import (
    Activation,
    Bias,
    Input,
    LabelSelect,
    Layer,
    Network,
    Operation,
    Sparse,
    Thermometer,
)


def sparse_weights(rng: np.random.Generator, channels: int, features: int, reads: list[int]) -> np.ndarray:
    made = np.zeros((channels, features), np.int8)
    for channel in range(channels):
        count = min(features, reads[channel % len(reads)])
        made[channel, rng.choice(features, count, replace=False)] = rng.choice([-1, 1], count)
    return made


def index_weights(rng: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    """The same inputs and signs with the weights 1, 2, 4, ... in any order."""
    made = weights.copy()
    for row in made:
        places = np.flatnonzero(row)
        row[places] *= 1 << rng.permutation(len(places)).astype(np.int8)
    return made


def sparse_of(weights: np.ndarray) -> Sparse:
    reads, indexed = np.count_nonzero(weights, axis=1), bool(np.abs(weights).max() > 1)
    return Sparse(len(weights), max(1, int(reads.max())), bool((reads == max(1, reads.max())).all()), indexed)


def random_table(
    rng: np.random.Generator, sparse: Sparse, bits: int = 1, density: float = 0.4
) -> CrossingTable:
    flips = (rng.random((sparse.channels * bits, len(sparse.grid))) < density).astype(np.uint8)
    return from_bits(sparse.grid, np.bitwise_xor.accumulate(flips, axis=1))


def wired_network(
    seed: int,
    features: int = 12,
    bits: int = 2,
    widths: tuple[int, ...] = (20, 15),
    reads: tuple[tuple[int, ...], ...] = ((6,), (4,)),
    classes: int = 4,
    votes: tuple[int, ...] | None = None,
    density: float = 0.4,
    biased: bool = False,
    indexed: tuple[int, ...] = (),
) -> IntegerNetwork:
    """A network of levels of 8 bits and a thermometer of `bits`, or of bits if that is 0.

    `reads`: inputs of the channels of each layer, in turn. `votes`: those of the classes, with signs; None for equal groups.
    `indexed`: layers of tables, from 1.
    """
    rng = np.random.default_rng(seed)
    layers, weights, tables, biases = list[Layer](), dict[str, np.ndarray](), dict[str, CrossingTable](), {}

    def append(name: str, operation: Operation) -> None:
        layers.append(Layer(name, operation, (layers[-1].name if layers else "input",)))

    width = features
    if bits:
        width = features * bits
        append(
            "thermometer",
            Thermometer(tuple(int(each) for each in rng.choice([0, 30, 90, 200, 256], width)), bits),
        )
    for index, (channels, counts) in enumerate(zip(widths, reads, strict=True), start=1):
        own = sparse_weights(rng, channels, width, list(counts))
        own = index_weights(rng, own) if index in indexed else own
        append(f"sparse{index}", sparse_of(own))
        tables[f"sign{index}"] = random_table(rng, sparse_of(own), density=density)
        append(f"sign{index}", Activation(tuple(int(count) for count in tables[f"sign{index}"].counts())))
        weights[f"sparse{index}"], width = own, channels
    own = np.zeros((classes, width), np.int8)
    for channel, group in enumerate(np.array_split(np.arange(width), classes)):
        own[channel, group] = 1
    weights["classifier"] = own if votes is None else sparse_weights(rng, classes, width, list(votes))
    append("classifier", sparse_of(weights["classifier"]))
    if biased:
        biases["bias"] = rng.integers(-3, 4, classes)
        append("bias", Bias(1, -3, 3))
    append("label", LabelSelect())
    network = Network(Input((features,), 8 if bits else 1), tuple(layers))
    return IntegerNetwork(network, weights, tables, biases)


def random_inputs(net: IntegerNetwork, count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (count, *net.network.input.shape)
    return rng.integers(0, 256, shape) if net.network.input.bits == 8 else 2 * rng.integers(0, 2, shape) - 1
