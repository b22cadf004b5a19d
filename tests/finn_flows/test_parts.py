import pytest

from zerocross.finn_flows.boards import BOARDS
from zerocross.finn_flows.families import PARTS
from zerocross.finn_flows.parts import UnknownPart, get_part


def test_names_are_known_in_any_case():
    assert get_part("XC7Z020").luts == 53_200
    assert get_part("Pynq-Z1") is get_part("pynq-z2") is get_part("xc7z020")
    assert get_part("ZCU104").name == "xczu7ev"
    assert get_part("U250").dsps == 12_288
    assert get_part("ULX3S-85F").family == "ecp5"


def test_every_board_has_a_known_part_and_every_figure_is_sensible():
    for name in (*BOARDS, *PARTS):
        part = get_part(name)
        assert part.luts > 0 and part.ffs > 0 and part.bram18 > 0 and part.dsps >= 0
        assert part.lut_inputs == (6 if part.name.startswith("xc") else 4)
        assert part.known_to_finn == (part.lut_inputs == 6)


def test_block_rams_are_counted_in_the_familys_own_size():
    zynq, ice = get_part("xc7z020"), get_part("ice40hx8k")
    assert (zynq.brams, zynq.bram_kbit, zynq.bram18) == (280, 5_040, 280)
    assert (ice.brams, ice.bram_kbit, ice.bram18) == (32, 128, 7)


def test_boards_agree_with_finn():
    from zerocross.finn_flows.finn_patches import prepare_finn

    prepare_finn()
    from finn.util.basic import alveo_part_map, pynq_part_map

    for board, finn_part in {**pynq_part_map, **alveo_part_map}.items():
        assert finn_part.startswith(get_part(board).name)


@pytest.mark.parametrize(
    ("asked", "near"), [("xc7z02", "xc7z020"), ("pynq_z1", "pynq-z1"), ("ulx4s", "ulx3s-")]
)
def test_an_unknown_name_gets_the_nearest_ones(asked, near):
    with pytest.raises(UnknownPart, match=near):
        get_part(asked)
    with pytest.raises(UnknownPart, match=r"known are: .*xc7z020"):
        get_part("?")


@pytest.mark.parametrize(
    ("asked", "part"),
    [("7z020", "xc7z020"), ("Z020", "xc7z020"), ("7a35t", "xc7a35t"), ("5u-25f", "lfe5u-25f")],
)
def test_the_beginning_of_a_parts_name_may_be_left_out(asked, part):
    assert get_part(asked).name == part


def test_a_name_that_several_parts_share_gets_them_all():
    with pytest.raises(UnknownPart, match="did you mean .*xc7z020"):
        get_part("7z02")
    with pytest.raises(UnknownPart, match="did you mean lfe5u-25f or orangecrab-25f or ulx3s-25f"):
        get_part("25f")
