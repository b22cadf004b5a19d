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
