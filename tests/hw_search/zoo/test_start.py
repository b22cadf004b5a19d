"""Trainings that begin from other weights."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.hw_search.test_network_training import config
from tests.hw_search.zoo.test_entry import IMAGE, an_entry, binary_layers, trained
from zerocross.hw_search.config import make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.network_training import train_network
from zerocross.hw_search.networks import build_topology
from zerocross.hw_search.space import Space
from zerocross.hw_search.trainings import task, task_key
from zerocross.hw_search.zoo.entry import save_entry
from zerocross.hw_search.zoo.start import begin_from
from zerocross.models.expressions import parse
from zerocross.models.layers import install

SHAPE = {"name": "mlp", "hidden": [9, 7]}


def new(expression: str, classes: int = 3, hidden: tuple[int, ...] = (9, 7)) -> nn.Module:
    model = build_topology({"name": "mlp", "hidden": list(hidden)}, IMAGE, classes)
    install(model, [parse(expression)])
    return model


@pytest.fixture
def source(tmp_path: Path) -> str:
    save_entry(an_entry(trained(SHAPE, "scale(x)"), SHAPE, "scale(x)"), tmp_path / "mine.npz")
    return f"zoo:{tmp_path / 'mine.npz'}"


def test_signs_get_the_magnitude_of_new_weights(source: str) -> None:
    model, old = new("scale(x)"), trained(SHAPE, "scale(x)")
    sizes = {name: layer.weight.abs().mean() for name, layer in binary_layers(model).items()}
    begin_from(model, source)
    for name, layer in binary_layers(model).items():
        assert torch.allclose(layer.weight.abs(), sizes[name]) and sizes[name] < 1
    x = torch.randint(0, 256, (8, *IMAGE)).float()
    assert torch.equal(model.eval()(x), old(x))


def test_tables_can_go_on_learning(tmp_path: Path) -> None:
    shape = {"name": "hardwired", "widths": [23, 19], "inputs": [6, 3], "input_bits": 1, "neurons": "tables"}
    old = trained(shape, "x")
    save_entry(an_entry(old, shape), tmp_path / "mine.npz")
    model = build_topology(shape, IMAGE, 3)
    begin_from(model, f"zoo:{tmp_path / 'mine.npz'}")
    x = torch.randint(0, 256, (8, *IMAGE)).float()
    assert torch.equal(model.eval()(x).argmax(dim=1), old(x).argmax(dim=1))
    for layer in (model.sparse1, model.sparse2):
        assert 0 < layer.table.abs().max() < 1
        best, second = layer.latent.topk(2, dim=-1).values.unbind(-1)
        assert (best > second).all() and best.max() < 1.1


def test_another_activation_keeps_its_own_parameters(source: str) -> None:
    model, same = new("shift(x)"), trained(SHAPE, "scale(x)")
    begin_from(model, source)
    state, old = model.state_dict(), same.state_dict()
    assert (
        state["dense1_sign.function.learned.0"]
        == new("shift(x)").state_dict()["dense1_sign.function.learned.0"]
    ).all()
    assert torch.equal(state["dense1_sign.norm.running_mean"], old["dense1_sign.norm.running_mean"])


def test_the_classifier_may_have_other_classes(source: str) -> None:
    model = new("scale(x)", classes=5)
    own = model.classifier.weight.clone()
    begin_from(model, source)
    assert torch.equal(model.classifier.weight, own)
    assert torch.equal(model.dense1.weight.sign(), trained(SHAPE, "scale(x)").dense1.weight.sign())


def test_weights_that_do_not_fit_are_named(source: str) -> None:
    with pytest.raises(
        UserError, match=r"start_from: .* does not fit: dense2.weight, of shape \(8, 9\) here, has the shape"
    ):
        begin_from(new("x", hidden=(9, 8)), source)
    with pytest.raises(UserError, match="dense3.weight, of shape .* is missing there"):
        begin_from(new("x", hidden=(9, 7, 7)), source)
    with pytest.raises(UserError, match="holds no finished training"):
        begin_from(new("x"), "/nowhere")


def test_encodings_that_shapes_do_not_show_must_be_equal(tmp_path: Path) -> None:
    def encoded(bits: object) -> nn.Module:
        torch.manual_seed(0)
        model = build_topology({**SHAPE, "input_bits": bits}, IMAGE, 3)
        install(model, [parse("x")])
        return model

    file = tmp_path / "mine.npz"
    shape = {**SHAPE, "input_bits": {"thermometer": 2}}
    save_entry(an_entry(encoded({"thermometer": 2}), shape), file)
    begin_from(encoded({"thermometer": 2}), f"zoo:{file}")
    for other, message in (
        ({"planes": 2}, "the input is 2 bit planes here, and a thermometer of 2 bits"),
        ({"thermometer": 2, "step": 128}, r"multiples of 128\) here, and .* multiples of 1\) there"),
        ({"thermometer": 2, "thresholds": "uniform"}, "uniform"),
        (8, "the input is bytes or one bit here"),
    ):
        with pytest.raises(UserError, match=message):
            begin_from(encoded(other), f"zoo:{file}")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"weight_bits": 2}, "has weight_bits 2 here, and 1 there"),
        ({"input_bits": 1}, "has bits 1 here, and 8 there"),
    ],
)
def test_bits_that_shapes_do_not_show_must_be_equal(
    change: dict[str, int], message: str, source: str
) -> None:
    model = build_topology({**SHAPE, **change}, IMAGE, 3)
    with pytest.raises(UserError, match=message):
        begin_from(model, source)


def test_a_training_goes_on_from_an_earlier_one(tmp_path: Path) -> None:
    folder, first = train_network(config(tmp_path, "first", epochs=6))
    _, fresh = train_network(config(tmp_path, "fresh", epochs=1))
    _, second = train_network(config(tmp_path, "second", epochs=1, start_from=str(folder)))
    assert first.start is None and second.start is not None
    assert float(second.log[0]["loss"] or 9) < float(fresh.log[0]["loss"] or 0)


def test_the_store_tells_starting_weights_apart(tmp_path: Path, source: str) -> None:
    keys = []
    for start in (None, source):
        one = config(tmp_path, **({} if start is None else {"start_from": start}))
        candidate = Space(one, IMAGE, 10).candidate((0,))
        work = task(one, candidate, 0)
        assert work.start == start and "start_from" not in asdict(work.settings)
        keys.append(task_key(candidate, work, "data"))
    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"topology": {"name": "mlp", "hidden": [{"choose": [8, 16]}]}}, "topology.hidden.0 leaves a choice"),
        ({"search": {"strategy": "differentiable"}}, "has no weights for the mixture"),
    ],
)
def test_a_search_has_one_topology_to_start_from(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    content = config(tmp_path, start_from="zoo:any").model_dump() | change
    with pytest.raises(UserError, match=message):
        Space(make_config(content), IMAGE, 10)
