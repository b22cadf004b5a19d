"""The same networks as FINN graphs of this project's own nodes, and on to Vivado."""
