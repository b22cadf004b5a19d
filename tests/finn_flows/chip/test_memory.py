"""Which weights go to block RAM."""

import pytest

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.chip.memory import UnknownLayer, choose_ram_styles
from zerocross.finn_flows.nodes import Product
from zerocross.finn_flows.parts import get_part


def product(channels: int, fan_in: int, pe: int, simd: int) -> Product:
    return Product(fan_in, channels, pe, simd)


def test_a_part_with_room_keeps_deep_memories_in_block_ram_and_shallow_ones_in_luts():
    products = {
        "deep": product(256, 256, 8, 16),
        "shallow": product(16, 16, 8, 16),
        "unrolled": product(10, 12, 10, 12),
    }
    styles = {"deep": "block", "shallow": "distributed", "unrolled": "constants"}
    for part in ("xc7z020", "xc7a100t"):
        assert choose_ram_styles(products, get_part(part)) == styles
    # Two words of 128 bits are constants and inverters in LUTs of six inputs, but take a LUT4 each.
    for part in ("lfe5u-25f", "gw1nr-9", "ice40up5k"):
        assert choose_ram_styles(products, get_part(part)) == {**styles, "shallow": "block"}


def test_a_ternary_memory_is_counted_as_it_is_priced():
    ternary = Product(128, 64, 4, 16, weight_bits=2, ram_style="block", buffer_style="distributed")
    assert cost_model.block_rams(*ternary.memory, "7-series") == ternary.price().bram18 == 4


def test_the_deepest_come_first_while_there_is_block_ram():
    products = {
        "less": product(128, 256, 4, 8),
        "most": product(256, 512, 4, 8),
        "least": product(64, 256, 4, 8),
    }
    part = get_part("lfe5u-25f")
    need = {name: 18 * cost_model.block_rams(32, node.folds) for name, node in products.items()}
    taken = part.bram_kbit - need["most"]
    assert choose_ram_styles(products, part, taken_kbit=taken)["most"] == "block"
    fits_two = choose_ram_styles(products, part, taken_kbit=taken - need["less"])
    assert fits_two == {"less": "block", "most": "block", "least": "distributed"}


def test_a_choice_by_hand_comes_before_all_others():
    products = {"deep": product(256, 256, 8, 16), "shallow": product(16, 16, 8, 16)}
    by_hand = {"deep": "distributed", "shallow": "block"}
    assert choose_ram_styles(products, get_part("pynq-z2"), by_hand) == by_hand
    with pytest.raises(UnknownLayer, match="--weights conv9: no weights in a memory: .*deep, shallow"):
        choose_ram_styles(products, get_part("pynq-z2"), {"conv9": "block"})


def test_an_ice40_is_filled_in_blocks_of_4_kbit():
    """512 words of 16 bits take two blocks; an HX8K has 32."""
    products, part = {"layer": product(128, 64, 4, 4)}, get_part("ice40hx8k")
    assert choose_ram_styles(products, part, taken_kbit=4 * 30) == {"layer": "block"}
    assert choose_ram_styles(products, part, taken_kbit=4 * 31) == {"layer": "distributed"}


@pytest.mark.parametrize("shape", [(64, 128), (32, 256), (48, 24), (32, 32)])
def test_weights_in_luts_are_priced_as_in_products_that_were_mapped(shape):
    """LUTs of 6 and of 4 inputs, what the same product takes with its weights in block RAM taken off."""
    measured = {(64, 128): (590, 1097), (32, 256): (637, 1063), (48, 24): (85, 169), (32, 32): (71, 136)}
    for lut_inputs, luts in zip((6, 4), measured[shape], strict=True):
        assert cost_model.weights_in_luts(*shape, lut_inputs=lut_inputs) == pytest.approx(luts, rel=0.2)
