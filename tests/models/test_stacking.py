"""A stack against its networks: equal logits, equal gradients, equal training."""

import itertools
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.models.strategies import expressions
from zerocross.models.activation import ActivationFunction
from zerocross.models.data import load
from zerocross.models.errors import ModelError
from zerocross.models.expressions import Expression, parse
from zerocross.models.fitting import Fit
from zerocross.models.layers import BinaryLinear, InputQuant, LogitScale, install
from zerocross.models.operations import OPERATIONS, register_operation
from zerocross.models.stacking import StackedFunction, Unstackable, check_stack, stack, unstack
from zerocross.models.topologies import build
from zerocross.models.training import TrainingFailure, TrainingSettings, accuracy, train, train_together

TEXTS = (
    "x",
    "add(sin(x), scale(x))",
    "mix(cos(x), shift(x))",
    "sub(learned, abs(x))",
    "sin(mul(3, x))",
    "gate(mix(x, learned), scale(shift(x)))",
    "x",
)

TOPOLOGIES = {
    "mlp": {"hidden": [12, 8]},
    "mlp with dropout and bits": {"hidden": [8], "dropout": 0.2, "input_bits": 1},
    "cnv": {"blocks": [[4, 6]], "dense": [8], "padding": 1, "pool": [True]},
    "resnete": {"widths": [4, 8], "blocks": [1, 1], "dynamic": "threshold"},
    "bireal": {"widths": [4], "blocks": [1], "weight_bits": 1, "input_bits": 1},
    "reactnet_resnet": {"widths": [4, 8], "blocks": [1, 1], "dynamic": "threshold_and_shift"},
    "reactnet_mobilenet": {"widths": [4, 8], "blocks": [1, 1], "shortcut_bits": 4},
    "nasb": {"widths": [4], "operations": [["depthwise3", "pool", "dilated3"]]},
}


def network(name: str, text: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = build(name.split(" ", maxsplit=1)[0], (1, 8, 8), 10, TOPOLOGIES[name])
    install(model, [parse(text)])
    return model


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_a_stack_answers_and_learns_as_its_networks_do(name: str) -> None:
    torch.manual_seed(1)
    x = torch.randint(0, 256, (6, 1, 8, 8)).float()
    models = [network(name, text, seed) for seed, text in enumerate(TEXTS)]
    for model in models:  # different batch norms
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                nn.init.normal_(module.bias)
                nn.init.normal_(module.running_mean)
    stacked = stack(models)
    torch.testing.assert_close(stacked.eval()(x), torch.cat([model.eval()(x) for model in models], dim=1))
    if "dropout" in name:
        return
    answers = [model.train()(x) for model in models]
    together = stacked.train()(x)
    torch.testing.assert_close(together, torch.cat(answers, dim=1))
    (together**2).sum().backward()
    torch.stack([(answer**2).sum() for answer in answers]).sum().backward()
    expected = [dict(model.named_parameters()) for model in models]
    state = [{key: value.clone() for key, value in model.state_dict().items()} for model in models]
    gradients = [
        {key: value.grad for key, value in own.items() if value.grad is not None} for own in expected
    ]
    with torch.no_grad():  # gradients are unstacked like weights
        unstack(stacked, models)
        for model, kept in zip(models, state, strict=True):
            for key, value in model.state_dict().items():
                torch.testing.assert_close(value.float(), kept[key].float(), msg=key)
        for parameter in stacked.parameters():
            parameter.copy_(torch.zeros(()) if parameter.grad is None else parameter.grad)
        unstack(stacked, models)
    for model, own in zip(models, gradients, strict=True):
        for key, value in own.items():
            torch.testing.assert_close(model.get_parameter(key), value, rtol=1e-3, atol=1e-3, msg=key)


@pytest.mark.parametrize("method", ["straight_through", "self_binarizing"])
@pytest.mark.parametrize("name", ["mlp", "cnv", pytest.param("reactnet_resnet", marks=pytest.mark.slow)])
def test_training_together_is_training_alone(name: str, method: str) -> None:
    """A low rate, so that rounding changes no weight's sign."""
    data = load("digits", limit=300)
    how = TrainingSettings(2, 64, 1e-5, augment="flip", method=method)  # type: ignore[arg-type]
    alone, together = ([network(name, text) for text in TEXTS] for _ in range(2))
    expected = [train(model, data, how, 3) for model in alone]
    found = train_together(together, data, how, 3)
    for one, other, wanted, got in zip(alone, together, expected, found, strict=True):
        assert not isinstance(got, TrainingFailure)
        assert (wanted is None) == (got is None)
        right = accuracy(one, data.validation), accuracy(other, data.validation)
        assert abs(right[0] - right[1]) <= 2 / len(data.validation)
        for (key, value), (_, twin) in zip(one.named_parameters(), other.named_parameters(), strict=True):
            torch.testing.assert_close(value, twin, rtol=1e-3, atol=1e-4, msg=key)


def test_one_that_fails_takes_no_other_with_it() -> None:
    data = load("digits", limit=200)
    texts = ["x", "log(sub(x, x))", "div(x, sub(x, x))", "sin(x)"]
    models = [network("mlp", text) for text in texts]
    with torch.no_grad():
        models[2].get_parameter("dense1.weight").fill_(float("nan"))
    found = train_together(models, data, TrainingSettings(1, 64), 0)
    assert [isinstance(result, TrainingFailure) for result in found] == [False, False, True, False]
    assert all(torch.isfinite(p).all() for p in models[3].parameters())


def test_lost_networks_are_noticed_and_leave_the_others_alone() -> None:
    """The others end bit by bit as in a stack without any check; a stack of lost networks ends at once."""
    data, how = load("digits", limit=300), TrainingSettings(4, 64)
    register_operation("zigzag", lambda x: torch.asin(torch.sin(x)))
    epochs: list[int] = []
    try:
        texts = ["x", "zigzag(x)", "sin(x)"]
        seen = [network("mlp", text) for text in texts]
        found = train_together(seen, data, how, 0, after_epoch=lambda epoch, loss: epochs.append(epoch))
        unseen = [network("mlp", text) for text in texts]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Fit, "_find_lost", lambda self: None)
            train_together(unseen, data, how, 0)
        for one, other in zip(seen, unseen, strict=True):
            for key, value in one.state_dict().items():
                assert torch.equal(value.nan_to_num(-7.0), other.state_dict()[key].nan_to_num(-7.0)), key
        assert [isinstance(each, TrainingFailure) for each in found] == [False, True, False]
        assert epochs == [1, 2, 3, 4]
        assert re.fullmatch(
            r"the gradient of the activation zigzag\(x\) is not finite, such as at x = 1.571: \S+ is no longer finite after "
            r"epoch [123]",
            str(found[1]),
        )
        epochs.clear()
        lost = train_together(
            [network("mlp", "zigzag(x)") for _ in range(3)],
            data,
            TrainingSettings(40, 64),
            0,
            after_epoch=lambda epoch, loss: epochs.append(epoch),
        )
        assert all("is no longer finite after epoch" in str(failure) for failure in lost)
        assert len(epochs) < 8
    finally:
        del OPERATIONS["zigzag"]


