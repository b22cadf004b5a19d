"""Files drawn from a grammar: an input, its quantizer, blocks of all kinds, and an ending, in random combinations.

The same seed draws the same file. Most draws are ones that integers can compute; a few are not, so that refusals are seen.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes

from tests.finn_flows.lowering.foreign import samples
from tests.finn_flows.lowering.shapes import TAILS, Shaped


@dataclass(frozen=True)
class Levels:
    """Equidistant real levels."""

    low: float
    high: float
    step: float

    @property
    def has_zero(self) -> bool:
        place = -self.low / self.step
        return self.low <= 0 <= self.high and abs(place - round(place)) < 1e-6

    @property
    def count(self) -> int:
        return round((self.high - self.low) / self.step) + 1

    @property
    def size(self) -> float:
        """Root mean square, if all levels are as likely."""
        return float(np.sqrt(np.mean(np.linspace(self.low, self.high, self.count) ** 2)))


@dataclass(frozen=True)
class File:
    """A drawn file.

    Attributes:
        model: Its graph.
        output: The output that holds the scores or the class; None if there is no other.
        classes: Computes classes (N,) from values of this output.
        samples: Inputs, (N, ...).
        is_external: Whether the weights are to lie in a file of their own.
    """

    model: ModelWrapper
    output: str | None
    classes: Callable[[np.ndarray], np.ndarray]
    samples: np.ndarray
    is_external: bool

    def __str__(self) -> str:
        lines = [f"input {self.samples.shape[1:]} {self.samples.dtype}"]
        for node in self.model.graph.node:
            shapes = [
                f"{name}{list(value.shape)}"
                if (value := self.model.get_initializer(name)) is not None
                else name
                for name in node.input
            ]
            named = {each.name: helper.get_attribute_value(each) for each in node.attribute}
            lines.append(f"{node.name}({', '.join(shapes)}) {named or ''} -> {', '.join(node.output)}")
        return "\n".join(lines)


def drawn(seed: int) -> File:
    """Draw a file."""
    draw = random.Random(seed)
    size: tuple[int, ...] = draw.choice([(), (), (12,), (4, 5), (6, 6), (7, 5)])
    channels = draw.randint(6, 12) if not size else draw.randint(1, 4)
    integer = draw.random() < 0.2
    kind = (
        draw.choice([TensorProto.UINT8, TensorProto.UINT8, TensorProto.INT8])
        if integer
        else TensorProto.FLOAT
    )
    g = Author(draw, (1, channels, *size), seed, kind)
    x = samples(g.shape, 120, seed)
    if integer:
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        ends = np.iinfo(dtype)
        x = np.random.default_rng(seed).integers(ends.min, ends.max + 1, x.shape).astype(dtype)
        g.integers(float(ends.min), float(ends.max))
    else:
        g.input()
    if draw.random() < 0.85:
        g.plain()
    for _ in range(draw.choice([0, 1, 1, 2])):
        g.block()
    has_head, shared = draw.random() < 0.06, (g.tensor, g.channels, g.size)
    classes, elem_type = g.ending()
    if has_head and elem_type == TensorProto.FLOAT:
        output = g.tensor
        g.tensor, g.channels, g.size = shared
        return File(g.model(g.head(), output), output, classes, x, False)
    return File(g.model(elem_type=elem_type), None, classes, x, draw.random() < 0.05)


class Author(Shaped):
    """A graph that goes on at random; `levels` are those of the current tensor."""

    levels_now: Levels

    def __init__(self, draw: random.Random, shape: tuple[int, ...], seed: int, elem_type: int) -> None:
        super().__init__(shape, seed, elem_type)
        self.draw = draw
        self.size = shape[2:]

    # ---- small tools

    def sometimes(self, share: float) -> bool:
        return self.draw.random() < share

    def number(self, value: object) -> str:
        return self.constant(value)

    def per_channel(self, low: float, high: float) -> str:
        shape = (self.channels, *(1,) * len(self.size))
        return self.constant(self.rng.uniform(low, high, shape))

    def measured(self) -> None:
        """Take channels and size from the current tensor's shape."""
        shape = self.model().transform(InferShapes()).get_tensor_shape(self.tensor)
        self.channels, self.size = shape[1], tuple(shape[2:])

    # ---- inputs and quantizers

    def integers(self, low: float, high: float) -> None:
        """An input tensor of integers."""
        self.node("Cast", to=TensorProto.FLOAT)
        step = 1.0
        if self.sometimes(0.5):
            step = self.draw.choice([1 / 255, 0.25])
            self.node("Mul", self.number(step))
        self.levels_now = Levels(low * np.float32(step), high * np.float32(step), float(np.float32(step)))
        if self.sometimes(0.3):  # signs or few levels of bytes
            self.node("Sub", self.number(self.levels_now.high / 2))
            self.quantizer(2, self.levels_now.high / 4)

    def input(self) -> None:
        """A quantizer of floats."""
        if self.sometimes(0.2):  # a normalisation that the host computes
            self.node("Sub", self.per_channel(-0.3, 0.3)).node("Div", self.per_channel(0.5, 1.5))
        way = self.draw.choice(["signs", "levels", "levels", "levels", "bytes", "thermometer", "comparisons"])
        if way == "signs":
            self.signs(self.draw.choice([1.0, 0.5, 0.1]))
        elif way == "levels":
            self.levels_of(self.draw.randint(2, 4), self.sometimes(0.5), self.draw.choice([0.25, 0.5, 0.1]))
        elif way == "bytes":
            self.levels_of(8, self.sometimes(0.5), self.draw.choice([0.01, 1 / 32]))
        else:
            start = self.tensor
            ends = []
            for threshold in (-0.7, 0.0, 0.6):
                self.at(start).node("Greater", self.number(threshold)).node("Cast", to=TensorProto.FLOAT)
                ends.append(self.tensor)
            if way == "thermometer":
                self.concat(*ends)
                self.channels *= 3
                self.levels_now = Levels(0, 1, 1)
            else:
                self.at(ends[0]).node("Add", ends[1]).node("Add", ends[2])
                self.levels_now = Levels(0, 3, 1)

    def signs(self, size: float) -> None:
        """Two levels, by a quantizer's name or by what the nodes do."""
        way = self.draw.choice(["BipolarQuant", "BipolarQuant", "Sign", "Where", "Cast", "Quant"])
        if way == "BipolarQuant":
            self.bipolar(size)
        elif way == "Sign" and self.sometimes(0.3):  # as a straight-through estimator is exported
            tensor = self.tensor
            self.node("Sign").node("Mul", self.number(size)).node("Sub", tensor).node("Add", tensor)
        elif way == "Sign":
            self.node("Sign").node("Mul", self.number(size))
        elif way == "Where":
            self.node("GreaterOrEqual", self.number(0.0)).node("Where", self.number(size), self.number(-size))
        elif way == "Cast":
            self.node("Greater", self.number(0.1)).node("Cast", to=TensorProto.FLOAT)
            self.node("Mul", self.number(2 * size)).node("Sub", self.number(size))
        else:
            self.quant(1, size, signed=True, narrow=True)
        self.levels_now = Levels(-size, size, 2 * size)

    def levels_of(self, bits: int, signed: bool, step: float) -> None:
        """Levels, by a quantizer's name or by what the nodes do."""
        way = self.draw.choice(["Quant", "Quant", "QuantizeLinear", "Round", "Clip"])
        narrow = signed and bits > 1 and self.sometimes(0.3)
        low = (-(2 ** (bits - 1)) if signed else 0) + narrow
        high = 2 ** (bits - signed) - 1
        if way == "Quant":
            self.quant(bits, step, signed=signed, narrow=narrow)
        elif way == "QuantizeLinear":
            self.qdq(step, 0, np.int8 if signed else np.uint8, (low, high))
        elif way == "Round":
            self.node("Div", self.number(step)).node("Round")
            self.node("Clip", self.number(low), self.number(high)).node("Mul", self.number(step))
        else:
            self.node("Clip", self.number(low * step), self.number(high * step))
            self.node("Div", self.number(step)).node("Round").node("Mul", self.number(step))
        self.levels_now = Levels(low * step, high * step, step)

    def quantizer(self, most: int = 4, reach: float = 2.0) -> None:
        """A quantizer of numbers up to about this size."""
        bits = self.draw.randint(1, most)
        signed = self.sometimes(0.5)
        if bits == 1:
            self.signs(self.draw.choice([1.0, 0.5, 0.3]))
        elif self.sometimes(0.03):  # refused: a scale for each channel
            self.quant(bits, self.rng.uniform(0.3, 1, (self.channels, *(1,) * len(self.size))), signed=signed)
            self.levels_now = Levels(-1, 1, 1)
        else:
            self.levels_of(bits, signed, reach * 2.0 ** (signed - bits) * self.draw.choice([1.0, 1.0, 0.7]))

    def alike(self, levels: Levels) -> None:
        """A quantizer to levels of another's scale."""
        if self.sometimes(0.05):  # refused: another scale
            self.levels_of(3, True, levels.step * 0.7)
        elif levels.has_zero:
            self.levels_of(self.draw.randint(2, 3), self.sometimes(0.6), levels.step)
        else:
            self.signs(levels.step / 2)

    # ---- products and activations

    def drawn_weights(self, shape: tuple[int, ...], axis: int) -> str:
        """Quantized weights whose channels are on an axis; sometimes each channel has its scale."""
        bits = self.draw.choice([1, 1, 1, 2, 3, 4])
        scale: object = 1.0 if self.sometimes(0.5) else self.draw.choice([0.5, 0.1])
        if self.sometimes(0.2):
            dims = [1] * len(shape)
            dims[axis] = shape[axis]
            scale = self.rng.choice([0.25, 0.5, 1.0, 0.3], dims)
        if bits == 1:
            return self.weights(shape, scale, self.draw.choice(["BipolarQuant", "Quant"]))
        return self.weights(shape, np.asarray(scale) * 4.0**0.5 / 2 ** (bits - 1), "Quant", bits)

    def product(self, channels: int, same: bool = False) -> float:
        """A dense layer or a convolution; return about how far its outputs spread."""
        if not self.size:
            fan_in = self.channels
            if self.sometimes(0.3):
                transposed = int(self.sometimes(0.5))
                shape = (channels, fan_in) if transposed else (fan_in, channels)
                inputs = [self.drawn_weights(shape, 1 - transposed)]
                if self.sometimes(0.5):
                    inputs.append(self.constant(self.rng.normal(size=channels)))
                self.node("Gemm", *inputs, transB=transposed)
            else:
                self.node("MatMul", self.drawn_weights((fan_in, channels), 1))
                if self.sometimes(0.2):
                    self.node("Add", self.constant(self.rng.normal(size=channels)))
            self.channels = channels
        else:
            fan_in = self.convolution(channels, same)
        return math.sqrt(fan_in) * self.levels_now.size

    def convolution(self, channels: int, same: bool) -> int:
        kernel = [self.draw.choice([1, 3] if same else [1, 2, 3]) for _ in self.size]
        kernel = [min(each, side) for each, side in zip(kernel, self.size, strict=True)]
        group = self.draw.choice([1, 1, 1, self.channels])
        if group > 1:
            channels = group if same else group * self.draw.choice([1, 2])
            channels = self.channels if same else channels
        if same:
            kernel = [each if each % 2 else 1 for each in kernel]
        named: dict[str, object] = {"kernel_shape": kernel, "group": group}
        if self.is_bytes and not same and group == 1 and self.sometimes(0.5):
            return self.integer_convolution(channels, kernel)
        if same:
            pads = [each // 2 for each in kernel] * 2
        else:
            pads = [self.draw.choice([0, 0, 1]) for _ in range(2 * len(kernel))]
            if self.sometimes(0.5):
                pads = [0] * len(pads)
            if self.sometimes(0.4):
                named["strides"] = [self.draw.choice([1, 2, 3]) for _ in kernel]
            if self.sometimes(0.2):
                rooms = zip(kernel, self.size, strict=True)
                named["dilations"] = [2 if 2 * each - 1 <= side else 1 for each, side in rooms]
        automatic = not same and "dilations" not in named and self.sometimes(0.1)  # onnxruntime has not both
        if not self.levels_now.has_zero and not self.sometimes(0.04):  # else refused: zeros among signs
            if any(pads):
                ends = [0, 0, *pads[: len(kernel)], 0, 0, *pads[len(kernel) :]]
                value = self.draw.choice([self.levels_now.low, self.levels_now.high])
                self.node("Pad", self.constant(ends, np.int64), self.number(value))
            named["auto_pad" if automatic else "pads"] = "VALID" if automatic else [0] * len(pads)
        elif automatic:
            named["auto_pad"] = self.draw.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
        else:
            named["pads"] = pads
        inputs = [self.drawn_weights((channels, self.channels // group, *kernel), 0)]
        if self.sometimes(0.2):
            inputs.append(self.constant(self.rng.normal(size=channels)))
        fan_in = self.channels // group * math.prod(kernel)
        self.node("Conv", *inputs, **named)
        self.measured()
        return fan_in

    def integer_convolution(self, channels: int, kernel: list[int]) -> int:
        """A convolution as onnxruntime's static quantiser writes it, behind its QuantizeLinear."""
        fan_in = self.channels * math.prod(kernel)
        self.node("QuantizeLinear", *self.bytes_of, axis=0)
        reach = self.levels_now.size * math.sqrt(fan_in)
        weights = self.constant(self.rng.integers(-7, 8, (channels, self.channels, *kernel)), np.int8)
        scales = self.rng.uniform(0.1, 0.3, self.draw.choice([1, channels]))
        zeros = self.constant(np.zeros(len(scales)), np.int8)
        output = self.constant(reach / 100), self.constant(120, np.uint8)
        bias = self.constant(self.rng.integers(-50, 50, channels), np.int32)
        self.node(
            "QLinearConv",
            *self.bytes_of,
            weights,
            self.constant(scales),
            zeros,
            *output,
            bias,
            kernel_shape=kernel,
        )
        self.node("DequantizeLinear", *output)
        self.measured()
        return fan_in

    @property
    def is_bytes(self) -> bool:
        """Whether the current levels are bytes with a zero point."""
        return self.levels_now.count == 256 and self.levels_now.has_zero and len(self.size) == 2

    @property
    def bytes_of(self) -> tuple[str, str]:
        """Scale and zero point of the current levels, as bytes."""
        levels = self.levels_now
        return self.constant(levels.step), self.constant(round(-levels.low / levels.step), np.uint8)

    def activation(self) -> None:
        """Nodes that compute number by number."""
        way = self.draw.choice(
            [
                "Relu",
                "Sin",
                "Cos",
                "Abs",
                "Tanh",
                "Sigmoid",
                "Erf",
                "Softsign",
                "PRelu",
                "LeakyRelu",
                "Clip",
                "HardSigmoid",
            ]
            + ["affine", "branch", "power", "limits", "Elu", "shifted", "Neg"]
        )
        if way == "PRelu":
            self.node("PRelu", self.per_channel(-0.5, 0.5))
        elif way == "Clip":
            self.node("Clip", self.number(-1.0), self.number(1.5))
        elif way == "affine":
            self.node("Mul", self.per_channel(-2, 2)).node("Add", self.per_channel(-1, 1))
        elif way == "shifted":
            self.node("Sin").node("Sub", self.per_channel(-0.5, 0.5))
        elif way == "limits":
            self.node("Max", self.per_channel(-1, 0)).node("Min", self.per_channel(0.5, 2))
        elif way == "branch":
            self.branch(
                self.draw.choice(["Sin", "Sigmoid", "Relu", "Neg"]), self.draw.choice(["Mul", "Add", "Max"])
            )
        elif way == "power":
            self.node("Pow", self.number(2.0)).node("Sub", self.number(0.5))
        else:
            self.node(way)

    def site(self, spread: float, reach: float = 2.0) -> None:
        """What stands between a product and its quantizer, in the range of the quantizer."""
        if self.sometimes(0.7):
            self.norm(self.channels, spread)
        else:
            self.node("Mul", self.number(2.0 ** round(-math.log2(spread))))
        if reach != 2.0:
            self.node("Mul", self.number(reach / 2))
        for _ in range(self.draw.choice([0, 0, 1, 1, 2])):
            self.activation()
        if self.size and min(self.size) > 1 and self.sometimes(0.12):
            self.node(
                "MaxPool",
                kernel_shape=[2] * len(self.size),
                strides=[self.draw.choice([1, 2])] * len(self.size),
            )
            self.measured()

    # ---- blocks

    def block(self) -> None:
        """Draw a block, which begins and ends with levels."""
        kinds: list[Callable[[], None]] = [self.plain, self.plain, self.residual, self.joined]
        if self.channels > 1:
            kinds += [self.chosen]
        if self.size and min(self.size) > 1:
            kinds += [self.pooled, self.pooled]
        self.draw.choice(kinds)()

    def plain(self) -> None:
        self.site(self.product(self.draw.randint(3, 8)))
        self.quantizer()

    def residual(self) -> None:
        skip, levels = self.tensor, self.levels_now
        if levels.count > 16:
            self.plain()
            skip, levels = self.tensor, self.levels_now
        if self.sometimes(0.4):  # an activation of its own ahead of the branch's product
            self.activation()
            self.quantizer()
        spread = self.product(self.channels, same=True)
        self.norm(self.channels, spread)
        if self.sometimes(0.05):  # refused: numbers of a product
            self.node("Add", skip)
            self.quantizer()
            return
        self.alike(levels)
        own = self.levels_now
        if self.sometimes(0.15):
            self.node("Sum", skip, skip)
            levels = Levels(2 * levels.low, 2 * levels.high, levels.step)
        else:
            self.node("Add", skip)
        self.levels_now = Levels(own.low + levels.low, own.high + levels.high, levels.step)
        if self.levels_now.count > 256 or self.sometimes(0.4):
            self.site(self.levels_now.size)
            self.quantizer()

    def joined(self) -> None:
        """Two branches, side by side."""
        start, levels = self.tensor, self.levels_now
        before = self.channels
        size = self.size
        self.norm(self.channels, self.product(self.channels, same=True))
        self.quantizer(3)
        first, one, width = self.tensor, self.levels_now, self.channels
        if self.sometimes(0.4) and levels.step == one.step:
            other, second = start, levels
            more = before
        else:
            self.tensor, self.levels_now, self.channels, self.size = start, levels, before, size
            self.norm(self.channels, self.product(self.channels, same=True))
            self.alike(one)
            other, second, more = self.tensor, self.levels_now, self.channels
        self.concat(first, other)
        self.channels = width + more
        self.levels_now = Levels(min(one.low, second.low), max(one.high, second.high), one.step)

    def chosen(self) -> None:
        """Some channels, or channels in another order."""
        axes = 1 + len(self.size)
        way = self.draw.choice(["slice", "split", "shuffle", "Gather", "flip", "Transpose", "crop", "Pad"])
        if way == "split":
            one = self.draw.randint(1, self.channels - 1)
            parts = self.split(one, self.channels - one)
            self.concat(*reversed(parts)) if self.sometimes(0.5) else self.at(parts[0])
        elif way == "shuffle" and self.channels % 2 == 0:
            self.shuffle(2, (1, self.channels, *self.size))
        elif way == "Gather":
            self.node("Gather", self.constant(self.rng.permutation(self.channels), np.int64), axis=1)
        elif way == "flip":
            self.sliced((1, -1, -(2**62), -1))
        elif way == "crop" and self.size and max(self.size) > 2:
            self.cropped()
        elif way == "Pad" and self.size and self.levels_now.has_zero:
            channels = [self.draw.randint(0, 2), self.draw.randint(1, 2)]
            amounts = [0, channels[0], *[0] * len(self.size), 0, channels[1], *[0] * len(self.size)]
            self.node("Pad", self.constant(amounts, np.int64), self.number(0.0))
        elif way == "Transpose" and axes == 3:
            self.node("Transpose", perm=[0, 1, 3, 2])
        elif self.size and self.sometimes(0.5):
            self.sliced((2, self.draw.randint(0, 1), 2**62, self.draw.choice([1, 2])))
        else:
            self.sliced((1, self.draw.randint(0, 1), 2**62, self.draw.choice([1, 2])))
        self.measured()

    def cropped(self) -> None:
        """Some neighbouring rows or columns, by a Slice or by a Pad of less than 0."""
        axis = 2 + self.size.index(max(self.size))
        before, after = self.draw.choice([(1, 0), (0, 1), (1, 1)])
        if self.sometimes(0.5):
            self.sliced((axis, before, -after or 2**62, 1))
        else:
            amounts = [0] * (4 + 2 * len(self.size))
            amounts[axis], amounts[axis + len(self.size) + 2] = -before, -after
            self.node("Pad", self.constant(amounts, np.int64), self.number(0.0))

    def pooled(self) -> None:
        """A pool of levels."""
        dims = len(self.size)
        kernel = [min(self.draw.choice([2, 2, 3]), side) for side in self.size]
        strides = [self.draw.choice([1, 2, 3])] * dims
        levels = self.levels_now
        way = self.draw.choice(
            [
                "MaxPool",
                "MaxPool",
                "AveragePool",
                "AveragePool",
                "GlobalMaxPool",
                "GlobalAveragePool",
                "ReduceMean",
                "ReduceMax",
            ]
        )
        area = 1
        if way.endswith("Pool") and not way.startswith("Global"):
            named: dict[str, object] = {"kernel_shape": kernel, "strides": strides}
            if self.sometimes(0.3):
                named["ceil_mode"] = 1
            if self.sometimes(0.1):
                named["auto_pad"] = self.draw.choice(["SAME_UPPER", "VALID"])
            elif self.sometimes(0.2):
                named["pads"] = [each // 2 for each in kernel] * 2
                if way == "AveragePool" and levels.has_zero:
                    named["count_include_pad"] = 1
                elif way == "AveragePool":
                    del named["pads"]
            self.node(way, **named)
            area = math.prod(kernel) if way == "AveragePool" else 1
        elif way.startswith("Reduce"):
            self.node(way, axes=list(range(2, 2 + dims)), keepdims=1)
            area = math.prod(self.size) if way == "ReduceMean" else 1
        else:
            self.node(way)
            area = math.prod(self.size) if "Average" in way else 1
        self.measured()
        self.levels_now = Levels(levels.low, levels.high, levels.step / area)
        if self.levels_now.count > 256 or self.sometimes(0.3):
            reach = max(abs(levels.low), abs(levels.high))
            self.node("Mul", self.number(2 / reach))
            if self.sometimes(0.5):
                self.activation()
            self.quantizer()

    # ---- endings

    def head(self) -> str:
        """Another output, which no integers compute."""
        features = self.channels * math.prod(self.size)
        if self.size:
            self.node("Flatten")
        return self.node("MatMul", self.constant(self.rng.normal(size=(features, 3)))).node("Sin").tensor

    def ending(self) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
        """The classifier; return how its output gives classes, and the output's type."""
        classes = 1 if self.sometimes(0.2) else self.draw.randint(2, 6)
        if self.levels_now.count > 256:
            self.plain()
        if self.size and self.sometimes(0.3):
            spread = self.classifier_of_an_image(classes)
            classes = self.channels
        else:
            if self.size:
                self.node("Flatten")
                self.channels, self.size = self.channels * math.prod(self.size), ()
            spread = self.product(classes)
        if classes == 1:
            tail = self.draw.choice(list(TAILS))
            if spread > 3:
                self.node("Mul", self.number(2.0 ** round(-math.log2(spread))))
            TAILS[tail][0](self)
            kind = TensorProto.BOOL if "comparison" in tail else TensorProto.FLOAT
            return TAILS[tail][1], kind
        way = self.draw.choice(["plain", "bias", "scale", "scales", "norm", "mixed"])
        if way == "bias":
            self.node("Add", self.constant(self.rng.normal(size=classes) * spread / 4))
        elif way == "scale":
            self.node("Mul", self.number(self.draw.choice([0.1, 3.0, -1.0])))
        elif way == "scales":
            self.node("Mul", self.constant(self.rng.uniform(0.3, 2.0, classes)))
        elif way == "norm":
            self.norm(classes, spread)
        elif way == "mixed":
            self.node("Div", self.constant(self.rng.choice([0.5, 2.0, 3.0, -1.5], classes)))
            self.node("Sub", self.constant(self.rng.normal(size=classes)))
        choice = self.draw.choice(["", "", "", "Softmax", "LogSoftmax", "ArgMax", "TopK", "Softsign", "Sin"])
        if choice == "Sin" and not self.sometimes(0.1):  # refused: it does not keep the order
            choice = ""
        if choice == "ArgMax":
            self.node("ArgMax", axis=1, keepdims=self.draw.choice([0, 1]))
        elif choice == "TopK":
            self.node("TopK", self.constant([1], np.int64))
            self.nodes[-1].output.append("class")
            self.tensor = "class"
        elif choice.endswith("Softmax"):
            self.node(choice, axis=self.draw.choice([1, -1]))
        elif choice:
            self.node(choice)
        if choice in ("ArgMax", "TopK"):
            return lambda y: y, TensorProto.INT64
        return lambda y: y.reshape(len(y), -1).argmax(axis=1), TensorProto.FLOAT

    def classifier_of_an_image(self, classes: int) -> float:
        """A convolution to the classes, or to others if it has groups, and a mean of their images."""
        spread = self.product(classes)
        classes = self.channels
        if math.prod(self.size) > 1 or self.sometimes(0.5):
            if self.sometimes(0.4):
                self.node("Add", self.constant(self.rng.normal(size=(1, classes, *(1,) * len(self.size)))))
            way = self.draw.choice(["GlobalAveragePool", "ReduceMean", "ReduceSum"])
            axes = list(range(2, 2 + len(self.size)))
            if way == "GlobalAveragePool":
                self.node(way)
            elif way == "ReduceSum":
                self.node(way, self.constant(axes, np.int64), keepdims=1)
            else:
                self.node(way, axes=axes, keepdims=1)
        self.node("Flatten")
        self.channels, self.size = classes, ()
        return spread
