"""The integers of a trained Brevitas module: its weights, and the crossing tables of its activations.

The scale of a tensor converts its integers to torch's values (`zerocross.hw_search.extraction.scales`).
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from zerocross.finn_flows.crossings import AT_ONCE, UNDEFINED, CrossingTable, Response, Signs, from_signs
from zerocross.finn_flows.integer import IntegerNetwork, remove_unreached
from zerocross.finn_flows.network import (
    BitPlanes,
    Conv,
    Dense,
    Flatten,
    Grid,
    Layer,
    Network,
    Sparse,
    Thermometer,
)
from zerocross.hw_search.extraction.scales import Scale, scales
from zerocross.hw_search.extraction.weights import integer_weights, stream_order
from zerocross.models.layers import (
    ActivationSlot,
    StreamSlot,
)
from zerocross.models.table_neurons import TableSlot


def to_integer(model: nn.Module, network: Network) -> IntegerNetwork:
    """Read weights and crossing tables from a trained network in eval mode.

    Args:
        model: Module that `network` describes.
        network: Layers from `zerocross.hw_search.extraction.layers.describe`.

    Returns:
        The integer network, with crossing counts from the tables. A table after a product of bytes or levels covers the
        range that the layer's weights can reach, and has no crossings that its channel's own weights cannot reach.

    Raises:
        zerocross.finn_flows.crossings.CrossingError: If an activation has no table.
    """
    modules = dict(model.named_modules())
    shapes, grids, producers = network.shapes(), network.grids(), network.producers()
    weights = {
        layer.name: _channels_last(integer_weights(modules[layer.name])[0], layer, network, shapes)
        for layer in network.layers
        if isinstance(layer.operation, Dense | Sparse | Conv)
    }
    values = _evaluations(model, network)
    # A GPU is faster with few large calls.
    at_once = AT_ONCE if next(model.parameters()).device.type == "cpu" else 16 * AT_ONCE
    tables: dict[str, CrossingTable] = {}
    for name, producer in producers.items():
        grid = grids[producer]
        if producer in weights:
            source = next(layer.inputs[0] for layer in network.layers if layer.name == producer)
            grid = grid if network.is_binary(source) else _reach(weights[producer], grids[source].high)
        slot = modules[name]
        if isinstance(slot, StreamSlot):
            tables[name] = from_signs(
                grid, slot.channels * slot.bits, _planes(values[name], slot.bits), at_once
            )
        else:
            tables[name] = from_signs(grid, shapes[name][-1], _signs(values[name]), at_once)
    return remove_unreached(IntegerNetwork(network, weights, tables))


def responses(model: nn.Module, network: Network) -> dict[str, Response]:
    """Return the response of every slot to the hardware's integers, by name.

    Returns:
        Functions from integers (T,) to (channels, T): the value before the sign for an activation slot, the level for a
        stream slot.
    """
    return {name: _numpy(evaluate) for name, evaluate in _evaluations(model, network).items()}


_Evaluate = Callable[[np.ndarray], Tensor]
"""A response whose values stay on the module's device: only bits leave a GPU."""


def _evaluations(model: nn.Module, network: Network) -> dict[str, _Evaluate]:
    modules = dict(model.named_modules())
    found = scales(network, modules)

    def evaluation(scale: Scale, evaluate: Callable[[Tensor], Tensor]) -> _Evaluate:
        return lambda integers: evaluate(torch.from_numpy(scale.values(integers)))

    result = {}
    for name, producer in network.producers().items():
        slot = modules[name]
        assert isinstance(slot, ActivationSlot | StreamSlot | TableSlot)
        result[name] = evaluation(
            found[producer], slot.levels if isinstance(slot, StreamSlot) else slot.response
        )
    return result


def _numpy(evaluate: _Evaluate) -> Response:
    return lambda integers: evaluate(integers).cpu().numpy()


def _signs(evaluate: _Evaluate) -> Signs:
    def signs(integers: np.ndarray) -> np.ndarray:
        values = evaluate(integers)
        bits = (values >= 0).view(torch.uint8)
        if values.amin().isnan():
            bits.masked_fill_(values.isnan(), UNDEFINED)
        return bits.cpu().numpy()

    return signs


def _planes(levels: _Evaluate, bits: int) -> Signs:
    """Return the bit planes of levels: row c * bits + j is bit j of channel c."""

    def planes(integers: np.ndarray) -> np.ndarray:
        found = levels(integers)
        whole = found.nan_to_num().byte()[:, None]
        shifts = torch.arange(bits, dtype=torch.uint8, device=found.device)[:, None]
        plane = whole.bitwise_right_shift(shifts).bitwise_and_(1)
        return plane.masked_fill_(found.isnan()[:, None], UNDEFINED).flatten(0, 1).cpu().numpy()

    return planes


def _channels_last(
    values: np.ndarray, layer: Layer, network: Network, shapes: dict[str, tuple[int, ...]]
) -> np.ndarray:
    if values.ndim == 4:
        return np.ascontiguousarray(values.transpose(0, 2, 3, 1))
    source, bits = network.inputs()[layer.inputs[0]], 1
    if isinstance(source, Layer) and isinstance(source.operation, Thermometer | BitPlanes):
        bits = source.operation.bits
        source = network.inputs()[source.inputs[0]]
    if isinstance(source, Layer) and isinstance(source.operation, Flatten):
        rows = values.reshape(len(values), -1, bits).swapaxes(0, 1)
        values = stream_order(rows, shapes[source.inputs[0]]).swapaxes(0, 1).reshape(len(values), -1)
    return np.ascontiguousarray(values)


def _reach(weights: np.ndarray, top: int) -> Grid:
    flat = weights.reshape(len(weights), -1).astype(np.int64)
    low, high = np.minimum(flat, 0).sum(axis=1).min(), np.maximum(flat, 0).sum(axis=1).max()
    return Grid(top * int(low), top * int(high), 1)


def hardware_input(samples: Tensor, network: Network) -> np.ndarray:
    """Return samples in the hardware's input format.

    Args:
        samples: Values 0 to 255, (N, features) or (N, channels, height, width).
        network: Network to run.

    Returns:
        Integers, (N, features) or (N, height, width, channels): -1 and +1 for a binary input, else 0..255.
    """
    values = np.moveaxis(samples.numpy().astype(np.int64), 1, -1)
    return np.where(values >= 128, 1, -1) if network.input.bits == 1 else values
