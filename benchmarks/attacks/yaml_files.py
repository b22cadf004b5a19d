"""Mutated configurations: each is read, or refused with one message at once."""

import random
from pathlib import Path

from attacks.attack import refused
from tests.hw_search.yaml_mutations import changed
from zerocross.hw_search.config import load_config

_EXAMPLES = Path(__file__).parents[2] / "examples"


class YamlFiles:
    """Changes an example in up to eight places."""

    unit, each, tries, cpu, patience = "YAML files", 1, 10, 5.0, 120.0

    def __init__(self, folder: Path) -> None:
        self.file = folder / "mutated.yaml"
        self.texts = [file.read_text() for file in sorted(_EXAMPLES.glob("*.yaml"))]

    def attempt(self, seed: int) -> str:
        """See `Attack`."""
        draw = random.Random(seed)
        text = draw.choice(self.texts)
        for _ in range(draw.choice([1, 1, 2, 3, 8])):
            text = changed(text, draw)
        self.file.write_text(text, encoding="utf-8", errors="surrogatepass")
        found = refused(lambda: load_config(self.file))
        return "refused with one message" if found is None else "read"
