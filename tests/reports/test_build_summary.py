from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from tests.reports.builds import make_build, make_long_build
from zerocross.reports.build_records import Build
from zerocross.reports.build_summary import build_table


def printed(build, width=80):
    console = Console(width=width, record=True, file=StringIO())
    console.print(build_table(build), crop=False)
    return console.export_text()


def test_a_build_in_the_terminal():
    text = printed(make_build())
    for part in (
        "✓ All forms agree on 360 images; the netlist was compared on 50",
        "✓ Meets 50 MHz",
        "Samples: 359 distinct of 360, all 10 classes; 95% of inputs",
        "66  cycles, simulation, 757,576 images a second at 50 MHz",
        "2,417  place and route, 10.0% of 24,288",
        "61.9  MHz, place and route",
    ):
        assert part in text, part
    whole = next(line.split() for line in text.splitlines() if line.startswith("whole "))
    assert whole[1:] == ["66", "2,378", "2,411", "12", "12"]
    assert max(map(len, text.splitlines())) <= 80


def test_a_stopped_build_has_its_stage_and_its_remedy():
    text = printed(make_long_build())
    assert "✗ Stopped at place and route" in text
    assert "Or take ulx3s-85f." in text
    assert "Load the bitstream" not in text


def test_the_command_that_loads_a_bitstream_stands_in_one_line():
    command = f"openFPGALoader {'long/' * 30}design.bit"
    build = make_build(load=command)
    assert f"Load the bitstream with: {command}" in printed(build).splitlines()
    slow = replace(build, timing=replace(build.timing, slack_ns=-1.0))
    assert f"Load the bitstream all the same with: {command}" in printed(slow).splitlines()


def test_a_bare_build_prints():
    assert "? Not compared with the network" in printed(Build("bare", "x"))


@pytest.mark.parametrize("family", ["ecp5", "7-series"])
def test_headings_are_whole_beside_long_names_of_layers(family):
    build = replace(make_build(), family=family)
    nodes = [
        replace(
            node,
            layer=f"/features/{node.layer}/act_quant/export_handler",
            routed={"lut": 123_456, "bram": 123},
        )
        for node in build.nodes
    ]
    lines = printed(replace(build, nodes=nodes)).splitlines()
    assert max(map(len, lines)) <= 80
    heads = next(index for index, line in enumerate(lines) if line.startswith("layer "))
    sources = ["ours", "routed"] if family == "ecp5" else ["FINN", "ours", "routed"]
    assert lines[heads].split() == ["layer", "II", *2 * sources]
    units = ["LUT4", "DP16KD"] if family == "ecp5" else ["LUT6", "BRAM18"]
    assert lines[heads - 1].split() == [unit for unit in units for _ in sources]


def test_what_is_around_the_layers_is_a_row_of_its_own():
    build = make_build()
    nodes = [replace(node, routed={"lut": 10}) for node in build.nodes]
    text = printed(replace(build, nodes=nodes, routed={"lut": 10 * len(nodes) + 77}))
    (row,) = [line for line in text.splitlines() if line.startswith("around the layers")]
    assert row.split()[-1] == "77"
    assert "around the layers" not in printed(replace(build, nodes=nodes, routed={"lut": 10 * len(nodes)}))


def test_dropped_outputs_are_said():
    assert "The file's output aux: not computed by the hardware" in printed(
        replace(make_build(), dropped=["aux"])
    )
