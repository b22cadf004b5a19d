"""Tables: agreement with separate trainings, their files, and searches on them."""

import dataclasses
import gzip
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.hw_search.conftest import CONTENT, InProcess, merged
from zerocross import search
from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.evaluation import evaluate
from zerocross.hw_search.space import Space
from zerocross.hw_search.strategies.making import make_strategy
from zerocross.hw_search.strategies.strategy import Score
from zerocross.hw_search.strategies.surrogate import shape
from zerocross.hw_search.tables.comparison import (
    Comparison,
    _Replay,
    compare,
    comparison_table,
    table_summary,
)
from zerocross.hw_search.tables.table import Row, Table
from zerocross.hw_search.tables.tabulate import tabulate
from zerocross.hw_search.trainings import task
from zerocross.models.canonical import canonical_key, constant_bit
from zerocross.models.encodings import Encoding
from zerocross.models.expressions import X, parse
from zerocross.reports.figure_comparison import comparison_figure
from zerocross.reports.pareto import nondominated


def configuration(output: Path, **change: Any) -> Config:
    own = {
        "name": "table",
        "output": str(output),
        "data": {"limit": 1200},
        "topology": {"hidden": [16]},
        "folding": {"target_cycles": 64},
        "training": {"epochs": 1},
        "search": {"seeds": 2},
    }
    return make_config(merged(merged(CONTENT, own), change))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path, list[tuple[str, int, int]]]:
    config = configuration(tmp_path_factory.mktemp("tables"))
    steps: list[tuple[str, int, int]] = []
    return config, tabulate(config, lambda *what: steps.append(what), InProcess()), steps


def test_every_function_stands_once(made: tuple[Config, Path, Any]) -> None:
    config, path, steps = made
    table = Table.load(path)
    encoding = Encoding("pair", ("x", "sin", "zero", "scale"), ("add", "max"))
    genomes = list(itertools.product(*map(range, encoding.sizes())))
    assert sorted(table.places) == sorted(genomes)
    for row in table.rows:
        keys = {canonical_key(encoding.decode(genome)) for genome in row.genomes}
        assert keys == {canonical_key(parse(row.expression))}
        assert (row.status == "dead") == (constant_bit(parse(row.expression)) is not None)
    assert len({canonical_key(parse(row.expression)) for row in table.rows}) == len(table.rows)
    assert table.about["config"] == config.model_dump(exclude={"output"})
    assert all(row.early is None for row in table.rows)
    assert table.plain is not None and table.plain.expression == "x"
    assert steps[-1][0] == "training" and steps[-1][1] == steps[-1][2]
    assert "distinct functions" in table_summary(table)


def test_what_stands_there_is_what_training_says(made: tuple[Config, Path, Any]) -> None:
    config, path, _ = made
    space = Space(config, (1, 8, 8), 10)
    rows = {row.expression: row for row in Table.load(path).rows}
    for text in ("x", "add(sin(x), scale(x))"):
        row = rows[text]
        candidate = space.candidate(row.genomes[0])
        for place, seed in enumerate((0, 1)):
            alone = evaluate(task(config, candidate, seed, test=True))
            # Trained in a stack: float rounding may flip a sign, and with it one sample of 40.
            assert row.validation[place] == pytest.approx(alone["accuracy"], abs=0.06)
            assert row.test[place] == pytest.approx(alone["test"], abs=0.06)
        error = 1 - np.mean(row.validation) if row.status == "ok" else np.nan
        assert row.objective("error") == pytest.approx(error, nan_ok=True)


@pytest.mark.slow
def test_a_table_goes_on_where_it_stopped(made: tuple[Config, Path, Any], tmp_path: Path) -> None:
    config, path, _ = made
    again = config.model_copy(update={"output": str(tmp_path)})

    class Stopped(Exception):
        pass

    def stop(what: str, done: int, total: int) -> None:
        if what == "training" and done > total // 2:
            raise Stopped

    with pytest.raises(Stopped):
        tabulate(again, stop, InProcess())
    assert not (tmp_path / "table" / "table.csv.gz").exists()
    assert Table.load(tabulate(again, lambda *what: None, InProcess())).rows == Table.load(path).rows


