"""Construction of networks from a configuration's topology section."""

from typing import Any

from torch import nn

from zerocross.models.topologies import build, check_parameters


def build_topology(topology: dict[str, Any], input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Return the network of a topology section (`name` and parameters, without open choices).

    Raises:
        zerocross.models.errors.ModelError: If a parameter is wrong; the message names it.
    """
    parameters = {key: value for key, value in topology.items() if key != "name"}
    return build(topology["name"], input_shape, classes, check_parameters(topology["name"], parameters))
