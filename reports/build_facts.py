"""What a build's records say when read together: verdicts, rates, layers, the bottleneck, and who said each number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Literal

from zerocross.reports import wording
from zerocross.reports.build_records import STREAM_KINDS, Build, BuildNode, Counts, FamilyWords, Source

XILINX = {  # families that FINN's models and Vivado's reports speak of
    "7-series": FamilyWords("7-series", "LUT6", "BRAM18"),
    "ultrascale+": FamilyWords("UltraScale+", "LUT6", "BRAM18"),
}


@dataclass(frozen=True)
class Verdict:
    """One thing asked of a build.

    Attributes:
        state: whether it holds, or nobody has found out.
        text: what was found, in a short sentence.
    """

    state: Literal["good", "bad", "unknown"]
    text: str


@dataclass(frozen=True)
class Sum:
    """A resource summed over some nodes.

    Attributes:
        value: the sum over the nodes of which it is known, or None if it is of none.
        known: of how many nodes it is known.
        nodes: how many nodes there are.
    """

    value: float | None
    known: int
    nodes: int


@dataclass(frozen=True)
class Layer:
    """The nodes that serve one layer, in the order of the stream."""

    name: str
    nodes: list[BuildNode]

    @property
    def work(self) -> list[BuildNode]:
        """Its nodes without converters and FIFOs."""
        return [node for node in self.nodes if node.kind not in STREAM_KINDS]

    def interval(self, measured: bool) -> int | None:
        """Cycles between two images of its slowest node, or None if unknown."""
        known = [n.ii_measured if measured else n.ii_estimate for n in self.nodes]
        return max((cycles for cycles in known if cycles is not None), default=None)


@dataclass(frozen=True)
class Column:
    """A column of counts: who says it, of which family.

    Attributes:
        source: who.
        family: of whose LUTs and block RAMs.
        counts: takes a node's counts; empty where there are none.
        whole: counts of the whole design, which is not the sum of its nodes; empty where there are none.
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
    """Return who says the numbers of a build, and in which words."""
    tool = build.tools.get
    return {
        "finn": "estimate by FINN's models",
        "zerocross": "estimate by zerocross' models",
        "hls": "estimate by the maker's HLS compiler",
        "synthesis": f"counted by {tool('synthesis', 'the synthesiser')}",
        "routing": f"place and route by {tool('routing', 'an unnamed tool')}",
        "simulation": f"measured by simulating the design cycle by cycle with {tool('simulation', 'an unnamed tool')}",
    }


def sources_used(build: Build) -> list[Source]:
    """Return who says any number of a build, in the order of `sources`."""
    timing, used = build.timing, {column.source for column in columns(build)}
    used |= {use.source for use in build.utilisation}
    if timing.ii_estimate is not None or any(node.ii_estimate is not None for node in build.nodes):
        used.add(timing.estimated_by)
    if timing.ii_measured is not None or any(node.ii_measured is not None for node in build.nodes):
        used.add("simulation")
    if timing.fmax_mhz is not None:
        used.add("routing")
    return [source for source in sources(build) if source in used]


def columns(build: Build) -> list[Column]:
    """Return the columns of counts that any node has, the target's family first, estimates before counts.

    FINN's and the HLS compiler's estimates stand under the Xilinx family that the build has counts of.
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
    """Return a resource of the whole design: counted whole where it was, else the sum over its nodes."""
    if resource in column.whole:
        return Sum(column.whole[resource], len(build.nodes), len(build.nodes))
    return column.total(build.nodes, resource)


def ratio(nodes: Sequence[BuildNode], estimate: Column, counted: Column, resource: str) -> float | None:
    """Return estimate over count, over the nodes of which both are known; None without any, or where none was counted."""
    both = [
        (left[resource], right[resource])
        for node in nodes
        if resource in (left := estimate.counts(node)) and resource in (right := counted.counts(node))
    ]
    whole = sum(right for _, right in both)
    return sum(left for left, _ in both) / whole if whole else None


def layers(build: Build) -> list[Layer]:
    """Return the nodes by layer; layers stand in the order in which the stream first meets them."""
    order = list(dict.fromkeys(node.layer for node in build.nodes))
    nodes = sorted(build.nodes, key=lambda node: order.index(node.layer))
    return [
        Layer(name or "around the network", list(group))
        for name, group in groupby(nodes, attrgetter("layer"))
    ]


def interval(node: BuildNode) -> int | None:
    """Return a node's cycles between two images, measured where they were."""
    return node.ii_estimate if node.ii_measured is None else node.ii_measured


