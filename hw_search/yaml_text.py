"""The one way in which the text of a configuration is read: YAML, without what a user cannot have meant."""

from collections.abc import Hashable
from typing import Any

import yaml

from zerocross.hw_search.errors import UserError
from zerocross.models.errors import shown

_LONGEST = 1_000_000  # characters
_DEEPEST = 32
_MOST = 20_000  # values, where an alias counts as all that it stands for
_SHOWN = 200
_KEYS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")


def read_yaml(text: str, source: str) -> Any:
    """Return the content of a YAML text.

    Args:
        text: The text.
        source: File or option that it is from, for messages.

    Raises:
        UserError: In these cases; the message names the line:

            - The text is no YAML.
            - A key is no text, or it is given twice.
            - Values are nested too deeply, or there are too many of them, with aliases written out.
            - An alias stands for a value that contains it.
    """
    if len(text) > _LONGEST:
        raise UserError(
            f"{source} is too long: it has {len(text):,} characters, at most {_LONGEST:,} are read"
        )
    try:
        return _Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
        problem = ": ".join(text for text in (error.context, error.problem) if text)[:_SHOWN]
        raise UserError(f"{source} is not valid YAML: {problem}{place}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{source} is not valid YAML: {' '.join(str(error).split())[:_SHOWN]}") from None


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with limits, which apply while it reads: a text of any form ends it soon."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes: dict[yaml.Node, int] = {}  # values of each complete node, with aliases written out
        self._open = [0]  # values so far of each node that is being read

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if len(self._open) > _DEEPEST:
            raise _mistake(f"values are nested deeper than {_DEEPEST}", event.start_mark)
        alias = isinstance(event, yaml.AliasEvent)
        self._open.append(1)
        node = super().compose_node(parent, index)
        size = self._open.pop()
        if node is None:
            return node
        if alias:
            if node not in self._sizes:
                raise _mistake(
                    f"the alias {event.anchor!r} stands for a value that contains it", event.start_mark
                )
            size = self._sizes[node]
        self._sizes[node] = size
        self._open[-1] += size
        if self._open[-1] > _MOST:
            raise _mistake(
                f"there are more than {_MOST:,} values, with aliases written out", event.start_mark
            )
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _KEYS:
                found = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
                raise _mistake(f"a key must be text, found {shown(found)}: quote it", key.start_mark)
            if key.value in lines:
                raise _mistake(
                    f"the key {shown(key.value)} is given twice, in line {lines[key.value]} and in line {line}",
                    key.start_mark,
                )
            lines[key.value] = line
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Hashable:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
            kind = node.tag.rpartition(":")[2]
            raise _mistake(f"{shown(node.value)} cannot be read as {kind}", node.start_mark) from None


def _mistake(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
