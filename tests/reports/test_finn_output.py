import json

import pytest

from tests.reports.builds import make_build
from tests.reports.vivado_samples import HIERARCHY, TIMING, UTILISATION_7_SERIES, xml_report
from zerocross.reports import build_facts
from zerocross.reports.build_page import render_build, render_comparison
from zerocross.reports.build_reading import read_build
from zerocross.reports.build_records import Build
from zerocross.reports.build_storage import UnreadableBuild, save_build
from zerocross.reports.finn_output import read_finn_output
from zerocross.reports.vendor_reports import UnreadableReport


def resources(lut, bram18=0, dsp=0):
    return {
        "BRAM_18K": bram18,
        "BRAM_efficiency": 0.25,
        "LUT": lut,
        "URAM": 0,
        "URAM_efficiency": 1,
        "DSP": dsp,
    }


def counted(lut, ff, ram36=0, ram18=0, dsp=0):
    return {"LUT": lut, "SRL": 0, "FF": ff, "BRAM_36K": ram36, "BRAM_18K": ram18, "DSP": dsp}


ESTIMATES = {
    "report/estimate_layer_resources.json": {
        "MVAU_hls_0": resources(7692, 29),
        "Thresholding_rtl_0": resources(56),
        "MVAU_hls_1": resources(520, 1),
        "LabelSelect_hls_0": resources(0),
        "total": {"BRAM_18K": 30.0, "LUT": 8268.0, "URAM": 0.0, "DSP": 0.0},
    },
    "report/estimate_layer_cycles.json": {
        "MVAU_hls_0": 196,
        "Thresholding_rtl_0": 32,
        "MVAU_hls_1": 80,
        "LabelSelect_hls_0": 10,
    },
    "report/op_and_param_counts.json": {
        "MVAU_hls_0": {"op_mac_1bx1b": 200704, "param_weight_1b": 200704},
        "Thresholding_rtl_0": {},
        "total": {"op_mac_1bx1b": 200704.0, "param_weight_1b": 200704.0},
    },
    "report/estimate_network_performance.json": {
        "critical_path_cycles": 318,
        "max_cycles": 196,
        "max_cycles_node_name": "MVAU_hls_0",
        "estimated_throughput_fps": 510204.0816326531,
        "estimated_latency_ns": 3180.0,
    },
    "report/time_per_step.json": {
        "step_qonnx_to_finn": 1.5,
        "step_streamline": 3.25,
        "total_build_time": 4.75,
    },
    "report/metadata_builder.json": {"status": "ok", "tool_version": "2023.2"},
    "report/fifo_sizing.json": {
        "fifo_depths": {"StreamingFIFO_rtl_0": 32},
        "fifo_sizes": {"StreamingFIFO_rtl_0": 256},
        "total_fifo_size_kiB": 0.03125,
    },
    "final_hw_config.json": {
        "Defaults": {},
        "MVAU_hls_0": {"PE": 16, "SIMD": 64, "ram_style": "block"},
        "Thresholding_rtl_0": {"PE": 8},
    },
}
SYNTHESISED = {
    "report/estimate_layer_resources_hls.json": {
        "MVAU_hls_0": {"BRAM_18K": 30, "FF": 5001, "LUT": 9012, "DSP48E": 0, "URAM": 0, "DSP": 0},
        "total": {"BRAM_18K": 30.0, "FF": 5001.0, "LUT": 9012.0, "DSP48E": 0.0, "URAM": 0.0, "DSP": 0.0},
    },
    "report/post_synth_resources.json": {
        "(top)": counted(5120, 6001, 16, 3, 2),
        "top_smartconnect_0_0": counted(611, 700),
        "StreamingDataflowPartition_0_IODMA_hls_0": counted(1149, 1602, 0, 1),
        "StreamingDataflowPartition_1_StreamingFIFO_rtl_0": counted(102, 50),
        "StreamingDataflowPartition_1_MVAU_hls_0": counted(2811, 1633, 15),
        "StreamingDataflowPartition_1_Thresholding_rtl_0": counted(96, 60),
        "StreamingDataflowPartition_1_MVAU_hls_1": counted(163, 97, 0, 1),
        "StreamingDataflowPartition_1_LabelSelect_hls_0": counted(41, 20),
        "StreamingDataflowPartition_2_IODMA_hls_0": counted(938, 1439, 0, 1),
    },
    "report/rtlsim_performance.json": [
        {
            "name": "LabelSelect_hls_0",
            "cycles": 1210,
            "samples": 5,
            "intervals": [198, 198, 198],
            "latency_cycles": [402],
            "throughput_fps": 505050.5,
        }
    ],
}


