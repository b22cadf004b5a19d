"""Networks of a front that are trained again."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.hw_search.conftest import InProcess
from zerocross import from_run, rebuild
from zerocross.hw_search import pipeline
from zerocross.hw_search.cli import app
from zerocross.hw_search.config import make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.retraining import retrain
from zerocross.models.data import load
from zerocross.models.training import accuracy
from zerocross.reports.storage import REPORT, load_run


@pytest.fixture
def folder(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "tiny_run"))


def test_a_network_trains_longer_with_fresh_seeds_and_builds_take_the_best(folder: Path) -> None:
    before = load_run(folder)
    rate = {"learning_rate": 0.01}
    (net,) = retrain(folder, ["best"], epochs=25, seeds=2, training=rate, executor=InProcess())
    old = next(other for other in before.front if other.id == net.id)
    assert not set(net.seeds) & {0, *old.seeds} and len(net.seeds) == 2
    assert net.training["epochs"] == 25 and net.training["learning_rate"] == 0.01
    assert net.validation[0] == max(net.validation) > old.validation[0]  # one epoch is not enough
    after = load_run(folder)
    assert after.front == before.front and after.retrained == [net]

    data = load(**make_config(after.config).data.model_dump())
    assert accuracy(rebuild(folder, net.id), data.validation) == pytest.approx(net.validation[0])
    subject = from_run(folder, net.id)
    assert subject.network == net and subject.origin.estimate is not None
    assert subject.origin.estimate.metrics == net.metrics
    assert from_run(folder, net.id, epochs=1).network == old
    assert f"{net.id} trained again (25 epochs, learning_rate 0.01)" in (folder / REPORT).read_text()

    (more,) = retrain(folder, [net.id], epochs=25, seeds=3, training=rate, executor=InProcess())
    assert set(net.seeds) < set(more.seeds) and load_run(folder).retrained == [more]


def test_the_command_prints_both_results(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "_executor", lambda *_: InProcess())
    name = load_run(folder).front[0].id
    done = CliRunner().invoke(app, ["retrain", str(folder), name, "--seeds", "1", "--epochs", "3"])
    assert done.exit_code == 0, done.output
    assert f"{name} trained again (3 epochs)" in done.output and "at the search's end" in done.output
    again = CliRunner().invoke(app, ["report", str(folder)])
    assert f"{name} trained again (3 epochs)" in again.output


def test_a_damaged_network_of_the_front_does_not_become_a_sound_one(folder: Path) -> None:
    front = load_run(folder).front
    weights = folder / front[-1].weights
    weights.write_bytes(weights.read_bytes() + b"0")
    with pytest.raises(UserError, match=r"safetensors was changed since .*: run the search again"):
        retrain(folder, [front[0].id], epochs=1, seeds=1, executor=InProcess())


def test_mistakes_name_the_field(folder: Path) -> None:
    with pytest.raises(UserError, match="has no network 'knea': did you mean knee"):
        retrain(folder, ["knea"])
    with pytest.raises(UserError, match=r"unknown field 'training.epoch'"):
        retrain(folder, ["knee"], training={"epoch": 3})
    with pytest.raises(UserError, match=r"training.epochs: give one value"):
        retrain(folder, ["knee"], training={"epochs": {"choose": [1, 2]}})
    done = CliRunner().invoke(app, ["retrain", str(folder), "knee", "--set", "search.seeds=2"])
    assert "a retraining changes only fields of training" in str(done.exception)