def bottleneck(build: Build) -> BuildNode | None:
    """Return the node that takes the most cycles an image, the first of several, or None if none is known.

    Measured cycles do not tell: behind a slow node all wait for it. So formulas go first here.
    """
    known = [
        (node.ii_measured if node.ii_estimate is None else node.ii_estimate, node)
        for node in build.nodes
        if node.kind not in STREAM_KINDS
    ]
    return max(((c, n) for c, n in known if c), key=lambda pair: pair[0], default=(0, None))[1]


def images_a_second(build: Build, clock_mhz: float | None, measured: bool) -> float | None:
    """Return the clock over the initiation interval, or None if either is unknown."""
    cycles = build.timing.ii_measured if measured else build.timing.ii_estimate
    return clock_mhz * 1e6 / cycles if clock_mhz and cycles else None


def microseconds(cycles: int | None, clock_mhz: float | None) -> float | None:
    """Return the time of some cycles at a clock."""
    return cycles / clock_mhz if cycles is not None and clock_mhz else None


def verdicts(build: Build) -> list[Verdict]:
    """Return whether the build is bit-exact, fits and meets its clock, and where it stopped if it did."""
    stopped = [
        Verdict("bad", f"Stopped at {stage.name}: {stage.note or 'no reason recorded'}")
        for stage in build.stages
        if stage.state == "failed"
    ]
    return [*stopped, _exact(build), _fits(build), _in_time(build)]


def unit(build: Build, resource: str, family: str = "") -> str:
    """Return a resource's name in a family, the build's own by default: "LUT4", "BRAM18"."""
    words = words_of(build, family or build.family)
    return {"lut": words.lut, "bram": words.bram}.get(resource, resource.upper())


def words_of(build: Build, family: str) -> FamilyWords:
    """Return what a family is called, by the build or, of Xilinx' families, without it."""
    known = XILINX | build.words
    return known.get(family, FamilyWords(family, "LUT", "block RAM"))


def that_names(builds: Sequence[Build], family: str) -> Build:
    """Return the first of the builds that says what a family is called, or the first of all."""
    return next((build for build in builds if family in build.words), builds[0])


def _of_family(field: str, family: str) -> Callable[[BuildNode], Counts]:
    return lambda node: getattr(node, field).get(family, {})


def _exact(build: Build) -> Verdict:
    checks = build.certificate.checks if build.certificate else []
    if not checks:
        return Verdict("unknown", "Not compared with the trained network")
    wrong = [check for check in checks if check.differences]
    if wrong:
        found = "; ".join(
            f"{check.differences:,} {check.compared} between {check.left} and {check.right}"
            for check in wrong
        )
        return Verdict("bad", f"Not exact: differences in {found}")
    images = max(check.images for check in checks)
    if not images:
        return Verdict("unknown", "Compared on no images")
    fewer = [f"{check.right} on {check.images:,}" for check in checks if check.images < images]
    found = f"0 differences on {wording.count(images, 'image')}" + (f" ({', '.join(fewer)})" if fewer else "")
    return Verdict("good", f"Exact from {checks[0].left} to {checks[-1].right}: {found}")


def _fits(build: Build) -> Verdict:
    part = build.board or build.part or "the part"
    shares = [(use.used / use.available, use) for use in build.utilisation if use.available]
    over = [use for use in build.utilisation if use.used > use.available]
    if over:
        found = ", ".join(f"{use.used:,.0f} {use.resource} of {use.available:,.0f}" for use in over)
        return Verdict("bad", f"Does not fit {part}: {found}")
    if not shares:
        return Verdict("unknown", "Resources of the part are not known")
    share, use = max(shares, key=lambda pair: pair[0])
    fits = "Should fit" if use.source in ("finn", "zerocross", "hls") else "Fits"
    state: Literal["good", "unknown"] = "good" if fits == "Fits" else "unknown"
    return Verdict(state, f"{fits} {part}: at most {100 * share:.0f}% of a resource ({use.resource})")


def _in_time(build: Build) -> Verdict:
    timing, asked = build.timing, build.clock_mhz
    if timing.fmax_mhz is None and timing.slack_ns is None:
        return Verdict("unknown", "Clock not known: not placed and routed")
    reached = "" if timing.fmax_mhz is None else f"up to {timing.fmax_mhz:.1f} MHz"
    if timing.slack_ns is not None:
        met = timing.slack_ns >= 0
    elif asked is None:
        return Verdict("unknown", f"Runs at {reached}; no clock was asked for")
    else:
        met = (timing.fmax_mhz or 0.0) >= asked
    aim = "its clock" if asked is None else f"{asked:g} MHz"
    found = reached if timing.slack_ns is None else f"{reached}, slack {timing.slack_ns:+.2f} ns".lstrip(", ")
    return Verdict(
        "good" if met else "bad", f"{'Meets' if met else 'Misses'} {aim}: {found}".replace("-", "\u2212")
    )
