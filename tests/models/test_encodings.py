"""Genomes and their expressions."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.strategies import BINARY_CODES, UNARY_CODES, irregular, reference
from zerocross.models.encodings import MAX_TREE_DEPTH, Encoding
from zerocross.models.errors import ModelError
from zerocross.models.expressions import Expression, X, parse

CONSTANTS = ("zero", "learned")


def genomes(encoding: Encoding) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*(st.integers(0, size - 1) for size in encoding.sizes()))


def unary(code: int, operand: Expression) -> Expression:
    """Return the expression of a unary code, from the paper's description."""
    name = UNARY_CODES[code]
    if name == "x":
        return operand
    return Expression(name) if name in CONSTANTS else Expression(name, (operand,))


def binary(code: int, left: Expression, right: Expression) -> Expression:
    return Expression(BINARY_CODES[code], (left, right))


def test_sizes_of_the_papers_spaces() -> None:
    assert math.prod(Encoding("pair").sizes()) == 5_324
    assert math.prod(Encoding("nested").sizes()) == 28_344_976
    assert Encoding("tree", depth=1).sizes() == Encoding("pair").sizes()
    assert [len(Encoding("tree", depth=depth).sizes()) for depth in range(1, 6)] == [3, 9, 21, 45, 93]


def test_every_pair_is_read_as_the_paper_does() -> None:
    pair = Encoding("pair")
    seen = set()
    for u1, u2, b in itertools.product(*map(range, pair.sizes())):
        expression = pair.decode((u1, u2, b))
        assert expression == binary(b, unary(u1, X), unary(u2, X))
        assert parse(str(expression)) == expression
        seen.add(expression)
    assert len(seen) == 5_324


@settings(max_examples=300)
@given(genomes(Encoding("nested")))
def test_a_nested_genome_is_read_as_the_paper_does(genome: tuple[int, ...]) -> None:
    u1, u2, u3, u4, b1, b2 = genome
    p = binary(b1, unary(u1, X), unary(u2, X))
    assert Encoding("nested").decode(genome) == binary(b2, unary(u3, p), unary(u4, X))


def test_every_pair_is_encoded_back() -> None:
    pair = Encoding("pair")
    for genome in itertools.product(*map(range, pair.sizes())):
        assert pair.encode(pair.decode(genome)) == genome


@pytest.mark.parametrize(
    "encoding",
    [
        Encoding("nested"),
        *(Encoding("tree", depth=depth) for depth in range(1, MAX_TREE_DEPTH + 1)),
        Encoding("nested", unary=("sin", "abs", "learned"), binary=("sub", "add")),
        Encoding("tree", unary=("neg", "x"), binary=("mul",), depth=3),
    ],
    ids=lambda encoding: f"{encoding.name} {encoding.depth} {len(encoding.unary)}",
)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_an_encoded_expression_decodes_to_itself(encoding: Encoding, data: st.DataObject) -> None:
    genome = data.draw(genomes(encoding))
    expression = encoding.decode(genome)
    found = encoding.encode(expression)
    hidden = any(node.name in CONSTANTS for node in expression.nodes())
    if found is None:
        # A constant in the middle hides the genes below it: they cannot be recovered.
        assert hidden
    else:
        assert encoding.decode(found) == expression
        assert all(gene < size for gene, size in zip(found, encoding.sizes(), strict=True))


@pytest.mark.parametrize("name", ["pair", "nested", "tree"])
@pytest.mark.parametrize("text", ["x", "sin(x)", "abs(x)", "gate(x, x)", "add(sin(x), scale(x))"])
def test_an_encoded_expression_is_the_same_function(name: str, text: str) -> None:
    """An expression that does not fill the shape is doubled, which must not change it."""
    encoding, expression, x = Encoding(name), parse(text), irregular(9, 300)
    genome = encoding.encode(expression)
    fills = name == "pair" or len(list(expression.nodes())) < 3
    assert (genome is not None) or not fills
    if genome is not None:
        decoded = encoding.decode(genome)
        assert decoded.initial_parameters() == expression.initial_parameters()
        learned = [0.3] * len(decoded.initial_parameters())
        np.testing.assert_allclose(reference(decoded, x, learned), reference(expression, x, learned))


@pytest.mark.parametrize("text", ["sin(sin(x))", "add(sin(x), 3)", "add(add(x, x), x)", "tan(x)"])
def test_what_does_not_fit_has_no_genome(text: str) -> None:
    space = Encoding("pair", unary=("x", "sin", "scale"))
    assert space.encode(parse(text)) is None


def test_allowed_operations_are_indexed_in_their_order() -> None:
    space = Encoding("pair", unary=("cos", "learned", "x"), binary=("mul", "gate"))
    assert space.sizes() == (3, 3, 2)
    assert str(space.decode((0, 1, 1))) == "gate(cos(x), learned)"
    assert str(space.decode((2, 0, 0))) == "mul(x, cos(x))"


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"name": "pairs"}, "unknown encoding 'pairs': use one of pair, nested, tree"),
        ({"name": "tree", "depth": 0}, "depth must be 1..5, not 0"),
        ({"name": "tree", "depth": 6}, "depth must be 1..5, not 6"),
        ({"name": "pair", "unary": ()}, "list of unary operations is empty"),
        ({"name": "pair", "binary": ()}, "list of binary operations is empty"),
        ({"name": "pair", "unary": ("x", "add")}, "'add' is not a unary operation"),
        ({"name": "pair", "binary": ("sin",)}, "'sin' is not a binary operation"),
        ({"name": "pair", "unary": ("sinn",)}, "unknown operation 'sinn': did you mean"),
    ],
)
def test_spaces_that_cannot_be(settings_: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Encoding(**settings_)
