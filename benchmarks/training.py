"""Compares training networks as a stack with training them one by one on the same device.

    python benchmarks/training.py [--device cpu] [--sizes 4 16 64] [--networks mlp64 mlp256 cnv resnete]

Trains networks of GAAF's pair space for two epochs on random images of Fashion-MNIST's size (2,000; on a GPU 6,000). The
content of the images does not affect the times. Prints Markdown tables: calls of torch's operators per network and step,
which dominate a small network's training on a GPU; milliseconds of training per network; milliseconds per candidate in a
worker, including building the network and reading its validation accuracy and crossings.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from zerocross.hw_search.execution.evaluation import evaluate, load_data
from zerocross.hw_search.execution.tasks import Stack, TrainingTask
from zerocross.hw_search.networks import build_topology
from zerocross.models.canonical import constant_bit
from zerocross.models.data import Data, Split
from zerocross.models.data_config import DataConfig
from zerocross.models.encodings import Encoding
from zerocross.models.expressions import Expression
from zerocross.models.layers import install
from zerocross.models.training import TrainingFailure, TrainingSettings, train, train_together

NETWORKS: dict[str, dict[str, Any]] = {
    "mlp64": {"name": "mlp", "hidden": [64, 64, 64]},
    "mlp256": {"name": "mlp", "hidden": [256, 256]},
    "cnv": {"name": "cnv", "blocks": [[8, 8], [16]], "dense": [32]},
    "resnete": {"name": "resnete", "widths": [16, 32], "blocks": [2, 2], "stem_stride": 2},
}
EPOCHS, BATCH = 2, 100


def images(folder: Path, count: int) -> DataConfig:
    """Write random images to a file and return the data section that names it."""
    random = np.random.default_rng(0)
    # Labels in turn, so training and validation have samples of every class.
    x, y = random.integers(0, 256, (count, 28, 28), dtype=np.uint8), np.arange(count) % 10
    np.savez(folder / "images.npz", x_train=x, y_train=y, x_test=x[:10], y_test=y[:10])
    name = str(folder / "images.npz")
    return DataConfig.model_validate({"name": name, "validation": 1 / 6, "root": str(folder)})


def activations(count: int) -> list[Expression]:
    """Draw functions that can change their sign."""
    encoding, generator, found = Encoding("pair"), torch.Generator().manual_seed(0), list[Expression]()
    while len(found) < count:
        genome = [int(torch.randint(size, (), generator=generator)) for size in encoding.sizes()]
        expression = encoding.decode(genome)
        if constant_bit(expression) is None:
            found.append(expression)
    return found


def networks(name: str, expressions: list[Expression]) -> list[nn.Module]:
    made = []
    for expression in expressions:
        torch.manual_seed(0)
        model = build_topology(NETWORKS[name], (1, 28, 28), 10)
        install(model, [expression])
        made.append(model)
    return made


def fit(models: list[nn.Module], data: Data, epochs: int, device: torch.device, together: bool) -> None:
    """Train networks together or one by one."""
    settings = TrainingSettings(epochs=epochs, batch_size=BATCH)
    if together:
        train_together(models, data, settings, 0, device)
        return
    for model in models:
        with suppress(TrainingFailure):
            train(model, data, settings, 0, device)


class Calls(TorchDispatchMode):
    """Counts calls of operators, except views, which compute nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.count += not operator.is_view
        return operator(*args, **(kwargs or {}))


def calls(name: str, expressions: list[Expression], together: bool) -> float:
    """Return the calls per step and network: the difference between two epochs of one step and one epoch."""
    x = torch.randint(0, 256, (8, 1, 28, 28), dtype=torch.uint8)
    split = Split(x, torch.arange(8))
    data, counts = Data(split, split, (1, 28, 28), 10, "random"), list[int]()
    for epochs in (1, 2):
        with Calls() as counted:
            fit(networks(name, expressions), data, epochs, torch.device("cpu"), together)
        counts.append(counted.count)
    return (counts[1] - counts[0]) / len(expressions)


def seconds(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def training(
    name: str, expressions: list[Expression], together: bool, data: Data, device: torch.device
) -> float:
    """Return the milliseconds of training per network."""
    models = networks(name, expressions)
    return 1000 * seconds(lambda: fit(models, data, EPOCHS, device, together), device) / len(models)


def candidate(
    name: str, expressions: list[Expression], together: bool, data: DataConfig, device: torch.device
) -> float:
    """Return the milliseconds of a worker per candidate."""
    settings = TrainingSettings(epochs=EPOCHS, batch_size=BATCH)
    works = [
        TrainingTask((), data, (str(expression),), NETWORKS[name], settings, device.type, seed=0)
        for expression in expressions
    ]
    tasks = [Stack(tuple(works))] if together else works
    return 1000 * seconds(lambda: [evaluate(task) for task in tasks], device) / len(works)


def table(
    title: str, names: list[str], sizes: list[int], measure: Callable[[str, list[Expression], bool], float]
) -> None:
    """Print a measure for every network, one by one and in stacks, with their ratio."""
    print(f"\n{title}\n\n| network | one by one | " + " | ".join(f"stack of {size}" for size in sizes) + " |")
    print("|" + " --- |" * (len(sizes) + 2))
    for name in names:
        # One by one, a sample of at most 16 networks is enough.
        base = measure(name, activations(min(16, max(sizes))), False)
        cells = [f"{base:,.0f}"]
        for size in sizes:
            each = measure(name, activations(size), True)
            cells.append(f"{each:,.{0 if each >= 10 else 1}f} ({base / each:.1f})")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument(
        "--no-calls", action="store_true", help="skip the table of calls, which is the slowest"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    gpu = device.type == "cuda"
    names, sizes = options.networks, options.sizes or ([4, 16, 64, 256] if gpu else [4, 16, 64])
    print(torch.cuda.get_device_name(device) if gpu else "CPU, one thread")
    with tempfile.TemporaryDirectory() as folder:
        section = images(Path(folder), 6000 if gpu else 2000)
        data = load_data(section)
        for name in names:  # warm-up: one-time costs are not counted
            candidate(name, activations(1), False, section, device)
            candidate(name, activations(4), True, section, device)
        if not options.no_calls:
            table("Calls per network and step:", names, [4, 16, 64, 256], calls)
        table(
            "Training, milliseconds per network:",
            names,
            sizes,
            lambda name, expressions, together: training(name, expressions, together, data, device),
        )
        table(
            "Whole evaluation, milliseconds per candidate:",
            names,
            sizes,
            lambda name, expressions, together: candidate(name, expressions, together, section, device),
        )


if __name__ == "__main__":
    main()
