"""Cores: a design behind AXI4-Stream as a folder for other projects, with testbench, drivers, and files of other tools.

`core.py` describes a core and writes its top module, `plain_verilog.py` makes Verilog-2005 of it, `folder.py` writes
the folder. Its texts are in `templates/`.
"""
