"""The hardware layers of a Brevitas module.

torch.fx traces the module's forward, so a user's topology contains no description of hardware.
"""

import math
import operator
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import brevitas.nn as qnn
import torch
from torch import fx, nn

from zerocross.finn_flows.lowering.graph.naming import LABEL_SELECT
from zerocross.finn_flows.network import (
    Activation,
    Add,
    BitPlanes,
    Conv,
    Dense,
    Flatten,
    Input,
    LabelSelect,
    Layer,
    MaxPool,
    Network,
    Operation,
    Pad,
    Sparse,
    SumPool,
    Thermometer,
)
from zerocross.hw_search.extraction.padding import pad_layers, pad_values, pair
from zerocross.hw_search.extraction.scales import UnsupportedModule, scales
from zerocross.hw_search.extraction.weights import stream_order, weight_bits
from zerocross.models.bit_planes import PlaneEncoder
from zerocross.models.layers import (
    ActivationSlot,
    InputQuant,
    LogitScale,
    StreamSlot,
)
from zerocross.models.sparse import GroupSum, SparseLinear
from zerocross.models.table_neurons import TableLinear, TableSlot
from zerocross.models.thermometer import ThermometerEncoder

_FREE = (nn.Dropout, nn.Dropout2d, nn.Identity)
"""Modules without effect in a trained network."""

_ADDITIONS = (operator.add, torch.add, "add")


class Untraceable(UnsupportedModule):
    """A forward that torch.fx cannot trace."""


