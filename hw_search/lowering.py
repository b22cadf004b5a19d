"""From a Brevitas module to what the hardware computes: its layers, its weights, its crossing tables.

`describe` follows the module's own forward (by torch.fx), so a user's topology needs to say nothing of hardware;
`to_integer` reads the trained numbers; `agreement` holds the two against each other on data. What an integer of a
tensor means in torch is its scale (`hw_search.scales`).
"""

import operator
from collections.abc import Callable
from typing import Any

import brevitas.nn as qnn
import numpy as np
import torch
from torch import Tensor, fx, nn

from finn_flows.crossings import CrossingTable, Response, from_response
from finn_flows.integer import IntegerNetwork
from finn_flows.network import (
    Activation,
    Add,
    Conv,
    Dense,
    Flatten,
    Grid,
    Input,
    LabelSelect,
    Layer,
    MaxPool,
    Network,
    Operation,
    SumPool,
)
from hw_search.scales import Scale, UnsupportedModule, scales
from hw_search.weights import integer_weights, weight_bits
from models.data import Split
from models.layers import (
    ActivationSlot,
    InputQuant,
    LogitScale,
    PaddedConv2d,
    StreamSlot,
    slots,
    stream_slots,
)

_FREE = (nn.Dropout, nn.Dropout2d, nn.Identity)
"""Modules that do nothing once the network is trained."""

_ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")

_TIES = 20


