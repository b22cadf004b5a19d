"""Networks from a configuration's words."""

from typing import Any

from torch import nn

from zerocross.models.topologies import build, check_parameters


def build_topology(topology: dict[str, Any], input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Build a topology section (`name` and parameters, nothing left to choose).

    Raises:
        zerocross.models.errors.ModelError: naming the parameter that is wrong.
    """
    parameters = {key: value for key, value in topology.items() if key != "name"}
    return build(topology["name"], input_shape, classes, check_parameters(topology["name"], parameters))
