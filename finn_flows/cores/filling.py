"""The templates of a core's texts, which have @key@ in place of values."""

import re
from collections.abc import Mapping
from pathlib import Path

_TEMPLATES = Path(__file__).parent / "templates"


def filled(template: str, values: Mapping[str, object]) -> str:
    """Return a template with @key@ replaced by values."""
    text = (_TEMPLATES / template).read_text(encoding="utf-8")
    return re.sub(r"@(\w+)@", lambda found: str(values[found.group(1)]), text)
