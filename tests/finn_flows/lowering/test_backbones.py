"""This project's residual backbones, exported and lowered, against torch and against their integers read from torch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from brevitas.export import export_qonnx

from tests.models.test_residual import NAMES, SMALL, VARIANTS, settle
from zerocross.finn_flows.lowering.lower import lower
from zerocross.finn_flows.network import Activation
from zerocross.hw_search.extraction.integers import to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.models.topologies import build


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("variant", range(len(VARIANTS) + 1))
def test_every_activation_is_torchs(name: str, variant: int, tmp_path: Path) -> None:
    parameters = [*VARIANTS, {"dynamic": "threshold_and_shift" if "reactnet" in name else "none"}][variant]
    torch.manual_seed(variant)
    shape = (2, 8, 8)
    model = build(name, shape, 4, {**SMALL, **parameters})
    install(model, [parse("add(sin(mul(2, x)), scale(x))")])
    settle(model, variant)
    x = torch.randint(0, 256, (40, *shape)).float()
    expected = to_integer(model, describe(model, shape))
    export_qonnx(model, torch.zeros(1, *shape), str(tmp_path / "model.onnx"), dynamo=False)
    lowered = lower(tmp_path / "model.onnx")
    given = lowered.quantize(x.numpy())
    found, wanted = lowered.network.run(given), expected.run(given)
    with torch.no_grad():
        assert np.array_equal(found["label"][:, 0], model(x).numpy().argmax(axis=1))
    assert np.array_equal(found["label"], wanted["label"])
    # Layers have other names here and there, and come in another order.
    activations = [
        each.name for each in lowered.network.network.layers if isinstance(each.operation, Activation)
    ]
    assert len(activations) == len(expected.tables)
    for activation in expected.tables:
        alike = [each for each in activations if _same(found[each], wanted[activation])]
        assert alike, activation


@pytest.mark.parametrize(
    "operations", [["conv3", "pool", "depthwise3"], ["pool", "none", "dilated3"], ["conv5", "skip", "conv1"]]
)
def test_cells_are_torchs(operations: list[str], tmp_path: Path) -> None:
    """NASB's: pools that pad the stream, convolutions of every reach, sums of several."""
    torch.manual_seed(0)
    shape = (2, 8, 8)
    model = build("nasb", shape, 4, {"operations": [operations], "widths": [4, 6]})
    settle(model, 0)
    x = torch.randint(0, 256, (40, *shape)).float()
    export_qonnx(model, torch.zeros(1, *shape), str(tmp_path / "model.onnx"), dynamo=False)
    lowered = lower(tmp_path / "model.onnx")
    found = lowered.network.run(lowered.quantize(x.numpy()))["label"][:, 0]
    own = to_integer(model, describe(model, shape)).run(np.moveaxis(x.numpy().astype(np.int64), 1, -1))[
        "label"
    ]
    with torch.no_grad():
        expected = model(x).numpy().argmax(axis=1)
    assert np.array_equal(found, expected)
    assert np.array_equal(own[:, 0], expected)


def _same(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Compare levels but for where they are counted from, and for steps in which they all are."""
    if found.shape != wanted.shape:
        return False
    one, other = (each - each.min() for each in (found, wanted))
    step = max(1, np.gcd.reduce(other, axis=None)) // max(1, np.gcd.reduce(one, axis=None))
    return np.array_equal(one * step, other)
