"""Stock FINN's own nodes in the place of ours: FINN knows each, and answers."""

import pytest

from tests.finn_flows.nodes.test_node import bare, random_node
from zerocross.finn_flows.nodes import NODES, Product
from zerocross.finn_flows.vendor.stock_nodes import ask_finn

PART = "xc7z020clg400-1"


@pytest.mark.parametrize("kind", NODES.values(), ids=NODES)
def test_finn_answers_about_every_kind(kind):
    for seed in range(12):
        node = random_node(kind, seed)
        for stock in node.stock():
            cycles, *resources = ask_finn(stock, PART)
            # Of what only passes words on, FINN counts no cycles.
            assert cycles > 0 or stock.op_type.startswith("Streaming")
            assert min(resources) >= 0
        assert bare(node).stock() == node.stock()  # its numbers do not count


def test_a_products_cycles_are_an_images():
    (stock,) = Product(18, 6, 2, 3, vectors=(4, 5)).stock()
    assert ask_finn(stock, PART)[0] == 20 * (18 // 3) * (6 // 2)
