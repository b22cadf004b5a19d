"""Small designs with every kind of node."""

import numpy as np

from tests.finn_flows.nodes.bench import chain, crossing_table, product, random_samples
from tests.finn_flows.nodes.test_wired import wired
from tests.finn_flows.nodes.test_wired_count import count
from zerocross.finn_flows.nodes import (
    Add,
    AddVector,
    Bias,
    BitPlanes,
    Concat,
    CrossingSite,
    Duplicate,
    Fifo,
    GroupedProduct,
    InputGenerator,
    LabelSelect,
    MaxPool,
    Padding,
    Product,
    Select,
    SumPool,
    Thermometer,
    WindowMaxPool,
    WindowSumPool,
)
from zerocross.finn_flows.nodes.crossing_site import IMPLEMENTATIONS
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.design import INPUT, Design, Element


def residual() -> Design:
    """Two products of the same bits, their sum, and its largest element."""
    first = product(12, 10, 3, 2)
    stream = first.inputs["s"]
    twice = Duplicate(stream)
    second = Product.of(-first.numbers[::-1], 2, 3)
    total = Add(first.outputs["m"], second.outputs["m"])
    best = LabelSelect(total.outputs["m"])
    return Design(
        stream,
        (
            Element("twice", "fork", twice, ((INPUT, "s"),)),
            Element("first", "first", first, (("twice", "a"),)),
            Element("second", "second", second, (("twice", "b"),)),
            Element("total", "join", total, (("first", "m"), ("second", "m"))),
            Element("best", "best", best, (("total", "m"),)),
        ),
    )


def dynamic() -> Design:
    """An image, and what the sum of all its pixels comes to added to each: the image waits for it, 20 words and more."""
    image = Stream((4, 5, 2), 2, 3)
    pool = SumPool(image, (4, 5))
    levels = CrossingSite.of(crossing_table(4, 141, 9), 2, "search", bits=2, vectors=(1, 1))
    total = AddVector(image, levels.outputs["m"], high=10)
    return Design(
        image,
        (
            Element("twice", "fork", Duplicate(image), ((INPUT, "s"),)),
            Element("pool", "pool", pool, (("twice", "a"),)),
            Element("levels", "levels", levels, (("pool", "m"),)),
            Element("total", "join", total, (("twice", "b"), ("levels", "m"))),
        ),
    )


def joined() -> Design:
    """The first and the last channels of an image; in this order no word has to wait."""
    image = Stream((3, 2, 8), 2, 3)
    first, last = Select(image, (0, 1, 2, 3)), Select(image, (6, 7))
    return Design(
        image,
        (
            Element("twice", "fork", Duplicate(image), ((INPUT, "s"),)),
            Element("first", "first", first, (("twice", "a"),)),
            Element("last", "last", last, (("twice", "b"),)),
            Element(
                "both", "join", Concat(first.outputs["m"], last.outputs["m"]), (("first", "m"), ("last", "m"))
            ),
        ),
    )


def biased() -> Design:
    """A classifier: a product, its biases, and the label."""
    last = product(15, 6, 5, 2)
    bias = Bias(last.outputs["m"], 2, -30, 11, biases=np.array([-30, 11, 0, -7, 3, 1]))
    return chain(last, bias, LabelSelect(bias.outputs["m"]))


def designs() -> dict[str, Design]:
    """Designs by name."""
    image = Padding(Stream((5, 6, 4), 2, 1), (1, 1, 1, 1))
    windows = InputGenerator(image.outputs["m"], (3, 3), (2, 1))
    pooled = InputGenerator(Stream((6, 7, 6), 2, 3), (3, 3), (2, 2), depthwise=True)
    apart = InputGenerator(Stream((5, 6, 4), 2, 2), (3, 2), depthwise=True)
    depthwise = np.random.default_rng(0).choice([-1, 1], (4, 6, 1))
    found = {
        "bits": chain(product(45, 21, 9, 7)),
        "bytes": chain(product(30, 8, 5, 2, bits=8)),
        "bytes_signed": chain(product(30, 8, 10, 4, bits=8, offsets=True, ram_style="distributed")),
        "two_bits": chain(product(21, 6, 7, 3, bits=2, offsets=True)),
        "pool": chain(MaxPool(Stream((7, 5, 4), 2, 1), (3, 2))),
        "pool_signed": chain(MaxPool(Stream((4, 4, 2), 1, 5, signed=True), (2, 2))),
        "label": chain(LabelSelect(Stream((12,), 4, 4, signed=True))),
        "many_labels": chain(LabelSelect(Stream((300,), 10, 3))),
        "bias": chain(Bias(Stream((3, 6), 2, 4, signed=True), 1, 5, 90, biases=np.arange(10, 70, 10))),
        "biased": biased(),
        "wired": chain(wired(11, 30, [8, 3]), wired(7, 11, [4], registered=False), count(3, 7, [3, 2])),
        "at_once": chain(LabelSelect(Stream((5,), 5, 4, signed=True))),
        "fifo": chain(Fifo(Stream((24,), 3, 5, signed=True), 7)),
        "padded": chain(image, windows, product(36, 6, 2, 3, vectors=windows.schedule.counts)),
        "overlapping": chain(pooled, WindowMaxPool(pooled.outputs["m"], (3, 3))),
        "parallel": chain(InputGenerator(Stream((5, 6, 4), 4, 2), (3, 2), (2, 1), parallel=True)),
        "grouped": chain(apart, GroupedProduct.of(depthwise, 4, 2, 1, 2, vectors=apart.schedule.counts)),
        "dilated": chain(InputGenerator(Stream((7, 6, 4), 2, 2), (3, 2), dilation=(2, 3))),
        "residual": residual(),
        "joined": joined(),
        "dynamic": dynamic(),
        "wide_bits": chain(product(30, 8, 10, 4, weight_bits=3)),
        "wide_bytes": chain(product(12, 6, 4, 3, bits=8, weight_bits=8)),
        "wide_levels_signed": chain(product(15, 6, 5, 2, bits=4, weight_bits=4, offsets=True)),
        "sum_pool": chain(SumPool(Stream((7, 5, 4), 2, 4), (3, 2), high=60)),
        "overlapping_sums": chain(pooled, WindowSumPool(pooled.outputs["m"], (3, 3), high=63)),
    }
    found["thermometer"] = chain(Thermometer(Stream((4, 6), 2, 8), tuple(range(10, 190, 10)), 3))
    found["planes"] = chain(BitPlanes(Stream((4, 6), 2, 8), (7, 6, 1)))
    for name in IMPLEMENTATIONS:
        found[name] = chain(CrossingSite.of(crossing_table(6, 23, 4, -22, 2), 3, name))
        found[f"{name}, two bits"] = chain(CrossingSite.of(crossing_table(12, 27, 7), 3, name, bits=2))
    found["constant"] = chain(CrossingSite.of(crossing_table(4, 9, 0), 2))
    return found


def samples(design: Design, count: int, seed: int = 0) -> np.ndarray:
    """Inputs of a design (count, elements), what never comes left out."""
    first = next(element for element in design.elements if element.sources == ((INPUT, "s"),))
    return random_samples(first.node, np.random.default_rng(seed), max(count, 4))[0][:count]


def answers(design: Design, values: np.ndarray) -> np.ndarray:
    """What a design answers, by its records: (N, elements of its output)."""
    return design.run(values)[design.elements[-1].name, "m"]
