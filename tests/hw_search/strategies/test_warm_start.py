"""Searches that start from the fronts of others, and ranges of values."""

import math
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.hw_search.conftest import merged
from zerocross.hw_search.choice import Choose
from zerocross.hw_search.config import Config, load_config, make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.forecast import forecast
from zerocross.hw_search.pipeline import search
from zerocross.hw_search.space import Space
from zerocross.hw_search.strategies.making import make_strategy
from zerocross.hw_search.strategies.warm_start import starts
from zerocross.models.expressions import parse
from zerocross.reports.storage import contents, load_run


def space_of(content: dict[str, Any], change: dict[str, Any]) -> Space:
    return Space(make_config(merged(content, change)), (64,), 10)


def test_a_range_is_a_list_of_values(content: dict[str, Any]) -> None:
    def values(field: str, given: dict[str, Any]) -> list[float]:
        training = make_config(
            merged(content, {"training": {field: {"choose": [1]}}})
        ).training  # a choice is allowed
        assert isinstance(getattr(training, field), Choose)
        made = {**content, "training": {**content["training"], field: given}}
        found: list[float] = getattr(make_config(made).training, field).choose
        return found

    rates = values("learning_rate", {"range": ["1e-3", 2e-2], "log": True, "steps": 5})
    assert rates[0] == 1e-3 and rates[-1] == 2e-2
    ratios = [b / a for a, b in pairwise(rates)]
    assert ratios == pytest.approx([math.pow(20, 1 / 4)] * 4, rel=1e-3)
    assert values("epochs", {"range": [2, 6]}) == [2, 3, 4, 5, 6]
    assert len(values("learning_rate", {"range": [0.001, 0.02]})) == 16

    topology = {"topology": {"name": "mlp", "hidden": [{"range": [8, 32], "steps": 4}], "input_bits": 1}}
    config = make_config({**content, **topology})
    assert next(choice.values for choice in Space(config, (64,), 10).choices) == [8, 16, 24, 32]
    assert make_config(config.model_dump()) == config


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"range": [1]}, "range needs two numbers"),
        ({"range": [0.02, 0.001]}, "range must rise, not go from 0.02 to 0.001"),
        ({"range": [0, 1], "log": True}, "begins above 0"),
        ({"range": [0.1, 1], "steps": 1}, "steps must be a whole number from 2 to 1,000"),
        ({"range": [0.1, 1], "logarithmic": True}, "not logarithmic"),
        ({"range": [-1.0, 1.0]}, "greater than 0"),
    ],
)
def test_a_wrong_range_names_the_field(content: dict[str, Any], given: dict[str, Any], message: str) -> None:
    training = {**content["training"], "learning_rate": given}
    with pytest.raises(UserError, match=f"training.learning_rate.*{message}"):
        make_config({**content, "training": training})


def test_a_network_of_another_space(content: dict[str, Any]) -> None:
    space = space_of(content, {})
    values = {"topology.hidden": [16], "folding.target_cycles": 100}
    genome = space.genome([parse("add(x, sin(x))")], values)
    assert genome is not None
    candidate = space.candidate(genome)
    assert candidate.choices == {"topology.hidden": [16], "folding.target_cycles": 64}  # the nearest
    assert str(candidate.expressions[0]) == "add(x, sin(x))"
    assert space.genome([parse("cos(x)")], values) is None
    layers = space_of(content, {"activation": {"per_layer": True}})
    assert layers.genome([parse("max(x, sin(x))")], {}) is not None


@pytest.mark.parametrize("strategy", ["surrogate", "nsga2"])
def test_the_first_population_contains_the_other_front(
    strategy: str, tiny_run: Path, content: dict[str, Any]
) -> None:
    said: list[str] = []
    space = space_of(content, {"search": {"strategy": strategy}})
    begin = starts([str(tiny_run)], space, said.append)
    front = load_run(tiny_run).front
    assert f"{len(front)} of {len(front)} network" in said[0] and "folding.target_cycles" in said[0]
    section = space.config.search.model_copy(update={"population": 2 * len(begin)})
    asked = make_strategy(section, space, 2, lambda genome: space.candidate(genome).key, 0.1, begin).ask()
    assert set(begin) <= set(asked)


def test_what_cannot_start(content: dict[str, Any], tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"search.start_from: {tmp_path / 'none'} does not exist"):
        starts([str(tmp_path / "none")], space_of(content, {}), print)
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    run = load_run(folder)
    other = replace(run, front=[replace(net, expression="cos(x)") for net in run.front])
    (folder / "pareto.json").write_text(contents(other)["pareto.json"])
    with pytest.raises(UserError, match="the space contains no activation of"):
        starts([str(folder)], space_of(content, {}), print)
    with pytest.raises(UserError, match="the strategy random does not start from earlier fronts"):
        space_of(content, {"search": {"strategy": "random", "start_from": ["runs/a"]}})


@pytest.mark.parametrize(
    ("expression", "topology", "said"),
    [
        (
            "sin(x)",
            {"name": "mlp", "hidden": [16], "input_bits": 1},
            "The search starts from 1 of 1 network of {}, and takes over their activations, topology.hidden, "
            "folding.target_cycles.",
        ),
        (
            "x",
            {"name": "mlp", "hidden": [5, 5], "input_bits": 1},
            "The search starts from 1 of 1 network of {}, and takes over folding.target_cycles.",
        ),
        (
            "sin(x)",
            {"name": "skipnet", "hidden": [16]},
            "The search starts from 1 of 1 network of {}, and takes over their activations. This space lacks the topology "
            "skipnet, so such networks bring only their activations.",
        ),
        (
            "x",
            {"name": "skipnet", "hidden": [16]},
            "The search takes nothing from 1 of 1 network of {} but the plain sign. This space lacks the topology skipnet.",
        ),
    ],
)
def test_what_a_front_brings_is_said(
    content: dict[str, Any],
    tiny_run: Path,
    tmp_path: Path,
    expression: str,
    topology: dict[str, Any],
    said: str,
) -> None:
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    run = load_run(folder)
    net = replace(run.front[0], expression=expression, topology=topology, choices={})
    (folder / "pareto.json").write_text(contents(replace(run, front=[net]))["pareto.json"])
    notes: list[str] = []
    space = space_of(content, {})
    (genome,) = starts([str(folder)], space, notes.append)
    assert notes == [said.format(folder)]
    chosen = space.candidate(genome).choices
    is_taken = topology == {"name": "mlp", "hidden": [16], "input_bits": 1}
    assert chosen["topology.hidden"] == [16]  # taken over, and the middle alternative
    assert chosen["folding.target_cycles"] == 256 and (is_taken or "topology.hidden" not in notes[0])


def test_a_forecast_checks_the_runs_that_a_search_starts_from(
    content: dict[str, Any], tiny_run: Path, tmp_path: Path
) -> None:
    def config(folder: Path) -> Config:
        change = {"search": {"start_from": [str(folder)]}, "output": str(tmp_path / "runs")}
        return make_config(merged(content, change))

    for start in (forecast, search):
        with pytest.raises(UserError, match=r"search.start_from: .*nope does not exist"):
            start(config(tmp_path / "nope"))
    assert not (tmp_path / "runs").exists()
    assert any(note.startswith("The search starts from") for note in forecast(config(tiny_run)).notes)


def test_folders_are_relative_to_the_working_directory(
    content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    file = tmp_path / "sub" / "tiny.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(merged(content, {"search": {"start_from": ["runs/other"]}})))
    monkeypatch.chdir(tmp_path)
    assert load_config(file).search.start_from == [str(tmp_path / "runs" / "other")]
