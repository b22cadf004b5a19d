"""The host's part of a file: what is in it, when it needs consent, and the ONNX file that it becomes."""

import copy
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from tests.finn_flows.lowering.foreign import Graph
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.host_part import load_host_part, run_host_part
from zerocross.finn_flows.lowering.lower import lower


def finish(g: Graph, features: int) -> Graph:
    return g.dense(features, 12).bipolar().dense(12, 5)


def finish_image(g: Graph, channels: int) -> Graph:
    g = g.bipolar().conv(channels, 6).bipolar().node("Flatten")
    return g.dense(g.features(), 5)


def floats(g: Graph, *shape: int) -> str:
    return g.constant(g.rng.normal(size=shape))


def normalised() -> Graph:
    g = Graph((1, 10))
    g = g.node("Mul", g.constant(np.linspace(0.1, 1, 10)[None]))
    return finish(g.node("Sub", g.constant(0.3)).bipolar(), 10)


def image_normalised() -> Graph:
    g = Graph((1, 3, 6, 6))
    g = g.node("Sub", floats(g, 1, 3, 1, 1)).node("Div", g.constant(np.full((1, 3, 1, 1), 0.3)))
    return finish_image(g, 3)


def dense_of_floats() -> Graph:
    g = Graph((1, 10))
    return finish(g.node("MatMul", floats(g, 10, 7)).node("Relu").quant(4, 0.5), 7)


def floats_behind_levels() -> Graph:
    g = Graph((1, 10)).quant(8, 0.05, signed=True)
    return finish(g.node("MatMul", floats(g, 10, 7)).node("Relu").quant(4, 0.5), 7)


def convolution_of_floats() -> Graph:
    g = Graph((1, 3, 8, 8))
    return finish_image(g.node("Conv", floats(g, 4, 3, 3, 3), kernel_shape=[3, 3]).node("Sin"), 4)


def residual_of_floats() -> Graph:
    g = Graph((1, 3, 6, 6))
    g = g.node("Conv", floats(g, 4, 3, 1, 1), kernel_shape=[1, 1])
    skip = g.tensor
    g = g.node("Conv", floats(g, 4, 4, 1, 1), kernel_shape=[1, 1]).node("Add", skip)
    return finish_image(g, 4)


def transposed_convolution() -> Graph:
    g = Graph((1, 3, 4, 4))
    return finish_image(g.node("ConvTranspose", floats(g, 3, 4, 3, 3), kernel_shape=[3, 3]), 4)


def unquantized() -> Graph:
    return finish(Graph((1, 10)).dense(10, 12).bipolar(), 12)


def behind_a_quantizer() -> Graph:
    return finish(Graph((1, 10)).quant(8, 0.05, signed=True).node("Sin").bipolar(), 10)


def mean_image() -> Graph:
    g = Graph((1, 3, 6, 6))
    return finish_image(g.node("Sub", floats(g, 1, 3, 6, 6)), 3)


TRAINED: dict[str, tuple[Callable[[], Graph], str]] = {
    "dense": (dense_of_floats, r"MatMul_0 \(MatMul\).*Or use --host-part.*computes MatMul_0 \(MatMul\)"),
    "behind levels": (floats_behind_levels, r"MatMul_1 \(MatMul\).*Or use --host-part"),
    "convolution": (convolution_of_floats, r"Conv_0 \(Conv\).*Or use --host-part"),
    "residual": (
        residual_of_floats,
        r"Conv_0 \(Conv\).*Or use --host-part: then the host computes Conv_0 \(Conv\), Conv_1",
    ),
    "no hardware": (
        transposed_convolution,
        r"ConvTranspose_0 \(ConvTranspose\) has weights \(3 x 4 x 3 x 3\)\. Use --host-part",
    ),
    "unquantized": (unquantized, r"its input is not quantized.*Or use --host-part"),
    "activation": (behind_a_quantizer, r"Sin_1 \(Sin\) stands behind the quantizer Quant_0.*Use --host-part"),
    "a mean for each pixel": (mean_image, r"Sub_0 \(Sub\) has weights \(1 x 3 x 6 x 6\)"),
}


