import pytest
import torch

from zerocross.hw_search import networks
from zerocross.hw_search.networks import build_topology
from zerocross.models.errors import ModelError
from zerocross.models.topologies import build


@pytest.mark.parametrize(
    ("topology", "message"),
    [
        (
            {"name": "mlp", "hidden": [1_000_000_000]},
            "'mlp' has too many parameters for this machine: with a tensor of 1,000,000,000 x 64, its training needs 954",
        ),
        ({"name": "mlp", "hidden": [8, 2**40]}, "with a tensor of 1,099,511,627,776 x 8,"),
        ({"name": "cnv", "kernel": 10**9, "padding": 10**9}, "x 1,000,000,000 x 1,000,000,000,"),
        (
            {"name": "resnete", "widths": [8], "blocks": [10**9]},
            "1000000000 blocks over all stages: give at most 1000",
        ),
        ({"name": "mlp", "hidden": []}, "hidden names no layer, so the network has no activation"),
    ],
)
def test_a_network_that_cannot_be_is_refused_before_anything_is_allocated(
    topology: dict, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "_memory", lambda: 8 << 30)
    with pytest.raises(ModelError) as caught:
        build_topology(topology, (1, 8, 8), 10)
    assert message in str(caught.value)


def test_many_small_layers_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "_MOST_TENSORS", 20)
    with pytest.raises(ModelError, match="'mlp' has more than 20 tensors: give it fewer layers"):
        build_topology({"name": "mlp", "hidden": [4] * 20}, (1, 8, 8), 10)


def test_the_limit_changes_no_network() -> None:
    for topology in ({"name": "mlp", "hidden": [16, 8]}, {"name": "resnete", "widths": [8], "blocks": [1]}):
        parameters = {key: value for key, value in topology.items() if key != "name"}
        states = []
        for make in (
            lambda topology=topology: build_topology(topology, (1, 8, 8), 10),
            lambda topology=topology, parameters=parameters: build(
                topology["name"], (1, 8, 8), 10, parameters
            ),
        ):
            torch.manual_seed(3)
            states.append(make().state_dict())
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
