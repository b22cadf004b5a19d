"""NASB (Zhu et al., arXiv 2008.03515): cells whose edges choose among operations, within a fixed backbone.

A cell is a graph of nodes on the residual stream. Node 0 is the cell's input. An edge leads from every node to every later
node and applies one operation; a node is the sum of its incoming edges. The last node is added to the input. A list names
the operations of the edges: genes of an evolution, or the result of `train_supernet`. That function mixes all operations of
an edge, learns the weights of the mixture beside the network's own, and selects the operation with the largest weight.

The backbone (a first convolution, then stages that halve the image and widen) is fixed. The paper's further details of the
cell were not available: the number of nodes, the sum at the end and the clipping after every cell are choices of this
project.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from zerocross.models.data import Data, Split
from zerocross.models.errors import ModelError, nearest
from zerocross.models.fitting import Fit
from zerocross.models.layers import ActivationSlot, BinaryConv2d, StreamSlot
from zerocross.models.residual import RESNETE, Backbone, ResidualStream
from zerocross.models.self_binarizing import set_sharpness
from zerocross.models.training_settings import TrainingSettings

_KERNELS = {
    "conv3": {"kernel": 3, "padding": 1},
    "conv5": {"kernel": 5, "padding": 2},
    "conv1": {"kernel": 1},
    "dilated3": {"kernel": 3, "padding": 2, "dilation": 2},
    "depthwise3": {"kernel": 3, "padding": 1},
}
OPERATIONS = (*_KERNELS, "pool", "skip", "none")
"""Binary convolutions with several kernels, a 3x3 max pool, the identity, and no operation."""


class BinaryBranch(nn.Module):
    """An activation, a binary convolution and a quantizer onto the stream."""

    def __init__(self, channels: int, stream: ResidualStream, **settings: int) -> None:
        super().__init__()
        self.sign = ActivationSlot(channels)
        self.conv = BinaryConv2d(channels, channels, **settings)
        self.level = stream.slot(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return values for the stream. Shapes: (N, channels, H, W), kept."""
        return self.level(self.conv(self.sign(x)))


def operation(name: str, channels: int, stream: ResidualStream) -> nn.Module | None:
    """Return the module of an operation; None for "none".

    Raises:
        ModelError: For an unknown name.
    """
    match name:
        case "none":
            return None
        case "skip":
            return nn.Identity()
        case "pool":
            return nn.MaxPool2d(3, 1, 1)
        case _ if name in _KERNELS:
            groups = {"groups": channels} if name == "depthwise3" else {}
            return BinaryBranch(channels, stream, **_KERNELS[name], **groups)
    raise ModelError(f"unknown operation {name!r} of a cell: {nearest(name, OPERATIONS)}")


class Cell(nn.Module):
    """A graph of nodes. Shapes: (N, C, H, W), kept.

    Args:
        edges: A module or None for each pair of nodes (before, behind), in the order of `edge_pairs`.
        close: Quantizer of the sum of the input and the last node.
    """

    def __init__(self, edges: Sequence[nn.Module | None], close: nn.Module) -> None:
        super().__init__()
        self.pairs = edge_pairs(len(edges))
        self.edges = nn.ModuleDict(
            {
                f"{before}_{behind}": edge
                for (before, behind), edge in zip(self.pairs, edges, strict=True)
                if edge is not None
            }
        )
        self.close = close

    def forward(self, x: Tensor) -> Tensor:
        """Return the quantized sum of the input and the last node; the input alone if no edge reaches that node."""
        nodes: dict[int, Tensor] = {0: x}
        for behind, pairs in itertools.groupby(self.pairs, key=lambda pair: pair[1]):
            for before, _ in pairs:
                name = f"{before}_{behind}"
                if name in self.edges and before in nodes:
                    value = self.edges[name](nodes[before])
                    nodes[behind] = nodes[behind] + value if behind in nodes else value
        last = self.pairs[-1][1]
        return self.close(x + nodes[last]) if last in nodes else x


def edge_pairs(edges: int) -> list[tuple[int, int]]:
    """Return the pair of nodes of each edge. 1 node has 1 edge, 2 nodes have 3, 3 have 6, 4 have 10.

    Raises:
        ModelError: For another number of edges.
    """
    nodes = (math.isqrt(8 * edges + 1) - 1) // 2
    if edges < 1 or nodes * (nodes + 1) // 2 != edges:
        raise ModelError(
            f"a cell has {edges} operations: name 1 for one node, 3 for two, 6 for three, 10 for four"
        )
    return [(before, behind) for behind in range(1, nodes + 1) for before in range(behind)]


def used_edges(operations: Sequence[str]) -> list[bool]:
    """Return for each edge of a cell whether it is on a path from the input to the last node."""
    pairs = [
        pair for pair, name in zip(edge_pairs(len(operations)), operations, strict=True) if name != "none"
    ]
    ahead, last = {0}, edge_pairs(len(operations))[-1][1]
    for before, behind in pairs:
        ahead |= {behind} if before in ahead else set()
    reaching = {last}
    for before, behind in reversed(pairs):
        reaching |= {before} if behind in reaching else set()
    return [
        name != "none" and before in ahead and behind in reaching
        for (before, behind), name in zip(edge_pairs(len(operations)), operations, strict=True)
    ]