class Mixing(nn.Module):
    """A user's own forward that separates channels."""

    def __init__(self) -> None:
        super().__init__()
        self.input, self.flat = InputQuant(8), nn.Flatten()
        self.left, self.right = BinaryLinear(32, 3), BinaryLinear(32, 3)
        self.scale = LogitScale(32)

    def forward(self, x: Tensor) -> Tensor:
        x = self.flat(self.input(x))
        hidden = self.left(x[:, :32]) + self.right(x[:, 32:])
        return self.scale(hidden.flip(1))


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain


def test_what_cannot_be_stacked_is_refused() -> None:
    x = torch.randint(0, 256, (5, 1, 8, 8)).float()
    models = [Mixing(), Mixing()]
    with pytest.raises(Unstackable, match="treats the channels"):
        check_stack(stack(models), models, x)
    with pytest.raises(Unstackable, match=r"1\.0 \(Own\) cannot be stacked"):
        stack([nn.Sequential(nn.Flatten(), nn.Sequential(Own())) for _ in range(2)])
    assert issubclass(Unstackable, ModelError)


@settings(max_examples=60, deadline=None)
@given(trees=st.lists(expressions(), min_size=1, max_size=6), image=st.booleans())
def test_functions_are_evaluated_together_as_alone(trees: list[Expression], image: bool) -> None:
    torch.manual_seed(0)
    functions = [ActivationFunction(tree, 3) for tree in trees]
    for function in functions:
        for parameter in function.learned:
            nn.init.normal_(parameter)
    shape = (4, 3 * len(trees), *((2, 2) if image else ()))
    x = torch.randn(shape)
    parts = x.split(3, dim=1)
    expected = torch.cat([f(part) for f, part in zip(functions, parts, strict=True)], dim=1)
    stacked = StackedFunction(functions)
    torch.testing.assert_close(stacked(x), expected, equal_nan=True)
    for index, function in enumerate(functions):
        state = stacked.unstack(index)
        assert state.keys() == function.state_dict().keys()
        assert all(torch.equal(state[key], value) for key, value in function.state_dict().items())


def test_the_tree_of_calls_grows_with_operations_not_with_networks() -> None:
    trees = [
        parse(f"{b}({u}(x), {v}(x))")
        for b, u, v in itertools.product(("add", "max"), *[("sin", "cos", "abs")] * 2)
    ]
    stacked = StackedFunction([ActivationFunction(tree, 2) for tree in trees])
    calls = [module for module in stacked.modules() if type(module).__name__ == "_Call"]
    assert len(trees) == 18 and len(calls) == 2 + 2 * (3 + 1)
