"""Grouping of tasks into stacks, and the results of stacks."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.hw_search.conftest import InProcess, task
from zerocross import search
from zerocross.finn_flows.network import Activation, Dense, Input, LabelSelect, Layer, Network
from zerocross.hw_search.config import Config
from zerocross.hw_search.execution.evaluation import evaluate
from zerocross.hw_search.execution.stacks import stack_size, stacks
from zerocross.hw_search.execution.tasks import Mixture, Result, Stack, Task

MIXTURE = Mixture(((("skip", "none"),),), ((0, 0, "skip", 1.0),), 0.5)


def network(width: int) -> Network:
    layers = (
        Layer("dense", Dense(width), ("input",)),
        Layer("sign", Activation((1,) * width), ("dense",)),
        Layer("classifier", Dense(10), ("sign",)),
        Layer("label", LabelSelect(), ("classifier",)),
    )
    return Network(Input((64,), 8), layers)


def test_stacks_of_a_cpu_stay_in_its_cache() -> None:
    assert [stack_size(network(width), 64, "cpu", 4000) for width in (16, 64, 256, 4096)] == [64, 32, 8, 1]
    assert [stack_size(network(16), 64, "cpu", tasks) for tasks in (1, 8, 20)] == [1, 1, 3]  # for 8 workers


def test_stacks_of_a_gpu_fit_its_memory() -> None:
    assert [stack_size(network(256), 64, "cuda", tasks) for tasks in (20, 4000)] == [5, 256]
    # 64 x 65,536 weights, and a batch of 64 x 65,536 outputs
    assert stack_size(network(65536), 64, "cuda", 4000) == 2**30 // ((30 * 64 + 8 * 74) * 65536)


def test_tasks_that_differ_in_activations_alone_stand_together() -> None:
    plugin = Path("p.py")
    works = {f"{text} {seed}": task(plugin, text, seed=seed) for text in "abcde" for seed in (0, 1)}
    works["wide"] = task(plugin, "a", topology={"name": "mlp", "hidden": [8]})
    works["mixture"] = task(plugin, "a", mixture=MIXTURE)
    found = stacks(works, lambda work: 3)
    assert sorted(key for keys in found for key in keys) == sorted(works)
    assert ["wide"] in found and ["mixture"] in found
    for keys in found:
        assert len(keys) <= 3 and len({works[key].seed for key in keys}) == 1
    assert sorted(map(len, found)) == [1, 1, 2, 2, 3, 3]
    assert stacks(works, lambda work: 3) == found


def comparable(result: Result) -> Any:
    """Return what does not depend on the other networks of a stack; its loss is their mean."""
    return {name: value for name, value in result.items() if name not in ("seconds", "loss", "stacked")}


def test_a_stacks_results_are_those_of_its_tasks() -> None:
    works = [task(Path("p.py"), text, plugins=()) for text in ("x", "sin(x)", "div(x, sub(x, x))")]
    found = evaluate(Stack(tuple(works)))
    alone = [evaluate(work) for work in works]
    assert found["status"] == "ok"
    assert [result["status"] for result in found["results"]] == [result["status"] for result in alone]
    assert comparable(found["results"][0]) == comparable(alone[0])
    assert comparable(found["results"][1]) == comparable(alone[1])
    assert found["results"][0]["stacked"] == 3 and alone[0]["stacked"] == 1


def test_networks_that_cannot_be_stacked_are_trained_one_by_one(config: Config, tmp_path: Path) -> None:
    plugin = tmp_path / "own.py"
    plugin.write_text(
        "import torch\nfrom zerocross.models.topologies import mlp, register_topology\n"
        "@register_topology('own')\n"
        "def own(input_shape: tuple[int, ...], classes: int):\n"
        "    net = mlp(input_shape, classes, [4])\n"
        "    net.dense1.register_forward_hook(lambda module, inputs, output: output.flip(1))\n"
        "    net.scale.register_forward_hook(lambda module, inputs, output: output.roll(1, 1))\n"
        "    return net\n"
    )
    work = task(plugin, "x", topology={"name": "own"})
    found = evaluate(Stack((work, replace(work, expressions=("sin(x)",)))))
    assert found["status"] == "failed" and "treats the channels" in found["reason"]
    content = config.model_dump() | {
        "plugins": [str(plugin)],
        "activation": {"encoding": "list", "expressions": ["x", "sin(x)"]},
        "search": {"strategy": "exhaustive", "workers": 1, "stack": 8},
        "topology": {"name": "own"},
        "folding": {"target_cycles": 64},
        "training": config.training.model_dump()
        | {"label_smoothing": 0.0},  # so that both learn in this time
    }
    result = search(Config.model_validate(content), executor=InProcess())
    assert [evaluation.status for evaluation in result.run.evaluations] == ["ok", "ok"]


@pytest.mark.slow
def test_a_stack_whose_worker_dies_is_done_one_by_one(config: Config, tmp_path: Path) -> None:
    """Only the faulty network fails."""
    plugin = tmp_path / "deadly.py"
    plugin.write_text(
        "import os, signal, __main__\nfrom zerocross.models.operations import register_operation\n"
        "worker = getattr(__main__.__spec__, 'name', '') == 'zerocross.hw_search.execution.worker'\n"
        "register_operation('die', lambda x: os.kill(os.getpid(), signal.SIGKILL) if worker else x * x * x)\n"
    )
    content = config.model_dump() | {
        "plugins": [str(plugin)],
        "activation": {"encoding": "list", "expressions": ["x", "sin(x)", "die(x)"]},
        "search": {"strategy": "exhaustive", "workers": 1, "stack": 8},
        "topology": {"name": "mlp", "hidden": [8], "input_bits": 1},
        "folding": {"target_cycles": 64},
    }
    result = search(Config.model_validate(content))
    found = {evaluation.expression: evaluation for evaluation in result.run.evaluations}
    assert "died twice" in (found["die(x)"].reason or "")
    assert found["x"].status == found["sin(x)"].status == "ok"


class Counting(InProcess):
    """Counts the tasks that it receives."""

    given: list[int]

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        self.given = [*getattr(self, "given", []), *(len(work.trainings) for work in tasks)]
        yield from super().run(tasks)


@pytest.mark.parametrize("stack", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_search_trains_stacks(config: Config, stack: int) -> None:
    chosen = config.model_copy(update={"search": config.search.model_copy(update={"stack": stack})})
    executor = Counting()
    result = search(chosen, executor=executor)
    assert max(executor.given) <= stack and sum(executor.given) == result.trained
    assert result.front


@pytest.mark.slow
def test_weights_stay_those_of_their_results(config: Config) -> None:
    """A lost weight file is recreated with its stack; the other files of the stack stay unchanged."""
    chosen = config.model_copy(update={"search": config.search.model_copy(update={"stack": 8})})
    first = search(chosen)
    files = sorted((first.folder / "front").glob("*.safetensors"))
    assert len(files) > 1
    lost, *kept = files
    content, times = lost.read_bytes(), [path.stat().st_mtime_ns for path in kept]
    lost.unlink()
    again = search(chosen)
    assert again.front == first.front and again.trained == 1
    assert lost.read_bytes() == content
    assert [path.stat().st_mtime_ns for path in kept] == times
