"""Designs of hardware nodes as SystemVerilog, and their cycle-accurate simulation."""
