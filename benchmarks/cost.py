"""Milliseconds to price one candidate, including FIFOs and width converters: `python benchmarks/cost.py`.

Prints three figures for each network, from one run in one process, without imports:

* cold: the caches are empty, FINN answers for every node; median;
* search: candidates that differ in widths and folding, with answers cached between them, as in a search; mean;
* warm: the same candidate again, all answers cached; median.

Beside them it prints the time to build a FINN graph and run FINN's own InsertDWC, InsertFIFO and estimates on it, and the
ratio of that time to the cold figure.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from caches import forget

from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.finn_patches import prepare_finn
from zerocross.finn_flows.folding import Folding
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
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.stock_flow import node_estimates, with_streams
from zerocross.finn_flows.vendor.stock_nodes import stock_model


def chain(source: Input, *operations: Operation) -> Network:
    names = ["input", *(f"layer{i}" for i in range(len(operations)))]
    return Network(
        source,
        tuple(Layer(names[i + 1], operation, (names[i],)) for i, operation in enumerate(operations)),
    )


def mlp(width: int = 64, crossings: int = 3) -> Network:
    act = Activation((crossings,) * width)
    return chain(Input((64,), 1), Dense(width), act, Dense(width), act, Dense(10), LabelSelect())


def cnv(width: int = 32, crossings: int = 3) -> Network:
    narrow, wide = Activation((crossings,) * width), Activation((crossings,) * (2 * width))
    bytes_, bits = (Pad((1, 1, 1, 1), value) for value in (0, -1))
    return chain(
        Input((28, 28, 1), 8),
        *(bytes_, Conv(width), narrow, bits, Conv(width), narrow, MaxPool()),
        *(bits, Conv(2 * width), wide, bits, Conv(2 * width), wide, MaxPool()),
        *(Conv(2 * width), wide, Flatten(), Dense(2 * width), wide, Dense(10), LabelSelect()),
    )


def milliseconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return 1e3 * (time.perf_counter() - start)


def cold(action: Callable[[], Any], repeats: int = 15) -> float:
    times = []
    for _ in range(repeats):
        forget(finn=True)
        times.append(milliseconds(action))
    return statistics.median(times)


def by_finns_transformations(network: Network, target: int) -> None:
    node_estimates(with_streams(stock_model(plan(network, Folding(target_cycles=target)))))


def main() -> None:
    prepare_finn()
    estimate(mlp(16), Folding(target_cycles=64))  # imports
    by_finns_transformations(mlp(16), 64)
    print(f"{'network':24}{'nodes':>6}{'cold':>9}{'search':>9}{'warm':>9}{'FINN':>9}{'FINN/cold':>11}  ms")
    cases: list[tuple[str, Callable[..., Network], int, list[int]]] = [
        ("MLP 64-64-64-10", mlp, 256, [32, 48, 64, 80, 96]),
        ("CNV 28x28, 32 to 64 wide", cnv, 30_000, [16, 24, 32, 40, 48]),
    ]
    for name, make, target, widths in cases:
        network, request = make(), Folding(target_cycles=target)
        asked_cold = cold(partial(estimate, network, request))
        warm = statistics.median(milliseconds(partial(estimate, network, request)) for _ in range(50))
        forget(finn=True)
        row = [
            (make(width, crossings), Folding(target_cycles=target * factor))
            for factor in (1, 2, 4, 8)
            for width in widths
            for crossings in (1, 2, 5)
        ]
        search = statistics.mean(milliseconds(partial(estimate, *each)) for each in row)
        finn = statistics.median(
            milliseconds(partial(by_finns_transformations, network, target)) for _ in range(7)
        )
        count = len(estimate(network, request).nodes)
        print(
            f"{name:24}{count:6}{asked_cold:9.2f}{search:9.2f}{warm:9.2f}{finn:9.1f}{finn / asked_cold:11.1f}"
        )


if __name__ == "__main__":
    main()
