import json
from dataclasses import replace

import pytest

from zerocross.reports.storage import UnreadableRun, contents, load_run


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"output": ["runs"]}, r"config\.output: .*string"),
        ({"search": {"seeds": "2"}}, r"config\.search\.seeds: .*integer"),
        ({"data": 3}, r"config\.data: "),
        ({"plugins": "a.py"}, r"config\.plugins: .*list"),
    ],
)
def test_a_run_whose_configuration_is_damaged_is_refused(make_run, tmp_path, config, message):
    run = make_run(30)
    for folder, own in (("whole", run), ("damaged", replace(run, config={**run.config, **config}))):
        (tmp_path / folder).mkdir()
        for name, text in contents(own).items():
            (tmp_path / folder / name).write_text(text)
    assert load_run(tmp_path / "whole").config == run.config
    with pytest.raises(UnreadableRun, match=message):
        load_run(tmp_path / "damaged")


def test_a_training_with_looks_without_accuracies_is_refused(make_run, tmp_path):
    for name, text in contents(make_run(30)).items():
        (tmp_path / name).write_text(text)
    lines = (tmp_path / "evaluations.jsonl").read_text().splitlines()
    training = {"seed": 0, "seconds": 1.0, "accuracy": 0.5, "looks": [1, 2], "validation": [0.5]}
    lines[0] = json.dumps({**json.loads(lines[0]), "trainings": [training]})
    (tmp_path / "evaluations.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(UnreadableRun, match="looks, but"):
        load_run(tmp_path)
