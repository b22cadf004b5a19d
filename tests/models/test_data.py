"""Data sets: their splits, and the messages for data that is refused."""

import io
import re
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zerocross.models.data
from zerocross.models.data import Data, DataError, Split, check_test, load, load_test

Arrays = dict[str, Any]


def good(samples: int = 20, shape: tuple[int, ...] = (6, 5), dtype: str = "uint8") -> Arrays:
    rng = np.random.default_rng(0)
    arrays: Arrays = {}
    for part, count in (("train", samples), ("test", samples // 2)):
        arrays[f"x_{part}"] = rng.integers(0, 256, (count, *shape)).astype(dtype)
        arrays[f"y_{part}"] = np.arange(count) % 4
    return arrays


def saved(folder: Path, arrays: Arrays) -> str:
    path = folder / "mine.npz"
    np.savez(path, **arrays)
    return str(path)


def rows(split: Split) -> set[bytes]:
    return {x.numpy().tobytes() for x in split.x}


def same(one: Split, other: Split) -> bool:
    return torch.equal(one.x, other.x) and torch.equal(one.y, other.y)


def test_digits_are_the_same_every_time() -> None:
    one, other = load("digits"), load("digits")
    assert same(one.train, other.train) and same(one.validation, other.validation)
    assert one.fingerprint == other.fingerprint
    assert same(load_test("digits"), load_test("digits"))


def test_digits_are_all_there_and_split_apart() -> None:
    from sklearn.datasets import load_digits

    data, test = load("digits"), load_test("digits")
    assert data.input_shape == (1, 8, 8)
    assert data.classes == 10
    assert len(data.train) + len(data.validation) + len(test) == 1797
    parts = [part.x.flatten(1).numpy() for part in (data.train, data.validation, test)]
    original = np.rint(load_digits().data * 255 / 16)
    assert sorted(map(bytes, np.concatenate(parts))) == sorted(map(bytes, original.astype(np.uint8)))
    assert not rows(data.train) & rows(data.validation)
    assert not (rows(data.train) | rows(data.validation)) & rows(test)
    for part in (data.train, data.validation, test):
        assert part.x.dtype == torch.uint8
        assert part.y.dtype == torch.int64
        assert len(part.x) == len(part.y) == len(part)


def test_the_table_is_all_there_and_each_column_has_its_own_range() -> None:
    from sklearn.datasets import load_breast_cancer

    data, test = load("breast_cancer"), load_test("breast_cancer")
    assert len(data.train) + len(data.validation) + len(test) == len(load_breast_cancer().data)
    assert data.input_shape == (30,) and data.classes == 2
    known = torch.cat([data.train.x, data.validation.x])
    assert (known.amin(dim=0) == 0).all() and (known.amax(dim=0) == 255).all()


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_the_validation_part_has_its_share_of_every_class(share: float) -> None:
    data = load("digits", validation=share)
    for label in range(10):
        held_out, rest = ((part.y == label).sum().item() for part in (data.validation, data.train))
        assert abs(held_out - share * (held_out + rest)) <= 0.5


def test_the_split_seed_draws_other_samples_and_changes_the_fingerprint() -> None:
    one, other = load("digits", split_seed=0), load("digits", split_seed=1)
    assert rows(one.validation) != rows(other.validation)
    assert one.fingerprint != other.fingerprint
    assert rows(one.train) | rows(one.validation) == rows(other.train) | rows(other.validation)


def test_the_fingerprint_is_of_everything(tmp_path: Path) -> None:
    base = good()
    prints = [
        load(saved(tmp_path, base)).fingerprint,
        load(saved(tmp_path, base), validation=0.4).fingerprint,
    ]
    pixel, label = dict(base), dict(base)
    pixel["x_train"] = base["x_train"].copy()
    pixel["x_train"][3, 2, 1] ^= 1
    label["y_train"] = base["y_train"][::-1].copy()
    prints += [load(saved(tmp_path, changed)).fingerprint for changed in (pixel, label)]
    assert len(set(prints)) == 4
    assert load(saved(tmp_path, base)).fingerprint == prints[0]


@pytest.mark.parametrize("limit", [100, 333])
def test_a_limit_is_kept_class_by_class(limit: int) -> None:
    data = load("digits", limit=limit)
    assert len(data.train) + len(data.validation) == pytest.approx(limit, abs=5)
    counts = torch.bincount(torch.cat([data.train.y, data.validation.y]))
    assert counts.max() - counts.min() <= limit // 40 + 2
    assert data.classes == 10
    assert data.fingerprint != load("digits").fingerprint


def test_a_limit_beyond_the_samples_changes_nothing() -> None:
    assert load("digits", limit=10**6).fingerprint == load("digits").fingerprint


@pytest.mark.parametrize("settings", [{"validation": 0.0}, {"validation": 1.0}, {"limit": 1}, {"limit": 0}])
def test_no_samples_left(settings: dict) -> None:
    with pytest.raises(DataError, match=r"data\.validation"):
        load("digits", **settings)


def test_the_test_set_is_not_read_by_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    digits = zerocross.models.data._digits
    monkeypatch.setattr(zerocross.models.data, "_digits", lambda train: seen.append(train) or digits(train))
    load("digits")
    assert seen == [True]
    arrays = good()
    one = load(saved(tmp_path, arrays))
    arrays["x_test"], arrays["y_test"] = 255 - arrays["x_test"], arrays["y_test"][::-1]
    other = load(saved(tmp_path, arrays))
    assert same(one.train, other.train) and one.fingerprint == other.fingerprint


def whole(data: Data) -> dict[bytes, int]:
    return {
        x.numpy().tobytes(): int(y)
        for part in (data.train, data.validation)
        for x, y in zip(part.x, part.y, strict=True)
    }


@pytest.mark.parametrize(
    ("shape", "read"),
    [((6, 5), (1, 6, 5)), ((6, 5, 3), (3, 6, 5)), ((7,), (7,))],
    ids=["NHW", "NHWC", "features"],
)
def test_arrays_of_bytes(tmp_path: Path, shape: tuple[int, ...], read: tuple[int, ...]) -> None:
    arrays = good(shape=shape)
    data, test = load(saved(tmp_path, arrays)), load_test(saved(tmp_path, arrays))
    assert data.input_shape == read
    assert data.classes == 4
    labels = whole(data)
    for x, y in zip(arrays["x_train"], arrays["y_train"], strict=True):
        moved = np.moveaxis(x, -1, 0) if len(shape) == 3 else x
        assert labels[np.ascontiguousarray(moved).tobytes()] == y
    assert test.x.shape == (10, *read)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "bool"])
