"""Mutated configurations: each is read, or refused with one message at once."""

import random
from pathlib import Path

from attacks.attack import refused
from zerocross.hw_search.config import load_config

_EXAMPLES = Path(__file__).parents[2] / "examples"
_PIECES = (
    *(
        "&a ",
        "*a",
        "[",
        "]",
        "{",
        "}",
        "\n",
        "  ",
        ": ",
        "- ",
        "!!int ",
        "!!python/name:os.system",
        "|",
        ">",
        "? ",
    ),
    *(
        "1e999",
        ".nan",
        "-.inf",
        "1e30",
        "-1",
        "0",
        "9" * 50,
        "0x" + "f" * 99,
        "2024-01-01",
        "null",
        "true",
        "~",
    ),
    *(
        "'",
        '"',
        "<<: ",
        "choose",
        "\t",
        "\u2028",
        "\ud7ff",
        "\x00",
        "\x1b[31m",
        "%",
        "#",
        "@",
        "../../etc",
        "[" * 300,
    ),
)


class YamlFiles:
    """Changes an example in up to eight places: text is put in, taken away, or doubled, and lines change places."""

    unit, each, tries, cpu, patience = "YAML files", 1, 10, 5.0, 120.0

    def __init__(self, folder: Path) -> None:
        self.file = folder / "mutated.yaml"
        self.texts = [file.read_text() for file in sorted(_EXAMPLES.glob("*.yaml"))]

    def attempt(self, seed: int) -> str:
        """See `Attack`."""
        draw = random.Random(seed)
        text = draw.choice(self.texts)
        for _ in range(draw.choice([1, 1, 2, 3, 8])):
            text = _changed(text, draw)
        self.file.write_text(text, encoding="utf-8", errors="surrogatepass")
        found = refused(lambda: load_config(self.file))
        return "refused with one message" if found is None else "read"


def _changed(text: str, draw: random.Random) -> str:
    lines, way = text.splitlines(), draw.randrange(5)
    if way == 0 and len(lines) > 1:
        one, other = draw.sample(range(len(lines)), 2)
        lines[one], lines[other] = lines[other], lines[one]
        return "\n".join(lines)
    if way == 1 and lines:
        lines.insert(draw.randrange(len(lines)), draw.choice(lines))
        return "\n".join(lines)
    if way == 2:  # another value
        places = [index for index, line in enumerate(lines) if ": " in line]
        if places:
            index = draw.choice(places)
            lines[index] = lines[index].split(": ")[0] + ": " + draw.choice(_PIECES)
        return "\n".join(lines)
    at = draw.randrange(len(text) + 1)
    return text[:at] + draw.choice([*_PIECES, ""]) + text[at + draw.randrange(6) :]
