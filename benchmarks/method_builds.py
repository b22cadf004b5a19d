"""Builds each method of the papers to hardware, compares answers image by image, and resources with the estimates.

    python benchmarks/method_builds.py [--data FILE.npz] [--rows NAME ...] [--route] [--output FOLDER]

Every network under `built` in methods.yaml is trained briefly and built for the ULX3S, up to synthesis or, with --route, up
to a bitstream. Prints a Markdown table. Results are saved in FOLDER (runs/method_builds); run the same command to resume an
interrupted run.
"""

import argparse
import re
from pathlib import Path
from typing import Any

import yaml
from methods import ROWS, merged

from zerocross import BuildOptions, build, from_run, make_config, search
from zerocross.reports.build_records import Build

TARGET = "ulx3s-85f"
HEAD = (
    "| method | nodes | images, differences | II, estimated / simulated | latency | LUT, FINN | LUT, estimated / counted | "
    "BRAM18 | ECP5 LUT4 | MHz |"
)


def built(name: str, settings: dict[str, Any], route: bool, output: Path) -> Build:
    """Train a row's network and build it."""
    folder = re.sub(r"\W+", "_", name)
    run = search(make_config({**settings, "name": folder, "output": str(output)}, name))
    subject = from_run(run.folder, "best")
    if subject.network.reference and settings["activation"]["expressions"] != ["sign"]:
        raise SystemExit(
            f"{name}: the plain sign beats the activation, whose network is therefore not on the front"
        )
    return build(subject, BuildOptions(TARGET, route=route), run.folder / "builds" / TARGET).build


def line(name: str, found: Build) -> str:
    """Return a row of the table."""
    assert found.certificate is not None
    checks, timing = found.certificate.checks, found.timing
    rtl = next(check for check in checks if check.right == "RTL")
    counted = found.synthesis["7-series"]
    finn = sum(node.estimate_finn.get("lut", 0) for node in found.nodes)
    expected = {
        kind: sum(node.estimate_zerocross.get("7-series", {}).get(kind, 0) for node in found.nodes)
        for kind in ("lut", "bram")
    }
    target = found.routed or found.synthesis[found.family]
    cells = [
        name,
        str(len(found.nodes)),
        f"{rtl.images:,}, {sum(check.differences for check in checks)}",
        f"{timing.ii_estimate:,} / {timing.ii_measured:,}",
        f"{timing.latency_estimate:,} / {timing.latency_measured:,}",
        f"{finn:,.0f}",
        f"{expected['lut']:,.0f} / {counted['lut']:,.0f}",
        f"{expected['bram']:,.0f} / {counted.get('bram', 0):,.0f}",
        f"{target['lut']:,.0f}",
        f"{timing.fmax_mhz:.0f}" if timing.fmax_mhz else "",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Build the rows and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", help="name or .npz file of a data set, instead of downloading Fashion-MNIST"
    )
    parser.add_argument("--rows", nargs="+", help="build only these rows")
    parser.add_argument("--route", action="store_true", help="also place and route")
    parser.add_argument("--output", type=Path, default=Path("runs/method_builds"))
    options = parser.parse_args()
    content = yaml.safe_load(ROWS.read_text(encoding="utf-8"))["built"]
    base = content["base"]
    if options.data:
        base["data"]["name"] = options.data
    print(HEAD + "\n|" + " --- |" * (HEAD.count("|") - 1), flush=True)
    for name, change in content["rows"].items():
        if not options.rows or name in options.rows:
            print(line(name, built(name, merged(base, change), options.route, options.output)), flush=True)


if __name__ == "__main__":
    main()
