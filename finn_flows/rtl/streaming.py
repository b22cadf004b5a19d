"""Simulation of whole designs: FIFO depths, interval, latency and outputs.

The timing of a design does not depend on its data, so a few samples show the schedule of all.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from zerocross.finn_flows.nodes.stream import Stream, from_bits, to_bits
from zerocross.finn_flows.rtl.design import TOP, Design, Generated, generate, with_fifos
from zerocross.finn_flows.rtl.simulation import Port, Simulator, Trace, compile_design

Progress = Callable[[float], None]

_SIZING_SAMPLES = (4, 24, 48)  # more only if a design has not settled
_FIRST_DEPTH = 512
_PART, _PARTS = 25, 16  # least samples of a part that runs in a process of its own, and most parts


@dataclass(frozen=True)
class Streamed:
    """Results of a simulation.

    Attributes:
        outputs: Output of each sample, (N, elements of the output stream).
        taps: Observed streams by element, (N, elements).
        interval: Cycles from one sample's last output word to that of the next, after the pipeline is full.
        latency: Cycles from the first sample's first input word to its last output word, both included.
        cycles: Cycles from the first input word to the last output word, of all parts together.
        printed: Lines that the design printed.
    """

    outputs: np.ndarray
    taps: dict[str, np.ndarray]
    interval: float
    latency: int
    cycles: int
    printed: tuple[str, ...]


@dataclass(frozen=True)
class CompiledDesign:
    """A design compiled for simulation.

    Attributes:
        design: Design that is simulated.
        simulator: Compiled program.
        taps: Elements whose outputs are observed.
    """

    design: Design
    simulator: Simulator
    taps: tuple[str, ...] = ()

    def stream(
        self,
        samples: np.ndarray,
        stalls: tuple[float, float] = (0.0, 0.0),
        pace: float = 0.0,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Streamed:
        """Stream samples through the design without gaps.

        Many samples run in parts, each in a process of its own, as many at once as there are processor cores. The parts
        depend only on the number of samples. Interval, latency and printed lines are those of the first part.

        Args:
            samples: Unsigned integers, shape (N, elements of the input stream); bits as 0 and 1.
            stalls: Probabilities that the input withholds a word and that the output refuses one, 0 to 1.
            pace: Least number of cycles from one sample to the next.
            seed: Seed of the stalls.
            progress: Called with the completed share.

        Raises:
            SimulationError: If the design hangs, or breaks the rules of a stream.
        """
        parts = np.array_split(samples, min(_PARTS, max(1, len(samples) // _PART)))
        shares, lock = [0.0] * len(parts), Lock()

        def run(index: int) -> Streamed:
            def tell(share: float) -> None:
                with lock:
                    shares[index] = share
                    if progress is not None:
                        progress(sum(shares) / len(shares))

            return self._stream(parts[index], stalls, pace, seed + index, tell)

        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            streamed = list(pool.map(run, range(len(parts))))
        first = streamed[0]
        return Streamed(
            np.concatenate([part.outputs for part in streamed]),
            {name: np.concatenate([part.taps[name] for part in streamed]) for name in self.taps},
            first.interval,
            first.latency,
            sum(part.cycles for part in streamed),
            first.printed,
        )

    def _stream(
        self,
        samples: np.ndarray,
        stalls: tuple[float, float],
        pace: float,
        seed: int,
        progress: Progress,
    ) -> Streamed:
        source, sink = self.design.input, self.design.output
        streams = {"m": sink, **{f"{name}_tap": _output(self.design, name) for name in self.taps}}
        trace = self.simulator.run(
            {"s": words(samples, source)},
            {name: len(samples) * stream.words for name, stream in streams.items()},
            stalls=stalls,
            seed=seed,
            pace=pace / source.words,
            progress=progress,
            # A word may wait for the work of all elements.
            quiet=100_000 + 4 * sum(self.design.intervals().values()),
        )
        values = {name: elements(trace.words[name], stream) for name, stream in streams.items()}
        interval, latency, cycles = _timing(trace, source, sink)
        taps = {name: values[f"{name}_tap"] for name in self.taps}
        return Streamed(values["m"], taps, interval, latency, cycles, trace.printed)


def _timing(trace: Trace, source: Stream, sink: Stream) -> tuple[float, int, int]:
    taken, given = trace.taken["s"], trace.given["m"]
    ends = given[sink.words - 1 :: sink.words]
    # The first samples fill the pipeline; the others leave at its interval.
    settled = ends[(len(ends) - 1) // 2 :]
    interval = (settled[-1] - settled[0]) / (len(settled) - 1) if len(settled) > 1 else float("nan")
    return float(interval), int(ends[0] - taken[0]) + 1, int(ends[-1] - taken[0]) + 1


def compile_streaming(
    design: Design,
    folder: Path,
    taps: Sequence[str] = (),
    cache: Path | None = None,
    top: str = TOP,
    slim: bool = False,
) -> tuple[CompiledDesign, Generated]:
    """Write a design's files to a folder and compile its simulation there; see `generate` and `compile_design`."""
    generated = generate(design, folder, top, taps, slim)
    ports = [Port("m", design.output.width)]
    ports += [Port(f"{name}_tap", _output(design, name).width, tap=True) for name in taps]
    simulator = compile_design(
        generated.top, generated.sources, [Port("s", design.input.width)], ports, folder, cache
    )
    return CompiledDesign(design, simulator, tuple(taps)), generated


