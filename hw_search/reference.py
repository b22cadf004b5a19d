"""The configuration reference, made from the pydantic models so that it cannot be wrong."""

from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from hw_search.config import Config

_HEAD = """# Configuration reference

Printed by `zerocross configuration`; do not edit by hand. A configuration is one YAML file. Only `name`,
`topology` and `folding` have no default.

Any value of `topology`, the targets (or pe and simd) of `folding`, and epochs, batch_size and learning_rate of
`training` may be written `{choose: [a, b, c]}`: it becomes a gene of the search. Choices may stand inside lists, such as
`hidden: [64, {choose: [32, 64]}]`.

"""


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
    return text.rstrip() + "\n"


def _model(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _table(title: str, text: str, rows: list[str]) -> str:
    head = "| field | type | default | meaning |\n| --- | --- | --- | --- |\n"
    return f"## {title}\n\n{text}\n\n{head}" + "\n".join(rows) + "\n\n"


def _row(name: str, field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    shown = "*required*" if default is PydanticUndefined else f"`{_yaml(default)}`"
    return f"| `{name}` | {_type(field.annotation)} | {shown} | {field.description} |"


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


def _type(annotation: Any) -> str:
    if annotation is Any:
        return "number or choose"
    if annotation is type(None):
        return "null"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if str(origin) == "typing.Literal":
        return ", ".join(f"`{argument}`" for argument in arguments)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return "mapping"
    if arguments:
        return " or ".join(_type(argument) for argument in arguments)
    return {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}.get(
        annotation.__name__, annotation.__name__
    )
