"""How configurations differ, field by field."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zerocross.reports.records import Run

PLACES = ("name", "output", "build")
"""Fields that decide where results are and what is built, but not the results of a search."""


NOT_GIVEN = "not given"
UNRECORDED = "not recorded"
"""Digest of a plugin that a run of an earlier version did not record."""


def of_run(run: Run) -> dict[str, Any]:
    """Return the configuration of a run, with the digests of its plugins in place of their paths."""
    return with_digests(run.config, run.plugins)


def with_digests(config: Mapping[str, Any], plugins: Mapping[str, str]) -> dict[str, Any]:
    """Return a configuration whose plugins are named by file or module, each with the digest of its code.

    The code decides the results, not its place. A plugin without a known digest has "not recorded".

    Args:
        config: The configuration.
        plugins: Digest of each plugin as the configuration names it.
    """
    found = {name: value for name, value in config.items() if name != "plugins"}
    named = config.get("plugins") or []
    if named:
        found["plugins"] = {_short(name): plugins.get(name, UNRECORDED) for name in named}
    return found


def _short(plugin: str) -> str:
    return Path(plugin).name if plugin.endswith(".py") else plugin


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a configuration by dotted path. A choice is one value."""
    return dict(_flat({name: value for name, value in config.items() if name not in PLACES}, ()))


def _flat(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value and "choose" not in value:
        for key, inner in value.items():
            yield from _flat(inner, (*path, str(key)))
    else:
        yield ".".join(path), value


def differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the fields in which configurations differ, with the text of each one's value."""
    tables = [fields(config) for config in configs]
    paths = dict.fromkeys(path for table in tables for path in table)
    rows = {path: [text(table.get(path)) for table in tables] for path in paths}
    return {path: row for path, row in rows.items() if len(set(row)) > 1}


def setting(name: str, value: Any) -> str:
    """Return the option ` --set NAME=VALUE` of a command, quoted for a shell."""
    return f" --set {shlex.quote(f'{name}=' + ('null' if value is None else text(value)))}"


def text(value: Any) -> str:
    """Return a value as users write it: {choose: [1, 2]}."""
    if value is None:
        return NOT_GIVEN
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(text(inner) for inner in value) + "]"
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
