"""The base class of errors that a user can correct."""


class FlowError(Exception):
    """Invalid input, a missing tool or an impossible design; the message names the problem and the remedy."""
