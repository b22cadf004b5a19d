"""Import of the user's plugins: files and modules that register topologies and operations when they are imported."""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from zerocross.hw_search.errors import UserError

_imported: dict[str, bytes] = {}
"""The plugins that are imported, and the content of those that are files."""


def plugin_files(plugins: Iterable[str]) -> list[str]:
    """Return the plugins that are files; the others are installed modules."""
    return [plugin for plugin in plugins if plugin.endswith(".py")]


def import_plugins(plugins: Iterable[str]) -> None:
    """Import the user's files and modules, once per process.

    Raises:
        UserError: If a plugin does not exist, cannot be imported, or has changed since it was.
    """
    for plugin in plugins:
        path = Path(plugin)
        content = path.read_bytes() if plugin.endswith(".py") and path.is_file() else b""
        if plugin in _imported:
            if content != _imported[plugin]:
                raise UserError(
                    f"plugins: {plugin} has changed since it was imported: run the command again, or restart Python"
                )
            continue
        if plugin.endswith(".py") and not path.is_file():
            raise UserError(
                f"plugins: {plugin} does not exist (paths are relative to the configuration file)"
            )
        try:
            if plugin.endswith(".py"):
                name = f"zerocross_plugin_{hashlib.blake2b(plugin.encode(), digest_size=4).hexdigest()}"
                spec = importlib.util.spec_from_file_location(name, plugin)
                assert spec is not None and spec.loader is not None
                module = importlib.util.module_from_spec(spec)
                sys.modules[name] = module
                spec.loader.exec_module(module)
            else:
                importlib.import_module(plugin)
        except (Exception, SystemExit) as error:  # a script may end itself
            raise UserError(
                f"plugins: {plugin} cannot be imported: {type(error).__name__}: {error}"
            ) from None
        _imported[plugin] = content
