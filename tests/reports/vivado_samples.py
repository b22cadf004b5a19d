"""Reports as Vivado writes them, shortened by hand."""

UTILISATION_7_SERIES = """\
Copyright 1986-2022 Xilinx, Inc. All Rights Reserved. Copyright 2022-2023 Advanced Micro Devices, Inc. All Rights Reserved.
-----------------------------------------------------------------------------------------------------------
| Tool Version : Vivado v.2023.2 (lin64) Build 4029153 Fri Oct 13 20:13:54 MDT 2023
| Date         : Fri Nov 20 16:49:35 2026
| Host         : bench running 64-bit Ubuntu 22.04.5 LTS
| Command      : report_utilization -file top_utilization_placed.rpt -pb top_utilization_placed.pb
| Design       : top
| Device       : xc7z020clg400-1
| Speed File   : -1
| Design State : Fully Placed
-----------------------------------------------------------------------------------------------------------

Utilization Design Information

Table of Contents
-----------------
1. Slice Logic
1.1 Summary of Registers by Type
2. Memory
3. DSP
7. Primitives

1. Slice Logic
--------------

+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| Slice LUTs*                |  1502 |     0 |          0 |     53200 |  2.82 |
|   LUT as Logic             |  1418 |     0 |          0 |     53200 |  2.67 |
|   LUT as Memory            |    84 |     0 |          0 |     17400 |  0.48 |
|     LUT as Distributed RAM |    84 |     0 |            |           |       |
|     LUT as Shift Register  |     0 |     0 |            |           |       |
| Slice Registers            |  1733 |     0 |          0 |    106400 |  1.63 |
|   Register as Flip Flop    |  1733 |     0 |          0 |    106400 |  1.63 |
|   Register as Latch        |     0 |     0 |          0 |    106400 |  0.00 |
| F7 Muxes                   |    12 |     0 |          0 |     26600 |  0.05 |
+----------------------------+-------+-------+------------+-----------+-------+
* Warning! The Final LUT count, after physical optimizations and full implementation, is typically lower.


1.1 Summary of Registers by Type
--------------------------------

+-------+--------------+-------------+--------------+
| Total | Clock Enable | Synchronous | Asynchronous |
+-------+--------------+-------------+--------------+
| 0     |            _ |           - |            - |
| 1733  |          Yes |       Reset |            - |
+-------+--------------+-------------+--------------+


2. Memory
---------

+-------------------+------+-------+------------+-----------+-------+
|     Site Type     | Used | Fixed | Prohibited | Available | Util% |
+-------------------+------+-------+------------+-----------+-------+
| Block RAM Tile    |  6.5 |     0 |          0 |       140 |  4.64 |
|   RAMB36/FIFO*    |    4 |     0 |          0 |       140 |  2.86 |
|     RAMB36E1 only |    4 |       |            |           |       |
|   RAMB18          |    5 |     0 |          0 |       280 |  1.79 |
|     RAMB18E1 only |    5 |       |            |           |       |
+-------------------+------+-------+------------+-----------+-------+
* Note: Each Block RAM Tile only has one FIFO logic available.


3. DSP
------

+----------------+------+-------+------------+-----------+-------+
|    Site Type   | Used | Fixed | Prohibited | Available | Util% |
+----------------+------+-------+------------+-----------+-------+
| DSPs           |    3 |     0 |          0 |       220 |  1.36 |
|   DSP48E1 only |    3 |       |            |           |       |
+----------------+------+-------+------------+-----------+-------+


7. Primitives
-------------

+----------+------+---------------------+
| Ref Name | Used | Functional Category |
+----------+------+---------------------+
| FDRE     | 1733 |        Flop & Latch |
| LUT6     |  700 |                 LUT |
| CARRY4   |  211 |          CarryLogic |
| RAMB18E1 |    5 |        Block Memory |
+----------+------+---------------------+
"""

# As versions before 2021 wrote it: no column "Prohibited", and no "xc" before the part.
UTILISATION_ULTRASCALE = """\
Copyright 1986-2020 Xilinx, Inc. All Rights Reserved.
-------------------------------------------------------------------------------------------
| Tool Version : Vivado v.2020.2 (lin64) Build 3064766 Wed Nov 18 09:12:47 MST 2020
| Design       : top
| Device       : zu3egsbva484-1
| Design State : Synthesized
-------------------------------------------------------------------------------------------

1. CLB Logic
------------

+-------------------------+------+-------+-----------+-------+
|        Site Type        | Used | Fixed | Available | Util% |
+-------------------------+------+-------+-----------+-------+
| CLB LUTs*               | 1390 |     0 |     70560 |  1.97 |
|   LUT as Logic          | 1300 |     0 |     70560 |  1.84 |
| CLB Registers           | 1701 |     0 |    141120 |  1.21 |
| CARRY8                  |   98 |     0 |      8820 |  1.11 |
+-------------------------+------+-------+-----------+-------+

2. BLOCKRAM
-----------

+-------------------+------+-------+-----------+-------+
|     Site Type     | Used | Fixed | Available | Util% |
+-------------------+------+-------+-----------+-------+
| Block RAM Tile    |    3 |     0 |       216 |  1.39 |
|   RAMB36/FIFO*    |    0 |     0 |       216 |  0.00 |
|   RAMB18          |    6 |     0 |       432 |  1.39 |
+-------------------+------+-------+-----------+-------+

3. ARITHMETIC
-------------

+-----------+------+-------+-----------+-------+
| Site Type | Used | Fixed | Available | Util% |
+-----------+------+-------+-----------+-------+
| DSPs      |    0 |     0 |       360 |  0.00 |
+-----------+------+-------+-----------+-------+
"""

