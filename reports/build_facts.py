"""Facts that follow from a build's records: verdicts, rates, layers, the bottleneck, and the source of each number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Literal

from zerocross.reports import wording
from zerocross.reports.build_records import (
    STREAM_KINDS,
    Build,
    BuildNode,
    Check,
    Counts,
    Exercise,
    FamilyWords,
    Source,
)

XILINX = {  # families of FINN's models and Vivado's reports
    "7-series": FamilyWords("7-series", "LUT6", "BRAM18"),
    "ultrascale": FamilyWords("UltraScale", "LUT6", "BRAM18"),
    "ultrascale+": FamilyWords("UltraScale+", "LUT6", "BRAM18"),
    "versal": FamilyWords("Versal", "LUT6", "BRAM18"),
    "xilinx": FamilyWords("Xilinx", "LUT6", "BRAM18"),
}


_LITTLE = "less than 1% of every resource"


@dataclass(frozen=True)
class Verdict:
    """The answer to one question about a build.

    Attributes:
        state: Whether the build passes; "unknown" if nothing was measured.
        text: The finding, in a short sentence.
    """

    state: Literal["good", "bad", "unknown"]
    text: str


@dataclass(frozen=True)
class Sum:
    """A resource summed over some nodes.

    Attributes:
        value: Sum over the nodes whose count is known, or None if no count is known.
        known: Number of nodes whose count is known.
        nodes: Number of nodes.
    """

    value: float | None
    known: int
    nodes: int


@dataclass(frozen=True)
class LayerNodes:
    """The nodes that serve one layer, in the order of the stream."""

    name: str
    nodes: list[BuildNode]

    @property
    def work(self) -> list[BuildNode]:
        """Nodes of the layer, without converters and FIFOs."""
        return [node for node in self.nodes if node.kind not in STREAM_KINDS]

    def interval(self, measured: bool) -> int | None:
        """Cycles between two images in the slowest node, or None if unknown."""
        known = [n.ii_measured if measured else n.ii_estimate for n in self.nodes]
        return max((cycles for cycles in known if cycles is not None), default=None)


@dataclass(frozen=True)
class Column:
    """A column of counts from one source, for one family.

    Attributes:
        source: Source of the counts.
        family: Family whose LUTs and block RAMs are counted.
        counts: Function that returns a node's counts, empty if it has none.
        whole: Counts that a tool reported for the whole design; they may differ from the sums over nodes. Empty if no tool
            reported them.
    """

    source: Source
    family: str
    counts: Callable[[BuildNode], Counts]
    whole: Counts = field(default_factory=dict)

    def total(self, nodes: Sequence[BuildNode], resource: str) -> Sum:
        """Return the sum over nodes."""
        known = [counts[resource] for node in nodes if resource in (counts := self.counts(node))]
        return Sum(sum(known) if known else None, len(known), len(nodes))


def sources(build: Build) -> dict[Source, str]:
    """Return the sources of a build's numbers, each with its description."""
    tool = build.tools.get
    return {
        "finn": "estimate by FINN's models",
        "zerocross": "estimate by zerocross' models",
        "hls": "estimate by the vendor's HLS compiler",
        "synthesis": f"counted by {tool('synthesis', 'the synthesiser')}",
        "routing": f"place and route by {tool('routing', 'an unnamed tool')}",
        "simulation": f"measured in a cycle-by-cycle simulation with {tool('simulation', 'an unnamed tool')}",
    }


def sources_used(build: Build) -> list[Source]:
    """Return the sources that report any number of a build, in the order of `sources`."""
    timing, used = build.timing, {column.source for column in columns(build)}
    used |= {use.source for use in build.utilisation}
    if timing.ii_estimate is not None or any(node.ii_estimate is not None for node in build.nodes):
        used.add(timing.estimated_by)
    if timing.ii_measured is not None or any(node.ii_measured is not None for node in build.nodes):
        used.add("simulation")
    if timing.fmax_mhz is not None:
        used.add(clock_source(build))
    return [source for source in sources(build) if source in used]


def clock_source(build: Build) -> Source:
    """Return the source of the highest clock and the slack."""
    return "synthesis" if build.timing.timed_after == "synthesis" else "routing"


