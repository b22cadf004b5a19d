"""Loggers of searches: callbacks that write to tools which users have already. Each needs an extra package."""

from importlib import import_module
from pathlib import Path

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.watcher import Callback
from zerocross.models.errors import first_line, nearest

LOGGERS = {"tensorboard": "TensorBoard", "mlflow": "MLflow"}
"""Loggers by the name of their module and extra."""


def make_logger(name: str, folder: Path) -> Callback:
    """Return a logger for a run's folder.

    Raises:
        UserError: If there is no such logger, its package is not installed, or it cannot write.
    """
    if name not in LOGGERS:
        raise UserError(f"--log {name}: {nearest(name, LOGGERS)}")
    try:
        made: Callback = getattr(import_module(f"{__name__}.{name}_logger"), LOGGERS[name])(folder)
    except ImportError as error:
        raise UserError(
            f"--log {name} needs a package that is not installed ({error}): "
            f'pip install -c constraints.txt ".[{name}]" (in the clone)'
        ) from None
    except Exception as error:  # each tool has its own, for a server or a folder that cannot be used
        raise UserError(f"--log {name}: {first_line(error)}") from None
    return made
