"""The import of the user's plugins."""

from pathlib import Path

import pytest

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.plugins import import_plugins


def test_a_plugin_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        import_plugins([str(tmp_path / "ops.py")])
    assert str(caught.value) == (
        f"plugins: {tmp_path / 'ops.py'} does not exist (paths are relative to the configuration file)"
    )
    with pytest.raises(UserError, match="plugins: no_such_module cannot be imported: ModuleNotFoundError"):
        import_plugins(["no_such_module"])


def test_a_plugin_that_changes_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    plugin = tmp_path / "ops.py"
    plugin.write_text("A = 1\n")
    import_plugins([str(plugin)])
    import_plugins([str(plugin)])
    plugin.write_text("A = 2\n")
    with pytest.raises(UserError, match=r"ops\.py has changed since it was imported: run the command again"):
        import_plugins([str(plugin)])


def test_a_plugin_that_ends_python_is_an_error(tmp_path: Path) -> None:
    plugin = tmp_path / "script.py"
    plugin.write_text("import sys\nsys.exit(0)\n")
    with pytest.raises(UserError, match=r"script\.py cannot be imported: SystemExit: 0"):
        import_plugins([str(plugin)])
