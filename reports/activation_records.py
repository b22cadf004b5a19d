"""The record of a trained activation on its integers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Curve:
    """One channel of one activation over its integer grid, as trained.

    Attributes:
        channel: index.
        accumulators: the integers shown (at most a few hundred).
        values: activation value at each, before the sign.
        crossings: accumulators at which the bit flips (the first value on the new side).
    """

    channel: int
    accumulators: list[int]
    values: list[float]
    crossings: list[int]


@dataclass(frozen=True)
class ActivationRecord:
    """One activation layer of a trained network.

    Attributes:
        layer: its name.
        expression: its activation.
        low: least accumulator of the grid.
        high: greatest accumulator of the grid.
        step: distance between neighbours on the grid.
        crossings: number of crossings of each channel.
        curves: a few channels.
    """

    layer: str
    expression: str
    low: int
    high: int
    step: int
    crossings: list[int]
    curves: list[Curve]
