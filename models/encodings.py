"""GAAF's two genome encodings of expressions.

`pair`    [u1, u2, b]               b(u1(x), u2(x))                              22*22*11 = 5,324 genomes
`nested`  [u1, u2, u3, u4, b1, b2]  b2(u3(p), u4(x)) with p = b1(u1(x), u2(x))   28,344,976 genomes

A genome is a tuple of indices into the operations a space allows; with all of GAAF's operations in their order
these are GAAF's own codes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from models.errors import ModelError
from models.expressions import X, Expression
from models.operations import GAAF_BINARY, GAAF_UNARY, get_operation

ENCODINGS = {"pair": "uub", "nested": "uuuubb"}
"""For each encoding the kind of each gene: unary or binary."""


@dataclass(frozen=True)
class Encoding:
    """A space of expressions.

    Attributes:
        name: "pair" or "nested".
        unary: operations of arity 0 or 1 the genes choose from; "x" is the identity.
        binary: operations of arity 2 the genes choose from.
    """

    name: str
    unary: tuple[str, ...] = GAAF_UNARY
    binary: tuple[str, ...] = GAAF_BINARY

    def __post_init__(self) -> None:
        if self.name not in ENCODINGS:
            raise ModelError(f"unknown encoding {self.name!r}: use one of {', '.join(ENCODINGS)}")
        for names, arities, kind in ((self.unary, (0, 1), "unary"), (self.binary, (2,), "binary")):
            if not names:
                raise ModelError(f"the list of {kind} operations is empty")
            for name in names:
                if get_operation(name).arity not in arities:
                    raise ModelError(f"{name!r} is not a {kind} operation")

    def sizes(self) -> tuple[int, ...]:
        """Number of values of each gene."""
        return tuple(len(self.unary if kind == "u" else self.binary) for kind in ENCODINGS[self.name])

    def decode(self, genome: Sequence[int]) -> Expression:
        """Return the expression of a genome (indices into `unary` and `binary`)."""
        if self.name == "pair":
            u1, u2, b = genome
            return self._binary(b, self._unary(u1, X), self._unary(u2, X))
        u1, u2, u3, u4, b1, b2 = genome
        inner = self._binary(b1, self._unary(u1, X), self._unary(u2, X))
        return self._binary(b2, self._unary(u3, inner), self._unary(u4, X))

    def encode(self, expression: Expression) -> tuple[int, ...] | None:
        """Return a genome whose decoded expression is the given one, or None if there is none."""
        plain = self._encode_plain(expression)
        if plain is not None or expression.operands and get_operation(expression.name).arity == 2:
            return plain
        # A bare unary u(x) is max(u(x), u(x)) where the space has it: max(a, a) = a.
        for name in ("max", "min"):
            if name in self.binary and not expression.initial_parameters():
                found = self._encode_plain(Expression(name, (expression, expression)))
                if found is not None:
                    return found
        return None

    def _encode_plain(self, expression: Expression) -> tuple[int, ...] | None:
        if expression.name not in self.binary:
            return None
        left, right = expression.operands
        if self.name == "pair":
            u1, u2 = self._unary_index(left, X), self._unary_index(right, X)
            return None if u1 is None or u2 is None else (u1, u2, self.binary.index(expression.name))
        u4 = self._unary_index(right, X)
        inner, u3 = self._peel(left)
        if u4 is None or inner is None or u3 is None:
            return None
        u1, u2 = (self._unary_index(operand, X) for operand in inner.operands)
        if u1 is None or u2 is None:
            return None
        return (u1, u2, u3, u4, self.binary.index(inner.name), self.binary.index(expression.name))

    def _peel(self, expression: Expression) -> tuple[Expression | None, int | None]:
        """Split u3(p) into p and u3's index; the identity where the binary operation stands bare."""
        if expression.name in self.binary:
            return expression, self.unary.index("x") if "x" in self.unary else None
        if len(expression.operands) == 1 and expression.operands[0].name in self.binary:
            return expression.operands[0], self._unary_index(expression, expression.operands[0])
        return None, None

    def _unary(self, index: int, operand: Expression) -> Expression:
        name = self.unary[index]
        if name == "x":
            return operand
        return Expression(name, () if get_operation(name).arity == 0 else (operand,))

    def _unary_index(self, expression: Expression, operand: Expression) -> int | None:
        name = "x" if expression == operand else expression.name
        if name not in self.unary:
            return None
        index = self.unary.index(name)
        return index if self._unary(index, operand) == expression else None

    def _binary(self, index: int, left: Expression, right: Expression) -> Expression:
        return Expression(self.binary[index], (left, right))
