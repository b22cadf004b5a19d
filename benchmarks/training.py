"""What training networks as a stack saves: candidates a second, against one after another on the same device.

    python benchmarks/training.py [--device cpu] [--sizes 1 4 16 64] [--networks mlp64 mlp256 cnv resnete]

Networks of GAAF's pair space, two epochs on random images of Fashion-MNIST's size (2,000, on a GPU 6,000): what is timed is
arithmetic and calls, whatever the images show. Prints a Markdown table of milliseconds a candidate, and the ratio to one by
one.
"""

import argparse
import time
from contextlib import suppress

import torch

from hw_search.space import build_topology
from models.canonical import constant_bit
from models.data import Data, Split
from models.encodings import Encoding
from models.expressions import Expression
from models.layers import install
from models.training import TrainingFailure, TrainingSettings, train, train_together

NETWORKS = {
    "mlp64": {"name": "mlp", "hidden": [64, 64, 64]},
    "mlp256": {"name": "mlp", "hidden": [256, 256]},
    "cnv": {"name": "cnv", "blocks": [[8, 8], [16]], "dense": [32]},
    "resnete": {"name": "resnete", "widths": [16, 32], "blocks": [2, 2], "stem_stride": 2},
}
SETTINGS = TrainingSettings(epochs=2, batch_size=100)


def images(count: int) -> Data:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (count, 1, 28, 28), generator=generator, dtype=torch.uint8)
    split = Split(x, torch.randint(0, 10, (count,), generator=generator))
    return Data(split, split, (1, 28, 28), 10, "random")


def activations(count: int) -> list[Expression]:
    """Draw functions that can learn."""
    encoding, generator, found = Encoding("pair"), torch.Generator().manual_seed(0), list[Expression]()
    while len(found) < count:
        genome = [int(torch.randint(size, (), generator=generator)) for size in encoding.sizes()]
        expression = encoding.decode(genome)
        if constant_bit(expression) is None:
            found.append(expression)
    return found


def networks(name: str, expressions: list[Expression]) -> list[torch.nn.Module]:
    made = []
    for expression in expressions:
        torch.manual_seed(0)
        model = build_topology(NETWORKS[name], (1, 28, 28), 10)
        install(model, [expression])
        made.append(model)
    return made


def alone(model: torch.nn.Module, data: Data, device: torch.device) -> None:
    with suppress(TrainingFailure):
        train(model, data, SETTINGS, 0, device)


def seconds(name: str, size: int, data: Data, device: torch.device) -> float:
    """Return the time of one candidate, in a stack of `size`; 0 for one by one."""
    models = networks(name, activations(size or 4))
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    if size:
        train_together(models, data, SETTINGS, 0, device)
    else:
        for model in models:
            alone(model, data, device)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / len(models)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--sizes", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    about = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, one thread"
    data = images(6000 if device.type == "cuda" else 2000)
    print(f"{about}; milliseconds a candidate, and how many times as fast as one by one\n")
    print("| network | one by one | " + " | ".join(f"stack of {size}" for size in options.sizes) + " |")
    print("|" + " --- |" * (len(options.sizes) + 2))
    for name in options.networks:
        alone(networks(name, activations(1))[0], data, device)  # what is done once is not counted
        base = seconds(name, 0, data, device)
        cells = [f"{1000 * base:,.0f}"]
        for size in options.sizes:
            each = seconds(name, size, data, device)
            cells.append(f"{1000 * each:,.0f} ({base / each:.1f})")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
