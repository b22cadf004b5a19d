"""Inspection of one activation: its curve, its crossings at a fan-in, and their cost."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.crossings import CrossingTable, from_response
from zerocross.finn_flows.network import Grid
from zerocross.finn_flows.nodes.crossing_site import cheapest_price
from zerocross.models.activation import evaluate
from zerocross.models.canonical import canonical_key, constant_bit
from zerocross.models.expressions import Expression
from zerocross.reports.activation_records import ActivationRecord, Curve

_SHOWN = 256


@dataclass(frozen=True)
class Inspection:
    """Properties of an expression before training.

    Attributes:
        expression: The expression, with its parameters at their initial values.
        key: Canonical key.
        constant: Its bit if the bit is constant for all inputs and parameters, else None.
        parameters: Number of learnable parameters per channel.
        site: Curve and crossings on the grid of the fan-in.
        prices: LUT, BRAM18 and implementation by PE, for a site of 64 channels.
    """

    expression: Expression
    key: str
    constant: int | None
    parameters: int
    site: ActivationRecord
    prices: dict[int, Price]


def inspect(expression: Expression, fan_in: int, channels: int = 64) -> Inspection:
    """Inspect an expression after a binary product of K random bits.

    It assumes that batch norm scales the accumulator's variance to one: x = a / sqrt(K).

    Args:
        expression: Expression to inspect.
        fan_in: K, at least 1.
        channels: Number of identical channels in the cost estimate.
    """
    grid = Grid(-fan_in, fan_in, 2)
    parameters = list(expression.initial_parameters())

    def response(accumulators: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(accumulators).float() / math.sqrt(fan_in)
        return evaluate(expression, x, parameters)[None].numpy()

    table = from_response(grid, 1, response)
    count = int(table.counts()[0])
    levels = [1 << power for power in range(channels.bit_length()) if channels % (1 << power) == 0]
    return Inspection(
        expression,
        canonical_key(expression),
        constant_bit(expression),
        len(parameters),
        _site(expression, grid, table, response(_shown(grid))[0]),
        {
            pe: cheapest_price((count,) * channels, pe, fan_in + 1)
            for pe in (levels[0], 8, channels)
            if pe in levels
        },
    )


def _shown(grid: Grid) -> np.ndarray:
    index = np.unique(np.linspace(0, len(grid) - 1, _SHOWN).round().astype(np.int64))
    return grid.low + grid.step * index


def _site(expression: Expression, grid: Grid, table: CrossingTable, values: np.ndarray) -> ActivationRecord:
    curve = Curve(
        0,
        _shown(grid).tolist(),
        [float(f"{value:.5g}") for value in np.nan_to_num(values, posinf=1e9, neginf=-1e9)],
        table.accumulators(0).tolist(),
    )
    return ActivationRecord(
        f"fan-in {grid.high}",
        str(expression),
        grid.low,
        grid.high,
        grid.step,
        [len(curve.crossings)],
        [curve],
    )


def picture(site: ActivationRecord, width: int = 76, height: int = 13) -> str:
    """Return a drawing of a site's first curve for a terminal, with its bits below.

    Args:
        site: Activation to draw.
        width: Width in characters.
        height: Height of the curve in lines.
    """
    curve = site.curves[0]
    at = np.linspace(site.low, site.high, width)
    values = np.clip(np.interp(at, curve.accumulators, curve.values), -3, 3)
    low, high = min(values.min(), -0.1), max(values.max(), 0.1)
    rows = np.rint((high - values) / (high - low) * (height - 1)).astype(int)
    zero = round(high / (high - low) * (height - 1))
    lines = [["·" if row == zero else " "] * width for row in range(height)]
    for column, row in enumerate(rows):
        lines[row][column] = "●"
    passed = np.searchsorted(curve.crossings, at, side="right")
    first = curve.values[0] >= 0
    bits = "".join("█" if (count + first) % 2 else "░" for count in passed)
    labels = [f"{high:7.2f} ", *[" " * 8] * (height - 2), f"{low:7.2f} "]
    labels[zero] = "      0 "
    picture_ = [label + "".join(line) for label, line in zip(labels, lines, strict=True)]
    ends = f"{site.low}{'accumulator':^{width - len(str(site.low)) - len(str(site.high))}}{site.high}"
    return "\n".join([*picture_, f"{'bit':>7} {bits}", " " * 8 + ends])