@pytest.fixture
def finn(tmp_path):
    """Writes FINN's files; text unchanged, other values as JSON."""

    def write(files, name="mnist_mlp"):
        for path, content in files.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
        return tmp_path / name

    return write


def test_estimates_alone(finn):
    build = read_finn_output(finn(ESTIMATES))
    assert build.name == "mnist_mlp"
    assert [node.name for node in build.nodes][:4] == [
        "MVAU_hls_0", "Thresholding_rtl_0", "MVAU_hls_1", "LabelSelect_hls_0",
    ]  # fmt: skip
    first, thresholds = build.nodes[:2]
    assert (first.kind, first.pe, first.simd, first.implementation) == ("product", 16, 64, "block")
    assert first.estimate_finn == {"lut": 7692, "bram": 29, "dsp": 0, "uram": 0}
    assert first.ii_estimate == 196
    assert first.note == "200,704 op mac 1bx1b, 200,704 param weight 1b"
    assert (thresholds.kind, thresholds.note) == ("crossings", "Thresholding")
    assert not any(node.synthesis or node.routed for node in build.nodes)
    timing = build.timing
    assert (timing.ii_estimate, timing.latency_estimate, timing.estimated_by) == (196, 318, "finn")
    assert build.clock_mhz == pytest.approx(100.0)
    assert [(s.name, s.seconds) for s in build.stages] == [
        ("step_qonnx_to_finn", 1.5),
        ("step_streamline", 3.25),
    ]
    fifo = build.nodes[-1]
    assert (fifo.kind, fifo.fifo_depth) == ("fifo", 32)


def test_the_report_folder_is_accepted(finn):
    folder = finn(ESTIMATES)
    assert read_finn_output(folder / "report").nodes[0].estimate_finn["lut"] == 7692
    assert read_finn_output(folder / "report").name == "mnist_mlp"


def test_after_synthesis_and_simulation(finn):
    rows = [(0, "top_wrapper", "(top)", 5120, 6001, 16, 3, 2)]
    files = ESTIMATES | SYNTHESISED | {"report/post_synth_resources.xml": xml_report(rows)}
    build = read_finn_output(finn(files | {"report/post_route_timing.rpt": TIMING}))
    nodes = {node.name: node for node in build.nodes}
    # only the synthesis results have FIFOs; both DMA engines keep the partition that distinguishes them
    assert list(nodes)[:3] == [
        "StreamingDataflowPartition_0_IODMA_hls_0", "StreamingFIFO_rtl_0", "MVAU_hls_0",
    ]  # fmt: skip
    assert "StreamingDataflowPartition_2_IODMA_hls_0" in nodes
    product = nodes["MVAU_hls_0"]
    assert product.routed == {"lut": 2811, "ff": 1633, "bram": 30, "dsp": 0}
    assert product.estimate_finn["lut"] == 7692
    assert product.estimate_hls == {"lut": 9012, "ff": 5001, "bram": 30, "dsp": 0, "uram": 0}
    assert nodes["StreamingFIFO_rtl_0"].layer == "MVAU_hls_0"
    assert nodes["StreamingFIFO_rtl_0"].fifo_depth == 32
    assert build.routed == {"lut": 5120, "ff": 6001, "bram": 35, "dsp": 2}
    assert (build.part, build.family) == ("xc7z020clg400-1", "7-series")
    assert build.tools["routing"] == "Vivado 2021.2"
    assert (build.timing.ii_measured, build.timing.latency_measured) == (198, 402)
    assert build.timing.slack_ns == -0.333
    assert build.timing.fmax_mhz == pytest.approx(96.78, abs=0.01)


def test_nodes_from_vivados_own_report_where_finn_made_no_extract(finn):
    rows = [
        (0, "top_wrapper", "(top)", 500, 600, 0, 1, 0),
        (1, "StreamingDataflowPartition_1", "p", 400, 500, 0, 1, 0),
        (2, "StreamingDataflowPartition_1_MVAU_hls_0", "m", 163, 97, 0, 1, 0),
        (3, "MVAU_hls_0", "inner", 160, 90, 0, 1, 0),
    ]
    build = read_finn_output(finn({"report/post_synth_resources.xml": xml_report(rows)}))
    # an instance inside a node is not a node
    assert [(node.name, node.routed["lut"]) for node in build.nodes] == [("MVAU_hls_0", 163)]


def test_out_of_context_synthesis(finn):
    told = {
        "LUT": 1502, "FF": 1733, "DSP": 3, "BRAM_36K": 4, "BRAM_18K": 5, "LUTRAM": 84, "BRAM": 6, "WNS": 1.25,
        "clk_period_ns": 10.0, "vivado_version": "2022.2", "fmax_mhz": 114.28, "total_power_W": 0.3,
        "vivado_proj_folder": "/x", "estimated_throughput_fps": 5.0,
    }  # fmt: skip
    build = read_finn_output(finn({"report/ooc_synth_and_timing.json": told}))
    assert build.routed == {"lut": 1502, "ff": 1733, "bram": 13, "dsp": 3}
    assert (build.timing.fmax_mhz, build.timing.slack_ns, build.clock_mhz) == (114.28, 1.25, 100.0)
    assert build.tools["routing"] == "Vivado 2022.2"


