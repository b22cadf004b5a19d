"""The exception for a user's mistake."""


class UserError(Exception):
    """A mistake that the user can correct. The message names the field or file and the remedy."""
