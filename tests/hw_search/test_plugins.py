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
