"""The configuration reference, generated from the pydantic models and the topologies, so that it is never outdated."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from typing import Annotated, Any, get_args, get_origin

from annotated_types import Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from zerocross.hw_search.choice import Choose
from zerocross.hw_search.config import Config

_HEAD = """# Configuration reference

Printed by `zerocross configuration`; do not edit by hand. A configuration is one YAML file. Only `name`,
`topology` and `folding` have no default.

Any value of `topology`, and every field whose type includes "or choose", may be written as `{choose: [a, b, c]}`. The search
then chooses its value. Choices may also stand inside lists, such as `hidden: [64, {choose: [32, 64]}]`, but
not inside an encoding of the input.
A range, such as `{range: [0.001, 0.02], log: true}`, is short for a list of 16 values (`steps`) of equal distance, or with
`log` of equal ratio. Between integers they are integers.

All numbers must be finite, and integers have at most 64 bits. These mistakes are refused at once:

- a key that is given twice;
- values nested deeper than 32, or more than 20,000 values, where an alias counts as all that it stands for;
- a network whose training needs more than half of the machine's memory.

"""

_COLUMNS = "| field | type | default | meaning |\n| --- | --- | --- | --- |\n"


def reference() -> str:
    """Return the reference as Markdown."""
    sections = [(name, field) for name, field in Config.model_fields.items() if _model(field)]
    rows = [_row(name, field) for name, field in Config.model_fields.items() if not _model(field)]
    text = _HEAD + _table("Top level", "One search.", rows)
    for name, field in sections:
        model = _model(field)
        assert model is not None
        rows = [_row(key, inner) for key, inner in model.model_fields.items()]
        text += _table(f"`{name}`", (model.__doc__ or "").strip(), rows)
        for key, inner in model.model_fields.items():
            if (entry := _listed(inner)) is not None:
                rows = [_row(part, own) for part, own in entry.model_fields.items()]
                text += _table(f"Entries of `{name}.{key}`", (entry.__doc__ or "").strip(), rows)
    return (text + _topologies()).rstrip() + "\n"


def _topologies() -> str:
    """Return the built-in topologies. Topologies with the same parameters share a table."""
    from zerocross.models import topologies

    found = [
        function for function in topologies.TOPOLOGIES.values() if function.__module__ == topologies.__name__
    ]
    names = {function: name for name, function in topologies.TOPOLOGIES.items()}
    text = "## `topology`\n\nThe parameters follow `name`. Your own topologies have their own parameters.\n\n"
    tables: dict[str, list[str]] = {}
    for function in found:
        about, meanings = _documented(inspect.getdoc(function) or "")
        rows = [
            f"| `{key}` | {_type(parameter.annotation)} | {_default(parameter.default)} | {meanings[key]} |"
            for key, parameter in inspect.signature(function).parameters.items()
            if key not in ("input_shape", "classes")
        ]
        tables.setdefault("\n".join(rows), []).append(f"`{names[function]}`: {about}")
    for table, entries in tables.items():
        text += "\n\n".join(entries) + f"\n\n{_COLUMNS}{table}\n\n"
    return text


def _documented(doc: str) -> tuple[str, dict[str, str]]:
    """Return a docstring's text before its arguments, on one line, and the description of each argument."""
    about, _, arguments = doc.partition("Args:\n")
    meanings: dict[str, str] = {}
    for line in arguments.splitlines():
        if entry := re.fullmatch(r"    (\w+): (.*)", line):
            key, meanings[entry[1]] = entry[1], entry[2]
        elif line.startswith("        "):
            meanings[key] += " " + line.strip()
        else:
            break
    return " ".join(about.split()), {
        key: meaning[0].upper() + meaning[1:] for key, meaning in meanings.items()
    }


def _default(value: Any) -> str:
    return "*required*" if value is inspect.Parameter.empty else f"`{_yaml(value)}`"


def _model(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _listed(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a list's entries, or None."""
    kind = next(iter(get_args(field.annotation)), None)
    listed = get_origin(field.annotation) is list and isinstance(kind, type) and issubclass(kind, BaseModel)
    return kind if listed else None


def _table(title: str, text: str, rows: list[str]) -> str:
    return f"## {title}\n\n{text}\n\n{_COLUMNS}" + "\n".join(rows) + "\n\n"


def _row(name: str, field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    shown = "*required*" if default is PydanticUndefined else f"`{_yaml(default)}`"
    return f"| `{name}` | {_type(field.annotation)} | {shown} | {field.description}{_limit(field)} |"


def _limit(field: FieldInfo) -> str:
    """Return the upper limit of a field of integers as a sentence, or ""."""
    found = [*field.metadata, *_metadata(field.annotation)]
    limits = [each.le for each in found if isinstance(each, Le)]
    return f" At most {limits[0]:,}." if limits and "integer" in _type(field.annotation) else ""


def _metadata(annotation: Any) -> Iterator[Any]:
    """Yield the metadata of an annotation and of all in it."""
    for entry in getattr(annotation, "__metadata__", ()):
        yield from entry.metadata if isinstance(entry, FieldInfo) else (entry,)
    for inner in get_args(annotation):
        yield from _metadata(inner)


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if is_dataclass(value) and not isinstance(value, type):
        return "{" + ", ".join(f"{key}: {_yaml(own)}" for key, own in asdict(value).items()) + "}"
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


def _type(annotation: Any) -> str:
    if annotation is type(None):
        return "null"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Choose:
        return "choose"
    if str(origin) == "typing.Literal":
        return ", ".join(f"`{argument}`" for argument in arguments)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict or is_dataclass(annotation):
        return "mapping"
    if arguments:
        return " or ".join(dict.fromkeys(map(_type, arguments)))
    return {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}.get(
        annotation.__name__, annotation.__name__
    )
