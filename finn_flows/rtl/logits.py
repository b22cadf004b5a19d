"""Conversion of the hardware's logits to those of the integer network."""

from dataclasses import dataclass

import numpy as np

from zerocross.finn_flows.nodes import Bias, GroupedProduct, Product, WiredCount
from zerocross.finn_flows.nodes.node import HardwareNode
from zerocross.finn_flows.rtl.design import Design


@dataclass(frozen=True)
class ScoreScale:
    """The unit of the scores that a design answers: a score of the network is factor * value + offset."""

    factor: int
    offset: int


def network_logits(stream: np.ndarray, product: HardwareNode, bias: HardwareNode | None = None) -> np.ndarray:
    """Return logits in the network's units from the stream (N, elements) of logits.

    Args:
        stream: Accumulators of the last product, with bias if there is one.
        product: Last product, or the counts of a last sparse layer.
        bias: Bias node after the last product, or None.
    """
    assert isinstance(product, Product | WiredCount)
    if not isinstance(bias, Bias):
        return product.network_values(stream)
    if bias.has_factors:  # the biases contain the difference
        return stream
    # A popcount p is (a + K) / 2. The bias node shifts it by one more place than the network does, which gives a + K,
    # so K shifted by the network's shift must be subtracted. Sparse layers count a + K if they do not count p.
    halved = product.is_popcount
    from_zero = halved or isinstance(product, WiredCount)
    return stream - (product.fan_in << (bias.shift - halved)) if from_zero else stream


def logit_scale(design: Design, count: int) -> ScoreScale:
    """Return what makes a design's stream of logits the network's.

    Args:
        design: The design.
        count: Number of logits.
    """
    zero, one = (design_logits(design, np.full((1, count), value)) for value in (0, 1))
    factors, offsets = set((one - zero).ravel().tolist()), set(zero.ravel().tolist())
    assert len(factors) == len(offsets) == 1, "the hardware compares values of one unit"
    return ScoreScale(factors.pop(), offsets.pop())


def design_logits(design: Design, stream: np.ndarray) -> np.ndarray:
    """Return a design's logits in the network's units; see `network_logits`."""
    nodes = [element.node for element in design.elements]
    product = next(
        node for node in reversed(nodes) if isinstance(node, Product | GroupedProduct | WiredCount)
    )
    bias = next((node for node in reversed(nodes) if isinstance(node, Bias)), None)
    return network_logits(stream, product, bias)
