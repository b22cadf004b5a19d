"""What cannot be lowered says which node it is, why, and what to do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from tests.finn_flows.lowering.foreign import Graph
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.lower import lower


def start(shape: tuple[int, ...] = (1, 10)) -> Graph:
    return Graph(shape, 3).bipolar()


def image() -> Graph:
    return start((1, 2, 6, 6))


def dense(g: Graph | None = None) -> Graph:
    return (g or start()).dense(10, 12).norm(12)


def single_channel() -> Graph:
    g = image().conv(2, 4).norm(4).bipolar()
    return g.node("Gather", g.constant(1, np.int64), axis=1)


def finish(g: Graph) -> Graph:
    return g.bipolar().dense(12, 5)


def finish_image(g: Graph) -> Graph:
    g.bipolar().node("Flatten")
    return g.dense(g.features(), 5)


def residual() -> Graph:
    g = start().dense(10, 12).bipolar()
    skip = g.tensor
    return finish(g.dense(12, 12).norm(12).node("Add", skip))


def around_a_pool() -> Graph:
    g = image().conv(2, 4)
    tensor = g.node("Relu").tensor
    g.node("MaxPool", kernel_shape=[1, 1]).node("Sin").node("Add", tensor)
    return finish_image(g)


def computed_weights() -> Graph:
    g = start((1, 1))
    return g.node("MatMul", g.tensor).bipolar().dense(1, 5)


def mixed_scales() -> Graph:
    g = start()
    return g.node("MatMul", g.weights((10, 12), g.rng.uniform(0.5, 1, (10, 1)))).bipolar().dense(12, 5)


def two_inputs() -> Graph:
    g = dense()
    g.inputs.append(helper.make_tensor_value_info("other", 1, [1, 12]))
    return finish(g.node("Add", "other"))


def pool_in_the_wrong_place() -> Graph:
    g = image().conv(2, 4).node("Sin").node("MaxPool", kernel_shape=[2, 2]).node("Cos")
    return finish_image(g.node("Sub", g.constant(0.8)))


def two_best() -> Graph:
    g = finish(dense())
    g.node("TopK", g.constant([2], np.int64))
    g.nodes[-1].output.append("class")
    return g


def unused() -> Graph:
    g = dense()
    g.tensor = g.constant(np.ones((1, 12)))
    return finish(g)


def biased() -> Graph:
    g = dense().bipolar()
    return g.node("Gemm", g.weights((12, 5)), g.constant(g.rng.normal(size=5)))


REFUSED: dict[str, tuple[Callable[[], Graph], str]] = {
    "a residual": (
        residual,
        r"Add_7 \(Add\): its operand BatchNormalization_6 \(BatchNormalization\), from MatMul_5, is not quantized to "
        "levels: put a Quant of up to 8 bits and one scale ahead of it",
    ),
    "around a pool": (
        around_a_pool,
        r"Add_6 \(Add\) reads the same tensor as MaxPool_4 \(MaxPool\), and its output: .* may not branch around",
    ),
    "a mean": (
        lambda: finish_image(image().conv(2, 4).norm(4).node("Relu").node("GlobalAveragePool")),
        r"GlobalAveragePool_5 \(GlobalAveragePool\): its operand Relu_4 \(Relu\), from Conv_2, is not quantized",
    ),
    "a single channel": (
        lambda: finish_image(single_channel()),
        r"Gather_\d+ \(Gather\): a single index drops the axis 1: keep it, as in x\[:, 1:2\]",
    ),
    "a softmax inside": (
        lambda: finish(dense().node("Softmax")),
        r"Softmax_4 \(Softmax\) stands between MatMul_2 and MatMul_7 and is not elementwise",
    ),
    "no quantizer": (
        lambda: dense().node("Sin").dense(12, 5),
        r"MatMul_6 \(MatMul\): its input, from MatMul_2, does not have up to 256 equidistant levels: put a BipolarQuant",
    ),
    "a scale for each channel": (
        lambda: dense().quant(2, np.linspace(0.3, 1, 12)).dense(12, 5),
        r"MatMul_6 \(MatMul\): its input, from MatMul_2, does not have up to 256 equidistant levels",
    ),
    "not a number": (
        lambda: finish(start().dense(10, 12).node("Log").node("Sqrt")),
        r"BipolarQuant_5 \(BipolarQuant\): its input is not a number in channel 0 when the output of MatMul_2 is -10",
    ),
    "place by place": (
        lambda: finish_image((g := image().conv(2, 4)).node("Add", g.constant(g.rng.normal(size=(4, 4, 4))))),
        r"Add_3 \(Add\): its parameter const\d of shape \[4, 4, 4\] varies within a channel",
    ),
    "computed weights": (computed_weights, r"MatMul_1 \(MatMul\) multiplies two computed tensors"),
    "float weights": (
        lambda: (g := start()).node("MatMul", g.constant(g.rng.normal(size=(10, 5)))),
        r"MatMul_1 \(MatMul\): its weights are neither bipolar nor integers of up to 8 bits: channel 0 holds .*; quantize",
    ),
    "scales by input": (mixed_scales, r"MatMul_2 \(MatMul\): its weights are neither bipolar nor"),
    "zero padding of signs": (
        lambda: finish_image(image().conv(2, 4, pads=[1, 1, 1, 1])),
        r"Conv_2 \(Conv\) pads with 0, but its input holds only -1 and 1: pad with -1, in PyTorch by "
        r"nn.ConstantPad2d\(\(1, 1, 1, 1\), -1\) ahead of it and padding=0",
    ),
    "zero padding of hidden signs": (
        lambda: finish_image(image().conv(2, 4).bipolar(0.1).conv(4, 4, pads=[0, 1, 0, 2]).norm(4)),
        r"Conv_5 \(Conv\) pads with 0, but its input holds only -0.1 and 0.1: pad with -0.1, in PyTorch by "
        r"nn.ConstantPad2d\(\(1, 2, 0, 0\), -0.1\) ahead of it and padding=0",
    ),
    "padding far from signs": (
        lambda: finish_image(image().conv(2, 4).bipolar().pad(1, 1, 1e30).conv(4, 4)),
        r"Pad_4 \(Pad\) pads with 1e\+30, but its input holds only -1 and 1: pad with -1$",
    ),
    "padding between levels": (
        lambda: finish_image(image().conv(2, 4).quant(2, 1.0, signed=True).pad(1, 1, 0.1234).conv(4, 4)),
        r"Pad_4 \(Pad\) pads with 0.1234, but its input holds only -2, 0 and 1: pad with 0$",
    ),
    "padding between levels of the input": (
        lambda: finish_image(Graph((1, 2, 6, 6)).quant(3, 0.5, zero=0.5).conv(2, 4, pads=[1, 1, 1, 1])),
        r"Conv_2 \(Conv\) pads with 0, but its input holds only -0.25, 0.25, ..., 3.25: pad with -0.25, in PyTorch",
    ),
    "padding of channels": (
        lambda: finish_image(
            (g := image()).node("Pad", g.constant([0, 1, 0, 0] * 2, np.int64), g.constant(-1.0)).conv(4, 4)
        ),
        r"Pad_1 \(Pad\) pads by \[0, 1, 0, 0, 0, 1, 0, 0\]: pad only height and width, by 0 or more",
    ),
    "a reflecting padding": (
        lambda: finish_image(
            (g := image()).node("Pad", g.constant([0, 0, 1, 1] * 2, np.int64), mode="reflect").conv(2, 4)
        ),
        r"Pad_1 \(Pad\) repeats its input",
    ),
    "automatic padding of signs": (
        lambda: finish_image(image().conv(2, 4, kernel=2, auto_pad="SAME_UPPER")),
        r"Conv_2 \(Conv\) pads with 0, but its input holds only -1 and 1: pad with -1, in PyTorch by "
        r"nn.ConstantPad2d\(\(0, 1, 0, 1\), -1\)",
    ),
    "a transposed input": (
        lambda: (g := start((1, 1))).node("Gemm", g.weights((1, 5)), transA=1),
        r"Gemm_2 \(Gemm\) transposes its input",
    ),
    "a dense layer of an image": (
        lambda: image().dense(6, 5),
        r"MatMul_2 \(MatMul\): a dense layer is \(1, features\) times .*: flatten first",
    ),
    "a float input": (
        lambda: Graph((1, 10)).dense(10, 5),
        r"MatMul_1 \(MatMul\): its input is not quantized: it may have more than 256 values: put a BipolarQuant, a "
        "Quant, or a Round and a Clip of up to 8 bits ahead of it, or annotate in with an integer datatype",
    ),
    "a wide input": (
        lambda: Graph((1, 10)).quant(9, 0.1).dense(10, 5),
        r"Quant_0 \(Quant\) has 9 bits: quantize the input to up to 8",
    ),
    "an input scale for each channel": (
        lambda: Graph((1, 10)).quant(2, np.arange(1, 11)).dense(10, 5),
        r"Quant_0 \(Quant\): the input is quantized with one scale for each channel",
    ),
    "a later input scale for each channel": (
        lambda: (g := start()).node("Mul", g.constant(np.arange(1, 11) ** 0.5)).dense(10, 5),
        r"MatMul_3 \(MatMul\): its input has different scales in its channels",
    ),
    "a dilated pool": (
        lambda: finish_image(
            image().conv(2, 4).bipolar().node("MaxPool", kernel_shape=[2, 2], dilations=[2, 2])
        ),
        r"MaxPool_4 \(MaxPool\) dilates, which is not supported",
    ),
    "a pool in the wrong place": (
        pool_in_the_wrong_place,
        r"MaxPool_4 \(MaxPool\) stands inside the activation of Conv_2 and cannot be swapped with it",
    ),
    "a strange reshape": (
        lambda: finish_image(
            (g := image().conv(2, 4)).node("Reshape", g.constant([1, 8, 2, 4], np.int64)).node("Sin")
        ),
        r"Reshape_3 \(Reshape\) reshapes \[1, 4, 4, 4\] to \[1, 8, 2, 4\]: an activation may only be flattened",
    ),
    "norm of the wrong axis": (
        lambda: finish_image(image().conv(2, 4).node("Transpose", perm=[0, 2, 3, 1]).norm(4)),
        r"BatchNormalization_4 \(BatchNormalization\) needs its channels on axis 1, but they are on axis 3",
    ),
    "a convolution of another layout": (
        lambda: finish_image(image().conv(2, 4).bipolar().node("Transpose", perm=[0, 2, 3, 1]).conv(4, 4)),
        r"Conv_6 \(Conv\) reads a tensor that is not \(1, channels, height, width\): transpose it back",
    ),
    "a bias behind a function": (
        lambda: (g := finish(dense())).node("Softsign").node("Add", g.constant(np.arange(5))),
        r"Add_8 \(Add\) treats the classes differently",
    ),
    "a scale of 0 behind a bias": (
        lambda: (g := biased()).node("Mul", g.constant(0.0)),
        r"Mul_7 \(Mul\) multiplies all logits of Gemm_6 by 0, so the class never changes",
    ),
    "a bias past float32": (
        lambda: (g := finish(dense())).node("Add", g.constant(np.arange(5) + 1e9)),
        r"Add_7 \(Add\) changes the order of the logits of MatMul_6, or makes different ones equal",
    ),
    "an infinite bias": (
        lambda: (g := finish(dense())).node("Add", g.constant([0, 0, 0, 0, np.inf])),
        r"Add_7 \(Add\) changes the order of the logits",
    ),
    "decided logits": (
        lambda: finish(dense()).bipolar(3.0),
        r"BipolarQuant_7 \(BipolarQuant\) changes the order of the logits",
    ),
    "a softmax of something else": (
        lambda: finish(dense()).node("Softmax", axis=0),
        r"Softmax_7 \(Softmax\) reads the logits: only a Softmax over the classes",
    ),
    "two best": (
        two_best,
        r"TopK_7 \(TopK\) reads the logits",
    ),
    "an image for an ending": (
        lambda: image().conv(2, 5),
        r"Conv_2 \(Conv\) is the last product and makes an image, \[1, 5, 4, 4\]",
    ),
    "a pool behind the classifier": (
        lambda: image().conv(2, 5, kernel=6).node("MaxPool", kernel_shape=[1, 1]),
        r"MaxPool_3 \(MaxPool\) is after the last product, Conv_2",
    ),
    "no product": (lambda: start().node("Relu"), r"the network has no product"),
    "two inputs": (two_inputs, r"the graph has the inputs in, other: only networks with one input"),
    "a constant activation": (
        unused,
        r"nothing reads MatMul_2 \(MatMul\): the activation behind it is constant",
    ),
    "an unknown node": (
        lambda: finish(dense().node("NoSuchNode")),
        r"NoSuchNode_4 \(NoSuchNode\) stands between",
    ),
    "a node that fails": (
        lambda: (g := dense()).node("Clip", g.constant([0.0, 1.0])).bipolar().dense(12, 5),
        r"Clip_4 \(Clip\) cannot be executed: ",
    ),
    "logits in another order": (
        lambda: (g := dense()).node("Gather", g.constant([3, 0, 0, 2], np.int64), axis=1),
        r"Gather_4 \(Gather\) changes the order of the logits, or repeats or drops some: remove it, and give the rows",
    ),
    "a class of each half": (
        lambda: (g := dense()).node("Reshape", g.constant([1, 2, 6], np.int64)).node("ArgMax", axis=-1),
        r"ArgMax_5 \(ArgMax\) reads the logits: only a Softmax over the classes",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    build, message = REFUSED[name]
    with pytest.raises(LoweringError, match=message):
        lower(build().model())


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(LoweringError, match=r"net.onnx cannot be read \(No such file"):
        lower(path)
    path.write_bytes(b"")
    with pytest.raises(LoweringError, match="net.onnx is not an ONNX file"):
        lower(path)
    path.write_text("no network")
    with pytest.raises(LoweringError, match="net.onnx is not an ONNX file"):
        lower(path)
