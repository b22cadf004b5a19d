"""Which expressions are equal, and which have a sign that never changes."""

import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.strategies import (
    BINARY_CODES,
    UNARY_CODES,
    Array,
    expressions,
    irregular,
    learnt,
    reference,
)
from zerocross.models.canonical import bounds, canonical_key, constant_bit
from zerocross.models.encodings import Encoding
from zerocross.models.expressions import Expression, parse

PAIR, NESTED = Encoding("pair"), Encoding("nested")
GRID = irregular(7.5, 3000)
MATTERS = irregular(7.5, 200, seed=11)
DISTINCT_PAIRS = 3460


def decode(encoding: Encoding, number: int) -> Expression:
    """Return the genome with a number in mixed radix."""
    genome = []
    for size in encoding.sizes():
        number, gene = divmod(number, size)
        genome.append(gene)
    return encoding.decode(genome)


def close(one: Array, other: Array) -> bool:
    """Return whether values are equal up to rounding; a pole may round to either side."""
    with np.errstate(all="ignore"):
        scale = np.maximum(np.abs(one), np.abs(other))
        differs = np.abs(one - other) > 1e-4 * scale + 1e-10
    differs &= np.isfinite(one) & np.isfinite(other) & (scale < 1e6)
    return bool(differs.sum() <= len(one) // 500)


def used(expression: Expression, positive: bool) -> list[int]:
    """Return the indices of the parameters that the function depends on."""
    rng = np.random.default_rng(3)
    found = set()
    for _ in range(3):
        base = parameters(expression, rng, positive)
        before = reference(expression, MATTERS, base)
        for index in range(len(base)):
            for value in parameters(expression, rng, positive)[:1]:
                changed = [*base[:index], value, *base[index + 1 :]]
                if not close(reference(expression, MATTERS, changed), before):
                    found.add(index)
    return sorted(found)


def parameters(expression: Expression, rng: np.random.Generator, positive: bool) -> list[float]:
    learned = learnt(expression, rng, 1.5)
    return [abs(value) + 0.05 for value in learned] if positive else learned


def same_function(one: Expression, other: Expression, positive: bool) -> bool:
    """Return whether a renaming of parameters with equal initial values makes two expressions equal at all tested points."""
    ones, others = used(one, positive), used(other, positive)
    starts, other_starts = one.initial_parameters(), other.initial_parameters()
    if sorted(starts[i] for i in ones) != sorted(other_starts[i] for i in others):
        return False
    for order in itertools.permutations(others):
        if [starts[i] for i in ones] != [other_starts[i] for i in order]:
            continue
        rng = np.random.default_rng(5)
        for _ in range(4):
            values, other_values = parameters(one, rng, positive), parameters(other, rng, positive)
            for here, there in zip(ones, order, strict=True):
                other_values[there] = values[here]
            if not close(reference(one, GRID, values), reference(other, GRID, other_values)):
                break
        else:
            return True
    return False


def groups(encoding: Encoding, count: int, seed: int) -> dict[str, list[Expression]]:
    rng = np.random.default_rng(seed)
    size = int(np.prod(encoding.sizes()))
    found: dict[str, list[Expression]] = defaultdict(list)
    for index in rng.choice(size, count, replace=False):
        expression = decode(encoding, int(index))
        found[canonical_key(expression)].append(expression)
    return found


def wrongly_joined(found: dict[str, list[Expression]], positive: bool) -> list[str]:
    return [
        f"{group[0]} | {other}"
        for group in found.values()
        for other in group[1:]
        if not same_function(group[0], other, positive)
    ]


@pytest.mark.parametrize(("encoding", "count"), [(PAIR, 500), (NESTED, 400)], ids=["pair", "nested"])
def test_the_key_joins_only_what_is_one_function(encoding: Encoding, count: int) -> None:
    found = groups(encoding, count, seed=1)
    assert len(found) < count
    assert wrongly_joined(found, positive=True) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("scale(abs(x))", "abs(scale(x))"),
        ("mul(learned, relu(x))", "max(scale(x), zero)"),
        ("mul(learned, abs(x))", "abs(mul(learned, x))"),
        ("add(learned, zero)", "max(learned, zero)"),
        ("max(learned, x)", "max(learned, relu(x))"),
        ("min(scale(x), relu(x))", "min(scale(x), abs(x))"),
        ("max(shift(x), x)", "max(shift(x), shift(x))"),
    ],
)
def test_the_key_sees_whatever_parameters_may_learn(one: str, other: str) -> None:
    assert not same_function(parse(one), parse(other), positive=False)
    assert canonical_key(parse(one)) != canonical_key(parse(other))


