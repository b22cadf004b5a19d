"""What a QONNX file can hold that no integer network does."""


class LoweringError(ValueError):
    """A part of a QONNX graph that cannot be lowered; the message names the node, the reason and the remedy."""
