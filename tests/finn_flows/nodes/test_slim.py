"""Slim nodes: they move words in the same cycles as the nodes that they stand for."""

from pathlib import Path

import numpy as np

from tests.finn_flows.nodes.bench import compile_nodes, crossing_table, product
from tests.finn_flows.nodes.test_wired import wired
from tests.finn_flows.nodes.test_wired_count import count
from zerocross.finn_flows.nodes import (
    Add,
    CrossingSite,
    Duplicate,
    Fifo,
    HardwareNode,
    InputGenerator,
    MaxPool,
    Padding,
    SumPool,
    Thermometer,
    WidthConverter,
)
from zerocross.finn_flows.nodes.crossing_site import IMPLEMENTATIONS
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.simulation import Trace

IMAGES = 5
IMAGE = Stream((6, 4, 12), 4, 3)
NODES: dict[str, HardwareNode] = {
    "product": product(24, 8, 6, 4),
    "constants": product(24, 8, 24, 8),
    "levels": product(24, 8, 24, 2, bits=3, offsets=True),
    "planes": product(24, 8, 8, 4, weight_bits=2, ram_style="distributed"),
    **{
        f"crossings{number}": CrossingSite.of(crossing_table(12, 40, 9), 2, name, bits=2, vectors=(2, 2))
        for number, name in enumerate(IMPLEMENTATIONS)
    },
    "one": CrossingSite.of(crossing_table(6, 9, 1), 6, "search"),
    "generator": InputGenerator(IMAGE, (3, 3)),
    "strided": InputGenerator(IMAGE, (2, 2), (2, 2), depthwise=True),
    "whole": InputGenerator(Stream((6, 4, 3), 3, 2), (3, 3), parallel=True),
    "thermometer": Thermometer(IMAGE, tuple(range(7)) + (1,) * 17, 2),
    "thermometer_in_ram": Thermometer(IMAGE, (3,) * 12, 1, "thresholds in block RAM"),
    "padding": Padding(IMAGE, (1, 1, 1, 1), 5),
    "most": MaxPool(Stream((6, 4, 12), 4, 2), (2, 2)),
    "sum": SumPool(Stream((6, 4, 12), 4, 2), (2, 2), high=8),
    "add": Add(IMAGE, IMAGE, 9),
    "two": Duplicate(IMAGE),
    "fifo": Fifo(IMAGE, 7),
    "wider": WidthConverter(IMAGE, 12),
    "narrower": WidthConverter(IMAGE, 1),
    "turned": WidthConverter(IMAGE, 6),
    "wired": wired(5, 12, [4]),
    "wires": wired(5, 12, [4], registered=False),
    "count": count(3, 50, [31, 7]),
}


def _traces(nodes: dict[str, HardwareNode], folder: Path, runtime: Path) -> list[Trace]:
    folder.mkdir()
    simulator = compile_nodes(nodes, folder, runtime)
    given = {
        f"{name}_{port}": np.zeros((IMAGES * stream.words, stream.width), np.uint8)
        for name, node in nodes.items()
        for port, stream in node.inputs.items()
    }
    expected = {
        f"{name}_{port}": IMAGES * stream.words
        for name, node in nodes.items()
        for port, stream in node.outputs.items()
    }
    return [simulator.run(given, expected, stalls, seed=3) for stalls in ((0.0, 0.0), (0.2, 0.4))]


def test_slim_nodes_keep_the_schedule(tmp_path: Path, runtime: Path) -> None:
    slim = {name: node.slim() for name, node in NODES.items()}
    both = (_traces(nodes, tmp_path / kind, runtime) for kind, nodes in (("full", NODES), ("slim", slim)))
    for full, light in zip(*both, strict=True):
        for name, cycles in (full.taken | full.given).items():
            assert np.array_equal(cycles, (light.taken | light.given)[name]), name
