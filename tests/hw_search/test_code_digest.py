"""A digest of code covers all imported code, but neither comments nor docstrings."""

import subprocess
import sys
from pathlib import Path

import pytest

from zerocross.hw_search.code_digest import closure, code_digest
from zerocross.hw_search.execution.code_version import CODE, code_version, plugin_digests

TOY = {
    "toy/__init__.py": '"""A package."""\n',
    "toy/work.py": (
        '"""What is done."""\nfrom typing import TYPE_CHECKING\n\nimport json\n\nfrom toy.parts import first\n\n'
        "if TYPE_CHECKING:\n    from toy import typed\n\n\n"
        'def do(x):\n    """Do it."""\n    from .late import later  # in time\n    return later(first.one(x))\n'
    ),
    "toy/late.py": "import toy.deep.down\n\ndef later(x):\n    return toy.deep.down.add(x)\n",
    "toy/deep/__init__.py": "",
    "toy/deep/down.py": (
        "from ..parts import second as other\n\nSTEP = 3\n'''The step.'''\n\ndef add(x):\n    return x + STEP\n"
    ),
    "toy/parts/__init__.py": "",
    "toy/parts/first.py": "class One:\n    '''One.'''\n\ndef one(x):\n    return x\n",
    "toy/parts/second.py": "def two(x):\n    return x\n",
    "toy/typed.py": "raise RuntimeError('for type checkers alone')\n",
    "toy/beside.py": "import toy.work\n",
}


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    for name, text in TOY.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_all_that_is_imported_belongs_to_a_module(toy: Path) -> None:
    names = {"work", "late", "deep", "deep.down", "parts", "parts.first", "parts.second"}
    assert set(closure("toy.work", root=toy)) == {"toy", *(f"toy.{name}" for name in names)}
    with pytest.raises(FileNotFoundError, match=r"no module toy\.play"):
        code_digest("toy.play", root=toy)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("work", '"""Do it."""', '"""Do it, in other words."""\n    # and a comment'),
        ("work", '    """Do it."""\n', ""),
        ("work", "# in time", "# too late"),
        ("work", "from toy import typed", "from toy import untyped"),
        ("deep/down", "'''The step.'''", "'''The distance.'''  # of a step"),
        ("deep/down", "STEP = 3\n", "\n\nSTEP  =  3\n"),
        ("parts/first", "    '''One.'''\n", "    '''The one.'''\n"),
        ("typed", "RuntimeError", "ValueError"),
        ("beside", "import toy.work", "import toy.late"),
    ],
)
def test_words_keep_a_digest(toy: Path, file: str, old: str, new: str) -> None:
    before = code_digest("toy.work", root=toy)
    edit(toy / f"toy/{file}.py", old, new)
    assert code_digest("toy.work", root=toy) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("__init__", '"""A package."""', "import os"),
        ("work", "later(first.one(x))", "later(first.one(x + 1))"),
        ("late", "add(x)", "add(-x)"),
        ("deep/down", "STEP = 3", "STEP = 4"),
        ("deep/__init__", "", "X = 1\n"),
        ("parts/first", "return x", "return 'x'"),
        ("parts/second", "return x", "return 2 * x"),
    ],
)
def test_code_changes_a_digest(toy: Path, file: str, old: str, new: str) -> None:
    before = code_digest("toy.work", root=toy)
    path = toy / f"toy/{file}.py"
    path.write_text(new) if not old else edit(path, old, new)
    assert code_digest("toy.work", root=toy) != before


def test_data_counts_without_its_comments(tmp_path: Path) -> None:
    folder = tmp_path / "rtllib"
    folder.mkdir()
    module = folder / "adder.sv"
    module.write_text(
        '// Adds.\nmodule adder; /* two\nlines */ wire w; initial $display("a // b"); endmodule\n'
    )
    (folder / "table.mem").write_text("00 // 1\n")
    before = code_digest(data=[folder])
    assert code_digest(data=[module]) != before
    edit(module, "// Adds.", "// Adds two numbers.\n\n   // And no more.")
    edit(module, "/* two\nlines */", "")
    assert code_digest(data=[folder]) == before
    for old, new in (
        ("a // b", "a // c"),
        ("wire w", "wire v"),
        ("// Adds", "// verilator lint_off WIDTH\n//"),
    ):
        edit(module, old, new)
        after = code_digest(data=[folder])
        assert after != before
        before = after
    edit(folder / "table.mem", "// 1", "// 2")
    assert code_digest(data=[folder]) != before
    module.rename(folder / "renamed.sv")
    assert code_digest(data=[folder]) != before
    with pytest.raises(FileNotFoundError):
        code_digest(data=[tmp_path / "nothing"])


def test_all_that_decides_a_training_is_in_its_version() -> None:
    found = closure(*CODE)
    # The choice of expressions does not affect the training of one.
    models = {f"zerocross.models.{path.stem}" for path in Path("models").glob("*.py")}
    asked = {f"zerocross.models.{name}" for name in ("__init__", "encodings", "presets")}
    assert models - asked <= set(found)
    for name in (
        "execution.mixtures",
        "execution.evaluation",
        "execution.worker",
        "execution.stacks",
        "networks",
    ):
        assert f"zerocross.hw_search.{name}" in found
    assert {
        f"zerocross.hw_search.extraction.{path.stem}"
        for path in Path("hw_search/extraction").glob("[a-z]*.py")
    } <= set(found)
    assert {f"zerocross.finn_flows.{name}" for name in ("crossings", "integer", "network")} <= set(found)
    # A change of a page, a strategy or a command must not repeat trainings.
    others = ("commands", "strategies", "tables", "builds", "config", "space", "pricing", "trainings")
    assert not [name for name in found if name.removeprefix("zerocross.hw_search.").split(".")[0] in others]
    reports = {name for name in found if name.startswith("zerocross.reports.")}
    assert reports == {"zerocross.reports.activation_records"}


def test_nothing_is_imported_by_looking() -> None:
    code = (
        "import sys; from zerocross.hw_search.code_digest import code_digest\n"
        "code_digest('zerocross.hw_search.execution.worker'); print('torch' in sys.modules, 'pydantic' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False"]


def test_plugins_are_part_of_a_trainings_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, package = tmp_path / "own.py", tmp_path / "zoo_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("from zoo_of_mine import nets\n")
    (package / "nets.py").write_text("WIDTH = 8\n")
    file.write_text("WIDTH = 8\n")
    monkeypatch.syspath_prepend(tmp_path)

    def forget() -> None:
        code_version.cache_clear()
        plugin_digests.cache_clear()

    def version(*plugins: str) -> str:
        forget()
        return code_version(plugins)

    names = (str(file), "zoo_of_mine")
    before = version(*names)
    assert len({before, version(), version(names[0]), version(names[1])}) == 4
    edit(file, "8", "8  # wide")
    edit(package / "nets.py", "8", "8  # wide")
    assert version(*names) == before
    edit(package / "nets.py", "8  # wide", "16")
    changed = version(*names)
    edit(file, "8  # wide", "16")
    assert len({before, changed, version(*names)}) == 3
    file.write_text("this is no Python")
    assert version(*names) not in (before, changed)
    forget()