HIERARCHY = """\
Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
-------------------------------------------------------------------------------------------
| Tool Version : Vivado v.2022.2 (lin64) Build 3671981 Fri Oct 14 04:59:54 MDT 2022
| Command      : report_utilization -hierarchical -hierarchical_depth 5 -file finn_partition_util.rpt
| Design       : top
| Device       : xc7z020clg400-1
| Design State : Synthesized
-------------------------------------------------------------------------------------------

Utilization Design Information

Table of Contents
-----------------
1. Utilization by Hierarchy

1. Utilization by Hierarchy
---------------------------

+------------------------+----------------+------------+------------+---------+------+------+--------+--------+------------+
|        Instance        |     Module     | Total LUTs | Logic LUTs | LUTRAMs | SRLs | FFs  | RAMB36 | RAMB18 | DSP Blocks |
+------------------------+----------------+------------+------------+---------+------+------+--------+--------+------------+
| top_wrapper            |          (top) |       1502 |       1418 |      84 |    0 | 1733 |      4 |      5 |          3 |
|   (top_wrapper)        |          (top) |          0 |          0 |       0 |    0 |    0 |      0 |      0 |          0 |
|   finn_design_i        |    finn_design |       1502 |       1418 |      84 |    0 | 1733 |      4 |      5 |          3 |
|     MVAU_hls_0         |   MVAU_hls_0_x |        900 |        900 |       0 |    0 |  911 |      4 |      4 |          0 |
|       inst             | MVAU_hls_0_imp |        880 |        880 |       0 |    0 |  901 |      4 |      4 |          0 |
|     Thresholding_rtl_0 | Thresholding_0 |        602 |        518 |      84 |    0 |  822 |      0 |      1 |          3 |
+------------------------+----------------+------------+------------+---------+------+------+--------+--------+------------+
* Note: The sum of lower-level cells may be larger than their parent cells total, due to cross-hierarchy LUT combining
"""


def xml_report(rows, state="Physopt postRoute"):
    """A hierarchical report in XML; rows are (depth, instance, module, LUTs, FFs, RAMB36, RAMB18, DSPs)."""
    titles = "Instance", "Module", "Total LUTs", "FFs", "RAMB36", "RAMB18", "DSP Blocks"
    cells = [[("tableheader", title) for title in titles]]
    cells += [
        [("tablecell", "  " * depth + name), *(("tablecell", str(c)) for c in rest)]
        for depth, name, *rest in rows
    ]
    table = "\n".join(
        '<tablerow class="" suppressoutput="0" wordwrap="0">'
        + "".join(f'<{kind} class="" contents="{contents}" halign="3"/>' for kind, contents in row)
        + "</tablerow>"
        for row in cells
    )
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<RptDoc cmdline="report_utilization -hierarchical -hierarchical_depth 4 -file synth_report.xml -format xml" \
designname="top_wrapper" designstate="{state}" partname="xc7z020clg400-1" speedfile="-1" version="1">
<section class="" title="Utilization by Hierarchy"><table class="" style="2" title="">
<footnote text="Note: The sum of lower-level cells may be larger than their parent cells total"/>
{table}
</table></section></RptDoc>
"""


TIMING = """\
Copyright 1986-2021 Xilinx, Inc. All Rights Reserved.
------------------------------------------------------------------------------------------------------
| Tool Version      : Vivado v.2021.2 (lin64) Build 3367213 Tue Oct 19 02:47:39 MDT 2021
| Command           : report_timing_summary -file ooc_timing.rpt
| Design            : top
| Device            : 7z020-clg400
| Speed File        : -1  PRODUCTION 1.12 2019-11-22
| Design State      : Routed
------------------------------------------------------------------------------------------------------

Timing Summary Report

------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------
     -0.333      -13.146                     57                  973        0.082        0.000                      0


Timing constraints are not met.


------------------------------------------------------------------------------------------------
| Clock Summary
| -------------
------------------------------------------------------------------------------------------------

Clock       Waveform(ns)         Period(ns)      Frequency(MHz)
-----       ------------         ----------      --------------
ap_clk      {0.000 5.000}        10.000          100.000
clk_fast    {0.000 1.000}        2.000           500.000


------------------------------------------------------------------------------------------------
| Intra Clock Table
| -----------------
------------------------------------------------------------------------------------------------

