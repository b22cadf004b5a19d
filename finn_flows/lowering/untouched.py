"""A QONNX file as it is, run by an executor of others: onnxruntime for ONNX's own nodes, else qonnx."""

import contextlib
import copy

import numpy as np
import onnxruntime
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

_STANDARD = ("", "ai.onnx", "com.microsoft")
MOST = {"onnxruntime": 20, "qonnx": 5}
"""Samples that each executor runs: qonnx takes seconds for a sample of a large network."""


def run_untouched(model: ModelWrapper, output: str, samples: np.ndarray) -> tuple[str, np.ndarray] | None:
    """Run the first samples through a file, without a change to its nodes.

    Args:
        model: The file.
        output: Name of the output.
        samples: Samples, (N, ...).

    Returns:
        The executor, and the outputs (n, ...) of the first n samples, one by one; None if the executor cannot run the file.
    """
    standard = all(node.domain in _STANDARD for node in model.graph.node)
    executor = "onnxruntime" if standard else "qonnx"
    with contextlib.suppress(Exception):  # both raise errors of many types
        own = ModelWrapper(copy.deepcopy(model.model))
        first = own.graph.input[0].type.tensor_type
        batch = first.shape.dim[0].dim_value or 1
        kind = helper.tensor_dtype_to_np_dtype(first.elem_type)
        rows = [np.repeat(each[None], batch, axis=0).astype(kind) for each in samples[: MOST[executor]]]
        if standard:
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.log_severity_level = 4
            session = onnxruntime.InferenceSession(
                own.model.SerializeToString(), options, ["CPUExecutionProvider"]
            )
            outputs = [session.run([output], {own.graph.input[0].name: row})[0] for row in rows]
        else:
            first.shape.dim[0].dim_value = batch
            own = own.transform(InferShapes())
            outputs = [execute_onnx(own, {own.graph.input[0].name: row})[output] for row in rows]
        return executor, np.stack([np.asarray(each)[0] for each in outputs])
    return None
