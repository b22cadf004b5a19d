// SPDX-License-Identifier: BSD-3-Clause
//
// An instance of @name@ to copy. README.md describes the ports.
@name@ @name@_0 (
    .aclk         (clk),      // every port changes with its rising edge
    .aresetn      (!reset),   // synchronous, low for at least one cycle after power-on
    .s_axis_tdata (),         // in  [@msb@:0]
    .s_axis_tlast (),         // in  with the last word of a packet of samples
    .s_axis_tvalid(),         // in
    .s_axis_tready(),         // out
    .m_axis_tdata (),         // out [@msb@:0]
    .m_axis_tlast (),         // out with the last word of the packet's answers
    .m_axis_tvalid(),         // out
    .m_axis_tready()          // in
);
