"""From a Brevitas module to what the hardware computes: its layers, its weights, its crossing tables.

`describe` follows the module's own forward (by torch.fx), so a user's topology needs to say nothing of hardware;
`to_integer` reads the trained numbers; `agreement` holds the two against each other on data.
"""

import operator
from typing import Any

import brevitas.nn as qnn
import numpy as np
import torch
from torch import Tensor, fx, nn

from finn_flows.crossings import CrossingTable, Response, from_response
from finn_flows.integer import IntegerNetwork
from finn_flows.network import (
    Activation,
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
)
from models.data import Split
from models.errors import ModelError
from models.layers import ActivationSlot, BinaryConv2d, InputQuant, LogitScale, slots

_FREE = (nn.Dropout, nn.Dropout2d, nn.Identity)
"""Modules that do nothing once the network is trained."""


_TIES = 20


class UnsupportedModule(ModelError):
    """A part of a topology that has no hardware; the message names it and what may stand there."""


class _Tracer(fx.Tracer):
    """Stops at layers: ours, torch's and Brevitas'."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        layer = m.__module__.startswith(("torch.nn", "brevitas.nn", "models.layers"))
        return layer and not isinstance(m, nn.Sequential)


def describe(model: nn.Module, input_shape: tuple[int, ...]) -> Network:
    """Return a module's layers for the hardware, every channel with one crossing.

    Args:
        model: from samples to logits, made of an InputQuant, Brevitas layers with binary weights, activation
            slots, max-pools and flattens, one after the other.
        input_shape: (features,) or (channels, height, width).

    Raises:
        UnsupportedModule: for anything else.
    """
    try:
        graph = _Tracer().trace(model)
    except (fx.proxy.TraceError, TypeError) as error:
        raise UnsupportedModule(f"the topology's forward cannot be followed: {error}") from None
    modules = dict(model.named_modules())
    shape = input_shape if len(input_shape) == 1 else (*input_shape[1:], input_shape[0])
    layers: list[Layer] = []
    bits: int | None = None
    scaled = False
    names: dict[fx.Node, str] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            names[node] = "input"
        elif node.op == "output":
            continue
        else:
            if len(node.all_input_nodes) != 1:
                raise UnsupportedModule(
                    f"{node.name} joins {len(node.all_input_nodes)} tensors: only chains have hardware"
                )
            source = names[node.all_input_nodes[0]]
            module = modules.get(str(node.target)) if node.op == "call_module" else None
            if isinstance(module, InputQuant):
                if bits is not None or any(not isinstance(layer.operation, Flatten) for layer in layers):
                    raise UnsupportedModule(
                        f"{node.name}: one InputQuant stands first, and no other anywhere"
                    )
                bits = module.bits
            if isinstance(module, (InputQuant, LogitScale, *_FREE)):
                names[node] = source
                scaled = scaled or isinstance(module, LogitScale)
                continue
            if scaled:
                raise UnsupportedModule(
                    f"{node.name} stands behind a LogitScale, which is for the logits alone"
                )
            names[node] = str(node.target) if module is not None else node.name
            if any(layer.name == names[node] for layer in layers):
                raise UnsupportedModule(f"{names[node]} is used twice: every use needs a module of its own")
            layers.append(Layer(names[node], _operation(node, module), (source,)))
    if bits is None:
        raise UnsupportedModule("the topology has no InputQuant: start it with models.layers.InputQuant(8)")
    layers.append(Layer("label", LabelSelect(), (layers[-1].name if layers else "input",)))
    network = Network(Input(shape, bits), tuple(layers))
    network.shapes()
    network.producers()
    _check_streams(network, modules)
    return network


def _check_streams(network: Network, modules: dict[str, nn.Module]) -> None:
    """Hold every layer against what it reads: products take bits or the input, and pad with what a bit can be."""
    raw = {"input"}
    for layer in network.layers:
        source, operation = layer.inputs[0], layer.operation
        if isinstance(operation, Flatten) and source in raw:
            raw.add(layer.name)
        if isinstance(operation, MaxPool) and source in raw:
            raise UnsupportedModule(
                f"{layer.name}: a max-pool of the input has no hardware: pool the data instead"
            )
        if not isinstance(operation, Dense | Conv):
            continue
        binary = network.is_binary(source)
        if not binary and source not in raw:
            raise UnsupportedModule(f"{layer.name} reads accumulators: put an ActivationSlot ahead of it")
        module = modules[layer.name]
        pads = isinstance(operation, Conv) and operation.padding != (0, 0)
        if pads and getattr(module, "pad_value", 0.0) != (-1.0 if binary else 0.0):
            wrong = (
                "bits with a third value: use pad_value=-1" if binary else "bytes with -1: use pad_value=0"
            )
            raise UnsupportedModule(f"{layer.name} pads {wrong}")


def _operation(node: fx.Node, module: nn.Module | None) -> Operation:
    if isinstance(module, ActivationSlot):
        return Activation((1,) * module.channels)
    if isinstance(module, qnn.QuantLinear):
        _check_product(node.name, module)
        return Dense(module.out_features)
    if isinstance(module, qnn.QuantConv2d):
        _check_product(node.name, module)
        if _pair(module.dilation) != (1, 1):
            raise UnsupportedModule(f"{node.name} is dilated, which has no hardware")
        border = (module.border,) * 2 if isinstance(module, BinaryConv2d) else _pair(module.padding)
        if not isinstance(module, BinaryConv2d) and any(border):
            raise UnsupportedModule(
                f"{node.name} pads with zeros, a third value beside the bits: use models.layers.BinaryConv2d"
            )
        return Conv(
            module.out_channels, _pair(module.kernel_size), _pair(module.stride), border, module.groups
        )
    if isinstance(module, nn.MaxPool2d):
        if _pair(module.padding) != (0, 0) or _pair(module.dilation) != (1, 1) or module.ceil_mode:
            raise UnsupportedModule(
                f"{node.name} (MaxPool2d) pads, dilates or rounds up, which has no hardware"
            )
        kernel = _pair(module.kernel_size)
        return MaxPool(kernel, _pair(module.stride or kernel))
    if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1):
        return Flatten()
    if node.target in (torch.flatten, "flatten") and (
        list(node.args[1:]) or [node.kwargs.get("start_dim")]
    ) == [1]:
        return Flatten()
    if node.target in (operator.getitem,):
        raise UnsupportedModule(f"{node.name}: indexing has no hardware")
    kind = type(module).__name__ if module is not None else str(node.target)
    raise UnsupportedModule(
        f"{node.name} ({kind}) has no hardware; a topology is made of InputQuant, BinaryLinear, BinaryConv2d, "
        "ActivationSlot, MaxPool2d, Flatten, Dropout and LogitScale"
    )


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _check_product(name: str, module: Any) -> None:
    if module.bias is not None:
        raise UnsupportedModule(
            f"{name} has a bias: batch norm in the activation slot has one already, say bias=False"
        )
    if module.input_quant.is_quant_enabled or module.output_quant.is_quant_enabled:
        raise UnsupportedModule(
            f"{name} quantizes its input or output: InputQuant and ActivationSlot do that"
        )
    if not bool((_weights(module).abs() == 1).all()):
        raise UnsupportedModule(
            f"{name} has weights other than -1 and +1: use models.quantizers.BinaryWeight"
        )


def _weights(module: Any) -> Tensor:
    with torch.no_grad():
        quantized = module.quant_weight()
        return getattr(quantized, "value", quantized).detach().cpu()


def to_integer(model: nn.Module, network: Network) -> IntegerNetwork:
    """Read weights and crossing tables from a trained network in eval mode.

    Args:
        model: the module `network` describes.
        network: from `describe`.

    Returns:
        The integer network, its crossing counts those of the tables. The tables of byte inputs cover what the
        layer's weights can reach.

    Raises:
        finn_flows.crossings.CrossingError: if an activation has no table.
    """
    modules = dict(model.named_modules())
    shapes, grids, producers = network.shapes(), network.grids(), network.producers()
    weights: dict[str, np.ndarray] = {}
    for layer in network.layers:
        if isinstance(layer.operation, Dense | Conv):
            values = _weights(modules[layer.name]).numpy().astype(np.int8)
            weights[layer.name] = _channels_last(values, layer, network, shapes)
    tables: dict[str, CrossingTable] = {}
    for name, producer in producers.items():
        slot = modules[name]
        assert isinstance(slot, ActivationSlot)
        grid = grids[producer] if grids[producer].step == 2 else _reach(weights[producer], network.input)
        tables[name] = from_response(
            grid,
            slot.channels,
            _response(slot),
        )
    counts = {name: tuple(int(count) for count in table.counts()) for name, table in tables.items()}
    return IntegerNetwork(network.with_crossings(counts), weights, tables)


def _response(slot: ActivationSlot) -> Response:
    return lambda integers: slot.response(torch.from_numpy(integers)).cpu().numpy()


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


def _reach(weights: np.ndarray, source: Input) -> Grid:
    top = 2**source.bits - 1
    flat = weights.reshape(len(weights), -1)
    return Grid(-top * int((flat < 0).sum(axis=1).max()), top * int((flat > 0).sum(axis=1).max()), 1)


@torch.no_grad()
def agreement(
    model: nn.Module, integer: IntegerNetwork, split: Split, batch: int = 500, whole: int = 200
) -> dict[str, Any]:
    """Compare a trained network with what the hardware is to compute, on data.

    Every activation's accumulators are looked up in its table and compared, bit by bit, with what the network
    made of them. The first samples also run through the integer network from end to end, padding, pools and all.

    Args:
        model: the trained network.
        integer: from `to_integer`.
        split: samples.
        batch: samples at a time.
        whole: samples that run end to end.

    Returns:
        {"images", "bits", "differences", "end_to_end", "wrong_classes", "ties"}; a difference can only be a tie of
        rounding ahead of the sign, and "ties" names the first twenty: layer, channel and accumulator.
    """
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        slot.register_forward_hook(
            lambda module, args, out, name=name: seen.__setitem__(name, (args[0], out))
        )
        for name, slot in slots(model).items()
    ]
    device = next(model.parameters()).device
    bits = differences = 0
    ties: list[str] = []
    try:
        for x in split.x.split(batch):
            model(x.to(device).float())
            for name, (accumulators, out) in seen.items():
                # (N, C, H, W) to channels last; (N, C) is so already.
                integers = np.rint(np.moveaxis(accumulators.cpu().numpy(), 1, -1)).astype(np.int64)
                signs = np.moveaxis(out.cpu().numpy(), 1, -1) > 0
                wrong = np.argwhere(integer.tables[name].bits(integers) != signs)
                bits, differences = bits + signs.size, differences + len(wrong)
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
    found = integer.run(hardware_input(samples, integer.network))["label"][:, 0]
    return {
        "images": len(split),
        "bits": bits,
        "differences": differences,
        "end_to_end": len(samples),
        "wrong_classes": int((found != classes).sum()),
        "ties": ties,
    }


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
