"""Padding of torch modules, as layers of the hardware."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import brevitas.nn as qnn
import numpy as np
from torch import nn

from zerocross.finn_flows.lowering.graph.padding import Amounts, whole_windows
from zerocross.finn_flows.network import Layer, Network, Pad
from zerocross.hw_search.extraction.scales import Scale, UnsupportedModule
from zerocross.models.layers import PaddedConv2d


@dataclass(frozen=True)
class Border:
    """Padding that a module adds to its image.

    Attributes:
        amounts: Rows above, columns left, rows below, columns right.
        value: torch's value; None for the least one, which changes no maximum.
    """

    amounts: Amounts
    value: float | None


def border_of(module: nn.Module | None, shape: tuple[int, ...]) -> Border | None:
    """Return the padding of a convolution or a pool; None if it has none.

    Args:
        module: Any module.
        shape: Shape that it reads, (height, width, channels) for an image.
    """
    amounts: Amounts = (0, 0, 0, 0)
    value: float | None = 0.0
    if isinstance(module, PaddedConv2d):
        amounts, value = (module.border,) * 4, module.pad_value
    elif isinstance(module, qnn.QuantConv2d):
        if module.padding == "same":
            totals = [by * (side - 1) for by, side in zip(module.dilation, module.kernel_size, strict=True)]
            amounts = (totals[0] // 2, totals[1] // 2, -(-totals[0] // 2), -(-totals[1] // 2))
        elif module.padding != "valid":
            amounts = pair(module.padding) * 2
    elif isinstance(module, nn.AvgPool2d):
        amounts = pair(module.padding) * 2
    elif isinstance(module, nn.MaxPool2d):
        amounts, value = pair(module.padding) * 2, None
        if module.ceil_mode and len(shape) == 3:
            kernel = pair(module.kernel_size)
            stride = pair(module.stride or module.kernel_size)
            (top, left), (below, beside) = (
                pair(module.padding),
                (
                    whole_windows(before, size, before, side, by)
                    for before, size, side, by in zip(
                        pair(module.padding), shape[:2], kernel, stride, strict=True
                    )
                ),
            )
            amounts = (top, left, below, beside)
    return Border(amounts, value) if any(amounts) else None


def pad_layers(name: str, module: nn.Module | None, source: str, network: Network) -> list[Layer]:
    """Return the layer with a module's padding, for now of the least integer; an empty list if it has none.

    Args:
        name: Name of the module's own layer.
        module: The module.
        source: Layer that it reads.
        network: Layers so far.
    """
    border = border_of(module, network.shapes()[source])
    if border is None:
        return []
    return [Layer(f"{name}_padding", Pad(border.amounts, network.grids()[source].low), (source,))]


def pad_values(network: Network, modules: Mapping[str, nn.Module], scales: Mapping[str, Scale]) -> Network:
    """Return a network whose paddings have the integers of torch's values.

    Args:
        network: Layers; its paddings have the least integer.
        modules: torch modules of the layers, by name.
        scales: Scale of every tensor.

    Raises:
        UnsupportedModule: If a value is none of the integers that the tensor can hold.
    """
    return replace(
        network,
        layers=tuple(
            replace(
                layer,
                operation=_with_value(layer.operation, layer, network, modules, scales[layer.inputs[0]]),
            )
            if isinstance(layer.operation, Pad)
            else layer
            for layer in network.layers
        ),
    )


def _with_value(
    pad: Pad, layer: Layer, network: Network, modules: Mapping[str, nn.Module], scale: Scale
) -> Pad:
    (reader,), (source,) = network.readers(layer.name), layer.inputs
    border = border_of(modules[reader.name], network.shapes()[source])
    if border is None or border.value is None:
        return pad
    grid = network.grids()[source]
    integers = np.arange(grid.low, grid.high + 1, grid.step)
    values = scale.values(integers)
    found = integers[values == np.float32(border.value)]
    if not len(found):
        kind = "bits" if network.is_binary(source) else "levels"
        raise UnsupportedModule(
            f"{reader.name} pads {kind} with {border.value:g}, which is none of them: use a convolution of "
            f"zerocross.models.layers, such as BinaryConv2d, with pad_value={values[0]:g}"
        )
    return replace(pad, value=int(found[0]))


def pair(value: Any) -> tuple[int, int]:
    """Return a size of torch as (vertical, horizontal)."""
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
