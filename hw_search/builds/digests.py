"""Digests of what decides a step's result: its code, and the design it works on."""

import hashlib
from functools import lru_cache
from pathlib import Path

from zerocross.finn_flows.rtl.design import Generated

_ROOT = Path(__file__).resolve().parents[2]


@lru_cache(maxsize=64)
def code_digest(*places: str) -> str:
    """Return a digest of source files and folders: what they decide is done again when they change.

    Args:
        places: paths from the folder that holds the packages, such as "finn_flows/rtl".

    Raises:
        FileNotFoundError: if there is no such file or folder.
    """
    digest = hashlib.blake2b(digest_size=8)
    for place in places:
        path = _ROOT / place
        if not path.exists():
            raise FileNotFoundError(path)
        for file in [path] if path.is_file() else sorted(path.rglob("*.*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(file.read_bytes())
    return digest.hexdigest()


def design_digest(generated: Generated) -> str:
    """Return a digest of all that a design is made of."""
    digest = hashlib.blake2b(digest_size=8)
    for path in [*generated.sources, *sorted(generated.folder.glob("*.mem"))]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
