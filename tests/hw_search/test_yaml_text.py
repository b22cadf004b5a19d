"""Texts that no user can have meant: each is refused at once, with one short message."""

import random
import time
from pathlib import Path

import pytest
import yaml

from tests.hw_search.conftest import CONTENT
from tests.hw_search.yaml_mutations import changed
from zerocross.hw_search.config import load_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.yaml_text import read_yaml

BILLION = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGED = "a: &a {k: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BILLION, "there are more than 20,000 values, with aliases written out (line 5"),
        (MERGED, "there are more than 20,000 values"),
        ("[1, " * 8000, "values are nested deeper than 32 (line 1"),
        ("- " * 3000 + "1", "values are nested deeper than 32"),
        ("a: [" + "1, " * 30_000 + "]", "there are more than 20,000 values"),
        ("a: &a [1, *a]", "the alias 'a' stands for a value that contains it (line 1, column 11)"),
        ("a: &a {b: {c: *a}}", "the alias 'a' stands for a value that contains it"),
        (
            "name: x\nsearch:\n  seed: 1\nfinal: {}\nsearch:\n  seed: 2",
            "the key 'search' is given twice, in line 2 and in line 5",
        ),
        ("a: {b: 1, 'b': 2}", "the key 'b' is given twice, in line 1 and in line 1"),
        ("a: {1: 2}", "a key must be text, found '1': quote it"),
        ("{[a]: b}", "a key must be text, found 'a list or mapping'"),
        ("a: !!timestamp foo", "'foo' cannot be read as timestamp (line 1, column 4)"),
        ("a: 2024-13-45", "cannot be read as timestamp"),
        ("a: " + "9" * 5000, f"'{'9' * 96}... cannot be read as int"),
        ("a: !!int ''", "'' cannot be read as int (line 1, column 4)"),
        ("a: !!float ''", "'' cannot be read as float"),
        ("a: !!bool foo", "'foo' cannot be read as bool"),
        ("a: !!python/object/apply:os.system [x]", "could not determine a constructor"),
        (
            "a: &a 1\nb: &a 2",
            "found duplicate anchor 'a'; first occurrence: second occurrence (line 2, column 4)",
        ),
        ("a: *b", "found undefined alias"),
        ("a: \x00", "special characters are not allowed"),
        ("a: 'b", "found unexpected end of stream"),
        ("x" * 1_000_001, "is too long: it has 1,000,001 characters"),
        ("a: 1\n---\nb: 2", "but found another document"),
    ],
)
def test_what_nobody_means_is_refused_at_once(text: str, message: str) -> None:
    started = time.process_time()
    with pytest.raises(UserError) as caught:
        read_yaml(text, "c.yaml")
    assert message in str(caught.value) and str(caught.value).startswith("c.yaml ")
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: &x {b: [1, 2.5, true, null, text]}\nc: *x\nd: {<<: *x, e: 2}",
        "a: &a [1]\nb: [*a, *a]",
        yaml.safe_dump(CONTENT),
    ],
)
def test_everything_else_is_read_as_by_pyyaml(text: str) -> None:
    assert read_yaml(text, "c.yaml") == yaml.safe_load(text)


def test_mutated_configurations_give_a_configuration_or_one_message(tmp_path: Path) -> None:
    rng, path = random.Random(0), tmp_path / "c.yaml"
    sound = yaml.safe_dump(CONTENT)
    refused = 0
    for _ in range(150):
        text = sound
        for _ in range(rng.choice([1, 1, 2, 4])):
            text = changed(text, rng)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            load_config(path)
        except UserError as error:
            refused += 1
            assert str(error).startswith(str(path)) and len(str(error)) < 2000
    assert refused > 30
