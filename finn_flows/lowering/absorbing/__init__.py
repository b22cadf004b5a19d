"""From a canonical graph to an integer network: activations become crossings, and the end becomes a class."""
