from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def runtime(tmp_path_factory) -> Path:
    """Verilator's own runtime, compiled once for all tests."""
    return tmp_path_factory.mktemp("verilator")
