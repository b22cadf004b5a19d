import pytest
from rich.console import Console

from tests.reports.vivado_samples import HIERARCHY, dies, heading, on_7_series, timed, utilisation
from zerocross.reports import build_facts
from zerocross.reports.build_page import render_build, render_comparison
from zerocross.reports.build_summary import build_table
from zerocross.reports.vendor_reports import UnreadableReport
from zerocross.reports.vivado_output import read_vivado_output

DRC = heading("report_drc -file top_drc.rpt", "Routed") + "| Rule | Severity |\n"


@pytest.fixture
def vivado(tmp_path):
    """Writes reports into a folder."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / "out" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "out"

    return write


@pytest.mark.parametrize(("early", "late"), [("a", "z"), ("z", "a")])
def test_the_last_step_counts_whatever_the_names_of_the_files(early, late, vivado):
    files = {
        f"{early}_util.rpt": on_7_series(2000, state="Synthesized"),
        f"{late}_util.rpt": on_7_series(1500, state="Physopt postRoute"),
        "placed_util.rpt": on_7_series(1600, state="Fully Placed"),
        f"{early}_timing.rpt": timed(4.0, state="Synthesized"),
        f"{late}_timing.rpt": timed(-0.5, state="Routed"),
    }
    build = read_vivado_output(vivado(files))
    assert build.routed == {"lut": 1500, "ff": 3000, "bram": 3, "dsp": 4}
    assert build.synthesis["7-series"]["lut"] == 2000
    assert (build.timing.slack_ns, build.timing.timed_after, build.clock_mhz) == (-0.5, "routing", 100.0)
    assert {use.source for use in build.utilisation} == {"routing"}
    assert sorted(build.left_out) == sorted(
        [
            f"placed_util.rpt: {late}_util.rpt is of a later step",
            f"{early}_timing.rpt: {late}_timing.rpt is of a later step",
        ]
    )


def test_reports_after_synthesis_are_not_called_routed(vivado):
    files = {
        "util.rpt": on_7_series(2000, state="Synthesized"),
        "timing.rpt": timed(4.0, state="Synthesized"),
    }
    build = read_vivado_output(vivado(files))
    assert (build.routed, build.synthesis["7-series"]["lut"]) == (None, 2000)
    assert {use.source for use in build.utilisation} == {"synthesis"}
    assert build_facts.sources_used(build) == ["synthesis"]
    verdict = build_facts.verdicts(build)[-1]
    assert verdict.state == "unknown"
    assert verdict.text == "Should meet 100 MHz: up to 166.7 MHz, slack +4.00 ns, estimated after synthesis"
    for page in (render_build(build), render_comparison([build])):
        assert "estimated after synthesis" in page
        assert 'class="routing"' not in page


def test_two_reports_of_one_step(vivado):
    dates = "Fri Nov 20 16:49:35 2026", "Sat Nov  7 09:00:00 2026"
    files = {
        f"{name}.rpt": on_7_series(lut, date=date)
        for name, lut, date in zip("ab", (10, 20), dates, strict=True)
    }
    build = read_vivado_output(vivado(files))
    assert build.routed["lut"] == 10  # the later date
    assert build.left_out == ["b.rpt: a.rpt is of the same step"]


def test_a_project_with_several_runs(vivado):
    runs = "p.runs/"
    files = {
        f"{runs}synth_1/top_utilization_synth.rpt": on_7_series(2000, state="Synthesized"),
        f"{runs}ip_synth_1/ip_utilization_synth.rpt": on_7_series(30, state="Synthesized", design="ip"),
        f"{runs}impl_1/top_utilization_placed.rpt": on_7_series(1500, state="Fully Placed"),
        f"{runs}impl_1/top_timing_summary_routed.rpt": timed(1.0),
        f"{runs}impl_2/top_utilization_placed.rpt": on_7_series(1400, state="Fully Placed"),
    }
    build = read_vivado_output(vivado(files))
    assert (build.routed["lut"], build.synthesis["7-series"]["lut"], build.timing.slack_ns) == (
        1500,
        2000,
        1.0,
    )
    assert build.name == "out"
    assert build.left_out == [
        f"{runs}impl_2/top_utilization_placed.rpt: of another run than impl_1",
        f"{runs}ip_synth_1/ip_utilization_synth.rpt: of another design, ip, not top",
    ]


def test_what_is_not_understood_is_listed(vivado):
    files = {
        "util.rpt": on_7_series(1500),
        "cells.rpt": on_7_series(20, options=" -cells [get_cells a/b]"),
        "other.rpt": on_7_series(20, device="xczu3eg-sbva484-1-e"),
        "cut.rpt": HIERARCHY[: HIERARCHY.index("| top_wrapper")],
        "drc.rpt": DRC,
        "notes.rpt": "mine",
    }
    folder = vivado(files)
    build = read_vivado_output(folder)
    assert build.routed["lut"] == 1500
    assert {line.split(":")[0] for line in build.left_out} == set(files) - {"util.rpt"}
    assert "drc.rpt: report_drc is not read" in build.left_out
    assert "cells.rpt: it covers a part of the design only (-cells)" in build.left_out
    assert "other.rpt: for another part, xczu3eg-sbva484-1-e, not xc7z020clg400-1" in build.left_out
    console = Console(width=200)
    with console.capture() as captured:
        console.print(build_table(build), crop=False)
    for reason in build.left_out:
        assert reason in captured.get()
        assert reason in render_comparison([build])
    with pytest.raises(UnreadableReport, match=r"cut\.rpt is cut short"):
        read_vivado_output(folder / "cut.rpt")
    assert read_vivado_output(folder / "drc.rpt") is None


def test_a_part_of_several_dies(vivado):
    rows = [[("CLB LUTs", 3000, 1728000), ("CLB Registers", 9, 3456000), ("Accelerators", 1, 2)]]
    text = utilisation(rows, device="xcu250-figd2104-2L-e") + dies([1000, 2000])
    build = read_vivado_output(vivado({"util.rpt": text}) / "util.rpt")
    assert (build.family, build.routed, build.name) == ("ultrascale+", {"lut": 3000, "ff": 9}, "util")
    assert build_facts.verdicts(build)[-1].text == "Clock not known: no tool reported it"
    assert build.left_out == [
        "util.rpt: the use of each of the 2 dies (SLRs)",
        "util.rpt: it has no row of a known name for RAMB18, DSP",
    ]


def test_instances_after_synthesis_and_after_routing(vivado):
    routed = HIERARCHY.replace("Synthesized", "Routed").replace("900 |        900", "850 |        850")
    build = read_vivado_output(vivado({"a.rpt": routed, "b.rpt": HIERARCHY}))
    node = build.nodes[0]
    assert (node.name, node.routed["lut"], node.synthesis["7-series"]["lut"]) == ("MVAU_hls_0", 850, 900)


@pytest.mark.parametrize(
    ("device", "family"),
    [
        ("xcku040-ffva1156-2-e", "UltraScale"),
        ("xcvc1902-vsva2197-2MP-e-S", "Versal"),
        ("xcnew-1", "Xilinx"),
    ],
)
def test_families_by_their_own_names(device, family, vivado):
    build = read_vivado_output(vivado({"util.rpt": utilisation([[("CLB LUTs", 1, 2)]], device=device)}))
    assert build_facts.family_names(build, build.family).name == family
    assert f"{family}, whole design" in render_comparison([build])
