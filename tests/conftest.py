from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def runtime(tmp_path_factory) -> Path:
    """Verilator's own runtime, compiled once for all tests."""
    return tmp_path_factory.mktemp("verilator")
