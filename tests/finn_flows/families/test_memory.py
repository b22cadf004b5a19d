"""Layouts of block RAMs and their multiplexers, against memories that Yosys mapped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.families import FAMILIES, get_family
from zerocross.finn_flows.families.family import Family

MAPPED = [
    ("7-series", 192, 2009, 0, 22),
    ("7-series", 72, 1024, 0, 4),
    ("7-series", 9, 4096, 0, 2),
    ("7-series", 36, 1536, 36, 3),
    ("7-series", 72, 1500, 72, 6),
    ("7-series", 36, 3000, 36, 6),
    ("7-series", 9, 8192, 9, 4),
    ("7-series", 36, 2560, 72, 5),
    ("7-series", 9, 12288, 9, 6),
    ("7-series", 9, 16384, 9, 8),
    ("7-series", 9, 24576, 18, 12),
    ("7-series", 9, 32768, 27, 16),
    ("ecp5", 9, 4096, 9, 2),
    ("ecp5", 36, 1536, 72, 3),
    ("ecp5", 9, 8192, 27, 4),
    ("ecp5", 36, 2560, 108, 5),
    ("ecp5", 9, 12288, 36, 6),
    ("ecp5", 36, 3584, 180, 7),
    ("ecp5", 9, 16384, 54, 8),
    ("gowin", 9, 8192, 27, 4),
    ("gowin", 36, 2560, 108, 5),
    ("gowin", 36, 3584, 180, 7),
    ("ice40", 2, 4096, 2, 2),
    ("ice40", 4, 3072, 8, 3),
    ("ice40", 2, 8192, 6, 4),
    ("ice40", 4, 5120, 12, 5),
    ("ice40", 4, 7168, 20, 7),
    ("ice40", 2, 16384, 12, 8),
]
"""Family, width and depth of a read-only memory with two registers, and the LUTs and block RAMs that it was mapped to."""


@pytest.mark.parametrize(("family", "width", "depth", "lut", "blocks"), MAPPED)
def test_a_memory_is_laid_out_as_yosys_does(
    family: str, width: int, depth: int, lut: int, blocks: int
) -> None:
    assert cost_model.block_rams(width, depth, family) == blocks
    assert cost_model.bank_luts(width, depth, family) == lut


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
@given(width=st.integers(1, 300), depth=st.integers(1, 50_000))
def test_a_layout_holds_the_memory_and_only_banks_need_multiplexers(
    family: Family, width: int, depth: int
) -> None:
    ram = family.block_ram
    for cell in ram.cells:
        assert all(bits * words <= cell.block_rams * ram.kbit * 1024 for bits, words in cell.shapes)
    found = ram.layout(width, depth)
    assert found.block_rams * ram.kbit * 1024 >= width * depth
    assert ram.layout(width, 2 * depth).block_rams >= found.block_rams
    assert (found.banks == 1) == (cost_model.bank_luts(width, depth, family.name) == 0)


@pytest.mark.parametrize(
    ("width", "depth", "blocks"), [(8, 64, 0), (4, 256, 0), (16, 128, 1), (4, 512, 1), (1, 1024, 1)]
)
def test_an_ecp5_keeps_small_lines_in_luts_and_large_ones_in_block_ram(
    width: int, depth: int, blocks: int
) -> None:
    """The lines of the convolutions of `zoo:cnv-fashion`, as they were mapped."""
    price = cost_model.small_memory(10.0, width, depth, "rows")
    lut, found = cost_model.on_family(price, "ecp5")
    assert price.bram18 == 0 and found == blocks
    held = get_family("ecp5").lut_ram
    assert held is not None and lut == round(1.35 * 10) + (0 if blocks else held(width, depth))
