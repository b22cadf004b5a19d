"""Builds: from a trained network, step by step, to an accelerator on a board, and talking to it there."""
