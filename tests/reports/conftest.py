"""A made-up run that looks like a real one; `make_run` builds it with the content that a test needs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zerocross.reports.activation_records import ActivationRecord, Curve
from zerocross.reports.pareto import nondominated
from zerocross.reports.records import Evaluation, Finalist, NodeRecord, Run

SHAPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mul(sin(x), sigmoid(x))": lambda x: np.sin(3 * x) / (1 + np.exp(-x)),
    "add(sin(x), scale(x))": lambda x: np.sin(4 * x) + 0.4 * x,
    "max(x, erfc(square(x)))": lambda x: np.maximum(x, 0.4 - x * x),
    "sub(tanh(x), cos(x))": lambda x: np.tanh(x) - np.cos(2 * x),
    "tanh(x)": np.tanh,
    "mul(sinc(abs(x)), add(x, shift(sigmoid(neg(x)))))": lambda x: np.sinc(x) * (x + 0.3),
}
SIGN = "x"
VERDICT = (
    "4 of the front's networks beat the plain sign of the same choices in both test error and LUT; "
    "the best by 1.4 points at 38 LUT less (5 seeds, estimates)."
)


def make_site(
    layer: str,
    expression: str,
    *,
    fan_in: int = 64,
    channels: int = 32,
    shown: int = 4,
    seed: int = 0,
    limit: int = 300,
) -> ActivationRecord:
    """One activation layer with its crossings counted from the curve itself."""
    rng = np.random.default_rng(seed)
    shape = SHAPES.get(expression, lambda x: x)
    grid = np.arange(-fan_in, fan_in + 1, 2)
    curves, counts = [], []
    for channel in range(channels):
        values = shape(rng.normal(1, 0.2) * grid / fan_in**0.5 / 2 + rng.normal(0, 0.4))
        bits = values >= 0
        flips = (np.flatnonzero(bits[1:] != bits[:-1]) + 1).tolist()
        counts.append(len(flips))
        if channel < shown:
            keep = slice(max(0, len(grid) // 2 - limit // 2), len(grid) // 2 + limit // 2 + 1)
            curves.append(
                Curve(channel, grid[keep].tolist(), values[keep].tolist(), [int(grid[i]) for i in flips])
            )
    if channels > 1:
        counts[-1] = 0
    return ActivationRecord(layer, expression, -fan_in, fan_in, 2, counts, curves)


def make_nodes(hidden: list[int], expression: str) -> list[NodeRecord]:
    """The nodes of a multilayer perceptron; an activation with more crossings costs more."""
    price = 9.0 if expression == SIGN else 14.0 + len(expression) % 11
    nodes, fan_in = [], 64
    for index, width in enumerate([*hidden, 10]):
        layer = f"layer{index}" if width != 10 else "classifier"
        pe, simd = max(1, width // 16), 16
        cycles = fan_in // simd * (width // pe)
        lut = pe * simd * 1.7 + 120
        nodes.append(
            NodeRecord(
                f"MVAU_rtl_{index}", layer, "product", "MVAU_hls", pe, simd, cycles,
                {"lut": lut * 1.9, "bram": float(index == 0) * 4, "dsp": 0.0},
                {"lut": lut, "bram": float(index == 0) * 4, "dsp": 0.0},
            )
        )  # fmt: skip
        if width != 10:
            nodes.append(
                NodeRecord(
                    f"Crossings_{index}", layer, "crossings", "Thresholding_rtl", pe, 0, width // pe,
                    {"lut": 0.0, "bram": 0.0, "dsp": 0.0},
                    {"lut": pe * price, "bram": float(index == 1), "dsp": 0.0},
                    ("comparators", "search", "table")[index % 3],
                )
            )  # fmt: skip
        fan_in = width
    nothing = {"lut": 0.0, "bram": 0.0, "dsp": 0.0}
    last = NodeRecord(
        "LabelSelect_0", "classifier", "label", "LabelSelect_hls", 1, 0, 10, nothing, {**nothing, "lut": 61.0}
    )
    return [*nodes, last]


def make_finalist(evaluation: Evaluation, seeds: int = 5) -> Finalist:
    """A network trained again with several seeds."""
    rng = np.random.default_rng(evaluation.number + 1)
    hidden = list(evaluation.choices["topology.hidden"])
    nodes = make_nodes(hidden, evaluation.expression.split(" | ")[0])
    accuracy = 1 - evaluation.metrics["error"]
    parts = evaluation.expression.split(" | ")
    sites = [
        make_site(f"layer{i}", parts[i % len(parts)], fan_in=[64, *hidden][i], channels=w, seed=i)
        for i, w in enumerate(hidden)
    ]
    ours = {key: sum(n.zerocross[key] for n in nodes) for key in ("lut", "bram", "dsp")}
    ii = max(n.cycles for n in nodes)
    times = {"latency": evaluation.metrics["latency"], "ii": float(ii)}
    return Finalist(
        id=evaluation.id,
        expression=evaluation.expression,
        choices=evaluation.choices,
        reference=evaluation.reference,
        seeds=list(range(seeds)),
        validation=np.clip(rng.normal(accuracy, 0.006, seeds), 0, 1).tolist(),
        test=np.clip(rng.normal(accuracy - 0.012, 0.008, seeds), 0, 1).tolist(),
        search_error=evaluation.metrics["error"],
        metrics={"error": evaluation.metrics["error"], **ours, **times},
        finn={**{key: sum(n.finn[key] for n in nodes) for key in ours}, **times},
        fps=100e6 / ii,
        nodes=nodes,
        sites=sites,
        agreement={"images": 300, "bits": 300 * sum(hidden), "differences": 0},
        weights=f"weights/{evaluation.id}.safetensors",
        trained=evaluation.expression.split(" | "),
        savings={"constant_channels": 2, "weight_bits": 224, "first_bits": 17, "first_bits_left": 0},
        build=f"zerocross build runs/digits --id {evaluation.id}",
        topology={"name": "mlp", "hidden": hidden, "input_bits": 8},
        folding={"target_cycles": 64},
        training={"epochs": 20},
    )


def _evaluate(number: int, rng: np.random.Generator, objectives: list[str]) -> Evaluation:
    reference = number < 6
    hidden = [[32], [64], [32, 32], [64, 64], [128, 64], [128, 128]][number if reference else rng.integers(6)]
    target = 64 if reference else int(rng.choice([16, 64, 256]))
    expression = SIGN if reference else str(rng.choice(list(SHAPES)))
    lut = 300 + 11 * sum(hidden) * (64 / target) ** 0.4 * rng.uniform(0.8, 1.5)
    quality = 0.035 if expression in list(SHAPES)[:2] else 0.05
    metrics = {
        "error": float(quality + 2.2 / sum(hidden) ** 0.9 + rng.exponential(0.03)),
        "lut": float(round(lut * (0.93 if "sin" in expression else 1))),
        "bram": float(rng.integers(0, 9)),
        "dsp": 0.0,
        "latency": float(target * len(hidden) + rng.integers(20, 90)),
        "ii": float(target),
    }
    choices = {"topology.hidden": hidden, "folding.target_cycles": target}
    name = f"{number * 2654435761 % 2**28:07x}"
    if not reference and rng.random() < 0.08:
        lost: tuple[Any, str] = ("infeasible", f"needs {rng.integers(5300, 9000):,} LUT, the part has 5,280")
        if rng.random() < 0.3:
            lost = ("failed", "loss became NaN <epoch 3> & training stopped")
        return Evaluation(number, name, expression, choices, False, lost[0], lost[1])
    return Evaluation(number, name, expression, choices, reference, "ok", None, metrics)


def make_run(
    evaluations: int = 400,
    *,
    objectives: tuple[str, ...] = ("error", "lut", "latency"),
    seeds: int = 5,
    finished: bool = True,
    per_layer: bool = False,
    front: int | None = None,
) -> Run:
    """A whole run. `front` limits how many networks are in the final front."""
    rng = np.random.default_rng(7)
    found = [_evaluate(n, rng, list(objectives)) for n in range(evaluations)]
    if per_layer:
        both = " | ".join(list(SHAPES)[:2])
        found = [e if e.reference else replace(e, expression=both) for e in found]
    good = [e for e in found if e.status == "ok" and not e.reference]
    finalists: list[Evaluation] = []
    if good and finished:
        points = np.array([[e.metrics[o] for o in objectives] for e in good])
        finalists = [good[i] for i in np.flatnonzero(nondominated(points))]
        finalists = sorted(finalists, key=lambda e: e.metrics["lut"])
        finalists = finalists[:: -(-len(finalists) // front) or 1] if front else finalists
    plain = [e for e in found if e.reference] if finished else []
    return Run(
        name="digits",
        description="digits (1,297 training, 500 test images) · ice40up5k · 100 MHz",
        objectives=list(objectives),
        strategy="nsga2",
        seconds=151.4,
        evaluations=found,
        front=[make_finalist(e, seeds) for e in finalists],
        references=[make_finalist(e, seeds) for e in plain],
        verdict=VERDICT if finished else "",
        input_shape=[1, 8, 8],
        classes=10,
        config={"name": "digits", "data": {"set": "digits", "validation": 0.2}, "note": "a < b & 'c'"},
        versions={"zerocross": "0.1.0", "torch": "2.12.0", "finn-plus": "1.6.1"},
        finished=finished,
    )


@pytest.fixture(name="make_run")
def make_run_fixture() -> Callable[..., Run]:
    return make_run


@pytest.fixture(name="make_site")
def make_site_fixture() -> Callable[..., ActivationRecord]:
    return make_site


@pytest.fixture(name="make_nodes")
def make_nodes_fixture() -> Callable[..., list[NodeRecord]]:
    return make_nodes
