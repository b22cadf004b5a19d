"""Damaged ONNX files: each lowers to what qonnx's executor computes, or is refused with one message."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper

from tests.finn_flows.lowering.foreign import Graph, execute
from tests.finn_flows.lowering.mutations import MUTATIONS, mutated
from tests.hw_search.extraction.test_extraction import settle
from tests.models.test_residual import settle as settle_streams
from zerocross.finn_flows.lowering.canonical.tidying import tidied
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.lower import Lowered, lower
from zerocross.hw_search.builds.export import export
from zerocross.models.topologies import build

NETWORKS = {
    "mlp": ("mlp", {"hidden": [8, 6], "input_bits": 8}, (10,)),
    "cnv": ("cnv", {"blocks": [[4], [6]], "dense": [8], "padding": 1}, (2, 6, 6)),
    "resnete": ("resnete", {"widths": [4, 6], "blocks": [1, 1]}, (2, 6, 6)),
}
PATIENCE = 20  # seconds for a file


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ModelProto]:
    """Exports networks, each once."""
    kept: dict[str, ModelProto] = {}

    def get(name: str) -> ModelProto:
        if name not in kept:
            topology, parameters, shape = NETWORKS[name]
            torch.manual_seed(0)
            model = build(topology, shape, 4, parameters)
            path = tmp_path_factory.mktemp(name) / "net.onnx"
            export((settle_streams if name == "resnete" else settle)(model), shape, path)
            kept[name] = onnx.load(path)
        return kept[name]

    return get


class Hangs(BaseException):
    """A file took too long."""


@contextmanager
def patience() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def samples(model: ModelWrapper) -> np.ndarray:
    """Samples of the type of a graph's input."""
    name, rng = model.graph.input[0].name, np.random.default_rng(0)
    shape, datatype = (40, *model.get_tensor_shape(name)[1:]), model.get_tensor_datatype(name)
    if not datatype.is_integer():
        return rng.normal(0, 1.5, shape).astype(np.float32)
    least, most = max(datatype.min(), -(2**20)), min(datatype.max(), 2**20)
    drawn = rng.integers(int(least), int(most) + 1, shape)
    return np.where(np.vectorize(datatype.allowed)(drawn), drawn, most).astype(np.float32)


def without_notes(model: ModelWrapper) -> ModelWrapper:
    """A graph whose inner tensors have no datatypes: qonnx's executor refuses values outside them."""
    plain = tidied(model)
    del plain.graph.quantization_annotation[:]
    return plain


def assert_agrees(lowered: Lowered, case: str) -> None:
    x = samples(lowered.original)
    found = lowered.network.run(lowered.quantize(x))["label"][:, 0]
    scores = execute(without_notes(lowered.original), x).reshape(len(x), -1)
    if scores.shape[1] > 1:
        ties = np.isclose(scores, scores.max(axis=1, keepdims=True), rtol=1e-4, atol=1e-5)
        assert ties[np.arange(len(x)), found].all(), case


def hold(model: ModelProto, seeds: range, path: Path, kind: str | None = None) -> tuple[int, int]:
    """Hold damaged files against the executor; return how many lowered and how many were refused."""
    lowered = refused = 0
    for seed in seeds:
        kinds, content = mutated(model, seed, kind)
        path.write_bytes(content)
        try:
            with patience():
                result = lower(path, host_part=True)
        except LoweringError as error:
            assert "\n" not in str(error) and len(str(error)) < 2000, (seed, kinds)
            refused += 1
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}, {kinds}: {error!r}") from error
        assert_agrees(result, f"seed {seed}, {kinds}")
        lowered += 1
    return lowered, refused


@pytest.mark.parametrize("kind", MUTATIONS)
def test_each_kind_of_damage_is_refused_or_agrees(
    kind: str, exported: Callable[[str], ModelProto], tmp_path: Path
) -> None:
    hold(exported("mlp"), range(3), tmp_path / "net.onnx", kind)


def test_damaged_images_are_refused_or_agree(exported: Callable[[str], ModelProto], tmp_path: Path) -> None:
    lowered, refused = hold(exported("cnv"), range(30), tmp_path / "net.onnx")
    assert lowered and refused > lowered


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_many_damaged_files_are_refused_or_agree(
    name: str, exported: Callable[[str], ModelProto], tmp_path: Path
) -> None:
    lowered, refused = hold(exported(name), range(1000, 1300), tmp_path / "net.onnx")
    assert lowered > 20 and refused > lowered