def test_images_of_other_numbers_are_scaled_by_the_range_of_the_training_samples(
    tmp_path: Path, dtype: str
) -> None:
    arrays = good(shape=(3, 4))
    for part, slope, shift in (("x_train", 1, -100), ("x_test", 3, -200)):
        pixels = arrays[part]
        arrays[part] = pixels > 127 if dtype == "bool" else pixels.astype(dtype) * slope + shift
    low, high = float(arrays["x_train"].min()), float(arrays["x_train"].max())
    path = saved(tmp_path, arrays)
    expected = np.clip(np.rint((arrays["x_test"].astype(float) - low) / (high - low) * 255), 0, 255)
    assert np.array_equal(load_test(path).x[:, 0].numpy(), expected)
    data = load(path)
    assert data.scaling is not None and (data.scaling.low, data.scaling.high) == ((low,), (high,))
    train = np.concatenate([data.train.x.numpy(), data.validation.x.numpy()])
    assert (train.min(), train.max()) == (0, 255)


def test_every_column_of_a_table_has_its_own_range(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = good(200, shape=(4,), dtype="float64")
    for part in ("x_train", "x_test"):
        size = len(arrays[part])
        arrays[part] = rng.uniform(size=(size, 4)) * [1, 1000, 0, 0.01] + [0, -500, 7, 3]
    path = saved(tmp_path, arrays)
    data, test, x = load(path), load_test(path), arrays["x_train"]
    low, high = x.min(axis=0), x.max(axis=0)
    width = np.where(high > low, high - low, 1)
    expected = np.clip(np.rint((arrays["x_test"] - low) / width * 255), 0, 255)
    assert np.array_equal(test.x.numpy(), expected)
    assert data.notes == ("x_train: column 2 holds the same value in all training samples",)
    assert data.scaling is not None and data.scaling.low == pytest.approx(low)


def test_outliers_do_not_flatten_a_column(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arrays = good(200, shape=(3,), dtype="float64")
    arrays["x_train"] = rng.uniform(-2, 2, size=(200, 3))
    arrays["x_train"][[5, 9], 1] = 1e6, -1e6
    arrays["x_train"][:, 2] = np.arange(200) == 3  # rare, but all there is to see
    data = load(saved(tmp_path, arrays))
    columns = torch.cat([data.train.x, data.validation.x]).numpy()
    assert len(np.unique(columns[:, 1])) > 90 and set(columns[:, 2]) == {0, 255}
    (note,) = data.notes
    assert re.fullmatch(
        r"x_train: outliers are clipped to their column's range: 2 of 600 values, in column 1 \(outside -[\d.]+\.\.[\d.]+\)",
        note,
    )


def test_only_the_clipped_values_that_a_limit_leaves_are_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arrays = good(400, shape=(12,), dtype="float64")
    arrays["x_train"] = rng.uniform(-1, 1, size=(400, 12))
    arrays["x_train"][:3, 2:] = 50.0
    arrays["x_train"][10:12, 7] = -50.0
    path = saved(tmp_path, arrays)
    (note,) = load(path).notes
    assert "32 of 4,800 values, in 10 columns, most in column 7 (5 outside -1" in note
    data = load(path, limit=200)
    bytes_ = torch.cat([data.train.x, data.validation.x]).numpy()
    # Byte 255 is 1.5 here, so only an outlier has it; the low ones are 0.
    outliers = int((bytes_[:, 2:] == 255).sum() + (bytes_[:, 7] == 0).sum())
    (note,) = data.notes
    assert 0 < outliers < 32 and f"{outliers} of 2,400 values" in note


LABELS: dict[str, tuple[Any, str]] = {
    "a column": (np.arange(20)[:, None] % 4, ""),
    "whole floats": (np.arange(20) % 4.0, ""),
    "one hot": (np.eye(4)[np.arange(20) % 4], ""),
    "from 1": (np.arange(20) % 4 + 1, "the labels 1..4 are the classes 0..3, in this order"),
    "with a gap": (np.array([0, 1, 5, 9])[np.arange(20) % 4], "the labels 0, 1, 5, 9 are the classes 0..3"),
    "with signs": (np.arange(20) % 4 - 1, "the labels -1..2 are the classes 0..3"),
    "text": (
        np.array(["a", "bc", "d", "e"])[np.arange(20) % 4],
        "the labels a, bc, d, e are the classes 0..3",
    ),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_of_any_form_are_classes_in_order(tmp_path: Path, case: str) -> None:
    labels, note = LABELS[case]
    path = saved(tmp_path, changed(y_train=labels, y_test=labels[:10]))
    data, expected = load(path), good()
    found = whole(data)
    assert data.classes == 4 and len(data.notes) == bool(note) and note in "".join(data.notes)
    for x, y in zip(expected["x_train"], expected["y_train"], strict=True):
        assert found[x.tobytes()] == y
    assert load_test(path).y.tolist() == expected["y_test"].tolist()


def test_truth_values_are_two_classes(tmp_path: Path) -> None:
    path = saved(tmp_path, changed(y_train=np.arange(20) % 2 == 1, y_test=np.zeros(10, bool)))
    assert load(path).classes == 2 and load_test(path).y.tolist() == [0] * 10
    _, notes = check_test(path, "", load(path))
    assert notes == ("no test sample has the label 1",)


@pytest.mark.parametrize(
    ("shape", "first", "said"),
    [
        ((3, 8, 8), True, True),
        ((1, 28, 28), True, True),
        ((3, 48, 64), True, True),
        ((16, 9, 9), True, True),
        ((8, 8, 3), False, False),
        ((8, 8, 16), False, False),
        ((48, 64, 3), False, False),
        ((28, 1, 1), False, False),
        ((1, 128, 9), False, True),
        ((3, 8, 3), False, True),
    ],
)
def test_channels_are_found_and_doubts_are_said(
    tmp_path: Path, shape: tuple[int, ...], first: bool, said: bool
) -> None:
    arrays = good(shape=shape)
    data = load(saved(tmp_path, arrays))
    moved = arrays["x_train"] if first else np.moveaxis(arrays["x_train"], 3, 1)
    assert data.input_shape == moved.shape[1:]
    assert {x.tobytes() for x in moved} == rows(data.train) | rows(data.validation)
    assert any(f"is read as (N, {'channels, ' if first else ''}height" in note for note in data.notes) == said


def changed(**arrays: Any) -> Arrays:
    return {key: value for key, value in {**good(), **arrays}.items() if value is not None}


NAN = np.where(np.arange(600).reshape(20, 30) == 7, np.nan, 1.0)
BAD: dict[str, tuple[Arrays, str]] = {
    "no x_train": (changed(x_train=None), "lacks the array 'x_train'"),
    "no y_train": (changed(y_train=None), "lacks the array 'y_train'"),
    "no x_test": (changed(x_test=None), "lacks the array 'x_test'"),
    "no y_test": (changed(y_test=None), "lacks the array 'y_test'.*x_train, y_train, x_test"),
    "one label": (changed(y_train=np.zeros(20)), "y_train has only one class"),
    "float labels": (changed(y_train=np.arange(20) / 2), r"y_train holds 0\.5 in row 1: give whole numbers"),
    "two-hot labels": (
        changed(y_train=np.ones((20, 2), int)),
        r"y_train.*\(20, 2\).*not every row has a single 1",
    ),
    "cubes of labels": (changed(y_train=np.ones((20, 2, 2))), r"y_train must hold one label for each sample"),
    "object labels": (changed(y_train=np.array([None] * 20)), "without pickles"),
    "object samples": (changed(x_train=np.array([{}] * 20)), "without pickles"),
    "text samples": (changed(x_train=np.array(["a"] * 20)[:, None]), "x_train must hold numbers, found <U1"),
    "complex samples": (
        changed(x_train=np.zeros((20, 3), complex)),
        "x_train must hold numbers, found complex",
    ),
    "fewer labels": (changed(y_train=np.arange(19) % 4), "x_train has 20 samples, y_train has 19"),
    "none at all": (
        changed(x_train=np.zeros((0, 3)), y_train=np.zeros(0, int)),
        r"x_train has shape \(0, 3\).*at least one sample",
    ),
    "five axes": (changed(x_train=np.zeros((20, 1, 1, 1, 1))), r"x_train has shape \(20, 1, 1, 1, 1\)"),
    "one axis": (changed(x_train=np.zeros(20)), r"x_train has shape \(20,\)"),
    "nan": (changed(x_train=NAN), r"x_train holds NaN in row 0, column 7 \(counted from 0\)"),
    "infinities": (
        changed(x_train=np.full((20, 2, 3), np.inf)),
        r"x_train holds infinity in row 0, position \(0, 0\), and 119 more",
    ),
    "a single number": (changed(x_train=np.array(3.0)), "x_train has shape"),
    "no features": (changed(x_train=np.zeros((20, 0))), "x_train"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arrays_are_named(tmp_path: Path, case: str) -> None:
    arrays, message = BAD[case]
    path = saved(tmp_path, arrays)
    with pytest.raises(DataError, match=message) as caught:
        load(path)
    assert path in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            changed(y_test=np.full(10, 4)),
            r"y_test holds the label 4 in row 0, which no training sample has; known are 0\.\.3",
        ),
        (changed(y_test=np.full(10, -2)), "y_test holds the label -2"),
        (changed(y_test=np.zeros(9, int)), "x_test has 10 samples, y_test has 9"),
    ],
)
def test_bad_test_arrays_are_named(tmp_path: Path, arrays: Arrays, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_test(saved(tmp_path, arrays))


@pytest.mark.parametrize(
    "arrays",
    [
        pytest.param(changed(x_test=good(shape=(5, 6))["x_test"]), id="another shape"),
        pytest.param(changed(x_test=good()["x_test"] / 255.0), id="bytes to train, 0..1 to test"),
        pytest.param(changed(x_train=good()["x_train"] / 255.0), id="0..1 to train, bytes to test"),
    ],
)
def test_test_samples_unlike_the_training_samples_are_refused(tmp_path: Path, arrays: Arrays) -> None:
    with pytest.raises(DataError, match="x_test"):
        load_test(saved(tmp_path, arrays))


def as_npy(arrays: Arrays) -> bytes:
    stream = io.BytesIO()
    np.save(stream, arrays["x_train"])
    return stream.getvalue()


def as_npz(arrays: Arrays) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def damaged(content: bytes) -> bytes:
    """Damage the compressed bytes of the first array."""
    start = content.index(b"x_train.npy") + 60
    return (
        content[:start] + bytes(255 - byte for byte in content[start : start + 200]) + content[start + 200 :]
    )


def of_texts() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            file.writestr(name, "no array")
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"hello, world", id="text"),
        pytest.param(as_npz(good())[:400], id="cut short"),
        pytest.param(as_npy(good()), id="a single array"),
        pytest.param(damaged(as_npz(good())), id="damaged"),
        pytest.param(of_texts(), id="a zip of texts"),
    ],
)
def test_files_that_are_no_npz(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(path))):
        load(str(path))


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.npz does not exist"):
        load(str(tmp_path / "none.npz"))
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(DataError, match=r"folder\.npz"):
        load(str(tmp_path / "folder.npz"))


