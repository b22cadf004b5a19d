"""Extraction of the hardware's integer network from a trained Brevitas module, for searches."""
