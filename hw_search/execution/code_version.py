"""The version of all code that decides what a training comes to."""

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

import torch


@lru_cache(maxsize=8)
def code_version(plugins: tuple[str, ...] = ()) -> str:
    """Return a digest of all code that decides a training's result: this project's, the plugins', torch's version."""
    digest = hashlib.blake2b(torch.__version__.encode(), digest_size=8)
    root = Path(__file__).resolve().parents[2]
    own = sorted((root / "models").glob("*.py"))
    own += [root / "hw_search" / "execution" / name for name in ("evaluation.py", "mixtures.py", "stacks.py")]
    own += sorted((root / "hw_search" / "extraction").glob("*.py"))
    own += [root / "finn_flows" / name for name in ("crossings.py", "integer.py", "network.py")]
    for plugin in plugins:
        spec = None if plugin.endswith(".py") else importlib.util.find_spec(plugin)
        source = spec.origin if spec is not None else plugin
        if source and Path(source).is_file():
            own.append(Path(source))
    for path in own:
        digest.update(path.read_bytes())
    return digest.hexdigest()