def clock_words(build: Build) -> str:
    """Return how the highest clock was determined: "place and route", or the step after which it was estimated."""
    after = build.timing.timed_after
    return "place and route" if after == "routing" else f"estimated after {after}"


def columns(build: Build) -> list[Column]:
    """Return the columns for which any node has counts: the target's family first, estimates before counts.

    FINN's and the HLS compiler's estimates belong to the Xilinx family that the build has counts for.
    """
    named = [build.family] if build.family else []
    named += build.synthesis
    for node in build.nodes:
        named += [*node.synthesis, *node.estimate_zerocross]
    families = list(dict.fromkeys(named))
    xilinx = next((family for family in families if family in XILINX), "7-series")
    result = []
    for family in dict.fromkeys([*families, xilinx]):
        if family == xilinx:
            result.append(Column("finn", family, attrgetter("estimate_finn")))
            result.append(Column("hls", family, attrgetter("estimate_hls")))
        result.append(Column("zerocross", family, _of_family("estimate_zerocross", family)))
        counted = _of_family("synthesis", family)
        result.append(Column("synthesis", family, counted, build.synthesis.get(family, {})))
        if family == (build.family or xilinx):
            result.append(Column("routing", family, lambda node: node.routed or {}, build.routed or {}))
    return [column for column in result if column.whole or any(column.counts(node) for node in build.nodes)]


def whole(build: Build, column: Column, resource: str) -> Sum:
    """Return a resource of the whole design: the count of the whole if there is one, else the sum over its nodes."""
    if resource in column.whole:
        return Sum(column.whole[resource], len(build.nodes), len(build.nodes))
    return column.total(build.nodes, resource)


AROUND = "around the layers"
"""Name of what a routed design has beyond its nodes, such as the serial line."""


def around(build: Build, column: Column, resource: str) -> float | None:
    """Return what the routed design has beyond its nodes; None if it is unknown."""
    nodes, everything = column.total(build.nodes, resource).value, whole(build, column, resource).value
    if column.source != "routing" or nodes is None or everything is None:
        return None
    return everything - nodes


def ratio(nodes: Sequence[BuildNode], estimate: Column, counted: Column, resource: str) -> float | None:
    """Return estimate / count, over the nodes that have both; None without such nodes or if the count is 0."""
    both = [
        (left[resource], right[resource])
        for node in nodes
        if resource in (left := estimate.counts(node)) and resource in (right := counted.counts(node))
    ]
    whole = sum(right for _, right in both)
    return sum(left for left, _ in both) / whole if whole else None


def layers(build: Build) -> list[LayerNodes]:
    """Return the nodes by layer, in the order in which the stream first reaches the layers."""
    order = list(dict.fromkeys(node.layer for node in build.nodes))
    nodes = sorted(build.nodes, key=lambda node: order.index(node.layer))
    return [
        LayerNodes(name or "no layer", list(group)) for name, group in groupby(nodes, attrgetter("layer"))
    ]


def interval(node: BuildNode) -> int | None:
    """Return a node's cycles between two images: measured if known, else estimated."""
    return node.ii_estimate if node.ii_measured is None else node.ii_measured


def bottleneck(build: Build) -> BuildNode | None:
    """Return the node with the most cycles per image, the first if several tie, or None if no cycles are known."""
    known = [(interval(node), node) for node in build.nodes if node.kind not in STREAM_KINDS]
    return max(((c, n) for c, n in known if c), key=lambda pair: pair[0], default=(0, None))[1]


def misses_clock(build: Build) -> bool:
    """Return whether the design is slower than its clock, as far as tools know."""
    timing = build.timing
    if timing.slack_ns is not None:
        return timing.slack_ns < 0
    return timing.fmax_mhz is not None and build.clock_mhz is not None and timing.fmax_mhz < build.clock_mhz


def load_words(build: Build) -> str:
    """Return what precedes the command that loads the bitstream."""
    return (
        f"Load the bitstream{' all the same' if misses_clock(build) or build.timing.violated else ''} with:"
    )


def usable_clock(build: Build) -> float | None:
    """Return the clock in MHz at which a design works: the requested one, or the highest if that is lower."""
    return build.timing.fmax_mhz if misses_clock(build) else build.clock_mhz


