"""The version of all code that affects the result of a training."""

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

import torch

from zerocross.hw_search.code_digest import code_digest

CODE = (
    "zerocross.hw_search.execution.worker",
    "zerocross.hw_search.execution.stacks",
    "zerocross.models.canonical",
)
"""Modules that run a task, form stacks, and decide which expressions share a training. The result of a store key depends on
this code and all that it imports."""


@lru_cache(maxsize=8)
def code_version(plugins: tuple[str, ...] = ()) -> str:
    """Return a digest of all code that affects a training's result: this project, the plugins, and torch's version.

    Raises:
        ImportError: If the package of a plugin is not installed.
    """
    parts = [torch.__version__, code_digest(*CODE), *plugin_digests(plugins).values()]
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=8)
def plugin_digests(plugins: tuple[str, ...]) -> dict[str, str]:
    """Return the digest of each plugin's code, by its name in the configuration, without those that have no source.

    Comments and docstrings do not count. The digests are those of the first call in this process, which has imported them.

    Raises:
        ImportError: If the package of a plugin is not installed.
    """
    found = {}
    for plugin in plugins:
        spec = None if plugin.endswith(".py") else importlib.util.find_spec(plugin)
        source = spec.origin if spec is not None else plugin
        if source is None or not Path(source).is_file():
            continue
        if spec is None:
            found[plugin] = code_digest(data=[Path(source)])
            continue
        levels = plugin.count(".") + (Path(source).name == "__init__.py")
        found[plugin] = code_digest(plugin, root=Path(source).parents[levels])
    return found
