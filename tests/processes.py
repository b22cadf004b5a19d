"""What tests look up about processes."""

from pathlib import Path


def still_runs(argument: str) -> bool:
    """Return whether a process with this text in its command line runs."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if argument.encode() in file.read_bytes():
                return True
        except OSError:  # it has just ended
            continue
    return False
