"""The error of the lowering."""

from zerocross.finn_flows.errors import FlowError


class LoweringError(FlowError):
    """Hardware cannot compute a part of a QONNX graph; the message names the node, the reason and the remedy."""
