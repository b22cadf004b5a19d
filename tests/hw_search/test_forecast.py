"""What a search would do, before it starts."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.hw_search.conftest import merged
from zerocross.hw_search.cli import app
from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.forecast import forecast


def test_numbers_of_a_small_search(config: Config, tmp_path: Path) -> None:
    found = forecast(config)
    assert found.candidates == 4 + 8
    assert found.space == 4 * 4 * 2 * 2 * 2 and found.drawn == found.space
    # add(zero, zero), max(zero, zero), ... : the exact share is that of the space.
    assert 0 < found.dead < 1 and found.infeasible == 0
    assert 0 < found.trainings <= found.candidates + 2  # two architectures have a plain sign each
    assert found.seconds > 0 and found.final_seconds > 0 and found.memory_gb > 0
    assert list(found.bought) == [10, 60, 480]
    assert found.bought[10] <= found.bought[60] <= found.bought[480] <= found.space
    assert not (tmp_path / "runs").exists()  # nothing is written


def test_a_budget_is_answered_by_itself(content: dict[str, Any], tmp_path: Path) -> None:
    search = {"population": 4, "budget_minutes": 30, "workers": 2}
    found = forecast(make_config({**content, "output": str(tmp_path), "search": search}))
    assert list(found.bought) == [30] and found.candidates == found.bought[30] > 4
    assert "30 minutes:" in str(found) and f"Search (surrogate): {found.candidates} candidates" in str(found)


@pytest.mark.parametrize(("minutes", "candidates"), [(0.01, 4), (1000, 4 + 8)])
def test_the_smaller_of_generations_and_budget_counts(
    content: dict[str, Any], tmp_path: Path, minutes: float, candidates: int
) -> None:
    search = {"population": 4, "generations": 2, "budget_minutes": minutes, "workers": 2}
    found = forecast(make_config({**content, "output": str(tmp_path), "search": search}))
    assert found.candidates == candidates
    short = [text for text in found.notes if "they are shortened" in text]
    assert bool(short) == (minutes < 1), found.notes


def test_rungs_train_fewer_in_full(content: dict[str, Any], tmp_path: Path) -> None:
    base = merged(content, {"output": str(tmp_path), "training": {"epochs": 20}, "search": {"audit": 0}})
    plain = forecast(make_config(base))
    rungs = forecast(make_config(merged(base, {"search": {"rungs": [{"epochs": 0.1}]}})))
    assert rungs.trainings > plain.trainings  # but short ones


def test_what_does_not_fit_is_named(content: dict[str, Any], tmp_path: Path) -> None:
    change = {
        "output": str(tmp_path),
        "device": {"part": "ice40hx1k"},
        "topology": {"hidden": {"choose": [[8], [512, 512]]}},
    }
    found = forecast(make_config(merged(content, change)))
    assert 0 < found.infeasible < 1 and "do not fit" in found.reason


def test_stacks_are_timed_within_a_topology(content: dict[str, Any], tmp_path: Path) -> None:
    change = {
        "output": str(tmp_path),
        "activation": {"encoding": "list", "expressions": ["x", "sin(x)"], "per_layer": True},
        "topology": {"hidden": {"choose": [[8], [8, 8]]}},
        "search": {"stack": 2},
    }
    assert forecast(make_config(merged(content, change))).stack == 2


def test_nothing_to_train_is_an_error(content: dict[str, Any], tmp_path: Path) -> None:
    activation = {"encoding": "list", "expressions": ["zero"], "unary": None, "binary": None}
    with pytest.raises(UserError, match="none of 4 drawn candidates can train"):
        forecast(make_config(merged(content, {"activation": activation, "output": str(tmp_path)})))


def test_the_command_says_it_and_starts_nothing(content: dict[str, Any], tmp_path: Path) -> None:
    import yaml

    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump({**content, "output": str(tmp_path / "runs")}))
    done = CliRunner().invoke(app, ["search", str(file), "--dry-run"])
    assert done.exit_code == 0, done.output
    for text in ("a space of 128 candidates", "Search (surrogate): ", "Memory: 2 workers", "60 minutes:"):
        assert text in done.output
    assert not (tmp_path / "runs").exists()
