"""Files that are read back: damaged, hostile and huge ones give one line."""

import gzip
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from zerocross import reading
from zerocross.reading import (
    NamedSection,
    Unreadable,
    as_record,
    names_of_arrays,
    parse_json,
    read_array,
    read_arrays,
    read_gzip,
    read_json,
)


@dataclass(frozen=True)
class Point:
    x: int
    names: list[str]


def header(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    """The header of an array without its numbers."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def test_records_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": 1, "names": ["é"]}', encoding="utf-8")
    assert as_record(TypeAdapter(Point), read_json(tmp_path / "a.json")) == Point(1, ["é"])
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"text"))
    assert read_gzip(tmp_path / "a.gz") == "text"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ', "it is no JSON"),
        (b"\xff\xfe\xff", "it is no JSON"),
        (b"", "it is no JSON"),
        (b"1" * 10_000, "beyond 64 bits"),
    ],
)
def test_text_that_is_no_json_gives_one_line(text: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(Unreadable, match=message) as raised:
        read_json(tmp_path / "a.json")
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": "one", "names": []}, "^x: Input should be a valid integer"),
        ({"x": 1}, "^names: Field required"),
        ({"x": 1, "names": ["a", 2]}, r"^names\.1: Input should be a valid string"),
        ([], "Input should be"),
        (None, "Input should be"),
    ],
)
def test_the_first_wrong_field_is_named(content: object, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        as_record(TypeAdapter(Point), content)


def test_long_texts_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_TEXT", 1000)
    (tmp_path / "a.json").write_text(json.dumps(["a" * 1000]))
    with pytest.raises(Unreadable, match="at most 1,000 are read"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"a" * 10_000))
    with pytest.raises(Unreadable, match="more than 1,000 bytes"):
        read_gzip(tmp_path / "a.gz")
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"text")[:-6])
    with pytest.raises(Unreadable):
        read_gzip(tmp_path / "a.gz")


def test_arrays_are_read(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6).reshape(2, 3), "b/c": np.array(["é"]), "none": np.zeros((0, 4))}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    found = read_arrays(tmp_path / "a.npz")
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())
    assert names_of_arrays(tmp_path / "a.npz") == [*arrays]
    assert [*read_arrays(tmp_path / "a.npz", ["a", "no"])] == ["a"]
    np.save(tmp_path / "a.npy", np.asfortranarray(arrays["a"]))
    assert np.array_equal(read_array(tmp_path / "a.npy"), arrays["a"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header((10**6, 10**6)), "its arrays have 8,000,000,000,000 bytes; at most"),
        (header((10**300,)), "its arrays have"),
        (header((4,)), "."),
        (header((4,), "|O"), "pickled objects"),
        (b"no array", "."),
        (b"", "."),
    ],
)
def test_arrays_that_are_huge_short_or_objects_give_one_line(
    content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(Unreadable, match=message):
        read_array(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(Unreadable, match=message):
        read_arrays(tmp_path / "a.npz")


def test_many_arrays_count_together(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1000), b=np.zeros(1000))
    assert len(read_arrays(tmp_path / "a.npz", most=16_000)) == 2
    with pytest.raises(Unreadable, match="16,000 bytes; at most 15,999"):
        read_arrays(tmp_path / "a.npz", most=15_999)


def test_damaged_archives_give_one_line(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.random.default_rng(0).normal(size=500))
    whole = (tmp_path / "a.npz").read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] = rng.integers(0, 256)
        (tmp_path / "b.npz").write_bytes(damaged[: rng.integers(1, len(whole) + 1)])
        try:
            read_arrays(tmp_path / "b.npz")
        except Unreadable as error:
            assert "\n" not in str(error)
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "gone.npz")


def test_whole_numbers_have_64_bits() -> None:
    assert parse_json(f"[{2**64 - 1}, {-(2**63)}]") == [2**64 - 1, -(2**63)]
    with pytest.raises(
        Unreadable, match=r"it has the number 10000000000000000000\.\.\., which is beyond 64 bits"
    ):
        parse_json("[" + "1" + "0" * 400 + "]")
    for beyond in (2**64, -(2**63) - 1):
        with pytest.raises(Unreadable, match="beyond 64 bits"):
            parse_json(str(beyond))


def test_text_is_parsed_as_it_is() -> None:
    assert parse_json('{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}


@pytest.mark.parametrize("section", [{}, {"name": ["mlp"]}, {"name": None}])
def test_a_section_has_a_name(section: dict[str, object]) -> None:
    adapter = TypeAdapter(dict[str, NamedSection])
    assert as_record(adapter, {"topology": {"name": "mlp"}}) == {"topology": {"name": "mlp"}}
    with pytest.raises(Unreadable, match="topology: .*name: it must be a text"):
        as_record(adapter, {"topology": section})