def test_the_same_seed_damages_in_the_same_way(exported: Callable[[str], ModelProto]) -> None:
    assert mutated(exported("mlp"), 5) == mutated(exported("mlp"), 5)


def small() -> ModelProto:
    return Graph((1, 10)).quant(2, 0.5).dense(10, 12).norm(12).bipolar().dense(12, 5).model().model


def constant(model: ModelProto, name: str) -> TensorProto:
    return next(each for each in model.graph.initializer if each.name == name)


def filled(name: str, value: float) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        tensor = constant(model, name)
        shape = numpy_helper.to_array(tensor).shape
        tensor.CopyFrom(numpy_helper.from_array(np.full(shape, value, np.float32), name))

    return change


def sized(*sizes: int | str) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("in", TensorProto.FLOAT, sizes))

    return change


def reads(node: int, place: int, name: str) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.graph.node[node].input[place] = name

    return change


def says(name: str, *sizes: int) -> Callable[[ModelProto], None]:
    return lambda model: model.graph.value_info.append(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)
    )


def in_training(model: ModelProto) -> None:
    norm = next(node for node in model.graph.node if node.op_type == "BatchNormalization")
    norm.attribute.append(helper.make_attribute("training_mode", 1))


def doubled(model: ModelProto) -> None:
    model.graph.initializer.append(constant(model, "const0"))


REFUSED: dict[str, tuple[Callable[[ModelProto], object], str]] = {
    "no opset": (
        lambda model: model.ClearField("opset_import"),
        "the file names no version of ONNX's operator set",
    ),
    "a missing tensor": (
        reads(1, 1, "gone"),
        r"BipolarQuant_w1 \(BipolarQuant\) reads the tensor gone, which the file does not hold",
    ),
    "a circle": (reads(3, 0, "t4"), r"\(\w+\) and .* read each other's outputs in a circle"),
    "a constant twice": (doubled, "const0: the file holds this constant 2 times"),
    "NaN": (
        filled("const3", np.nan),
        r"BipolarQuant_w1 \(BipolarQuant\): its constant const3 holds NaN",
    ),
    "an infinite batch norm": (
        filled("const6", np.inf),
        r"BatchNormalization_3 \(BatchNormalization\): its constant const6 holds infinite numbers",
    ),
    "NaN bits": (filled("const2", np.nan), r"Quant_0 \(Quant\): its constant const2 holds NaN"),
    "a fraction of a bit": (filled("const2", 2.5), r"Quant_0 \(Quant\) has 2.5 bits: give it a whole number"),
    "no bits": (filled("const2", 0), r"Quant_0 \(Quant\) has 0 bits: give it a whole number of at least 1"),
    "no scale": (filled("const0", 0), r"Quant_0 \(Quant\) has a scale of 0"),
    "a far zero point": (filled("const1", 1e9), r"Quant_0 \(Quant\) has a zero point of 1e\+09"),
    "open sizes": (sized("n", "m"), r"in: the input has the shape \(n, m\): only the batch, .* may be open"),
    "10^12 features": (sized(1, 10**12), "in: a tensor of 1000000000000 numbers is too large"),
    "a shape that lies": (
        says("t2", 1, 7),
        r"MatMul_2 \(MatMul\) makes a tensor of shape \[1, 12\], but the file says \[1, 7\]",
    ),
    "a negative shape": (says("t2", 1, -7), r"t2: the file says that it has the shape \[1, -7\]"),
    "training": (
        in_training,
        r"BatchNormalization_3 \(BatchNormalization\) is in training mode: export .* model.eval",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_message_names_the_node_or_tensor(name: str, tmp_path: Path) -> None:
    change, message = REFUSED[name]
    model = small()
    change(model)
    with pytest.raises(LoweringError, match=message):
        lower(ModelWrapper(model))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(LoweringError, match=message):
        lower(tmp_path / "net.onnx")


def test_texts_that_are_no_text_are_refused(tmp_path: Path) -> None:
    content = small().SerializeToString()
    (tmp_path / "net.onnx").write_bytes(content.replace(b"BatchNormalization_3", b"BatchNormalization_\xff"))
    with pytest.raises(LoweringError, match=r"net.onnx is not an ONNX file: some of its names are no text"):
        lower(tmp_path / "net.onnx")
    (tmp_path / "net.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(LoweringError, match="net.onnx"):
        lower(tmp_path / "net.onnx")
