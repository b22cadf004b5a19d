"""A design small enough to simulate bit by bit and to place and route in seconds."""

from pathlib import Path

import numpy as np

from zerocross.finn_flows.crossings import from_bits
from zerocross.finn_flows.network import Grid
from zerocross.finn_flows.nodes import CrossingSite, LabelSelect, Product
from zerocross.finn_flows.rtl.design import INPUT, Design, Element, Generated, generate


def small_design(bits: int = 1, inputs: int = 60) -> Design:
    """Product, crossings, product, label: 60 inputs of so many bits, 16 hidden bits, 10 classes."""
    rng = np.random.default_rng([bits, inputs])
    first = Product.of(rng.choice([-1, 1], (16, inputs)), 4, 6, bits)
    levels = inputs * (2**bits - 1) + 1
    rows = np.zeros((16, levels), np.uint8)
    for row in rows:  # where sums are likely to fall
        row[rng.integers(levels // 3, 2 * levels // 3, 2)] = 1
    table = from_bits(Grid(0, levels - 1, 1), np.bitwise_xor.accumulate(rows, axis=1))
    second = Product.of(rng.choice([-1, 1], (10, 16)), 2, 4)
    return Design(
        first.inputs["s"],
        (
            Element("hidden", "0", first, ((INPUT, "s"),)),
            Element("hidden_activation", "0", CrossingSite.of(table, 4), (("hidden", "m"),)),
            Element("classes", "1", second, (("hidden_activation", "m"),)),
            Element("label", "1", LabelSelect(second.outputs["m"]), (("classes", "m"),)),
        ),
    )


def built(design: Design, folder: Path) -> Generated:
    """Write a small design."""
    return generate(design, folder, "small_design")


def labels(design: Design, samples: np.ndarray) -> np.ndarray:
    """Compute a small design's answers (N, 1): its nodes are in a row."""
    for element in design.elements:
        (samples,) = element.node.reference(samples)
    return samples
