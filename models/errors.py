"""What a person did that a network cannot be made of."""


class ModelError(ValueError):
    """A bad expression, topology or data set; the message names the part and the remedy."""
