from dataclasses import replace

import pytest

from tests.reports.builds import fifo, make_build, make_long_build, make_node
from zerocross.reports import build_facts
from zerocross.reports.build_diagram import steps
from zerocross.reports.build_records import (
    Build,
    BuildNode,
    Certificate,
    Check,
    Exercise,
    LayerExercise,
    Timing,
    Usage,
)


def states(build):
    return [(verdict.state, verdict.text) for verdict in build_facts.verdicts(build)]


def test_verdicts_of_a_finished_build():
    assert states(make_build()) == [
        ("good", "All forms agree on 360 images; the netlist was compared on 50"),
        ("good", "Fits ulx3s-25f: uses at most 21% of any resource (DP16KD)"),
        ("good", "Meets 50 MHz: up to 61.9 MHz, slack +3.85 ns"),
    ]


def test_random_stalls_are_named_in_the_verdict():
    checks = [Check("torch", "RTL", 359, "classes", 0), Check("RTL", "RTL, stalled", 24, "classes", 0)]
    build = make_build(certificate=Certificate("digits", checks))
    assert states(build)[0] == (
        "good",
        "All forms agree on 359 images; the RTL also agrees under random stalls on 24",
    )


def test_verdicts_when_nothing_is_known():
    assert {state for state, _ in states(Build("bare", "x"))} == {"unknown"}


def test_a_failed_stage_and_a_full_part_come_first_and_in_numbers():
    found = states(make_long_build())
    assert found[0] == (
        "bad",
        "Stopped at place and route: 31,033 LUT4 do not fit lfe5u-25f, which has 24,288",
    )
    assert ("bad", "Does not fit ulx3s-25f: 31,033 of 24,288 LUT4") in found


def test_one_difference_is_enough():
    checks = [Check("torch", "QONNX", 10, "logits", 0), Check("QONNX", "RTL", 10, "classes", 1)]
    build = make_build(certificate=Certificate("digits", checks))
    assert states(build)[0] == ("bad", "Not exact: QONNX and RTL differ in classes on 1 of 10 images")


LAYERS = [LayerExercise("fc1_sign", 60, 59, 64, 61, 50), LayerExercise("fc2_sign", 40, 40, 36, 36, 36)]


def test_what_the_samples_exercised_is_one_sentence():
    exercise = Exercise(200, 200, 10, 10, 64, 61, LAYERS)
    assert build_facts.exercise_text(exercise) == (
        "200 distinct, all 10 classes; 95% of inputs and 99% of channels seen at more than one value, "
        "97% of crossings seen from both sides, 86% at the integers beside them"
    )
    nothing = build_facts.exercise_text(Exercise(1200, 1, 10, 1, 64, 0, []))
    assert nothing.startswith("1 distinct of 1,200, 1 of 10 classes; 0% of inputs and 100% of channels")


@pytest.mark.parametrize(
    ("distinct", "seen", "doubt"),
    [
        (200, 10, None),
        (200, 2, None),
        (200, 1, "The samples show only 1 of 10 classes: the comparison says little about the others"),
        (1, 1, "The 200 samples are all the same: the comparison says little"),
    ],
)
def test_samples_that_tell_little_are_a_verdict(distinct, seen, doubt):
    exercise = Exercise(200, distinct, 10, seen, 64, 61, LAYERS)
    checks = [Check("torch", "RTL", 200, "classes", 0)]
    found = states(make_build(certificate=Certificate("digits", checks, exercise)))
    assert found[0] == ("good", "All forms agree on 200 images")
    assert (found[1] == ("unknown", doubt)) if doubt else (found[1][0] == "good" and len(found) == 3)


@pytest.mark.parametrize(
    ("timing", "clock", "state"),
    [
        (Timing(fmax_mhz=61.9, slack_ns=-0.01), 50.0, "bad"),  # slack covers all clocks
        (Timing(fmax_mhz=49.9), 50.0, "bad"),
        (Timing(fmax_mhz=50.0), 50.0, "good"),
        (Timing(slack_ns=0.0), None, "good"),
        (Timing(fmax_mhz=50.0), None, "unknown"),
        (Timing(), 50.0, "unknown"),
    ],
)
def test_whether_the_clock_is_met(timing, clock, state):
    assert states(make_build(timing=timing, clock_mhz=clock))[-1][0] == state


def test_an_estimate_only_promises():
    build = make_build(utilisation=[Usage("LUT4", 10, 100, "zerocross")])
    assert states(build)[1] == ("unknown", "Should fit ulx3s-25f: uses at most 10% of any resource (LUT4)")


def test_columns_are_those_with_counts():
    found = [(column.family, column.source) for column in build_facts.columns(make_build())]
    assert found == [
        ("ecp5", "zerocross"),
        ("ecp5", "synthesis"),
        ("ecp5", "routing"),
        ("7-series", "finn"),
        ("7-series", "zerocross"),
        ("7-series", "synthesis"),
    ]
    assert build_facts.columns(Build("bare", "x")) == []
    only_finn = [BuildNode("a", "a", "product", estimate_finn={"lut": 3})]
    columns = build_facts.columns(Build("b", "x", family="ecp5", nodes=only_finn))
    assert [(column.family, column.source) for column in columns] == [("7-series", "finn")]


