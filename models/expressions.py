"""Activation expressions: trees of operations, and their text form.

    x                          the plain sign
    sin(mul(3, x))             numbers are constants
    add(sin(x), scale(x))      scale, shift, learned and mix bring learnable per-channel parameters

Text is read by `parse` and printed by `str`, each the inverse of the other.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from zerocross.models.errors import ModelError
from zerocross.models.operations import Operation, get_operation

MAX_DEPTH = 64
"""Deepest tree accepted: beyond it nothing is gained and Python's recursion would be at risk."""


class ExpressionError(ModelError):
    """Text that is no expression; the message shows where."""


@dataclass(frozen=True)
class Expression:
    """A tree of operations.

    Attributes:
        name: the operation's name; "number" for a constant.
        operands: one expression for each operand.
        value: the constant, for "number" alone.
    """

    name: str
    operands: tuple["Expression", ...] = ()
    value: float = 0.0

    def __str__(self) -> str:
        if self.name == "number":
            return repr(int(self.value)) if self.value == int(self.value) else repr(self.value)
        if not self.operands:
            return self.name
        return f"{self.name}({', '.join(str(operand) for operand in self.operands)})"

    @property
    def operation(self) -> Operation:
        """The operation at the root; a ModelError for a number, which has none."""
        return get_operation(self.name)

    def nodes(self) -> Iterator["Expression"]:
        """Yield every node, operands before the operation that uses them, left to right."""
        for operand in self.operands:
            yield from operand.nodes()
        yield self

    def initial_parameters(self) -> tuple[float, ...]:
        """Initial values of all learnable parameters, in the order of `nodes`."""
        return tuple(
            value for node in self.nodes() if node.name != "number" for value in node.operation.initial
        )


X = Expression("x")
"""The plain sign's activation."""


def number(value: float) -> Expression:
    """Return a constant.

    Raises:
        ExpressionError: if the value is not finite.
    """
    if not math.isfinite(value):
        raise ExpressionError(f"{value} is not a finite number")
    return Expression("number", (), float(value))


def _count(arity: int) -> str:
    return "no operand" if arity == 0 else "1 operand" if arity == 1 else f"{arity} operands"


_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_]\w*)|(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<mark>[(),]))"
)


class _Parser:
    """A recursive-descent parser over one text; every error shows its position."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def fail(self, message: str, position: int) -> ExpressionError:
        # The text goes on lines of its own, so that the mark stands under the place.
        return ExpressionError(f"{message} at position {position + 1}:\n  {self.text}\n  {' ' * position}^")

    def peek(self) -> re.Match[str] | None:
        return _TOKEN.match(self.text, self.position)

    def place(self) -> int:
        """Position of the next token, white space passed over."""
        return len(self.text) - len(self.text[self.position :].lstrip())

    def accept(self, mark: str) -> bool:
        token = self.peek()
        if token is None or token["mark"] != mark:
            return False
        self.position = token.end()
        return True

    def expression(self, depth: int = 1) -> Expression:
        start = self.place()
        if depth > MAX_DEPTH:
            raise self.fail(f"expression nested deeper than {MAX_DEPTH}", start)
        token = self.peek()
        if token is None or token["mark"]:
            found = repr(self.text[start]) if start < len(self.text) else "the end"
            raise self.fail(f"expected an operation, x or a number, found {found}", start)
        self.position = token.end()
        if token["number"]:
            try:
                return number(float(token["number"]))
            except ExpressionError as error:
                raise self.fail(str(error), start) from None
        try:
            operation = get_operation(token["name"])
        except ModelError as error:
            raise self.fail(str(error), start) from None
        operands = self.operands(depth)
        if len(operands) != operation.arity:
            raise self.fail(f"{operation.name} takes {_count(operation.arity)}, found {len(operands)}", start)
        return Expression(operation.name, operands)

    def operands(self, depth: int) -> tuple[Expression, ...]:
        if not self.accept("("):
            return ()
        if self.accept(")"):
            return ()
        found = [self.expression(depth + 1)]
        while self.accept(","):
            found.append(self.expression(depth + 1))
        if not self.accept(")"):
            raise self.fail("expected ',' or ')'", self.place())
        return tuple(found)


def parse(text: str) -> Expression:
    """Read an expression.

    Args:
        text: operations by name with operands in brackets, `x`, and numbers.

    Returns:
        The expression; `str` of it gives the text back, but for white space and the spelling of numbers.

    Raises:
        ExpressionError: with the position, for an unknown operation (naming the nearest known ones), a
            wrong number of operands, or text that does not parse.
    """
    parser = _Parser(text)
    expression = parser.expression()
    if parser.place() < len(text):
        raise parser.fail("expected the end of the expression", parser.place())
    return expression
