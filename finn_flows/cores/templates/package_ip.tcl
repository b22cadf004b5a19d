# SPDX-License-Identifier: BSD-3-Clause
#
# Packages @name@ for Vivado's IP catalogue, in the folder ip/:
#   vivado -mode batch -source package_ip.tcl
# Then add the folder to a project: set_property ip_repo_paths <folder> [current_project]; update_ip_catalog
set here [file dirname [file normalize [info script]]]
create_project -in_memory -part @part@
add_files [file join $here rtl @name@.v]
set_property top @name@ [current_fileset]
ipx::package_project -root_dir [file join $here ip] -vendor zerocross -library user -taxonomy /UserIP -import_files -force
set core [ipx::current_core]
set_property name @name@ $core
set_property version 1.0 $core
set_property display_name @name@ $core
set_property description {Binary neural network with AXI4-Stream, made by zerocross} $core
# Vivado infers s_axis, m_axis, aclk and aresetn from the names of the ports. The clock belongs to both streams.
ipx::associate_bus_interfaces -busif s_axis -clock aclk $core
ipx::associate_bus_interfaces -busif m_axis -clock aclk $core
set_property supported_families {artix7 Production kintex7 Production virtex7 Production zynq Production \
    zynquplus Production kintexu Production kintexuplus Production virtexuplus Production spartan7 Production} $core
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::save_core $core
