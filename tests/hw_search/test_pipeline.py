"""Whole searches on the digits, with networks too small to be accurate."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.hw_search.conftest import CONTENT, InProcess, merged
from zerocross import rebuild, search
from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.watcher import Silent
from zerocross.models.data import load, load_test
from zerocross.models.training import accuracy
from zerocross.reports.records import Evaluation
from zerocross.reports.storage import UnreadableRun, load_run


def front_of(folder: Path) -> Any:
    run = json.loads((folder / "pareto.json").read_text())
    lines = re.sub(r'"seconds": [0-9.]+', "", (folder / "evaluations.jsonl").read_text())  # measured
    return run["front"], run["references"], run["verdict"], lines


def comparable(folder: Path) -> Any:
    """Return the front without the run's path, which every network's `build` contains."""
    front, references, *rest = front_of(folder)
    return [[{**finalist, "build": ""} for finalist in group] for group in (front, references)], rest


class Notes(Silent):
    def __init__(self) -> None:
        self.seen: list[Evaluation] = []
        self.last: tuple[int, int] = (-1, -1)
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)

    def generation(self, evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> None:
        self.seen = list(evaluations)

    def finals(self, done: int, total: int) -> None:
        self.last = (done, total)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Any, Notes]:
    config = make_config({**CONTENT, "output": str(tmp_path_factory.mktemp("undisturbed"))})
    notes = Notes()
    return config, search(config, notes), notes


def test_a_search_leaves_everything(undisturbed: tuple[Config, Any, Notes]) -> None:
    config, result, notes = undisturbed
    names = {path.name for path in result.folder.iterdir()}
    wanted = {
        "config.yaml",
        "store.sqlite",
        "pareto.json",
        "pareto.csv",
        "evaluations.jsonl",
        "report.html",
        "front",
    }
    assert wanted <= names
    assert make_config(yaml.safe_load((result.folder / "config.yaml").read_text())) == config
    assert result.run.finished and result.front and result.run.references
    assert notes.last[0] == notes.last[1] > 0
    assert [evaluation.number for evaluation in notes.seen] == list(range(len(notes.seen)))
    assert load_run(result.folder) == result.run


def test_the_plain_sign_stands_beside_every_choice(undisturbed: tuple[Config, Any, Notes]) -> None:
    _, result, _ = undisturbed
    signs = {json.dumps(e.choices) for e in result.run.evaluations if e.reference}
    assert {json.dumps(e.choices) for e in result.run.evaluations} == signs
    references = {json.dumps(finalist.choices) for finalist in result.run.references}
    assert {json.dumps(finalist.choices) for finalist in result.front} <= references


def test_the_front_is_what_no_other_dominates(undisturbed: tuple[Config, Any, Notes]) -> None:
    _, result, _ = undisturbed
    good = {e.id: [e.metrics["error"], e.metrics["lut"]] for e in result.run.evaluations if e.status == "ok"}
    points = np.array(list(good.values()))
    best = {
        tuple(point)
        for point in points
        if not ((points <= point).all(axis=1) & (points < point).any(axis=1)).any()
    }
    assert {tuple(good[finalist.id]) for finalist in result.front} == best


def test_a_network_is_rebuilt_from_what_is_left(undisturbed: tuple[Config, Any, Notes]) -> None:
    config, result, _ = undisturbed
    data, test = load(**config.data.model_dump()), load_test("digits")
    assert result.front
    for finalist in result.front:
        model = rebuild(result.folder, finalist.id)
        assert accuracy(model, data.validation) == pytest.approx(finalist.validation[0])
        assert accuracy(model, test) == pytest.approx(finalist.test[0])
        assert finalist.agreement["differences"] == 0 < finalist.agreement["bits"]


def test_again_nothing_is_trained_and_nothing_changes(undisturbed: tuple[Config, Any, Notes]) -> None:
    config, result, _ = undisturbed
    before = front_of(result.folder)
    again = search(config)
    assert again.trained == 0 and again.replayed > 0
    assert front_of(result.folder) == before


def test_damaged_weights_are_trained_again(undisturbed: tuple[Config, Any, Notes]) -> None:
    config, result, _ = undisturbed
    weights = result.folder / result.front[0].weights
    before = weights.read_bytes()
    weights.write_bytes(before[:-5] + bytes([before[-5] ^ 1]) + before[-4:])
    notes = Notes()
    assert search(config, notes, InProcess()).trained > 0
    assert weights.read_bytes() == before
    assert [note for note in notes.said if f"{weights.name} was changed since" in note]


def test_longer_goes_on_from_what_there_is(undisturbed: tuple[Config, Any, Notes]) -> None:
    config, result, _ = undisturbed
    longer = config.model_copy(update={"search": config.search.model_copy(update={"generations": 3})})
    more = search(longer, executor=InProcess())
    assert more.replayed > 0
    count = len(result.run.evaluations)
    assert more.run.evaluations[:count] == result.run.evaluations
    search(config)  # restores the folder for the other tests


def test_the_number_of_workers_changes_nothing(
    undisturbed: tuple[Config, Any, Notes], tmp_path: Path
) -> None:
    """Two workers, whose results arrive in any order, against one training after another."""
    alone = search(make_config(merged(CONTENT, {"output": str(tmp_path)})), executor=InProcess())
    assert front_of(alone.folder)[3] == front_of(undisturbed[1].folder)[3]
    assert [finalist.test for finalist in alone.front] == [finalist.test for finalist in undisturbed[1].front]


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_front(
    undisturbed: tuple[Config, Any, Notes], tmp_path: Path
) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump({**CONTENT, "output": str(tmp_path / "runs")}))
    command = [sys.executable, "-c", "from zerocross.hw_search.cli import main; main()", "search", str(file)]
    store = tmp_path / "runs" / "tiny" / "store.sqlite"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if store.exists() and _rows(store) >= 3:
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.02)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert comparable(store.parent) == comparable(undisturbed[1].folder)


def _rows(store: Path) -> int:
    import sqlite3

    try:
        base = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
        count = base.execute("SELECT COUNT(*) FROM evaluations").fetchone()[0]
        base.close()
    except sqlite3.OperationalError:
        return 0
    return int(count)


def test_interrupted_it_keeps_what_there_is_and_says_how_to_go_on(tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    long = {
        "output": str(tmp_path / "runs"),
        "topology": {"hidden": [8]},
        "folding": {"target_cycles": 64},
        "training": {"epochs": 15},
        "search": {"workers": 1},
        "final": {"seeds": 40},
    }
    file.write_text(yaml.safe_dump(merged(CONTENT, long)))
    command = [sys.executable, "-c", "from zerocross.hw_search.cli import main; main()", "search", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    store = tmp_path / "runs" / "tiny" / "store.sqlite"
    # The first generation has up to 4 candidates and a plain sign.
    while not (store.exists() and _rows(store) > 5):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "run the same command to resume" in errors and "Traceback" not in errors
    assert not load_run(store.parent).finished
    assert (store.parent / "report.html").exists()


@pytest.mark.slow
def test_two_spellings_of_one_function_are_rebuilt_as_they_were_trained(tmp_path: Path) -> None:
    """The first of several equal spellings is trained, and the weights belong to it."""
    texts = ["add(scale(x), shift(x))", "add(shift(x), scale(x))"]
    activation = {"encoding": "list", "expressions": texts, "unary": None, "binary": None}
    change = {"output": str(tmp_path), "activation": activation, "search": {"strategy": "random", "seed": 2}}
    data = load(**make_config(CONTENT).data.model_dump())
    for order in (texts, texts[::-1]):
        result = search(make_config(merged(CONTENT, merged(change, {"activation": {"expressions": order}}))))
        assert result.front
        for finalist in [*result.front, *result.run.references]:
            model = rebuild(result.folder, finalist.id)
            assert accuracy(model, data.validation) == pytest.approx(finalist.validation[0])


@pytest.mark.slow
def test_another_test_set_is_another_result(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    x = (100 * y[:, None] + rng.integers(0, 100, (200, 6))).astype(np.uint8)
    arrays = {"x_train": x[:100], "y_train": y[:100], "x_test": x[100:], "y_test": y[100:]}
    np.savez(tmp_path / "d.npz", **arrays)
    data = {"name": str(tmp_path / "d.npz"), "limit": None}
    config = make_config(merged(CONTENT, {"data": data, "training": {"epochs": 10}, "output": str(tmp_path)}))
    before = search(config).front[0]
    np.savez(tmp_path / "d.npz", **arrays | {"y_test": 1 - y[100:]})
    after = search(config).front[0]
    assert after.test[0] == pytest.approx(1 - before.test[0]) and after.validation == before.validation


def test_nothing_that_works_is_said_and_is_no_success(tmp_path: Path) -> None:
    activation = {"encoding": "list", "expressions": ["zero"], "unary": None, "binary": None}
    change = {
        "activation": activation,
        "training": {"learning_rate": 1e30, "epochs": 1},
        "output": str(tmp_path),
    }
    with pytest.raises(UserError, match="no candidate succeeded"):
        config = make_config(merged(CONTENT, {**change, "search": {"strategy": "exhaustive"}}))
        search(config, executor=InProcess())


def test_a_space_without_a_live_activation_is_said(tmp_path: Path) -> None:
    activation = {"encoding": "tree", "depth": 3, "unary": ["abs", "square", "sigmoid"], "binary": ["max"]}
    config = make_config(merged(CONTENT, {"activation": activation, "output": str(tmp_path)}))
    with pytest.raises(
        UserError, match="found no candidate: no activation that it drew ever changes its sign"
    ):
        search(config, executor=InProcess())
    assert not (tmp_path / "tiny" / "pareto.json").exists()


@pytest.mark.parametrize("strategy", ["nsga2", "gaaf"])
def test_a_search_ends_when_its_whole_space_is_evaluated(tmp_path: Path, strategy: str) -> None:
    activation = {"encoding": "list", "expressions": ["x", "sin(x)", "abs(x)"], "unary": None, "binary": None}
    change = {
        "activation": activation,
        "topology": {"hidden": [16]},
        "training": {"epochs": 4},
        "search": {"strategy": strategy, "population": 2, "generations": 200},
        "final": {"seeds": 1},
        "output": str(tmp_path),
    }
    run = search(make_config(merged(CONTENT, change)), executor=InProcess()).run
    assert run.exhausted and max(entry.generation for entry in run.evaluations) < 100
    tried = {(entry.expression, str(entry.choices)) for entry in run.evaluations}
    assert len(tried) == 6 and "abs(x)" in {expression for expression, _ in tried}


def test_a_search_does_not_start_from_itself(tmp_path: Path) -> None:
    change = {"output": str(tmp_path), "search": {"start_from": [str(tmp_path / "tiny")]}}
    with pytest.raises(UserError, match="is the folder of this search itself"):
        search(make_config(merged(CONTENT, change)))


@pytest.mark.slow
def test_a_folder_named_models_where_one_happens_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    change = {
        "training": {"epochs": 1},
        "search": {"generations": 1, "strategy": "gaaf"},
        "final": {"seeds": 1},
    }
    result = search(make_config(merged(CONTENT, {**change, "output": str(tmp_path)})))
    assert any(not evaluation.reference and evaluation.metrics for evaluation in result.run.evaluations)


def test_a_run_needs_its_own_weights_back(undisturbed: tuple[Config, Any, Notes]) -> None:
    config, result, _ = undisturbed
    lost = result.folder / result.front[0].weights
    before = lost.read_bytes()
    lost.unlink()
    search(config, executor=InProcess())
    assert lost.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": {"name": "digit"}}, "data: unknown data set 'digit'"),
        ({"plugins": ["no_such_module_here"]}, "plugins: no_such_module_here cannot be imported"),
    ],
)
def test_what_cannot_start(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        search(make_config(merged(CONTENT, {**change, "output": str(tmp_path)})))


def test_a_test_set_that_cannot_be_read_is_found_before_the_search(tmp_path: Path) -> None:
    x, y = np.zeros((40, 6), np.uint8), np.arange(40) % 2
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y + 1)
    with pytest.raises(UserError, match="y_test holds the label 2"):
        search(
            make_config(merged(CONTENT, {"data": {"name": str(tmp_path / "d.npz")}, "output": str(tmp_path)}))
        )


def test_a_users_data_topology_and_operation(tmp_path: Path) -> None:
    """Three clouds of points, a user's network and a user's activation, from files beside the configuration."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 400)
    x = (rng.normal(0, 1, (400, 6)) + 3 * np.eye(3).repeat(2, 1)[y]).astype(np.float32)
    np.savez(tmp_path / "clouds.npz", x_train=x[:300], y_train=y[:300], x_test=x[300:], y_test=y[300:])
    (tmp_path / "own.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "from zerocross.models.layers import ActivationSlot, BinaryLinear, InputQuant, LogitScale\n"
        "from zerocross.models.operations import register_operation\n"
        "from zerocross.models.topologies import register_topology\n"
        "register_operation('wave', lambda x, s: torch.sin(s * x), 1, (2.0,))\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, features, width, classes):\n"
        "        super().__init__()\n"
        "        self.quant = InputQuant(8)\n"
        "        self.hidden = BinaryLinear(features, width)\n"
        "        self.sign = ActivationSlot(width)\n"
        "        self.out = BinaryLinear(width, classes)\n"
        "        self.scale = LogitScale(width)\n"
        "    def forward(self, x):\n"
        "        x = torch.flatten(self.quant(x), 1)\n"
        "        return self.scale(self.out(self.sign(self.hidden(x))))\n"
        "@register_topology('single')\n"
        "def single(input_shape: tuple[int, ...], classes: int, width: int = 8) -> nn.Module:\n"
        "    return Net(input_shape[0], width, classes)\n"
    )
    change = {
        "plugins": [str(tmp_path / "own.py")],
        "data": {"name": str(tmp_path / "clouds.npz"), "limit": None},
        "activation": {"encoding": "list", "expressions": ["sign", "wave(x)"], "unary": None, "binary": None},
        "training": {"epochs": 30},
        "search": {"workers": 1},
        "output": str(tmp_path / "runs"),
    }
    content = merged(CONTENT, change) | {"topology": {"name": "single", "width": {"choose": [8, 12]}}}
    result = search(make_config(content))
    assert {e.expression for e in result.run.evaluations} >= {"x", "wave(x)"}
    assert max(np.mean(finalist.test) for finalist in result.front) > 0.6


def test_a_full_disk_at_the_end_leaves_the_old_files(
    undisturbed: tuple[Config, Any, Notes], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, result, _ = undisturbed
    before = front_of(result.folder)

    def full(self: Path, *arguments: Any, **keywords: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match="No space left on device"):
        search(config)
    monkeypatch.undo()
    assert front_of(result.folder) == before
    assert not list(result.folder.glob(".*tmp"))


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRun, match=r"it has no pareto.json"):
        load_run(tmp_path)
    for text, message in (
        ("{", "cannot be read"),
        ('{"layout": 3}', "cannot be read"),
        ("{}", "another version"),
        ('{"layout": 2}', r"another version of zerocross \(layout 2, this one reads 3\)"),
    ):
        (tmp_path / "pareto.json").write_text(text)
        with pytest.raises(UnreadableRun, match=message):
            load_run(tmp_path)
