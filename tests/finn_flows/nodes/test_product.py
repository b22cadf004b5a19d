"""Products: RTL against numpy, their numbers, and what they take."""

from dataclasses import replace

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, cells_of, check_random, divisor, product
from zerocross.finn_flows import structural
from zerocross.finn_flows.nodes import Product
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.product import popcount, product_price, unrolled_popcount

NODES = {
    "even": product(64, 64, 16, 8),
    "odd": product(45, 21, 9, 7),
    "serial": product(7, 5, 1, 1),
    "one_column": product(20, 12, 20, 3),
    "one_row": product(36, 5, 6, 5),
    "unrolled": product(25, 6, 25, 6),
    "unrolled_wide": product(64, 7, 64, 7),
    "unrolled_bytes": product(11, 3, 11, 3, bits=4, offsets=True),
    "unrolled_one": product(1, 2, 1, 2),
    "in_luts": product(144, 6, 72, 2, ram_style="distributed"),
    "bytes": product(30, 8, 5, 2, bits=8),
    "bytes_signed": product(30, 8, 10, 4, bits=8, offsets=True),
    "two_bits": product(21, 6, 7, 3, bits=2, offsets=True),
    "three_bits": product(14, 4, 14, 4, bits=3, offsets=True),
    "of_windows": product(18, 6, 6, 2, vectors=(3, 2)),
    "unrolled_of_windows": product(18, 6, 18, 6, bits=2, vectors=(2, 2)),
    "wide": product(30, 8, 5, 2, weight_bits=4),
    "wide_signed": product(21, 4, 7, 2, weight_bits=2, offsets=True),
    "wide_bytes": product(12, 6, 4, 3, bits=8, weight_bits=8),
    "wide_bytes_signed": product(15, 6, 5, 1, bits=8, weight_bits=8, offsets=True),
    "wide_in_luts": product(24, 4, 6, 2, bits=3, weight_bits=5, offsets=True, ram_style="distributed"),
    "wide_one_column": product(9, 6, 9, 2, bits=4, weight_bits=3),
    "wide_unrolled": product(11, 3, 11, 3, bits=2, weight_bits=3, offsets=True),
    "wide_unrolled_bits": product(14, 2, 14, 2, weight_bits=8),
    "wide_one": product(1, 2, 1, 2, bits=8, weight_bits=2),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)
