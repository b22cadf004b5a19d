"""The certificate: forms that agree, and manipulated hardware that differs."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.hw_search.extraction.test_extraction import pixels, settle
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.coverage import measure
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.lowering.absorbing.scores import Scores
from zerocross.finn_flows.lowering.lower import Lowered, lower
from zerocross.finn_flows.nodes import Product
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl import streaming
from zerocross.finn_flows.rtl.design import Design, with_fifos
from zerocross.finn_flows.rtl.streaming import Streamed
from zerocross.hw_search.builds import certificate
from zerocross.hw_search.builds.certificate import certify, certify_netlist
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.builds.forms import stream_elements, torch_logits
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.builds.results import Simulated
from zerocross.hw_search.builds.subject import Images
from zerocross.hw_search.errors import UserError
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.models.topologies import build


@dataclass(frozen=True)
class Trained:
    """A subject that provides only logits."""

    model: nn.Module
    wrong: int = 0

    def logits(self, folder: Path, samples: Tensor) -> np.ndarray:
        found = torch_logits(self.model, samples)
        found[: self.wrong] = -found[: self.wrong]
        return found


@dataclass(frozen=True)
class Case:
    """A network in all its forms."""

    model: nn.Module
    lowered: Lowered
    design: Design
    images: Images

    @property
    def net(self) -> IntegerNetwork:
        return self.lowered.network


def case(model: nn.Module, shape: tuple[int, ...], folder: Path) -> Case:
    export(settle(model), shape, folder / "model.onnx")
    lowered = lower(folder / "model.onnx")
    design = assemble(plan(lowered.network.network, Folding(target_cycles=200)), lowered.network)
    x = pixels(shape, 40)
    labels = lowered.network.run(lowered.quantize(x.numpy().astype(np.float32)))["label"][:, 0]
    labels[:10] += 1  # three of four are right
    return Case(model, lowered, design, Images(x, torch.from_numpy(labels), "forty samples"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Case:
    torch.manual_seed(3)
    model = build("mlp", (9,), 4, {"hidden": [8], "input_bits": 1})
    install(model, [parse("add(sin(x), x)")])
    return case(model, (9,), tmp_path_factory.mktemp("small"))


def certified(
    which: Case, folder: Path, runtime: Path, design: Design | None = None, wrong: int = 0
) -> Simulated:
    options = BuildOptions("ulx3s-25f")
    job: Any = SimpleNamespace(
        subject=Trained(which.model, wrong), folder=folder, cache=runtime, options=options
    )
    built: Any = SimpleNamespace(bare=which.design, complete=design or with_fifos(which.design, 2))
    shares: list[float] = []

    def report(share: float, note: str) -> None:
        shares.append(share)

    result = certify(job, which.lowered, which.net, built, which.images, report)
    assert shares == sorted(shares)
    return result


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the simulator by the nodes' numpy references."""

    class Streaming:
        def __init__(self, design: Design, taps: Any) -> None:
            self.design, self.taps = design, taps

        def stream(self, samples: np.ndarray, **options: Any) -> Streamed:
            values = self.design.run(samples)
            taps = {name: values[name, "m"] for name in self.taps}
            return Streamed(values[self.design.elements[-1].name, "m"], taps, 5.0, 9, 100, ())

    def compile_streaming(design: Design, folder: Path, taps: Any = (), *rest: Any, **options: Any) -> Any:
        return Streaming(design, taps), None

    monkeypatch.setattr(certificate, "compile_streaming", compile_streaming)
    monkeypatch.setattr(streaming, "compile_streaming", compile_streaming)


def test_forms_that_agree_are_certified(small: Case, tmp_path: Path, runtime: Path) -> None:
    result = certified(small, tmp_path, runtime)
    assert result.test_set == "forty samples" and result.images == 40
    assert result.accuracy == 0.75
    checks = [(check.left, check.right, check.compared, check.images) for check in result.checks]
    assert checks == [
        ("torch", "QONNX", "classes", 40),
        ("QONNX", "integers", "classes", 40),
        ("integers", "FINN graph", "logits", 40),
        ("FINN graph", "RTL", "logits", 40),
        ("RTL's logits", "RTL's classes", "classes", 40),
        ("RTL", "RTL, stalled", "classes", 24),
    ]
    assert not any(check.differences for check in result.checks)
    inputs = small.lowered.quantize(small.images.x.numpy().astype(np.float32))
    assert result.exercise is not None
    assert asdict(result.exercise) == {
        **asdict(found := measure(small.net, inputs)),
        "layers": [asdict(layer) for layer in found.layers],
    }
    assert result.exercise.samples == 40 and result.exercise.total("crossings") > 0
    assert result.interval is not None
    assert result.interval >= max(small.design.intervals().values()) <= result.latency < result.cycles


