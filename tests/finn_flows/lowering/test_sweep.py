"""A sweep of files of all kinds: each lowers to what qonnx's executor computes and what the RTL computes, or is refused.

The files are drawn from a grammar by fixed seeds. A refusal must have one of the listed reasons.
"""

import copy
import functools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from tests.finn_flows.integer_networks import as_streams, held_against
from tests.finn_flows.lowering.foreign import execute
from tests.finn_flows.lowering.grammar import File, drawn
from tests.finn_flows.whole_designs import SideBySide
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.lowering.canonical.tidying import tidied
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.lower import Lowered, lower
from zerocross.finn_flows.lowering.outputs import keep_output
from zerocross.finn_flows.planner import UnsupportedLayer, plan
from zerocross.finn_flows.rtl.design import Design, with_fifos

QUICK = range(40)
FURTHER = range(len(QUICK), 200)
SIMULATED = [range(0, 5)] + [range(start, start + 10) for start in range(40, 200, 40)]
FOLDINGS = [Folding(), Folding(target_cycles=300), Folding(target_cycles=1500)]

REASONS = [
    # Zero is no level of signs: -1, 0 and 1 would need two bits.
    r"\((Conv|AveragePool)\) pads with 0, but its input holds only",
    # Sums of levels of two scales have no grid of their own, unless the scales' ratio is a small fraction.
    r"\((Add|Sum)\) adds levels of the scales",
    # A product sums up all its channels: with several scales the sum is no integer times a scale.
    r"reads channels of different scales, which Concat_\d+ \(Concat\) joins",
    r"its input, from \w+, does not have up to 256 equidistant levels",
    r"pads channels of different lowest levels, which Concat_\d+ \(Concat\) joins",
    # A join of levels with numbers behind a batch norm, which are no levels.
    r"\((Add|Concat)\): its operand \w+ \(\w+\), from \w+, is not quantized to levels",
    # A max-pool chooses the largest number, whose function need not be the largest of the functions.
    r"\(MaxPool\) stands inside the activation of \w+ and cannot be swapped with it",
    # The class is the largest of other numbers than the accumulators.
    r"changes the order of the logits",
    # The factors of the classes are wider than the arithmetic of the hardware.
    r"gives the classes different scales, and integers that choose the same class .* need factors of more than",
    # Limits of the hardware: its input is one stream of levels, and an activation reads a product, a sum or a pool.
    r"the network's input is quantized more than once",
    r"the activation ahead of .* reads the network's input, which is not supported",
    # The host may compute layers, but only if it is asked.
    r"use --host-part",
    # A mean of a convolution with padding or strides: the sums of its weights need more than 8 bits, or it is of a signal.
    r"the network ends with \w+ \((GlobalAveragePool|ReduceMean|ReduceSum)\)",
    # Windows at the border divide by fewer elements: the levels have no common scale.
    r"\(AveragePool\) does not count its padding",
    # Channels of zeros beside signs: the hardware computes no function of signs.
    r"\(Pad\) takes some channels of a product's outputs",
    # Products take levels of up to 8 bits.
    r"reads levels 0 to \d+, which have \d+ bits: put a Quant of up to 8 bits ahead of it",
]


@dataclass(frozen=True)
class Result:
    """What became of a file: why it was refused (or an empty text), and how many classes its samples had."""

    refusal: str
    classes: int = 0


def lowered_file(file: File, folder: Path) -> Lowered:
    if not file.is_external:
        return lower(file.model, output=file.output)
    path = folder / "model.onnx"
    onnx.save(
        copy.deepcopy(file.model.model),
        path,
        save_as_external_data=True,
        location="weights",
        size_threshold=0,
    )
    return lower(path)


def designed(lowered: Lowered, seed: int) -> Design:
    return assemble(plan(lowered.network.network, FOLDINGS[seed % len(FOLDINGS)]), lowered.network)


def as_file_input(model: ModelWrapper, x: np.ndarray) -> np.ndarray:
    kind = model.get_tensor_valueinfo(model.graph.input[0].name).type.tensor_type.elem_type
    return x.astype(np.float32) if kind == TensorProto.FLOAT else x


def classes(file: File, values: np.ndarray) -> np.ndarray:
    return (
        np.asarray(file.classes(values.reshape(len(values), -1)))
        .reshape(len(values), -1)[:, 0]
        .astype(np.int64)
    )


