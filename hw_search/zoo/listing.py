"""The zoo as tables: one row for each entry, and all figures of one."""

from collections.abc import Sequence

from zerocross.finn_flows.families import get_family
from zerocross.finn_flows.parts import get_part
from zerocross.hw_search.zoo.entry import Entry, Measured
from zerocross.models.topologies import has_slots
from zerocross.reports.wording import expressions

_FAMILY = "7-series"  # the family of the columns LUT6, BRAM18, II and latency

COLUMNS = (
    "name",
    "activation",
    "test %",
    "LUT6",
    "BRAM18",
    "II",
    "latency",
    "ECP5 LUT4",
    "ECP5 max MHz",
)
"""Columns of the list."""

LEGEND = (
    "test %: on the whole test set, mean ± deviation over the seeds. ~: an estimate; without ~: LUT6 and BRAM18 of the "
    "design for a 7-series part, counted by Yosys, and its II and latency in cycles of the simulated RTL. ECP5: LUT4 and "
    "highest clock of the design for an ECP5, from nextpnr."
)
"""Meaning of the columns."""


def row(entry: Entry) -> list[str]:
    """Return an entry's values for `COLUMNS`."""
    guess = entry.estimate
    estimate = guess.zerocross if guess and get_part(guess.part).family == _FAMILY else {}
    routed = next((build for build in entry.builds if build.family == "ecp5"), None)
    # A design for another family has other memories: its count of LUT6 is not what the estimate is for.
    fitted = next((build for build in entry.builds if build.family == _FAMILY), None)
    counted = fitted.counted.get(_FAMILY, {}) if fitted else {}
    return [
        entry.name,
        activation(entry),
        accuracy(entry),
        _beside(counted.get("lut"), estimate.get("lut")),
        _beside(counted.get("bram"), estimate.get("bram")),
        _beside(fitted.ii if fitted else None, estimate.get("ii")),
        _beside(fitted.latency if fitted else None, estimate.get("latency")),
        number(routed.routed.get("lut")) if routed and routed.routed else "",
        f"{routed.fmax_mhz:.1f}" if routed and routed.fmax_mhz else "",
    ]


def markdown(entries: Sequence[Entry]) -> str:
    """Return the list as a Markdown table, with its legend."""
    lines = [COLUMNS, ["---", "---", *["---:"] * (len(COLUMNS) - 2)]]
    lines += [[f"`{first}`", *rest] for first, *rest in (row(entry) for entry in entries)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + f"\n{LEGEND}\n"


def details(entry: Entry, name: str) -> list[tuple[str, str]]:
    """Return all that is known of an entry, as names and values.

    Args:
        entry: The entry.
        name: What finds it: its name, or the path of its file.
    """
    first = entry.trainings[0]
    topology = ", ".join(f"{key} {value}" for key, value in entry.topology.items() if key != "name")
    found = [
        ("topology", ": ".join(filter(None, (entry.topology["name"], topology)))),
        ("activation", activation(entry)),
        ("data", f"{entry.data}, samples of shape {tuple(entry.input_shape)}, {entry.classes} classes"),
        ("test accuracy", f"{accuracy(entry)} % of {entry.test_samples:,} samples"),
    ]
    for training in entry.trainings:
        role = ", weights of this entry" if training is first else ""
        accuracies = f"test {100 * training.test:.2f} %, validation {100 * training.validation:.2f} %"
        time = f"{training.epochs} epochs in {training.seconds:.0f} s on {training.device}"
        found.append((f"seed {training.seed}", f"{accuracies}, {time}{role}"))
    if entry.estimate:
        where = f"on {entry.estimate.part} at {entry.estimate.clock_mhz:g} MHz"
        for model, figures in (("zerocross", entry.estimate.zerocross), ("FINN", entry.estimate.finn)):
            found.append((f"estimate ({model})", f"{_figures(figures)}, {where}"))
    for build in entry.builds:
        found += _of_build(build)
    versions = ", ".join(f"{name} {version}" for name, version in entry.versions.items())
    return [*found, ("versions", versions), ("digest", entry.identity), ("command", entry.command(name))]


def _of_build(build: Measured) -> list[tuple[str, str]]:
    clock = "" if build.fmax_mhz is None else f", up to {build.fmax_mhz:.1f} MHz (nextpnr)"
    cycles = f"II {number(build.ii)}, latency {number(build.latency)} (simulation){clock}"
    checks = (
        f"{build.images:,} images of {build.test_set}, {build.differences} differences, {build.ties} ties"
    )
    counts = [
        (f"  {get_family(family).label}", f"{_figures(counted)} (Yosys)")
        for family, counted in build.counted.items()
    ]
    routed = [("  routed", f"{_figures(build.routed)} (nextpnr)")] if build.routed else []
    return [(f"built for {build.target}", cycles), ("  certificate", checks), *counts, *routed]


def _figures(figures: dict[str, float]) -> str:
    names = {"lut": "LUT", "ff": "FF", "bram": "BRAM", "dsp": "DSP", "ii": "II", "latency": "latency"}
    return ", ".join(f"{number(figures[key])} {name}" for key, name in names.items() if key in figures)


def accuracy(entry: Entry) -> str:
    """Return the accuracy on the test set in percent, with its deviation over seeds."""
    spread = "" if entry.spread is None else f" ± {100 * entry.spread:.2f}"
    return f"{100 * entry.test:.2f}{spread}"


def activation(entry: Entry) -> str:
    """Return an entry's activations as text."""
    if not has_slots(entry.topology["name"], entry.topology):
        return "tables"
    distinct = list(dict.fromkeys(entry.expressions))
    return expressions(" | ".join(distinct)).replace(" | ", "; ")


def number(value: float | None) -> str:
    """Return a count as text; "" for none."""
    return "" if value is None else f"{value:,.0f}"


def _beside(measured: float | None, estimated: float | None) -> str:
    """Return a counted number with its estimate in brackets, or the estimate alone."""
    guess = "" if estimated is None else f"~{number(estimated)}"
    if measured is None or measured == estimated:
        return number(measured) or guess
    return f"{number(measured)} ({guess})" if guess else number(measured)
