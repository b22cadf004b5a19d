"""Integer networks written and read back."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.finn_flows.finn_networks import CLASSIFIERS, biased_images, dynamic, residual
from tests.finn_flows.integer_networks import random_inputs, random_network
from tests.finn_flows.lowering.foreign import Graph, lower
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.lowering.storage import StorageError, load, save
from zerocross.finn_flows.network import Network


@pytest.fixture(scope="module")
def net() -> IntegerNetwork:
    g = Graph((1, 2, 8, 8), 5).quant(4, 0.25).conv(2, 4, scale=0.5, pads=[1, 1, 1, 1]).norm(4).node("Sin")
    g.quant(2, 0.3).node("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).conv(4, 6).norm(6).bipolar()
    g.node("Flatten")
    return lower(g.dense(g.features(), 5).model()).network


def rewrite(path: Path, **changes: object) -> None:
    """Change the record or the arrays of a file, by name; None takes one away."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    record = json.loads(arrays["network"].tobytes())
    for name, value in changes.items():
        target = arrays if name in arrays else record
        if value is None:
            del target[name]
        else:
            target[name] = value
    arrays["network"] = np.frombuffer(json.dumps(record).encode(), np.uint8)
    with path.open("wb") as out:
        np.savez(out, **arrays)


def test_round_trip(net: IntegerNetwork, tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    save(net, path)
    again = load(path)
    assert again.network == net.network
    for name, weights in net.weights.items():
        assert np.array_equal(again.weights[name], weights) and again.weights[name].dtype == np.int8
    for name, table in net.tables.items():
        assert again.tables[name].grid == table.grid
        for field in ("first", "offsets", "places"):
            found, expected = getattr(again.tables[name], field), getattr(table, field)
            assert np.array_equal(found, expected) and found.dtype == expected.dtype
    x = np.random.default_rng(0).integers(0, 16, (20, 8, 8, 2))
    assert np.array_equal(again.run(x)["label"], net.run(x)["label"])
    assert [each.name for each in tmp_path.iterdir()] == ["net.npz"]


def test_the_same_network_is_the_same_file(net: IntegerNetwork, tmp_path: Path) -> None:
    for name in ("one.npz", "two.npz"):
        save(net, tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_missing(tmp_path: Path, net: IntegerNetwork) -> None:
    with pytest.raises(StorageError, match=r"net.npz does not exist"):
        load(tmp_path / "net.npz")
    with pytest.raises(StorageError, match=r"net.npz cannot be written \(No such file"):
        save(net, tmp_path / "no" / "net.npz")


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -60])
def test_cut_short(net: IntegerNetwork, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "net.npz"
    save(net, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(StorageError, match=r"net.npz is damaged or no integer network"):
        load(path)


def test_any_damaged_byte_is_noticed_or_harmless(net: IntegerNetwork, tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    save(net, path)
    whole = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 60):
        damaged = whole.copy()
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            again = load(path)
        except StorageError:
            continue
        assert again.network == net.network
        assert all(np.array_equal(again.weights[name], net.weights[name]) for name in net.weights)


def test_something_else(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    np.savez(path, a=np.arange(3))
    with pytest.raises(StorageError, match="net.npz does not hold an integer network"):
        load(path)
    np.save(tmp_path / "one.npy", np.arange(3))
    with pytest.raises(StorageError, match="one.npy is damaged or no integer network"):
        load(tmp_path / "one.npy")
    path.write_text("hello")
    with pytest.raises(StorageError, match="net.npz is damaged or no integer network"):
        load(path)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"version": 1}, "has format version 1, but this zerocross reads 3: lower the network again"),
        ({"format": "another"}, "does not hold an integer network"),
        ({"weights/conv1": None}, "is inconsistent"),
        ({"first/conv1_levels": np.zeros(3, np.uint8)}, "conv1_levels"),
        ({"places/conv1_levels": np.zeros(3, np.int64)}, "conv1_levels has 3 crossings, which do not match"),
        ({"layers": []}, "is inconsistent"),
        ({"input": {"shape": [8, 8, 3], "bits": 4}}, "conv1 has weights of shape"),
    ],
)
def test_what_does_not_fit(
    net: IntegerNetwork, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = tmp_path / "net.npz"
    save(net, path)
    rewrite(path, **changes)
    with pytest.raises(StorageError, match=message):
        load(path)


BIASED = CLASSIFIERS["bits into 1 bits, biased"]


@pytest.mark.parametrize("network", [residual(), dynamic(), BIASED, biased_images(8)])
def test_sums_pools_biases_and_wider_weights(network: Network, tmp_path: Path) -> None:
    net = random_network(network, seed=3)
    path = tmp_path / "net.npz"
    save(net, path)
    found, inputs = load(path), random_inputs(net.network, 5, seed=1)
    assert found.network == net.network
    for name, values in net.run(inputs).items():
        assert np.array_equal(found.run(inputs)[name], values), name


@pytest.mark.parametrize(
    "biases, message",
    [
        (None, "is inconsistent: 'biases/bias3'"),
        (np.zeros(99, np.int64), "bias3 needs biases of -37 to 90, one for each channel"),
        (91, "bias3 needs biases of -37 to 90"),
        (-38, "bias3 needs biases of -37 to 90"),
    ],
)
def test_biases_that_do_not_fit(biases: np.ndarray | int | None, message: str, tmp_path: Path) -> None:
    net, path = random_network(BIASED, seed=3), tmp_path / "net.npz"
    save(net, path)
    (name,) = net.biases
    given = np.full_like(net.biases[name], biases) if isinstance(biases, int) else biases
    rewrite(path, **{f"biases/{name}": given})
    with pytest.raises(StorageError, match=message):
        load(path)


def hostile(value: object, rng: np.random.Generator) -> object:
    """A record with one of its values replaced."""
    if isinstance(value, dict | list) and value and rng.random() < 0.9:
        keys = [*value] if isinstance(value, dict) else [*range(len(value))]
        key = keys[rng.integers(len(keys))]
        changed = dict(value) if isinstance(value, dict) else list(value)
        changed[key] = hostile(value[key], rng)  # type: ignore[index]
        return changed
    values = [0, -1, 1.5, 10**12, -(10**30), "x", "", None, [], {}, [[]], {"a": 1}, True]
    return values[rng.integers(len(values))]


def test_any_record_is_read_or_refused(net: IntegerNetwork, tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    x = np.random.default_rng(0).integers(0, 16, (2, 8, 8, 2))
    refused = 0
    for seed in range(150):
        save(net, path)
        with np.load(path) as file:
            record = json.loads(file["network"].tobytes())
        changed = hostile(record, np.random.default_rng(seed))
        rewrite(path, **changed if isinstance(changed, dict) else {})
        try:
            load(path).run(x)
        except StorageError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 50


def test_records_that_are_deep_or_without_steps_are_refused(net: IntegerNetwork, tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    save(net, path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    deep = np.frombuffer(b"[" * 100_000, np.uint8)
    with path.open("wb") as out:
        np.savez(out, **{**arrays, "network": deep})
    with pytest.raises(StorageError, match="does not hold an integer network"):
        load(path)
    save(net, path)
    name = next(iter(net.tables))
    grids = {key: [0, 9, 0] if key == name else [0, 1, 1] for key in net.tables}
    rewrite(path, grids=grids)
    with pytest.raises(StorageError, match=rf"{name} has the grid \[0, 9, 0\]"):
        load(path)