class _Tracer(fx.Tracer):
    """Stops at layers: ours, torch's and Brevitas'."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        layer = m.__module__.startswith(("torch.nn", "brevitas.nn", "models.layers"))
        return layer and not isinstance(m, nn.Sequential)


def describe(model: nn.Module, input_shape: tuple[int, ...]) -> Network:
    """Return a module's layers for the hardware, every sign with one crossing a channel.

    Args:
        model: from samples to logits, made of an InputQuant, Brevitas layers with binary weights or integers on a
            power-of-two scale, activation and stream slots, sums, mean and max-pools, and flattens.
        input_shape: (features,) or (channels, height, width).

    Raises:
        UnsupportedModule: for anything else.
        NetworkError: for layers that do not fit together.
    """
    try:
        graph = _Tracer().trace(model)
    except (fx.proxy.TraceError, TypeError) as error:
        raise UnsupportedModule(f"the topology's forward cannot be followed: {error}") from None
    modules = dict(model.named_modules())
    shape = input_shape if len(input_shape) == 1 else (*input_shape[1:], input_shape[0])
    shapes: dict[str, tuple[int, ...]] = {"input": shape}
    layers: list[Layer] = []
    bits: int | None = None
    scaled = False
    names: dict[fx.Node, str] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            names[node] = "input"
        elif node.op != "output":
            module = modules.get(str(node.target)) if node.op == "call_module" else None
            sources = _sources(node, names)
            if isinstance(module, InputQuant):
                if bits is not None or any(not isinstance(layer.operation, Flatten) for layer in layers):
                    raise UnsupportedModule(
                        f"{node.name}: one InputQuant stands first, and no other anywhere"
                    )
                bits = module.bits
            if isinstance(module, (InputQuant, LogitScale, *_FREE)) or _is_broadcast(node):
                names[node] = sources[0]
                scaled = scaled or isinstance(module, LogitScale)
                continue
            if scaled:
                raise UnsupportedModule(
                    f"{node.name} stands behind a LogitScale, which is for the logits alone"
                )
            name = names[node] = str(node.target) if module is not None else node.name
            if name in shapes:
                raise UnsupportedModule(f"{name} is used twice: every use needs a module of its own")
            layers.append(Layer(name, _operation(node, module, shapes[sources[0]]), sources))
            shapes = Network(Input(shape), tuple(layers)).shapes()
    if bits is None:
        raise UnsupportedModule("the topology has no InputQuant: start it with models.layers.InputQuant(8)")
    layers.append(Layer("label", LabelSelect(), (layers[-1].name if layers else "input",)))
    network = Network(Input(shape, bits), tuple(layers))
    _check_input(network)
    network.producers()
    network.grids()
    scales(network, modules)
    return network


def _sources(node: fx.Node, names: dict[fx.Node, str]) -> tuple[str, ...]:
    """Return the tensors a node reads: one, or the terms of a sum."""
    if node.target in _ADDITIONS and len(node.args) == 2 and not node.kwargs:
        terms = [term for term in node.args if isinstance(term, fx.Node)]
        if len(set(terms)) != 2:
            raise UnsupportedModule(f"{node.name} has no hardware: a sum is of two different tensors")
        return tuple(names[term] for term in terms)
    if len(node.all_input_nodes) != 1:
        raise UnsupportedModule(
            f"{node.name} joins {len(node.all_input_nodes)} tensors: only a sum of levels has hardware"
        )
    return (names[node.all_input_nodes[0]],)


def _is_broadcast(node: fx.Node) -> bool:
    """Tell whether a node is `vector[:, :, None, None]`, which an addition spreads over an image."""
    return node.target is operator.getitem and node.args[1] == (slice(None), slice(None), None, None)


def _check_input(network: Network) -> None:
    """Refuse a max-pool of the input, also behind a flatten."""
    raw = {"input"}
    for layer in network.layers:
        if layer.inputs[0] in raw and isinstance(layer.operation, MaxPool):
            raise UnsupportedModule(
                f"{layer.name}: a max-pool of the input has no hardware: pool the data instead"
            )
        if layer.inputs[0] in raw and isinstance(layer.operation, Flatten):
            raw.add(layer.name)


def _operation(node: fx.Node, module: nn.Module | None, shape: tuple[int, ...]) -> Operation:
    if isinstance(module, ActivationSlot):
        return Activation((1,) * module.channels)
    if isinstance(module, StreamSlot):
        # Plane j of a number that rises through all levels flips at every multiple of 2**j.
        planes = tuple(2 ** (module.bits - plane) - 1 for plane in range(module.bits))
        return Activation(planes * module.channels, module.bits)
    if isinstance(module, qnn.QuantLinear):
        return Dense(module.out_features, _check_product(node.name, module))
    if isinstance(module, qnn.QuantConv2d):
        bits = _check_product(node.name, module)
        border = (module.border,) * 2 if isinstance(module, PaddedConv2d) else _pair(module.padding)
        if not isinstance(module, PaddedConv2d) and any(border):
            raise UnsupportedModule(
                f"{node.name} pads with zeros, a third value beside the bits: use models.layers.BinaryConv2d"
            )
        return Conv(
            module.out_channels,
            _pair(module.kernel_size),
            _pair(module.stride),
            border,
            module.groups,
            _pair(module.dilation),
            bits,
        )
    if isinstance(module, nn.MaxPool2d):
        if _pair(module.padding) != (0, 0) or _pair(module.dilation) != (1, 1) or module.ceil_mode:
            raise UnsupportedModule(
                f"{node.name} (MaxPool2d) pads, dilates or rounds up, which has no hardware"
            )
        return MaxPool(_pair(module.kernel_size), _pair(module.stride or module.kernel_size))
    if isinstance(module, nn.AvgPool2d):
        if _pair(module.padding) != (0, 0) or module.ceil_mode or module.divisor_override:
            raise UnsupportedModule(
                f"{node.name} (AvgPool2d) pads, rounds up or overrides its divisor, which has no hardware"
            )
        return SumPool(_pair(module.kernel_size), _pair(module.stride))
    if isinstance(module, nn.AdaptiveAvgPool2d):
        if module.output_size not in (1, (1, 1)) or len(shape) != 3:
            raise UnsupportedModule(
                f"{node.name} (AdaptiveAvgPool2d): only means of whole images have hardware"
            )
        return SumPool((shape[0], shape[1]), (1, 1))
    if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1):
        return Flatten()
    if node.target in (torch.flatten, "flatten") and (
        list(node.args[1:]) or [node.kwargs.get("start_dim")]
    ) == [1]:
        return Flatten()
    if node.target in _ADDITIONS and len(node.args) == 2 and not node.kwargs:
        return Add()
    if node.target in (operator.getitem,):
        raise UnsupportedModule(f"{node.name}: indexing has no hardware")
    kind = type(module).__name__ if module is not None else str(node.target)
    raise UnsupportedModule(
        f"{node.name} ({kind}) has no hardware; a topology is made of InputQuant, the layers of models.layers, "
        "ActivationSlot, StreamSlot, sums, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1), Flatten, Dropout and LogitScale"
    )


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _check_product(name: str, module: Any) -> int:
    """Return the bits of a product's weights."""
    if module.bias is not None:
        raise UnsupportedModule(
            f"{name} has a bias: batch norm in the activation slot has one already, say bias=False"
        )
    if module.input_quant.is_quant_enabled or module.output_quant.is_quant_enabled:
        raise UnsupportedModule(
            f"{name} quantizes its input or output: InputQuant and ActivationSlot do that"
        )
    bits = weight_bits(module)
    if bits is None:
        raise UnsupportedModule(
            f"{name} has weights other than -1 and +1 or integers of 2 to 8 bits on one power-of-two scale: use the "
            "layers of models.layers"
        )
    return bits


