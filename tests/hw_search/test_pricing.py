from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.finn_flows.test_stock_flow import assert_rows_are_finns, foldings
from tests.hw_search.conftest import CONTENT, merged
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.network import Activation
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.stock_flow import node_estimates, stock_graph, stock_layers, with_streams
from zerocross.finn_flows.vendor.stock_nodes import stock_model
from zerocross.finn_flows.wiring import simplified
from zerocross.hw_search.config import make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.evaluation import priced_numbers
from zerocross.hw_search.extraction.integers import to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.hw_search.pricing import Infeasible, Pricer
from zerocross.hw_search.space import Space
from zerocross.models.layers import slots
from zerocross.models.topologies import build

TOPOLOGIES = {
    "mlp-1": ("mlp", (64,), {"hidden": [48, 32], "input_bits": 1}),
    "mlp-8": ("mlp", (1, 8, 8), {"hidden": [36, 30, 24], "input_bits": 8}),
    "cnv-8": ("cnv", (3, 12, 12), {"blocks": [[8, 8], [12]], "dense": [16], "padding": 1}),
    "cnv-1": (
        "cnv",
        (1, 12, 12),
        {"blocks": [[8], [16]], "pool": [True, True], "dense": [], "input_bits": 1},
    ),
}


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_the_fast_way_gives_finns_own_numbers(name: str, tmp_path: Path) -> None:
    """Compare FINN's own export, streamlining, conversion, folding and estimate with the graph built directly."""
    from brevitas.export import export_qonnx

    topology, shape, parameters = TOPOLOGIES[name]
    torch.manual_seed(0)
    model = build(topology, shape, 10, parameters).eval()
    for slot in slots(model).values():
        torch.nn.init.uniform_(slot.norm.running_mean, -3, 3)
        torch.nn.init.uniform_(slot.norm.weight, 0.5, 2)
    network = describe(model, shape)
    path = tmp_path / "network.onnx"
    export_qonnx(model, args=torch.zeros(1, *shape), export_path=str(path), dynamo=False)
    layers = stock_layers(path, network.input)
    for folding in (Folding(), Folding(target_cycles=1500)):
        direct = stock_model(plan(network, folding))
        stock = stock_graph(layers, foldings(direct))
        assert node_estimates(direct) == node_estimates(stock)
        assert_rows_are_finns(network, folding, node_estimates(with_streams(stock)))


def pricer(change: dict | None = None) -> Pricer:
    config = make_config(merged(CONTENT, change or {}))
    return Pricer(config, Space(config, (1, 8, 8), 10))


def test_more_crossings_cost_more_and_none_cost_least() -> None:
    own = pricer()
    candidate = own._space.candidate((0, 0, 0, 1, 0))
    (name,) = (
        layer.name
        for layer in own.network(candidate.topology).layers
        if isinstance(layer.operation, Activation)
    )
    least, one, many = (
        own.cost(candidate, crossings) for crossings in (None, {name: [1] * 16}, {name: [9] * 16})
    )
    assert least.zerocross.lut < one.zerocross.lut < many.zerocross.lut
    assert one.finn.bram18 == many.finn.bram18


def test_unread_bits_of_a_thermometer_cost_nothing() -> None:
    """A trained network is priced as a build simplifies it; before, no bit counts, as none may be read."""
    wired = {"name": "hardwired", "widths": [20], "inputs": 3, "input_bits": {"thermometer": 2}}
    config = make_config({**CONTENT, "topology": wired, "folding": {"target_cycles": 1}})
    own = Pricer(config, Space(config, (1, 8, 8), 10))
    candidate = own._space.candidate((0,) * len(own._space.sizes))
    torch.manual_seed(0)
    model = build(
        "hardwired", (1, 8, 8), 10, {key: value for key, value in wired.items() if key != "name"}
    ).eval()
    integer = to_integer(model, describe(model, (1, 8, 8)))
    crossings, thresholds = priced_numbers(integer)
    read = np.count_nonzero(integer.weights["sparse1"].any(axis=0))
    built = simplified(integer)[0].network
    (values,) = thresholds.values()
    assert sum(value <= 255 for value in values) == read < 128
    priced = own.cost(candidate, crossings, thresholds)
    assert priced.zerocross == estimate(built, Folding(target_cycles=1), own.part).zerocross
    assert own.cost(candidate).zerocross.lut < priced.zerocross.lut
    assert priced.zerocross.lut < own.cost(candidate, crossings).zerocross.lut


def test_whose_model_counts_is_the_configurations_choice() -> None:
    candidate = pricer()._space.candidate((0, 0, 0, 1, 0))
    ours, finns = pricer(), pricer({"cost_model": "finn"})
    cost = ours.cost(candidate)
    assert ours.metrics(cost)["lut"] == cost.zerocross.lut
    assert finns.metrics(cost)["lut"] == cost.finn.lut > cost.zerocross.lut


