"""Gradient-boosted trees as logic, in the manner of TreeLUT: comparisons, a table of leaves for each tree, adders.

Comparisons and argmax are those of the other peers. scikit-learn grows the trees on features of a few bits. The leaves of a
tree are moved so that the least one is 0, and all are rounded to integers with one scale. What they were moved by is a bias
of each class.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from circuit import Block, Trained, chain, logic_block, node_block
from sklearn.ensemble import HistGradientBoostingClassifier
from task import Task

from zerocross.finn_flows.nodes import LabelSelect, Thermometer
from zerocross.finn_flows.nodes.stream import Stream

EPOCHS = 0
IMAGE_SHIFT = 4
"""Lowest bits of a pixel that trees do not see."""


def sizes(images: bool) -> tuple[tuple[float, ...], ...]:
    """Return the sizes to train, the smallest first."""
    if images:
        return (5, 3, 3), (10, 4, 3), (20, 4, 3), (30, 5, 3), (60, 5, 4)
    return (3, 3, 3), (5, 4, 3), (10, 4, 3), (20, 5, 3), (40, 5, 4)


@dataclass(frozen=True)
class Tree:
    """A tree of integers. A sample goes left where its feature is at most the threshold.

    Attributes:
        nodes: scikit-learn's nodes.
        leaves: Value of each node, 0 or more; only leaves count.
    """

    nodes: np.ndarray
    leaves: np.ndarray

    def run(self, x: np.ndarray) -> np.ndarray:
        """Return the value of each sample, (N,)."""
        place = np.zeros(len(x), int)
        for _ in range(int(self.nodes["depth"].max())):
            node = self.nodes[place]
            left = x[np.arange(len(x)), node["feature_idx"]] <= node["num_threshold"]
            place = np.where(node["is_leaf"] == 1, place, np.where(left, node["left"], node["right"]))
        return self.leaves[place]

    def expression(self, bits: int, keys: dict[tuple[int, int], str], place: int = 0) -> str:
        """Return the value below a node in SystemVerilog.

        Args:
            bits: Bits of a leaf.
            keys: Names of comparisons by feature and threshold; those that the tree needs are added.
            place: The node.
        """
        node = self.nodes[place]
        if node["is_leaf"]:
            return f"{bits}'d{self.leaves[place]}"
        key = int(node["feature_idx"]), int(np.floor(node["num_threshold"]))
        name = keys.setdefault(key, f"key{len(keys)}")
        low, high = (self.expression(bits, keys, int(node[side])) for side in ("left", "right"))
        return f"({name} ? {high} : {low})"


@dataclass(frozen=True)
class Forest:
    """Trees of each class.

    Attributes:
        trees: Trees by class; for two classes only those of class 1, which is found where the sum is above 0.
        biases: What is added to the sums, (classes,).
        bits: Bits of a leaf.
    """

    trees: list[list[Tree]]
    biases: np.ndarray
    bits: int

    @classmethod
    def of(cls, model: HistGradientBoostingClassifier, bits: int) -> Self:
        """Round a model."""
        nodes = [[each.nodes for each in row] for row in zip(*model._predictors, strict=True)]
        lows = np.array([[_leaves(tree).min() for tree in row] for row in nodes])
        highs = np.array([[_leaves(tree).max() for tree in row] for row in nodes])
        scale = ((1 << bits) - 1) / (highs - lows).max()
        trees = [
            [
                Tree(tree, np.rint((tree["value"] - low) * scale).astype(int))
                for tree, low in zip(row, own, strict=True)
            ]
            for row, own in zip(nodes, lows, strict=True)
        ]
        base = model._baseline_prediction.flatten()
        return cls(trees, np.rint((base + lows.sum(axis=1)) * scale).astype(int), bits)

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes."""
        return len(self.trees) == 1

    def classes(self, x: np.ndarray) -> np.ndarray:
        """Return the class of each sample, (N,)."""
        sums = np.stack([sum(tree.run(x) for tree in row) for row in self.trees], axis=1) + self.biases
        return (sums[:, 0] > 0).astype(int) if self.is_binary else sums.argmax(axis=1)

    def blocks(self, features: int, shift: int, folder: Path) -> list[Block]:
        """Return comparisons, and the trees and their sums; for two classes, the class.

        Registers follow comparisons, trees, each level of adders, and the bias.

        Args:
            features: Number of features, bytes.
            shift: Lowest bits of a feature that the trees do not see.
            folder: Folder of the circuit.
        """
        keys: dict[tuple[int, int], str] = {}
        count, bits = len(self.trees[0]), self.bits
        levels, least = (count - 1).bit_length(), int(self.biases.min())
        summed = bits + levels
        # A sum and the largest bias above the least one, or the threshold of the only sum.
        width = 1 + max(
            summed, int(np.abs(self.biases - (0 if self.is_binary else least)).max()).bit_length()
        )
        lines = list[str]()
        for c, (row, bias) in enumerate(zip(self.trees, self.biases.tolist(), strict=True)):
            lines += [f"  logic [{count * bits - 1}:0] leaves{c};", f"  wire [{summed - 1}:0] sum{c};"]
            for t, tree in enumerate(row):
                value = tree.expression(bits, keys)
                lines.append(f"  always_ff @(posedge clk) if (en) leaves{c}[{t * bits}+:{bits}] <= {value};")
            adder = f"zc_sum #(.N({count}), .W({bits})) add{c}"
            lines.append(f"  {adder} (.clk, .en, .terms(leaves{c}), .sum(sum{c}));")
            if not self.is_binary:
                value = f"{width}'(sum{c}) + {width}'d{bias - least}"
            elif bias > 0:
                value = "1'b1"
            else:
                value = f"{width}'(sum{c}) > {width}'d{-bias}"
            place = "y" if self.is_binary else f"y[{c * width}+:{width}]"
            lines.append(f"  always_ff @(posedge clk) if (en) {place} <= {value};")
        encoder, places = _comparisons(keys, features, shift)
        compared = [f"  wire {name} = x[{places[key]}];" for key, name in keys.items()]
        sink = Stream((1,), 1, 1) if self.is_binary else Stream((len(self.trees),), len(self.trees), width)
        source = encoder.outputs["m"]
        trees = logic_block("peer_trees", compared + lines, source, sink, levels + 2, folder)
        return [node_block(encoder, folder, "encoder_"), trees]


