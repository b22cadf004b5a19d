"""Expressions as text: round trips, and errors with their position."""

import ast
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.strategies import NUMBERS, expressions
from zerocross.models.expressions import MAX_DEPTH, Expression, ExpressionError, number, parse
from zerocross.models.operations import BUILT_IN, OPERATIONS, Operation
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


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("sin(2*x)", "sin(mul(2, x))"),
        ("x + 1", "add(x, 1)"),
        ("x - 1", "sub(x, 1)"),
        ("x-1", "sub(x, 1)"),
        ("x--1", "sub(x, -1)"),
        ("x/2", "div(x, 2)"),
        ("2 - 3", "sub(2, 3)"),
        ("1e-3*x", "mul(0.001, x)"),
        ("x - x - x", "sub(sub(x, x), x)"),
        ("x - (x - x)", "sub(x, sub(x, x))"),
        ("x / x * x", "mul(div(x, x), x)"),
        ("x + 2 * x - x / 3", "sub(add(x, mul(2, x)), div(x, 3))"),
        ("(x + 2) * x", "mul(add(x, 2), x)"),
        ("max(x + 1, -x)", "max(add(x, 1), neg(x))"),
        ("-x", "neg(x)"),
        ("--x", "neg(neg(x))"),
        ("-x * x", "mul(neg(x), x)"),
        ("x * -x", "mul(x, neg(x))"),
        ("-2 * x", "mul(-2, x)"),
        ("-(x + 1)", "neg(add(x, 1))"),
        ("- 3", "-3"),
        ("--3", "3"),
        ("-(3)", "-3"),
        ("((x))", "x"),
        ("2 *\n  ( x )", "mul(2, x)"),
        ("learned*x + scale(x)", "add(mul(learned, x), scale(x))"),
    ],
)
def test_operators_are_operations(text: str, printed: str) -> None:
    assert str(parse(text)) == printed
    assert parse(text) == parse(printed)


OPERATORS: dict[str, ast.operator] = {"add": ast.Add(), "sub": ast.Sub(), "mul": ast.Mult(), "div": ast.Div()}


def _in_python(expression: Expression) -> ast.expr:
    """Return the expression as Python's own tree, with operators for the operations that have one."""
    operands = [_in_python(operand) for operand in expression.operands]
    if expression.name == "number":
        constant = ast.Constant(abs(expression.value))
        negative = math.copysign(1, expression.value) < 0
        return ast.UnaryOp(ast.USub(), constant) if negative else constant
    if expression.name in OPERATORS:
        return ast.BinOp(operands[0], OPERATORS[expression.name], operands[1])
    if expression.name == "neg":
        return ast.UnaryOp(ast.USub(), operands[0])
    return ast.Call(ast.Name(expression.name), operands, []) if operands else ast.Name(expression.name)


def _with_minus_in_numbers(expression: Expression) -> Expression:
    operands = tuple(_with_minus_in_numbers(operand) for operand in expression.operands)
    if expression.name == "neg" and operands[0].name == "number":
        return number(-operands[0].value)
    return Expression(expression.name, operands, expression.value)


@settings(max_examples=200, deadline=None)
@given(expressions(["add", "sub", "mul", "div", "neg", "sin", "max"], size=10))
def test_operators_bind_as_in_python(expression: Expression) -> None:
    assert parse(ast.unparse(_in_python(expression))) == _with_minus_in_numbers(expression)


