"""Damage to the text of a configuration, as people and editors do it, and worse."""

import random

PIECES = (
    *("&a ", "*a", "[", "]", "{", "}", "\n", "  ", ": ", "- ", "!!int ", "!!python/name:os.system", "|"),
    *(">", "? ", "1e999", ".nan", "-.inf", "1e30", "-1", "0", "9" * 50, "0x" + "f" * 99, "2024-01-01"),
    *("null", "true", "~", "'", '"', "<<: ", "choose", "\t", "\u2028", "\ud7ff", "\x00", "\x1b[31m"),
    *("%", "#", "@", "../../etc", "[" * 300),
)
"""Texts that mean something in YAML, in a configuration or on a terminal."""


def changed(text: str, draw: random.Random) -> str:
    """Change a text in one place: text is put in, taken away, or doubled, a value is another, or lines change places."""
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
            lines[index] = lines[index].split(": ")[0] + ": " + draw.choice(PIECES)
        return "\n".join(lines)
    at = draw.randrange(len(text) + 1)
    return text[:at] + draw.choice([*PIECES, ""]) + text[at + draw.randrange(6) :]
