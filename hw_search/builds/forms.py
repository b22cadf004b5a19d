"""The forms of a network between torch and hardware. The certificate runs each on the same samples."""

import numpy as np
import torch
from torch import Tensor, nn

from zerocross.finn_flows.coverage import Watch
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.lowering.execution import run
from zerocross.finn_flows.lowering.lower import Lowered
from zerocross.reports.build_records import Check

_BATCH = 250


@torch.no_grad()
def torch_logits(model: nn.Module, samples: Tensor) -> np.ndarray:
    """Return the trained network's logits, (N, classes), for samples with values 0 to 255."""
    parts = [model(batch.float()).numpy() for batch in samples.split(_BATCH)]
    return np.concatenate(parts)


def qonnx_logits(lowered: Lowered, samples: np.ndarray) -> np.ndarray:
    """Return a QONNX graph's output, (N, classes), computed node by node.

    Functions round as they do in torch. For example, onnxruntime's sigmoid is exactly 0 below -18 and torch's is not, so a
    subsequent sign would differ.

    Args:
        lowered: The file's network. The graph before absorption runs.
        samples: Samples in the format of the file's input, (N, ...).
    """
    return run(lowered.original, samples).reshape(len(samples), -1)


def integer_logits(net: IntegerNetwork, inputs: np.ndarray, watch: Watch | None = None) -> np.ndarray:
    """Return the integer network's logits, (N, classes), computed batch by batch.

    Args:
        net: The network.
        inputs: Inputs in the format of `IntegerNetwork.run`.
        watch: Sees the outputs of all layers.
    """
    last, parts = logits_layer(net), []
    for start in range(0, len(inputs), _BATCH):
        values = net.run(inputs[start : start + _BATCH])
        if watch is not None:
            watch.see(values)
        parts.append(values[last])
    return np.concatenate(parts).reshape(len(inputs), -1)


def logits_layer(net: IntegerNetwork) -> str:
    """Return the name of the layer whose largest output is the class: a product, or a pool or flatten after it."""
    return net.network.layers[-1].inputs[0]


def stream_elements(net: IntegerNetwork, inputs: np.ndarray) -> np.ndarray:
    """Return inputs in the order of the design's input stream, (N, elements), with bits as 0 and 1."""
    flat = inputs.reshape(len(inputs), -1)
    return (flat > 0).astype(np.int64) if net.network.input.bits == 1 else flat


def classes(logits: np.ndarray) -> np.ndarray:
    """Return the index of the largest logit of each sample; the first one for ties."""
    return logits.argmax(axis=1)


def compare(
    left: str, right: str, compared: str, one: np.ndarray, other: np.ndarray, note: str = ""
) -> Check:
    """Count the samples on which two forms differ.

    Args:
        left: Name of a form.
        right: Name of another form.
        compared: "classes" or "logits".
        one: Classes (N,) or logits (N, classes) from the left form.
        other: The same from the right form.
        note: How the forms were run.
    """
    differ = (np.asarray(one) != np.asarray(other)).reshape(len(one), -1).any(axis=1)
    return Check(left, right, len(one), compared, int(differ.sum()), note)
