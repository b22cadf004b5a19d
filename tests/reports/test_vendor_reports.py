import re

import pytest

from tests.reports.vivado_samples import (
    HIERARCHY,
    TIMING,
    UTILISATION_7_SERIES,
    UTILISATION_ULTRASCALE,
    dies,
    on_7_series,
    timed,
    utilisation,
    xml_report,
)
from zerocross.reports.vendor_reports import (
    UnreadableReport,
    family_of,
    read_heading,
    read_hierarchy,
    read_timing,
    read_utilisation,
)


@pytest.fixture
def write(tmp_path):
    def write_report(text, name="report.rpt"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write_report


def test_utilisation_of_a_7_series_part(write):
    report = read_utilisation(write(UTILISATION_7_SERIES))
    assert report.used == {"lut": 1502, "ff": 1733, "bram": 13, "dsp": 3, "carry": 211}
    assert report.available == {"lut": 53200, "ff": 106400, "bram": 280, "dsp": 220}
    heading = report.heading
    assert (heading.tool, heading.part) == ("Vivado 2023.2", "xc7z020clg400-1")
    assert heading.placed


def test_utilisation_of_an_ultrascale_part_by_an_older_version(write):
    report = read_utilisation(write(UTILISATION_ULTRASCALE))
    assert report.used == {"lut": 1390, "ff": 1701, "bram": 6, "dsp": 0, "carry": 98}
    assert report.available["bram"] == 432
    assert report.heading.part == "xczu3egsbva484-1"
    assert not report.heading.placed


def test_utilisation_by_hierarchy(write):
    heading, instances = read_hierarchy(write(HIERARCHY))
    assert heading.state == "Synthesized"
    assert [i.path for i in instances] == [
        ("top_wrapper",),
        ("top_wrapper", "(top_wrapper)"),
        ("top_wrapper", "finn_design_i"),
        ("top_wrapper", "finn_design_i", "MVAU_hls_0"),
        ("top_wrapper", "finn_design_i", "MVAU_hls_0", "inst"),
        ("top_wrapper", "finn_design_i", "Thresholding_rtl_0"),
    ]
    assert instances[3].module == "MVAU_hls_0_x"
    assert instances[3].used == {"lut": 900, "ff": 911, "bram": 12, "dsp": 0}


def test_the_same_as_xml(write):
    rows = [
        (0, "top_wrapper", "(top)", 12711, 15854, 22, 2, 129),
        (1, "top_i", "top", 12711, 15854, 22, 2, 129),
        (2, "MVAU_hls_0", "m", 4910, 4631, 18, 0, 0),
        (1, "(top_i)", "top", 0, 0, 0, 0, 0),
    ]
    heading, instances = read_hierarchy(write(xml_report(rows), "post_synth_resources.xml"))
    assert (heading.part, heading.placed) == ("xc7z020clg400-1", True)
    assert instances[2].path == ("top_wrapper", "top_i", "MVAU_hls_0")
    assert instances[2].used == {"lut": 4910, "ff": 4631, "bram": 36, "dsp": 0}
    assert instances[3].path == ("top_wrapper", "(top_i)")


def test_percentages_beside_numbers(write):
    text = re.sub(r" (\d+) \|", r"\1(2.3%) |", HIERARCHY)
    _, instances = read_hierarchy(write(text))
    assert instances[3].used == {"lut": 900, "ff": 911, "bram": 12, "dsp": 0}


def test_a_missed_clock(write):
    summary = read_timing(write(TIMING))
    assert (summary.slack_ns, summary.period_ns) == (
        -0.333,
        10.0,
    )  # the period of the worst clock, not the fastest
    assert summary.fmax_mhz == pytest.approx(1000 / 10.333)
    assert summary.critical_path == "fc1/sum_reg[0]/C -> fc1/bit_reg[31]/D, 10.325 ns, 15 levels of logic"
    assert (summary.heading.part, summary.heading.tool) == ("xc7z020-clg400", "Vivado 2021.2")


def test_nothing_constrained(write):
    text = TIMING.replace("     -0.333      -13.146  ", "         NA           NA  ")
    text = text.partition("| Clock Summary")[0]
    summary = read_timing(write(text))
    assert (summary.slack_ns, summary.fmax_mhz, summary.critical_path) == (None, None, "")


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        (read_utilisation, TIMING, "not a utilisation report"),
        (read_utilisation, "", "not a utilisation report"),
        (
            read_utilisation,
            UTILISATION_7_SERIES.replace("|  1502 |", "|   ??? |"),
            "damaged: Slice LUTs has '???'",
        ),
        (read_hierarchy, UTILISATION_7_SERIES, "no column Instance"),
        (read_hierarchy, HIERARCHY[: HIERARCHY.index("| top_wrapper")], "cut short"),
        (
            read_hierarchy,
            HIERARCHY.replace("   900 |        900", "       |        900"),
            "MVAU_hls_0 has ''",
        ),
        (read_hierarchy, "<?xml version='1.0'?><RptDoc><table", "damaged"),
        (read_hierarchy, "<RptDoc/>", "no column Instance"),
        (read_timing, UTILISATION_7_SERIES, "not a timing summary"),
        (read_timing, TIMING[: TIMING.index("    -------")], "not a timing summary"),
    ],
)
def test_a_wrong_or_damaged_report_is_reported_in_one_line(reader, text, message, write):
    path = write(text)
    with pytest.raises(UnreadableReport) as caught:
        reader(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reader", [read_utilisation, read_hierarchy, read_timing])
def test_a_missing_report(reader, tmp_path):
    with pytest.raises(UnreadableReport, match="No such file"):
        reader(tmp_path / "none.rpt")


@pytest.mark.parametrize(
    ("state", "stage"),
    [
        ("Synthesized", "synthesis"),
        ("Optimized", "synthesis"),
        ("Fully Placed", "placement"),
        ("Physopt postPlace", "placement"),
        ("Partially Routed", "placement"),
        ("Routed", "routing"),
        ("Physopt postRoute", "routing"),
        ("Something else", None),
    ],
)
def test_the_step_of_a_report(state, stage, write):
    report = read_heading(write(on_7_series(1, state=state)))
    assert (report.stage, report.design) == (stage, "top")
    assert report.date.isoformat() == "2026-11-20T16:49:35"


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("top_utilization_synth.rpt", "synthesis"),
        ("top_utilization_placed.rpt", "placement"),
        ("post_route_util.rpt", "routing"),
        ("util.rpt", None),
    ],
)
def test_the_step_from_the_files_name_if_the_report_has_none(name, stage, write):
    assert read_heading(write(on_7_series(1, state=""), name)).stage == stage
    assert read_heading(write(on_7_series(1, state="Synthesized"), name)).stage == "synthesis"