def images_a_second(build: Build, clock_mhz: float | None, measured: bool) -> float | None:
    """Return the clock over the initiation interval, or None if either is unknown."""
    cycles = build.timing.ii_measured if measured else build.timing.ii_estimate
    return clock_mhz * 1e6 / cycles if clock_mhz and cycles else None


def rate(build: Build, measured: bool) -> float | None:
    """Return the images a second at the clock at which the design works, or None if a number is unknown."""
    return images_a_second(build, usable_clock(build), measured)


def microseconds(cycles: int | None, clock_mhz: float | None) -> float | None:
    """Return the time of some cycles at a clock in microseconds, or None if either is unknown."""
    return cycles / clock_mhz if cycles is not None and clock_mhz else None


def verdicts(build: Build) -> list[Verdict]:
    """Return whether the build is bit-exact, fits and meets its clock; failed steps come first.

    Samples that cannot tell whether it is exact are a verdict of their own.
    """
    stopped = [
        Verdict("bad", f"Stopped at {stage.name}: {stage.note or 'no reason recorded'}")
        for stage in build.stages
        if stage.state == "failed"
    ]
    return [*stopped, _exact(build), *_exercised(build), _fits(build), _in_time(build)]


def exercise_text(exercise: Exercise) -> str:
    """Return how many samples there were and how much of the network they exercised, in one sentence."""
    are_distinct = exercise.distinct == exercise.samples
    samples = f"{exercise.distinct:,} distinct" + ("" if are_distinct else f" of {exercise.samples:,}")
    every = exercise.classes_seen == exercise.classes
    classes = f"all {exercise.classes:,}" if every else f"{exercise.classes_seen:,} of {exercise.classes:,}"
    crossings = exercise.total("crossings")
    return (
        f"{samples}, {classes} classes; {_share(exercise.inputs_changed, exercise.inputs)} of inputs and "
        f"{_share(exercise.total('changed'), exercise.total('channels'))} of channels seen at more than one value, "
        f"{_share(exercise.total('both_sides'), crossings)} of crossings seen from both sides, "
        f"{_share(exercise.total('at_step'), crossings)} at the integers beside them"
    )


def _share(seen: int, whole: int) -> str:
    """Return a share in percent, rounded down: only the whole is 100%."""
    return f"{100 * seen // whole if whole else 100}%"


def _exercised(build: Build) -> list[Verdict]:
    """Return a doubt about the comparisons if their samples are all the same or of one class."""
    found = build.certificate.exercise if build.certificate else None
    if found is None or not found.samples:
        return []
    if found.distinct == 1 < found.samples:
        return [
            Verdict("unknown", f"The {found.samples:,} samples are all the same: the comparison says little")
        ]
    if found.classes_seen == 1:
        text = f"The samples show only 1 of {found.classes:,} classes: the comparison says little about the others"
        return [Verdict("unknown", text)]
    return []


def remarks(build: Build) -> list[str]:
    """Return what the host computes, how it scales pixels, what estimates lack, and the build's own choices."""
    host = [f"The host computes {', '.join(build.host)}."] if build.host else []
    pixels = [f"Pixels of image files: {build.pixels}."] if build.pixels else []
    finn = (
        [
            "FINN has no node for wired layers. Its estimate is for a completely unrolled matrix product, so it says "
            "nothing about them."
        ]
        if build.wired
        else []
    )
    return [*host, *pixels, *finn, *build.notes]


def dropped_text(build: Build) -> str:
    """Return a sentence on the outputs of the file that were dropped; "" if there are none."""
    if not build.dropped:
        return ""
    noun = "output" if len(build.dropped) == 1 else "outputs"
    names = ", ".join(build.dropped)
    return f"The file's {noun} {names}: not computed by the hardware, and not compared."


def accuracy_of(build: Build) -> str:
    """Return whose accuracy on the test set is given: a file's network is not trained here."""
    return "trained network" if build.trained else "network of the file"


def unit(build: Build, resource: str, family: str = "", source: str = "") -> str:
    """Return a resource's name in a family (default: the build's), such as "LUT4" or "BRAM18".

    Place and route ("routing") may count other cells than LUTs.
    """
    words = family_names(build, family or build.family)
    if source == "routing" and resource == "lut" and words.cell:
        return words.cell
    return {"lut": words.lut, "bram": words.bram}.get(resource, resource.upper())


