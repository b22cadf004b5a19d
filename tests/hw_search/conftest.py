"""Small searches to try things on."""

from pathlib import Path
from typing import Any

import pytest

from hw_search.config import Config, make_config

CONTENT: dict[str, Any] = {
    "name": "tiny",
    "data": {"name": "digits", "limit": 400},
    "activation": {"encoding": "pair", "unary": ["x", "sin", "zero", "scale"], "binary": ["add", "max"]},
    "topology": {"name": "mlp", "hidden": {"choose": [[8], [16]]}, "input_bits": 1},
    "folding": {"target_cycles": {"choose": [64, 256]}},
    "training": {"epochs": 2, "batch_size": 64},
    "search": {"population": 4, "generations": 2, "workers": 2},
    "final": {"seeds": 2},
}


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return base with change laid over it, section by section."""
    result = dict(base)
    for key, value in change.items():
        section = isinstance(value, dict) and isinstance(base.get(key), dict) and "choose" not in value
        result[key] = merged(base[key], value) if section else value
    return result


@pytest.fixture
def content() -> dict[str, Any]:
    return CONTENT


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return make_config({**CONTENT, "output": str(tmp_path / "runs")})
