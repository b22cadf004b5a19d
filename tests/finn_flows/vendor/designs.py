"""Small designs with every kind of node."""

import numpy as np

from tests.finn_flows.rtl.test_nodes import crossing_table, highest, product
from zerocross.finn_flows.rtl.design import INPUT, Design, Element
from zerocross.finn_flows.rtl.grouped_nodes import GroupedProduct
from zerocross.finn_flows.rtl.nodes import (
    Crossings,
    HardwareNode,
    LabelSelect,
    MaxPool,
    Product,
    Stream,
)
from zerocross.finn_flows.rtl.stream_nodes import InputGenerator, Padding, WindowMaxPool
from zerocross.finn_flows.rtl.sum_nodes import Add, AddVector, Duplicate, SumPool, WindowSumPool


def chain(source: Stream, *nodes: HardwareNode) -> Design:
    elements, before = [], (INPUT, "s")
    for index, node in enumerate(nodes):
        elements.append(Element(f"node{index}", f"layer{index}", "any", node, (before,)))
        before = (f"node{index}", "m")
    return Design(source, tuple(elements))


def single(node: HardwareNode) -> Design:
    return chain(node.inputs["s"], node)


def residual() -> Design:
    """Two products of the same bits, their sum, and its largest element."""
    first = product(12, 10, 3, 2)
    stream = first.inputs["s"]
    twice = Duplicate(stream)
    second = Product(-first.weights[::-1], 2, 3)
    total = Add(first.outputs["m"], second.outputs["m"])
    best = LabelSelect(10, 2, total.outputs["m"].bits)
    return Design(
        stream,
        (
            Element("twice", "fork", "any", twice, ((INPUT, "s"),)),
            Element("first", "first", "product", first, (("twice", "a"),)),
            Element("second", "second", "product", second, (("twice", "b"),)),
            Element("total", "join", "any", total, (("first", "m"), ("second", "m"))),
            Element("best", "best", "label", best, (("total", "m"),)),
        ),
    )


def dynamic() -> Design:
    """An image, and what the sum of all its pixels comes to added to each: the image waits for it, 20 words and more."""
    image = Stream(4 * 5 * 2, 2, 3)
    pool = SumPool((4, 5, 2), (4, 5), 2, 3)
    levels = Crossings(crossing_table(4, 141, 9), 2, "search", bits=2)
    total = AddVector(image, levels.outputs["m"], high=10)
    return Design(
        image,
        (
            Element("twice", "fork", "fork", Duplicate(image), ((INPUT, "s"),)),
            Element("pool", "pool", "pool", pool, (("twice", "a"),)),
            Element("levels", "levels", "crossings", levels, (("pool", "m"),)),
            Element("total", "join", "sum", total, (("twice", "b"), ("levels", "m"))),
        ),
    )


def designs() -> dict[str, tuple[Design, tuple[int, ...]]]:
    """Designs by name, with the shape of their input."""
    image, windows = Padding((5, 6, 4), (1, 1, 1, 1), 2), InputGenerator((7, 8, 4), (3, 3), (2, 1), 2)
    pooled = InputGenerator((6, 7, 6), (3, 3), (2, 2), 2, bits=3, depthwise=True)
    rows, columns, _ = pooled.output_shape
    summed = WindowSumPool(rows * columns, 9, 6, 2, 3, high=63)
    apart = InputGenerator((5, 6, 4), (3, 2), (1, 1), 2, 2, depthwise=True)
    depthwise = np.random.default_rng(0).choice([-1, 1], (4, 6, 1))
    found = {
        "bits": single(product(45, 21, 9, 7)),
        "bytes": single(product(30, 8, 5, 2, bits=8)),
        "bytes_signed": single(product(30, 8, 10, 4, bits=8, offsets=True, ram_style="distributed")),
        "two_bits": single(product(21, 6, 7, 3, bits=2, offsets=True)),
        "pool": single(MaxPool((7, 5, 4), (3, 2), 2)),
        "pool_signed": single(MaxPool((4, 4, 2), (2, 2), 1, bits=5, signed=True)),
        "label": single(LabelSelect(12, 4, 4, signed=True)),
        "many_labels": single(LabelSelect(300, 10, 3)),
        "padded": chain(image.inputs["s"], image, windows, product(36, 6, 2, 3)),
        "overlapping": chain(pooled.inputs["s"], pooled, WindowMaxPool(rows * columns, 9, 6, 2, bits=3)),
        "parallel": single(InputGenerator((5, 6, 4), (3, 2), (2, 1), 4, bits=2, parallel=True)),
        "grouped": chain(apart.inputs["s"], apart, GroupedProduct(depthwise, 4, 2, 1, 2)),
        "dilated": single(InputGenerator((7, 6, 4), (3, 2), (1, 1), 2, bits=2, dilation=(2, 3))),
        "residual": residual(),
        "dynamic": dynamic(),
        "wide_bits": single(product(30, 8, 10, 4, weight_bits=3)),
        "wide_bytes": single(product(12, 6, 4, 3, bits=8, weight_bits=8)),
        "wide_levels_signed": single(product(15, 6, 5, 2, bits=4, weight_bits=4, offsets=True)),
        "sum_pool": single(SumPool((7, 5, 4), (3, 2), 2, 4, high=60)),
        "overlapping_sums": chain(pooled.inputs["s"], pooled, summed),
    }
    for way in ("comparators", "search", "table"):
        found[f"{way}_signed"] = single(Crossings(crossing_table(6, 23, 4, -22, 2), 3, way, by_index=False))
        found[f"{way}_two_bits"] = single(Crossings(crossing_table(12, 27, 7), 3, way, bits=2))
    found["constant"] = single(Crossings(crossing_table(4, 9, 0), 2))
    found["index"] = single(Crossings(crossing_table(6, 23, 4, -22, 2), 3))
    shapes = {"pool": (7, 5, 4), "pool_signed": (4, 4, 2), "padded": (5, 6, 4), "overlapping": (6, 7, 6)}
    shapes |= {
        "parallel": (5, 6, 4),
        "grouped": (5, 6, 4),
        "dilated": (7, 6, 4),
        "dynamic": (4, 5, 2),
        "sum_pool": (7, 5, 4),
        "overlapping_sums": (6, 7, 6),
    }
    return {name: (design, shapes.get(name, (design.input.elements,))) for name, design in found.items()}


def samples(design: Design, count: int, seed: int = 0) -> np.ndarray:
    """Inputs of a design (count, elements), what never comes left out."""
    rng = np.random.default_rng(seed)
    node = design.elements[0].node
    size = (count, design.input.elements)
    if isinstance(node, Crossings):
        grid = node.table.grid
        index = rng.integers(0, len(grid), size)
        return index if node.by_index else grid.low + grid.step * index
    return rng.integers(design.input.range[0], highest(node)[0] + 1, size)


def answers(design: Design, values: np.ndarray) -> np.ndarray:
    """What a design answers, by its records: (N, elements of its output)."""
    streams = {(INPUT, "s"): values}
    for element in design.elements:
        inputs = zip(element.sources, element.node.inputs.values(), strict=True)
        given = [streams[source].reshape(-1, stream.elements) for source, stream in inputs]
        results = element.node.reference(*given)
        for port, result in zip(element.node.outputs, results, strict=True):
            streams[element.name, port] = result.reshape(len(values), -1)
    return streams[design.elements[-1].name, "m"]
