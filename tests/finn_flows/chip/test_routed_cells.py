"""Resources by node, from small netlists as nextpnr writes them."""

from zerocross.finn_flows.chip.place_route import Use, _by_node
from zerocross.finn_flows.chip.routed_cells import count_by_node, node_of
from zerocross.finn_flows.families import get_family


def cell(kind, **connections):
    return {"type": kind, "connections": {port: [net] for port, net in connections.items()}}


def test_a_cell_belongs_to_the_node_that_its_name_begins_with():
    assert node_of("accelerator.conv1.rom.0") == "conv1"
    assert node_of("$flatten\\accelerator.conv1.rom.0") == "conv1"
    assert node_of("serial_line.receiver.timer") == "serial_line"
    assert node_of("accelerator.conv1_m_tvalid_LUT4_B") == node_of("$nextpnr_CCU2C_0$CCU2_COMB0") == ""
    assert node_of("accelerator.$auto.1") == ""


def test_carry_cells_that_nextpnr_adds_belong_to_the_node_of_their_chain():
    cells = {
        "accelerator.conv1.sum$COMB0": cell("TRELLIS_COMB", FCI=1, FCO=2),
        "accelerator.conv1.sum$COMB1": cell("TRELLIS_COMB", FCI=2, FCO=3),
        "$nextpnr_CCU2C_0$COMB0": cell("TRELLIS_COMB", FCI=3, FCO=4, F=9),  # its sum feeds another node
        "$nextpnr_CCU2C_0$COMB1": cell("TRELLIS_COMB", FCI=4),
        "$nextpnr_CCU2C_1$COMB1": cell("TRELLIS_COMB", FCO=1, A=9, FCI="0"),
        "accelerator.pool1.best": cell("TRELLIS_FF", DI=9),
        "$PACKER_VCC": cell("TRELLIS_COMB", F=10),
        "clk$io": cell("TRELLIS_IO", O=11),
        "$gbuf$clk": cell("DCCA", CLKI=11),
    }
    router = get_family("ecp5").router
    found = count_by_node({"modules": {"top": {"cells": cells}}}, router.resources, router.carry)
    assert found == {"conv1": {"lut": 5}, "pool1": {"ff": 1}, "": {"lut": 1, "pin": 1}}


def test_resources_whose_sum_is_not_nextpnrs_own_are_left_out():
    cells = {
        "accelerator.fc1.a": cell("LUT3"),
        "accelerator.fc1.b": cell("DFFRE"),
        "accelerator.fc1.c": cell("SDPB"),
    }
    used = {"lut": Use(2, 10), "ff": Use(1, 10), "bram": Use(1, 2), "dsp": Use(0, 2)}
    found = _by_node({"modules": {"top": {"cells": cells}}}, get_family("gowin").router, used)
    assert found == {"": {"ff": 0, "bram": 0, "dsp": 0}, "fc1": {"ff": 1, "bram": 1, "dsp": 0}}
