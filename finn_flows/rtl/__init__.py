"""Hardware nodes, their SystemVerilog, whole designs of them, and cycle-accurate simulation."""