def _stage_cells(cells: Sequence[Sequence[str]], stages: int) -> list[list[str]]:
    if len(cells) not in (1, stages):
        raise ModelError(f"operations name {len(cells)} cells for {stages} stages: give one, or {stages}")
    return [list(cells[stage if len(cells) > 1 else 0]) for stage in range(stages)]


def nasb(
    input_shape: tuple[int, ...],
    classes: int,
    operations: Sequence[Sequence[str]],
    stream: ResidualStream,
    widths: list[int],
    cells: list[int],
    **settings: Any,
) -> nn.Module:
    """Return a backbone of cells whose operations are chosen.

    Args:
        input_shape: Shape of a sample, (channels, height, width).
        classes: Number of logits.
        operations: Names from OPERATIONS for the edges of a cell, ordered by the node they lead to; one list for each stage,
            or one for all. A cell of 1 node has 1 edge, of 2 nodes 3, of 3 nodes 6, of 4 nodes 10.
        stream: Settings of the residual stream.
        widths: Channels of each stage.
        cells: Number of cells in each stage, after the block that halves the image.
        settings: Further arguments of `Backbone`.

    Raises:
        ModelError: If the network cannot be built.
    """
    names = _stage_cells(operations, len(widths))

    def cell(stage: int, channels: int) -> nn.Module:
        for name in names[stage]:
            if name not in OPERATIONS:
                raise ModelError(f"unknown operation {name!r} of a cell: {nearest(name, OPERATIONS)}")
        edges = [
            operation(name, channels, stream) if used else None
            for name, used in zip(names[stage], used_edges(names[stage]), strict=True)
        ]
        return Cell(edges, _close(channels, stream))

    return _backbone(input_shape, classes, stream, widths, cells, cell, **settings)


def _backbone(
    input_shape: tuple[int, ...],
    classes: int,
    stream: ResidualStream,
    widths: list[int],
    cells: list[int],
    cell: Callable[[int, int], nn.Module],
    **settings: Any,
) -> Backbone:
    if len(input_shape) != 3:
        raise ModelError(f"nasb needs images, but the data has samples of shape {input_shape}: use mlp")
    if len(cells) != len(widths):
        raise ModelError(f"nasb has widths {widths} and cells {cells}: give the same number of each")
    blocks = [count + (stage > 0) for stage, count in enumerate(cells)]
    return Backbone(input_shape, classes, RESNETE, stream, widths, blocks, **settings, cell=cell)


def _close(channels: int, stream: ResidualStream) -> StreamSlot:
    """Return a slot that clips sums to the stream's bits, so that they do not grow."""
    return StreamSlot(channels, stream.bits, stream.scale, norm=False)


# ---- the differentiable search


