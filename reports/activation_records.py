"""The records of a trained activation at its integer inputs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Curve:
    """One channel of one activation over its integer grid, as trained.

    Attributes:
        channel: Index of the channel.
        accumulators: Integers shown, at most a few hundred.
        values: Value of the activation at each integer, before the sign.
        crossings: Accumulators at which the bit flips (the first value on the new side).
    """

    channel: int
    accumulators: list[int]
    values: list[float]
    crossings: list[int]


@dataclass(frozen=True)
class ActivationRecord:
    """One activation layer of a trained network.

    Attributes:
        layer: Name of the layer.
        expression: Activation, as text.
        low: Least accumulator of the grid.
        high: Greatest accumulator of the grid.
        step: Distance between neighbours on the grid.
        crossings: Number of crossings of each channel.
        curves: Curves of a few channels.
    """

    layer: str
    expression: str
    low: int
    high: int
    step: int
    crossings: list[int]
    curves: list[Curve]