def expected_outputs(file: File) -> np.ndarray:
    """The outputs of the author's own nodes in qonnx's executor: all at once, and two samples without any tidying."""
    kept = file.model if file.output is None else keep_output(file.model, file.output)
    found = execute(tidied(kept), file.samples.astype(np.float32))
    plain = kept.transform(InferShapes())
    for row in range(2):
        inputs = {plain.graph.input[0].name: as_file_input(plain, file.samples[row : row + 1])}
        output = execute_onnx(plain, inputs)[plain.graph.output[0].name]
        assert classes(file, np.asarray(output).reshape(1, -1))[0] == classes(file, found)[row]
    return found


@functools.cache
def result(seed: int, folder: Path) -> Result:
    """Hold a file against qonnx's executor, and its design against the integers, element by element."""
    file = drawn(seed)
    try:
        lowered = lowered_file(file, folder)
        design = designed(lowered, seed)
    except (LoweringError, UnsupportedLayer) as error:
        return Result(str(error))
    net, inputs = lowered.network, lowered.quantize(file.samples)
    outputs, found = expected_outputs(file), net.run(inputs)["label"][:, 0]
    expected = classes(file, outputs)
    scores = outputs.reshape(len(outputs), -1)
    if scores.shape[1] > 1:
        own = execute(lowered.model, file.samples.astype(np.float32)).reshape(scores.shape)
        same = np.isclose(own, scores, rtol=1e-4, atol=1e-4).all(axis=1)
        assert same.mean() > 0.8, file  # others have numbers at a threshold, where rounding decides
    if (off := found != expected).any():
        assert off.mean() < 0.2, file
        allowed = lowered.scores(file.samples).allow(found)
        if not allowed[off].all():
            led = lowered.scores(file.samples, led=True)
            allowed |= led.explained & led.allow(found)
        assert allowed[off].all(), file
    assert held_against(net, design, inputs[:10]) > 0
    return Result("", len(np.unique(expected)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.mark.parametrize("seed", [*QUICK, *(pytest.param(seed, marks=pytest.mark.slow) for seed in FURTHER)])
def test_a_file_is_computed_exactly_or_refused_for_a_reason(seed: int, folder: Path) -> None:
    refusal = result(seed, folder).refusal
    assert not refusal or any(re.search(reason, refusal) for reason in REASONS), f"{refusal}\n{drawn(seed)}"
    named = set(re.findall(r"(\w+) \((\w+)\)", refusal))
    own = {(node.name, node.op_type) for node in drawn(seed).model.graph.node}
    assert named <= own, f"{refusal}\n{drawn(seed)}"
    assert not refusal or named, refusal


@pytest.mark.parametrize(
    "seeds", [pytest.param(QUICK, id="quick"), pytest.param(FURTHER, id="all", marks=pytest.mark.slow)]
)
def test_most_files_lower_and_have_several_classes(seeds: range, folder: Path) -> None:
    results = [result(seed, folder) for seed in seeds]
    lowered = [each for each in results if not each.refusal]
    several = sum(each.classes > 1 for each in lowered)
    count = f"{len(lowered)} of {len(results)} files lower, {several} of them to several classes"
    print(count)
    assert len(lowered) >= 0.8 * len(results) and several >= 0.4 * len(lowered), count


def test_the_same_seed_draws_the_same_file() -> None:
    one, other = (drawn(7).model.model.SerializeToString(deterministic=True) for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param(seeds, id=f"from {seeds[0]}", marks=[pytest.mark.slow] if seeds[0] else [])
        for seeds in SIMULATED
    ],
)
def test_the_rtl_computes_the_classes(seeds: range, folder: Path, tmp_path: Path, runtime: Path) -> None:
    nets, designs, inputs = {}, {}, {}
    for seed in seeds:
        file, name = drawn(seed), f"file{seed}"
        try:
            lowered = lowered_file(file, folder)
            designs[name] = with_fifos(designed(lowered, seed), 512)
        except (LoweringError, UnsupportedLayer):
            continue
        nets[name] = lowered.network
        inputs[name] = lowered.quantize(file.samples[:12])
    assert len(nets) >= len(seeds) / 2
    compiled = SideBySide.of(designs, tmp_path, runtime)
    given = {name: as_streams(net, inputs[name]) for name, net in nets.items()}
    for stalls in ((0.0, 0.0), (0.4, 0.3)):
        _, outputs = compiled.run(given, stalls, seed=1)
        for name, net in nets.items():
            assert np.array_equal(outputs[name], net.run(inputs[name])["label"]), name
