from dataclasses import replace
from io import StringIO

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
    assert whole[1:] == ["66", "2,378", "2,411", "3,499", "1,470", "1,502", "12", "12"]
    assert max(map(len, text.splitlines())) <= 80


def test_a_stopped_build_has_its_stage_and_its_remedy():
    text = printed(make_long_build())
    assert "✗ Stopped at place and route" in text
    command = f"load it with: openFPGALoader {'long/' * 30}design.bit"
    assert command in printed(replace(make_build(), hints=[command])).splitlines()
    assert "Or take ulx3s-85f." in text


def test_a_bare_build_prints():
    assert "? Not compared with the trained network" in printed(Build("bare", "x"))
