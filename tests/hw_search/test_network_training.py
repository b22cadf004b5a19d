"""`zerocross train`: one network, its record, and its resumption."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from typer.testing import CliRunner

from zerocross.hw_search import network_training
from zerocross.hw_search.cli import app
from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.networks import build_topology
from zerocross.hw_search.pricing_config import DeviceConfig
from zerocross.hw_search.space import Space
from zerocross.models import fitting
from zerocross.models.data import load_test
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.models.training import accuracy


def config(tmp_path: Path, name: str = "one", **training: object) -> Config:
    return make_config(
        {
            "name": name,
            "output": str(tmp_path),
            "data": {"name": "digits", "limit": 500},
            "topology": {"name": "mlp", "hidden": [16]},
            "activation": {"encoding": "list", "expressions": ["log_sine"]},
            "folding": {"target_cycles": 100},
            "training": {"epochs": 3, "device": "cpu", **training},
        }
    )


def test_the_record_and_the_weights_agree(tmp_path: Path) -> None:
    folder, record = network_training.train_network(config(tmp_path))
    written = json.loads((folder / "training.json").read_text())
    assert written["settings"]["epochs"] == len(written["log"]) == 3
    model = build_topology(written["topology"], tuple(written["input_shape"]), written["classes"])
    install(model, [parse(text) for text in written["expressions"]])
    model.load_state_dict(load_file(folder / "network.safetensors"))
    assert accuracy(model, load_test("digits")) == written["test"] == record.test
    assert not (folder / "checkpoint.pt").exists()


def test_a_network_of_tables_needs_no_activation(tmp_path: Path) -> None:
    topology = {"name": "hardwired", "widths": [40], "inputs": 4, "neurons": "tables", "input_bits": 1}
    settings = {**config(tmp_path).model_dump(mode="json"), "topology": topology}
    del settings["activation"]
    _, record = network_training.train_network(make_config(settings))
    assert record.validation is not None and len(record.log) == 3


def test_a_finished_training_is_not_overwritten_by_another(tmp_path: Path) -> None:
    folder, _ = network_training.train_network(config(tmp_path, epochs=1))
    before = (folder / "network.safetensors").read_bytes()
    with pytest.raises(
        UserError, match=r"one holds a finished training .*\(settings\): give this one another --name"
    ):
        network_training.train_network(config(tmp_path, epochs=2))
    assert yaml.safe_load((folder / "config.yaml").read_text())["training"]["epochs"] == 1
    assert (folder / "network.safetensors").read_bytes() == before


def test_a_finished_training_is_kept_and_a_damaged_one_repaired(tmp_path: Path) -> None:
    def report(record: object, epoch: int, loss: float) -> None:
        raise KeyboardInterrupt

    folder, record = network_training.train_network(config(tmp_path))
    before = (folder / "network.safetensors").read_bytes()
    assert network_training.train_network(config(tmp_path), report=report) == (folder, record)
    other = config(tmp_path).model_copy(update={"device": DeviceConfig(part="ice40hx8k")})
    assert network_training.train_network(other, report=report) == (folder, record)  # it decides no weights
    assert yaml.safe_load((folder / "config.yaml").read_text())["device"]["part"] == "ice40hx8k"
    (folder / "network.safetensors").write_bytes(before[:-1])
    notes = list[str]()
    assert network_training.train_network(config(tmp_path), note=notes.append)[1].test == record.test
    assert (folder / "network.safetensors").read_bytes() == before
    assert "It starts again" in notes[0]
    written = (folder / "training.json").read_text()
    (folder / "training.json").write_text(written.replace('"seconds"', ' "seconds"', 1))
    with pytest.raises(UserError, match=r"training\.json was changed since .*; delete .* to train again"):
        network_training.train_network(config(tmp_path), report=report)


def test_a_mistake_in_the_test_set_is_found_before_the_training(tmp_path: Path) -> None:
    x, y = np.zeros((40, 8, 8), np.uint8), np.arange(40) % 2
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x[:, 1:], y_test=y)
    content = config(tmp_path).model_dump() | {"data": {"name": str(tmp_path / "mine.npz")}}
    with pytest.raises(UserError, match="x_test holds"):
        network_training.train_network(make_config(content))
    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize("minutes", [math.nan, math.inf, 0.0])
def test_a_time_is_a_positive_number(minutes: float, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="minutes: give a positive number"):
        network_training.train_network(config(tmp_path), minutes)


def test_a_machine_without_memory_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(network_training, "train", full)
    with pytest.raises(UserError, match="the training failed: out of memory: DefaultCPUAllocator"):
        network_training.train_network(config(tmp_path))


def test_an_interrupted_training_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_SAVE_SECONDS", 0.0)
    straight, _ = network_training.train_network(config(tmp_path, "straight", average=0.5))

    def stop(record: object, epoch: int, loss: float) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        network_training.train_network(config(tmp_path, average=0.5), report=stop)
    folder, record = network_training.train_network(config(tmp_path, average=0.5))
    assert [entry["epoch"] for entry in record.log] == [1, 2, 3]
    seconds = [float(entry["seconds"] or 0) for entry in record.log]
    assert seconds == sorted(seconds) and record.seconds == pytest.approx(seconds[-1], abs=0.01)
    one, other = (load_file(place / "network.safetensors") for place in (folder, straight))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_command_keeps_to_its_minutes(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "name: a\ndata: {limit: 400}\ntopology: {name: mlp, hidden: [8]}\nfolding: {target_cycles: 100}\n"
        "activation: {encoding: list, expressions: [x]}\ntraining: {device: cpu}\n"
    )
    result = CliRunner().invoke(app, ["train", str(path), "--minutes", "0.05", "--output", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "test " in result.output
    assert json.loads((tmp_path / "a" / "training.json").read_text())["minutes"] == 0.05


@pytest.mark.parametrize(
    "change, message",
    [
        ({"topology": {"name": "mlp", "hidden": [{"choose": [8, 16]}]}}, "leaves topology.hidden.0 open"),
        ({"activation": {"encoding": "pair"}}, "names no single activation"),
    ],
)
def test_a_choice_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    content = config(tmp_path).model_dump() | change
    with pytest.raises(UserError, match=message):
        network_training.train_network(make_config(content))


def test_a_candidate_keeps_its_id_while_new_settings_say_what_was_done_before(tmp_path: Path) -> None:
    plain, other = (
        Space(config(tmp_path, **training), (1, 8, 8), 10).candidate((0,))
        for training in ({"surrogate": "window"}, {"surrogate": "polynomial"})
    )
    assert {**plain.training, **{"warmup": 0.0}} == plain.training
    assert plain.id != other.id
    assert not any("surrogate" in str(part) for part in plain._trained())
