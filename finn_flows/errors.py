"""The base class of errors of the hardware that a user can correct.

`zerocross.hw_search.errors` has another class, because this package does not import `hw_search`.
"""


class FlowError(Exception):
    """Invalid input, a missing tool or an impossible design; the message names the problem and the remedy."""
