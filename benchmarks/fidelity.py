"""Measures how well short trainings rank activations: Spearman's correlation with the whole training.

    python benchmarks/fidelity.py                                    an MLP 64-64 on the digits
    python benchmarks/fidelity.py --data FILE.npz --limit 12000 --epochs 20
    python benchmarks/fidelity.py --network cnv --data cifar10 --epochs 20
    python benchmarks/fidelity.py --network resnete --data cifar10 --epochs 20

Trains every activation for each fidelity with one seed, as the rungs of a search do (`search.rungs`), and in full with
several other seeds. Prints a Markdown table:

- the cost relative to the whole training of one seed;
- the correlation with its 95 % interval over resampled activations;
- how many of the better half of the activations are in the better half after the short training;
- the correlation with other seeds of the short training, and with the mean of its seeds.
"""

import argparse
from statistics import fmean, stdev
from typing import Any

import torch

from zerocross.hw_search.networks import build_topology
from zerocross.hw_search.ranking import bootstrap_interval, rank_correlation
from zerocross.hw_search.strategy_config import RungConfig
from zerocross.hw_search.trainings import shortened
from zerocross.models.data import Data, load, portion
from zerocross.models.layers import install
from zerocross.models.presets import resolve
from zerocross.models.training import TrainingSettings, accuracy, train, train_together

NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"name": "mlp", "hidden": [64, 64]},
    "cnv": {"name": "cnv", "blocks": [[16, 16], [32, 32]], "dense": [64]},
    "resnete": {"name": "resnete", "widths": [16, 32], "blocks": [2, 2], "stem_stride": 2, "stream_bits": 6},
}

ACTIVATIONS = (
    "sign",
    "rprelu",
    "silu_shift",
    "sine",
    "sine_scaled",
    "cosine",
    "sine_linear",
    "log_sine",
    "scale_gauss",
    "laplace_shift",
    "band",
    "parabola",
)

FIDELITIES = ("0.1x0.25", "0.1", "0.25x0.25", "0.25", "0.5x0.5", "0.5")
"""Shares of the epochs, and of the samples after the x."""


def fidelity(text: str) -> RungConfig:
    """Read a fidelity, such as 0.1x0.25."""
    epochs, _, data = text.partition("x")
    return RungConfig(epochs=float(epochs), data=float(data or 1))


def accuracies(
    network: str, data: Data, names: list[str], settings: TrainingSettings, seed: int
) -> list[float]:
    """Train the network with each activation; return the validation accuracies. An MLP trains as a stack."""
    models = []
    for name in names:
        torch.manual_seed(seed)
        model = build_topology(NETWORKS[network], data.input_shape, data.classes)
        install(model, [resolve(name)])
        models.append(model)
    if network == "mlp":
        outcomes = train_together(models, data, settings, seed)
        if lost := [name for name, each in zip(names, outcomes, strict=True) if isinstance(each, Exception)]:
            raise SystemExit(f"{', '.join(lost)} cannot be trained: name others with --activations")
    else:
        for model in models:
            train(model, data, settings, seed)
    return [accuracy(model, data.validation) for model in models]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=NETWORKS, default="mlp")
    parser.add_argument("--data", default="digits", help="data set, or an .npz file")
    parser.add_argument("--limit", type=int, help="training samples, including validation")
    parser.add_argument("--validation", type=float, default=0.25, help="share of validation samples")
    parser.add_argument("--epochs", type=int, default=40, help="epochs of the whole training")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the whole training")
    parser.add_argument("--short-seeds", type=int, default=3, help="seeds of the short trainings")
    parser.add_argument("--surrogate", choices=("window", "polynomial", "tanh"), default="polynomial")
    parser.add_argument("--label-smoothing", type=float, default=0.1)
    parser.add_argument("--fidelities", nargs="+", default=FIDELITIES, help="such as 0.1x0.25 0.5")
    parser.add_argument("--activations", nargs="+", default=list(ACTIVATIONS), help="presets or expressions")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = load(given.data, given.validation, limit=given.limit)
    settings = TrainingSettings(
        given.epochs, given.batch_size, surrogate=given.surrogate, label_smoothing=given.label_smoothing
    )
    names = given.activations
    count = f"{len(data.train):,} training and {len(data.validation):,} validation samples"
    print(
        f"{given.network} on {given.data}, {count}, {given.epochs} epochs, {len(names)} activations",
        flush=True,
    )
    first = given.short_seeds
    runs = [
        accuracies(given.network, data, names, settings, seed) for seed in range(first, first + given.seeds)
    ]
    full = [fmean(values) for values in zip(*runs, strict=True)]
    for name, *values in zip(names, *runs, strict=True):
        spread = f" ± {100 * stdev(values):.2f}" if len(values) > 1 else ""
        print(f"  {name}: {100 * fmean(values):.2f}{spread} %", flush=True)
    if given.seeds > 1:
        again = [rank_correlation(run, full) for run in runs]
        print("A seed of the whole training against their mean:", " ".join(_text(value) for value in again))
    better = set(_best(full))
    print(
        "\n| epochs | samples | cost | correlation, first seed | 95 % | better half kept | other seeds | mean of "
        f"{given.short_seeds} seeds |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for text in given.fidelities:
        rung = fidelity(text)
        own = shortened(settings, rung)
        part = portion(data, rung.data)
        short = [accuracies(given.network, part, names, own, seed) for seed in range(given.short_seeds)]
        low, high = bootstrap_interval(short[0], full) or (float("nan"), float("nan"))
        others = " ".join(_text(rank_correlation(values, full)) for values in short[1:])
        means = [fmean(values) for values in zip(*short, strict=True)]
        cost = own.epochs / settings.epochs * rung.data
        kept = len(better & set(_best(short[0])))
        first_seed, mean = (_text(rank_correlation(values, full)) for values in (short[0], means))
        print(
            f"| {own.epochs} | {rung.data:.0%} | {cost:.1%} | {first_seed} | {low:.2f} to {high:.2f} "
            f"| {kept} of {len(better)} | {others} | {mean} |",
            flush=True,
        )


def _best(values: list[float]) -> list[int]:
    """Return the indices of the better half."""
    return sorted(range(len(values)), key=lambda index: -values[index])[: len(values) // 2]


def _text(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
