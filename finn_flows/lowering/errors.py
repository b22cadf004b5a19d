"""What a QONNX file can hold that no integer network does."""

from zerocross.finn_flows.errors import FlowError


class LoweringError(FlowError):
    """A part of a QONNX graph that cannot be lowered; the message names the node, the reason and the remedy."""
