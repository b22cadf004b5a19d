"""Files of trained weights (safetensors)."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.files import replacing
from zerocross.reading import reason


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the weights of a network.

    Raises:
        UserError: If the file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary)
        except SafetensorError as error:
            raise UserError(f"{path} cannot be written ({error}): check that the disk is not full") from None


def load_weights(model: nn.Module, path: Path, remedy: str) -> None:
    """Put the weights of a file into a network, in place.

    Args:
        model: Network that the file was written for.
        path: The file.
        remedy: Imperative for the error message.

    Raises:
        UserError: If the file is missing or damaged, or belongs to another network.
    """
    try:
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise UserError(f"{path} cannot be read ({reason(error)}): {remedy}") from None
