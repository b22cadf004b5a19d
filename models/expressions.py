"""Activation expressions: trees of operations, and their text form.

    x                          the plain sign
    sin(mul(3, x))             numbers are constants
    add(sin(x), scale(x))      scale, shift, learned and mix have learnable per-channel parameters
    sin(3 * x) - 1             the operators + - * / are add, sub, mul, div, and -x is neg(x)

`parse` reads text. `str` writes an expression with names only, without operators; `parse` reads that text as the same
expression.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from zerocross.models.errors import ModelError, nearest
from zerocross.models.operations import OPERATIONS, OWN, Operation, get_operation

MAX_DEPTH = 64
"""Depth of the deepest accepted tree. Deeper trees have no use and could exceed Python's recursion limit."""


class ExpressionError(ModelError):
    """Text that is not an expression; the message shows the position of the error."""


@dataclass(frozen=True)
class Expression:
    """A tree of operations.

    Attributes:
        name: Name of the operation; "number" for a constant.
        operands: One expression for each operand.
        value: Value of the constant; only used by "number".
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
    def depth(self) -> int:
        """Number of nodes from the root to the farthest leaf, including both."""
        return 1 + max((operand.depth for operand in self.operands), default=0)

    @property
    def operation(self) -> Operation:
        """Operation at the root.

        Raises:
            ModelError: For a number, which has no operation.
        """
        return get_operation(self.name)

    def nodes(self) -> Iterator["Expression"]:
        """Yield every node from left to right, operands before the operation that uses them."""
        for operand in self.operands:
            yield from operand.nodes()
        yield self

    def initial_parameters(self) -> tuple[float, ...]:
        """Return the initial values of all learnable parameters, in the order of `nodes`."""
        return tuple(
            value for node in self.nodes() if node.name != "number" for value in node.operation.initial
        )


X = Expression("x")
"""Activation of the plain sign."""


def number(value: float) -> Expression:
    """Return a constant.

    Raises:
        ExpressionError: If the value is not finite.
    """
    if not math.isfinite(value):
        raise ExpressionError(f"{value} is not a finite number")
    return Expression("number", (), float(value))


def _count(arity: int) -> str:
    return "no operand" if arity == 0 else "1 operand" if arity == 1 else f"{arity} operands"


_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NAME = re.compile(r"[A-Za-z_]\w*")
_OPERATORS = ({"+": "add", "-": "sub"}, {"*": "mul", "/": "div"})
"""Operation of each infix operator; the second level binds tighter, as in Python."""


class _Parser:
    """A recursive-descent parser for one text; every error shows its position."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.advance(0)

    def fail(self, message: str, position: int, remedy: str = "") -> ExpressionError:
        # The text is on a line of its own, so that the mark is below the error.
        lines = [f"{message} at position {position + 1}:", f"  {self.text}", f"  {' ' * position}^", remedy]
        return ExpressionError("\n".join(filter(None, lines)))

    def limit(self, depth: int, position: int) -> None:
        """Raise if a depth is greater than `MAX_DEPTH`."""
        if depth > MAX_DEPTH:
            raise self.fail(f"expression nested deeper than {MAX_DEPTH}", position)

    def advance(self, length: int) -> None:
        """Skip a token of this length and the white space after it."""
        self.position += length
        while self.text[self.position : self.position + 1].isspace():
            self.position += 1

    def accept(self, *marks: str) -> str:
        """Skip the next token if it is one of the marks, and return it; else return ""."""
        for mark in marks:
            if self.text.startswith(mark, self.position):
                self.advance(len(mark))
                return mark
        return ""

    def expression(self, depth: int = 1, level: int = 0) -> Expression:
        """Read operands joined by operators of this level or tighter levels, grouped from the left."""
        if level == len(_OPERATORS):
            operand = self.operand(depth)
            end = self.position
            if self.accept("**", "^"):
                raise self.fail("no operator for powers: write square(x), cube(x) or root(x)", end)
            return operand
        left = self.expression(depth, level + 1)
        start = self.position
        while operator := self.accept(*_OPERATORS[level]):
            right = self.expression(depth + 1, level + 1)
            left = Expression(_OPERATORS[level][operator], (left, right))
            self.limit(depth + left.depth - 1, start)
            start = self.position
        return left

    def operand(self, depth: int) -> Expression:
        """Read a number, an operation, an expression in brackets, or any of these after a minus."""
        start = self.position
        self.limit(depth, start)
        if match := _NUMBER.match(self.text, start):
            self.advance(len(match[0]))
            try:
                return number(float(match[0]))
            except ExpressionError as error:
                raise self.fail(str(error), start) from None
        if match := _NAME.match(self.text, start):
            self.advance(len(match[0]))
            return self.call(match[0], start, depth)
        if self.accept("("):
            inner = self.expression(depth + 1)
            if not self.accept(")"):
                raise self.fail("expected an operator or ')'", self.position)
            return inner
        if self.accept("-"):
            inner = self.operand(depth + 1)
            return number(-inner.value) if inner.name == "number" else Expression("neg", (inner,))
        found = repr(self.text[start]) if start < len(self.text) else "the end"
        raise self.fail(f"expected an operation, x or a number, found {found}", start)

    def call(self, name: str, start: int, depth: int) -> Expression:
        """Read the operands of the operation named at `start`."""
        if name not in OPERATIONS:
            raise self.fail(f"unknown operation {name!r}: {nearest(name, OPERATIONS)}", start, OWN)
        operation = get_operation(name)
        operands = self.operands(depth)
        if len(operands) != operation.arity:
            raise self.fail(f"{operation.name} takes {_count(operation.arity)}, found {len(operands)}", start)
        return Expression(operation.name, operands)

    def operands(self, depth: int) -> tuple[Expression, ...]:
        if not self.accept("(") or self.accept(")"):
            return ()
        found = [self.expression(depth + 1)]
        while self.accept(","):
            found.append(self.expression(depth + 1))
        if not self.accept(")"):
            raise self.fail("expected an operator, ',' or ')'", self.position)
        return tuple(found)


def parse(text: str) -> Expression:
    """Read an expression.

    Args:
        text: Operations by name with operands in brackets, `x`, numbers, and the operators `+ - * /`.

    Returns:
        The expression. Its `str` is the text, except for white space, the format of numbers, and operators, which become
        the names of their operations.

    Raises:
        ExpressionError: For an unknown operation (the message has the nearest known ones), a wrong number of operands,
            nesting deeper than `MAX_DEPTH`, or text that does not parse; the message shows the position.
    """
    parser = _Parser(text)
    expression = parser.expression()
    if parser.position < len(text):
        raise parser.fail("expected an operator or the end of the expression", parser.position)
    return expression
