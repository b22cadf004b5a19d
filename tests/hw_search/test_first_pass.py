"""Networks of a user's own topologies run once before a search."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.hw_search.conftest import CONTENT
from zerocross.hw_search.config import make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.evaluation import load_data
from zerocross.hw_search.first_pass import check_networks, gradient_notes
from zerocross.hw_search.forecast import forecast
from zerocross.hw_search.pipeline import search
from zerocross.hw_search.plugins import import_plugins
from zerocross.hw_search.space import Space
from zerocross.models.layers import InputQuant
from zerocross.models.operations import OPERATIONS, register_operation
from zerocross.models.topologies import TOPOLOGIES

NET = """
import torch
from torch import nn
from zerocross.models.layers import ActivationSlot, BinaryLinear, InputQuant, LogitScale
from zerocross.models.topologies import register_topology

class Net(nn.Module):
    def __init__(self, classes, width):
        super().__init__()
        self.input, self.flatten = InputQuant(1), nn.Flatten()
        self.first, self.sign = BinaryLinear(64, width), ActivationSlot(width)
        self.classifier, self.scale = BinaryLinear(width, classes), LogitScale(width)

    def forward(self, x):
        x = self.sign(self.first(self.flatten(self.input(x))))
        return self.scale(self.classifier(x))

@register_topology("own")
def own(input_shape: tuple[int, ...], classes: int, width: int = 8) -> nn.Module:
    return Net(classes, width)
"""


@pytest.fixture
def space_of(tmp_path: Path) -> Iterator[Callable[..., Space]]:
    def make(*replaced: str) -> Space:
        text = NET
        for one, other in zip(replaced[::2], replaced[1::2], strict=True):
            assert one in text
            text = text.replace(one, other)
        file = tmp_path / "own.py"
        file.write_text(text)
        import_plugins([str(file)])
        topology = {"name": "own", "width": {"choose": [8, 16]}}
        return Space(
            make_config({**CONTENT, "topology": topology, "output": str(tmp_path / "runs")}), (1, 8, 8), 10
        )

    yield make
    TOPOLOGIES.pop("own", None)


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        (
            ("BinaryLinear(width, classes)", "BinaryLinear(width + width // 16, classes)"),
            r"topology 'own' fails with width=16: classifier \(BinaryLinear\) reads a tensor of shape \(4, 16\): mat1 and "
            r"mat2 shapes cannot be multiplied \(4x16 and 17x10\)\. Correct this layer, or what it reads, in .*own\.py, "
            "line 16",
        ),
        (
            ("self.classifier(x)", "self.classifier(y)"),
            r"'own' fails with width=8: NameError: name 'y' is not defined\. Correct .*own\.py, line 16",
        ),
        (
            ("return Net(classes, width)", "return Net(classes, wide)"),
            r"'own' cannot be built with width=8: NameError: name 'wide' is not defined\. Correct .*own\.py, line 20",
        ),
        (
            ("BinaryLinear(width, classes)", "BinaryLinear(width, 3)"),
            r"for 4 samples it returns \(4, 3\), not \(4, 10\)\. Return a logit for each of the 10 classes, in .*own\.py",
        ),
        (
            ("        return self.scale", "        y = x * x\n        x += y\n        return self.scale"),
            r"'own' fails with width=8 in its backward pass: .*inplace operation.* write x = x \+ y, not x \+= y",
        ),
        (
            ("self.scale(self.classifier(x))", "self.scale(self.classifier(x)).detach()"),
            r"'own' fails with width=8 in its backward pass: .*does not require grad.* use differentiable operations",
        ),
    ],
)
def test_a_fault_is_named(space_of: Callable[..., Space], replaced: tuple[str, ...], message: str) -> None:
    space = space_of(*replaced)
    with pytest.raises(UserError, match=message):
        check_networks(space, load_data(space.config.data))


def test_searches_and_forecasts_end_before_anything_is_written(
    space_of: Callable[..., Space], tmp_path: Path
) -> None:
    config = space_of("BinaryLinear(width, classes)", "BinaryLinear(width + 1, classes)").config
    for start in (search, forecast):
        with pytest.raises(UserError, match=r"classifier \(BinaryLinear\) reads a tensor"):
            start(config)
    assert not (tmp_path / "runs").exists()


def test_own_operations_without_a_finite_gradient_are_said() -> None:
    def notes(**activation: Any) -> list[str]:
        content = {**CONTENT, "topology": {"name": "mlp", "hidden": [8]}, "activation": activation}
        return gradient_notes(Space(make_config(content), (1, 8, 8), 10))

    register_operation("zigzag", lambda x, s: torch.asin(torch.sin(s * x)), initial=(1.0,))
    register_operation("smooth", lambda x, s: torch.asin(0.999 * torch.sin(s * x)), initial=(1.0,))
    try:
        texts = ["sin(x)", "zigzag(x)", "smooth(x)", "zigzag(0.1 * x)", "log(x)"]
        (said,) = notes(encoding="list", expressions=texts)
        assert said == (
            "activation.expressions[1], zigzag(x): the gradient is not finite at x = 1.571. Trainings that meet such a "
            "value fail: see docs/bring-your-own.md."
        )
        (said,) = notes(encoding="pair", unary=["x", "zigzag", "smooth", "sin"], binary=["add"])
        assert said.startswith("activation, the operation zigzag: the gradient is not finite at x = 1.571")
        assert not notes(encoding="pair")
    finally:
        del OPERATIONS["zigzag"], OPERATIONS["smooth"]


@pytest.mark.parametrize(
    "replaced",
    [
        (),
        ("BinaryLinear(width, classes)", "nn.Linear(width + 1, classes)"),  # no hardware: the search says so
        ("return Net(classes, width)", "raise ModelError('width is odd')"),
        ("InputQuant(1)", "InputQuant(8)"),  # Brevitas shares a module among its quantizers
    ],
)
def test_what_is_no_fault_passes(space_of: Callable[..., Space], replaced: tuple[Any, ...]) -> None:
    space = space_of(
        "import torch\n", "import torch\nfrom zerocross.models.errors import ModelError\n", *replaced
    )
    check_networks(space, load_data(space.config.data))
    hooks = [module._forward_hooks for module in InputQuant(8).modules()]
    assert not any(hooks)
