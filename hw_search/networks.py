"""Construction of networks from a configuration's topology section."""

from typing import Any

from torch import Tensor, nn

from zerocross.models.topologies import build


def build_topology(
    topology: dict[str, Any], input_shape: tuple[int, ...], classes: int, samples: Tensor | None = None
) -> nn.Module:
    """Return the network of a topology section (`name` and parameters, without open choices).

    Args:
        topology: The section.
        input_shape: Shape of a sample, (features,) or (channels, height, width).
        classes: Number of logits.
        samples: Training samples, for thresholds at the input; see `zerocross.models.topologies.build`.

    Raises:
        zerocross.models.errors.ModelError: If a parameter is wrong; the message names it.
    """
    parameters = {key: value for key, value in topology.items() if key != "name"}
    return build(topology["name"], input_shape, classes, parameters, samples)
