"""From a trained Brevitas module to the integer network that the hardware computes, as a search needs it."""
