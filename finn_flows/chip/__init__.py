"""From SystemVerilog to a chip with open tools: synthesis, boards, place and route, the serial line."""
