"""Which weights go to block RAM."""

import numpy as np
import pytest

from finn_flows import structural
from finn_flows.chip.memory import UnknownLayer, block_ram_kbit, choose_ram_styles
from finn_flows.parts import get_part
from finn_flows.rtl.nodes import Product


def product(channels: int, fan_in: int, pe: int, simd: int) -> Product:
    return Product(np.ones((channels, fan_in), np.int8), pe, simd)


def test_a_part_with_room_keeps_deep_memories_in_block_ram_and_shallow_ones_in_luts():
    products = {
        "deep": product(256, 256, 8, 16),
        "shallow": product(16, 16, 8, 16),
        "unrolled": product(10, 12, 10, 12),
    }
    styles = {"deep": "block", "shallow": "distributed", "unrolled": "constants"}
    for part in ("xc7z020", "lfe5u-25f", "gw1nr-9", "ice40up5k"):
        assert choose_ram_styles(products, get_part(part)) == styles


def test_the_deepest_come_first_while_there_is_block_ram():
    products = {
        "less": product(128, 256, 4, 8),
        "most": product(256, 512, 4, 8),
        "least": product(64, 256, 4, 8),
    }
    part = get_part("lfe5u-25f")
    need = {name: block_ram_kbit(32, node.interval, part.family) for name, node in products.items()}
    taken = 18 * part.bram18 - need["most"]
    assert choose_ram_styles(products, part, taken_kbit=taken)["most"] == "block"
    fits_two = choose_ram_styles(products, part, taken_kbit=taken - need["less"])
    assert fits_two == {"less": "block", "most": "block", "least": "distributed"}


def test_a_choice_by_hand_comes_before_all_others():
    products = {"deep": product(256, 256, 8, 16), "shallow": product(16, 16, 8, 16)}
    by_hand = {"deep": "distributed", "shallow": "block"}
    assert choose_ram_styles(products, get_part("pynq-z2"), by_hand) == by_hand
    with pytest.raises(UnknownLayer, match="no weights in conv9.*deep, shallow"):
        choose_ram_styles(products, get_part("pynq-z2"), {"conv9": "block"})


@pytest.mark.parametrize("shape", [(64, 64, 8, 16), (256, 256, 16, 32), (10, 256, 1, 32), (784, 128, 2, 4)])
def test_block_ram_is_counted_as_the_structural_model_counts_it(shape):
    channels, fan_in, pe, simd = shape
    kbit = block_ram_kbit(pe * simd, fan_in * channels // (pe * simd), "7-series")
    assert kbit == 18 * structural.product(fan_in, channels, pe, simd).bram18


@pytest.mark.parametrize("shape", [(64, 128), (32, 256), (48, 24), (32, 32)])
def test_weights_in_luts_are_priced_as_in_products_that_were_mapped(shape):
    """LUTs of 6 and of 4 inputs, what the same product takes with its weights in block RAM taken off."""
    measured = {(64, 128): (590, 1097), (32, 256): (637, 1063), (48, 24): (85, 169), (32, 32): (71, 136)}
    for lut_inputs, luts in zip((6, 4), measured[shape], strict=True):
        assert structural.weights_in_luts(*shape, lut_inputs=lut_inputs) == pytest.approx(luts, rel=0.2)
