"""The zoo: trained networks as small files that `zoo:NAME` refers to.

The folder `entries/` holds those that come with the package. `zerocross.hw_search.adding` makes an entry.
"""

from pathlib import Path

PREFIX = "zoo:"


def is_zoo(text: str | Path) -> bool:
    """Return whether a text refers to the zoo."""
    return str(text).startswith(PREFIX)
