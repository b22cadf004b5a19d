"""Builds: the steps from a trained network to an accelerator on a board, and the host that sends it samples."""
