"""A user's mistake, in one message."""


class UserError(Exception):
    """Something the user can mend; the message names the field or file and the remedy."""
