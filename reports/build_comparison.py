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
        said.append(f"{fastest.name} is the fastest, with {rate:,.0f} images a second at {clock}.")
    for family in dict.fromkeys(build.family for build in sound):
        sizes = [(size, b.name) for b in sound if b.family == family and (size := _luts(b)) is not None]
        if len(sizes) > 1:
            size, least = min(sizes, key=itemgetter(0))
            named = build_facts.build_with_names(builds, family)
            unit, name = build_facts.unit(named, "lut", family), build_facts.family_names(named, family).name
            said.append(f"{least} is the smallest on {name}, with {size:,.0f} {unit}.")
    return " ".join(said)


def _rate(build: Build) -> float | None:
    return build_facts.rate(build, build.timing.ii_measured is not None)


def _luts(build: Build) -> float | None:
    """Return a build's LUTs on its own family, by the last tool that counted them; None if none did."""
    counted = [c for c in build_facts.columns(build) if c.family == build.family]
    values = [
        build_facts.whole(build, c, "lut").value for c in counted if c.source in ("synthesis", "routing")
    ]
    return next((value for value in reversed(values) if value is not None), None)
