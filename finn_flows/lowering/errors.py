"""The error of the lowering."""

from zerocross.finn_flows.errors import FlowError


class LoweringError(FlowError):
    """Raised for a node of a QONNX graph that hardware cannot compute; the message names node, reason and remedy.

    Args:
        message: The message. A node's name may contain line breaks, which become spaces.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))