def size_fifos(design: Design, folder: Path, cache: Path | None = None) -> tuple[dict[str, int], float]:
    """Return the depth that each FIFO needs, by name, and the resulting interval of the design.

    The design runs with FIFOs that are deeper than needed, and each records its high-water mark. Samples arrive at the
    interval of the slowest node. FIFOs of these depths allow the same schedule. A node never waits longer for words that
    arrive earlier, so a design that is fed faster is no slower.

    A node that stalls between samples catches up once words wait in front of it. In a deep network with many slow nodes,
    this takes several samples: more of them are simulated until the output keeps the pace. If it never does, the design is
    sized for the interval that it reached. The schedule does not depend on values, so most logic that computes values is
    left out (`HardwareNode.slim`).

    Args:
        design: Design without FIFOs.
        folder: Folder for the simulation.
        cache: See `compile_design`.
    """
    # Words of a faster branch may wait for a whole sample of the slower one, and for one more while that sample leaves.
    depths = {
        element.fifo_name(port): max(_FIRST_DEPTH, 2 * stream.words)
        for element in design.elements
        for port, stream in element.node.inputs.items()
    }
    slowest = float(max(design.input.words, *design.intervals().values()))
    while True:
        deep, _ = compile_streaming(with_fifos(design, depths, probe=True), folder, cache=cache, slim=True)
        for count in _SIZING_SAMPLES:
            streamed = deep.stream(np.zeros((count, design.input.elements), np.int64), pace=slowest)
            interval = max(slowest, round(streamed.interval))
            if interval == slowest:
                break
        marks = _marks(streamed.printed)
        if all(mark < depths[name] for name, mark in marks.items()):
            return marks, interval
        depths = {name: 8 * depth for name, depth in depths.items()}


def _marks(printed: Sequence[str]) -> dict[str, int]:
    """Return the high-water marks of lines "FIFO <top.name...> <words>"."""
    marks = {}
    for line in printed:
        kind, *rest = line.split()
        if kind == "FIFO":
            # The path starts with Verilator's own root and ends with the FIFO's inner modules.
            name = next(part for part in rest[0].split(".") if part.endswith("_fifo"))
            marks[name] = int(rest[1])
    return marks


def first_difference(
    design: Design, samples: np.ndarray, folder: Path, cache: Path | None = None
) -> str | None:
    """Describe the first element whose output differs from its reference; None if all agree.

    Args:
        design: Design to simulate.
        samples: Inputs, (N, elements).
        folder: Folder for a simulation that observes every stream.
        cache: See `compile_design`.
    """
    names = [element.name for element in design.elements if "m" in element.node.outputs]
    compiled, _ = compile_streaming(design, folder, taps=names[:-1], cache=cache)
    streamed = compiled.stream(samples)
    values = design.run(samples)
    for name in names:
        found, expected = streamed.taps.get(name, streamed.outputs), values[name, "m"]
        if (found != expected).any():
            sample, place = np.argwhere(found != expected)[0]
            return (
                f"{name}: element {place} of sample {sample} is {found[sample, place]}, "
                f"not {expected[sample, place]}"
            )
    return None


def words(samples: np.ndarray, stream: Stream) -> np.ndarray:
    """Convert samples (N, elements) to a stream's words, (N * words, width) bits."""
    return to_bits(np.asarray(samples).reshape(-1, stream.lanes), stream.bits)


def elements(rows: np.ndarray, stream: Stream) -> np.ndarray:
    """Convert a stream's words (N * words, width) back to samples (N, elements)."""
    return from_bits(rows, stream.bits, stream.signed).reshape(-1, stream.elements)


def _output(design: Design, name: str) -> Stream:
    return design.streams[name, "m"]