@pytest.mark.parametrize("build", [normalised, image_normalised])
def test_a_normalisation_and_the_quantizer_are_listed_and_need_no_consent(build: Callable[[], Graph]) -> None:
    lowered = lower(build().model())
    *before, last = lowered.host.nodes
    assert {node.op_type for node in before} <= {"Mul", "Sub", "Div"} and len(before) == 2
    assert last.op_type == "BipolarQuant" and not lowered.host.trained


def test_a_file_gives_the_same_bytes_each_time() -> None:
    model = finish(Graph((1, 10)).bipolar(), 10).model()
    quantizer, weights, *others = (copy.deepcopy(node) for node in model.graph.node)
    quantizer.input[1] = weights.input[1]
    del model.graph.node[:]
    model.graph.node.extend(
        [weights, quantizer, *others]
    )  # qonnx draws a name for the second reader's constant
    content, drawn = lower(model).host.content(), random.getstate()
    assert lower(model).host.content() == content and random.getstate() == drawn


@pytest.mark.parametrize("name", TRAINED)
def test_layers_go_to_the_host_only_with_consent(name: str) -> None:
    build, message = TRAINED[name]
    with pytest.raises(LoweringError, match=message):
        lower(build().model())
    assert lower(build().model(), host_part=True).host.trained


@pytest.mark.parametrize("name", [*TRAINED, "normalised"])
def test_the_hosts_file_and_the_integers_answer_like_the_whole_file(name: str, tmp_path: Path) -> None:
    g = (TRAINED[name][0] if name in TRAINED else normalised)()
    model = g.model()
    lowered = lower(model, host_part=True)
    (tmp_path / "host.onnx").write_bytes(lowered.host.content())
    onnx.checker.check_model(str(tmp_path / "host.onnx"))
    x = 3 * np.random.default_rng(1).normal(size=(50, *g.shape[1:])).astype(np.float32)
    host = load_host_part(tmp_path / "host.onnx")
    inputs = run_host_part(host, x)
    assert np.array_equal(inputs, lowered.quantize(x))
    alone = ModelWrapper(str(tmp_path / "host.onnx"))  # qonnx's own executor, one sample
    source, sink = alone.graph.input[0].name, alone.graph.output[0].name
    one = execute_onnx(alone, {source: x[:1]})[sink]
    assert np.array_equal(np.moveaxis(np.rint(one), 1, -1), inputs[:1])
    found = lowered.network.run(inputs)["label"].reshape(-1)
    whole = lowered.original
    source, sink = whole.graph.input[0].name, whole.graph.output[0].name
    expected = [execute_onnx(whole, {source: sample[None]})[sink].argmax() for sample in x]
    assert found.tolist() == expected and len(set(expected)) > 1


def test_a_file_of_floats_is_refused_for_good() -> None:
    g = Graph((1, 10))
    g = g.node("MatMul", floats(g, 10, 12)).node("Relu").node("MatMul", floats(g, 12, 5))
    with pytest.raises(LoweringError, match=r"MatMul_2 \(MatMul\)|MatMul_0 \(MatMul\)") as caught:
        lower(g.model(), host_part=True)
    assert "--host-part" not in str(caught.value)


def test_files_that_are_no_hosts_part(tmp_path: Path) -> None:
    with pytest.raises(LoweringError, match=r"host.onnx cannot be read .*: build again"):
        load_host_part(tmp_path / "host.onnx")
    (tmp_path / "host.onnx").write_bytes(b"nothing")
    with pytest.raises(LoweringError, match=r"host.onnx is not an ONNX file: build again"):
        load_host_part(tmp_path / "host.onnx")
