"""Hard-wired networks side by side: our sums and tables, logic gates, a quantized MLP, boosted trees.

    pip install -r benchmarks/peers/requirements.txt && pip install --no-deps torchlogix==0.2.2
    python benchmarks/peers/compare.py --data mnist.npz letter.npz [--peers sums tables trees] [--seeds 3]
    python benchmarks/peers/compare.py --table-only [--figure FILE.png]

All peers read the same bytes and the same split: 90 % of the training samples train, the others are left out, and the whole
test set decides. Each training becomes a circuit that takes a sample in every cycle. Its SystemVerilog is simulated on test
samples and compared with its software, and mapped as a whole by the same Yosys for 7-series, encoder and argmax included.
Nothing is placed, so clocks are unknown; the most LUTs in a row between registers are given instead.

Every training is a row of the CSV file; run the same command to resume. A row without LUTs has its error instead. With
`--budget LUTS`, a peer's larger sizes are left out as soon as a circuit exceeds the budget.
"""

import argparse
import csv
import importlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from types import ModuleType

import torch
from circuit import measure
from task import Task

from zerocross.models.data import DataError, load, load_test

PEERS = {
    "sums": "sums",
    "tables": "tables",
    "gates": "gates",
    "mlp": "quantized",
    "trees": "trees",
}
"""Peers and the modules that run them."""

VOTING = ("sums", "tables", "gates")
"""Peers that our trainer trains, with augmentation and label smoothing."""
VALIDATION = 0.1
COLUMNS = (
    *(
        "data",
        "peer",
        "size",
        "seed",
        "epochs",
        "augment",
        "smoothing",
        "accuracy",
        "lut",
        "ff",
        "interval",
        "latency",
        "levels",
    ),
    *("samples", "seconds", "error"),
)
COLOURS = {
    "sums": "#1f6f8b",
    "tables": "#58a4b0",
    "gates": "#b5651d",
    "mlp": "#4d7c0f",
    "trees": "#555555",
}

Row = dict[str, str]


def name_of(size: Sequence[float]) -> str:
    """Return a size as text, such as 100x7."""
    return "x".join(f"{each:g}" for each in size)


@dataclass(frozen=True)
class Job:
    """A training.

    Attributes:
        file: Data set.
        peer: Name of the peer.
        sizes: Its sizes, the smallest first.
        place: Index of this training's size.
        seed: Seed.
        epochs: Epochs of the training.
        augment: Augmentation.
        smoothing: Label smoothing.
    """

    file: str
    peer: str
    sizes: tuple[tuple[float, ...], ...]
    place: int
    seed: int
    epochs: int
    augment: str
    smoothing: float

    @property
    def key(self) -> Row:
        """Columns that identify the training."""
        return {
            "data": Path(self.file).stem,
            "peer": self.peer,
            "size": name_of(self.sizes[self.place]),
            "seed": str(self.seed),
            "epochs": str(self.epochs),
            "augment": self.augment,
            "smoothing": f"{self.smoothing:g}",
        }

    def is_done(self, rows: Sequence[Row]) -> bool:
        """Return whether a row has the training."""
        return any(all(row[column] == value for column, value in self.key.items()) for row in rows)

    def is_beyond(self, rows: Sequence[Row], budget: int) -> bool:
        """Return whether a smaller size of the peer exceeds a budget of LUTs."""
        smaller = {name_of(size) for size in self.sizes[: self.place]}
        return any(
            int(row["lut"] or 0) > budget
            for row in rows
            if (row["data"], row["peer"]) == (self.key["data"], self.peer) and row["size"] in smaller
        )


def jobs(
    files: dict[str, bool], modules: dict[str, ModuleType], options: argparse.Namespace
) -> Iterator[Job]:
    """Yield every training: all peers of a seed, a data set and a place among the sizes before the next.

    Args:
        files: Data sets, and whether they are images.
        modules: Modules of the peers.
        options: Options of the command line.
    """
    for seed in range(options.seeds):
        for file, images in files.items():
            sizes = {peer: module.sizes(images) for peer, module in modules.items()}
            for place in range(max(map(len, sizes.values()))):
                for peer, own in sizes.items():
                    if place < len(own):
                        epochs = modules[peer].EPOCHS and (options.epochs or modules[peer].EPOCHS)
                        augment = options.augment if images and peer in VOTING else "none"
                        smoothing = options.smoothing if peer in VOTING else 0.0
                        yield Job(file, peer, own, place, seed, epochs, augment, smoothing)


def run(options: argparse.Namespace, cache: Path) -> None:
    """Train what is missing; `cache` keeps what simulations share."""
    modules = {peer: importlib.import_module(PEERS[peer]) for peer in options.peers}
    sets = {file: (load(file, VALIDATION), load_test(file)) for file in options.data}
    files = {file: len(data.input_shape) == 3 for file, (data, _) in sets.items()}
    for job in jobs(files, modules, options):
        rows = read(options.rows)
        if job.is_done(rows) or (options.budget and job.is_beyond(rows, options.budget)):
            continue
        data, test = sets[job.file]
        row: dict[str, object] = {**job.key, "samples": min(options.samples, len(test))}
        task = Task(data, test, job.sizes[job.place], job.seed, job.epochs, job.augment, job.smoothing)
        with tempfile.TemporaryDirectory() as folder:
            row |= outcome(modules[job.peer], task, Path(folder), options.samples, cache)
        add(options.rows, row)
        print(" ".join(str(row.get(column, "")) for column in COLUMNS), flush=True)