def to_integer(model: nn.Module, network: Network) -> IntegerNetwork:
    """Read weights and crossing tables from a trained network in eval mode.

    Args:
        model: the module `network` describes.
        network: from `describe`.

    Returns:
        The integer network, its crossing counts those of the tables. The tables behind products of bytes or levels
        cover what the layer's weights can reach.

    Raises:
        finn_flows.crossings.CrossingError: if an activation has no table.
    """
    modules = dict(model.named_modules())
    shapes, grids, producers = network.shapes(), network.grids(), network.producers()
    weights = {
        layer.name: _channels_last(integer_weights(modules[layer.name])[0], layer, network, shapes)
        for layer in network.layers
        if isinstance(layer.operation, Dense | Conv)
    }
    values = responses(model, network)
    tables: dict[str, CrossingTable] = {}
    for name, producer in producers.items():
        grid = grids[producer]
        if producer in weights:
            source = next(layer.inputs[0] for layer in network.layers if layer.name == producer)
            grid = grid if network.is_binary(source) else _reach(weights[producer], grids[source].high)
        slot = modules[name]
        if isinstance(slot, StreamSlot):
            tables[name] = from_response(grid, slot.channels * slot.bits, _planes(values[name], slot.bits))
        else:
            tables[name] = from_response(grid, shapes[name][-1], values[name])
    counts = {name: tuple(int(count) for count in table.counts()) for name, table in tables.items()}
    return IntegerNetwork(network.with_crossings(counts), weights, tables)


def responses(model: nn.Module, network: Network) -> dict[str, Response]:
    """Return what every slot makes of the hardware's integers, by name.

    Returns:
        Functions of integers (T,): of an activation slot its value ahead of the sign, of a stream slot its level,
        shape (channels, T).
    """
    modules = dict(model.named_modules())
    found = scales(network, modules)

    def response(scale: Scale, evaluate: Callable[[Tensor], Tensor]) -> Response:
        return lambda integers: evaluate(torch.from_numpy(scale.values(integers))).cpu().numpy()

    result = {}
    for name, producer in network.producers().items():
        slot = modules[name]
        assert isinstance(slot, ActivationSlot | StreamSlot)
        result[name] = response(
            found[producer], slot.levels if isinstance(slot, StreamSlot) else slot.response
        )
    return result


def _planes(levels: Response, bits: int) -> Response:
    """Return the planes of levels as values whose sign is the bit: row c * bits + j is plane j of channel c."""

    def planes(integers: np.ndarray) -> np.ndarray:
        found = levels(integers)
        whole = np.nan_to_num(found).astype(np.uint8)[:, None, :]
        bit = whole >> np.arange(bits, dtype=np.uint8)[None, :, None] & 1
        values = bit.astype(np.float32) - 0.5
        values[np.broadcast_to(np.isnan(found)[:, None, :], values.shape)] = np.nan
        return values.reshape(-1, len(integers))

    return planes