def _comparisons(
    keys: Iterable[tuple[int, int]], features: int, shift: int
) -> tuple[Thermometer, dict[tuple[int, int], int]]:
    """Return the encoder that makes comparisons, and the place of each among its bits.

    Features with fewer thresholds than others have some that no byte reaches, which cost nothing.
    """
    rows: list[list[int]] = [[] for _ in range(features)]
    for feature, threshold in sorted(keys):
        rows[feature].append(threshold)
    bits = max(map(len, rows))
    places = {(f, each): f * bits + index for f, row in enumerate(rows) for index, each in enumerate(row)}
    thresholds = [[each + 1 << shift for each in row] + [256] * (bits - len(row)) for row in rows]
    flat = tuple(each for row in thresholds for each in row)
    return Thermometer(Stream((features,), features, 8), flat, bits), places


def run(task: Task, folder: Path) -> Trained:
    """Grow trees and write their circuit."""
    rounds, depth, bits = (int(each) for each in task.size)
    model = HistGradientBoostingClassifier(
        max_iter=rounds,
        max_depth=depth,
        max_leaf_nodes=None,
        learning_rate=0.3,
        l2_regularization=1.0,  # XGBoost's default: else a few huge leaves leave no digits to the others
        early_stopping=False,
        random_state=task.seed,
    )
    shift = IMAGE_SHIFT if task.is_images else 0
    x, test = (split.x.flatten(1).numpy().astype(int) for split in (task.data.train, task.test))
    model.fit(x >> shift, task.data.train.y.numpy())
    forest = Forest.of(model, bits)
    blocks = forest.blocks(x.shape[1], shift, folder)
    if not forest.is_binary:
        blocks.append(node_block(LabelSelect(blocks[-1].sink), folder))
    return Trained(forest.classes(test >> shift), test, chain(blocks, folder))


def _leaves(tree: np.ndarray) -> np.ndarray:
    return tree["value"][tree["is_leaf"] == 1]
