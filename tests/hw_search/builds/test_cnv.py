"""FINN's CNV, as Brevitas exports it, from its file to the counts of its cells."""

from pathlib import Path

import numpy as np
import pytest
import torch

from zerocross.hw_search.builds.builder import build
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.builds.subject import FileSubject


@pytest.mark.slow
def test_cnv_from_its_file_to_its_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from brevitas.export import export_qonnx
    from brevitas_examples.bnn_pynq.models import model_with_cfg

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)
    model, _ = model_with_cfg("CNV_1W1A", pretrained=False)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-8, 8)
            module.running_var.uniform_(20, 60)
    file, data = tmp_path / "cnv.onnx", tmp_path / "test.npz"
    export_qonnx(model.eval(), torch.rand(1, 3, 32, 32), str(file), dynamo=False)
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32))
    np.savez(data, x_test=(images / 255).astype(np.float32))

    options = BuildOptions("xc7z020", images=6)
    made = build(FileSubject(file, data), options, tmp_path / "build").build
    assert made.certificate is not None and made.certificate.checks
    assert {(check.images, check.differences) for check in made.certificate.checks} == {(6, 0)}
    assert made.timing.ii_measured == made.timing.ii_estimate
    finn, counted = 26_072, made.synthesis["7-series"]["lut"]  # FINN's is that of BNN-PYNQ's overlay
    assert counted < finn / 2