def _channels_last(
    values: np.ndarray, layer: Layer, network: Network, shapes: dict[str, tuple[int, ...]]
) -> np.ndarray:
    if values.ndim == 4:
        return np.ascontiguousarray(values.transpose(0, 2, 3, 1))
    source = network.inputs()[layer.inputs[0]]
    if isinstance(source, Layer) and isinstance(source.operation, Flatten):
        shape = shapes[source.inputs[0]]
        if (
            len(shape) == 3
        ):  # torch flattens (channels, height, width), the hardware's stream is channel-fastest
            height, width, channels = shape
            values = (
                values.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(len(values), -1)
            )
    return np.ascontiguousarray(values)


def _reach(weights: np.ndarray, top: int) -> Grid:
    flat = weights.reshape(len(weights), -1).astype(np.int64)
    low, high = np.minimum(flat, 0).sum(axis=1).min(), np.maximum(flat, 0).sum(axis=1).max()
    return Grid(top * int(low), top * int(high), 1)


@torch.no_grad()
def agreement(
    model: nn.Module, integer: IntegerNetwork, split: Split, batch: int = 500, whole: int = 200
) -> dict[str, Any]:
    """Compare a trained network with what the hardware is to compute, on data.

    What every activation reads is looked up in its table and compared, bit by bit, with what the network made of it;
    a level of several bits counts as so many. The first samples also run through the integer network from end to
    end, padding, pools and all.

    Args:
        model: the trained network.
        integer: from `to_integer`.
        split: samples.
        batch: samples at a time.
        whole: samples that run end to end.

    Returns:
        {"images", "bits", "differences", "end_to_end", "wrong_classes", "ties"}; a difference can only be a tie of
        rounding ahead of a quantizer, and "ties" names the first twenty: layer, channel and accumulator.
    """
    found = scales(integer.network, dict(model.named_modules()))
    producers = integer.network.producers()
    sites: dict[str, ActivationSlot | StreamSlot] = {**slots(model), **stream_slots(model)}
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        slot.register_forward_hook(
            lambda module, args, out, name=name: seen.__setitem__(name, (args[0], out))
        )
        for name, slot in sites.items()
    ]
    device = next(model.parameters()).device
    bits = differences = 0
    ties: list[str] = []
    try:
        for x in split.x.split(batch):
            model(x.to(device).float())
            for name, (read, out) in seen.items():
                integers = found[producers[name]].integers(_last(read))
                planes = integer.network.bits(name) or 1
                made = found[name].integers(_last(out))
                expected = made[..., None] >> np.arange(planes) & 1 if planes > 1 else made[..., None] > 0
                looked = integer.tables[name].bits(np.repeat(integers, planes, axis=-1))
                wrong = np.argwhere((looked.reshape(expected.shape) != expected).any(axis=-1))
                bits, differences = bits + expected.size, differences + len(wrong)
                ties += [
                    f"{name} channel {place[-1]} at accumulator {integers[tuple(place)]}"
                    for place in wrong[: max(0, _TIES - len(ties))]
                ]
    finally:
        for hook in hooks:
            hook.remove()
    samples = split.x[:whole]
    logits = model(samples.to(device).float()).cpu()
    # Ties go to the lowest class, as in the hardware's label select.
    classes = (logits == logits.max(dim=1, keepdim=True).values).int().argmax(dim=1).numpy()
    labels = integer.run(hardware_input(samples, integer.network))["label"][:, 0]
    return {
        "images": len(split),
        "bits": bits,
        "differences": differences,
        "end_to_end": len(samples),
        "wrong_classes": int((labels != classes).sum()),
        "ties": ties,
    }


def _last(values: Tensor) -> np.ndarray:
    """Return (N, C, H, W) with its channels last; (N, C) has them there."""
    return np.moveaxis(values.cpu().numpy(), 1, -1)


def hardware_input(samples: Tensor, network: Network) -> np.ndarray:
    """Return samples as the hardware takes them.

    Args:
        samples: bytes, (N, features) or (N, channels, height, width).
        network: whose input they are.

    Returns:
        Integers, (N, features) or (N, height, width, channels): -1 and +1 for a binary input, else 0..255.
    """
    values = np.moveaxis(samples.numpy().astype(np.int64), 1, -1)
    return np.where(values >= 128, 1, -1) if network.input.bits == 1 else values