class _Tracer(fx.Tracer):
    """Treats layers from this project, torch and Brevitas as leaves."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        layer = m.__module__.startswith(
            (
                "torch.nn",
                "brevitas.nn",
                "zerocross.models.layers",
                "zerocross.models.sparse",
                "zerocross.models.table_neurons",
                "zerocross.models.thermometer",
                "zerocross.models.bit_planes",
            )
        )
        return layer and not isinstance(m, nn.Sequential)


@dataclass(frozen=True)
class TracedNetwork:
    """The trace of a module's forward, and the layers in it.

    Attributes:
        graph: The traced forward.
        layers: Names of the nodes that are layers of the network. The label select has no node.
        network: Layers, as from `describe`.
    """

    graph: fx.Graph
    layers: dict[fx.Node, str]
    network: Network


def describe(model: nn.Module, input_shape: tuple[int, ...]) -> Network:
    """Return the hardware layers of a module, with one crossing per channel for every sign.

    Names of layers:

    - the path of a module, such as "stages.0.0.conv";
    - torch.fx's name for a sum or flatten that is not a module, such as "add_1";
    - for a padding, the name of the layer that pads, followed by "_padding";
    - "label" for the choice of the largest logit.

    A flatten of a flat tensor is not a layer. For arguments and errors see `trace`.
    """
    return trace(model, input_shape).network


def trace(model: nn.Module, input_shape: tuple[int, ...]) -> TracedNetwork:
    """Trace a module's forward and find the layers in it; see `describe` for their names.

    Args:
        model: Module from samples to logits. It may contain one InputQuant, an encoder behind it, Brevitas layers
            with binary weights or integers on a power-of-two scale, activation and stream slots, sums, mean and max-pools,
            and flattens.
        input_shape: (features,) or (channels, height, width).

    Raises:
        UnsupportedModule: If the module contains anything else.
        NetworkError: If the layers do not fit together.
    """
    try:
        graph = _Tracer().trace(model)
    except Exception as error:  # a user's forward may raise anything
        raise Untraceable(f"torch.fx cannot trace the topology's forward: {error}") from None
    modules = dict(model.named_modules())
    shape = input_shape if len(input_shape) == 1 else (*input_shape[1:], input_shape[0])
    shapes: dict[str, tuple[int, ...]] = {"input": shape}
    layers: list[Layer] = []
    bits: int | None = None
    logits: str | None = None
    scaled = False
    names: dict[fx.Node, str] = {}
    found: dict[fx.Node, str] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            names[node] = "input"
        elif node.op == "output":
            logits = names.get(node.args[0])
        else:
            module = modules.get(str(node.target)) if node.op == "call_module" else None
            sources = _sources(node, names)
            if isinstance(module, InputQuant):
                if bits is not None or any(not isinstance(layer.operation, Flatten) for layer in layers):
                    raise UnsupportedModule(
                        f"{node.name}: the network needs exactly one InputQuant, as its first layer"
                    )
                bits = module.bits
            if isinstance(module, (InputQuant, LogitScale, *_FREE)) or _is_broadcast(node):
                names[node] = sources[0]
                scaled = scaled or isinstance(module, LogitScale)
                continue
            if scaled:
                raise UnsupportedModule(
                    f"{node.name} follows a LogitScale: use LogitScale only as the last layer"
                )
            operation = (
                _encoder(module, sources[0], layers, shapes)
                if isinstance(module, ThermometerEncoder | PlaneEncoder)
                else _operation(node, module, shapes[sources[0]])
            )
            if isinstance(operation, Flatten) and len(shapes[sources[0]]) == 1:
                names[node] = sources[0]
                continue
            name = names[node] = found[node] = str(node.target) if module is not None else node.name
            _check_name(name, shapes)
            pads = pad_layers(name, module, sources[0], Network(Input(shape, bits or 8), tuple(layers)))
            layers += [*pads, Layer(name, operation, tuple(pad.name for pad in pads) or sources)]
            if isinstance(layers[-1].operation, Add):
                _check_spread(node, [len(shapes[source]) for source in sources])
            shapes = Network(Input(shape), tuple(layers)).shapes()
    if bits is None:
        raise UnsupportedModule(
            "the topology has no InputQuant: start it with zerocross.models.layers.InputQuant(8)"
        )
    if logits is None:
        raise UnsupportedModule("the topology must return its logits, and nothing else")
    layers.append(Layer(LABEL_SELECT, LabelSelect(), (logits,)))
    network = Network(Input(shape, bits), tuple(layers))
    _check_network(network)
    network = pad_values(network, modules, scales(network, modules))
    return TracedNetwork(graph, found, network)


def _encoder(
    module: ThermometerEncoder | PlaneEncoder,
    source: str,
    layers: list[Layer],
    shapes: dict[str, tuple[int, ...]],
) -> Thermometer | BitPlanes:
    """Return the layer of an encoder. Its features come in the order of the stream."""
    if shapes[source][-1] != module.channels:
        raise UnsupportedModule(
            f"the encoder is made for {module.channels} channels, but it reads {shapes[source][-1]}"
        )
    if isinstance(module, PlaneEncoder):
        return BitPlanes(tuple(module.shifts.tolist()))
    thresholds = module.integers().cpu().numpy().astype(int)
    flatten = next((layer for layer in layers if layer.name == source), None)
    if flatten is not None:
        thresholds = stream_order(thresholds, shapes[flatten.inputs[0]])
    return Thermometer(tuple(int(each) for each in thresholds.reshape(-1)), module.bits)


def _check_name(name: str, taken: Container[str]) -> None:
    if name in taken:
        raise UnsupportedModule(f"{name} is used twice: create a separate module for each use")
    if name == LABEL_SELECT:
        raise UnsupportedModule(f"{name} is the name of the hardware's output: rename the module")


def _check_network(network: Network) -> None:
    _check_readers(network)
    _check_input(network)
    _check_flattened(network)
    network.producers()
    network.grids()


def _sources(node: fx.Node, names: dict[fx.Node, str]) -> tuple[str, ...]:
    """Return the names of the tensors that a node reads: one, or the two terms of a sum."""
    if node.target in _ADDITIONS and len(node.args) == 2 and not node.kwargs:
        terms = [term for term in node.args if isinstance(term, fx.Node)]
        if len(set(terms)) != 2:
            raise UnsupportedModule(f"{node.name} has no hardware: a sum needs two different tensors")
        return tuple(names[term] for term in terms)
    if len(node.all_input_nodes) != 1:
        raise UnsupportedModule(
            f"{node.name} joins {len(node.all_input_nodes)} tensors: join them by a sum of levels instead"
        )
    return (names[node.all_input_nodes[0]],)


def _is_broadcast(node: fx.Node) -> bool:
    """Return whether a node is `vector[:, :, None, None]`, which an addition broadcasts over an image."""
    return node.target is operator.getitem and node.args[1] == (slice(None), slice(None), None, None)


def _check_spread(node: fx.Node, dimensions: list[int]) -> None:
    """Require an explicit broadcast of a vector over an image: torch would add the vector along the image's rows."""
    for term, count in zip(node.args, dimensions, strict=True):
        if count < max(dimensions) and not (isinstance(term, fx.Node) and _is_broadcast(term)):
            raise UnsupportedModule(f"{node.name} adds a vector to an image: write vector[:, :, None, None]")


def _check_readers(network: Network) -> None:
    for layer in network.layers[:-1]:
        if not network.readers(layer.name):
            raise UnsupportedModule(f"no layer reads {layer.name}: remove it")