@pytest.mark.slow
def test_the_number_of_distinct_pairs() -> None:
    assert len({canonical_key(decode(PAIR, number)) for number in range(5324)}) == DISTINCT_PAIRS


@pytest.mark.slow
def test_no_two_pairs_are_wrongly_joined() -> None:
    assert wrongly_joined(groups(PAIR, 5324, seed=0), positive=False) == []


@pytest.mark.slow
def test_nested_expressions_are_not_wrongly_joined() -> None:
    assert wrongly_joined(groups(NESTED, 8000, seed=2), positive=False) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("max(x, neg(x))", "abs(x)"),
        ("add(relu(x), negpart(x))", "x"),
        ("sub(relu(x), negpart(x))", "abs(x)"),
        ("mul(x, x)", "square(x)"),
        ("mul(x, square(x))", "cube(x)"),
        ("gate(x, x)", "mul(x, sigmoid(x))"),
        ("neg(neg(x))", "x"),
        ("sub(x, x)", "zero"),
        ("sin(neg(x))", "neg(sin(x))"),
        ("cos(neg(x))", "cos(x)"),
        ("gaussdiff(x, zero)", "gauss(x)"),
        ("add(square(sin(x)), square(cos(x)))", "1"),
        ("add(scale(x), shift(x))", "add(shift(x), scale(x))"),
        ("add(scale(x), mul(2, scale(sin(x))))", "add(mul(2, scale(sin(x))), scale(x))"),
        ("mul(learned, x)", "scale(x)"),
        ("add(x, sub(shift(x), x))", "shift(x)"),
        ("add(x, mul(zero, scale(x)))", "x"),
        ("max(scale(x), learned)", "max(learned, scale(x))"),
    ],
)
def test_identities_are_joined(one: str, other: str) -> None:
    assert canonical_key(parse(one)) == canonical_key(parse(other))


OF_X = [name for name in (*UNARY_CODES, *BINARY_CODES) if name != "learned"]


@settings(max_examples=60, deadline=None)
@given(
    expressions(OF_X, numbers=False, size=4),
    expressions(OF_X, numbers=False, size=3),
    st.sampled_from(["add", "mul", "max", "min"]),
)
def test_operands_that_commute_are_joined(one: Expression, other: Expression, name: str) -> None:
    if len(one.initial_parameters()) + len(other.initial_parameters()) <= 4:
        assert canonical_key(Expression(name, (one, other))) == canonical_key(Expression(name, (other, one)))


def test_constants_that_commute_are_joined() -> None:
    one, other = parse("max(sin(learned), atan(learned))"), parse("max(atan(learned), sin(learned))")
    assert canonical_key(one) == canonical_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x", "neg(x)"),
        ("x", "mul(2, x)"),
        ("sin(x)", "cos(x)"),
        ("shift(x)", "add(x, learned)"),
        ("add(x, learned)", "add(x, mul(2, learned))"),
        ("scale(x)", "x"),
        ("shift(x)", "x"),
        ("scale(x)", "mul(scale(x), learned)"),
        ("x", "mul(1.0001, x)"),
        ("sub(x, y)".replace("y", "sin(x)"), "sub(sin(x), x)"),
        ("add(scale(x), shift(sin(x)))", "add(shift(x), scale(sin(x)))"),
        ("sub(scale(x), learned)", "sub(learned, scale(x))"),
    ],
)
def test_different_functions_stay_apart(one: str, other: str) -> None:
    assert canonical_key(parse(one)) != canonical_key(parse(other))


