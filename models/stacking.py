"""Many networks of one topology as a single module: stacked weights, batched products, grouped activations.

A stack of S networks is a copy of the first network with wider layers. C channels of a network are S * C channels in the
stack, network by network, so that batch norms, pools, sums and quantizers need no change. A product becomes S products in
one call. Activations are evaluated operation by operation, each for all networks that use it.

The networks are independent: each learns what it would learn alone, except for two differences:
* Floats are summed in another order. If rounding changes a sign, the result differs as with another seed.
* A dropout after a product draws once for all networks.

A stack saves calls: the time of a small binary network is mostly the cost of calls, especially on a GPU.
"""

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zerocross.models.activation import ActivationFunction
from zerocross.models.bit_planes import PlaneEncoder
from zerocross.models.errors import ModelError
from zerocross.models.expressions import Expression
from zerocross.models.layers import (
    WEIGHT_SURROGATE,
    ActivationSlot,
    BatchNorm,
    BinaryConv2d,
    BinaryLinear,
    InputQuant,
    IntegerConv2d,
    IntegerLinear,
    LogitScale,
    PaddedConv2d,
    StreamSlot,
    binary,
    bit,
)
from zerocross.models.quantizers import FixedPoint
from zerocross.models.sparse import SparseLinear
from zerocross.models.surrogates import Surrogate, Window
from zerocross.models.thermometer import ThermometerEncoder

_UNCHANGED = (
    InputQuant,
    ThermometerEncoder,
    PlaneEncoder,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Flatten,
    nn.Dropout,
    nn.Dropout2d,
    nn.Identity,
)
"""Modules without parameters that treat all channels equally, or that all networks share, such as the input's."""


class Unstackable(ModelError):
    """A network with a layer that cannot be stacked; the message names the layer."""


class _Weights(nn.Module):
    """Weights of S layers, (S, channels, ...), quantized as in each layer alone.

    Attributes:
        sharpness: nu of `zerocross.models.self_binarizing` for binary weights; None for signs.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.size = len(layers)
        weights = [layer.get_parameter("weight") for layer in layers]
        self.weight = nn.Parameter(
            torch.stack([weight.detach() for weight in weights]), weights[0].requires_grad
        )
        grid = getattr(layers[0], "grid", None)
        self.grid: FixedPoint | None = grid if isinstance(grid, FixedPoint) else None
        self.few = layers[0].few if isinstance(layers[0], SparseLinear) else None
        self.sharpness: float | None = None

    def quantized(self) -> Tensor:
        """Return the weights that the product uses."""
        quantizer = self.grid or self.few
        if quantizer is not None:
            return quantizer(self.weight)[0]
        return binary(self.weight, WEIGHT_SURROGATE, self.sharpness)

    def unstack(self, index: int) -> dict[str, Tensor]:
        """Return the state of one layer."""
        return {"weight": self.weight[index]}


class StackedLinear(_Weights):
    """S fully connected layers. Shapes: (N, S * fan_in), or (N, fan_in) for all of them, to (N, S * channels)."""

    def forward(self, x: Tensor) -> Tensor:
        """Multiply."""
        weight = self.quantized()
        size, channels, fan_in = weight.shape
        if x.shape[1] == fan_in:
            return nn.functional.linear(x, weight.reshape(size * channels, fan_in))
        columns = x.reshape(-1, size, fan_in).transpose(0, 1)
        return torch.bmm(columns, weight.transpose(1, 2)).transpose(0, 1).flatten(1)


class StackedConv2d(_Weights):
    """S convolutions. Shapes: (N, S * C, H, W), or (N, C, H, W) for all of them, to (N, S * channels, H', W')."""

    def __init__(self, layers: Sequence[PaddedConv2d]) -> None:
        super().__init__(layers)
        first = layers[0]
        self.border, self.pad_value = first.border, first.pad_value
        self.stride, self.dilation, self.groups = first.stride, first.dilation, first.groups
        self.in_channels = first.in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Pad and convolve."""
        groups = self.size * self.groups
        if x.shape[1] == self.in_channels:
            if self.groups == 1:
                groups = 1
            else:
                x = x.repeat(1, self.size, 1, 1)
        if self.border:
            x = nn.functional.pad(x, [self.border] * 4, value=self.pad_value)
        weight = self.quantized().flatten(0, 1)
        return nn.functional.conv2d(x, weight, stride=self.stride, dilation=self.dilation, groups=groups)


