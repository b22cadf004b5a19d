"""Genome encodings of expressions.

`pair`    [u1, u2, b]               b(u1(x), u2(x))                              22*22*11 = 5,324 genomes
`nested`  [u1, u2, u3, u4, b1, b2]  b2(u3(p), u4(x)) with p = b1(u1(x), u2(x))   28,344,976 genomes
`tree`    a full binary tree of a given depth: t(0) = x, t(d) = b(u(t(d-1)), u(t(d-1))); depth 1 is `pair`

`pair` and `nested` are GAAF's encodings. A genome is a tuple of indices into the allowed operations. If these are all of
GAAF's operations in their order, the indices are GAAF's own codes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zerocross.models.errors import ModelError
from zerocross.models.expressions import Expression, X
from zerocross.models.operations import GAAF_BINARY, GAAF_UNARY, get_operation

ENCODINGS = ("pair", "nested", "tree")

MAX_TREE_DEPTH = 5
"""Depth of the deepest full tree, which has 93 genes."""

Shape = tuple["Shape | None", "Shape | None"]
"""A tree of binary operations; None is x. Every branch has a unary operation."""

_PAIR: Shape = (None, None)
_NESTED: Shape = (_PAIR, None)


def _full(depth: int) -> Shape:
    return _PAIR if depth == 1 else (_full(depth - 1), _full(depth - 1))


def _branches(shape: Shape) -> int:
    return sum(1 + (_branches(part) if part else 0) for part in shape)


def _filled(name: str, expression: Expression, shape: Shape) -> Expression:
    operands = (expression if part is None else _filled(name, expression, part) for part in shape)
    return Expression(name, tuple(operands))


@dataclass(frozen=True)
class Encoding:
    """A space of expressions.

    A genome holds the unary genes, then the binary genes. In both parts, the genes of operands come before the gene of the
    operation that uses them.

    Attributes:
        name: "pair", "nested" or "tree".
        unary: Operations of arity 0 or 1 that the genes select from; "x" is the identity.
        binary: Operations of arity 2 that the genes select from.
        depth: Depth of a tree, 1..5; other encodings ignore it.
    """

    name: str
    unary: tuple[str, ...] = GAAF_UNARY
    binary: tuple[str, ...] = GAAF_BINARY
    depth: int = 2

    def __post_init__(self) -> None:
        if self.name not in ENCODINGS:
            raise ModelError(f"unknown encoding {self.name!r}: use one of {', '.join(ENCODINGS)}")
        if not 1 <= self.depth <= MAX_TREE_DEPTH:
            raise ModelError(f"a tree's depth must be 1..{MAX_TREE_DEPTH}, not {self.depth}")
        for names, arities, kind in ((self.unary, (0, 1), "unary"), (self.binary, (2,), "binary")):
            if not names:
                raise ModelError(f"the list of {kind} operations is empty")
            for name in names:
                if get_operation(name).arity not in arities:
                    raise ModelError(f"{name!r} is not a {kind} operation")

    @property
    def _shape(self) -> Shape:
        return {"pair": _PAIR, "nested": _NESTED, "tree": _full(self.depth)}[self.name]

    def sizes(self) -> tuple[int, ...]:
        """Return the number of values of each gene."""
        branches = _branches(self._shape)
        return (len(self.unary),) * branches + (len(self.binary),) * (branches // 2)

    def decode(self, genome: Sequence[int]) -> Expression:
        """Return the expression of a genome (indices into `unary` and `binary`)."""
        branches = _branches(self._shape)
        unary, binary = iter(genome[:branches]), iter(genome[branches:])

        def build(shape: Shape) -> Expression:
            inner = [X if part is None else build(part) for part in shape]
            left, right = (self._unary(next(unary), operand) for operand in inner)
            return Expression(self.binary[next(binary)], (left, right))

        return build(self._shape)

    def encode(self, expression: Expression) -> tuple[int, ...] | None:
        """Return a genome whose decoded expression is the same function, or None if none is found.

        An expression that does not fill the shape is doubled if that changes nothing: max(a, a) is a.
        """
        for candidate in (expression, *self._doubled(expression)):
            unary: list[int] = []
            binary: list[int] = []
            if self._match(candidate, self._shape, unary, binary):
                return (*unary, *binary)
        return None

    def _doubled(self, expression: Expression) -> Iterator[Expression]:
        if not expression.initial_parameters():
            for name in ("max", "min"):
                yield _filled(name, expression, self._shape)

    def _match(self, expression: Expression, shape: Shape, unary: list[int], binary: list[int]) -> bool:
        if expression.name not in self.binary:
            return False
        codes = []
        # As in decode, the inner genes of both operands come before the two unary genes of this operation.
        for operand, part in zip(expression.operands, shape, strict=True):
            for inner, code in self._peelings(operand):
                if part is None:
                    if inner == X or (inner is None):
                        codes.append(code)
                        break
                elif inner is not None and self._match(inner, part, unary, binary):
                    codes.append(code)
                    break
            else:
                return False
        unary.extend(codes)
        binary.append(self.binary.index(expression.name))
        return True

    def _peelings(self, expression: Expression) -> Iterator[tuple[Expression | None, int]]:
        """Yield each form unary(inner) of an expression as (inner, code); inner is None for a leaf without operand."""
        if "x" in self.unary:
            yield expression, self.unary.index("x")
        if expression.name in self.unary and expression.name != "x":
            yield (expression.operands[0] if expression.operands else None), self.unary.index(expression.name)

    def _unary(self, index: int, operand: Expression) -> Expression:
        name = self.unary[index]
        if name == "x":
            return operand
        return Expression(name, () if get_operation(name).arity == 0 else (operand,))
