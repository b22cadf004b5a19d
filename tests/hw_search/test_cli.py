import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from zerocross.hw_search.cli import _terminate, app, main
from zerocross.hw_search.commands.output import stoppable
from zerocross.hw_search.tables.table import Row, Table
from zerocross.models.operations import OPERATIONS
from zerocross.reports.metrics import COSTS

RUNNER = CliRunner()


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from zerocross.hw_search.cli import main\n"
        "sys.argv = ['zerocross', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'torch', 'finn', 'brevitas', 'pymoo', 'plotly', 'sklearn', 'ray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("search", "report", "tabulate", "compare", "doctor", "activations", "configuration"):
        assert command in done.stdout
    assert done.stdout.strip().endswith("[]")


def test_doctor_finds_what_a_search_needs() -> None:
    result = RUNNER.invoke(app, ["doctor"])
    assert result.exit_code == 0 and "Everything that a search needs is installed." in result.output
    assert '".[ray]"' in result.output
    assert "xc7z020" in RUNNER.invoke(app, ["doctor", "--parts"]).output


def test_an_activation_is_drawn_counted_and_priced(tmp_path: Path) -> None:
    page = tmp_path / "curve.html"
    result = RUNNER.invoke(app, ["activations", "sin(mul(3, x))", "--fan-in", "100", "--html", str(page)])
    # sin(3 a / 10) changes sign where 3 a / 10 is a multiple of pi: 2 * floor(30 / pi) + 1 times, once at 0.
    assert result.exit_code == 0 and "19 crossings on the 101 values" in result.output
    assert "table" in result.output and "plotly" in page.read_text()


@pytest.mark.parametrize("by", ["ops.py", "own.yaml"])
def test_an_operation_of_a_plugin_is_shown(by: str, tmp_path: Path) -> None:
    (tmp_path / "ops.py").write_text(
        "import torch\nfrom zerocross.models.operations import register_operation\n"
        "register_operation('ripple', lambda x, s: torch.sin(s * x), initial=(3.0,), description='sin(s x)')\n"
    )
    configuration = {
        "name": "own",
        "plugins": ["ops.py"],
        "topology": {"name": "tfc"},
        "folding": {"target_cycles": 64},
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(configuration))
    option = ["--plugins", str(tmp_path / by)]
    try:
        result = RUNNER.invoke(app, ["activations", "ripple(x)", "--fan-in", "100", *option])
        assert result.exit_code == 0 and "19 crossings on the 101 values" in result.output, result.output
        assert "ripple" in RUNNER.invoke(app, ["activations", *option]).output
    finally:
        OPERATIONS.pop("ripple", None)


def test_a_constant_activation_is_called_one() -> None:
    assert "always 1" in RUNNER.invoke(app, ["activations", "sigmoid(scale(x))"]).output


def test_all_operations_and_presets_are_listed() -> None:
    output = RUNNER.invoke(app, ["activations"]).output
    assert all(name in output for name in ("gaussdiff", "learned", "rsign"))


@pytest.mark.slow
def test_strategies_are_compared_on_a_table(tmp_path: Path) -> None:
    names = ["sin(x)", "x", "cos(x)", "zero"]
    rows = [
        Row(
            name,
            ((index,),),
            "dead" if name == "zero" else "ok",
            "",
            (0.5 + index / 10,) * 2,
            (0.5,) * 2,
            dict.fromkeys((*COSTS, "finn_lut", "channel_crossings", "most_crossings"), 100.0 + index),
        )
        for index, name in enumerate(names)
    ]
    config = {
        "name": "t",
        "topology": {"name": "mlp", "hidden": [4]},
        "folding": {"target_cycles": 64},
        "activation": {"encoding": "list", "expressions": names},
    }
    Table({"config": config, "input_shape": [64], "classes": 10}, rows).save(tmp_path / "table.csv.gz")
    page = tmp_path / "curves.html"
    arguments = ["--seeds", "2", "--share", "1", "--strategies", "random", "--html", str(page)]
    result = RUNNER.invoke(app, ["compare", str(tmp_path / "table.csv.gz"), *arguments])
    assert result.exit_code == 0, result.output
    assert "3 functions, 2 useful ones on the exact front" in result.output
    assert "| random |" in result.output and "plotly" in page.read_text()
    shown = RUNNER.invoke(app, ["report", str(tmp_path)])
    assert shown.exit_code == 0 and "4 distinct functions: 3 ok, 1 dead" in shown.output
    assert f"zerocross compare {tmp_path / 'table.csv.gz'}" in shown.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["activations", "sin(x"], "',' or ')' at position 6"),
        (["activations", "sim(x)"], "did you mean"),
        (["activations", "mine(x)"], "an operation of your own: list its file under `plugins`"),
        (["activations", "x", "--plugins", "none.py"], "--plugins none.py does not exist"),
        (["search", "missing.yaml"], "missing.yaml does not exist"),
        (["search", "examples/digits.yaml", "--set", "search"], "use the form field=value"),
        (
            ["search", "examples/digits.yaml", "--set", "build.targets=[ulx3s-85g]"],
            "build.targets: unknown part or board",
        ),
        (["search", "examples/digits.yaml", "--set", "search={a: 1, a: 2}"], "the key 'a' is given twice"),
        (["report", "no/such/run"], "no/such/run does not exist"),
        (["tabulate", "examples/digits.yaml"], "folding.target_cycles: a table allows only one network"),
        (["compare", "no/such/table.csv.gz"], "does not exist: make a table with `zerocross tabulate`"),
    ],
)
def test_a_mistake_gets_one_message(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["zerocross", *arguments])
    with pytest.raises(SystemExit) as ending:
        main()
    error = capsys.readouterr().err
    assert (
        ending.value.code == 1
        and error.startswith("error: ")
        and message in error
        and "Traceback" not in error
    )


def test_an_unknown_command_says_which_is_near(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["zerocross", "serch"])
    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code == 2 and "search" in capsys.readouterr().err


def test_a_termination_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        with pytest.raises(SystemExit) as ending, stoppable("Run it again."):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        assert ending.value.code == 143 and capsys.readouterr().err == "Stopped. Run it again.\n"
        with pytest.raises(SystemExit) as ending:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        assert ending.value.code == 143
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_version_is_printed() -> None:
    from importlib.metadata import version

    done = RUNNER.invoke(app, ["--version"])
    assert done.exit_code == 0 and done.output == f"zerocross {version('zerocross')}\n"
