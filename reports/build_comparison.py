"""What several builds have in common, and which of them is the smallest and the fastest, in sentences."""

from collections.abc import Sequence
from operator import itemgetter

from zerocross.reports import build_facts, wording
from zerocross.reports.build_records import Build


def verdict(builds: Sequence[Build]) -> str:
    """Return which builds have a fault, and which of the others is the smallest and the fastest.

    A fault is a failed step, a difference from the network, a design that does not fit, or one that misses its clock. LUTs
    are compared only within a family.
    """
    faulty, sound = list[Build](), list[Build]()
    for build in builds:
        bad = any(found.state == "bad" for found in build_facts.verdicts(build))
        (faulty if bad else sound).append(build)
    said = [f"No fault was found in these {wording.count(len(builds), 'build')}."]
    if faulty:
        said = [
            f"{len(faulty)} of {wording.count(len(builds), 'build')} "
            f"{'has' if len(faulty) == 1 else 'have'} a fault: {', '.join(b.name for b in faulty)}."
        ]
    rates = [(rate, b) for b in sound if (rate := _rate(b)) is not None]
    if len(rates) > 1:
        rate, fastest = max(rates, key=itemgetter(0))
        clock = f"{build_facts.usable_clock(fastest):.6g} MHz"
        if fastest.timing.fmax_mhz is None:
            clock += ", which is not known to be possible before place and route"
        how = " (estimated)" if fastest.timing.ii_measured is None else ""
        said.append(f"{fastest.name} is the fastest, with {rate:,.0f} images a second{how} at {clock}.")
    for family in dict.fromkeys(build.family for build in sound):
        own = [build for build in sound if build.family == family]
        # Synthesis and routing count other cells, so only one of them compares.
        counted = {source: _luts(own, source) for source in ("routing", "synthesis")}
        source, sizes = max(counted.items(), key=lambda item: len(item[1]))
        if len(sizes) > 1:
            size, least = min(sizes, key=itemgetter(0))
            named = build_facts.build_with_names(builds, family)
            unit = build_facts.unit(named, "lut", family, source)
            name = build_facts.family_names(named, family).name
            rest = "" if len(sizes) == len(own) else f" of {len(sizes)} with such a count"
            said.append(f"{least} is the smallest on {name}{rest}, with {size:,.0f} {unit} after {source}.")
    return " ".join(said)


def _rate(build: Build) -> float | None:
    return build_facts.rate(build, build.timing.ii_measured is not None)


def _luts(builds: Sequence[Build], source: str) -> list[tuple[float, str]]:
    """Return the LUTs of builds on their own family after a step, with their names, where they were counted."""
    found = []
    for build in builds:
        counted = [c for c in build_facts.columns(build) if c.family == build.family and c.source == source]
        values = [build_facts.whole(build, c, "lut").value for c in counted]
        found += [(value, build.name) for value in values[-1:] if value is not None]
    return found
