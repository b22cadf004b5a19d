"""Graphs of signals, concats, choices of channels, maxima, pools that skip, classifiers of whole images, and endings."""

from collections.abc import Callable

import numpy as np

from tests.finn_flows.lowering.foreign import Graph


class Shaped(Graph):
    """A graph with nodes that join, choose and reorder channels."""

    def conv1d(self, inputs: int, channels: int, kernel: int, **attributes: object) -> "Shaped":
        weights = self.weights((channels, inputs // attributes.get("group", 1), kernel))  # type: ignore[operator]
        self.node("Conv", weights, kernel_shape=[kernel], **attributes)
        return self

    def at(self, tensor: str) -> "Shaped":
        """Go on from a tensor that is there already."""
        self.tensor = tensor
        return self

    def concat(self, *tensors: str, axis: int = 1) -> "Shaped":
        self.at(tensors[0]).node("Concat", *tensors[1:], axis=axis)
        return self

    def split(self, *sizes: int) -> list[str]:
        self.node("Split", self.constant(sizes, np.int64), axis=1)
        outputs = [f"{self.tensor}_{part}" for part in range(len(sizes))]
        del self.nodes[-1].output[:]
        self.nodes[-1].output.extend(outputs)
        return outputs

    def sliced(self, *slices: tuple[int, int, int, int]) -> "Shaped":
        """Take (axis, start, end, step) along some axes."""
        axes, starts, ends, steps = (self.constant(each, np.int64) for each in zip(*slices, strict=True))
        self.node("Slice", starts, ends, axes, steps)
        return self

    def shuffle(self, groups: int, shape: tuple[int, ...]) -> "Shaped":
        batch, channels, *rest = shape
        split = self.constant((batch, groups, channels // groups, *rest), np.int64)
        self.node("Reshape", split).node("Transpose", perm=[0, 2, 1, *range(3, 3 + len(rest))])
        self.node("Reshape", self.constant(shape, np.int64))
        return self

    def levels(self, bits: int, scale: float = 0.5, signed: bool = False) -> "Shaped":
        if bits == 1:
            self.bipolar(scale / 2)
        else:
            self.quant(bits, scale, signed=signed)
        return self

    def end(self, classes: int = 5) -> "Shaped":
        self.node("Flatten")
        self.dense(self.features(), classes)
        return self

    def ended(self, op_type: str, **attributes: object) -> "Shaped":
        """End in means of a classifier's image."""
        self.node(op_type, **attributes)
        return self if attributes.get("keepdims") == 0 else self.node("Flatten")  # type: ignore[return-value]


def signal(bits: int = 4) -> Shaped:
    return Shaped((1, 2, 24), 3).levels(bits, 0.25)


def image(side: int = 6, channels: int = 4) -> Shaped:
    return Shaped((1, 2, side, side), 3).levels(4, 0.25).conv(2, channels).norm(channels, 3.0)  # type: ignore[return-value]


def vgg() -> Shaped:
    g, channels = signal(), 2
    for more in (6, 8):
        g.conv1d(channels, more, 3).norm(more, 4.0).quant(2, 0.5)
        g.node("MaxPool", kernel_shape=[2], strides=[2])
        channels = more
    g.end(12).norm(12, 3.0).bipolar().dense(12, 5)
    return g


def depthwise() -> Shaped:
    g = signal().conv1d(2, 6, 3, dilations=[2])
    g.norm(6, 3.0).quant(3, 0.5)
    g.conv1d(6, 6, 5, group=6, strides=[2]).norm(6, 2.0).bipolar()
    g.conv1d(6, 4, 1).norm(4).quant(3, 0.25).node("AveragePool", kernel_shape=[2], strides=[2])
    return g.end()


def signals(reduction: str, quantized: bool = True, **attributes: object) -> Shaped:
    g = signal(4 if quantized else 1).conv1d(2, 6, 3)
    if quantized:
        g.norm(6, 3.0).quant(3, 0.5)
    g.node(reduction, **attributes)
    if not quantized:
        g.norm(6, 6.0).quant(4, 0.25)
    return g.end()


def maximum(reduction: str, **attributes: object) -> Shaped:
    return image().levels(3).node(reduction, **attributes).end()  # type: ignore[attr-defined]


def maximum_of_axes() -> Shaped:
    g = image().levels(3)
    g.node("ReduceMax", axes=[-1, -2], keepdims=0)
    return g.end()


def classifier(kernel: int, bits: int, op_type: str, **attributes: object) -> Shaped:
    g = image().levels(bits)
    g.conv(4, 5, kernel).node("Add", g.constant(np.linspace(-1, 1, 5).reshape(1, 5, 1, 1)))
    return g.ended(op_type, **attributes)


def padded_classifier(**attributes: object) -> Shaped:
    """Each element of the image meets some of the kernel's weights."""
    g = image().levels(3)
    g.conv(4, 8, 3, pads=[1, 0, 1, 1], strides=[2, 1], **attributes)
    return g.norm(8, 2.0).ended("GlobalAveragePool")  # type: ignore[attr-defined]


def thermometer() -> Shaped:
    """Comparisons of the input with several thresholds, as channels."""
    g = Shaped((1, 2, 6, 6), 3)
    ends = []
    for threshold in (-0.7, 0.0, 0.6):
        ends.append(g.at("in").node("Greater", g.constant(threshold)).node("Cast", to=1).tensor)
    g.concat(*ends).conv(6, 4).norm(4, 2.0).quant(2, 0.5)
    return g.end()


def summed_classifier() -> Shaped:
    g = image().levels(2)
    g.conv(4, 5, 1).node("Mul", g.constant(0.5)).node("ReduceSum", g.constant([2, 3], np.int64), keepdims=0)
    return g


def mean_of_accumulators() -> Shaped:
    g = image().levels(3)
    g.conv(4, 6, 2).norm(6, 2.0).node("GlobalAveragePool").quant(3, 0.25)
    return g.end()


def dense_net(bits: int, others: int, signed: bool = False) -> Shaped:
    g = image().levels(bits)
    first = g.tensor
    g.conv(4, 3, 1).norm(3, 2.0)
    g.concat(first, g.levels(others, signed=signed).tensor)
    second = g.tensor
    g.conv(7, 4, 1).norm(4, 3.0)
    return g.concat(second, g.levels(others).tensor).end()


def inception() -> Shaped:
    g = image().levels(1)
    start = g.tensor
    one = g.conv(4, 4, 1).tensor
    other = g.at(start).conv(4, 6, 1).tensor
    g.concat(one, other).norm(10, 3.0).node("Relu").node("MaxPool", kernel_shape=[2, 2]).quant(2, 0.5)
    g.conv(10, 4, 2).norm(4, 2.0).quant(3, 0.5)
    return g.end()


def activation_of_a_concat() -> Shaped:
    g = image().levels(3, signed=True)
    first = g.tensor
    g.conv(4, 2, 1).norm(2, 2.0)
    g.concat(first, g.levels(2, 0.3).tensor).norm(6, 1.0).node("Sin").quant(2, 0.5)
    return g.end()


def vectors() -> Shaped:
    g = Shaped((1, 10), 3).levels(1)
    g.dense(10, 8).norm(8)
    first = g.levels(2).tensor
    g.dense(8, 6).norm(6)
    return g.concat(first, g.levels(3).tensor, axis=-1).end()


def flat_and_flat() -> Shaped:
    g = image().levels(2)
    start = g.tensor
    one = g.node("Flatten").tensor
    g.at(start).conv(4, 3, 1).norm(3)
    other = g.levels(2).node("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).node("Flatten").tensor
    return g.concat(one, other).end()


def signals_joined() -> Shaped:
    g = signal().conv1d(2, 4, 3, pads=[1, 1])
    start = g.norm(4, 3.0).quant(2, 0.5).tensor
    one = g.conv1d(4, 4, 3, pads=[1, 1]).norm(4, 2.0).quant(2, 0.5).tensor
    other = g.at(start).conv1d(4, 4, 5, pads=[2, 2]).norm(4, 2.0).quant(2, 0.5).tensor
    return g.concat(one, other).shuffle(2, (1, 8, 24)).sliced((1, 2, 7, 1)).end()


def split_levels() -> Shaped:
    g = image().levels(3)
    one, other = g.split(1, 3)
    g.at(one).conv(1, 3, 1).norm(3)
    g.levels(3).node("Add", other).norm(3, 2.0).quant(2, 0.5)
    return g.end()


def split_accumulators() -> Shaped:
    g = image().levels(1)
    g.conv(4, 8, 1).norm(8, 1.0)
    one, other = g.split(4, 4)
    first = g.at(one).node("Cos").quant(2, 0.5).tensor
    return g.concat(first, g.at(other).levels(2).tensor).end()


def shuffle_net() -> Shaped:
    g = image(channels=8).levels(2)
    for _ in range(2):
        kept, moved = g.split(4, 4)
        g.at(moved).conv(4, 4, 1).norm(4).quant(2, 0.5)
        g.conv(4, 4, 3, group=4, pads=[1, 1, 1, 1]).norm(4).quant(2, 0.5).conv(4, 4, 1).norm(4).quant(2, 0.5)
        g.concat(kept, g.tensor).shuffle(2, (1, 8, 4, 4))
    return g.end()


def grouped_shuffle() -> Shaped:
    g = image(channels=12).levels(2)
    g.conv(12, 12, 1, group=3)
    g.shuffle(3, (1, 12, 4, 4)).norm(12).quant(2, 0.5)
    g.conv(12, 12, 3, group=12).norm(12).quant(2, 0.5).conv(12, 6, 1, group=3).norm(6).quant(2, 0.5)
    return g.shuffle(2, (1, 6, 2, 2)).end()


def skipping(op_type: str, kernel: int, stride: int) -> Shaped:
    g = image(9).levels(3)
    g.node(op_type, kernel_shape=[kernel, kernel], strides=[stride, stride])
    g.conv(4, 3, 2).norm(3).quant(2, 0.5)
    return g.end()


def strided_slices() -> Shaped:
    far = 2**62
    g = image(9).levels(3).sliced((2, 0, far, 2), (3, 0, far, 3), (1, 3, -far, -2))
    g.conv(2, 3, 2).norm(3).quant(2, 0.5)
    return g.end()


def pool_of_the_input(bits: int) -> Shaped:
    g = Shaped((1, 2, 8, 8), 3).levels(bits)
    g.node("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).conv(2, 4).norm(4, 3.0).quant(2, 0.5)
    return g.end()


def flattened(*quantizers: str, pool: bool = False) -> Shaped:
    """Accumulators of several bits with an activation behind the flatten: the weights of channels reach differently far."""
    g = Shaped((1, 2, 5, 5), 3).levels(4, 0.25)
    g.node("Conv", g.weights((4, 2, 3, 3), 0.5, "Quant", 3), kernel_shape=[3, 3])
    for quantizer in quantizers:
        match quantizer:
            case "norm":
                g.norm(g.features() if g.nodes[-1].op_type == "Flatten" else 4, 3.0)
            case "flatten":
                if pool:
                    g.node("MaxPool", kernel_shape=[2, 2], strides=[1, 1])
                g.node("Flatten")
            case bits:
                g.levels(int(bits))
    return g.dense(g.features(), 5)  # type: ignore[return-value]


def pruned() -> Shaped:
    """A branch whose weights are all 0."""
    g = Shaped((1, 10), 3).levels(1)
    start = g.tensor
    g.node("MatMul", g.constant(np.zeros((10, 4)))).node("Add", g.constant(g.rng.normal(size=4)))
    one = g.levels(1).tensor
    g.at(start).dense(10, 6).norm(6)
    return g.concat(one, g.levels(1).tensor).end()


SHAPES: dict[str, Callable[[], Shaped]] = {
    "pruned_branch": pruned,
    "flattened_accumulators": lambda: flattened("flatten", "norm", "1"),
    "flattened_levels": lambda: flattened("norm", "3", "flatten", "2"),
    "flattened_signs": lambda: flattened("norm", "1", "flatten", "1"),
    "flattened_pool": lambda: flattened("flatten", "norm", "1", pool=True),
    "vgg_of_signals": vgg,
    "depthwise_of_signals": depthwise,
    "signals_mean": lambda: signals("GlobalAveragePool"),
    "signals_mean_flat": lambda: signals("ReduceMean", axes=[2], keepdims=0),
    "signals_maximum": lambda: signals("GlobalMaxPool", quantized=False),
    "signals_maximum_flat": lambda: signals("ReduceMax", axes=[-1], keepdims=0),
    "signals_joined": signals_joined,
    "maximum": lambda: maximum("GlobalMaxPool"),
    "maximum_of_axes": maximum_of_axes,
    "maximum_of_rows": lambda: maximum("ReduceMax", axes=[2], keepdims=1),
    "mean_of_rows": lambda: maximum("ReduceMean", axes=[2], keepdims=1),
    "classifier": lambda: classifier(1, 2, "GlobalAveragePool"),
    "classifier_of_bits": lambda: classifier(1, 1, "ReduceMean", axes=[2, 3], keepdims=0),
    "classifier_of_wide_levels": lambda: classifier(1, 6, "ReduceMean", axes=[2, 3], keepdims=1),
    "classifier_3x3": lambda: classifier(3, 2, "AveragePool", kernel_shape=[2, 2]),
    "classifier_padded": padded_classifier,
    "classifier_padded_in_groups": lambda: padded_classifier(group=4),
    "thermometer": thermometer,
    "classifier_summed": summed_classifier,
    "mean_of_accumulators": mean_of_accumulators,
    "concats": lambda: dense_net(2, 2),
    "concats_of_bits": lambda: dense_net(1, 1),
    "concats_of_bits_and_levels": lambda: dense_net(1, 3, signed=True),
    "concats_of_offsets": lambda: dense_net(3, 3, signed=True),
    "concat_of_accumulators": inception,
    "activation_of_a_concat": activation_of_a_concat,
    "concat_of_vectors": vectors,
    "concat_of_flattened": flat_and_flat,
    "split": split_levels,
    "split_accumulators": split_accumulators,
    "shuffle_net": shuffle_net,
    "grouped_shuffle": grouped_shuffle,
    "skipping_maximum": lambda: skipping("MaxPool", 2, 3),
    "skipping_pixels": lambda: skipping("MaxPool", 1, 2),
    "skipping_mean": lambda: skipping("AveragePool", 1, 3),
    "strided_slices": strided_slices,
    "pool_of_the_input": lambda: pool_of_the_input(4),
    "pool_of_bits": lambda: pool_of_the_input(1),
}

# What stands behind a single logit, and the class by its values.
TAILS: dict[str, tuple[Callable[[Graph], Graph], Callable[[np.ndarray], np.ndarray]]] = {
    "nothing": (lambda g: g, lambda y: y > 0),
    "a bias": (lambda g: g.node("Add", g.constant([0.7])), lambda y: y > 0),
    "a squeeze": (lambda g: g.node("Squeeze", g.constant([1], np.int64)), lambda y: y > 0),
    "a sigmoid": (lambda g: g.node("Sigmoid"), lambda y: y > 0.5),
    "a biased sigmoid": (lambda g: g.node("Sub", g.constant([1.2])).node("Sigmoid"), lambda y: y > 0.5),
    "a rounded sigmoid": (lambda g: g.node("Sigmoid").node("Round"), lambda y: y == 1),
    "a quantized sigmoid": (lambda g: g.node("Sigmoid").quant(8, 1 / 255), lambda y: y > 0.5),
    "a tanh": (lambda g: g.node("Tanh"), lambda y: y > 0),
    "a bipolar quantizer": (lambda g: g.bipolar(0.3), lambda y: y > 0),
    "a quantizer": (lambda g: g.quant(4, 0.5, signed=True), lambda y: y > 0),
    "a comparison": (lambda g: g.node("Greater", g.constant(0.4)), lambda y: y),
    "an inverse comparison": (lambda g: g.node("Less", g.constant(0.4)), lambda y: y),
    "a where": (lambda g: g.where(3.0, 5.0), lambda y: y == 5),
    "a sine": (lambda g: g.node("Sin"), lambda y: y > 0),
    "a negative scale": (lambda g: g.node("Mul", g.constant(-0.3)), lambda y: y > 0),
    "a batch norm": (lambda g: g.norm(1), lambda y: y > 0),
}
