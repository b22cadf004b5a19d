"""What is installed, and that it lives beside a user's own packages of the same names."""

import subprocess
import sys
import tomllib
from pathlib import Path

from setuptools import find_packages

import zerocross

ROOT = Path(__file__).parents[1]
ROOMS = ("models", "finn_flows", "hw_search", "reports")

SCRIPT = """
import models, reports, tests  # the user's own
import zerocross

config = zerocross.make_config(
    {
        "name": "beside",
        "topology": {"name": "mlp", "hidden": [8]},
        "folding": {"target_cycles": 256},
        "activation": {"encoding": "list", "expressions": ["sine"]},
        "data": {"limit": 600},
        "training": {"epochs": 4},
        "search": {"strategy": "exhaustive", "workers": 1},
        "final": {"seeds": 1, "controls": []},
        "constraints": {"fit": False},
    }
)
result = zerocross.search(config)
print(models.MINE, reports.MINE, tests.MINE, len(result.run.evaluations))
"""


def test_a_script_beside_packages_of_the_same_names(tmp_path: Path) -> None:
    for name in ("models", "reports", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"MINE = 'my {name}'\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "my models my reports my tests 2"


def test_one_package_is_installed_and_it_holds_all_rooms() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = set(find_packages(str(ROOT), **settings["packages"]["find"]))
    assert {name.partition(".")[0] for name in found} == {"zerocross"}
    for room in ROOMS:
        folders = {path.parent for path in (ROOT / room).rglob("__init__.py")}
        assert {".".join(("zerocross", *folder.relative_to(ROOT).parts)) for folder in folders} <= found


def test_names_at_the_root_are_imported_late_and_are_all_there() -> None:
    code = "import sys, zerocross; print('torch' in sys.modules, 'finn' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False"]
    assert all(getattr(zerocross, name) for name in zerocross.__all__)
    assert set(zerocross.__all__) <= set(dir(zerocross))
