"""Trained networks compared with their integer networks."""

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zerocross.finn_flows.crossings import CrossingTable, from_bits
from zerocross.finn_flows.integer import IntegerNetwork, remove_constants, remove_first_bits
from zerocross.finn_flows.network import (
    Activation,
    Conv,
    Dense,
    Flatten,
    Grid,
    Input,
    LabelSelect,
    Layer,
    Network,
    NetworkError,
    Pad,
)
from zerocross.hw_search.extraction.agreement import agreement
from zerocross.hw_search.extraction.integers import to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.hw_search.extraction.scales import UnsupportedModule
from zerocross.models.data import Split, load
from zerocross.models.encodings import Encoding
from zerocross.models.errors import ModelError
from zerocross.models.expressions import Expression, parse
from zerocross.models.layers import (
    ActivationSlot,
    BatchNorm,
    BinaryConv2d,
    BinaryLinear,
    InputQuant,
    LogitScale,
    StreamSlot,
    install,
    slots,
)
from zerocross.models.quantizers import BinaryWeight
from zerocross.models.sparse import SparseLinear
from zerocross.models.topologies import build


def settle(model: nn.Module, seed: int = 0) -> nn.Module:
    """Set batch norms and learnable parameters to random plausible values, in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for slot in slots(model).values():
            if isinstance(slot.norm, BatchNorm):
                slot.norm.running_mean.normal_(0, 2, generator=generator)
                slot.norm.running_var.uniform_(1, 40, generator=generator)
                slot.norm.weight.normal_(0, 1.5, generator=generator)
                slot.norm.bias.normal_(0, 1, generator=generator)
            for learned in slot.function.learned:
                learned.normal_(0, 2, generator=generator)
    return model.eval()


def pixels(shape: tuple[int, ...], samples: int = 30, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (samples, *shape), generator=generator, dtype=torch.uint8)


def integers(x: Tensor, network: Network) -> np.ndarray:
    """Return samples in the hardware's format: channels last, and bits as -1 and +1."""
    values = x.numpy().astype(np.int64)
    if network.input.bits == 1:
        values = np.where(values >= 128, 1, -1)
    return np.moveaxis(values, 1, -1)


def _step(module: nn.Module) -> float:
    return module.few.step if isinstance(module, SparseLinear) else 1.0


def outputs(model: nn.Module, x: Tensor) -> dict[str, np.ndarray]:
    """Return the outputs of every slot and product of a torch network as integers, channels last."""
    kinds = (ActivationSlot, qnn.QuantLinear, qnn.QuantConv2d)
    seen: dict[str, np.ndarray] = {}
    hooks = [
        module.register_forward_hook(
            lambda module, args, out, name=name: seen.__setitem__(
                name, np.moveaxis((out / _step(module)).detach().numpy(), 1, -1)
            )
        )
        for name, module in model.named_modules()
        if isinstance(module, kinds)
    ]
    with torch.no_grad():
        seen["class"] = model(x.float()).argmax(dim=1).numpy()
    for hook in hooks:
        hook.remove()
    return seen


TOPOLOGIES = {
    "mlp": ("mlp", {"hidden": [33, 20]}, (64,)),
    "mlp of images": ("mlp", {"hidden": [16]}, (2, 4, 4)),
    "tfc": ("tfc", {}, (1, 5, 5)),
    "hardwired": ("hardwired", {"widths": [20, 15], "inputs": [6, 3]}, (1, 5, 5)),
    "hardwired, tables": (
        "hardwired",
        {"widths": [20, 15], "inputs": [6, 3], "neurons": "tables"},
        (1, 5, 5),
    ),
    "cnv": ("cnv", {"blocks": [[6, 8], [10]], "dense": [12]}, (3, 10, 12)),
    "padded cnv": (
        "cnv",
        {"blocks": [[4], [8, 4]], "dense": [], "padding": 1, "pool": [True, True]},
        (2, 8, 8),
    ),
}
PAIR = Encoding("pair")


