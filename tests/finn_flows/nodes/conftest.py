import pytest

from tests.finn_flows.nodes.bench import Bench


@pytest.fixture(scope="module")
def bench(request, tmp_path_factory, runtime) -> Bench:
    """The test module's NODES, side by side in one simulation."""
    return Bench.of(request.module.NODES, tmp_path_factory.mktemp("rtl"), runtime)