class StackedNorm(BatchNorm):
    """S batch norms. Shapes: (N, S * C) or (N, S * C, H, W), kept."""

    def __init__(self, norms: Sequence[BatchNorm]) -> None:
        super().__init__(sum(norm.num_features for norm in norms), norms[0].eps, norms[0].momentum)
        self.size = len(norms)
        states = [norm.state_dict() for norm in norms]
        joined = {name: torch.cat([state[name] for state in states]) for name in _NORM_STATE}
        self.load_state_dict({**joined, _STEPS: states[0][_STEPS]})

    def unstack(self, index: int) -> dict[str, Tensor]:
        """Return the state of one norm."""
        state = self.state_dict()
        return {**{name: state[name].chunk(self.size)[index] for name in _NORM_STATE}, _STEPS: state[_STEPS]}


_NORM_STATE = ("weight", "bias", "running_mean", "running_var")
_STEPS = "num_batches_tracked"
_STATISTICS = ("running_mean", "running_var", _STEPS)


@dataclass(frozen=True)
class _Node:
    """A node of one network's expression.

    Attributes:
        network: Index of the network.
        expression: Node, including the nodes below it.
        row: Index of its first learnable parameter; those of its operands come first, then its own.
    """

    network: int
    expression: Expression
    row: int

    @property
    def kind(self) -> tuple[int, str, float]:
        return len(self.expression.operands), self.expression.name, self.expression.value

    def operand(self, position: int) -> "_Node":
        ahead = self.expression.operands[:position]
        row = self.row + sum(len(operand.initial_parameters()) for operand in ahead)
        return _Node(self.network, self.expression.operands[position], row)

    def own_row(self) -> int:
        return self.row + sum(len(operand.initial_parameters()) for operand in self.expression.operands)


class _Call(nn.Module):
    """One operation, for all nodes that have it."""

    def __init__(self, nodes: Sequence[_Node], size: int) -> None:
        super().__init__()
        self.expression, self.count = nodes[0].expression, len(nodes)
        owners = rows = constant = None
        if self.expression.name == "x":
            owners = _indices([node.network for node in nodes], size)
        elif self.expression.name == "number":
            constant = torch.tensor(self.expression.value)
        elif self.expression.operation.initial:
            rows = torch.tensor([node.own_row() for node in nodes])
        elif self.expression.operation.arity == 0:
            constant = self.expression.operation.function()
        self.owners: Tensor | None
        self.rows: Tensor | None
        self.constant: Tensor | None
        for name, value in (("owners", owners), ("rows", rows), ("constant", constant)):
            self.register_buffer(name, value, persistent=False)

    def forward(self, x: Tensor, operands: Sequence[Tensor], learned: Tensor | None) -> Tensor:
        """Return (N, count, C, ...)."""
        if self.expression.name == "x":
            return x if self.owners is None else x.index_select(1, self.owners)
        shape = (x.shape[0], self.count, *x.shape[2:])
        if self.constant is not None:
            return self.constant.to(x).expand(shape)
        own = []
        if self.rows is not None:
            assert learned is not None
            for place in range(len(self.expression.operation.initial)):
                row = learned.index_select(0, self.rows + place)
                own.append(row.reshape(1, self.count, -1, *(1,) * (x.dim() - 3)))
        return self.expression.operation.function(*operands, *own).to(x).expand(shape)


