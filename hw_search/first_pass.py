"""A first pass of a user's own networks and operations, forward and backward, before a search starts or writes anything.

A fault in a user's topology then ends in one message that names the layer, and a gradient that is not finite is said. The
topologies and operations of this package need no such pass.
"""

import time
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zerocross.finn_flows.network import NetworkError
from zerocross.hw_search.choice import alternatives
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.extraction.layers import Untraceable, describe
from zerocross.hw_search.extraction.scales import UnsupportedModule
from zerocross.hw_search.networks import FaultyTopology, build_topology, error_text, place_of, with_parameters
from zerocross.hw_search.space import Space
from zerocross.models.data import Data
from zerocross.models.errors import ModelError
from zerocross.models.finite import expression_gap, operation_gap
from zerocross.models.operations import get_operation, is_own_operation
from zerocross.models.presets import resolve
from zerocross.models.topologies import own_file

_SAMPLES = 4
_SECONDS = 10.0
"""Time for the networks of a space. A search leaves out later ones that fail, with the same message."""


def check_networks(space: Space, data: Data) -> None:
    """Run each of a space's own topologies once, as long as there is time.

    Networks that their topology refuses, or that have no hardware, are left to the search, which rejects them by name.

    Raises:
        UserError: If a network fails.
    """
    if all(own_file(name) is None for name in alternatives(space.config.topology["name"])):
        return
    started = time.monotonic()
    for topology in space.topologies():
        if time.monotonic() - started > _SECONDS:
            return
        try:
            check_network(topology, data)
        except FaultyTopology as fault:
            raise UserError(str(fault)) from None
        except ModelError:
            continue


def gradient_notes(space: Space) -> list[str]:
    """Return a note for each own operation of a space, or expression with one, whose gradient is not finite somewhere."""
    section, found = space.config.activation, list[str]()
    for index, text in enumerate(section.expressions):
        expression = resolve(text)
        is_own = any(is_own_operation(node.name) for node in expression.nodes())
        with suppress(Exception):  # what an operation raises, its training says
            if is_own and (place := expression_gap(expression)) is not None:
                found.append(f"activation.expressions[{index}], {text}: {_gap((place,))}")
    for name in (*(section.unary or ()), *(section.binary or ())):
        with suppress(Exception):
            if is_own_operation(name) and (places := operation_gap(get_operation(name))) is not None:
                found.append(f"activation, the operation {name}: {_gap(places)}")
    return found


def _gap(places: tuple[float, ...]) -> str:
    where = (
        f"x = {places[0]:.4g}" if len(places) == 1 else f"({', '.join(f'{place:.4g}' for place in places)})"
    )
    return f"the gradient is not finite at {where}. Trainings that meet such a value fail: see docs/bring-your-own.md."


def check_network(topology: dict[str, Any], data: Data) -> None:
    """Run a network once on a few training samples.

    Args:
        topology: Section `topology` without open choices.
        data: Data of the training.

    Raises:
        FaultyTopology: If the network is a user's own and fails. The message names topology, layer and place.
        zerocross.models.errors.ModelError: If the topology refuses its parameters.
    """
    name = topology["name"]
    if own_file(name) is None:
        return
    with torch.random.fork_rng(devices=[]):
        model = build_topology(topology, data.input_shape, data.classes, data.train.x)
        failed = f"topology {name!r} fails{with_parameters(topology)}"
        calls = _Calls(model)
        try:
            with calls:
                logits = model.train()(data.train.x[:_SAMPLES].float())
        except Exception as error:
            if _is_refused(model, data.input_shape):
                return
            place = place_of(name, error)
            if calls.current is None:
                raise FaultyTopology(f"{failed}: {error_text(error)}. Correct {place}") from None
            layer, shape = calls.current
            raise FaultyTopology(
                f"{failed}: {layer} reads a tensor of shape {shape}: {error_text(error)}. Correct this layer, or what it "
                f"reads, in {place}"
            ) from None
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        wanted = (min(_SAMPLES, len(data.train)), data.classes)
        if found != wanted:
            raise FaultyTopology(
                f"{failed}: for {wanted[0]} samples it returns {found}, not {wanted}. Return a logit for each of the "
                f"{data.classes} classes, in {own_file(name)}"
            )
        try:
            nn.functional.cross_entropy(logits, data.train.y[:_SAMPLES]).backward()
        except Exception as error:
            remedy = (
                "write x = x + y, not x += y" if "inplace" in str(error) else "use differentiable operations"
            )
            raise FaultyTopology(
                f"{failed} in its backward pass: {error_text(error)}. In the forward of {own_file(name)}, {remedy}"
            ) from None


def _is_refused(model: nn.Module, input_shape: tuple[int, ...]) -> bool:
    """Return whether a network has no hardware for a reason of its own, which says more than the error of a pass."""
    try:
        describe(model, input_shape)
    except (UnsupportedModule, NetworkError) as refusal:
        return not isinstance(refusal, Untraceable)
    return False


class _Calls:
    """Follows the layers of a network as they are called within a `with` block: Brevitas shares some modules among networks.

    Attributes:
        current: The innermost layer that has not returned, and the shape of its input; None outside of layers.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._open: list[tuple[str, tuple[int, ...]]] = []
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> None:
        for name, module in self._model.named_modules():
            if name:
                entered = self._entered(f"{name} ({type(module).__name__})")
                self._hooks.append(module.register_forward_pre_hook(entered))
                self._hooks.append(module.register_forward_hook(self._left))

    def __exit__(self, *exception: object) -> None:
        for hook in self._hooks:
            hook.remove()

    @property
    def current(self) -> tuple[str, tuple[int, ...]] | None:
        return self._open[-1] if self._open else None

    def _entered(self, layer: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            shape = tuple(inputs[0].shape) if inputs and isinstance(inputs[0], Tensor) else ()
            self._open.append((layer, shape))

        return hook

    def _left(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._open.pop()