def random_expressions(count: int, seed: int) -> list[Expression]:
    rng = np.random.default_rng(seed)
    return [PAIR.decode([int(rng.integers(size)) for size in PAIR.sizes()]) for _ in range(count)]


@pytest.mark.parametrize("bits", [1, 8])
@pytest.mark.parametrize("kind", TOPOLOGIES)
@pytest.mark.parametrize("seed", range(3))
def test_every_bit_and_class_is_the_networks(kind: str, bits: int, seed: int) -> None:
    name, parameters, shape = TOPOLOGIES[kind]
    torch.manual_seed(seed)
    encoding = {"thermometer": 3} if (name, bits) == ("hardwired", 8) else bits
    model = build(name, shape, 5, {**parameters, "input_bits": encoding})
    install(model, random_expressions(len(slots(model)), seed))
    settle(model, seed)
    x = pixels(shape, seed=seed)
    network = describe(model, shape)
    net = to_integer(model, network)
    values, expected = net.run(integers(x, network)), outputs(model, x)
    for layer, value in expected.items():
        if layer != "class":
            assert np.array_equal(values[layer], value), layer
    assert np.array_equal(values["label"][:, 0], expected["class"])
    smaller, _ = remove_constants(remove_first_bits(net)[0])
    assert np.array_equal(smaller.run(integers(x, network))["classifier"], expected["classifier"])


def test_an_mlp_is_described() -> None:
    network = describe(
        build("mlp", (1, 2, 3), 4, {"hidden": [5], "dropout": 0.5, "input_bits": 1}), (1, 2, 3)
    )
    assert network == Network(
        Input((2, 3, 1), 1),
        (
            Layer("flatten", Flatten(), ("input",)),
            Layer("dense1", Dense(5), ("flatten",)),
            Layer("dense1_sign", Activation((1,) * 5), ("dense1",)),
            Layer("classifier", Dense(4), ("dense1_sign",)),
            Layer("label", LabelSelect(), ("classifier",)),
        ),
    )


def test_cnv_is_described() -> None:
    network = describe(build("cnv", (3, 32, 32), 10, {}), (3, 32, 32))
    kinds = [type(layer.operation).__name__ for layer in network.layers]
    block = ["Conv", "Activation"]
    assert kinds == [
        *(*block, *block, "MaxPool") * 2,
        *block * 2,
        "Flatten",
        *("Dense", "Activation") * 2,
        "Dense",
        "LabelSelect",
    ]
    assert network.input == Input((32, 32, 3), 8)
    assert [
        layer.operation.channels for layer in network.layers if isinstance(layer.operation, Dense | Conv)
    ] == [
        *(64, 64, 128, 128, 256, 256),
        *(512, 512, 10),
    ]
    assert network.fan_ins()["dense1"] == 256


def test_padding_is_described() -> None:
    network = describe(build("cnv", (1, 8, 8), 2, {"blocks": [[2]], "padding": 1, "dense": []}), (1, 8, 8))
    assert [layer.name for layer in network.layers[:2]] == ["conv1_padding", "conv1"]
    assert [layer.operation for layer in network.layers[:2]] == [Pad((1, 1, 1, 1), 0), Conv(2)]


class Net(nn.Module):
    """A user's topology: an input, any middle part, and a classifier."""

    def __init__(self, *middle: nn.Module, fan_in: int = 8, bits: int = 8) -> None:
        super().__init__()
        self.input = InputQuant(bits)
        self.middle = nn.ModuleList(middle)
        self.classifier = BinaryLinear(fan_in, 3)
        self.scale = LogitScale(fan_in)

    def through(self, x: Tensor) -> Tensor:
        for module in self.middle:
            x = module(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.classifier(self.through(self.input(x))))


class Flattening(Net):
    """Flattens by a function."""

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.classifier(torch.flatten(self.through(self.input(x)), 1)))


class FlatteningByMethod(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.classifier(self.through(self.input(x)).flatten(1)))


