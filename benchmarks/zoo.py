"""Trains the networks of the zoo, and adds them.

    python benchmarks/zoo.py --data DATA [--entries tfc-mnist mlp64-fashion-laplace-shift] [--minutes 60] [--seeds 3]
        [--folder hw_search/zoo/entries] [--target ulx3s-85f] [--build-only] [--renew]

DATA holds mnist.npz, fashion_mnist.npz and cifar10.npz; without --data, torchvision downloads the sets. Each network is
trained by its configuration in examples/zoo/, as a plain sign and with the activations of `ENTRIES`. A killed run continues
with the same command: finished trainings and builds are skipped, and an interrupted training resumes at its last checkpoint.
The entries go to the folder of the user's entries, or to --folder; `zerocross zoo --markdown` prints their table. Set
OMP_NUM_THREADS=1 on a busy machine.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from zerocross.hw_search.adding import add, entry_file, measure
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.config import Config, load_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.network_training import Trained, train_network
from zerocross.hw_search.zoo.entry import Entry, load_entry, save_entry

CONFIGURATIONS = Path(__file__).parents[1] / "examples" / "zoo"


@dataclass(frozen=True)
class Made:
    """A network of the zoo.

    Attributes:
        config: Configuration in examples/zoo/, without suffix.
        activation: Preset or expression; "" for the plain sign of the configuration.
        minutes: Budget of each training in minutes; None trains the epochs of the configuration.
        seeds: Number of trainings.
    """

    config: str
    activation: str = ""
    minutes: float | None = None
    seeds: int = 3

    @property
    def name(self) -> str:
        """Name of the entry."""
        return f"{self.config}-{self.activation.replace('_', '-')}" if self.activation else self.config


ENTRIES = [
    Made("tfc-digits"),
    Made("tfc-mnist"),
    Made("tfc-mnist", "laplace_shift"),
    Made("sfc-mnist"),
    Made("sfc-mnist", "laplace_shift"),
    Made("lfc-mnist", minutes=60),
    Made("lfc-mnist", "laplace_shift", minutes=60),
    Made("cnv-mnist"),
    Made("wired-mnist"),
    Made("tables-mnist"),
    Made("mlp64-fashion"),
    Made("mlp64-fashion", "laplace_shift"),
    Made("mlp256-fashion"),
    Made("mlp256-fashion", "laplace_shift"),
    Made("mlp512-fashion"),
    Made("thermo-fashion"),
    Made("cnv-fashion", seeds=1),
    Made("cnv-fashion", "laplace_shift", seeds=1),
    Made("cnv-wide-fashion", seeds=1),
    Made("cnv-large-fashion", seeds=1),
    Made("resnete-fashion"),
    Made("resnete-fashion", "sine"),
    Made("cnv-cifar10", seeds=1),
    Made("cnv-cifar10", "laplace_shift", seeds=1),
    Made("resnete-cifar10", minutes=240, seeds=1),
    Made("resnete-cifar10", "sine", minutes=240, seeds=1),
]


def configuration(made: Made, seed: int, data: Path | None, runs: Path) -> Config:
    """Return the configuration of one training."""
    file = CONFIGURATIONS / f"{made.config}.yaml"
    name = load_config(file).data.name
    changes: dict[str, object] = {
        "name": f"{made.name}-seed{seed}",
        "output": str(runs),
        "search.seed": seed,
    }
    if made.activation:
        changes["activation.expressions"] = [made.activation]
    if data is not None and (data / f"{name}.npz").is_file():
        changes["data.name"] = str((data / f"{name}.npz").resolve())
    return load_config(file, changes)


def trained(config: Config, minutes: float | None) -> Path:
    """Train a network, or resume its training, and return its folder. A finished training is kept."""

    def report(record: Trained, epoch: int, loss: float) -> None:
        found = record.log[-1]["validation"]
        if found is not None:
            print(
                f"  epoch {epoch}, {record.seconds:.0f} s, loss {loss:.4f}, validation {found:.4f}",
                flush=True,
            )

    folder, record = train_network(config, minutes, report)
    print(f"  test {record.test:.4f} after {record.settings['epochs']} epochs", flush=True)
    return folder


def test_file(data: Path | None, entry: Entry) -> Path | None:
    """Return the file with an entry's test set, if it is at hand."""
    file = None if data is None else data / f"{entry.data}.npz"
    return file if file is not None and file.is_file() else None


def main() -> None:
    names = [made.name for made in ENTRIES]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--entries", nargs="+", choices=names, default=names, metavar="NAME", help="default: all"
    )
    parser.add_argument("--data", type=Path, help="folder of the data sets as .npz files")
    parser.add_argument(
        "--build-only", action="store_true", help="train nothing: build the entries that are in the folder"
    )
    parser.add_argument("--renew", action="store_true", help="build also for targets that have figures")
    parser.add_argument("--minutes", type=float, help="budget of each training; default: that of the entry")
    parser.add_argument("--seeds", type=int, help="trainings of each entry; default: that of the entry")
    parser.add_argument("--runs", type=Path, default=Path("runs/zoo"), help="folder of the trainings")
    parser.add_argument("--folder", type=Path, help="folder of the entries; default: the user's")
    parser.add_argument("--target", action="append", default=[], help="also build for this board or part")
    parser.add_argument("--images", type=int, default=2000, help="most test images of these builds")
    options = parser.parse_args()
    for made in ENTRIES:
        if made.name not in options.entries:
            continue
        print(made.name, flush=True)
        if options.build_only:
            file = entry_file(made.name, options.folder, replaces=True)
            if not file.exists():
                continue
            entry = load_entry(file)
        else:
            minutes = options.minutes or made.minutes
            try:
                folders = [
                    trained(configuration(made, seed, options.data, options.runs), minutes)
                    for seed in range(options.seeds or made.seeds)
                ]
                file, entry = add(folders, made.name, options.folder, replaces=True)
            except UserError as error:
                # A training with other settings, or by another version: the others go on.
                print(f"  error: {error}", flush=True)
                continue
        for target in options.target:
            if target in [build.target for build in entry.builds] and not options.renew:
                continue
            place = options.runs / "builds" / f"{made.name}-{target}"
            wanted = BuildOptions(target, images=options.images)
            entry = measure(entry, place, wanted, data=test_file(options.data, entry))
            save_entry(entry, file)
        print(f"  {file}: {file.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
