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


def test_a_mean_interval_where_the_simulation_gives_none(finn):
    told = {"N": 10, "cycles": 13000, "latency_cycles": 2400, "stable_throughput[images/s]": 94339.6}
    timing = read_finn_output(finn(ESTIMATES | {"report/rtlsim_performance.json": told})).timing
    assert (timing.ii_measured, timing.latency_measured) == (1178, 2400)  # (13000 - 2400) / 9


def test_the_time_of_all_images_is_no_latency(finn):
    told = {"N": 10, "cycles": 13000, "latency_cycles": 13000, "fclk[mhz]": 100.0}
    build = read_finn_output(finn(ESTIMATES | {"report/rtlsim_performance.json": told}))
    assert (build.timing.ii_measured, build.timing.latency_measured) == (None, None)
    assert "the time of all 10 images" in build.left_out[0]


@pytest.mark.parametrize(
    "flags",
    [{"TIMEOUT": 1}, {"UNFINISHED_OUTS": 1}, {"TIMEOUT": 1, "UNFINISHED_INS": 1, "UNFINISHED_OUTS": 1}],
)
def test_a_simulation_that_timed_out_measured_nothing(flags, finn):
    told = {"N": 10, "cycles": 100000, "latency_cycles": 0, "interval_cycles": 0} | flags
    build = read_finn_output(finn(ESTIMATES | {"report/rtlsim_performance.json": told}))
    assert (build.timing.ii_measured, build.timing.latency_measured) == (None, None)
    assert build.timing.ii_estimate == 196
    verdict = build_facts.verdicts(build)[0]
    assert verdict.state == "bad"
    assert "100,000 cycles" in verdict.text


RELEASES = {  # the same network as three releases name it
    "0.7": ["ConvolutionInputGenerator_0", "StreamingFCLayer_Batch_0", "StreamingMaxPool_Batch_0",
            "StreamingFCLayer_Batch_1", "LabelSelect_Batch_0"],
    "0.9": ["ConvolutionInputGenerator_rtl_0", "MatrixVectorActivation_0", "StreamingMaxPool_Batch_0",
            "MatrixVectorActivation_1", "LabelSelect_Batch_0"],
    "0.10": ["ConvolutionInputGenerator_rtl_0", "MVAU_hls_0", "StreamingMaxPool_hls_0", "MVAU_hls_1",
             "LabelSelect_hls_0"],
}  # fmt: skip
LUTS = [300, 2500, 90, 1800, 60]


def of_release(names):
    files = {
        "estimate_layer_resources.json": {
            name: resources(lut) for name, lut in zip(names, LUTS, strict=True)
        },
        "estimate_layer_cycles.json": dict.fromkeys(names, 100),
    }
    folding = {"Defaults": {}, "StreamingFIFO_0": {"depth": 2}} | {
        name: {"PE": 4, "SIMD": 8} for name in names
    }
    return {f"report/{name}": content for name, content in files.items()} | {"final_hw_config.json": folding}


@pytest.mark.parametrize("names", RELEASES.values(), ids=RELEASES)
def test_nodes_of_every_release(names, finn):
    build = read_finn_output(finn(of_release(names)))
    assert [(node.name, node.layer, node.kind) for node in build.nodes] == [
        (names[0], names[1], "generator"), (names[1], names[1], "product"), (names[2], names[2], "pool"),
        (names[3], names[3], "product"), (names[4], names[4], "label"),
    ]  # fmt: skip
    assert [node.estimate_finn["lut"] for node in build.nodes] == LUTS
    assert [(node.pe, node.simd, node.ii_estimate) for node in build.nodes] == [(4, 8, 100)] * 5
    assert (build.family, build.left_out) == ("", [])