Clock             WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)
-----             -------      -------  ---------------------  -------------------      -------
ap_clk             -0.333      -13.146                     57                  973        0.082
clk_fast            1.200        0.000                      0                   12        0.082


------------------------------------------------------------------------------------------------
| Inter Clock Table
| -----------------
------------------------------------------------------------------------------------------------


------------------------------------------------------------------------------------------------
| Timing Details
| --------------
------------------------------------------------------------------------------------------------


Max Delay Paths
--------------------------------------------------------------------------------------
Slack (VIOLATED) :        -0.333ns  (required time - arrival time)
  Source:                 fc1/sum_reg[0]/C
                            (rising edge-triggered cell FDRE clocked by ap_clk  {rise@0.000ns fall@5.000ns period=10.000ns})
  Destination:            fc1/bit_reg[31]/D
                            (rising edge-triggered cell FDRE clocked by ap_clk  {rise@0.000ns fall@5.000ns period=10.000ns})
  Path Group:             ap_clk
  Path Type:              Setup (Max at Slow Process Corner)
  Requirement:            10.000ns  (ap_clk rise@10.000ns - ap_clk rise@0.000ns)
  Data Path Delay:        10.325ns  (logic 3.776ns (36.571%)  route 6.549ns (63.429%))
  Logic Levels:           15  (CARRY4=9 LUT6=6)

                         slack                                 -0.333

Slack (MET) :             0.120ns  (required time - arrival time)
  Source:                 fc2/a_reg/C
  Destination:            fc2/b_reg/D
  Data Path Delay:        9.500ns  (logic 1.000ns (10.526%)  route 8.500ns (89.474%))


Min Delay Paths
--------------------------------------------------------------------------------------
Slack (MET) :             0.082ns  (arrival time - required time)
  Source:                 fc9/never/C
  Destination:            fc9/shown/D
"""


def heading(command, state, device="xc7z020clg400-1", design="top", date="Fri Nov 20 16:49:35 2026"):
    """The header of a report; without a state, the line is missing."""
    lines = ["Tool Version : Vivado v.2023.2 (lin64) Build 4029153", f"Date         : {date}"]
    lines += [f"Command      : {command}", f"Design       : {design}", f"Device       : {device}"]
    lines += [f"Design State : {state}"] if state else []
    return "\n".join(f"| {line}" for line in lines) + "\n\n"


def utilisation(tables, state="Routed", options="", **header):
    """A utilisation report; `tables` are lists of (site, used, available)."""
    text = heading(f"report_utilization{options} -file util.rpt", state, **header)
    for rows in tables:
        text += (
            "+---+---+---+\n|  Site Type  |  Used | Fixed | Prohibited | Available | Util% |\n+---+---+---+\n"
        )
        text += "".join(f"| {site} | {used} | 0 | 0 | {of} | <0.01 |\n" for site, used, of in rows)
        text += "+---+---+---+\n\n"
    return text


def on_7_series(lut, **header):
    tables = [
        [("Slice LUTs", lut, 53200), ("Slice Registers", 2 * lut, 106400)],
        [("Block RAM Tile", 1.5, 140)],
        [("DSPs", 4, 220)],
    ]
    return utilisation(tables, **header)


def timed(
    slack, state="Routed", clocks=(("ap_clk", 10.0),), table="Intra Clock Table", worst="ap_clk", **header
):
    """A timing summary with the given clocks; `worst` starts the line of the worst slack in `table`."""
    rule = "-" * 40
    text = heading("report_timing_summary -file timing.rpt", state, **header)
    text += f"| Design Timing Summary\n| ---\n\n    WNS(ns)      TNS(ns)\n    -------      -------\n {slack:.3f}  0.000\n\n"
    text += f"{rule}\n| Clock Summary\n| ---\n\nClock  Waveform(ns)  Period(ns)  Frequency(MHz)\n"
    text += "".join(f"{n}  {{0.000 {p / 2:.3f}}}  {p:.3f}  {1000 / p:.3f}\n" for n, p in clocks)
    for title in ("Intra Clock Table", "Inter Clock Table"):
        text += f"\n{rule}\n| {title}\n| ---\n{rule}\n\n"
        text += f"{worst}  {slack:.3f}  0.000\n" if title == table else ""
    return f"{text}\n{rule}\n| Timing Details\n| ---\n"


def dies(used):
    """The table of a part of several dies: a column for each, and none named "Used"."""
    names = [f"SLR{i}" for i in range(len(used))]
    cells = " | ".join([*names, *(f"{name} %" for name in names)])
    numbers = " | ".join([*map(str, used), *("0.10" for _ in used)])
    rows = "".join(f"| {site} | {numbers} |\n" for site in ("CLB LUTs", "CARRY8", "Block RAM Tile"))
    return f"13. SLR CLB Logic and Dedicated Block Utilization\n\n+---+\n| Site Type | {cells} |\n+---+\n{rows}+---+\n"
