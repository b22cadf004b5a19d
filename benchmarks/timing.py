"""Compares estimated interval and latency with those of the simulated design, for random small networks.

    python benchmarks/timing.py [--networks 40] [--seed 0] [--cache FOLDER]

The networks include those of the search's topologies and others: fully connected and convolutional, with inputs of 1 and 8
bits, activations of 1 and 2 bits, strides, paddings, and pools that overlap or not. They are folded for targets from relaxed
to fully unrolled, or with explicit lanes. Each is priced, built and simulated with FIFOs sized as in a build.
With --cache, measurements are saved and reused.
"""

import argparse
import hashlib
import json
import random
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.crossings import from_bits
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import (
    Activation,
    Conv,
    Dense,
    Flatten,
    Input,
    LabelSelect,
    Layer,
    MaxPool,
    Network,
    Operation,
    Pad,
)
from zerocross.finn_flows.nodes.node import divisors
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import with_fifos
from zerocross.finn_flows.rtl.streaming import compile_streaming, size_fifos

MOST_LANES = 600  # PE * SIMD * bits of a product; larger ones take minutes to compile
MOST_CYCLES = 20_000
IMAGES = 9


@dataclass(frozen=True)
class Case:
    """A network and its folding."""

    network: Network
    folding: Folding

    @property
    def text(self) -> str:
        """Summary in one line: input, layers and requested folding."""
        source, folding = self.network.input, self.folding
        layers = " ".join(filter(None, (_text(layer.operation) for layer in self.network.layers)))
        asked = "lanes" if folding.layers else f"{folding.target_cycles} cycles"
        return f"{'x'.join(map(str, source.shape))}:{source.bits} {layers} | {asked}"


@dataclass(frozen=True)
class Measured:
    """Measurements of a simulation.

    Attributes:
        interval: Cycles from one sample to the next.
        latency: Cycles from the first sample's first word to its answer.
        fifos: Depths of the FIFOs by name.
    """

    interval: float
    latency: int
    fifos: dict[str, int]


def _text(operation: Operation) -> str:
    match operation:
        case Dense(channels):
            return str(channels)
        case Pad(amounts):
            return f"pad{max(amounts)}"
        case Conv(channels, (rows, columns), stride):
            return f"{channels}@{rows}x{columns}" + (f"s{stride[0]}" if stride[0] > 1 else "")
        case Activation(_, bits):
            return "" if bits == 1 else f"({bits} bits)"
        case MaxPool(kernel, stride):
            return f"max{kernel[0]}" + (f"s{stride[0]}" if kernel != stride else "")
    return ""


def random_cases(count: int, seed: int) -> list[Case]:
    """Draw networks and foldings that hardware supports, alternating fully connected and convolutional ones."""
    rng, cases = random.Random(seed), list[Case]()
    while len(cases) < count:
        network = _random_mlp(rng) if len(cases) % 2 == 0 else _random_cnv(rng)
        try:
            case = Case(network, _random_folding(rng, network))
            products = plan(network, case.folding).products.values()
        except FlowError:
            continue
        slowest = max(product.interval for product in products)
        largest = max(product.pe * product.simd * product.input_bits for product in products)
        if slowest <= MOST_CYCLES and largest <= MOST_LANES:
            cases.append(case)
    return cases


def _chain(source: Input, operations: list[Operation]) -> Network:
    names = ["input", *(f"layer{i}" for i in range(len(operations)))]
    return Network(
        source, tuple(Layer(names[i + 1], operation, (names[i],)) for i, operation in enumerate(operations))
    )


def _activation(rng: random.Random, channels: int) -> Activation:
    bits = 2 if rng.random() < 0.15 else 1
    most = rng.choice([1, 1, 2, 5])
    return Activation(tuple(rng.randint(0, most) for _ in range(channels * bits)), bits)


def _head(rng: random.Random, widths: list[int]) -> list[Operation]:
    operations: list[Operation] = []
    for width in widths:
        operations += [Dense(width), _activation(rng, width)]
    return [*operations, Dense(rng.choice([2, 5, 10, 10, 10, 12])), LabelSelect()]


def _random_mlp(rng: random.Random) -> Network:
    source = Input((rng.choice([16, 36, 50, 64, 64, 100, 144]),), rng.choice([1, 8]))
    if rng.random() < 0.3:
        widths = [rng.choice([32, 64])] * 3
    else:
        widths = [rng.choice([8, 10, 16, 24, 30, 48, 64]) for _ in range(rng.randint(1, 4))]
    return _chain(source, _head(rng, widths))


