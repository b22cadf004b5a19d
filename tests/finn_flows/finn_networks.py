"""Small networks for the tests: as records, and as Brevitas modules of the same layers."""

from pathlib import Path

from zerocross.finn_flows.network import (
    Activation,
    Add,
    Bias,
    Concat,
    Conv,
    Dense,
    Flatten,
    Input,
    LabelSelect,
    Layer,
    MaxPool,
    Network,
    Operation,
    Pad,
    SumPool,
)


def chain(source: Input, *operations: Operation) -> Network:
    """Layers in a row, called by kind and number: conv0, activation1, ...; a padding of conv0 is conv0_padding."""
    layers, before = [], "input"
    others = [operation for operation in operations if not isinstance(operation, Pad)]
    names = [f"{type(operation).__name__.lower()}{index}" for index, operation in enumerate(others)]
    for index, operation in enumerate(operations):
        pads = sum(isinstance(each, Pad) for each in operations[:index])
        name = names[index - pads]
        name = f"{name}_padding" if isinstance(operation, Pad) else name
        layers.append(Layer(name, operation, (before,)))
        before = name
    return Network(source, tuple(layers))


def border(down: int, along: int, bits: int) -> Pad:
    """Padding of bits with -1, of levels with 0: the same above and below, left and right."""
    return Pad((down, along, down, along), -1 if bits == 1 else 0)


def signs(channels: int) -> Activation:
    return Activation((1,) * channels)


def levels(channels: int, bits: int) -> Activation:
    return Activation((1,) * channels * bits, bits)


def mlp(bits: int, sizes: tuple[int, ...] = (64, 48, 32, 10)) -> Network:
    operations: list[Operation] = []
    for size in sizes[1:-1]:
        operations += [Dense(size), signs(size)]
    return chain(Input(sizes[:1], bits), *operations, Dense(sizes[-1]), LabelSelect())


def classifier(bits: int, weight_bits: int, bias: Bias | None = None, features: int = 12) -> Network:
    """A layer of bits or of levels, and a classifier of so many bits a weight, with or without a bias."""
    biases = [] if bias is None else [bias]
    first = Dense(features), levels(features, bits)
    return chain(Input((9,), 1), *first, Dense(5, weight_bits), *biases, LabelSelect())


CLASSIFIERS = {
    f"{kind} into {weight_bits} bits{', biased' if bias else ''}": classifier(bits, weight_bits, bias)
    for kind, bits in (("bits", 1), ("levels", 3))
    for weight_bits in (1, 4)
    for bias in (None, Bias(2, -37, 90))
}
"""Every kind of classifier: what it reads, its weights, and whether a bias stands behind it."""


def biased_images(bits: int) -> Network:
    """A convolution as classifier: the bias of each pixel's channels, of accumulators that a pool has chosen."""
    return chain(
        *(Input((8, 7, 2), bits), Conv(6), signs(6), Conv(4, weight_bits=bits), MaxPool((2, 2), (2, 1))),
        *(Flatten(), Bias(1, -9, 30), LabelSelect()),
    )


