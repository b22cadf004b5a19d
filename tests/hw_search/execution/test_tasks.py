"""Tasks as JSON: nothing is lost, and unknown contents are rejected."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.hw_search.conftest import task
from zerocross.hw_search.config import Config
from zerocross.hw_search.execution.tasks import Mixture, Stack, TrainingTask, from_json, to_json
from zerocross.hw_search.space import Space
from zerocross.hw_search.trainings import task as task_of
from zerocross.hw_search.trainings import task_key

MIXTURE = Mixture((((("conv3", "none")),), (("skip",),)), ((0, 0, "conv3", 1.0), (0, 0, "none", 0.0)), 0.25)


@pytest.mark.parametrize(
    "work",
    [
        task(Path("own.py"), "sin(x)", weights="w.safetensors", memory_gb=1.5, final=True, test=True),
        task(Path("own.py"), "x", topology={"name": "cnv", "blocks": [[8, 8], [16]], "padding": None}),
        task(Path("own.py"), "x", mixture=MIXTURE),
        Stack((task(Path("own.py"), "x"), task(Path("own.py"), "sin(x)"))),
    ],
)
def test_a_task_is_the_same_after_its_travel(work: TrainingTask | Stack) -> None:
    text = to_json(work)
    assert "\n" not in text and json.loads(text)
    assert from_json(text) == work == from_json(text.encode())
    assert [part.seed for part in work.trainings] == [0] * len(work.trainings)


def test_a_task_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError):
        from_json('{"expressions": ["x"]}')


def test_whatever_changes_a_result_changes_the_key(config: Config) -> None:
    candidate = Space(config, (1, 8, 8), 10).candidate((1, 3, 0, 1, 0))
    work = task_of(config, candidate, 3)
    key = task_key(candidate, work, "data")
    assert task_key(candidate, replace(work, weights="w", memory_gb=3.0), "data") == key
    other = task_of(config, candidate, 4)
    long = replace(work, settings=replace(work.settings, epochs=99))
    steep = replace(work, settings=replace(work.settings, nu_end=7.0))
    changed = [
        other,
        long,
        steep,
        replace(work, device="cuda"),
        replace(work, final=True),
        replace(work, test=True),
        replace(work, share=0.5),
        replace(work, give_up=0.25),
        replace(work, start="zoo:tfc-digits"),
    ]
    keys = {task_key(candidate, each, "data") for each in changed} | {task_key(candidate, work, "other data")}
    assert len(keys - {key}) == len(changed) + 1
    assert {field.name for field in fields(work)} == {
        *("plugins", "data", "expressions", "topology", "settings", "device", "seed", "final", "test"),
        *("weights", "memory_gb", "mixture", "share", "give_up", "start"),
    }, "a field that decides a result belongs into the key"