def _check_flattened(network: Network) -> None:
    """Reject activations after a flattened image: torch orders the features differently from the hardware."""
    shapes, flattened = network.shapes(), set()
    for layer in network.layers:
        if isinstance(layer.operation, Flatten) and math.prod(shapes[layer.inputs[0]][:-1]) > 1:
            flattened.add(layer.name)
        elif flattened.intersection(layer.inputs):
            if isinstance(layer.operation, Activation):
                raise UnsupportedModule(f"{layer.name} reads a flattened image: move it before the flatten")
            if isinstance(layer.operation, Add):
                flattened.add(layer.name)


def _check_input(network: Network) -> None:
    """Reject a max-pool of the input, also after a flatten."""
    raw = {"input"}
    for layer in network.layers:
        if layer.inputs[0] in raw and isinstance(layer.operation, MaxPool):
            raise UnsupportedModule(
                f"{layer.name}, a max-pool of the input, has no hardware: pool the data instead"
            )
        if layer.inputs[0] in raw and isinstance(layer.operation, Flatten | Pad):
            raw.add(layer.name)


def _operation(node: fx.Node, module: nn.Module | None, shape: tuple[int, ...]) -> Operation:
    if isinstance(module, ActivationSlot | TableSlot):
        return Activation((1,) * module.channels)
    if isinstance(module, StreamSlot):
        # Bit j of a number that rises through all levels flips at every multiple of 2**j.
        planes = tuple(2 ** (module.bits - plane) - 1 for plane in range(module.bits))
        return Activation(planes * module.channels, module.bits)
    if isinstance(module, SparseLinear):
        uneven = isinstance(module, GroupSum) and module.in_features % module.out_features > 0
        return Sparse(module.out_features, module.few.inputs, not uneven)
    if isinstance(module, TableLinear):
        return Sparse(module.out_features, module.inputs, indexed=module.inputs > 1)
    if isinstance(module, qnn.QuantLinear):
        return Dense(module.out_features, _check_product(node.name, module))
    if isinstance(module, qnn.QuantConv2d):
        bits = _check_product(node.name, module)
        if module.padding_mode != "zeros":
            raise UnsupportedModule(
                f"{node.name} pads with its input (padding_mode={module.padding_mode}), which has no hardware: use zeros"
            )
        return Conv(
            module.out_channels,
            pair(module.kernel_size),
            pair(module.stride),
            module.groups,
            pair(module.dilation),
            bits,
        )
    if isinstance(module, nn.MaxPool2d):
        if pair(module.dilation) != (1, 1):
            raise UnsupportedModule(f"{node.name} (MaxPool2d) has no hardware with dilation: remove it")
        kernel, stride = pair(module.kernel_size), pair(module.stride or module.kernel_size)
        return MaxPool(kernel, stride)
    if isinstance(module, nn.AvgPool2d):
        is_uneven = any(pair(module.padding)) and not module.count_include_pad
        if is_uneven or module.ceil_mode or module.divisor_override:
            raise UnsupportedModule(
                f"{node.name} (AvgPool2d) has no hardware with uncounted padding, ceil_mode or divisor_override: remove them"
            )
        return SumPool(pair(module.kernel_size), pair(module.stride))
    if isinstance(module, nn.AdaptiveAvgPool2d):
        if module.output_size not in (1, (1, 1)) or len(shape) != 3:
            raise UnsupportedModule(
                f"{node.name} (AdaptiveAvgPool2d) has hardware only for the mean of a whole image: use output_size=1"
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
        raise UnsupportedModule(f"{node.name} is indexing, which has no hardware: remove it")
    kind = type(module).__name__ if module is not None else str(node.target)
    raise UnsupportedModule(
        f"{node.name} ({kind}) has no hardware: use only InputQuant, ThermometerEncoder, PlaneEncoder, the layers of "
        "zerocross.models.layers and zerocross.models.sparse, "
        "ActivationSlot, StreamSlot, sums, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1), Flatten, Dropout and LogitScale"
    )


def _check_product(name: str, module: Any) -> int:
    """Check a product layer, and return its bits per weight."""
    if module.bias is not None:
        raise UnsupportedModule(
            f"{name} has a bias: set bias=False (batch norm in the activation slot has one already)"
        )
    if module.input_quant.is_quant_enabled or module.output_quant.is_quant_enabled:
        raise UnsupportedModule(
            f"{name} quantizes its input or output: leave that to InputQuant and ActivationSlot"
        )
    bits = weight_bits(module)
    if bits is None:
        raise UnsupportedModule(
            f"{name} has weights other than -1 and +1 or integers of 2 to 8 bits on one power-of-two scale: use the "
            "layers of zerocross.models.layers"
        )
    return bits
