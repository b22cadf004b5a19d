"""From a network to FPGA hardware: nodes, folding, costs, designs, simulation, synthesis and bitstreams, with FINN."""
