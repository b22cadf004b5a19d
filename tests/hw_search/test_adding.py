"""A user's own trained network in the zoo: added, listed, shown, trained again, and refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.hw_search.test_network_training import config
from zerocross.hw_search.adding import add, estimated, make_entry
from zerocross.hw_search.builds.subject import from_source
from zerocross.hw_search.cli import app
from zerocross.hw_search.config import load_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.network_training import train_network
from zerocross.hw_search.space_config import FoldingConfig
from zerocross.hw_search.zoo.collection import find, user_folder
from zerocross.hw_search.zoo.entry import Measured, save_entry
from zerocross.models.data import load_test
from zerocross.models.training import accuracy


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two trainings of one network."""
    place, found = tmp_path_factory.mktemp("trainings"), []
    for seed in (3, 4):
        one = config(place, f"seed{seed}")
        found.append(
            train_network(one.model_copy(update={"search": one.search.model_copy(update={"seed": seed})}))[0]
        )
    return found


@pytest.fixture
def added(trainings: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    result = CliRunner().invoke(app, ["zoo", "add", *map(str, trainings), "--name", "mine"])
    assert result.exit_code == 0, result.output
    assert str(user_folder() / "mine.npz") in result.output
    return "mine"


def test_an_entry_has_the_best_weights_and_the_figures_of_all_seeds(
    added: str, trainings: list[Path]
) -> None:
    records = [json.loads((folder / "training.json").read_text()) for folder in trainings]
    best = max(records, key=lambda record: record["validation"])
    entry = find(f"zoo:{added}")
    assert entry.trainings[0].seed == best["seed"] == entry.config["search"]["seed"]
    assert sorted(each.test for each in entry.trainings) == sorted(record["test"] for record in records)
    assert accuracy(entry.module(), load_test("digits")) == best["test"]
    assert entry.test_samples == 359 and entry.estimate is not None and entry.estimate.zerocross["ii"] <= 100
    assert estimated(entry) == entry.estimate
    assert entry.versions["torch"] == torch.__version__.split("+")[0] and len(entry.log) == 3


def test_a_file_named_like_a_data_set_is_not_taken_for_it(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).integers(0, 256, (90, 3), np.uint8), np.arange(90) % 3
    np.savez(tmp_path / "digits.npz", x_train=x, y_train=y, x_test=x[:30], y_test=y[:30])
    own = config(tmp_path, "own")
    data = own.data.model_copy(update={"name": str(tmp_path / "digits.npz"), "limit": None})
    folder, _ = train_network(own.model_copy(update={"data": data}))
    entry = make_entry([folder], "own")
    assert entry.data == entry.config["data"]["name"] == "digits.npz"


def test_a_thermometer_is_priced_with_its_own_thresholds(tmp_path: Path) -> None:
    own = config(tmp_path, "own")
    topology = {"name": "mlp", "hidden": [16], "input_bits": {"thermometer": 3}}
    folder, _ = train_network(own.model_copy(update={"topology": topology}))
    entry, other = (
        make_entry([folder], "own"),
        {**topology, "input_bits": {"thermometer": 3, "thresholds": "uniform"}},
    )
    uniform, _ = train_network(own.model_copy(update={"topology": other, "name": "uniform"}))
    assert entry.estimate is not None and (plain := make_entry([uniform], "uniform").estimate) is not None
    assert entry.estimate.zerocross["lut"] > plain.zerocross["lut"]  # constants are cheaper


def test_the_command_of_an_entry_elsewhere_names_its_file(trainings: list[Path], tmp_path: Path) -> None:
    add(trainings, "other", tmp_path)
    shown = CliRunner().invoke(app, ["zoo", "show", "other", "--folder", str(tmp_path)])
    assert f"zerocross train zoo:{tmp_path / 'other.npz'}" in shown.output.replace("\n", "")


def test_the_list_and_the_details_say_so(added: str) -> None:
    listed = CliRunner().invoke(app, ["zoo", "--markdown"])
    assert listed.exit_code == 0 and "| `mine` | add(log(x), sin(x)) |" in listed.output
    shown = CliRunner().invoke(app, ["zoo", "show", "mine"])
    assert "of 359 samples" in shown.output and "zerocross train zoo:mine" in shown.output
    assert "seed 3" in shown.output and "estimate (FINN)" in shown.output


def test_its_configuration_repeats_its_training(added: str, tmp_path: Path) -> None:
    again = load_config("zoo:mine", {"name": "again", "output": str(tmp_path)})
    folder, record = train_network(again)
    assert record.test == find("mine").trainings[0].test
    one, other = (pack_of.weights for pack_of in (find("mine"), make_entry([folder], "again")))
    assert (one.bits == other.bits).all() and (one.numbers == other.numbers).all()


def test_it_starts_another_training(added: str, tmp_path: Path) -> None:
    _, record = train_network(config(tmp_path, "next", epochs=1, start_from="zoo:mine"))
    assert record.start == find("mine").identity


def test_a_damaged_entry_does_not_hide_the_others(added: str) -> None:
    (user_folder() / "bad.npz").write_bytes(b"nothing")
    result = CliRunner().invoke(app, ["zoo", "--markdown"])
    assert "`mine`" in result.output and "bad.npz is not a readable entry" in result.output


def test_a_build_takes_only_what_applies(added: str) -> None:
    assert from_source(Path("zoo:mine")).origin.name == "mine"
    with pytest.raises(UserError, match="omit --epochs and --seed"):
        from_source(Path("zoo:mine"), epochs=3)
    with pytest.raises(UserError, match="--logits works only with a QONNX file"):
        from_source(Path("zoo:mine"), output="logits")
    with pytest.raises(UserError, match="the zoo has no entry 'min': did you mean mine"):
        from_source(Path("zoo:min"))


def test_what_is_no_network_with_other_seeds_is_refused(trainings: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two trainings have the same seed"):
        make_entry([trainings[0], trainings[0]], "mine")
    other, _ = train_network(config(tmp_path, "other", epochs=1))
    with pytest.raises(UserError, match="not the same network with other seeds: settings differs"):
        make_entry([*trainings, other], "mine")
    wide = config(tmp_path, "wide").model_copy(update={"folding": FoldingConfig(target_cycles=200)})
    with pytest.raises(UserError, match=r"have another folding in their config\.yaml"):
        make_entry([trainings[0], train_network(wide)[0]], "mine")
    content = json.loads((other / "training.json").read_text()) | {"expressions": ["x"]}
    (other / "training.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="not the same network with other seeds: expressions differs"):
        make_entry([*trainings, other], "mine", trust=True)
    copied = Path(shutil.copytree(trainings[0], tmp_path / "copied"))
    shutil.copy(trainings[1] / "network.safetensors", copied)
    with pytest.raises(
        UserError,
        match="network.safetensors was changed since .*: train the network again, or take it as it is",
    ):
        make_entry([copied], "mine")
    with pytest.raises(UserError, match=r"its record says .* but the weights have"):
        make_entry([copied], "mine", trust=True)
    (copied / "checkpoint.pt").touch()
    with pytest.raises(UserError, match="is not finished"):
        make_entry([copied], "mine")


def test_an_entry_that_is_added_again_keeps_the_figures_of_its_builds(
    added: str, trainings: list[Path]
) -> None:
    file, build = (
        user_folder() / "mine.npz",
        Measured("icebreaker", "ice40", None, {}, None, None, 64, 80, "digits", 359, 0, 0, {}),
    )
    save_entry(replace(find("mine"), builds=[build]), file)
    assert add(trainings, "mine", replaces=True)[1].builds == find("mine").builds == [build]
    worse = min(find("mine").trainings, key=lambda each: each.validation).seed
    assert add([trainings[worse - 3]], "mine", replaces=True)[1].builds == []  # other weights


def test_a_name_is_used_once(added: str, trainings: list[Path]) -> None:
    for name, message in (
        ("mine", "--replace it"),
        ("a/b", "use letters"),
        (".hidden", "a letter or digit first"),
        ("caf\u00e9", "use letters"),
        ("tfc-digits", "comes with the package"),
    ):
        result = CliRunner().invoke(app, ["zoo", "add", str(trainings[0]), "--name", name])
        assert message in str(result.exception), name
    assert (
        CliRunner().invoke(app, ["zoo", "add", str(trainings[0]), "--name", "mine", "--replace"]).exit_code
        == 0
    )
