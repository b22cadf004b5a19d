"""Expressions as text: round trips, and errors that show the place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.strategies import NUMBERS, expressions
from zerocross.models.expressions import MAX_DEPTH, Expression, ExpressionError, number, parse
from zerocross.models.operations import BUILT_IN
from zerocross.models.presets import PRESETS, resolve


@settings(max_examples=400, deadline=None)
@given(expressions(size=30))
def test_text_gives_the_expression_back(expression: Expression) -> None:
    assert parse(str(expression)) == expression
    assert str(parse(str(expression))) == str(expression)


@settings(max_examples=200)
@given(NUMBERS)
def test_numbers_give_themselves_back(constant: Expression) -> None:
    assert parse(str(constant)) == constant


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("0.5", 0.5),
        (".5", 0.5),
        ("-.5", -0.5),
        ("2.", 2),
        ("1e3", 1000),
        ("-2.5E-3", -0.0025),
        ("1e+2", 100),
    ],
)
def test_spellings_of_numbers(text: str, value: float) -> None:
    assert parse(text) == number(value) == parse(f"  {text}\t")


@settings(max_examples=100)
@given(expressions(size=6), st.data())
def test_white_space_changes_nothing(expression: Expression, data: st.DataObject) -> None:
    spaces = st.sampled_from(["", " ", "\n", "\t  "])
    text = "".join(data.draw(spaces) + part if part in "()," else part for part in _split(str(expression)))
    assert parse(data.draw(spaces) + text + data.draw(spaces)) == expression


def _split(text: str) -> list[str]:
    for mark in "(),":
        text = text.replace(mark, f"\0{mark}\0")
    return text.replace(" ", "").split("\0")


def test_a_leaf_may_have_empty_brackets() -> None:
    assert parse("max(x(), zero( ))") == parse("max(x, zero)")


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("sine(x)", 1, "unknown operation 'sine': did you mean"),
        ("add(x, sinn(x))", 8, "unknown operation 'sinn': did you mean sin"),
        ("add(x)", 1, "add takes 2 operands, found 1"),
        ("mul(x, sin(x, x))", 8, "sin takes 1 operand, found 2"),
        ("sin", 1, "sin takes 1 operand, found 0"),
        ("sin()", 1, "sin takes 1 operand, found 0"),
        ("zero(x)", 1, "zero takes no operand, found 1"),
        ("sin(x", 6, r"expected ',' or '\)'"),
        ("sin(x  y)", 8, r"expected ',' or '\)'"),
        ("sin(x))", 7, "expected the end"),
        ("x  y", 4, "expected the end"),
        ("3(x)", 2, "expected the end"),
        ("", 1, "found the end"),
        ("   ", 4, "found the end"),
        ("add(x, )", 8, r"found '\)'"),
        ("add(, x)", 5, "found ','"),
        ("sin(x) + 1", 8, "expected the end"),
        ("sin($)", 5, r"found '\$'"),
        ("--3", 1, "found '-'"),
        ("add(x, 1e999)", 8, "not a finite number"),
    ],
)
def test_errors_show_the_place(text: str, position: int, message: str) -> None:
    with pytest.raises(ExpressionError, match=message) as caught:
        parse(text)
    first, shown, mark = str(caught.value).split("\n")
    assert first.endswith(f"at position {position}:")
    assert shown == f"  {text}"
    assert mark == " " * (position + 1) + "^"


def nested(depth: int) -> str:
    return "sin(" * (depth - 1) + "x" + ")" * (depth - 1)


def test_depth_is_limited() -> None:
    assert sum(1 for _ in parse(nested(MAX_DEPTH)).nodes()) == MAX_DEPTH
    with pytest.raises(
        ExpressionError, match=f"nested deeper than {MAX_DEPTH} at position {4 * MAX_DEPTH + 1}:"
    ):
        parse(nested(MAX_DEPTH + 1))


def test_a_very_deep_text_is_an_expression_error() -> None:
    for text in (nested(100_000), "(" * 100_000, "sin(" * 100_000):
        with pytest.raises(ExpressionError):
            parse(text)


PIECES = st.sampled_from(
    [operation.name for operation in BUILT_IN] + list("(),.-+eEx0159 \n") + ["1e", "é", "٣", "²", "\0"]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=25).map("".join)))
def test_any_text_is_an_expression_or_an_expression_error(text: str) -> None:
    try:
        expression = parse(text)
    except ExpressionError:
        return
    assert parse(str(expression)) == expression


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(ExpressionError, match="not a finite number"):
        number(value)


def test_parameters_come_operands_first() -> None:
    expression = parse("mix(shift(scale(x)), learned)")
    assert [node.name for node in expression.nodes()] == ["x", "scale", "shift", "learned", "mix"]
    assert expression.initial_parameters() == (1.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_expressions(name: str) -> None:
    assert resolve(name) == parse(PRESETS[name][0])
    assert PRESETS[name][1]


def test_a_text_that_is_no_preset_is_parsed() -> None:
    assert resolve("add(sin(x), x)") == resolve("sine_linear")
    with pytest.raises(ExpressionError):
        resolve("no such preset")