def flipped(memory: str) -> Callable[..., Any]:
    """Return a variant of `generate` that flips one bit in a memory file."""
    generate = streaming.generate

    def wrong(design: Design, folder: Path, *options: Any) -> Any:
        generated = generate(design, folder, *options)
        lines = (folder / memory).read_text().splitlines()
        lines[0] = f"{int(lines[0], 16) ^ 1:0{len(lines[0])}x}"
        (folder / memory).write_text("\n".join(lines) + "\n")
        return generated

    return wrong


def test_a_wrong_weight_in_the_hardware_is_caught_and_its_node_named(
    small: Case, tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "generate", flipped("dense1_product_weights.mem"))
    message = (
        r"the hardware does not match the integer network: .* differ in \d+ of \d+ images; "
        r"dense1_product: element \d+ of"
    )
    with pytest.raises(UserError, match=message):
        certified(small, tmp_path, runtime)


def test_a_trained_network_that_says_otherwise_is_counted_and_no_fault_of_the_hardware(
    small: Case, tmp_path: Path, runtime: Path, simulated: None
) -> None:
    result = certified(small, tmp_path, runtime, wrong=7)
    assert [check.differences for check in result.checks] == [7, 0, 0, 0, 0, 0]


def test_integers_that_are_not_the_file_stop_the_build(
    small: Case, tmp_path: Path, runtime: Path, simulated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = Lowered.scores

    def other(*given: Any, **options: Any) -> Scores:
        found = scores(*given, **options)
        found.values[:3] = -found.values[:3]
        return found

    monkeypatch.setattr(Lowered, "scores", other)
    with pytest.raises(
        UserError,
        match="the integer network does not match the QONNX file: QONNX and integers differ in 3 of 40",
    ):
        certified(small, tmp_path, runtime)


def test_a_class_that_only_rounding_decides_is_a_tie_and_no_difference(
    small: Case, tmp_path: Path, runtime: Path, simulated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = Lowered.scores

    def other(*given: Any, **options: Any) -> Scores:
        found = scores(*given, **options)
        first = len(found.values) // 4  # behind those that another executor runs
        for row in range(first, first + 3):
            label = found.classes[row]
            found.values[row, (label + 1) % 4] = found.values[row, label] + found.rounding[row, label]
        return found

    monkeypatch.setattr(Lowered, "scores", other)
    check = certified(small, tmp_path, runtime).checks[1]
    assert (check.left, check.right, check.differences, check.ties) == ("QONNX", "integers", 0, 3)


def test_a_design_put_together_wrongly_is_caught(
    small: Case, tmp_path: Path, runtime: Path, simulated: None
) -> None:
    elements = list(small.design.elements)
    for index, element in enumerate(elements):
        if isinstance(element.node, Product) and element.layer == "classifier":
            node = replace(element.node, weights=np.roll(element.node.weights, 1, axis=0))
            elements[index] = replace(element, node=node)
    with pytest.raises(UserError, match=r"FINN graph and RTL differ in \d+ of 40 images"):
        certified(small, tmp_path, runtime, replace(small.design, elements=tuple(elements)))


def test_a_file_without_a_trained_network_has_a_check_less(
    small: Case, tmp_path: Path, runtime: Path, simulated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trained, "logits", lambda *_: None)
    assert certified(small, tmp_path, runtime).checks[0].left == "QONNX"


def test_a_netlist_that_answers_otherwise_is_caught(
    small: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zerocross.finn_flows.chip.cells import Cells
    from zerocross.finn_flows.chip.synthesis import Synthesis

    inputs = small.lowered.quantize(small.images.x.numpy().astype(np.float32))
    answers = small.net.run(inputs)["label"]

    class Streaming:
        def __init__(self, design: Design, simulator: Any) -> None:
            pass

        def stream(self, samples: np.ndarray) -> Streamed:
            assert (samples == stream_elements(small.net, inputs)).all()
            return Streamed(answers, {}, 5.0, 9, 100, ())

    monkeypatch.setattr(certificate, "compile_design", lambda *_: None)
    monkeypatch.setattr(certificate, "netlist_sources", lambda mapped: [])
    monkeypatch.setattr(certificate, "CompiledDesign", Streaming)
    mapped = Synthesis("top", "ecp5", Cells(), {}, tmp_path, tmp_path)
    job: Any = SimpleNamespace(folder=tmp_path, cache=tmp_path)
    built: Any = SimpleNamespace(complete=small.design)
    check = certify_netlist(job, mapped, small.net, built, inputs)
    assert (check.right, check.images, check.differences) == ("netlist", 40, 0) and "ecp5" in check.note
    answers = answers.copy()
    answers[3] += 1
    with pytest.raises(
        UserError, match="the mapped netlist does not match the integer network: .* differ in 1 of 40 images"
    ):
        certify_netlist(job, mapped, small.net, built, inputs)