def outcome(module: ModuleType, task: Task, folder: Path, samples: int, cache: Path) -> dict[str, object]:
    """Train and measure one peer; return its columns."""
    started = time.monotonic()
    found: dict[str, object] = {}
    try:
        trained = module.run(task, folder)
        found["accuracy"] = round(float((trained.classes == task.test.y.numpy()).mean()), 5)
        found["seconds"] = round(time.monotonic() - started, 1)
        size = measure(trained, samples, cache)
        found |= vars(size)
    except Exception as error:  # other people's libraries fail in any way; the other trainings go on
        found["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
    return found


def read(file: Path) -> list[Row]:
    """Return the rows of the CSV file; none if it does not exist."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def add(file: Path, row: dict[str, object]) -> None:
    """Append a row to the CSV file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = not file.exists()
    with file.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


Key = tuple[str, ...]
"""What rows of a group share, by `GROUP`."""

GROUP = ("data", "peer", "size", "epochs", "augment", "smoothing")


def grouped(rows: Sequence[Row]) -> dict[Key, list[Row]]:
    """Return the rows with LUTs in groups that differ only by the seed."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        if row["lut"]:
            key = tuple(row[column] for column in GROUP)
            found.setdefault(key, []).append(row)
    return found


def is_on_front(key: Key, points: dict[Key, tuple[float, float]]) -> bool:
    """Return whether no other point of the same data is as small and as accurate, and better in one of both."""
    lut, accuracy = points[key]
    return not any(
        other[0] == key[0] and (less, more) != (lut, accuracy) and less <= lut and more >= accuracy
        for other, (less, more) in points.items()
    )


def means(groups: dict[Key, list[Row]]) -> dict[Key, tuple[float, float]]:
    """Return mean LUTs and mean accuracy in percent of each group."""
    return {
        key: (fmean(int(row["lut"]) for row in rows), 100 * fmean(float(row["accuracy"]) for row in rows))
        for key, rows in groups.items()
    }


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows as Markdown; a star marks the front of each data set."""
    groups = grouped(rows)
    points = means(groups)
    print("| data | peer | size | epochs | seeds | test accuracy % | LUT6 | FF | cycles | LUT levels |")
    print("|" + " --- |" * 10)
    for key in sorted(groups, key=lambda key: (key[0], list(PEERS).index(key[1]), points[key][0])):
        data, peer, size, epochs, augment, smoothing = key
        found = groups[key]
        values = [100 * float(row["accuracy"]) for row in found]
        spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
        recipe = [
            *([epochs] if int(epochs) else []),
            *([augment] if augment != "none" else []),
            *([f"smoothing {smoothing}"] if float(smoothing) else []),
        ]
        cells = [
            *(data, peer, size, ", ".join(recipe), str(len(values))),
            f"{fmean(values):.1f}{spread}{' *' if is_on_front(key, points) else ''}",
            *(f"{fmean(int(row[column]) for row in found):,.0f}" for column in ("lut", "ff", "latency")),
            f"{max(int(row['levels']) for row in found)}",
        ]
        print(f"| {' | '.join(cells)} |")
    for row in rows:
        if row["error"]:
            print(f"\n{row['data']}, {row['peer']} {row['size']}, seed {row['seed']}: {row['error']}")


def draw(rows: Sequence[Row], file: Path) -> None:
    """Draw accuracy against LUTs, a panel for each data set."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    points = means(grouped(rows))
    sets = sorted({key[0] for key in points})
    figure, panels = pyplot.subplots(1, len(sets), figsize=(3.4 * len(sets), 3.4), dpi=120, squeeze=False)
    for axes, data in zip(panels[0], sets, strict=True):
        for peer, colour in COLOURS.items():
            own = sorted(point for key, point in points.items() if key[:2] == (data, peer))
            if own:
                axes.plot(
                    *zip(*own, strict=True), color=colour, marker="o", markersize=4, linewidth=1, label=peer
                )
        axes.set(xscale="log", title=data, xlabel="LUT6")
        axes.grid(color="0.92", linewidth=0.6)
    panels[0][0].set_ylabel("test accuracy, %")
    panels[0][-1].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", default=[], help=".npz files, or names of data sets")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="instead of each peer's own")
    parser.add_argument("--augment", default="none", help="of images, for sums, tables and gates")
    parser.add_argument("--smoothing", type=float, default=0.0, help="of labels, for sums, tables and gates")
    parser.add_argument("--budget", type=int, help="most LUT6")
    parser.add_argument("--samples", type=int, default=200, help="test samples to simulate")
    parser.add_argument("--rows", type=Path, default=Path("benchmarks/peers/results.csv"))
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--table-only", action="store_true", help="train nothing")
    options = parser.parse_args()
    if not options.table_only:
        torch.set_num_threads(1)
        try:
            with tempfile.TemporaryDirectory() as cache:
                run(options, Path(cache))
        except DataError as error:
            parser.error(str(error))
        except ModuleNotFoundError as error:
            parser.error(f"{error}: pip install -r benchmarks/peers/requirements.txt")
    rows = read(options.rows)
    print_table(rows)
    if options.figure:
        draw(rows, options.figure)


if __name__ == "__main__":
    main()
