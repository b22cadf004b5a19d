"""From SystemVerilog to an FPGA with open tools: synthesis, place and route, serial line."""