class _Level(nn.Module):
    """Nodes of any networks: the calls of their operations, and the levels of their first and second operands."""

    def __init__(self, nodes: Sequence[_Node], size: int) -> None:
        super().__init__()
        order = sorted(range(len(nodes)), key=lambda index: nodes[index].kind)
        ordered = [nodes[index] for index in order]
        groups = [list(group) for _, group in itertools.groupby(ordered, key=lambda node: node.kind)]
        self.calls = nn.ModuleList(_Call(group, size) for group in groups)
        self.operands = nn.ModuleList()
        self.counts: list[list[int]] = []
        for position in range(2):
            inner = [node.operand(position) for node in ordered if len(node.expression.operands) > position]
            if inner:
                self.operands.append(_Level(inner, size))
                taking = [group for group in groups if len(group[0].expression.operands) > position]
                self.counts.append([len(group) for group in taking])
        back = sorted(range(len(order)), key=order.__getitem__)
        self.back: Tensor | None
        self.register_buffer("back", _indices(back, len(back)), persistent=False)

    def forward(self, x: Tensor, learned: Tensor | None) -> Tensor:
        """Return the nodes' values, (N, nodes, C, ...).

        Args:
            x: Inputs of all networks, (N, S, C, ...).
            learned: All learnable parameters, (rows, C).
        """
        parts = [
            iter(level(x, learned).split(counts, dim=1))
            for level, counts in zip(self.operands, self.counts, strict=True)
        ]
        found = []
        for call in self.calls:
            assert isinstance(call, _Call)
            arity = len(call.expression.operands)
            found.append(call(x, [next(part) for part in parts[:arity]], learned))
        joined = torch.cat(found, dim=1) if len(found) > 1 else found[0]
        return joined if self.back is None else joined.index_select(1, self.back)


def _indices(places: list[int], size: int) -> Tensor | None:
    """Return indices as a tensor; None if they are 0..size-1 in order."""
    return None if places == list(range(size)) else torch.tensor(places)


class StackedFunction(nn.Module):
    """S activation functions. Shapes: (N, S * C) or (N, S * C, H, W), kept.

    The expressions are evaluated together from their roots: all nodes of one operation are one call.
    """

    def __init__(self, functions: Sequence[ActivationFunction]) -> None:
        super().__init__()
        self.size = len(functions)
        learned = [parameter.detach() for function in functions for parameter in function.learned]
        self.learned = nn.Parameter(torch.stack(learned)) if learned else None
        ends = list(itertools.accumulate(len(function.learned) for function in functions))
        self.rows = [range(end - len(own.learned), end) for end, own in zip(ends, functions, strict=True)]
        roots = [
            _Node(network, own.expression, rows.start)
            for network, (own, rows) in enumerate(zip(functions, self.rows, strict=True))
        ]
        self.root = _Level(roots, self.size)

    def forward(self, x: Tensor) -> Tensor:
        """Apply each function to its network's channels."""
        return self.root(x.unflatten(1, (self.size, -1)), self.learned).flatten(1, 2)

    def unstack(self, index: int) -> dict[str, Tensor]:
        """Return the state of one function."""
        if self.learned is None:
            return {}
        return {f"learned.{place}": self.learned[row] for place, row in enumerate(self.rows[index])}


class StackedSlot(nn.Module):
    """S activation or stream slots. Shapes: (N, S * C) or (N, S * C, H, W), kept.

    Attributes:
        sharpness: nu of `zerocross.models.self_binarizing`, which replaces a sign by tanh(nu x); None for the sign.
        surrogate: Surrogate gradient of the sign.
    """

    def __init__(self, slots: Sequence[ActivationSlot | StreamSlot]) -> None:
        super().__init__()
        norms = [slot.norm for slot in slots if isinstance(slot.norm, BatchNorm)]
        self.norm = StackedNorm(norms) if norms else nn.Identity()
        self.function = StackedFunction([slot.function for slot in slots])
        first = slots[0]
        self.grid = first.grid if isinstance(first, StreamSlot) else None
        self.sharpness: float | None = None
        self.surrogate: Surrogate = Window()

    def forward(self, x: Tensor) -> Tensor:
        """Normalize, apply the functions, and quantize."""
        x = self.function(self.norm(x))
        return self.grid(x)[0] if self.grid is not None else bit(x, self.surrogate, self.sharpness)


class StackedScale(nn.Module):
    """S logit scales. Shapes: (N, S * classes), kept."""

    def __init__(self, scales: Sequence[LogitScale]) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.stack([scale.log_scale.detach() for scale in scales]))

    def forward(self, x: Tensor) -> Tensor:
        """Scale every network's logits."""
        parts = x.unflatten(1, (len(self.log_scale), -1))
        return (parts * torch.exp(self.log_scale)[:, None]).flatten(1)

    def unstack(self, index: int) -> dict[str, Tensor]:
        """Return the state of one scale."""
        return {"log_scale": self.log_scale[index]}


