import os
from pathlib import Path

if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # every core has a worker, and more threads than cores wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from zerocross.finn_flows.rtl import simulation

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.markexpr == "not slow":  # designs of fast tests run for few cycles
        simulation.OPTIMISATION.update({"Verilator": "-O1", "g++": "-O0"})


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of simulations, with Verilator's own runtime: one for all tests, whichever process they run in.

    The variable ZEROCROSS_SIMULATIONS names a folder that outlives the tests.
    """
    if kept := os.environ.get("ZEROCROSS_SIMULATIONS"):
        return Path(kept)
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "verilator"
    folder.mkdir(exist_ok=True)
    return folder