def test_a_rung_stands_beside(made: tuple[Config, Path, Any], tmp_path: Path) -> None:
    config = configuration(tmp_path, training={"epochs": 4}, search={"rungs": [{"epochs": 0.25}], "seeds": 1})
    table = Table.load(tabulate(config, lambda *what: None, InProcess()))
    assert all((row.early is None) == (row.status == "dead") for row in table.rows)
    # One epoch, as in the other table. A different learning-rate schedule would change the results.
    known = {row.expression: row.validation[0] for row in Table.load(made[1]).good}
    both = [(row.early, known[row.expression]) for row in table.rows if row.expression in known]
    assert np.mean([abs(early - alone) for early, alone in both]) < 0.02
    path = tmp_path / "again.csv.gz"
    table.save(path)
    assert Table.load(path).rows == table.rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"topology": {"hidden": {"choose": [[8], [16]]}}},
            r"topology\.hidden: a table allows only one network",
        ),
        (
            {"activation": {"encoding": "nested", "unary": None, "binary": None}},
            "28,344,976 genomes are too many",
        ),
    ],
)
def test_what_cannot_be_a_table(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tabulate(configuration(tmp_path, **change), lambda *what: None)
    assert not list(tmp_path.iterdir())


def synthetic(config: Config) -> Table:
    """A table in which more linear activations are more accurate, and more crossings and parameters cost more."""
    space = Space(config, (1, 8, 8), 10)
    rows: dict[str, Row] = {}
    for genome in space.genomes():
        expression = space.candidate(genome).expressions[0]
        key = canonical_key(expression)
        if key in rows:
            rows[key] = dataclasses.replace(rows[key], genomes=(*rows[key].genomes, genome))
            continue
        if constant_bit(expression) is not None:
            rows[key] = Row(str(expression), (genome,), "dead", "always +1")
            continue
        values = shape(expression)[:41]
        error = float(np.abs(values - np.linspace(-3, 3, 41)).mean()) / 8
        numbers = {
            "channel_crossings": 1.0,
            "most_crossings": 1.0,
            "lut": 100.0 + 20 * float(shape(expression)[82]) + 7 * float(shape(expression)[83]),
            **dict.fromkeys(("bram", "dsp", "latency", "ii", "finn_lut"), 1.0),
        }
        scores = (1 - error,) * 3
        text = "x" if key == canonical_key(X) else str(expression)
        early = 0.9 - error + 0.02 * float(np.sin(40 * error))
        rows[key] = Row(text, (genome,), "ok", "", scores, scores, numbers, early)
    about = {"config": config.model_dump(), "input_shape": [1, 8, 8], "classes": 10}
    return Table(about, list(rows.values()))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Table:
    unary = ["x", "sin", "cos", "zero", "scale", "abs", "neg", "cube", "atan"]
    activation = {"encoding": "pair", "unary": unary, "binary": ["add", "max", "mul", "sub"]}
    return synthetic(configuration(tmp_path_factory.mktemp("synthetic"), activation=activation))


@pytest.mark.slow
def test_searches_of_a_table(known: Table) -> None:
    found = compare(known, ["surrogate", "nsga2", "random"], seeds=3, share=0.3, population=8, workers=1)
    points = np.array([[row.objective(name) for name in ("error", "lut")] for row in known.rows])
    plain = known.plain
    assert plain is not None and canonical_key(parse(plain.expression)) == canonical_key(X)
    worth = (points < [plain.objective("error") + 0.05, 1.5 * plain.objective("lut")]).all(axis=1)
    assert 1 <= found.front == nondominated(points[worth]).sum()
    assert found.functions == sum(row.status != "dead" for row in known.rows)
    for shares in found.shares.values():
        assert shares.shape == (3, found.budget)
        assert (np.diff(shares, axis=1) >= 0).all() and (shares <= 1 + 1e-9).all()
    assert found.shares["surrogate"].mean() > found.shares["random"].mean()
    assert (found.gaps["surrogate"][:, -1] >= 0).all()
    again = compare(known, ["surrogate"], seeds=3, share=0.3, population=8, workers=2)
    assert np.array_equal(again.shares["surrogate"], found.shares["surrogate"])


def test_a_rung_costs_its_share_and_stops_some(known: Table) -> None:
    look = {"training": {"epochs": 4}, "search": {"seeds": 3, "first_look": 0.25, "keep": 0.5}}
    content = {**known.about["config"], **look}
    table = Table({**known.about, "config": content}, known.rows)
    found = compare(table, ["random", "random+look"], seeds=8, share=0.5, population=8, workers=1)
    # When the budget is spent, every candidate had trained for the rung, and about half in full.
    assert found.shares["random+look"].mean() > found.shares["random"].mean()
    assert found.shares["random+look"].shape == found.shares["random"].shape
    blind = Table(known.about, [dataclasses.replace(row, early=None) for row in known.rows])
    with pytest.raises(UserError, match="needs a table with a rung: set search.rungs"):
        compare(blind, ["random+look"])


def test_a_replay_spends_what_training_would(known: Table) -> None:
    rows = [index for index, row in enumerate(known.rows) if row.status == "ok"]
    replay = _Replay(known, ["error", "lut"], 0.3, 0.5)
    replay.evaluate(rows[:20])
    whole = len(replay.complete)
    assert 10 <= whole <= 11  # and the plain sign, which is never stopped
    looks = 20 - (known.plain in [known.rows[row] for row in rows[:20]])
    assert replay.spent == pytest.approx(whole + looks * 0.3 / 3)
    assert set(replay.scores) == set(rows[:20])
    replay.evaluate(rows[:20])
    assert replay.spent == pytest.approx(whole + looks * 0.3 / 3)


@pytest.mark.slow
def test_a_replay_stops_whom_a_search_stops(tmp_path: Path) -> None:
    change = {
        "objectives": ["error"],
        "topology": {"hidden": [16]},
        "data": {"limit": None},
        "training": {"epochs": 4},
        "search": {
            "seeds": 2,
            "rungs": [{"epochs": 0.25}],
            "audit": 0,
            "stack": 1,
            "strategy": "random",
            "population": 6,
        },
        "final": {"seeds": 1},
    }
    config = configuration(tmp_path, **change)
    table = Table.load(tabulate(config, lambda *what: None, InProcess()))
    run = search(config.model_copy(update={"name": "run"}), executor=InProcess()).run
    space, rung = Space(config, (1, 8, 8), 10), _Replay(table, ["error"], 0.25, config.search.keep)
    strategy = make_strategy(config.search, space, 1, lambda genome: str(table.places[genome]), 0.9)
    for _ in range(config.search.most_generations):
        genomes = strategy.ask()
        places = [table.places[genome] for genome in genomes]
        rung.evaluate([place for place in dict.fromkeys(places) if table.rows[place].status != "dead"])
        strategy.tell(genomes, [rung.scores.get(place, Score(None)) for place in places])
    keys = {canonical_key(parse(row.expression)): row for row in table.rows}
    found = {"ok": set[str](), "stopped": set[str]()}
    for evaluation in run.evaluations:
        if evaluation.status in found and not evaluation.reference:
            row = keys[canonical_key(parse(evaluation.expression))]
            found[evaluation.status].add(row.expression)
            known = row.early if evaluation.status == "stopped" else np.mean(row.validation)
            assert evaluation.metrics["error"] == pytest.approx(1 - known, abs=1e-4)
    complete = {table.rows[place].expression for place, _ in rung.complete}
    assert complete - {"x"} == found["ok"]
    assert {table.rows[place].expression for place in rung.scores} - complete == found["stopped"]
    assert len(found["stopped"]) > 2 and len(found["ok"]) > 2


def test_a_search_of_everything_finds_everything(known: Table) -> None:
    found = compare(known, ["random", "gaaf"], seeds=2, share=1.0, workers=1)
    assert found.shares["random"][:, -1] == pytest.approx(1.0)
    assert found.gaps["random"][:, -1] == pytest.approx(0.0)


def test_what_is_told_of_a_comparison() -> None:
    shares = np.array([[0.2, 0.92, 1.0], [0.1, 0.3, 0.95], [0.0, 0.91, 0.91]])
    found = Comparison(("error", "lut"), 30, 4, 3, {"nsga2": shares}, {"nsga2": np.full((3, 3), 0.015)})
    assert found.needed("nsga2", 0.9) == 2 and found.needed("nsga2", 0.99) == np.inf
    text = comparison_table(found)
    assert "30 functions, 4 useful ones on the exact front of error, lut. Medians over 3 searches" in text
    assert "| nsga2 | 2 (6.7%) | 3 (10.0%) | not reached | 95.0% | 1.50 |" in text
    figure = comparison_figure(found.shares, found.functions)
    assert list(figure.data[1].y) == pytest.approx([10.0, 91.0, 95.0])


def test_names_that_are_not_known(known: Table) -> None:
    with pytest.raises(UserError, match=r"--strategies: 'random\+looks' .*random\+look"):
        compare(known, ["random+looks"])
    with pytest.raises(UserError, match=r"--strategies: 'nsga' .*nsga2"):
        compare(known, ["nsga"])
    with pytest.raises(UserError, match="--strategies is empty: name some of surrogate, nsga2"):
        compare(known, [])
    with pytest.raises(UserError, match="gaaf"):
        compare(known, ["nsga2", "gaaf"], objectives=["lut", "error"])
    with pytest.raises(UserError, match=r"--objectives: 'luts'.*lut"):
        compare(known, ["random"], objectives=["luts"])
    with pytest.raises(UserError, match=r"no row for \d+ of 324 genomes"):
        compare(Table(known.about, known.rows[:5]), ["random"])
    useless = Table(known.about, [dataclasses.replace(row, status="dead") for row in known.rows])
    with pytest.raises(UserError, match="no function whose training succeeded"):
        compare(useless, ["random"])


def test_files(known: Table, tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    known.save(path)
    first = path.read_bytes()
    loaded = Table.load(path)
    assert loaded.about == known.about and loaded.places == known.places
    loaded.save(path)
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]
    for content, message in [
        (b"no gzip", "cannot be read as a table"),
        (first[:100], "cannot be read as a table"),
        (gzip.compress(b"a,b\n1,2\n"), "does not contain its origin"),
        (first[:-200] + bytes(100) + first[-100:], "cannot be read as a table"),
        (gzip.compress(b"# {}\na,b\n1,2\n"), "is not a table"),
        (gzip.compress(b"# {}\n"), "is not a table"),
        (gzip.compress(b"# {\n"), "is not a table"),
    ]:
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            Table.load(path)
    with pytest.raises(UserError, match="does not exist: make a table with `zerocross tabulate`"):
        Table.load(tmp_path / "none")
