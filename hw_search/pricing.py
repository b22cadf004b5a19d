"""Cost estimates of candidates on the configured device, and their constraint violations."""

import itertools
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from zerocross.finn_flows.cost import Cost, Resources, estimate
from zerocross.finn_flows.families import get_family
from zerocross.finn_flows.folding import Folding, FoldingError
from zerocross.finn_flows.network import Activation, Network, NetworkError, Sparse, Thermometer
from zerocross.finn_flows.parts import UnknownPart, get_part
from zerocross.finn_flows.planner import UnsupportedLayer
from zerocross.hw_search.config import Config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.extraction.layers import describe
from zerocross.hw_search.extraction.scales import UnsupportedModule
from zerocross.hw_search.space import Candidate, Space
from zerocross.reports.metrics import costs

CrossingCounts = Mapping[str, list[int]]
"""Number of crossings of each channel, by activation layer."""

_MOST_CHECKED = 256


def _with_few_bits(network: Network) -> Network:
    """Return a network without the bits of thermometers that sparse layers may not read: a bound before training."""
    if not any(isinstance(layer.operation, Sparse) for layer in network.layers):
        return network
    never = 1 << network.input.bits
    return network.with_thresholds(
        {
            layer.name: (never,) * len(layer.operation.thresholds)
            for layer in network.layers
            if isinstance(layer.operation, Thermometer)
        }
    )


def _tuples(numbers: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(values) for name, values in numbers.items()}


class Infeasible(Exception):
    """A candidate that has no hardware with its choices. The message is the reason."""


