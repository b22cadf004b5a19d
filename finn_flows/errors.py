"""The base of all that can go wrong here and that a user can mend."""


class FlowError(Exception):
    """Bad input, a missing tool, a design that cannot be: the message names it, and the remedy."""