def test_an_operation_may_be_named_like_a_word_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATIONS, "not", Operation("not", 1, torch.neg))
    assert str(parse("1 - not(x)")) == "sub(1, not(x))"


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
        ("sin(x", 6, r"expected an operator, ',' or '\)'"),
        ("sin(x  y)", 8, r"expected an operator, ',' or '\)'"),
        ("sin(2x)", 6, r"expected an operator, ',' or '\)'"),
        ("sin(x=1)", 6, r"expected an operator, ',' or '\)'"),
        ("sin(x for x in x)", 7, r"expected an operator, ',' or '\)'"),
        ("(x", 3, r"expected an operator or '\)'"),
        ("2 * (x, x)", 7, r"expected an operator or '\)'"),
        ("sin(x))", 7, "expected an operator or the end"),
        ("x  y", 4, "expected an operator or the end"),
        ("3(x)", 2, "expected an operator or the end"),
        ("sin(x)(x)", 7, "expected an operator or the end"),
        ("x.real", 2, "expected an operator or the end"),
        ("x < 1", 3, "expected an operator or the end"),
        ("x if x else x", 3, "expected an operator or the end"),
        ("0x10", 2, "expected an operator or the end"),
        ("1_000", 2, "expected an operator or the end"),
        ("x  # the plain sign", 4, "expected an operator or the end"),
        ("x\0", 2, "expected an operator or the end"),
        ("", 1, "found the end"),
        ("   ", 4, "found the end"),
        ("add(x, )", 8, r"found '\)'"),
        ("add(, x)", 5, "found ','"),
        ("()", 2, r"found '\)'"),
        ("sin(x) +", 9, "found the end"),
        ("x + * x", 5, r"found '\*'"),
        ("x // 2", 4, "found '/'"),
        ("+x", 1, r"found '\+'"),
        ("sin(*x)", 5, r"found '\*'"),
        ("sin($)", 5, r"found '\$'"),
        ("'x'", 1, """found "'\""""),
        ("[x]", 1, r"found '\['"),
        ("2 * é", 5, "found 'é'"),
        ("\u017fin(x)", 1, "found '\u017f'"),
        ("lambda: x", 1, "unknown operation 'lambda'"),
        ("not x", 1, "unknown operation 'not'"),
        ("True", 1, "unknown operation 'True'"),
        ("nan", 1, "unknown operation 'nan'"),
        ("-inf", 2, "unknown operation 'inf'"),
        ("2 * sinn(x)", 5, "unknown operation 'sinn': did you mean sin"),
        ("x - sin(x, x)", 5, "sin takes 1 operand, found 2"),
        ("sin(x) ^ 2", 8, r"no operator for powers: write square\(x\)"),
        ("x**2", 2, r"no operator for powers: write square\(x\)"),
        ("add(x, 1e999)", 8, "not a finite number"),
        ("2 * -1e999", 5, "not a finite number"),
        ("9" * 400, 1, "not a finite number"),
    ],
)
def test_errors_show_the_place(text: str, position: int, message: str) -> None:
    with pytest.raises(ExpressionError, match=message) as caught:
        parse(text)
    first, shown, mark, *_ = str(caught.value).split("\n")
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


def chain(terms: int) -> str:
    return " + ".join("x" * terms)


def test_depth_is_limited_in_chains_of_operators() -> None:
    assert parse(chain(MAX_DEPTH)).depth == MAX_DEPTH
    with pytest.raises(
        ExpressionError, match=f"nested deeper than {MAX_DEPTH} at position {4 * MAX_DEPTH - 1}:"
    ):
        parse(chain(MAX_DEPTH + 1))
    inner = nested(MAX_DEPTH - 1)
    assert parse(f"{inner} * x").depth == parse(f"x * {inner}").depth == MAX_DEPTH
    for text in (f"{inner} * x * x", f"x + x * {inner}", f"sin({inner} - x)"):
        with pytest.raises(ExpressionError, match="nested deeper"):
            parse(text)


def test_a_very_deep_text_is_an_expression_error() -> None:
    brackets = (nested(100_000), "(" * 100_000, "sin(" * 100_000, "x * (x + " * 50_000)
    for text in (*brackets, "-" * 100_000, chain(100_000)):
        with pytest.raises(ExpressionError, match="nested deeper"):
            parse(text)


PIECES = st.sampled_from(
    [operation.name for operation in BUILT_IN] + list("(),.-+*/^eEx0159 \n") + ["1e", "é", "٣", "²", "\0"]
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