def test_sources_are_those_with_numbers():
    assert build_facts.sources_used(make_build()) == [
        "finn",
        "zerocross",
        "synthesis",
        "routing",
        "simulation",
    ]
    assert build_facts.sources_used(make_long_build()) == ["finn", "zerocross", "synthesis"]
    assert build_facts.sources_used(Build("bare", "x")) == []


def test_sums_and_ratios_count_their_nodes():
    nodes = [
        BuildNode("a", "l", "product", estimate_finn={"lut": 30}, synthesis={"7-series": {"lut": 10}}),
        BuildNode("b", "l", "fifo", synthesis={"7-series": {"lut": 90}}),  # FINN has no model of it
    ]
    finn, synthesis = build_facts.columns(Build("b", "x", family="7-series", nodes=nodes))
    assert finn.total(nodes, "lut") == build_facts.Sum(30, 1, 2)
    assert synthesis.total(nodes, "lut") == build_facts.Sum(100, 2, 2)
    assert synthesis.total(nodes, "dsp") == build_facts.Sum(None, 0, 2)
    assert build_facts.ratio(nodes, finn, synthesis, "lut") == pytest.approx(3.0)
    assert build_facts.ratio(nodes, finn, synthesis, "dsp") is None


def test_the_whole_is_what_was_counted_whole():
    build = make_build()
    columns = {(c.family, c.source): c for c in build_facts.columns(build)}
    assert build_facts.whole(build, columns["ecp5", "synthesis"], "lut").value == 2411
    assert build_facts.whole(build, columns["ecp5", "routing"], "lut").value == 2417
    ours = build_facts.whole(build, columns["7-series", "zerocross"], "lut").value
    assert ours == sum(n.estimate_zerocross.get("7-series", {}).get("lut", 0) for n in build.nodes)


def test_the_bottleneck_is_by_formula():
    build = make_build()
    assert build_facts.bottleneck(build).name == "fc3_product"
    assert build_facts.bottleneck(Build("bare", "x")) is None


def test_rates():
    build = make_build()
    assert build_facts.images_a_second(build, 50.0, measured=False) == pytest.approx(50e6 / 64)
    assert build_facts.images_a_second(build, None, measured=True) is None
    assert build_facts.microseconds(417, 50.0) == pytest.approx(8.34)


def test_streams_carry_their_converters_and_fifos():
    found = steps(make_build())
    assert [step.node.name if step.node else "out" for step in found] == [
        "fc1_product", "fc1_crossings", "fc2_product", "fc2_crossings", "fc3_product", "label", "out",
    ]  # fmt: skip
    assert all(step.joined for step in found)
    first, _, third = (step.edges[0] for step in found[:3])
    assert (first.origin, first.bits, [n.name for n in first.fifos]) == ("", [16], ["fc1_fifo"])
    assert (third.origin, third.bits, [n.fifo_depth for n in third.fifos]) == ("fc1_crossings", [8], [32])
    assert [step.slowest for step in found].index(True) == 4
    assert found[0].share == pytest.approx(32 / 80)


def test_a_width_converter_shows_as_a_change_of_width():
    nodes = [
        make_node("a", "a", "product", 9, output_bits=8),
        make_node("c", "b", "converter", 9, input_bits=8, output_bits=64),
        fifo("f", "b", 64, 16),
        make_node("b", "b", "product", 9, input_bits=64, output_bits=7),
        fifo("tail", "b", 7, 2),
    ]
    *_, second, end = steps(Build("x", "x", nodes=nodes))
    assert second.edges[0].bits == [8, 64]
    assert (end.node, end.edges[0].origin, [n.name for n in end.edges[0].fifos]) == (None, "b", ["tail"])


def test_a_branch_reads_both_its_nodes():
    *_, add, end = steps(make_long_build())
    assert add.node.name == "skip_add"
    assert [edge.origin for edge in add.edges] == ["conv8_pool", "conv4_pool"]
    assert not add.joined
    assert end.joined


def test_no_node_is_lost_among_the_layers():
    build = make_long_build()
    layers = build_facts.layers(build)
    assert sum(len(layer.nodes) for layer in layers) == len(build.nodes)
    assert layers[0].interval(measured=False) == 9216
    assert layers[0].interval(measured=True) is None
    unnamed = replace(build, nodes=[BuildNode("serial", "", "serial")])
    assert [layer.name for layer in build_facts.layers(unnamed)] == ["no layer"]


@pytest.mark.parametrize(
    ("used", "words"),
    [(1, "uses less than 1% of every resource"), (250, "uses at most 1% of any resource (LUT4)")],
)
def test_a_share_is_never_said_to_be_0_percent(used, words):
    build = replace(make_build(), utilisation=[Usage("LUT4", used, 24_288, "routing")])
    assert [v.text for v in build_facts.verdicts(build) if v.text.startswith("Fits")] == [
        f"Fits ulx3s-25f: {words}"
    ]


def test_a_missed_clock_gives_the_speed_at_the_highest_clock():
    asked = Build("b", "n", clock_mhz=50.0, timing=Timing(ii_measured=100, fmax_mhz=40.0, slack_ns=-5.0))
    assert build_facts.misses_clock(asked) and build_facts.usable_clock(asked) == 40.0
    met = replace(asked, timing=replace(asked.timing, fmax_mhz=60.0, slack_ns=3.3))
    assert not build_facts.misses_clock(met) and build_facts.usable_clock(met) == 50.0
    unknown = replace(asked, timing=Timing())
    assert not build_facts.misses_clock(unknown) and build_facts.usable_clock(unknown) == 50.0
