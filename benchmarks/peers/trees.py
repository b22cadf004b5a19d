"""Gradient-boosted trees as logic, in the manner of TreeLUT: comparisons, a table of leaves for each tree, adders.

scikit-learn grows the trees on features of a few bits. The leaves of a tree are moved so that the least one is 0, and all
are rounded to integers with one scale. What they were moved by is a bias of each class.
"""

from pathlib import Path

import numpy as np
from circuit import Trained, chain, logic_block, node_block
from sklearn.ensemble import HistGradientBoostingClassifier
from task import Task

from zerocross.finn_flows.nodes import LabelSelect
from zerocross.finn_flows.nodes.stream import Stream

UNITS = "rounds x depth x bits of a leaf"
EPOCHS = 0


def sizes(images: bool) -> tuple[tuple[float, ...], ...]:
    """Return the sizes to train, the smallest first."""
    if images:
        return (5, 3, 3), (10, 4, 3), (20, 4, 3), (30, 5, 3), (60, 5, 4)
    return (3, 3, 3), (5, 4, 3), (10, 4, 3), (20, 5, 3), (40, 5, 4)


def run(task: Task, folder: Path) -> Trained:
    """Grow trees and write their circuit."""
    rounds, depth, bits = (int(each) for each in task.size)
    shift = 4 if task.is_images else 0
    model = HistGradientBoostingClassifier(
        max_iter=rounds,
        max_depth=depth,
        max_leaf_nodes=None,
        learning_rate=0.3,
        early_stopping=False,
        random_state=task.seed,
    )
    x, test = (split.x.flatten(1).numpy().astype(int) for split in (task.data.train, task.test))
    model.fit(x >> shift, task.data.train.y.numpy())
    trees = [[each.nodes for each in row] for row in zip(*model._predictors, strict=True)]  # by class
    base = model._baseline_prediction.flatten()
    lows = np.array([[_leaves(tree).min() for tree in row] for row in trees])
    reach = max(
        (_leaves(tree).max() - low)
        for row, low in zip(trees, lows, strict=True)
        for tree, low in zip(row, low, strict=True)
    )
    scale = ((1 << bits) - 1) / reach
    values = [
        [np.rint((tree["value"] - low) * scale).astype(int) for tree, low in zip(row, low, strict=True)]
        for row, low in zip(trees, lows, strict=True)
    ]
    biases = np.rint((base + lows.sum(axis=1)) * scale).astype(int)
    scores = np.stack(
        [
            bias
            + sum(value[_leaf_of(tree, test >> shift)] for tree, value in zip(row, value_row, strict=True))
            for row, value_row, bias in zip(trees, values, biases, strict=True)
        ],
        axis=1,
    )
    binary = len(trees) == 1  # one score, whose sign decides
    found = (scores[:, 0] > 0).astype(int) if binary else scores.argmax(axis=1)

    features = x.shape[1]
    source = Stream((features,), features, 8)
    lines, keys = list[str](), dict[tuple[int, int], str]()
    for c, (row, value_row) in enumerate(zip(trees, values, strict=True)):
        lines.append(f"  logic [{rounds * bits - 1}:0] leaves{c};")
        for t, (tree, value) in enumerate(zip(row, value_row, strict=True)):
            text = _tree(tree, value, 0, bits, keys)
            lines.append(f"  always_ff @(posedge clk) if (en) leaves{c}[{t * bits}+:{bits}] <= {text};")
    threshold = [
        f"  wire {name} = x[{8 * feature + shift}+:{8 - shift}] > {8 - shift}'d{value};"
        for (feature, value), name in keys.items()
    ]
    lines = threshold + lines
    levels = (rounds - 1).bit_length()
    least = int(biases.min())
    width = max(bits + levels, int(biases.max() - least).bit_length()) + 1
    if binary:
        width = max(bits + levels, int(abs(least)).bit_length()) + 1
    for c, bias in enumerate(biases.tolist()):
        lines.append(f"  wire [{bits + levels - 1}:0] sum{c};")
        lines.append(
            f"  zc_sum #(.N({rounds}), .W({bits})) add{c} (.clk, .en, .terms(leaves{c}), .sum(sum{c}));"
        )
        total = (
            f"{width}'(sum{c}) > {width}'d{max(0, -bias)}"
            if binary
            else f"{width}'(sum{c}) + {width}'d{bias - least}"
        )
        if binary and bias > 0:
            total = "1'b1"
        place = "y" if binary else f"y[{c * width}+:{width}]"
        lines.append(f"  always_ff @(posedge clk) if (en) {place} <= {total};")
    sink = Stream((1,), 1, 1) if binary else Stream((len(trees),), len(trees), width)
    blocks = [logic_block("peer_trees", lines, source, sink, levels + 2, folder)]
    if not binary:
        blocks.append(node_block(LabelSelect(sink), folder))
    return Trained(found, test, chain(blocks, folder))


def _leaves(tree: np.ndarray) -> np.ndarray:
    return tree["value"][tree["is_leaf"] == 1]


def _leaf_of(tree: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the leaf of each sample, (N,)."""
    place = np.zeros(len(x), int)
    for _ in range(int(tree["depth"].max())):
        node = tree[place]
        left = x[np.arange(len(x)), node["feature_idx"]] <= node["num_threshold"]
        place = np.where(node["is_leaf"] == 1, place, np.where(left, node["left"], node["right"]))
    return place


def _tree(
    tree: np.ndarray, value: np.ndarray, place: int, bits: int, keys: dict[tuple[int, int], str]
) -> str:
    """Return a tree's leaf in SystemVerilog; add the comparisons that it needs to `keys`."""
    node = tree[place]
    if node["is_leaf"]:
        return f"{bits}'d{value[place]}"
    key = int(node["feature_idx"]), int(np.floor(node["num_threshold"]))
    name = keys.setdefault(key, f"key{len(keys)}")
    low, high = (_tree(tree, value, int(node[side]), bits, keys) for side in ("left", "right"))
    return f"({name} ? {high} : {low})"
