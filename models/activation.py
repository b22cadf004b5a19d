"""An expression as a torch module with learnable per-channel parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zerocross.models.expressions import Expression


def evaluate(expression: Expression, x: Tensor, parameters: Sequence[Tensor | float]) -> Tensor:
    """Evaluate an expression.

    Args:
        expression: Expression to evaluate.
        x: Values of its variable, any shape.
        parameters: One value for each learnable parameter, in the order of `Expression.nodes`; tensors broadcast
            against x.

    Returns:
        A tensor of x's shape.
    """
    remaining = iter(parameters)

    def visit(node: Expression) -> Tensor:
        if node.name == "x":
            return x
        if node.name == "number":
            # Rounded on the CPU and written by a kernel: a CUDA graph cannot capture a copy from the host.
            value = torch.tensor(node.value, dtype=x.dtype).item()
            return torch.full((), value, dtype=x.dtype, device=x.device)
        operands = [visit(operand) for operand in node.operands]
        operation = node.operation
        learned = [
            torch.as_tensor(next(remaining), dtype=x.dtype, device=x.device) for _ in operation.initial
        ]
        return operation.function(*operands, *learned).to(x, non_blocking=True)

    result = visit(expression)
    return result if result.shape == x.shape else result.expand_as(x)


class ActivationFunction(nn.Module):
    """The function f of an activation slot: an expression with learnable parameters for each channel.

    Shapes: input and output (N, C) or (N, C, H, W).

    Args:
        expression: Function.
        channels: C.
    """

    def __init__(self, expression: Expression, channels: int) -> None:
        super().__init__()
        self.expression = expression
        self.learned = nn.ParameterList(
            nn.Parameter(torch.full((channels,), value)) for value in expression.initial_parameters()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function elementwise."""
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return evaluate(self.expression, x, [parameter.reshape(shape) for parameter in self.learned])

    def extra_repr(self) -> str:
        """Show the expression in the module's text."""
        return str(self.expression)
