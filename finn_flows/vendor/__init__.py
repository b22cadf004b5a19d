"""Designs as FINN graphs of this project's own nodes, and their build with Vivado."""
