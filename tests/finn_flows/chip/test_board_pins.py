"""Slow: nextpnr knows the part and every pin of every board, and routes a few cells to them."""

import pytest

from zerocross.finn_flows.boards import TARGETS
from zerocross.finn_flows.chip.place_route import place_and_route
from zerocross.finn_flows.chip.synthesis import synthesise

BLINK = """
module blink(input logic clk, input logic rx, output logic tx{port});
  logic [7:0] count = 0;
  always_ff @(posedge clk) begin
    count <= count + 8'(rx);
    tx <= count[7];
  end
  {led}
endmodule
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", [board.name for board in TARGETS.values() if board.clock_mhz])
def test_a_few_cells_are_routed_to_the_pins_of_a_board(tmp_path, name):
    board = TARGETS[name]
    source = tmp_path / "blink.sv"
    port, led = (", output logic led", "assign led = count[6];") if board.led else ("", "")
    source.write_text(BLINK.replace("{port}", port).replace("{led}", led))
    made = synthesise("blink", [source], tmp_path, board.family, part=board.part.name, pads=True)
    routed = place_and_route(made.netlist, board, tmp_path)
    assert routed.met and routed.bitstream.stat().st_size > 10_000
    assert routed.used["pin"].used == (4 if board.led else 3)
