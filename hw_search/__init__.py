"""Searches and builds: configuration, space, evolution, evaluations, store; builds; and the command line.

From Python:

    from hw_search import load_config, search
    result = search(load_config("examples/digits.yaml"))
    for network in result.front: ...

    from hw_search import BuildOptions, build, from_run
    build(from_run(result.folder, "knee"), BuildOptions(target="ulx3s-85f"), folder)
"""

import logging
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hw_search.builds.builder import BuildResult, build
    from hw_search.builds.options import BuildOptions
    from hw_search.builds.subject import from_run
    from hw_search.config import Config, load_config, make_config
    from hw_search.finalists import rebuild
    from hw_search.pipeline import SearchResult, search

__all__ = [
    "BuildOptions",
    "BuildResult",
    "Config",
    "SearchResult",
    "build",
    "from_run",
    "load_config",
    "make_config",
    "rebuild",
    "search",
]

# Brevitas looks for a CUDA compiler it does not need here; torch would warn of it at every start.
logging.getLogger("torch.utils.cpp_extension").addFilter(lambda record: "No CUDA runtime" not in record.msg)

warnings.filterwarnings("ignore", message="Named tensors and all their associated APIs")
warnings.filterwarnings("ignore", message="fast_hadamard_transform package not found")

_HOMES = {
    "BuildOptions": "hw_search.builds.options",
    "BuildResult": "hw_search.builds.builder",
    "build": "hw_search.builds.builder",
    "from_run": "hw_search.builds.subject",
    "Config": "hw_search.config",
    "load_config": "hw_search.config",
    "make_config": "hw_search.config",
    "SearchResult": "hw_search.pipeline",
    "search": "hw_search.pipeline",
    "rebuild": "hw_search.finalists",
}


def __getattr__(name: str) -> Any:
    """Import late: torch and FINN take seconds, and the command line must answer at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
