"""A trained network as a QONNX file."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

_OPSET = 13  # of the exported graph


def export(model: nn.Module, input_shape: tuple[int, ...], path: Path) -> None:
    """Write a trained Brevitas network as QONNX."""
    from brevitas.export import export_qonnx

    # torch's exporter does not know erfc.
    torch.onnx.register_custom_op_symbolic("aten::erfc", _erfc, _OPSET)
    export_qonnx(model.eval().cpu(), args=torch.zeros(1, *input_shape), export_path=str(path), dynamo=False)


def _erfc(graph: Any, x: Any) -> Any:
    one = graph.op("Constant", value_t=torch.tensor(1.0))
    return graph.op("Sub", one, graph.op("Erf", x))