@pytest.mark.parametrize(("images", "interval"), [(1, None), (3, 110)])
def test_the_older_simulation_record(images, interval, finn):
    told = {
        "N": images,
        "cycles": 331,
        "latency_cycles": 100,
        "interval_cycles": 110,
        "TIMEOUT": 0,
        "fclk[mhz]": 100.0,
    }
    build = read_finn_output(finn(ESTIMATES | {"report/rtlsim_performance.json": told}))
    # a single image has no interval
    assert (build.timing.ii_measured, build.timing.latency_measured) == (interval, 100)


def test_a_failed_build_says_so(finn):
    files = ESTIMATES | {"report/metadata_builder.json": {"status": "failed", "tool_version": "2023.2"}}
    verdict = build_facts.verdicts(read_finn_output(finn(files)))[0]
    assert (verdict.state, verdict.text) == ("bad", "Stopped at FINN's build: see FINN's log for the reason")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("estimate_layer_resources.json", "{", "damaged"),
        ("estimate_layer_resources.json", "[1]", "damaged"),
        ("estimate_layer_resources.json", '{"MVAU_hls_0": {"LUT": "many"}}', "MVAU_hls_0.LUT"),
        ("estimate_layer_cycles.json", '{"MVAU_hls_0": null}', "MVAU_hls_0"),
        ("rtlsim_performance.json", "[3]", "damaged"),
        ("rtlsim_performance.json", "{}", "damaged"),
        ("post_route_timing.rpt", "nothing", "not a timing summary"),
        ("post_synth_resources.xml", "<RptDoc", "damaged"),
        ("final_hw_config.json", '{"MVAU_hls_0": 3}', "damaged"),
        ("estimate_network_performance.json", '{"max_cycles": "many"}', "damaged"),
        ("fifo_sizing.json", '{"fifo_depths": 3}', "damaged"),
        ("ooc_synth_and_timing.json", '{"clk_period_ns": "ten"}', "damaged"),
    ],
)
def test_a_damaged_file_is_named(name, text, message, finn):
    folder = finn(ESTIMATES | {f"report/{name}": text})
    if name == "final_hw_config.json":
        (folder / name).unlink()
    with pytest.raises(UnreadableReport) as caught:
        read_finn_output(folder)
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_reports(tmp_path):
    with pytest.raises(UnreadableReport, match="none of FINN's reports"):
        read_finn_output(tmp_path)


def test_whatever_is_given_is_read(finn, tmp_path):
    ours, vivado, empty = tmp_path / "ours", tmp_path / "vivado", tmp_path / "empty"
    for folder in (ours, vivado, empty):
        folder.mkdir()
    path = save_build(make_build(), ours)
    assert read_build(ours) == read_build(path) == make_build()
    assert read_build(finn(ESTIMATES)).network == "FINN"
    for name, text in (("util", UTILISATION_7_SERIES), ("hier", HIERARCHY), ("timing", TIMING), ("drc", "x")):
        (vivado / f"{name}.rpt").write_text(text)
    build = read_build(vivado)
    assert build.routed == {"lut": 1502, "ff": 1733, "bram": 13, "dsp": 3, "carry": 211}
    assert [(use.resource, use.used, use.available) for use in build.utilisation][2] == ("RAMB18", 13, 280)
    # the instances of the design, past the wrapper
    assert [(node.name, node.synthesis["7-series"]["lut"]) for node in build.nodes] == [
        ("MVAU_hls_0", 900), ("Thresholding_rtl_0", 602),
    ]  # fmt: skip
    assert build.timing.slack_ns == -0.333
    assert read_build(vivado / "util.rpt").part == "xc7z020clg400-1"
    with pytest.raises(UnreadableBuild, match="holds no search and no build"):
        read_build(empty)
    with pytest.raises(UnreadableBuild, match="holds no search and no build"):
        read_build(vivado / "drc.rpt")


def test_finns_builds_have_pages_beside_ours(finn):
    theirs = read_finn_output(finn(ESTIMATES | SYNTHESISED))
    page = render_build(theirs)
    assert "HLS estimate" in page
    assert "200,704 op mac" in page
    both = render_comparison([make_build(), theirs, Build("bare", "x")])
    assert "mnist_mlp" in both
    assert 'value="8268"' in both  # the sum of FINN's estimates
