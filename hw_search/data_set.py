"""The data of a configuration, training and test samples, as a search or a training reads it at its start."""

from dataclasses import replace

from zerocross.hw_search.config import Config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.evaluation import load_data
from zerocross.hw_search.plugins import import_plugins
from zerocross.models.data import Data, check_test
from zerocross.models.errors import ModelError


def check_augment(config: Config, input_shape: tuple[int, ...]) -> None:
    """Check that what a new search or training is told to move are images.

    Raises:
        UserError: If they are not.
    """
    if config.training.augment != "none" and len(input_shape) != 3:
        raise UserError(
            f"training.augment {config.training.augment} moves images, but samples have shape {input_shape}: omit it"
        )


def read_data(config: Config) -> tuple[Data, str]:
    """Import the plugins, and return the data of a configuration and the digest of its test set.

    The test set is read, so that a mistake in it is found before hours of training. No network runs on it.

    Raises:
        UserError: If the data cannot be read.
    """
    import_plugins(config.plugins)
    try:
        data = load_data(config.data)
        fingerprint, notes = check_test(config.data.name, config.data.root, data)
        return replace(data, notes=(*data.notes, *notes)), fingerprint
    except ModelError as error:
        raise UserError(f"data: {error}") from None