def cnv(bits: int) -> Network:
    return chain(
        Input((12, 12, 3), bits),
        border(1, 1, bits),
        Conv(8),
        signs(8),
        border(1, 1, 1),
        Conv(16),
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


def residual(bits: int = 8, channels: int = 4, stream: int = 3, dilation: int = 1) -> Network:
    """Two binary convolutions around which levels go, the second over a smaller image; 8-bit weights at both ends."""
    return _layers(
        Input((8, 8, 2), bits),
        stem_padding=(border(1, 1, bits), "input"),
        stem=(Conv(channels, weight_bits=8), "stem_padding"),
        stream=(levels(channels, stream), "stem"),
        sign1=(signs(channels), "stream"),
        conv1_padding=(border(dilation, dilation, 1), "sign1"),
        conv1=(Conv(channels, dilation=(dilation, dilation)), "conv1_padding"),
        level1=(levels(channels, stream), "conv1"),
        sum1=(Add(), "level1", "stream"),
        sign2=(signs(channels), "sum1"),
        conv2_padding=(border(1, 1, 1), "sign2"),
        conv2=(Conv(2 * channels, stride=(2, 2)), "conv2_padding"),
        level2=(levels(2 * channels, stream), "conv2"),
        halved=(SumPool((2, 2), (2, 2)), "sum1"),
        mean=(levels(channels, stream), "halved"),
        wider=(Conv(2 * channels, kernel=(1, 1)), "mean"),
        short=(levels(2 * channels, stream), "wider"),
        sum2=(Add(), "level2", "short"),
        whole=(SumPool((4, 4), (1, 1)), "sum2"),
        features=(levels(2 * channels, 4), "whole"),
        flat=(Flatten(), "features"),
        classifier=(Dense(5, weight_bits=8), "flat"),
        label=(LabelSelect(), "classifier"),
    )


def grouped(bits: int = 1) -> Network:
    """Depthwise convolutions of bits and of levels, one in two groups, one of four bits a weight, and pools that pad."""
    return chain(
        *(Input((8, 7, 2), bits), border(1, 1, bits), Conv(6), signs(6), border(1, 1, 1), Conv(6, groups=6)),
        *(
            levels(6, 3),
            Conv(8, (2, 2), (2, 2), groups=2),
            signs(8),
            border(1, 1, 1),
            MaxPool((3, 3), (1, 1)),
        ),
        *(Conv(8, (3, 2), groups=4, weight_bits=4), levels(8, 2), Conv(8, (1, 1), groups=8), signs(8)),
        *(Flatten(), Dense(4), LabelSelect()),
    )


def dynamic(bits: int = 8, channels: int = 4) -> Network:
    """A sign whose thresholds come from the image itself: a pool and two small layers."""
    return _layers(
        Input((6, 6, 2), bits),
        conv1=(Conv(channels), "input"),
        stream=(levels(channels, 3), "conv1"),
        whole=(SumPool((4, 4), (1, 1)), "stream"),
        mean=(levels(channels, 4), "whole"),
        flat=(Flatten(), "mean"),
        hyper1=(Dense(3, weight_bits=4), "flat"),
        hidden=(levels(3, 2), "hyper1"),
        hyper2=(Dense(channels, weight_bits=3), "hidden"),
        shift=(levels(channels, 3), "hyper2"),
        shifted=(Add(), "stream", "shift"),
        sign=(signs(channels), "shifted"),
        conv2=(Conv(6), "sign"),
        sign2=(signs(6), "conv2"),
        features=(Flatten(), "sign2"),
        classifier=(Dense(5), "features"),
        label=(LabelSelect(), "classifier"),
    )


def forked_input(bits: int = 8) -> Network:
    """Two convolutions and a pool of the input, joined by channels; its pixels go to the classifier, too."""
    return _layers(
        Input((6, 6, 3), bits),
        wide_padding=(border(1, 1, bits), "input"),
        wide=(Conv(5, stride=(2, 2)), "wide_padding"),
        bits1=(signs(5), "wide"),
        narrow=(Conv(4, (2, 2), (2, 2)), "input"),
        bits2=(signs(4), "narrow"),
        peaks=(MaxPool((2, 2), (2, 2)), "input"),
        sharp=(Conv(3, (1, 1)), "peaks"),
        bits3=(signs(3), "sharp"),
        joined=(Concat(), "bits1", "bits2", "bits3"),
        mixed=(Conv(6, (3, 3)), "joined"),
        signs=(signs(6), "mixed"),
        features=(Flatten(), "signs"),
        pixels=(Flatten(), "input"),
        hidden=(Dense(5), "pixels"),
        bits4=(signs(5), "hidden"),
        all=(Concat(), "features", "bits4"),
        classifier=(Dense(4), "all"),
        label=(LabelSelect(), "classifier"),
    )


def _layers(source: Input, **layers: tuple[Operation | str, ...]) -> Network:
    made = []
    for name, (operation, *inputs) in layers.items():
        assert not isinstance(operation, str)
        made.append(Layer(name, operation, tuple(str(each) for each in inputs)))
    return Network(source, tuple(made))


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

    class Border(nn.Module):
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
            case Pad((top, left, bottom, right), value):
                modules.append(Border((left, right, top, bottom), float(value)))
            case Conv(channels, kernel, stride):
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