def test_utilisation_of_a_versal_part(write):
    tables = [
        [("Registers", 233693, 5148416), ("CLB LUTs*", 116420, 2574208), ("  LUT as Logic", 99622, 2574208)],
        [("LOOKAHEAD8", 120, 321776)],
        [
            ("Block RAM Tile", 87.5, 3741),
            ("  RAMB36E5", 80, 3741),
            ("  RAMB18E5*", 15, 7482),
            ("URAM", 3, 1925),
        ],
        [("DSP Slices", 911, 10848), ("  DSP58", 753, ""), ("  DSPFP32", 158, "")],
    ]
    report = read_utilisation(write(utilisation(tables, device="xcv80-lsva4737-2MHP-e-S")))
    assert report.used == {"lut": 116420, "ff": 233693, "carry": 120, "bram": 175, "uram": 3, "dsp": 911}
    assert report.available == {"lut": 2574208, "ff": 5148416, "bram": 7482, "uram": 1925, "dsp": 10848}


def test_block_rams_without_a_row_for_tiles(write):
    rows = [("CLB LUTs", 10, 100), ("RAMB36/FIFO*", 4, 140), ("RAMB18", 5, 280)]
    report = read_utilisation(write(utilisation([rows])))
    assert (report.used["bram"], report.available["bram"]) == (13, 280)


def test_the_tables_of_dies_do_not_replace_those_of_the_part(write):
    rows = [("CLB LUTs", 3000, 1728000), ("CLB Registers", 2400, 3456000), ("CARRY8", 46, 216000)]
    report = read_utilisation(write(utilisation([rows]) + dies([1000, 2000, 0, 0])))
    assert report.used == {"lut": 3000, "ff": 2400, "carry": 46}
    assert report.dies == 4


@pytest.mark.parametrize(
    ("table", "worst", "period"),
    [
        ("Intra Clock Table", "slow", 10.0),
        ("Inter Clock Table", "fast  slow", 10.0),
        ("Inter Clock Table", "slow  fast", 4.0),
        ("Other Path Groups Table", "slow", None),  # either clock could have the path
    ],
)
def test_the_period_of_the_worst_path(table, worst, period, write):
    clocks = ("fast", 4.0), ("slow", 10.0)
    assert read_timing(write(timed(0.2, clocks=clocks, table=table, worst=worst))).period_ns == period


def test_what_is_violated_besides_setup(write):
    heads = "    WNS(ns)      TNS(ns)  TNS Failing Endpoints  WHS(ns)      WPWS(ns)"
    rows = "    0.333        0.000    0                      {}           {}"
    for hold, pulse, violated in (
        ("0.082", "4.5", ()),
        ("NA", "NA", ()),
        ("-0.412", "4.5", ("hold by 0.41 ns, which no slower clock mends",)),
        ("0.082", "-0.155", ("a pulse width by 0.15 ns, which needs a slower clock",)),
    ):
        text = timed(0.333).replace("    WNS(ns)      TNS(ns)\n", f"{heads}\n")
        text = text.replace(" 0.333  0.000\n\n", f"{rows.format(hold, pulse)}\n\n", 1)
        assert read_timing(write(text)).violated == violated


@pytest.mark.parametrize(
    ("part", "family"),
    [
        ("xc7z020clg400-1", "7-series"),
        ("xc7a35tcpg236-1", "7-series"),
        ("xczu3eg-sbva484-1-e", "ultrascale+"),
        ("xcu250-figd2104-2L-e", "ultrascale+"),
        ("xck26-sfvc784-2LV-c", "ultrascale+"),
        ("xcku5p-ffvb676-2-e", "ultrascale+"),
        ("xcvu13p-fhga2104-2-e", "ultrascale+"),
        ("xcau25p-ffvb676-2-e", "ultrascale+"),
        ("xazu3eg-sfvc784-1-i", "ultrascale+"),
        ("xcku060-ffva1156-2-e", "ultrascale"),
        ("xcvu440-flga2892-2-e", "ultrascale"),
        ("xqrku060-cna1509-1M-m", "ultrascale"),
        ("xcvc1902-vsva2197-2MP-e-S", "versal"),
        ("xcv80-lsva4737-2MHP-e-S", "versal"),
        ("xc2ve3858-ssva2112-2LP-e-S", "versal"),
        ("xa7z020clg484-1i", "7-series"),
        ("xq7k325trf900-1i", "7-series"),
        ("LFE5U-85F", ""),
        ("", ""),
    ],
)
def test_family(part, family):
    assert family_of(part) == family
