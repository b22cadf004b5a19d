"""Small searches for tests."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.execution.tasks import Result, Task, TrainingTask
from zerocross.hw_search.execution.worker import serve
from zerocross.models.data_config import DataConfig
from zerocross.models.training import TrainingSettings

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


MISBEHAVING = """
import os, signal
from zerocross.models.operations import register_operation

def die(x):
    os.kill(os.getpid(), signal.SIGKILL)

def die_once(x):
    marker = os.environ["ZEROCROSS_TEST_MARKER"]
    if not os.path.exists(marker):
        open(marker, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return x

def hoard(x):
    return x + bytearray(64 << 30)[0]

def stumble(x):
    raise KeyError("nothing here")

def nan(x):
    return x * float("nan")

for function in (die, die_once, hoard, stumble, nan):
    register_operation(function.__name__, function)
"""
"""Operations that misbehave in a worker."""


class InProcess:
    """An executor that trains in the process of the test. A worker process would take seconds to start."""

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as in a worker
        try:
            for index, work in enumerate(tasks):
                yield index, serve(work)
        finally:
            torch.set_num_threads(threads)

    def close(self) -> None:
        pass


def task(plugin: Path, expression: str, **change: Any) -> TrainingTask:
    """Return a small task on the digits."""
    work = TrainingTask(
        plugins=(str(plugin),),
        data=DataConfig(limit=200),
        expressions=(expression,),
        topology={"name": "mlp", "hidden": [4], "input_bits": 1},
        settings=TrainingSettings(epochs=1, batch_size=64),
        device="cpu",
        seed=0,
    )
    return replace(work, **change)


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `change` merged into it, section by section."""
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


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run: a very short search on the digits, made once for all test processes."""
    from filelock import FileLock

    from zerocross import search

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with FileLock(shared / "tiny_run.lock"):
        if not (shared / "tiny_run" / "pareto.json").exists():
            search(
                make_config(
                    {
                        "name": "tiny_run",
                        "output": str(shared),
                        "data": {"name": "digits", "limit": 200},
                        "activation": {"encoding": "pair", "unary": ["x", "sin"], "binary": ["add"]},
                        "topology": {"name": "mlp", "hidden": [16], "input_bits": 1},
                        "folding": {"target_cycles": 256},
                        "training": {"epochs": 1, "batch_size": 64},
                        "search": {"population": 2, "generations": 1, "workers": 1},
                        "final": {"seeds": 1},
                    }
                ),
                executor=InProcess(),
            )
    return shared / "tiny_run"


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "plugin.py"
    path.write_text(MISBEHAVING)
    return path