class MixedEdge(nn.Module):
    """All operations of an edge, mixed by weights that the cells of a stage share.

    Args:
        channels: Channels of the stream.
        stream: Settings of the stream.
        names: Names of the operations.
    """

    def __init__(self, channels: int, stream: ResidualStream, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        made = {name: operation(name, channels, stream) for name in names}
        self.operations = nn.ModuleDict({name: module for name, module in made.items() if module is not None})
        self.shares: Tensor | None = None  # one per operation, set before every step

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of the operations' outputs, weighted by their shares; without shares, the plain mean."""
        shares = (
            self.shares if self.shares is not None else x.new_full((len(self.names),), 1 / len(self.names))
        )
        total = torch.zeros_like(x)
        for name, share in zip(self.names, shares, strict=True):
            if name in self.operations:
                total = total + share * self.operations[name](x)
        return total


class Supernet(nn.Module):
    """A backbone whose edges are mixed.

    Args:
        input_shape: Shape of a sample, (channels, height, width).
        classes: Number of logits.
        choices: Operations to choose from, for each edge; one list of edges for each stage, or one for all.
        stream: Settings of the residual stream.
        widths: Channels of each stage.
        cells: Number of cells in each stage.
        settings: Further arguments of `Backbone`.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        choices: Sequence[Sequence[Sequence[str]]],
        stream: ResidualStream,
        widths: list[int],
        cells: list[int],
        **settings: Any,
    ) -> None:
        super().__init__()
        if len(choices) not in (1, len(widths)):
            raise ModelError(
                f"operations name {len(choices)} cells for {len(widths)} stages: give one, or {len(widths)}"
            )
        self.choices = [[tuple(names) for names in stage] for stage in choices]
        self.logits = nn.ParameterDict(
            {
                f"{stage}_{edge}": nn.Parameter(torch.zeros(len(names)))
                for stage, edges in enumerate(self.choices)
                for edge, names in enumerate(edges)
            }
        )
        self.mixed: list[tuple[int, int, MixedEdge]] = []

        def cell(stage: int, channels: int) -> nn.Module:
            own = min(stage, len(self.choices) - 1)
            edges = [MixedEdge(channels, stream, names) for names in self.choices[own]]
            self.mixed += [(own, index, edge) for index, edge in enumerate(edges)]
            return Cell(edges, _close(channels, stream))

        self.backbone = _backbone(input_shape, classes, stream, widths, cells, cell, **settings)

    def shares(self) -> list[list[Tensor]]:
        """Return the share of every operation, by stage and edge."""
        return [
            [torch.softmax(self.logits[f"{stage}_{edge}"], 0) for edge in range(len(edges))]
            for stage, edges in enumerate(self.choices)
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes) of the mixture."""
        shares = self.shares()
        for stage, index, edge in self.mixed:
            edge.shares = shares[stage][index]
        return self.backbone(x)

    def price(self, prices: Mapping[tuple[int, int, str], float]) -> Tensor:
        """Return the expected price: the sum over all edges and operations of price times share.

        Args:
            prices: Prices by stage, edge and operation; a missing price is 0.
        """
        terms = [
            share[place] * prices.get((stage, index, name), 0.0)
            for stage, edges in enumerate(self.shares())
            for index, share in enumerate(edges)
            for place, name in enumerate(self.choices[stage][index])
        ]
        return torch.stack(terms).sum()

    def chosen(self) -> list[list[str]]:
        """Return the operation with the largest share for every edge, by stage."""
        return [
            [names[int(share.argmax())] for names, share in zip(edges, shares, strict=True)]
            for edges, shares in zip(self.choices, self.shares(), strict=True)
        ]


@dataclass(frozen=True)
class SupernetSettings:
    """Training settings of the mixture.

    Attributes:
        price_weight: Weight of the expected price in the loss, beside the cross entropy; 0 searches for accuracy alone.
        rate: Learning rate of the shares (Adam, betas 0.5 and 0.999, as in DARTS).
        warmup: Number of first epochs in which the shares are not learnt.
    """

    price_weight: float = 0.0
    rate: float = 3e-3
    warmup: int = 0


def train_supernet(
    supernet: Supernet,
    data: Data,
    settings: TrainingSettings,
    search: SupernetSettings,
    prices: Mapping[tuple[int, int, str], float],
    seed: int,
    device: torch.device | None = None,
    after_epoch: Callable[[int, float], None] | None = None,
) -> None:
    """Train a mixture in place: the network's weights on one half of the training data, the shares on the other.

    Only the choice is of use. The weights are therefore not replaced by their averages at the end, and the statistics of
    batch norms are not read again.

    The method is first order, as in the paper: a step of the shares follows every step of the weights.

    Args:
        supernet: Mixture.
        data: Data; only the training samples are used.
        settings: Training settings of the network's weights.
        search: Training settings of the shares.
        prices: Prices by stage, edge and operation, of the order of 1; see `Supernet.price`.
        seed: Seed of the split and of the order of samples.
        device: Device to train on.
        after_epoch: Function called with the epoch (from 1) and its mean loss.

    Raises:
        zerocross.models.training.TrainingFailure: If a parameter is no longer finite.
    """
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(seed))
    own, held = (Split(data.train.x[half], data.train.y[half]) for half in order.tensor_split(2))
    fit = _MixtureFit(
        supernet,
        replace(data, train=own),
        held,
        settings,
        search,
        prices,
        seed,
        device or torch.device("cpu"),
    )
    while fit.epoch < fit.epochs:
        (loss,) = fit.run_epoch()
        if after_epoch is not None:
            after_epoch(fit.epoch, loss)
    set_sharpness(supernet, None)  # signs again, if the method replaced them
    supernet.eval()


class _MixtureFit(Fit):
    """A training of a mixture: a step of the shares, on samples of their own, follows every step of the weights."""

    def __init__(
        self,
        supernet: Supernet,
        data: Data,
        held: Split,
        settings: TrainingSettings,
        search: SupernetSettings,
        prices: Mapping[tuple[int, int, str], float],
        seed: int,
        device: torch.device,
    ) -> None:
        supernet.logits.requires_grad_(False)  # so that they are none of the weights
        super().__init__(supernet, 1, data, settings, seed, device)
        supernet.logits.requires_grad_(True)
        self._gradients = self._compute  # no captured graph: the shares' own gradients would be part of it
        self._supernet, self._search, self._prices = supernet, search, prices
        self._chooser = torch.optim.Adam(supernet.logits.parameters(), lr=search.rate, betas=(0.5, 0.999))
        self._held = held.x.to(device), held.y.to(device)
        self._others: Iterator[Tensor] = iter(())

    def run_epoch(self) -> list[float]:
        """See `Fit.run_epoch`."""
        order = torch.randperm(len(self._held[1]), generator=self._generator)
        self._others = iter(order.to(self.device).tensor_split(self._steps))
        return super().run_epoch()

    def _step(self, batch: Tensor) -> Tensor:
        loss, other = super()._step(batch), next(self._others)
        if self.epoch >= self._search.warmup:
            x, y = (part[other] for part in self._held)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half, cache_enabled=False):
                logits = self._supernet(x.float())
            aim = nn.functional.cross_entropy(logits.float(), y)
            aim = aim + self._search.price_weight * self._supernet.price(self._prices)
            self._chooser.zero_grad(set_to_none=True)
            aim.backward()
            self._chooser.step()
        return loss
