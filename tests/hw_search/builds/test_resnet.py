"""A narrow ResNetE18, as a search exports it, from its file to the counts of its cells."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes
from torch import Tensor, nn

from tests.models.test_residual import settle
from zerocross.finn_flows.lowering.lower import lower
from zerocross.hw_search.builds.builder import build
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.builds.forms import torch_logits
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.builds.subject import FileSubject
from zerocross.hw_search.extraction.layers import describe
from zerocross.models import topologies

SHAPE, IMAGES = (3, 16, 16), 4


@dataclass(frozen=True)
class Trained(FileSubject):
    """A file with the module that it was exported from."""

    module: nn.Module | None = None

    def logits(self, folder: Path, samples: Tensor) -> np.ndarray:
        assert self.module is not None
        return torch_logits(self.module, samples)


@pytest.mark.slow
def test_a_narrow_resnet_from_its_export_to_its_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)
    model = topologies.build("resnete", SHAPE, 5, {"widths": [4, 6, 8, 12], "blocks": [2, 1, 1, 1]})
    settle(model)
    file, data = tmp_path / "resnet.onnx", tmp_path / "test.npz"
    export(model, SHAPE, file)
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, *SHAPE)).astype(np.float32)
    np.savez(data, x_test=images)

    layers = {layer.name for layer in describe(model, SHAPE).layers if not layer.name.startswith("add")}
    assert layers <= {layer.name for layer in lower(file).network.network.layers}
    wrapped = ModelWrapper(str(file)).transform(InferShapes())
    source, sink = wrapped.graph.input[0].name, wrapped.graph.output[0].name
    found = [execute_onnx(wrapped, {source: image[None]})[sink][0] for image in images]
    logits = torch_logits(model, torch.from_numpy(images))
    assert np.array_equal(np.argmax(found, axis=1), logits.argmax(axis=1))

    options = BuildOptions("xczu3eg", cycles=4096, images=IMAGES)
    made = build(Trained(file, data, module=model), options, tmp_path / "build").build
    assert made.certificate is not None
    names = {check.left for check in made.certificate.checks}
    assert {"torch", "QONNX", "integers", "FINN graph", "RTL"} <= names
    assert {(check.images, check.differences) for check in made.certificate.checks} == {(IMAGES, 0)}
    assert set(made.synthesis) == {"7-series", "ultrascale+"}
