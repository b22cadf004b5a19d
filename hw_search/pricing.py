"""What a candidate costs on the configured device, and whether it keeps to the constraints."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

from zerocross.finn_flows.cost import Cost, Resources, estimate
from zerocross.finn_flows.folding import Folding, FoldingError
from zerocross.finn_flows.network import Activation, Network, NetworkError
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


class Infeasible(Exception):
    """A candidate that has no hardware as asked; the message is the reason."""


class Pricer:
    """Prices candidates of a space on the configured part and clock.

    Args:
        config: the configuration.
        space: the candidates' space.

    Raises:
        UserError: if there is no such part.
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
        """Return a topology's layers, every channel with one crossing.

        Raises:
            Infeasible: if the topology cannot be built or has no hardware.
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

    def cost(self, candidate: Candidate, crossings: CrossingCounts | None = None) -> Cost:
        """Return a candidate's cost; without crossings the least it can be: no channel ever changes.

        Raises:
            Infeasible: if it cannot be folded as asked, or a layer has no hardware.
        """
        network = self.network(candidate.topology)
        if crossings is not None:
            return self._estimate(
                network, candidate, {name: tuple(counts) for name, counts in crossings.items()}
            )
        key = json.dumps([candidate.topology, candidate.folding], sort_keys=True)
        if key not in self._least:
            none = {
                layer.name: (0,) * len(layer.operation.crossings)
                for layer in network.layers
                if isinstance(layer.operation, Activation)
            }
            self._least[key] = self._estimate(network, candidate, none)
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
        except (FoldingError, UnsupportedLayer, NetworkError) as error:
            raise Infeasible(str(error)) from None

    def resources(self, cost: Cost) -> Resources:
        """Return the estimates the search goes by."""
        return cost.finn if self.config.cost_model == "finn" else cost.zerocross

    def metrics(self, cost: Cost, model: str | None = None) -> dict[str, float]:
        """Return a cost's metrics by name, by the search's cost model or the one named."""
        return costs(cost, model or self.config.cost_model)

    def violations(self, cost: Cost) -> dict[str, float]:
        """Return by how much a cost breaks each constraint, relative to its limit, with the text that says so."""
        limits, used = self.config.constraints, self.resources(cost)
        found: dict[str, float] = {}
        if limits.fit:
            for name, value, limit in (
                ("LUT", used.lut, self.part.luts),
                ("BRAM18", used.bram18, self.part.bram18),
                ("DSP", used.dsp, self.part.dsps),
            ):
                if value > limit:
                    found[f"{value:,} {name} do not fit the {limit:,} of {self.part.name}"] = (
                        value / max(limit, 1) - 1
                    )
        if limits.min_fps is not None and cost.fps < limits.min_fps:
            found[f"{cost.fps:,.0f} frames a second are below min_fps {limits.min_fps:,.0f}"] = (
                limits.min_fps / cost.fps - 1
            )
        latency = self.metrics(cost)["latency"]
        if limits.max_latency is not None and latency > limits.max_latency:
            found[f"{latency:,.0f} cycles are above max_latency {limits.max_latency:,}"] = (
                latency / limits.max_latency - 1
            )
        return found

    def check_space(self) -> None:
        """Look whether anything in the space can be built at all.

        In a space of more than 256 architectures without one that can among the first 256, the search itself
        is left to find out.

        Raises:
            UserError: if every architecture breaks a constraint at its cheapest; the message says what the nearest
                one needs.
        """
        nearest: tuple[float, str] | None = None
        pairs = itertools.product(self._space.topologies(), self._space.foldings())
        for topology, folding in itertools.islice(pairs, _MOST_CHECKED):
            candidate = Candidate((), topology, {}, folding, {})
            try:
                broken = self.violations(self.cost(candidate))
            except Infeasible as error:
                broken = {str(error): float("inf")}
            if not broken:
                return
            worst = max(broken.values())
            if nearest is None or worst < nearest[0]:
                nearest = (worst, "; ".join(broken))
        if nearest is not None and next(pairs, None) is None:
            remedy = "offer another topology, folding or device.part, or looser constraints"
            raise UserError(
                f"no candidate can be built on {self.part.name}. The nearest: {nearest[1]}. Remedy: {remedy}"
            )