def _random_cnv(rng: random.Random) -> Network:
    size = rng.choice([6, 8, 8, 9, 10, 12, 12, 14])
    source = Input((size, size - rng.choice([0, 0, 0, 1]), rng.choice([1, 1, 2, 3])), rng.choice([1, 8]))
    operations: list[Operation] = []
    for _ in range(rng.randint(1, 3)):
        for _ in range(rng.randint(1, 2)):
            channels, kernel = rng.choice([4, 6, 8, 8, 12, 16]), rng.choice([1, 2, 3, 3, 3, 3, 5])
            padding, stride = rng.choice([0, 0, kernel // 2]), rng.choice([1, 1, 1, 1, 1, 2])
            if padding:
                bits = (
                    operations[-1].bits
                    if operations and isinstance(operations[-1], Activation)
                    else source.bits
                )
                operations.append(Pad((padding,) * 4, -1 if bits == 1 else 0))
            operations.append(Conv(channels, (kernel,) * 2, (stride,) * 2))
            activation = _activation(rng, channels)
            if rng.random() < 0.25:
                operations += [_random_pool(rng), activation]
            else:
                operations.append(activation)
        if rng.random() < 0.6:
            operations.append(_random_pool(rng))
    widths = [rng.choice([8, 16, 24]) for _ in range(rng.randint(0, 2))]
    return _chain(source, [*operations, Flatten(), *_head(rng, widths)])


def _random_pool(rng: random.Random) -> MaxPool:
    kernel, stride = rng.choice([(2, 2), (2, 2), (2, 2), (3, 3), (3, 2), (2, 1)])
    return MaxPool((kernel, kernel), (stride, stride))


def _random_folding(rng: random.Random, network: Network) -> Folding:
    if rng.random() < 0.7:
        return Folding(target_cycles=round(4 * 2 ** rng.uniform(0, 12)), max_pe=256, max_simd=256)
    products = plan(network, Folding()).products
    layers = tuple(
        (layer, rng.choice(divisors(product.channels)), rng.choice(divisors(product.fan_in)))
        for layer, product in products.items()
    )
    return Folding(layers=layers)


def with_numbers(network: Network) -> IntegerNetwork:
    """Return a network with random weights and crossings; their values do not affect the timing."""
    rng, shapes, grids = np.random.default_rng(0), network.shapes(), network.grids()
    weights, tables = {}, {}
    for layer in network.layers:
        inputs = shapes[layer.inputs[0]]
        match layer.operation:
            case Dense(channels):
                weights[layer.name] = rng.choice(np.array([-1, 1], np.int8), (channels, inputs[0]))
            case Conv(channels, kernel):
                size = (channels, *kernel, inputs[-1])
                weights[layer.name] = rng.choice(np.array([-1, 1], np.int8), size)
            case Activation(crossings):
                grid = grids[network.producers()[layer.name]]
                rows = np.zeros((len(crossings), len(grid)), np.uint8)
                for row, number in zip(rows, crossings, strict=True):
                    row[1 + rng.permutation(len(grid) - 1)[:number]] = 1
                tables[layer.name] = from_bits(grid, np.bitwise_xor.accumulate(rows, axis=1))
    net = IntegerNetwork(network, weights, tables)
    counts = {name: tuple(int(count) for count in table.counts()) for name, table in tables.items()}
    return IntegerNetwork(network.with_crossings(counts), net.weights, net.tables)


def measure(case: Case, folder: Path, cache: Path, images: int = IMAGES) -> Measured:
    """Build a design and simulate it.

    Args:
        case: Network and folding to build.
        folder: Folder for the design's files.
        cache: Folder for compiled simulations; see `compile_design`.
        images: Number of images to stream.
    """
    net = with_numbers(case.network)
    bare = assemble(plan(net.network, case.folding), net)
    marks, _ = size_fifos(bare, folder / "sizing", cache)
    depths = {name: depth for name, depth in marks.items() if depth > 1}
    compiled, _ = compile_streaming(with_fifos(bare, depths), folder / "rtl", cache=cache)
    streamed = compiled.stream(np.zeros((images, bare.input.elements), np.int64))
    return Measured(streamed.interval, streamed.latency, depths)


def kept(case: Case, cache: Path) -> Measured:
    """Return the saved measurement, or measure now."""
    code = b"".join(
        file.read_bytes() for file in sorted(Path(__file__).parents[1].glob("finn_flows/nodes/*.sv"))
    )
    planned = repr(plan(case.network, case.folding))
    key = hashlib.sha256(code + repr(case).encode() + planned.encode()).hexdigest()[:16]
    file = cache / f"timing-{key}.json"
    if not file.exists():
        with tempfile.TemporaryDirectory() as folder:
            found = measure(case, Path(folder), cache)
        file.write_text(json.dumps(asdict(found)))
    return Measured(**json.loads(file.read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=40, help="number of networks to measure")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random networks")
    parser.add_argument("--cache", type=Path, help="folder for measurements")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        cache = options.cache or Path(spare)
        cache.mkdir(parents=True, exist_ok=True)
        errors = []
        print(f"{'II':>7}{'measured':>9}{'%':>6}  {'latency':>7}{'measured':>9}{'%':>7}  network")
        for case in random_cases(options.networks, options.seed):
            cost, found = estimate(case.network, case.folding), kept(case, cache)
            error = (cost.ii / found.interval - 1, cost.latency / found.latency - 1)
            errors.append(error)
            print(
                f"{cost.ii:7}{found.interval:9.1f}{100 * error[0]:6.1f}  "
                f"{cost.latency:7}{found.latency:9}{100 * error[1]:7.1f}  {case.text}",
                flush=True,
            )
    for name, column, limit in (("II", 0, 0.02), ("latency", 1, 0.1)):
        sizes = np.abs([error[column] for error in errors])
        print(
            f"{name}: median {100 * np.median(sizes):.1f}%, 90th percentile {100 * np.quantile(sizes, 0.9):.1f}%, "
            f"worst {100 * sizes.max():.1f}%; {(sizes <= limit).sum()} of {len(sizes)} within {100 * limit:.0f}%"
        )


if __name__ == "__main__":
    main()
