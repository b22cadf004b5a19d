"""The exception for a user's mistake in a search or a build.

`zerocross.finn_flows.errors` has the base class of the hardware's errors, because that package does not import this one.
"""


class UserError(Exception):
    """A mistake that the user can correct. The message names the field or file and the remedy."""