@pytest.mark.parametrize("names", RELEASES.values(), ids=RELEASES)
def test_counts_reach_their_nodes_from_a_report_in_the_order_of_the_alphabet(names, finn):
    instances = {
        f"StreamingDataflowPartition_1_{name}": 2 * lut for name, lut in zip(names, LUTS, strict=True)
    }
    instances |= {f"StreamingDataflowPartition_1_StreamingFIFO_{i}": 10 + i for i in range(2)}
    rows = [(0, "top_wrapper", "(top)", 9999, 0, 0, 0, 0), (1, "top_i", "top", 9900, 0, 0, 0, 0)]
    rows += [
        (2, "axi_interconnect_0", "axi", 700, 0, 0, 0, 0),
        (3, "s00_couplers", "axi_s00", 300, 0, 0, 0, 0),
    ]
    rows += [(2, "StreamingDataflowPartition_1", "p", 9000, 0, 0, 0, 0)]
    for name, lut in sorted(instances.items()):
        rows += [(3, name, "m", lut, 0, 0, 0, 0), (4, "U0", "inner", lut - 1, 0, 0, 0, 0)]
    build = read_finn_output(finn(of_release(names) | {"report/post_synth_resources.xml": xml_report(rows)}))
    nodes = {node.name: node for node in build.nodes}
    assert [nodes[name].routed["lut"] for name in names] == [2 * lut for lut in LUTS]
    assert [node.name for node in build.nodes][:5] == names
    # such a report does not tell where the FIFOs are
    assert [(node.layer, node.routed["lut"]) for node in build.nodes if node.kind == "fifo"] == [
        ("", 10),
        ("", 11),
    ]
    assert build.routed["lut"] == 9999
    assert build.left_out == ["post_synth_resources.xml: not nodes of FINN: axi_interconnect_0 (700 LUT)"]


def test_partitions_with_numbers_of_their_own(finn):
    names = RELEASES["0.10"]
    own = [*names[:3], "MVAU_hls_0", names[4]]  # the second product is the first of its partition
    partition = [1, 1, 1, 2, 2]
    files = of_release(names) | {
        "report/post_synth_resources.json": {"(top)": counted(9999, 0)}
        | {
            f"StreamingDataflowPartition_{i}_{name}": counted(lut, 0)
            for i, name, lut in zip(partition, own, LUTS, strict=True)
        }
    }
    build = read_finn_output(finn(files))
    nodes = {node.name: node for node in build.nodes}
    assert all(nodes[name].routed is None for name in names)
    assert nodes["StreamingDataflowPartition_2_MVAU_hls_0"].routed["lut"] == 1800
    assert nodes["StreamingDataflowPartition_1_ConvolutionInputGenerator_rtl_0"].layer.endswith(
        "_1_MVAU_hls_0"
    )
    assert sum(node.routed["lut"] for node in build.nodes if node.routed) == sum(LUTS)
    assert "2 partitions number their nodes from 0" in build.left_out[0]


def test_unknown_names_are_kept_and_listed(finn):
    files = of_release([*RELEASES["0.10"][:4], "MyArgMax_hls_0"])
    files["report/post_synth_resources.json"] = {
        "MyArgMax_hls_0": counted(7, 0),
        "top_dfx_0": counted(611, 0),
    }
    files["report/pr_region_resources.json"] = {}
    files["final_hw_config.json"]["MVAU_hls_9"] = {"PE": 1}
    build = read_finn_output(finn(files))
    assert {node.name: node.kind for node in build.nodes}["MyArgMax_hls_0"] == "other"
    assert next(node.routed["lut"] for node in build.nodes if node.routed) == 7
    assert build.left_out == [
        "post_synth_resources.json: not nodes of FINN: top_dfx_0 (611 LUT)",
        "The function of these operators is not known: MyArgMax",
        "final_hw_config.json: no other file has the nodes MVAU_hls_9",
        "Reports of unknown kinds: pr_region_resources.json",
    ]
    page = render_comparison([build])
    for reason in build.left_out:
        assert reason in page