def stack(models: Sequence[nn.Module]) -> nn.Module:
    """Return one module for several networks of a topology, with any activations.

    Args:
        models: Networks that differ only in weights and installed activations; they are not changed.

    Returns:
        A module from samples (N, ...), the same for all networks, to logits (N, S * classes), network by network.

    Raises:
        Unstackable: If a layer with parameters is not from `zerocross.models.layers`.
    """
    first = copy.deepcopy(models[0])
    _replace(first, models, "")
    return first


def _replace(module: nn.Module, twins: Sequence[nn.Module], path: str) -> None:
    """Replace the layers of a module by stacks; `twins` holds the same module in each network."""
    for name, child in list(module.named_children()):
        others = [twin.get_submodule(name) for twin in twins]
        stacked = _stacked(child, others)
        if stacked is not None:
            setattr(module, name, stacked)
        elif next(child.parameters(recurse=False), None) is not None:
            raise Unstackable(f"{path}{name} ({type(child).__name__}) cannot be stacked")
        elif not isinstance(child, _UNCHANGED):
            _replace(child, others, f"{path}{name}.")


def _stacked(module: nn.Module, layers: Sequence[Any]) -> nn.Module | None:
    """Return the stack of a layer; None if it is not a layer of `zerocross.models.layers` with parameters."""
    match module:
        case BinaryLinear() | IntegerLinear() | SparseLinear():
            return StackedLinear(layers)
        case BinaryConv2d() | IntegerConv2d():
            return StackedConv2d(layers)
        case ActivationSlot() | StreamSlot():
            return StackedSlot(layers)
        case LogitScale():
            return StackedScale(layers)
    return None


@torch.no_grad()
def check_stack(stacked: nn.Module, models: Sequence[nn.Module], x: Tensor) -> None:
    """Check that a stack gives the same logits as its networks: a user's own forward may mix channels.

    Args:
        stacked: Stack from `stack`.
        models: Networks of the stack.
        x: Some samples, (N, ...).

    Raises:
        Unstackable: If the logits differ or the stack cannot run.
    """
    modes = [module.training for module in (stacked, *models)]
    try:
        answers = stacked.eval()(x)
        expected = torch.cat([model.eval()(x) for model in models], dim=1)
    except (RuntimeError, IndexError) as error:
        raise Unstackable(f"the topology's forward cannot run a stack: {error}") from None
    finally:
        for module, mode in zip((stacked, *models), modes, strict=True):
            module.train(mode)
    if answers.shape != expected.shape or not torch.allclose(
        answers, expected, rtol=1e-3, atol=1e-3, equal_nan=True
    ):
        raise Unstackable(
            "the topology's forward treats the channels of a stack differently from those of a network"
        )


@torch.no_grad()
def infinite_networks(stacked: nn.Module, size: int) -> list[int]:
    """Return the places of the networks of a stack that have a parameter which is not finite.

    Args:
        stacked: Stack from `stack`.
        size: Number of its networks.
    """
    layers: list[Any] = [module for module in stacked.modules() if hasattr(module, "unstack")]
    owners: list[int] = []
    parts: list[Tensor] = []
    for index, layer in itertools.product(range(size), layers):
        own = [value for key, value in layer.unstack(index).items() if key not in _STATISTICS]
        owners += [index] * len(own)
        parts += own
    finite = torch.isfinite(torch.stack(torch._foreach_norm(parts))).tolist()
    return sorted({owner for owner, is_finite in zip(owners, finite, strict=True) if not is_finite})


def unstack(stacked: nn.Module, models: Sequence[nn.Module]) -> None:
    """Copy the trained weights of a stack back to its networks, in place."""
    for index, model in enumerate(models):
        state = {
            f"{name}.{key}": value
            for name, module in stacked.named_modules()
            if hasattr(module, "unstack")
            for key, value in module.unstack(index).items()
        }
        model.load_state_dict({**model.state_dict(), **state})
