"""From SystemVerilog to a chip with open tools: synthesis, place and route, the serial line."""