@pytest.mark.parametrize("kind", [Flattening, FlatteningByMethod])
def test_a_users_module_that_flattens_by_a_function(kind: type[Net]) -> None:
    torch.manual_seed(0)
    conv = BinaryConv2d(2, 4, 3, 2)
    model = settle(kind(conv, ActivationSlot(4), nn.Identity(), fan_in=24))
    network = describe(model, (2, 6, 8))
    assert [type(layer.operation) for layer in network.layers] == [
        Conv,
        Activation,
        Flatten,
        Dense,
        LabelSelect,
    ]
    x = pixels((2, 6, 8))
    values = to_integer(model, network).run(integers(x, network))
    assert np.array_equal(values["label"][:, 0], outputs(model, x)["class"])


def test_grouped_convolutions_of_brevitas() -> None:
    torch.manual_seed(1)
    conv = qnn.QuantConv2d(4, 6, (2, 3), stride=(1, 2), groups=2, bias=False, weight_quant=BinaryWeight)
    model = settle(Flattening(BinaryConv2d(1, 4, 2), ActivationSlot(4), conv, ActivationSlot(6), fan_in=48))
    network = describe(model, (1, 6, 6))
    x = pixels((1, 6, 6))
    assert np.array_equal(
        to_integer(model, network).run(integers(x, network))["label"][:, 0], outputs(model, x)["class"]
    )


class Relu(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.relu(self.through(self.input(x))))


class Join(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.input(x)
        return self.classifier(x + self.through(x))


class Cat(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.input(x)
        return self.classifier(torch.cat([x, self.through(x)]))


class Doubled(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.through(self.input(x))
        return self.classifier(x + x)


class Dead(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.input(x)
        self.through(x)
        return self.classifier(x)


class Two(Net):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.classifier(self.input(x))
        return x, x


class Branching(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.through(x) if x.sum() > 0 else x)


class NoInput(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(x)


def dense(**settings: object) -> nn.Module:
    given = {"bias": False, "weight_quant": BinaryWeight, **settings}
    return qnn.QuantLinear(8, 8, **given)  # type: ignore[arg-type]


def conv(**settings: object) -> nn.Module:
    given = {"bias": False, "weight_quant": BinaryWeight, **settings}
    return qnn.QuantConv2d(2, 2, 3, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Relu(), r"relu.* has no hardware"),
        (Net(nn.ReLU()), r"middle_0 \(ReLU\) has no hardware"),
        (Net(nn.Linear(8, 8)), r"middle_0 \(Linear\) has no hardware"),
        (Net(nn.BatchNorm1d(8)), r"middle_0 \(BatchNorm1d\) has no hardware"),
        (Net(dense(bias=True)), "middle_0 has a bias"),
        (Net(qnn.QuantLinear(8, 8, bias=False, weight_bit_width=4)), r"middle_0 .*other than -1 and \+1"),
        (Cat(BinaryLinear(8, 8), ActivationSlot(8)), "joins 2 tensors"),
        (Doubled(BinaryLinear(8, 8), StreamSlot(8, 4, 0.25)), "a sum needs two different tensors"),
        (Dead(BinaryLinear(8, 8)), "no layer reads middle.0"),
        (Two(), "must return its logits, and nothing else"),
        (Branching(), "cannot trace"),
        (NoInput(), "no InputQuant"),
    ],
)
def test_what_has_no_hardware_is_named(model: nn.Module, message: str) -> None:
    with pytest.raises(UnsupportedModule, match=message):
        describe(model, (8,))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.MaxPool2d(2, dilation=2), r"middle_0 \(MaxPool2d\)"),
        (nn.AvgPool2d(2, padding=1, count_include_pad=False), r"middle_0 \(AvgPool2d\)"),
        (nn.AdaptiveAvgPool2d(2), r"middle_0 \(AdaptiveAvgPool2d\)"),
        (nn.Flatten(2), r"middle_0 \(Flatten\)"),
    ],
)
def test_what_has_no_hardware_on_images(module: nn.Module, message: str) -> None:
    with pytest.raises(UnsupportedModule, match=message):
        describe(Flattening(module, fan_in=1), (2, 8, 8))