def test_constraints_say_what_is_broken_and_by_how_much() -> None:
    own = pricer({"device": {"part": "ice40up5k"}, "constraints": {"min_fps": 1e9, "max_latency": 10}})
    broken = own.violations(own.cost(own._space.candidate((0, 0, 0, 1, 0))))
    assert any("below min_fps 1,000,000,000" in text for text in broken)
    assert any("above max_latency 10" in text for text in broken)
    assert all(amount > 0 for amount in broken.values())


def test_a_part_that_does_not_exist() -> None:
    with pytest.raises(UserError, match=r"device.part: unknown part or board 'xc7z02': did you mean"):
        pricer({"device": {"part": "xc7z02"}})


def test_a_device_too_small_for_any_candidate() -> None:
    small = pricer({"device": {"part": "ice40up5k"}, "topology": {"name": "mlp", "hidden": [2048, 2048]}})
    with pytest.raises(
        UserError,
        match=r"no candidate meets the constraints on ice40up5k. The smallest violation: .* do not fit",
    ):
        small.check_space()


@pytest.mark.parametrize(
    ("topology", "message"),
    [
        (
            {"widths": [5]},
            "no candidate can be built. topology: widths: 5 neurons cannot vote for 10 classes",
        ),
        (
            {"widths": [20], "inputs": {"choose": [65, 66]}},
            "no candidate can be built. The most frequent reason: topology: inputs: a neuron cannot read 65 inputs of 64",
        ),
    ],
)
def test_what_cannot_be_built_breaks_no_constraint(topology: dict[str, Any], message: str) -> None:
    section = {"name": "hardwired", "input_bits": 1, **topology}
    config = make_config({**CONTENT, "topology": section, "folding": {"target_cycles": 1}})
    with pytest.raises(UserError) as caught:
        Pricer(config, Space(config, (1, 8, 8), 10)).check_space()
    assert str(caught.value).startswith(message) and "constraint" not in str(caught.value)


def test_of_broken_constraints_and_other_reasons_the_constraint_is_named() -> None:
    section = {"name": "hardwired", "input_bits": 1, "inputs": 6, "widths": {"choose": [[5], [20_000]]}}
    small = {"device": {"part": "ice40hx1k"}, "folding": {"target_cycles": 1}}
    config = make_config({**CONTENT, "topology": section, **small})
    with pytest.raises(UserError, match=r"no candidate meets the constraints on ice40hx1k.* do not fit"):
        Pricer(config, Space(config, (1, 8, 8), 10)).check_space()


def test_a_width_no_folding_divides() -> None:
    own = pricer({"topology": {"hidden": [61]}, "folding": {"target_cycles": None, "pe": 8, "simd": 8}})
    with pytest.raises(UserError, match="61"):
        own.check_space()
    with pytest.raises(Infeasible, match="61"):
        own.cost(own._space.candidate((0, 0, 0)))


@pytest.mark.parametrize(
    ("target", "remedy"),
    [
        (
            {"target_cycles": 10},
            "Set folding.target_cycles to 61 or more, raise folding.max_pe or folding.max_simd",
        ),
        ({"target_cycles": None, "target_fps": 1e8}, r"Set folding.target_fps to \d+ or less"),
    ],
)
def test_a_target_out_of_reach_names_fields_of_the_configuration(target: dict, remedy: str) -> None:
    own = pricer({"topology": {"hidden": [61]}, "folding": {**target, "max_pe": 60}})
    with pytest.raises(UserError, match=remedy):
        own.check_space()


def test_an_ice40_is_short_of_logic_cells() -> None:
    own = pricer(
        {
            "device": {"part": "ice40hx1k"},
            "topology": {"hidden": [64, 64, 32], "input_bits": 8},
            "folding": {"target_cycles": 64},
        }
    )
    cost = own.cost(own._space.candidate((0, 0, 0)))
    assert cost.zerocross.lut < 1280 and cost.finn.lut == cost.finn.cells
    assert any("logic cells do not fit: ice40hx1k has 1,280" in text for text in own.violations(cost))


def test_a_space_with_something_that_fits_passes() -> None:
    pricer({"topology": {"hidden": {"choose": [[100_000], [8]]}}}).check_space()


@pytest.mark.slow
def test_a_large_space_is_left_to_the_search() -> None:
    widths = [{"choose": [401, 61]}, {"choose": [*range(131, 431), 16]}]
    pricer({"topology": {"hidden": widths}, "folding": {"target_cycles": 64}}).check_space()


def test_a_users_topology_without_hardware_is_named() -> None:
    from zerocross.models.topologies import TOPOLOGIES as REGISTERED
    from zerocross.models.topologies import register_topology

    @register_topology("soft")
    def soft(input_shape: tuple[int, ...], classes: int) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, classes))

    try:
        with pytest.raises(UserError, match="has no parameter 'hidden'"):
            pricer({"topology": {"name": "soft", "hidden": 1, "input_bits": 1}})
        config = make_config({**CONTENT, "topology": {"name": "soft"}})
        with pytest.raises(UserError, match=r"topology 'soft': .*Linear"):
            Pricer(config, Space(config, (1, 8, 8), 10)).check_space()
    finally:
        del REGISTERED["soft"]