class Pricer:
    """Estimates the costs of candidates on the configured part and clock.

    Args:
        config: The configuration.
        space: Space of the candidates.

    Raises:
        UserError: If the part is unknown.
    """

    def __init__(self, config: Config, space: Space) -> None:
        self.config = config
        self._space = space
        try:
            self.part = get_part(config.device.part)
        except UnknownPart as error:
            raise UserError(f"device.part: {error}") from None
        self._networks: dict[str, Network] = {}
        self._least: dict[str, Cost] = {}

    def network(self, topology: dict[str, Any]) -> Network:
        """Return a topology's layers, with one crossing per channel.

        Raises:
            Infeasible: If the topology cannot be built or has no hardware.
        """
        key = json.dumps(topology, sort_keys=True)
        if key not in self._networks:
            try:
                self._networks[key] = describe(self._space.build(topology), self._space.input_shape)
            except UserError as error:
                raise Infeasible(str(error)) from None
            except (UnsupportedModule, NetworkError) as error:
                raise Infeasible(f"topology {topology['name']!r}: {error}") from None
        return self._networks[key]

    def cost(
        self,
        candidate: Candidate,
        crossings: CrossingCounts | None = None,
        thresholds: Mapping[str, Sequence[int]] | None = None,
    ) -> Cost:
        """Return a candidate's cost. Without crossings it is the lower bound, for channels with constant bits.

        Args:
            candidate: The candidate.
            crossings: Number of crossings of each channel by activation, from a training.
            thresholds: Thresholds of thermometers by layer, from a training; by default those of an untrained network.

        Raises:
            Infeasible: If the candidate's folding is impossible, or a layer has no hardware.
        """
        network = self.network(candidate.topology)
        if crossings is not None:
            network = network.with_thresholds(_tuples(thresholds or {}))
            return self._estimate(network, candidate, _tuples(crossings))
        key = json.dumps([candidate.topology, candidate.folding], sort_keys=True)
        if key not in self._least:
            none = {
                layer.name: (0,) * len(layer.operation.crossings)
                for layer in network.layers
                if isinstance(layer.operation, Activation)
            }
            self._least[key] = self._estimate(_with_few_bits(network), candidate, none)
        return self._least[key]

    def _estimate(
        self, network: Network, candidate: Candidate, crossings: dict[str, tuple[int, ...]]
    ) -> Cost:
        try:
            return estimate(
                network.with_crossings(crossings),
                Folding(**candidate.folding),
                self.part,
                self.config.device.clock_mhz,
            )
        except FoldingError as error:
            remedy = "" if error.cycles is None else f". {self._slower(candidate.folding, error.cycles)}"
            raise Infeasible(f"{error.problem}{remedy}") from None
        except (UnsupportedLayer, NetworkError) as error:
            raise Infeasible(str(error)) from None

    def _slower(self, folding: dict[str, Any], cycles: int) -> str:
        """Return the remedy for a target that cannot be met, in the configuration's fields."""
        aim = f"Set folding.target_cycles to {cycles} or more"
        if folding.get("target_fps") is not None:
            most = math.floor(self.config.device.clock_mhz * 1e6 / cycles)
            aim = f"Set folding.target_fps to {most} or less"
        return f"{aim}, raise folding.max_pe or folding.max_simd, or choose sizes with more divisors"

    def resources(self, cost: Cost) -> Resources:
        """Return the estimates from the search's cost model."""
        return cost.finn if self.config.cost_model == "finn" else cost.zerocross

    @property
    def _cell(self) -> str:
        """What counts against the size of the part: FINN knows only LUTs."""
        cells = get_family(self.part.family).logic_cells and self.config.cost_model != "finn"
        return "logic cells" if cells else "LUT"

    def metrics(self, cost: Cost, model: str | None = None) -> dict[str, float]:
        """Return a cost's metrics by name, from the search's cost model or the named one."""
        return costs(cost, model or self.config.cost_model)

    def violations(self, cost: Cost) -> dict[str, float]:
        """Return each violated constraint as text, with the excess relative to its limit."""
        limits, used = self.config.constraints, self.resources(cost)
        found: dict[str, float] = {}
        if limits.fit:
            for name, value, limit in (
                (self._cell, used.cells, self.part.luts),
                ("BRAM18", used.bram18, self.part.bram18),
                ("DSP", used.dsp, self.part.dsps),
            ):
                if value > limit:
                    found[f"{value:,} {name} do not fit: {self.part.name} has {limit:,}"] = (
                        value / max(limit, 1) - 1
                    )
        if limits.min_fps is not None and cost.fps < limits.min_fps:
            found[f"{cost.fps:,.0f} frames per second are below min_fps {limits.min_fps:,.0f}"] = (
                limits.min_fps / cost.fps - 1
            )
        latency = self.metrics(cost)["latency"]
        if limits.max_latency is not None and latency > limits.max_latency:
            found[f"latency of {latency:,.0f} cycles is above max_latency {limits.max_latency:,}"] = (
                latency / limits.max_latency - 1
            )
        return found

    def check_space(self) -> None:
        """Check that at least one architecture of the space can be built.

        The check covers the first 256 architectures. A larger space passes even if all of these fail.

        Raises:
            UserError: If every architecture violates a constraint at its lowest cost, or has no hardware. The message
                reports the smallest violation; without any, the most frequent reason.
        """
        nearest: tuple[float, str] | None = None
        refused = Counter[str]()
        pairs = itertools.product(self._space.topologies(), self._space.foldings())
        for topology, folding in itertools.islice(pairs, _MOST_CHECKED):
            candidate = Candidate((), topology, {}, folding, {})
            try:
                broken = self.violations(self.cost(candidate))
            except Infeasible as error:
                refused[str(error)] += 1
                continue
            if not broken:
                return
            worst = max(broken.values())
            if nearest is None or worst < nearest[0]:
                nearest = (worst, "; ".join(broken))
        if next(pairs, None) is not None:
            return
        if nearest is not None:
            raise UserError(
                f"no candidate meets the constraints on {self.part.name}. The smallest violation: {nearest[1]}. Change the "
                "topology, folding or device.part, or relax the constraints"
            )
        often = "The most frequent reason: " if len(refused) > 1 else ""
        raise UserError(f"no candidate can be built. {often}{refused.most_common(1)[0][0]}")