def test_a_report_after_synthesis_is_not_called_routed(finn):
    rows = [(0, "top", "(top)", 500, 0, 0, 0, 0), (1, "MVAU_hls_0", "m", 400, 0, 0, 0, 0)]
    told = {"report/post_synth_resources.xml": xml_report(rows, state="Synthesized")}
    build = read_finn_output(finn(told))
    assert (build.routed, build.synthesis["7-series"]["lut"]) == (None, 500)
    assert (build.nodes[0].routed, build.nodes[0].synthesis["7-series"]["lut"]) == (None, 400)


def test_many_other_instances_are_summed(finn):
    rows = [(0, "top", "(top)", 500, 0, 0, 0, 0), (1, "MVAU_hls_0", "m", 400, 0, 0, 0, 0)]
    rows += [(1, f"shell{i}", "s", i, 0, 0, 0, 0) for i in range(20)]
    rows += [(1, "copy", "c", 300, 0, 0, 0, 0), (2, "MVAU_hls_0", "m", 390, 0, 0, 0, 0)]
    build = read_finn_output(finn({"report/post_synth_resources.xml": xml_report(rows)}))
    assert [(node.name, node.routed["lut"]) for node in build.nodes] == [("MVAU_hls_0", 400)]
    assert "nodes of FINN: top/copy/MVAU_hls_0 (390 LUT), shell19 (19 LUT)" in build.left_out[0]
    assert "and 13 smaller (78 LUT)" in build.left_out[0]


def test_the_part_of_the_stitched_ip(finn):
    script = {"stitched_ip/make_project.tcl": "create_project p /tmp/p -part xcvc1902-vsva2197-2MP-e-S\n"}
    build = read_finn_output(finn(ESTIMATES | SYNTHESISED | script))
    assert (build.part, build.family) == ("xcvc1902-vsva2197-2MP-e-S", "versal")
    assert read_finn_output(finn(ESTIMATES | SYNTHESISED | script) / "report").family == "versal"


def test_a_node_that_hls_did_not_compile_has_no_counts(finn):
    zeros = {"BRAM_18K": 0, "FF": 0, "LUT": 0, "DSP48E": 0, "URAM": 0}
    compiled = {"BRAM_18K": "30", "FF": "5001", "LUT": "9012", "DSP48E": "0", "URAM": "0"}  # text in 0.9
    told = {"MVAU_hls_0": compiled, "Thresholding_rtl_0": zeros}
    build = read_finn_output(finn(ESTIMATES | {"report/estimate_layer_resources_hls.json": told}))
    nodes = {node.name: node for node in build.nodes}
    assert nodes["MVAU_hls_0"].estimate_hls["lut"] == 9012
    assert nodes["Thresholding_rtl_0"].estimate_hls == {}


@pytest.mark.parametrize(
    ("version", "tool"), [(2022.2, "Vivado 2022.2"), (0, "Vivado"), ("2023.2.1", "Vivado 2023.2.1")]
)
def test_out_of_context_synthesis_by_older_releases(version, tool, finn):
    told = {"vivado_proj_folder": "/x", "LUT": 8667.0, "FF": 9063.0, "BRAM": 22.0, "DSP": 0.0, "WNS": 0.946, "": 0,
            "fmax_mhz": 110.44842058758559, "vivado_version": version}  # fmt: skip
    build = read_finn_output(finn({"report/ooc_synth_and_timing.json": told}))
    assert build.routed == {"lut": 8667, "ff": 9063, "bram": 44, "dsp": 0}
    assert (build.tools["routing"], build.clock_mhz) == (tool, pytest.approx(100.0))
    unknown = told | {"WNS": 0, "fmax_mhz": 0}  # FINN could not read the timing
    timing = read_finn_output(finn({"report/ooc_synth_and_timing.json": unknown})).timing
    assert (timing.fmax_mhz, timing.slack_ns) == (None, None)


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