def test_the_key_is_the_same_every_time() -> None:
    """Files contain the key: if it changes, every store becomes useless."""
    assert canonical_key(parse("x")) == canonical_key.__wrapped__(parse("x"))
    assert len(canonical_key(parse("add(sin(x), scale(x))"))) == 24
    int(canonical_key(parse("tan(x)")), 16)


@pytest.mark.parametrize(
    ("text", "bit"),
    [
        ("zero", 1),
        ("sigmoid(x)", 1),
        ("gauss(x)", 1),
        ("laplace(x)", 1),
        ("erfc(x)", 1),
        ("square(x)", 1),
        ("abs(x)", 1),
        ("relu(x)", 1),
        ("sigmoid(scale(x))", 1),
        ("square(shift(x))", 1),
        ("expdiff(scale(x), learned)", 1),
        ("max(x, abs(x))", 1),
        ("max(x, neg(x))", 1),
        ("add(sin(x), 1)", 1),
        ("mul(x, x)", 1),
        ("sub(cos(shift(x)), 2)", 0),
        ("sub(neg(square(x)), 1)", 0),
        ("-3", 0),
        ("0", 1),
        ("max(learned, gauss(x))", 1),
    ],
)
def test_constants_are_caught(text: str, bit: int) -> None:
    assert constant_bit(parse(text)) == bit


@pytest.mark.parametrize(
    "text",
    [
        *("x", "sin(x)", "scale(x)", "shift(x)", "learned", "shift(square(x))", "scale(gauss(x))", "log(x)"),
        *("mix(abs(x), gauss(x))", "sub(learned, abs(x))", "mul(learned, sigmoid(x))", "negpart(x)"),
        *("sub(gauss(x), 0.5)", "gate(learned, x)", "add(learned, sigmoid(x))"),
    ],
)
def test_what_lives_or_can_come_alive_is_no_constant(text: str) -> None:
    assert constant_bit(parse(text)) is None


@settings(max_examples=200, deadline=None)
@given(expressions(numbers=False, size=5), st.integers(0, 2**32))
def test_a_constant_never_flips(expression: Expression, seed: int) -> None:
    """By bounds: for any learnt parameters and any x. Otherwise: for initial parameters and x in the range of batch norm."""
    bit = constant_bit(expression)
    if bit is None:
        return
    rng = np.random.default_rng(seed)
    low, high = bounds(expression)
    always = low >= 0 or high < 0
    x = np.concatenate([rng.uniform(-8, 8, 500), rng.normal(0, 1e3, 500 if always else 0)])
    for _ in range(4):
        near = [value + float(rng.uniform(-0.2, 0.2)) for value in expression.initial_parameters()]
        values = reference(expression, x, learnt(expression, rng, 3.0) if always else near)
        # Rounding may move a value of exactly 0 to either side.
        wrong = (values >= 0) != bit
        assert not (wrong & (np.abs(values) > 1e-6)).any(), str(expression)


@pytest.mark.parametrize(
    "order", ["sub(neg(learned), neg(learned))", "sub(learned, learned)"], ids=["rising", "falling"]
)
@pytest.mark.parametrize("sign", ["learned", "neg(learned)"], ids=["above", "below"])
def test_parameters_count_that_matter_only_in_one_order_and_on_one_side(order: str, sign: str) -> None:
    """All five parameters begin with the same value, at which nothing can be told apart."""
    expression = parse(f"mul(x, relu(min(min({order}, {order}), {sign})))")
    assert len(set(expression.initial_parameters())) == 1
    assert canonical_key(expression) != canonical_key(parse("zero"))
