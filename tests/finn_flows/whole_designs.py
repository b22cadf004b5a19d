"""Whole designs side by side in one simulation: compiling one is as long as compiling many."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tests.finn_flows.nodes.bench import compile_nodes
from zerocross.finn_flows.nodes.node import Instance
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.design import INPUT, Design, generate
from zerocross.finn_flows.rtl.simulation import Simulator, Trace
from zerocross.finn_flows.rtl.streaming import elements, words


@dataclass(frozen=True)
class Whole:
    """A design in the place of a node: its elements are named after it."""

    design: Design

    @property
    def inputs(self) -> dict[str, Stream]:
        return {"s": self.design.input}

    @property
    def outputs(self) -> dict[str, Stream]:
        return {"m": self.design.output}

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        def own(name: str) -> str:
            return name if name == INPUT else prefix + name

        made = tuple(
            replace(e, name=own(e.name), sources=tuple((own(name), port) for name, port in e.sources))
            for e in self.design.elements
        )
        generated = generate(Design(self.design.input, made), folder, f"{prefix}top")
        return Instance(generated.top, {}, generated.sources)


@dataclass(frozen=True)
class SideBySide:
    """Designs by name, compiled."""

    designs: Mapping[str, Design]
    simulator: Simulator

    @classmethod
    def of(cls, designs: Mapping[str, Design], folder: Path, runtime: Path) -> "SideBySide":
        wholes = {name: Whole(design) for name, design in designs.items()}
        return cls(designs, compile_nodes(wholes, folder, runtime))  # type: ignore[arg-type]

    def run(
        self, samples: Mapping[str, np.ndarray], stalls: tuple[float, float] = (0.0, 0.0), seed: int = 0
    ) -> tuple[Trace, dict[str, np.ndarray]]:
        """Stream samples through each design; return the trace, and each output as (N, elements)."""
        given = {f"{name}_s": words(samples[name], design.input) for name, design in self.designs.items()}
        counts = {
            f"{name}_m": len(samples[name]) * design.output.words for name, design in self.designs.items()
        }
        trace = self.simulator.run(given, counts, stalls, seed)
        outputs = {
            name: elements(trace.words[f"{name}_m"], design.output) for name, design in self.designs.items()
        }
        return trace, outputs
