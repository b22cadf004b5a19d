"""The types of what a run's records hold of its configuration, as far as it is read. Records leave these fields open."""

from typing import Any

from pydantic import BaseModel, TypeAdapter

from zerocross.reading import NamedSection


class _Section(BaseModel, strict=True, extra="allow"):
    """A section: the fields named here have their types, and others may be anything."""


class _Data(_Section):
    limit: int | None = None


class _Device(_Section):
    part: str = ""


class _Final(_Section):
    seeds: int | None = None
    epochs: int | None = None
    networks: int | None = None


class _Search(_Section):
    seeds: int = 1
    generations: int | None = None
    budget_minutes: float | None = None


class _Config(_Section):
    output: str = ""
    plugins: list[str] = []
    topology: dict[str, Any] = {}
    training: dict[str, Any] = {}
    data: _Data = _Data()
    device: _Device = _Device()
    final: _Final = _Final()
    search: _Search = _Search()


class _Network(_Section):
    topology: NamedSection


class _Run(_Section):
    config: _Config
    front: list[_Network]
    references: list[_Network]


RUN = TypeAdapter(_Run)
"""The sections of the record of a run, as `zerocross.reading.as_record` checks them."""

NETWORKS = TypeAdapter(list[_Network])
"""The same of a list of networks."""
