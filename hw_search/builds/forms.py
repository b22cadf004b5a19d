"""The forms a network takes on its way to hardware, each run on the same samples for the certificate."""

import numpy as np
import torch
from torch import Tensor, nn

from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.lowering.execution import run
from zerocross.finn_flows.lowering.lower import Lowered
from zerocross.reports.build_records import Check

_BATCH = 250


@torch.no_grad()
def torch_logits(model: nn.Module, samples: Tensor) -> np.ndarray:
    """Return the trained network's logits, (N, classes), for samples of bytes."""
    parts = [model(batch.float()).numpy() for batch in samples.split(_BATCH)]
    return np.concatenate(parts)


def qonnx_logits(lowered: Lowered, samples: np.ndarray) -> np.ndarray:
    """Return a QONNX graph's output, (N, classes), computed node by node.

    Functions are rounded as torch rounds them. onnxruntime's sigmoid is exactly 0 below -18, torch's is not, and a sign
    behind it would differ.

    Args:
        lowered: the file as it was read; what runs is the graph before anything was absorbed.
        samples: as the file's input has them, (N, ...).
    """
    return run(lowered.original, samples).reshape(len(samples), -1)


def integer_logits(net: IntegerNetwork, inputs: np.ndarray) -> np.ndarray:
    """Return the integer network's logits, (N, classes), batch by batch.

    Args:
        net: the network.
        inputs: as `IntegerNetwork.run` takes them.
    """
    last = logits_layer(net)
    parts = [net.run(inputs[start : start + _BATCH])[last] for start in range(0, len(inputs), _BATCH)]
    return np.concatenate(parts).reshape(len(inputs), -1)


def logits_layer(net: IntegerNetwork) -> str:
    """Return the name of the layer whose largest output is the class: a product, or a pool or flatten behind it."""
    return net.network.layers[-1].inputs[0]


def stream_elements(net: IntegerNetwork, inputs: np.ndarray) -> np.ndarray:
    """Lay inputs out as the design's stream has them: (N, elements), bits as 0 and 1."""
    flat = inputs.reshape(len(inputs), -1)
    return (flat > 0).astype(np.int64) if net.network.input.bits == 1 else flat


def classes(logits: np.ndarray) -> np.ndarray:
    """Return the index of the largest logit of each sample; of equals the first."""
    return logits.argmax(axis=1)


def compare(
    left: str, right: str, compared: str, one: np.ndarray, other: np.ndarray, note: str = ""
) -> Check:
    """Count the samples in which two forms differ.

    Args:
        left: a form's name.
        right: another's.
        compared: "classes" or "logits".
        one: classes (N,) or logits (N, classes) of the left one.
        other: the same of the right one.
        note: on how they were run.
    """
    differ = (np.asarray(one) != np.asarray(other)).reshape(len(one), -1).any(axis=1)
    return Check(left, right, len(one), compared, int(differ.sum()), note)