@pytest.mark.parametrize(
    "middle",
    [
        pytest.param([BinaryConv2d(2, 2), nn.Flatten(), ActivationSlot(98)], id="sign of a flattened image"),
        pytest.param([BinaryConv2d(2, 2), nn.AvgPool2d(2), ActivationSlot(2)], id="mean of accumulators"),
        pytest.param(
            [BinaryConv2d(2, 2), ActivationSlot(2), nn.AvgPool2d(2), ActivationSlot(2)], id="mean of bits"
        ),
        pytest.param([BinaryConv2d(2, 2), StreamSlot(2, 4, 0.25)], id="logits of signed levels"),
        pytest.param(
            [BinaryConv2d(2, 2), StreamSlot(2, 4, 0.25, signed=False), nn.AvgPool2d(3)],
            id="product of ninths",
        ),
        pytest.param(
            [
                *(BinaryConv2d(2, 2), StreamSlot(2, 4, 0.25)),
                *(BinaryConv2d(2, 2, padding=1, pad_value=-0.1), ActivationSlot(2)),
            ],
            id="levels padded between levels",
        ),
        pytest.param([nn.MaxPool2d(2, dilation=2)], id="dilated pool"),
        pytest.param([nn.Flatten(1, 2)], id="flatten of some axes"),
        pytest.param(
            [BinaryConv2d(2, 2), ActivationSlot(2), BinaryConv2d(2, 2, padding=1, pad_value=0.0)],
            id="bits padded with zeros",
        ),
        pytest.param([BinaryConv2d(2, 2, padding=1, pad_value=-1.0)], id="bytes padded with -1"),
        pytest.param([BinaryConv2d(2, 2), LogitScale(7), ActivationSlot(2)], id="scale inside the network"),
        pytest.param(
            [BinaryConv2d(2, 2), BinaryConv2d(2, 2), ActivationSlot(2)], id="product of accumulators"
        ),
        pytest.param([BinaryConv2d(2, 2), InputQuant(8), ActivationSlot(2)], id="second input quantizer"),
    ],
)
def test_settings_that_would_change_the_numbers_are_refused(middle: list[nn.Module]) -> None:
    """For every network that `describe` accepts, the integer network must compute the same as torch."""
    torch.manual_seed(0)
    shape = (2, 9, 9)
    fan_in = nn.Sequential(*middle).eval()(torch.zeros(1, *shape)).numel()
    with pytest.raises((UnsupportedModule, NetworkError)):
        describe(Flattening(*middle, fan_in=fan_in), shape)


def test_a_quantizer_of_activations_inside_a_layer_is_refused() -> None:
    from brevitas.quant import Int8ActPerTensorFloat

    with pytest.raises(UnsupportedModule):
        describe(Net(dense(input_quant=Int8ActPerTensorFloat)), (8,))


class Twice(Net):
    """One layer and one slot used in two places, which would need two tables."""

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.through(self.through(self.input(x))))


def test_a_module_used_twice_is_refused() -> None:
    with pytest.raises(UnsupportedModule):
        describe(Twice(BinaryLinear(8, 8), ActivationSlot(8)), (8,))


def test_a_sum_of_bits_is_refused() -> None:
    with pytest.raises(NetworkError, match="a sum must read levels"):
        describe(Join(BinaryLinear(8, 8), ActivationSlot(8)), (8,))


def test_two_signs_in_a_row_are_a_models_error() -> None:
    with pytest.raises((ModelError, NetworkError), match=r"middle.2.*must follow"):
        describe(Net(BinaryLinear(8, 8), ActivationSlot(8), ActivationSlot(8)), (8,))


def test_layers_in_a_sequential_of_the_users_module() -> None:
    """The most common form of a topology: blocks of nn.Sequential inside a module."""
    block = nn.Sequential(BinaryLinear(8, 8), nn.Sequential(ActivationSlot(8)))
    network = describe(Net(block), (8,))
    assert [type(layer.operation) for layer in network.layers] == [Dense, Activation, Dense, LabelSelect]