def family_names(build: Build, family: str) -> FamilyWords:
    """Return the names of a family and its resources, from the build or from `XILINX`."""
    known = XILINX | build.words
    return known.get(family, FamilyWords(family, "LUT", "block RAM"))


def build_with_names(builds: Sequence[Build], family: str) -> Build:
    """Return the first build that has names for a family, else the first build."""
    return next((build for build in builds if family in build.words), builds[0])


def _of_family(field: str, family: str) -> Callable[[BuildNode], Counts]:
    return lambda node: getattr(node, field).get(family, {})


def _exact(build: Build) -> Verdict:
    checks = build.certificate.checks if build.certificate else []
    if not checks:
        return Verdict("unknown", "Not compared with the network")
    wrong = [check for check in checks if check.differences]
    if wrong:
        found = "; ".join(
            f"{check.left} and {check.right} differ in {check.compared} on {check.differences:,} of {check.images:,}"
            for check in wrong
        )
        return Verdict("bad", f"Not exact: {found} images")
    images = max(check.images for check in checks)
    if not images:
        return Verdict("unknown", "Compared on no images")
    fewer = [_on_fewer(check) for check in checks if check.images < images]
    ties = sum(check.ties for check in checks)
    tied = (
        [f"on {wording.count(ties, 'of them', 'of them')} up to a tie, which float32's rounding decides"]
        if ties
        else []
    )
    return Verdict("good", "; ".join([f"All forms agree on {wording.count(images, 'image')}", *tied, *fewer]))


def _on_fewer(check: Check) -> str:
    form, stalled, _ = check.right.partition(", stalled")
    if stalled:
        return f"the {form} also agrees under random stalls on {check.images:,}"
    return f"the {form} was compared on {check.images:,}"


def _fits(build: Build) -> Verdict:
    part = build.board or build.part or "the part"
    shares = [(use.used / use.available, use) for use in build.utilisation if use.available]
    over = [use for use in build.utilisation if use.used > use.available]
    if over:
        found = ", ".join(f"{use.used:,.0f} of {use.available:,.0f} {use.resource}" for use in over)
        return Verdict("bad", f"Does not fit {part}: {found}")
    if not shares:
        return Verdict("unknown", "Resources of the part are not known")
    share, use = max(shares, key=lambda pair: pair[0])
    fits = "Should fit" if use.source in ("finn", "zerocross", "hls") else "Fits"
    state: Literal["good", "unknown"] = "good" if fits == "Fits" else "unknown"
    most = f"at most {100 * share:.0f}% of any resource ({use.resource})" if share >= 0.01 else _LITTLE
    return Verdict(state, f"{fits} {part}: uses {most}")


def _in_time(build: Build) -> Verdict:
    found, violated = _in_setup(build), build.timing.violated
    if not violated or build.timing.timed_after != "routing":
        return found
    return Verdict("bad", f"Violates {'; and '.join(violated)}. {found.text}")


def _in_setup(build: Build) -> Verdict:
    timing, asked = build.timing, build.clock_mhz
    if timing.fmax_mhz is None and timing.slack_ns is None:
        reason = "no tool reported it" if build.routed else "not placed and routed"
        return Verdict("unknown", f"Clock not known: {reason}")
    reached = "" if timing.fmax_mhz is None else f"up to {timing.fmax_mhz:.1f} MHz"
    if timing.slack_ns is not None:
        met = timing.slack_ns >= 0
    elif asked is None:
        return Verdict("unknown", f"Runs at {reached}; no clock was requested")
    else:
        met = (timing.fmax_mhz or 0.0) >= asked
    aim = "its clock" if asked is None else f"{asked:g} MHz"
    found = reached if timing.slack_ns is None else f"{reached}, slack {timing.slack_ns:+.2f} ns".lstrip(", ")
    state: Literal["good", "bad", "unknown"] = "good" if met else "bad"
    words = "Meets" if met else "Misses"
    if timing.timed_after != "routing":  # the delays of wires are not known yet
        words, found = "Should meet" if met else "May miss", f"{found}, {clock_words(build)}"
        state = "unknown"
    return Verdict(state, f"{words} {aim}: {found}".replace("-", "\u2212"))
