"""Small networks for the tests: as records, and as Brevitas modules of the same layers."""

from pathlib import Path

from finn_flows.network import (
    Activation,
    Conv,
    Dense,
    Flatten,
    Input,
    LabelSelect,
    Layer,
    MaxPool,
    Network,
    Operation,
)


def chain(source: Input, *operations: Operation) -> Network:
    layers, before = [], "input"
    for index, operation in enumerate(operations):
        name = f"{type(operation).__name__.lower()}{index}"
        layers.append(Layer(name, operation, (before,)))
        before = name
    return Network(source, tuple(layers))


def signs(channels: int) -> Activation:
    return Activation((1,) * channels)


def mlp(bits: int, sizes: tuple[int, ...] = (64, 48, 32, 10)) -> Network:
    operations: list[Operation] = []
    for size in sizes[1:-1]:
        operations += [Dense(size), signs(size)]
    return chain(Input(sizes[:1], bits), *operations, Dense(sizes[-1]), LabelSelect())


def cnv(bits: int) -> Network:
    return chain(
        Input((12, 12, 3), bits),
        Conv(8, padding=(1, 1)),
        signs(8),
        Conv(16, padding=(1, 1)),
        signs(16),
        MaxPool(),
        Conv(16),
        signs(16),
        Conv(8, kernel=(1, 1)),
        signs(8),
        Flatten(),
        Dense(32),
        signs(32),
        Dense(10),
        LabelSelect(),
    )


def export(network: Network, path: Path) -> Path:
    """Write a Brevitas network of these layers, random and in eval mode, as QONNX."""
    import brevitas.nn as qnn
    import torch
    from brevitas.export import export_qonnx
    from brevitas.quant.binary import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst
    from brevitas.quant.scaled_int import Uint8ActPerTensorFloat
    from torch import nn

    class Weight(SignedBinaryWeightPerTensorConst):
        scaling_const = 1.0

    class Bit(SignedBinaryActPerTensorConst):
        scaling_const = 1.0

    class Byte(Uint8ActPerTensorFloat):
        scaling_impl_type = "const"
        min_val, max_val = 0.0, 255.0

    class Pad(nn.Module):
        def __init__(self, amounts: tuple[int, ...], value: float) -> None:
            super().__init__()
            self.amounts, self.value = amounts, value

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.pad(x, self.amounts, value=self.value)

    class Scale(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0.125 * x

    torch.manual_seed(0)
    shapes = network.shapes()
    modules: list[nn.Module] = [qnn.QuantIdentity(act_quant=Bit if network.input.bits == 1 else Byte)]
    for layer in network.layers:
        shape = shapes[layer.inputs[0]]
        match layer.operation:
            case Dense(channels):
                modules.append(qnn.QuantLinear(shape[0], channels, bias=False, weight_quant=Weight))
            case Conv(channels, kernel, stride, (down, along)):
                if down or along:
                    value = -1.0 if network.is_binary(layer.inputs[0]) else 0.0
                    modules.append(Pad((along, along, down, down), value))
                modules.append(
                    qnn.QuantConv2d(
                        shape[2], channels, kernel, stride=stride, bias=False, weight_quant=Weight
                    )
                )
            case Activation():
                norm = nn.BatchNorm2d(shape[2]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])
                nn.init.normal_(norm.running_mean, std=3.0)
                nn.init.uniform_(norm.running_var, 1.0, 20.0)
                nn.init.uniform_(norm.weight, -1.0, 1.0)
                nn.init.normal_(norm.bias)
                modules += [norm, qnn.QuantIdentity(act_quant=Bit)]
            case MaxPool(kernel, stride):
                modules.append(nn.MaxPool2d(kernel, stride))
            case Flatten():
                modules.append(nn.Flatten())
            case LabelSelect():
                modules.append(Scale())
    source = network.input.shape
    sample = torch.ones(1, *((source[2], source[0], source[1]) if len(source) == 3 else source))
    export_qonnx(nn.Sequential(*modules).eval(), sample, str(path), dynamo=False)
    return path
