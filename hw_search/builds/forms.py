"""The forms of a network between torch and hardware. The certificate runs each on the same samples."""

import numpy as np
import torch
from torch import Tensor, nn

from zerocross.finn_flows.coverage import Watch
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.lowering.absorbing.scores import Scores
from zerocross.finn_flows.lowering.lower import Lowered
from zerocross.finn_flows.network import Activation, Flatten, Layer
from zerocross.reports.build_records import Check

_BATCH = 250


@torch.no_grad()
def torch_logits(model: nn.Module, samples: Tensor) -> np.ndarray:
    """Return the trained network's logits, (N, classes), for samples with values 0 to 255."""
    parts = [model(batch.float()).numpy() for batch in samples.split(_BATCH)]
    return np.concatenate(parts)


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
    """Return the name of the layer of logits: what the label select reads, or the activation that makes its only bit."""
    decision = _decision(net)
    return net.network.layers[-1].inputs[0] if decision is None else decision.inputs[0]


def _decision(net: IntegerNetwork) -> Layer | None:
    """Return the activation of a single logit; None for several logits."""
    layers = net.network.inputs()
    source = layers[net.network.layers[-1].inputs[0]]
    while isinstance(source, Layer) and isinstance(source.operation, Flatten):
        source = layers[source.inputs[0]]
    return source if isinstance(source, Layer) and isinstance(source.operation, Activation) else None


def class_count(net: IntegerNetwork) -> int:
    """Return the number of classes that a network can answer."""
    return max(2, net.network.shapes()[logits_layer(net)][-1])


def stream_elements(net: IntegerNetwork, inputs: np.ndarray) -> np.ndarray:
    """Return inputs in the order of the design's input stream, (N, elements), with bits as 0 and 1."""
    flat = inputs.reshape(len(inputs), -1)
    return (flat > 0).astype(np.int64) if net.network.input.bits == 1 else flat


def stream_classes(outputs: np.ndarray) -> np.ndarray:
    """Return the classes (N,) of a design's outputs (N, elements): the only element, or the first of the largest scores."""
    return outputs[:, 0] if outputs.shape[1] == 1 else classes(outputs)


def classes(logits: np.ndarray) -> np.ndarray:
    """Return the index of the largest logit of each sample; the first one for ties."""
    return logits.argmax(axis=1)


def integer_classes(net: IntegerNetwork, logits: np.ndarray) -> np.ndarray:
    """Return the classes (N,) of the integer network's logits; of a single logit, its bit."""
    decision = _decision(net)
    return (
        classes(logits) if decision is None else net.tables[decision.name].bits(logits)[:, 0].astype(np.int64)
    )


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


def compare_with_file(lowered: Lowered, samples: np.ndarray, scores: Scores, found: np.ndarray) -> Check:
    """Count the samples on which classes from integers differ from the file's, and those that are ties.

    A sample is a tie if the file gives the integers' class when its sums change by no more than float32's rounding, in any
    layer; see `zerocross.finn_flows.lowering.absorbing.scores`. More ties than rounding can explain are differences, and so
    are samples on which another executor finds other classes for the file as it is.

    Args:
        lowered: The file's network.
        samples: Samples, (N, ...).
        scores: The file's scores of them.
        found: The integers' classes, (N,).
    """
    wrong, note = scores.classes != found, ""
    differ = np.flatnonzero(wrong)
    if len(differ):
        led = lowered.scores(samples[differ], led=True)
        tied = differ[led.explained & led.allow(found[differ])]
        if len(tied) <= _few(len(found)):
            wrong[tied] = False
    ties = len(differ) - int(wrong.sum())
    untouched = lowered.untouched_classes(samples)
    if untouched is not None:
        executor, theirs = untouched
        others = theirs != scores.classes[: len(theirs)]
        if others.sum() > _few(len(theirs)):
            wrong[: len(theirs)] |= others
        note = f"the first {len(theirs)} also by {executor}, on the file as it is"
    return Check("QONNX", "integers", len(found), "classes", int(wrong.sum()), note, ties=ties)


def _few(samples: int) -> int:
    """Return on how many samples rounding may change the class, at most."""
    return max(2, samples // 10)