def test_byte_tables_cover_what_the_weights_reach() -> None:
    torch.manual_seed(2)
    model = settle(build("mlp", (9,), 2, {"hidden": [6, 4]}))
    net = to_integer(model, describe(model, (9,)))
    weights = net.weights["dense1"].astype(int)
    low = min(255 * row[row < 0].sum() for row in weights)
    high = max(255 * row[row > 0].sum() for row in weights)
    assert net.tables["dense1_sign"].grid == Grid(low, high, 1)
    assert net.tables["dense2_sign"].grid == Grid(-6, 6, 2)
    extremes = np.stack([np.where(row > 0, 255, 0) for row in [*weights, *-weights]])
    net.run(extremes)


def test_crossing_counts_are_the_tables() -> None:
    torch.manual_seed(3)
    model = build("mlp", (16,), 3, {"hidden": [8, 8]})
    install(model, [parse("sin(mul(5, x))"), parse("zero")])
    settle(model)
    net = to_integer(model, describe(model, (16,)))
    for layer in net.network.layers:
        if isinstance(layer.operation, Activation):
            assert layer.operation.crossings == tuple(net.tables[layer.name].counts())
    assert max(net.tables["dense1_sign"].counts()) > 1
    assert net.tables["dense2_sign"].constants() == dict.fromkeys(range(8), 1)


def test_an_activation_that_is_only_a_parameter() -> None:
    model = build("mlp", (4,), 2, {"hidden": [3]})
    install(model, [parse("learned")])
    model.eval()
    with torch.no_grad():
        slots(model)["dense1_sign"].function.learned[0].copy_(torch.tensor([1.0, -1.0, 0.0]))
    net = to_integer(model, describe(model, (4,)))
    assert net.tables["dense1_sign"].constants() == {0: 1, 1: 0, 2: 1}


def tampered(net: IntegerNetwork, name: str, channel: int) -> IntegerNetwork:
    table = net.tables[name]
    rows = np.stack([table.row(index) for index in range(table.channels)])
    rows[channel] ^= 1
    tables: dict[str, CrossingTable] = {**net.tables, name: from_bits(table.grid, rows)}
    return IntegerNetwork(net.network, net.weights, tables)


@pytest.mark.parametrize("expression", ["x", "sin(shift(x))", "add(sin(mul(4, x)), scale(x))", "band"])
@pytest.mark.parametrize(
    "topology", [("mlp", {"hidden": [32, 16]}), ("cnv", {"blocks": [[8], [8]], "dense": [16]})]
)
def test_network_and_tables_agree_on_digits(expression: str, topology: tuple[str, dict[str, object]]) -> None:
    from zerocross.models.presets import resolve
    from zerocross.models.training import TrainingSettings, train

    data = load("digits", limit=700)
    torch.manual_seed(0)
    model = build(topology[0], data.input_shape, data.classes, topology[1])
    install(model, [resolve(expression)])
    train(model, data, TrainingSettings(epochs=1), seed=0)
    net = to_integer(model, describe(model, data.input_shape))
    found = agreement(model, net, data.validation, batch=100)
    sites = {
        name: value.size for name, value in outputs(model, data.validation.x).items() if name in net.tables
    }
    images = len(data.validation)
    assert found == {
        **{"images": images, "bits": sum(sites.values()), "differences": 0},
        **{"end_to_end": images, "wrong_classes": 0, "ties": []},
    }
    name = next(iter(net.tables))
    channels = net.tables[name].channels
    wrong = agreement(model, tampered(net, name, 3), data.validation)
    assert wrong["differences"] == sites[name] // channels
    assert wrong["bits"] == found["bits"]


def test_agreement_leaves_no_hooks() -> None:
    model = settle(build("mlp", (4,), 2, {"hidden": [3]}))
    net = to_integer(model, describe(model, (4,)))
    agreement(model, net, Split(pixels((4,)), torch.zeros(30, dtype=torch.int64)))
    assert not any(module._forward_hooks for module in model.modules())