@pytest.mark.parametrize("name", ["digit", "imagenet", "mine.npy", ""])
def test_an_unknown_data_set(name: str) -> None:
    with pytest.raises(DataError, match=f"unknown data set {name!r}: use digits, breast_cancer, mnist.*npz"):
        load(name)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "opened",))

    path = saved(tmp_path, changed(x_train=np.array([Trap()] * 20)))
    with pytest.raises(DataError):
        load(path)
    assert not (tmp_path / "opened").exists()


class Stored:
    """Replaces torchvision's MNIST and CIFAR10 in their format on disk."""

    def __init__(self, shape: tuple[int, ...], root: str, train: bool, download: bool) -> None:
        rng = np.random.default_rng(train)
        self.data = rng.integers(0, 256, (40, *shape)).astype(np.uint8)
        self.targets = list(np.arange(40) % 10)


@pytest.mark.parametrize(
    ("name", "stored", "shape"), [("mnist", "MNIST", (28, 28)), ("cifar10", "CIFAR10", (32, 32, 3))]
)
def test_a_set_is_the_same_out_of_an_npz(
    name: str, stored: str, shape: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"torchvision.datasets.{stored}", partial(Stored, shape))
    file = tmp_path / "set.npz"
    file.write_bytes(zerocross.models.data.as_npz(name))
    assert load(str(file)).fingerprint == load(name).fingerprint
    for one, other in ((load(str(file)).train, load(name).train), (load_test(str(file)), load_test(name))):
        assert torch.equal(one.x, other.x) and torch.equal(one.y, other.y)


def test_a_table_keeps_its_ranges_in_an_npz(tmp_path: Path) -> None:
    file = tmp_path / "set.npz"
    file.write_bytes(zerocross.models.data.as_npz("breast_cancer"))
    one, other = load(str(file)), load("breast_cancer")
    assert one.fingerprint == other.fingerprint and one.scaling == other.scaling and one.scaling is not None
    assert same(load_test(str(file)), load_test("breast_cancer"))


def test_a_users_file_is_sent_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "own.npz"
    file.write_bytes(b"whatever it is")
    assert zerocross.models.data.as_npz(str(file)) == b"whatever it is"
    with pytest.raises(DataError, match="cannot be read"):
        zerocross.models.data.as_npz(str(tmp_path / "gone.npz"))
