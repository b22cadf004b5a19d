"""Starting weights: a training that begins from another trained network (`training.start_from`)."""

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.zoo import is_zoo
from zerocross.hw_search.zoo.collection import find
from zerocross.hw_search.zoo.packing import kinds_of
from zerocross.hw_search.zoo.training_folder import WEIGHTS, read_training
from zerocross.models.bit_planes import PlaneEncoder
from zerocross.models.layers import slots
from zerocross.models.thermometer import ThermometerEncoder

_FIELD = "training.start_from"
_MARGIN = 0.05  # of a chosen input of a table over all others: some steps of training


def start_digest(source: str) -> str:
    """Return a digest of starting weights, for the keys of trainings that depend on them.

    Args:
        source: `zoo:NAME`, or the folder of a training.

    Raises:
        UserError: If there are no such weights.
    """
    try:
        if is_zoo(source):
            return find(source).identity
        read_training(Path(source))
    except UserError as error:
        raise UserError(f"{_FIELD}: {error}") from None
    return hashlib.blake2b((Path(source) / WEIGHTS).read_bytes(), digest_size=16).hexdigest()


def begin_from(model: nn.Module, source: str) -> None:
    """Put starting weights into a new network, in place.

    Each layer takes the parameters of the layer of its name. An activation that is another expression keeps its own
    parameters. The classifier keeps its own weights if it has another shape.

    An entry of the zoo holds weights as the hardware has them. The signs of binary weights and tables get the mean
    magnitude of the new network's, because a weight of -1 or +1 lies outside the window of its surrogate gradient, and would
    never change. The inputs of tables are chosen by a small margin.

    Args:
        model: New network with its activations, on the CPU.
        source: `zoo:NAME`, or the folder of a training.

    Raises:
        UserError: If there are no such weights, or they do not fit the network.
    """
    old = find(source).module() if is_zoo(source) else read_training(Path(source)).module()
    kinds = kinds_of(old) if is_zoo(source) else {}
    kept = {name: slot.function.expression for name, slot in slots(old).items()}
    other = tuple(
        f"{name}.function."
        for name, slot in slots(model).items()
        if str(kept.get(name)) != str(slot.function.expression)
    )
    _check_bits(model, old, source)
    state, found = old.state_dict(), dict[str, Tensor]()
    products = [name for name, tensor in model.named_parameters() if tensor.dim() > 1]
    for name, tensor in model.state_dict().items():
        if other and name.startswith(other):
            continue
        if name not in state or state[name].shape != tensor.shape:
            if name in products[-1:]:
                continue
            theirs = (
                f"has the shape {tuple(state[name].shape)} there" if name in state else "is missing there"
            )
            raise UserError(
                f"{_FIELD}: {source} does not fit: {name}, of shape {tuple(tensor.shape)} here, {theirs}. Use the same "
                "topology and input, or omit the field"
            )
        found[name] = _learnable(kinds.get(name), state[name], tensor)
    if not found:
        raise UserError(f"{_FIELD}: {source} has no layer of this network")
    with torch.no_grad():
        model.load_state_dict(found, strict=False)


def _check_bits(model: nn.Module, old: nn.Module, source: str) -> None:
    """Check that weights and inputs have the same bits and encodings in both networks, which shapes do not show."""
    if (here := _encoding(model)) != (there := _encoding(old)):
        raise UserError(
            f"{_FIELD}: {source} does not fit: the input is {here} here, and {there} there. Use the same topology and "
            "input, or omit the field"
        )
    before = dict(old.named_modules())
    for name, module in model.named_modules():
        other = before.get(name)
        for what in ("weight_bits", "bits"):
            bits, theirs = getattr(module, what, None), getattr(other, what, None)
            if other is not None and bits != theirs:
                raise UserError(
                    f"{_FIELD}: {source} does not fit: {name} has {what} {bits} here, and {theirs} there. Use the same "
                    "topology and input, or omit the field"
                )


def _encoding(model: nn.Module) -> str:
    """Return what decides about the meaning of an input's bits, in words; thresholds themselves are weights."""
    for module in model.modules():
        if isinstance(module, ThermometerEncoder):
            return f"a thermometer of {module.bits} bits ({module.kind}, multiples of {module.step})"
        if isinstance(module, PlaneEncoder):
            return f"{module.bits} bit planes"
    return "bytes or one bit"


def _learnable(kind: str | None, value: Tensor, new: Tensor) -> Tensor:
    """Return an entry's tensor as a training can change it.

    Args:
        kind: See `zerocross.hw_search.zoo.packing.PackedTensor`; None for weights that are kept as they were trained.
        value: The entry's tensor.
        new: That of the new network.
    """
    if kind == "bit":
        return value * new.abs().mean()
    if kind == "choice":
        chosen = value.argmax(dim=-1, keepdim=True)
        return new.scatter(-1, chosen, new.max(dim=-1, keepdim=True).values + _MARGIN)
    return value
